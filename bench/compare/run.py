#!/usr/bin/env python3
"""Compares WebSocket servers with each other and with a bare TCP echo.

    python3 run.py                      everything: writes BENCHMARKS.md
    python3 run.py --short              the same at a glance, five minutes once built
    python3 run.py --part echo --load "20 B, 16 in flight" --only raw,hyper-ws --rounds 9
    python3 run.py --program uWebSockets=/path/to/server
    python3 run.py --render             BENCHMARKS.md again, from the samples that are kept

The server runs on CPU 0 and the load generator on CPU 1. Every sample is a
fresh process, and the servers take turns (A B C, A B C), so that what the
machine does meanwhile hits all of them. A whole run writes BENCHMARKS.md, its
plots and its samples; every other run prints its tables and keeps them in
`target/last/`, unless `--update` puts its parts into BENCHMARKS.md. See README.md.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from bench import machine, page, process, servers
from bench.parts import (
    broadcast, deflate, echo, growth, handshake, idle, instructions, latency, workers,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PARTS = {
    it.NAME: it
    for it in [echo, broadcast, handshake, idle, latency, workers, growth, deflate, instructions]
}


class Bench:
    """The settings of a run for its parts: the servers and the durations."""

    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        self.files = process.raise_file_limit()
        self.absent = {}
        self.servers = [*servers.SERVERS]
        self.deflate_servers = [*servers.DEFLATE_SERVERS]
        self.programs = [servers.given(it) for it in options.program]
        if options.only:
            self.keep_only(options.only.split(","))
        self.add_node(options)
        self.servers += [it for it in self.programs if "deflate" not in it.speaks]
        self.deflate_servers += [it for it in self.programs if "deflate" in it.speaks]

    def keep_only(self, names):
        known = {it.name for it in self.servers + self.deflate_servers + self.programs}
        wrong = [it for it in names if it not in known and it != servers.NODE_NAME]
        if wrong:
            sys.exit(f"no server {', '.join(wrong)}; there are: {', '.join(sorted(known))}")
        self.servers = [it for it in self.servers if it.name in names]
        self.deflate_servers = [it for it in self.deflate_servers if it.name in names]

    def add_node(self, options):
        if options.only and servers.NODE_NAME not in options.only.split(","):
            return
        node, reason = servers.node()
        if not node:
            self.absent[servers.NODE_NAME] = reason
            return
        self.servers.append(node)
        self.deflate_servers.append(servers.node("--deflate")[0])

    def plain(self):
        """The servers that do not gather answers."""
        return [it for it in self.servers if "echo" in it.speaks and not it.is_batch]

    def servers_for(self, shape, *speaks):
        """The servers for a load: with one small message in flight there is nothing to
        gather, and a short run leaves out batches of large ones."""
        batches = shape.in_flight > 1 or (shape.is_large and self.pick(True, False))
        return [
            it for it in self.servers
            if it.speaks.intersection(speaks) and (batches or not it.is_batch)
        ]

    def chosen(self, loads):
        wanted = self.options.load
        return [it for it in loads if not wanted or it.title in wanted]

    def pick(self, full, short):
        """The value for the kind of run, unless rounds or seconds are given."""
        value = short if self.options.short else full
        if type(value) is int and value < 100 and self.options.rounds:
            return self.options.rounds
        if type(value) is float and self.options.seconds:
            return self.options.seconds
        return value

    def progress(self, words):
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        print(f"[{minutes:2}:{seconds:02}] {words}", file=sys.stderr, flush=True)


def main():
    options = arguments()
    if options.render:
        document(results(), ROOT / "BENCHMARKS.md", "bench/compare/plots")
        return
    if process.cpus() < 2 or not shutil.which("taskset"):
        sys.exit("two CPUs and taskset (of util-linux) are needed")
    process.end_on_signal()
    bench = Bench(options)
    if options.update and options.only:
        sys.exit("--update measures all servers: without --only")
    lost = set(results()["programs"]) - {it.name for it in bench.programs}
    if options.update and lost:
        sys.exit(f"BENCHMARKS.md has {', '.join(lost)} too: --program NAME=COMMAND")
    parts = {name: PARTS[name] for name in options.part or PARTS}
    servers.build(needed(bench, parts))
    bench.progress("built")
    kept = {
        "machine": machine.facts(),
        "versions": machine.versions(),
        "programs": [it.name for it in bench.programs],
        "absent": bench.absent,
        "parts": {name: measure(bench, part) for name, part in parts.items()},
    }
    keep(options, kept)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    loads = [it.title for it in echo.LOADS + broadcast.LOADS]
    parser.add_argument("--short", action="store_true", help="five minutes")
    parser.add_argument("--part", action="append", choices=PARTS, help="this part only")
    parser.add_argument("--load", action="append", choices=loads, metavar="LOAD",
                        help=f"this load of a part only: {'; '.join(loads)}")
    parser.add_argument("--only", metavar="NAMES", help="these servers, separated by commas")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=COMMAND",
                        help="another server; it takes --listen and --broadcast, see README.md")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="how long a sample takes")
    parser.add_argument("--functions", action="store_true",
                        help="print where the instructions are")
    parser.add_argument("--update", action="store_true",
                        help="put what is measured into BENCHMARKS.md, and leave the rest of it")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    return parser.parse_args()


def needed(bench, parts):
    wanted = set(parts)
    found = bench.servers if wanted - {"deflate"} else []
    return found + (bench.deflate_servers if "deflate" in wanted else [])


def measure(bench, part):
    began = time.monotonic()
    record = {
        "began": time.strftime("%Y-%m-%d %H:%M"),
        "commit": machine.commit(),
        "short": bench.options.short,
        "load_average": [machine.load_average()],
        "data": part.measure(bench),
    }
    record["load_average"].append(machine.load_average())
    return record | {"seconds": round(time.monotonic() - began, 1)}


def keep(options, kept):
    partial = [options.short, options.part, options.load, options.only, options.rounds]
    if options.update:
        kept["parts"] = merged(results()["parts"], kept["parts"])
    elif any(partial):
        last = Path(servers.target("")).parent / "last"
        last.mkdir(parents=True, exist_ok=True)
        (last / "samples.json").write_text(as_lines(kept))
        document(kept, last / "BENCHMARKS.md", "plots")
        print((last / "BENCHMARKS.md").read_text())
        print(f"kept in {os.path.relpath(last)}", file=sys.stderr)
        return
    samples_file().parent.mkdir(exist_ok=True)
    samples_file().write_text(as_lines(kept))
    document(kept, ROOT / "BENCHMARKS.md", "bench/compare/plots")


def samples_file():
    return HERE / "results" / "samples.json"


def results():
    """The samples of the last whole run and its updates."""
    if not samples_file().exists():
        return {"programs": [], "parts": {}}
    return json.loads(samples_file().read_text())


def merged(before, parts):
    """The kept samples with the new ones; other loads stay as they were."""
    result = before | parts
    for name in set(before) & set(parts):
        old, new = before[name]["data"], parts[name]["data"]
        if isinstance(old, list):
            loads = {it["load"] for it in new}
            order = {it["load"]: at for at, it in enumerate(old)}
            new = new + [it for it in old if it["load"] not in loads]
            new.sort(key=lambda it: order.get(it["load"], len(order)))
        elif name == "instructions":
            new = old | new
        result[name] = parts[name] | {"data": new}
    return result


def document(kept, path, plots):
    path.write_text(page.write(kept, path.parent, plots))
    print(f"wrote {os.path.relpath(path)}", file=sys.stderr)


def as_lines(kept):
    """JSON with a sample on each line, so that its diffs can be read."""
    text = json.dumps(kept, ensure_ascii=False)
    for mark in ['{"messages"', '{"connections"', '{"began"', '{"load"', '{"commit"']:
        text = text.replace(mark, f"\n{mark}")
    return text + "\n"


if __name__ == "__main__":
    main()
