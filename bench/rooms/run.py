#!/usr/bin/env python3
"""Rooms over several servers, measured: hyper-ws with and without Redis, and its peers.

    python3 bench/rooms/run.py                    everything, some fifteen minutes once it is built
    python3 bench/rooms/run.py --part load        load, loss, idle, restart or resume
    python3 bench/rooms/run.py --show FILE        the tables of a run that was kept

Needs Linux, Rust and `redis-server`. Each sample has processes of its own: a Redis on a free port
with its files in a temporary folder, three servers of one thread, and one process of clients. The
servers take turns within a round. All of it is ended by its id.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SERVERS = 3
MEMBERS = 200

# Name -> program, its options, whether it uses Redis, what its clients speak.
HUB = "hyper-ws, one process"
SEND = "hyper-ws, Redis, `send`"
PUBLISH = "hyper-ws, Redis, `publish`"
KINDS = {
    HUB: ("hub", ["--plain"], False, "plain"),
    SEND: ("hub", [], True, "plain"),
    PUBLISH: ("hub", ["--wait"], True, "plain"),
    "socketioxide": ("socketioxide", [], True, "socketio"),
    "ws-kit": ("ws-kit", [], True, "plain"),
}

# Name -> options of the load. `--rate` counts all publishers.
LOADS = {
    "many": ["--rooms", "300", "--window", "8"],
    "busy": ["--say", "30", "--window", "8", "--hear", "1"],
    "fan": ["--say", "3", "--rate", "40", "--hear", str(MEMBERS)],
    "burst": ["--say", "3", "--rate", "240", "--burst", "16", "--hear", str(MEMBERS)],
    "latency": ["--rooms", "100", "--rate", "2000"],
}


def build(program, is_built):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release" / program
    # A copy: the next build may change what stands there.
    copy = target.parent / f"rooms-{program}"
    if is_built:
        return copy
    features = {"hub": "hyper-ws", "load": "hyper-ws"}.get(program, program)
    command = ["cargo", "build", "--release", "--quiet", "--no-default-features"]
    command += ["--features", features, "--bin", program, "--manifest-path", HERE / "Cargo.toml"]
    subprocess.run(command, check=True)
    shutil.copy(target, copy)
    return copy


class Process:
    def __init__(self, command, **options):
        self.child = subprocess.Popen([str(word) for word in command], **options)
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def cpu(self):
        """The seconds on a CPU, of all threads."""
        tasks = pathlib.Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


class Redis(Process):
    def __init__(self, *options, folder=None, port=None):
        self.folder = folder or tempfile.mkdtemp()
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
        self.port = port
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", self.folder, *options]
        super().__init__(command, stdout=subprocess.DEVNULL)
        end = time.time() + 20
        while time.time() < end:
            try:
                if b"PONG" in self.ask("PING"):
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("redis-server does not answer")

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.settimeout(10)
            connection.sendall(" ".join(words).encode() + b"\r\n")
            answer = connection.recv(65536)
            if answer.startswith(b"$"):
                length = int(answer[1:].split(b"\r\n")[0])
                while len(answer) < length:
                    answer += connection.recv(65536)
            return answer

    def calls(self):
        """Command -> calls and microseconds."""
        text = self.ask("INFO", "commandstats").decode()
        found = re.findall(r"cmdstat_([^:]+):calls=(\d+),usec=(\d+)", text)
        return {name: (int(calls), int(usec)) for name, calls, usec in found}

    def memory(self):
        return int(re.search(rb"used_memory:(\d+)", self.ask("INFO", "memory"))[1])


class Servers:
    """The servers of one kind."""

    def __init__(self, programs, kind, redis, options=()):
        program, own, uses_redis, self.speaks = KINDS[kind]
        command = [programs[program], *own, *options]
        if uses_redis:
            command += ["--redis", redis.url]
        self.all = [Process(command, stdout=subprocess.PIPE, text=True) for _ in range(SERVERS)]
        self.ports = [int(server.child.stdout.readline()) for server in self.all]
        self.programs = programs

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        for server in self.all:
            server.__exit__(*arguments)

    def client(self, redis, *words):
        pids = [server.pid for server in self.all] + ([redis.pid] if redis else [])
        command = [self.programs["load"], *words, "--kind", self.speaks]
        command += ["--servers", ",".join(map(str, self.ports)), "--pids", ",".join(map(str, pids))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return Process(command, **pipes)

    def load(self, redis, *words):
        with self.client(redis, *words) as client:
            try:
                out, _ = client.child.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                return None
        lines = out.splitlines()
        return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None

    def counters(self, index):
        url = f"http://127.0.0.1:{self.ports[index]}/counters"
        with urllib.request.urlopen(url, timeout=60) as answer:
            text = answer.read().decode()
        numbers = {name: int(number) for name, number in re.findall(r"(\w+): (\d+)", text)}
        return text.startswith("Up"), numbers


def load(programs, kinds, rounds, keep):
    for number in range(rounds):
        for kind in kinds:
            for name, words in LOADS.items():
                words = list(words)
                # In a hub of one process, what is published is heard on the same server.
                if kind == HUB:
                    words += ["--shift", "0", "--apart"]
                    if "--hear" in words and "--rate" in words:
                        at = words.index("--rate") + 1
                        words[at] = str(int(words[at]) * SERVERS)
                with Redis() as redis, Servers(programs, kind, redis) as servers:
                    time.sleep(0.3)
                    redis.ask("CONFIG", "RESETSTAT")
                    result = servers.load(redis, *words, "--seconds", "2")
                    if result:
                        result["calls"] = redis.calls()
                keep({"part": "load", "round": number, "kind": kind, "load": name, "result": result})


def loss(programs, kinds, rounds, keep):
    """Redis is killed under load and started again, with everything that it had answered for."""
    always = ["--appendonly", "yes", "--appendfsync", "always"]
    words = ["--say", "3", "--rate", "200", "--hear", "10", "--seconds", "7", "--settle", "4"]
    for number in range(rounds):
        for kind in kinds:
            options = ["--keep", "10000", "--bytes", "4000000"] if kind in (SEND, PUBLISH) else []
            with Redis(*always) as redis, Servers(programs, kind, redis, options) as servers:
                time.sleep(0.3)
                with servers.client(None, *words) as client:
                    assert client.child.stdout.readline() == "started\n"
                    time.sleep(2)
                    redis.child.kill()
                    redis.child.wait()
                    time.sleep(1)
                    with Redis(*always, folder=redis.folder, port=redis.port):
                        out, _ = client.child.communicate(timeout=120)
                result = json.loads(out.splitlines()[-1])
            keep({"part": "loss", "round": number, "kind": kind, "result": result})


def idle(programs, kinds, rounds, keep, rooms=20_000):
    """What rooms take in which nothing is said, and what following them again takes."""
    for number in range(rounds):
        for kind in kinds:
            with Redis() as redis, Servers(programs, kind, redis) as servers:
                time.sleep(0.5)
                before = [server.resident() for server in servers.all]
                memory = redis.memory()
                with servers.client(None, "idle", str(rooms)) as client:
                    assert client.child.stdout.readline() == "ready\n"
                    last = None
                    while last != (last := redis.memory()):
                        time.sleep(1)
                    after = [server.resident() for server in servers.all]
                    result = {
                        "rooms": rooms,
                        "server": sum(after) - sum(before),
                        "redis": redis.memory() - memory,
                    }
                    keep({"part": "idle", "round": number, "kind": kind, "result": result})


def restart(programs, rounds, keep, sizes=(20_000, 100_000)):
    """Redis restarts while three servers follow many rooms."""
    for rooms in [size for size in sizes for _ in range(rounds if size < 100_000 else 1)]:
        with Redis() as redis, Servers(programs, SEND, redis) as servers:
            with servers.client(None, "idle", str(rooms)) as client:
                assert client.child.stdout.readline() == "ready\n"
                # Each server reads each room once, for which a script reads a hash.
                while redis.calls().get("hmget", [0])[0] < SERVERS * rooms:
                    time.sleep(0.3)
                time.sleep(2)
                cpu = [server.cpu() for server in servers.all]
                redis.child.kill()
                redis.child.wait()
                time.sleep(0.5)
                with Redis(port=redis.port, folder=redis.folder) as again:
                    begin = time.time()
                    took = None
                    while time.time() - begin < 90:
                        if again.calls().get("hmget", [0])[0] >= SERVERS * rooms:
                            took = time.time() - begin
                            break
                        time.sleep(0.05)
                    result = {
                        "rooms": rooms,
                        "seconds": took,
                        "redis": again.cpu(),
                        "servers": [s.cpu() - c for s, c in zip(servers.all, cpu)],
                        "up": [servers.counters(index)[0] for index in range(SERVERS)],
                        "calls": again.calls(),
                    }
        keep({"part": "restart", "round": 0, "kind": SEND, "result": result})


def resume(programs, rounds, keep, clients=10_000):
    """Clients resume at once on a server that has nothing of the room."""
    for number in range(rounds):
        with Redis() as redis, Servers(programs, SEND, redis) as servers:
            time.sleep(0.3)
            result = servers.load(redis, "resume", str(clients), "--messages", "50")
            if result:
                result["reads"] = servers.counters(0)[1]["reads"]
        keep({"part": "resume", "round": number, "kind": SEND, "result": result})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="load,loss,idle,restart,resume")
    parser.add_argument("--only", default=",".join(KINDS).replace(", ", "; "))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default=HERE / "result.jsonl")
    parser.add_argument("--built", action="store_true", help="take the programs of the last run")
    parser.add_argument("--show", metavar="FILE")
    options = parser.parse_args()
    if options.show:
        return show(options.show)
    kinds = [kind.replace("; ", ", ") for kind in options.only.split(",")]
    names = {KINDS[kind][0] for kind in kinds} | {"load", "hub"}
    programs = {name: build(name, options.built) for name in sorted(names)}

    def keep(sample):
        sample["load average"] = os.getloadavg()[0]
        with open(options.out, "a") as file:
            file.write(json.dumps(sample) + "\n")
        print(json.dumps(sample), flush=True)

    with_redis = [kind for kind in kinds if KINDS[kind][2]]
    for part in options.part.split(","):
        if part == "load":
            load(programs, kinds, options.rounds, keep)
        elif part == "loss":
            loss(programs, with_redis, options.rounds, keep)
        elif part == "idle":
            idle(programs, [k for k in kinds if k != PUBLISH], options.rounds, keep)
        elif part == "restart":
            restart(programs, options.rounds, keep)
        elif part == "resume":
            resume(programs, options.rounds, keep)
    show(options.out)


def show(path):
    samples = [json.loads(line) for line in open(path)]

    def range_of(values, digits=1):
        values = [value for value in values if value is not None]
        if not values:
            return "-"
        middle = statistics.median(values)
        if f"{min(values):.{digits}f}" == f"{max(values):.{digits}f}":
            return f"{middle:,.{digits}f}"
        return f"{middle:,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"

    def of(part, kind, load=None):
        wanted = (part, kind, load)
        chosen = [s for s in samples if (s["part"], s["kind"], s.get("load")) == wanted]
        return [s["result"] for s in chosen if s["result"]]

    averages = [sample["load average"] for sample in samples]
    print(f"load average {min(averages):.1f} to {max(averages):.1f}")

    def heard(row):
        """Of the published messages, as many as were received."""
        return max(1, row["received"] * row["sent"] / row["expected"])

    def calls(row):
        return (row["calls"].get("evalsha") or row["calls"].get("publish") or [1])[0]

    columns = {
        "messages/s": (0, lambda row: heard(row) / row["seconds"]),
        "Redis CPU µs a message": (1, lambda row: row["cpu"][3] / heard(row) / 1e3),
        "messages a call": (1, lambda row: row["sent"] / calls(row)),
        "servers' CPU µs a message": (1, lambda row: sum(row["cpu"][:3]) / heard(row) / 1e3),
        "CPU ns a delivery": (0, lambda row: sum(row["cpu"][:3]) / max(1, row["received"])),
        "not received, %": (1, lambda row: 100 * (1 - row["received"] / row["expected"])),
        "clients closed": (0, lambda row: row["closed"]),
        "p50 ms": (2, lambda row: row["p50"] / 1e3),
        "p99 ms": (2, lambda row: row["p99"] / 1e3),
    }
    of_load = {
        "many": [0, 1, 2, 3, 5, 6],
        "busy": [0, 1, 2, 3, 5, 6],
        "fan": [4, 5, 6],
        "burst": [4, 5, 6],
        "latency": [7, 8, 3, 1, 5],
    }
    for name, chosen in of_load.items():
        chosen = [list(columns)[index] for index in chosen]
        print(f"\n{name}: `{' '.join(LOADS[name])}`\n")
        print("| server | " + " | ".join(chosen) + " |")
        print("|---" + "|---:" * len(chosen) + "|")
        for kind in KINDS:
            rows = of("load", kind, name)
            cells = [range_of([columns[c][1](row) for row in rows], columns[c][0])
                     if KINDS[kind][2] or not ("Redis" in c or "call" in c) else "-" for c in chosen]
            if rows:
                print(f"| {kind} | " + " | ".join(cells) + " |")
    print("\n| server | published | to be received | not received | told | refused | closed | twice |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind in KINDS:
        rows = of("loss", kind)
        if rows:
            names = ["sent", "expected", "told", "failed", "closed", "repeated"]
            value = {name: range_of([r[name] for r in rows], 0) for name in names}
            missing = range_of([r["expected"] - r["received"] for r in rows], 0)
            print(f"| {kind} | {value['sent']} | {value['expected']} | {missing} | {value['told']} "
                  f"| {value['failed']} | {value['closed']} | {value['repeated']} |")
    print("\n| server | bytes a room and server | Redis, bytes a room and server |")
    print("|---|---:|---:|")
    for kind in KINDS:
        rows = of("idle", kind)
        if rows:
            each = [r["rooms"] * SERVERS for r in rows]
            print(f"| {kind} | {range_of([r['server'] / e for r, e in zip(rows, each)], 0)} "
                  f"| {range_of([r['redis'] / e for r, e in zip(rows, each)], 0)} |")
    for row in of("restart", SEND):
        print(f"\nrestart: {row}")
    for row in of("resume", SEND):
        print(f"\nresume: {row}")


if __name__ == "__main__":
    main()
