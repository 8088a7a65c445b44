"""Reads what `sockstep diff --json` prints, and writes what the text report says of it; of a difference no line around it."""
import json
import sys

version, *lines = [json.loads(line) for line in sys.stdin]
assert version == {"sockstep": 1}, version


def differences(places):
    for place in places:
        for mark, (side, rows) in zip("-+", place.items()):
            for row in rows:
                assert row["text"] and row["raw"], row
                print(mark, side, row["line"] or "", row["text"])


pair = scenario = None
for line in lines:
    kind = line["kind"]
    if "pair" in line and (pair, scenario) != (line["pair"], line["scenario"]):
        if pair != line["pair"]:
            print(line["pair"])
        pair, scenario = line["pair"], line["scenario"]
        print(f"{scenario}: {line['about']}")
    if kind == "commands":
        (a, left), (b, right) = line["commands"].items()
        for program in ("server", "client"):
            if left[program] == right[program]:
                print(f"{program}: {left[program]}")
            else:
                print(f"{program} {a}: {left[program]}")
                print(f"{program} {b}: {right[program]}")
    elif kind == "conversation":
        if line["verdict"] == "different":
            print("different conversation:")
            differences(line["differences"])
        elif "pair" not in line:
            side = next(iter(line["lines"].values()))
            varies = f", varies {len(line['varies'])}" if line["varies"] else ""
            print(f"same conversation, {len(side)} lines{varies}")
    elif kind == "task":
        counts = list(line["lines"].items())
        words = [f"only in {counts[1 - at][0]}" for at in (0, 1) if counts[at][1] == 0 < counts[1 - at][1]]
        if "together" in line:
            words.append(f"{line['together']} tasks as one")
        if line["expected"]:
            words.append(", ".join(row["letter"] for row in line["expected"]))
        if line["normalised"] and line["verdict"] != "divergent":
            words.append(", ".join(f"{form} {count}" for form, count in line["normalised"].items()))
        aside = sum(call["count"] for side in line["set_aside"].values() for call in side)
        if aside:
            words.append(f"{aside} set aside")
        count = counts[0][1] or counts[1][1]
        print(line["task"], count, "lines", line["verdict"], "; ".join(words))
        last = None
        for own in line["varies"]:
            if own["side"] != last:
                last = own["side"]
                print(f"{last} varies in {line['runs']} runs; * and ? are not compared:")
            print("?" if own["optional"] else "~", last, own["line"], own["text"])
        differences(line["differences"])
        for side, calls in line["set_aside"].items():
            for call in calls:
                assert len(call.get("lines", [])) in (0, call["count"]), call
                for text in call.get("lines", []):
                    print(f"{side} {call['why']}: {text}")
    elif kind in ("trouble", "note"):
        print(f"{line['side']}: {line['text']}")
    else:
        assert kind == "total", line
        total = line
assert total is line, "the total comes last"

if total["normalised"]:
    print("Normalised before the comparison:")
    for form in total["normalised"]:
        print(form["form"], form["count"], form["meaning"])
if total["expected"]:
    print("Expected, in Rust alone:")
    for row in total["expected"]:
        print(row["letter"], row["count"], "x", f"{row['begins']}...{row['ends']}", row["reason"])
if total["set_aside"]:
    print("Set aside, not compared (--raw shows them):")
    for row in total["set_aside"]:
        counts = " ".join(f"{count} in {side}" for side, count in row["counts"].items())
        print(row["call"], counts, row["reason"])
verdicts = ", ".join(f"{count} {verdict}" for verdict, count in total["verdicts"].items())
different = total["different_conversations"]
differ = f"; {different} of {total['cases']} conversations differ" if different else ""
print(f"{total['tasks']} task{'' if total['tasks'] == 1 else 's'}: {verdicts}{differ}")
