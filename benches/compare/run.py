#!/usr/bin/env python3
"""Compares WebSocket servers with each other and with a bare TCP echo.

    python3 run.py                      this crate beside a bare TCP echo
    python3 run.py --short              the same at a glance, a minute when built
    python3 run.py --peers              all servers, half an hour
    python3 run.py --only raw,hyper-ws --load "20 B, 16 in flight" --rounds 9
    python3 run.py --part idle          one part: echo, idle or instructions

The server runs on CPU 0 and the load generator on CPU 1. Every sample is a
fresh process, and the servers take turns (A B C, A B C), so that what the
machine does meanwhile hits all of them. What counts is the time on the CPU for
each message, by the scheduler's own count: it includes what the kernel does for
the server, and does not depend on whether the generator is the bottleneck.
`others` is how much of a CPU other programs took: above 0.1, believe no rate.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVER_CPU, LOAD_CPU = "0", "1"
RAW = "raw"


class Server:
    def __init__(self, name, binary, *flags, feature=None, raw=False):
        self.name = name
        self.binary = binary
        self.flags = flags
        self.feature = feature or binary
        self.raw = raw


# Each as its own documentation writes it; `batch` where that has a way to send
# several messages in one write.
SERVERS = [
    Server(RAW, "raw", raw=True),
    Server("raw lent", "raw", "--lent", raw=True),
    Server("hyper-ws", "hyper-ws"),
    Server("fastwebsockets", "fastwebsockets"),
    Server("hyper-tungstenite", "hyper-tungstenite"),
    Server("hyper-tungstenite batch", "hyper-tungstenite", "--batch"),
    Server("axum", "axum"),
    Server("axum batch", "axum", "--batch"),
    Server("tokio-websockets", "tokio-websockets"),
    Server("tokio-websockets batch", "tokio-websockets", "--batch"),
    Server("yawc", "yawc"),
    Server("yawc batch", "yawc", "--batch"),
    Server("sockudo-ws", "sockudo-ws"),
    Server("sockudo-ws batch", "sockudo-ws", "--batch"),
]

# What runs unless other servers are asked for.
USUAL = [RAW, "raw lent", "hyper-ws"]

# Name, connections, messages in flight on each, their size and kind.
LOADS = [
    ("20 B, 1 in flight", 100, 1, 20, "binary"),
    ("1 KiB, 1 in flight", 100, 1, 1024, "binary"),
    ("20 B, 16 in flight", 100, 16, 20, "binary"),
]

# Messages under callgrind: the longer run less the shorter one, so that start,
# handshakes and warm-up are not counted.
INSTRUCTION_RUNS = {1: (20_000, 60_000), 16: (80_000, 240_000)}


def main():
    options = arguments()
    if len(os.sched_getaffinity(0)) < 2 or not shutil.which("taskset"):
        sys.exit("two CPUs and taskset (of util-linux) are needed")
    raise_file_limit()
    build(options.servers)
    parts = {"echo": echo, "idle": idle, "instructions": instructions}
    for name in options.part or parts:
        parts[name](options)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="within a minute")
    parser.add_argument("--peers", action="store_true", help="all servers")
    parser.add_argument("--only", help="these servers, separated by commas")
    parser.add_argument("--load", action="append", help="this load only")
    parser.add_argument("--part", action="append", choices=["echo", "idle", "instructions"])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="how long a sample takes")
    parser.add_argument("--connections", type=int, default=10_000, help="of the idle part")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.short else 7)
    options.seconds = options.seconds or (0.5 if options.short else 2.0)
    wanted = [it.name for it in SERVERS] if options.peers else USUAL
    wanted = options.only.split(",") if options.only else wanted
    options.servers = [it for it in SERVERS if it.name in wanted]
    if len(options.servers) != len(wanted):
        parser.error(f"the servers are: {', '.join(it.name for it in SERVERS)}")
    options.loads = [it for it in LOADS if not options.load or it[0] in options.load]
    if not options.loads:
        parser.error(f"the loads are: {'; '.join(it[0] for it in LOADS)}")
    if options.short and not options.part:
        # Callgrind is fifty times slower than the program that it looks into.
        options.part = ["echo", "idle"]
    return options


def raise_file_limit():
    """Ten thousand connections are as many files, on both sides."""
    need = 20_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < need:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, max(hard, need)))
        except (ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def build(servers):
    """One after the other: built together, one would choose the features of
    another's dependencies."""
    for feature in dict.fromkeys(["load"] + [it.feature for it in servers]):
        command = ["cargo", "build", "--quiet", "--release", "--no-default-features"]
        command += ["--features", feature, "--bin", feature]
        print(f"building {feature}", file=sys.stderr)
        if subprocess.run(command, cwd=HERE).returncode != 0:
            sys.exit(f"{' '.join(command)} failed (in {HERE})")


def program(name):
    target = os.environ.get("CARGO_TARGET_DIR", HERE / "target")
    return str(Path(target).resolve() / "release" / name)


