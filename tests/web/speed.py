#!/usr/bin/env python3
"""Measures web_server and its C twin beside nginx, busybox httpd and python3 -m http.server, all under wrk.

By hand: cargo build --release && tests/web/speed.py

A round asks each server in random order, a slice of a second each, and each figure is a ratio to what nginx did in the same
round. nginx runs twice: the row of its second copy shows what this machine can tell apart. The CPU time is the server's own, and
holds better where other programs run. Server and wrk share one core, which is the most stable, so that wrk's own work is in each
of the requests a second. All servers listen on 127.0.0.1, and end with the script.
"""

import argparse
import atexit
import collections
import http.client
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = {"1k": 1024, "100k": 100 * 1024}
COLUMNS = [(name, close) for name in FILES for close in (False, True)]
CONNECTIONS = 8
SERVERS = ["nginx", "nginx again", "web_server", "its C twin", "busybox httpd", "http.server"]
CLOSE_ALWAYS = ("busybox httpd", "http.server")  # whatever they are asked
PORTS = 20_000  # connections to one server in a minute at most: each keeps a port busy for so long (TIME_WAIT)
AGAIN = SERVERS[1]
FORKS = "busybox httpd"  # so that its own CPU time says nothing
TABLES = [("requests a second", "nginx, req/s", 1), ("CPU time for each", "nginx, us", 1e6)]
VOID = 0.02  # if nginx differs so much from its copy in half of the rounds, the column says nothing
NEEDS = {"nginx": "nginx-light", "busybox": "busybox", "wrk": "wrk", "cc": "gcc"}

NGINX = """
daemon off; master_process off; pid {place}/pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
    uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
    server {{ listen 127.0.0.1:{port} backlog=511; root {root}; }}
}}
"""


def main():
    args = arguments()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [package for tool, package in NEEDS.items() if not shutil.which(tool)]
    if missing:
        sys.exit("missing, on Debian: apt-get install " + " ".join(missing))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through atexit
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])  # and so for all that it starts
    place = tempfile.mkdtemp(prefix="web_speed-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    servers = start_all(place)

    figures = [collections.defaultdict(list) for _ in TABLES]  # (server, column): a figure for each round
    recent = collections.defaultdict(collections.deque)  # server: (when, how many connections)
    rng = random.Random(args.seed)
    end = time.monotonic() + args.seconds
    rounds = 0
    while time.monotonic() < end or rounds == 0:
        for column in rng.sample(COLUMNS, len(COLUMNS)):
            for server in rng.sample(list(servers), len(servers)):
                wait_for_ports(recent[server])
                port, pid = servers[server]
                before = cpu_time(pid)
                rate, done = slice_of(port, column, args.slice)
                figures[0][server, column].append(rate)
                figures[1][server, column].append((cpu_time(pid) - before) / done)
                if column[1] or server in CLOSE_ALWAYS:
                    recent[server].append((time.monotonic(), done))
        rounds += 1
    return report(figures, rounds, args)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=180, help="how long it measures (default: 180)")
    parser.add_argument("--slice", type=float, default=0.2, help="seconds of each turn (default: 0.2)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of turns (default: 1)")
    return parser.parse_args()


# ---- The servers ----


