#!/usr/bin/env python3
"""Measures web_server and its C twin beside nginx, busybox httpd and python3 -m http.server, all under wrk.

By hand: cargo build --release && tests/web_speed.py

A round asks each server in random order, a slice of a second each, and each figure is a ratio to what nginx did in the same
round. nginx runs twice: the row of its second copy shows what this machine can tell apart. One core is the server's, another
one is wrk's. All servers listen on 127.0.0.1 and are ended with the script.
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

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILES = {"1k": 1024, "100k": 100 * 1024}
COLUMNS = [(name, close) for name in FILES for close in (False, True)]
CONNECTIONS = 8
CLOSE_ALWAYS = ("busybox httpd", "http.server")  # whatever they are asked
PORTS = 20_000  # connections to one server in a minute at most: each keeps a port busy for so long (TIME_WAIT)
AGAIN = "nginx again"
VOID = 0.02  # if nginx differs so much from its copy in half of the rounds, the column says nothing
NEEDS = {"nginx": "nginx-light", "busybox": "busybox", "wrk": "wrk", "cc": "gcc"}

NGINX = """
daemon off; worker_processes 1; pid {place}/pid; error_log stderr crit;
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
    cores = sorted(os.sched_getaffinity(0))
    place = tempfile.mkdtemp(prefix="web_speed-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    servers = start_all(place, cores[0])

    rates = collections.defaultdict(list)  # (server, column): requests a second, a figure for each round
    recent = collections.defaultdict(collections.deque)  # server: (when, how many connections)
    rng = random.Random(args.seed)
    end = time.monotonic() + args.seconds
    rounds = 0
    while time.monotonic() < end or rounds == 0:
        for column in rng.sample(COLUMNS, len(COLUMNS)):
            for server in rng.sample(list(servers), len(servers)):
                wait_for_ports(recent[server])
                rate, done = slice_of(servers[server], column, args.slice, cores[-1])
                rates[server, column].append(rate)
                if column[1] or server in CLOSE_ALWAYS:
                    recent[server].append((time.monotonic(), done))
        rounds += 1
    return report(servers, rates, rounds, args)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=180, help="how long it measures (default: 180)")
    parser.add_argument("--slice", type=float, default=0.2, help="seconds of each turn (default: 0.2)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of turns (default: 1)")
    return parser.parse_args()


# ---- The servers ----


def start_all(place, core):
    """Starts each, sees that it gives the files as they are, and returns its port by its name."""
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
    ports = {}
    for name, command in commands.items():
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports[name] = free.getsockname()[1]
        child = subprocess.Popen(
            command(str(ports[name])),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(place, name + ".log"), "wb"),
            preexec_fn=lambda: os.sched_setaffinity(0, [core]),
        )
        atexit.register(end_child, child)
        check(name, ports[name], child, root)
    return ports


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


def slice_of(port, column, seconds, core):
    """What wrk got in so many seconds: requests a second, and requests."""
    file, close = column
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d60s", f"http://127.0.0.1:{port}/{file}"]
    if close:
        command += ["-H", "Connection: close"]
    wrk = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )
    try:
        time.sleep(seconds)
        wrk.send_signal(signal.SIGINT)  # it ends, and says what it got: -d alone takes whole seconds
        said, _ = wrk.communicate(timeout=30)
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


def report(servers, rates, rounds, args):
    titles = [f"{size} KiB, {'close' if close else 'keep'}" for size in (1, 100) for close in (False, True)]
    row("", titles)
    row("nginx, req/s", [f"{spread(rates['nginx', column])[0]:.0f}" for column in COLUMNS])
    print("a part of that, in the same round: median p10-p90")
    void = []
    for server in list(servers)[1:]:
        ratios = []
        for column, title in zip(COLUMNS, titles):
            pairs = zip(rates[server, column], rates["nginx", column])
            median, low, high = spread([own / nginxs for own, nginxs in pairs])
            ratios.append(f"{median:.2f} {low:.2f}-{high:.2f}")
            if server == AGAIN and abs(median - 1) > VOID:
                void.append(title)
        row(server, ratios)
    version = subprocess.run(["nginx", "-v"], stderr=subprocess.PIPE, text=True).stderr.split("/")[-1].strip()
    print(f"\n{rounds} rounds, {CONNECTIONS} connections. nginx {version}: one worker, no log; ours: --quiet")
    print(f"Linux {platform.release()}. {' and '.join(CLOSE_ALWAYS)} close always")
    print(f"again: tests/web_speed.py --seconds {args.seconds:g} --slice {args.slice:g} --seed {args.seed}")
    for title in void:
        print(f"void: {title}: nginx differs from its copy by more than {VOID:.0%}")
    return 1 if void else 0


def row(name, cells):
    print((f"{name:<16}" + "".join(f"{cell:<16}" for cell in cells)).rstrip())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