class Running:
    """A server in a process of its own."""

    def __init__(self, server, *wrapper):
        command = ["taskset", "-c", SERVER_CPU, *wrapper, program(server.binary), *server.flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"listening on http://(\S+)", line)
        if not found:
            self.process.kill()
            sys.exit(f"{server.name} does not say where it listens: {line!r}")
        self.address = found[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def load(what, server, running, *flags):
    command = ["taskset", "-c", LOAD_CPU, program("load"), what]
    command += ["--server", running.address, "--pid", str(running.process.pid)]
    command += ["--raw"] if server.raw else []
    done = subprocess.run(command + list(flags), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"the load failed against {server.name}")
    return json.loads(done.stdout)


def load_flags(connections, in_flight, size, kind):
    return [
        *("--connections", str(connections)),
        *("--in-flight", str(in_flight)),
        *("--size", str(size)),
        *("--kind", kind),
    ]


def echo(options):
    """Alternating samples of every server, one load after the other."""
    for name, *shape in options.loads:
        samples = {it.name: [] for it in options.servers}
        for round_ in range(options.rounds):
            print(f"echo {name}: round {round_ + 1} of {options.rounds}", file=sys.stderr)
            for server in options.servers:
                with Running(server) as running:
                    flags = load_flags(*shape) + ["--seconds", str(options.seconds)]
                    sample = load("echo", server, running, *flags)
                    sample["cpu"] = sample["server_cpu_ns"] / sample["messages"]
                    sample["user"] = sample["cpu"] * sample["server_user_share"]
                    sample["rate"] = sample["messages"] / sample["seconds"]
                    samples[server.name].append(sample)
        if RAW in samples:
            for rows in samples.values():
                for row, raw in zip(rows, samples[RAW]):
                    row["ratio"] = row["cpu"] / raw["cpu"]
        echo_table(f"Echo: {name} ({shape[0]} connections)", samples)


def echo_table(title, samples):
    rows = []
    for name, row in sorted(samples.items(), key=lambda it: median(it[1], "cpu")):
        ratio = spread(row, "ratio", ".2f") if "ratio" in row[0] else "-"
        rows.append([
            name,
            spread(row, "cpu", ".0f"),
            ratio,
            spread(row, "user", ".0f"),
            f"{median(row, 'rate') / 1e3:.0f}k",
            f"{median(row, 'p50_us'):.0f}",
            f"{median(row, 'p99_us'):.0f}",
            f"{median(row, 'server_busy'):.0%}",
            f"{median(row, 'load_busy'):.0%}",
            spread(row, "others", ".2f"),
        ])
    table(
        title,
        ["server", "CPU ns/msg", "to raw", "user ns/msg", "msg/s", "p50 us", "p99 us",
         "server busy", "load busy", "others"],
        rows,
    )


def idle(options):
    """The process's memory for each connection, buffers given back or not."""
    rows = []
    for server in options.servers:
        print(f"idle: {server.name}", file=sys.stderr)
        with Running(server) as running:
            flags = ["--connections", str(options.connections), "--size", "1024"]
            sample = load("idle", server, running, *flags)
        rows.append([
            server.name,
            f"{sample['connected_bytes']:.0f}",
            f"{sample['echoed_bytes']:.0f}",
            f"{sample['base_bytes'] / 2**20:.1f}",
        ])
    table(
        f"Idle: bytes a connection, {options.connections} connections",
        ["server", "after the handshake", "after one 1 KiB echo", "MiB without any"],
        rows,
    )


def instructions(options):
    """Counted by callgrind behind real sockets: the same on a noisy machine."""
    if not shutil.which("valgrind"):
        print("instructions: valgrind is not installed", file=sys.stderr)
        return
    for name, *shape in options.loads:
        rows = []
        for server in options.servers:
            print(f"instructions {name}: {server.name}", file=sys.stderr)
            runs = INSTRUCTION_RUNS.get(shape[1], (20_000, 60_000))
            counts = [callgrind(server, shape, messages) for messages in runs]
            extra = runs[1] - runs[0]
            functions = {
                function: (counts[1][function] - counts[0].get(function, 0)) / extra
                for function in counts[1]
            }
            total = sum(functions.values())
            top = sorted(functions.items(), key=lambda it: -it[1])[:15]
            rows.append([server.name, f"{total:.0f}"])
            print(f"\n{server.name}, {name}: {total:.1f} instructions a message", file=sys.stderr)
            for function, cost in top:
                print(f"  {cost:8.1f}  {function[:110]}", file=sys.stderr)
        table(f"Instructions in user space: {name}", ["server", "a message"], rows)


def callgrind(server, shape, messages):
    """Instructions of each function over a run of so many messages."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with Running(server, *wrapper) as running:
            flags = load_flags(*shape) + ["--messages", str(messages)]
            load("echo", server, running, *flags)
        return self_costs(out.read_text())


def self_costs(text):
    """Of callgrind's format what is needed here: the first number of each cost
    line is a position, the second the cost; a line after `calls=` is the
    callee's."""
    names, costs = {}, {}
    function, skip = None, False
    for line in text.splitlines():
        if line.startswith("fn="):
            number, _, name = line[3:].partition(" ")
            if name:
                names[number] = name
            function = names.get(number, number)
        elif line.startswith(("cfn=", "cfi=", "cfl=", "cob=")):
            if line.startswith("cfn="):
                number, _, name = line[4:].partition(" ")
                if name:
                    names[number] = name
        elif line.startswith("calls="):
            skip = True
        elif re.match(r"[0-9+*-]", line):
            if not skip and function:
                # A cost of nothing is left out.
                cost = int((line.split() + ["0"])[1])
                costs[function] = costs.get(function, 0) + cost
            skip = False
    return costs


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def spread(rows, key, form):
    values = [row[key] for row in rows]
    low, high = min(values), max(values)
    return f"{statistics.median(values):{form}} ({low:{form}}–{high:{form}})"


def table(title, head, rows):
    print(f"\n### {title}\n")
    print(f"| {' | '.join(head)} |")
    print(f"|---|{'---:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