def start_all(place):
    """Starts each, sees that it gives the files as they are, and returns by its name its port and its id."""
    os.chmod(place, 0o755)  # nginx's worker may be another user
    root = os.path.join(place, "root")
    os.mkdir(root)
    for name, size in FILES.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(bytes(i * i % 251 for i in range(size)))
    rust = os.path.join(HERE, "target/release/web_server")
    if not os.path.exists(rust):
        sys.exit("no target/release/web_server: cargo build --release")
    twin = os.path.join(place, "twin")
    source = os.path.join(HERE, "src/bin/web_server.c")
    subprocess.run(["cc", "-std=gnu11", "-O2", "-o", twin, source], check=True)

    ours = ["--quiet", "--bind", "127.0.0.1", "--root", root]
    python = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", root]
    commands = {
        "nginx": lambda port: nginx(place, root, port),
        AGAIN: lambda port: nginx(place, root, port),
        "web_server": lambda port: [rust, *ours, port],
        "its C twin": lambda port: [twin, *ours, port],
        "busybox httpd": lambda port: ["busybox", "httpd", "-f", "-p", "127.0.0.1:" + port, "-h", root],
        "http.server": lambda port: [*python, port],
    }
    servers = {}
    for name, command in commands.items():
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        child = subprocess.Popen(
            command(str(port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(place, name + ".log"), "wb"),
        )
        atexit.register(end_child, child)
        check(name, port, child, root)
        servers[name] = port, child.pid
    return servers


def nginx(place, root, port):
    own = os.path.join(place, "nginx-" + port)
    os.mkdir(own)
    config = os.path.join(own, "conf")
    with open(config, "w") as file:
        file.write(NGINX.format(place=own, root=root, port=port))
    return ["nginx", "-e", "stderr", "-p", own, "-c", config]


def end_child(child):
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def check(name, port, child, root):
    deadline = time.monotonic() + 10
    for file in FILES:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", "/" + file)
                body = connection.getresponse().read()
                connection.close()
                break
            except ConnectionRefusedError:
                if child.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{name} did not start: {child.args}")
                time.sleep(0.01)
        with open(os.path.join(root, file), "rb") as original:
            if body != original.read():
                sys.exit(f"{name} does not give /{file} as it is")


# ---- Measuring ----


def wait_for_ports(recent):
    while recent:
        while recent and recent[0][0] < time.monotonic() - 60:
            recent.popleft()
        if sum(count for _, count in recent) < PORTS:
            break
        time.sleep(0.1)


def cpu_time(pid):
    """Seconds that a process has used, its threads included: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def slice_of(port, column, seconds):
    """What wrk got in so many seconds: requests a second, and requests."""
    file, close = column
    command = ["stdbuf", "-oL", "wrk", "-t1", f"-c{CONNECTIONS}", "-d60s", f"http://127.0.0.1:{port}/{file}"]
    if close:
        command += ["-H", "Connection: close"]
    wrk = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wrk.stdout.readline()  # "Running 1m test @ ..."
        time.sleep(seconds)
        while wrk.poll() is None:  # -d alone takes whole seconds; a signal ends it earlier, and it says what it got
            wrk.send_signal(signal.SIGINT)
            time.sleep(0.02)
        said = wrk.stdout.read()
    finally:
        wrk.kill()
        wrk.wait()
    rate = re.search(r"Requests/sec: +([0-9.]+)", said)
    done = re.search(r"([0-9]+) requests in", said)
    if not rate or not done or "Non-2xx" in said or re.search(r"errors: connect [1-9]", said):
        sys.exit(f"{' '.join(command)} failed:\n{said}")
    return float(rate[1]), int(done[1])


# ---- Telling ----


def spread(values):
    values = sorted(values)
    at = lambda part: values[round(part * (len(values) - 1))]
    return at(0.5), at(0.1), at(0.9)


def report(figures, rounds, args):
    titles = [f"{size} KiB, {'close' if close else 'keep'}" for size in (1, 100) for close in (False, True)]
    void = []
    for figure, (table, unit, factor) in zip(figures, TABLES):
        row(table, titles)
        row(unit, [f"{factor * spread(figure['nginx', column])[0]:.0f}" for column in COLUMNS])
        for server in SERVERS[1:]:
            if server == FORKS and figure is figures[1]:
                continue
            ratios = []
            for column, title in zip(COLUMNS, titles):
                pairs = zip(figure[server, column], figure["nginx", column])
                median, low, high = spread([own / nginxs for own, nginxs in pairs])
                ratios.append(f"{short(median)} {short(low)}-{short(high)}")
                if server == AGAIN and abs(median - 1) > VOID:
                    void.append(f"{table}, {title}")
            row(server, ratios)
        print()
    version = subprocess.run(["nginx", "-v"], stderr=subprocess.PIPE, text=True).stderr.split("/")[-1].strip()
    print(f"Below nginx {version}: a part of its figure, in the same round; median p10-p90")
    print(f"{rounds} rounds, {CONNECTIONS} connections; one worker, no logs; {' and '.join(CLOSE_ALWAYS)}")
    print(f"close always. Again: tests/web/speed.py --seconds {args.seconds:g} --seed {args.seed}")
    for what in void:
        print(f"void: {what}: nginx differs from itself by more than {VOID:.0%}")
    return 1 if void else 0


def short(ratio):
    return f"{ratio:.2f}" if ratio < 9.995 else f"{ratio:.1f}"


def row(name, cells):
    print((f"{name:<18}" + "".join(f"{cell:<16}" for cell in cells)).rstrip())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
