"""Reads what `sockstep` writes for other tools, by each format's own rules, and prints what is in it."""
import csv, json, struct, sys, xml.etree.ElementTree as tree

def total(data):
    data += b"\0" * (len(data) % 2)
    whole = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while whole >> 16:
        whole = (whole & 0xffff) + (whole >> 16)
    return whole

def pcapng(path):
    data, at, before, sent = open(path, "rb").read(), 0, 0, {}
    kinds = []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0 and struct.unpack_from("<I", data, at + length - 4) == (length,), "a block's length"
        kinds.append(kind)
        if kind == 6:
            _, high, low, captured, original = struct.unpack_from("<5I", data, at + 8)
            time = high << 32 | low
            assert time > before, "packets in order"
            before = time
            packet(data[at + 28:at + 28 + captured], original - captured, sent)
        at += length
    assert at == len(data) and kinds[:2] == [0x0a0d0d0a, 1], "a section and an interface first"

def packet(bytes, missing, sent):
    if bytes[0] >> 4 == 4:
        assert total(bytes[:20]) == 0xffff, "the header's checksum"
        length, protocol, ends, rest = struct.unpack_from("!H", bytes, 2)[0], bytes[9], bytes[12:20], bytes[20:]
    else:
        length, protocol, ends, rest = struct.unpack_from("!H", bytes, 4)[0] + 40, bytes[6], bytes[8:40], bytes[40:]
    assert length == len(bytes) + missing, "the packet's length"
    if not missing:
        assert total(ends + struct.pack("!IBBBB", len(rest), 0, 0, 0, protocol) + rest) == 0xffff, "the checksum"
    source, target = struct.unpack_from("!HH", rest)
    if protocol == 17:
        return print("UDP", rest[8:].decode("latin-1"))
    sequence, acknowledged, header, flags = struct.unpack_from("!IIBB", rest, 4)
    payload = rest[(header >> 4) * 4:]
    own, other = (ends, source, target), (ends[len(ends) // 2:] + ends[:len(ends) // 2], target, source)
    if flags & 2:
        sent[own] = 0
    assert sequence == sent.get(own, sequence), "the next number"
    assert flags & 4 or not flags & 16 or acknowledged == sent.get(other, acknowledged), "what came is acknowledged"
    sent[own] = sequence + len(payload) + missing + (flags & 3 != 0)
    names = [name for bit, name in ((2, "SYN"), (1, "FIN"), (4, "RST")) if flags & bit]
    if names or payload or missing:
        print(*names, payload.decode("latin-1") + f" and {missing} more" * (missing > 0))

def perfetto(path):
    trace = json.load(open(path))
    assert trace["displayTimeUnit"] in ("ms", "ns"), "one of the two units"
    events = trace["traceEvents"]
    slices, flows, named = {}, {}, set()
    # What the format asks of each phase, beyond a name and a track.
    asked = {"M": {"args"}, "X": {"cat", "ts", "dur"}, "i": {"cat", "ts", "s"}, "s": {"cat", "ts", "id"}, "f": {"cat", "ts", "id", "bp"}}
    for event in events:
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int), event
        assert isinstance(event["name"], str) and event["ph"] in asked and asked[event["ph"]] <= event.keys(), event
        assert event.get("ts", 0) >= 0 and isinstance(event.get("args", {}), dict), event
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str), event
            named.add((event["name"], event["pid"], event["tid"] if event["name"] == "thread_name" else None))
        if event["ph"] == "i":
            assert event["s"] in ("g", "p", "t"), "a scope"
        if event["ph"] == "f":
            assert event["bp"] == "e", "without it the flow ends at the slice after this time"
        if event["ph"] == "X":
            assert event["dur"] > 0, event
            slices.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
        if event["ph"] in "sf":
            flows.setdefault(event["id"], []).append(event)
    for own in slices.values():
        own.sort()
        assert all(one[1] <= next[0] + 0.0011 for one, next in zip(own, own[1:])), "a slice ends before the next"
    for pair in flows.values():
        begin, end = pair
        assert (begin["ph"], end["ph"]) == ("s", "f") and begin["ts"] <= end["ts"], pair
        assert (begin["name"], begin["cat"]) == (end["name"], end["cat"]), "by these and the number a flow is one"
        for event in pair:
            own = slices[event["pid"], event["tid"]]
            assert any(begin <= event["ts"] <= end for begin, end in own), "a flow's end lies in a slice"
    for pid, tid in slices:
        assert {("process_name", pid, None), ("thread_name", pid, tid)} <= named, "a track has a name"
    print(len(slices), "tracks,", len(flows), "flows")

def table(path):
    header, *rows = csv.reader(open(path, newline="", encoding="utf-8"), strict=True)
    assert all(len(row) == len(header) for row in rows)
    known = set()
    for row in rows:
        row = dict(zip(header, row))
        assert all(cause in known for cause in row["causes"].split()), "a cause stands above"
        known.add(row["event"])
        if row["moved"]:
            print(row["task"], row["call"], row["moved"], row["bytes"])

def svg(path):
    root = tree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    kinds = {element.tag for element in root.iter()}
    allowed = "svg title style rect marker path text line".split()
    assert kinds <= {space + name for name in allowed}, kinds
    for element in root.iter():
        for name in element.attrib:
            assert "href" not in name and not name.startswith("on"), name
    for element in root.iter(space + "text"):
        print("".join(element.itertext()))

def mermaid(path):
    lines = open(path, encoding="utf-8").read().splitlines()
    assert lines[0] == "sequenceDiagram"
    known = {line.split()[1] for line in lines if line.startswith("  participant ")}
    for line in lines[1:]:
        assert line.isascii() and line.isprintable(), line
        head, colon, words = line.partition(": ")
        if "participant" in head:
            continue
        assert colon and not set(words.replace("#", "").replace(";", "")) & set("<>&\"'{}[]%"), line
        ends = head.replace("Note over", "").replace("--", "->>").replace("->>)", "->>").replace("->>x", "->>")
        assert all(end in known for end in ends.replace("->>", ",").replace(" ", "").split(",")), line
        print(head.strip())

{"pcapng": pcapng, "perfetto": perfetto, "csv": table, "svg": svg, "mermaid": mermaid}[sys.argv[1]](sys.argv[2])
