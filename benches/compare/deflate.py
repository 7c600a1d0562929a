#!/usr/bin/env python3
"""Compares WebSocket servers that compress (permessage-deflate, RFC 7692).

    python3 deflate.py                       every server, a quarter of an hour
    python3 deflate.py --short               two minutes when built
    python3 deflate.py --only hyper-ws,yawc  these, and their variants
    python3 deflate.py --program "uWebSockets=/path/to/echo --flag"

As in run.py: every sample is a fresh process, the server on CPU 0 and the load on
CPU 1, and the servers take turns. Messages are 1 KiB of JSON, each another one, one
in flight on each connection. Of two servers, that with less CPU is ahead only if its
replies are not larger. `--program` adds an echo server on one thread that prints
`listening on http://HOST:PORT`. Node's `ws` is compared where `node` and `npm` are
installed.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import run
from run import HERE, Running, Server, load, median, spread, table

# The one that tests/run talks to.
WS = "ws@8.23.0"

# What may be tuned is a variant of its own; the first of each is its default, or
# what its documentation recommends.
SERVERS = [
    Server("hyper-ws shared", "hyper-ws-deflate"),
    Server("hyper-ws shared, level 1", "hyper-ws-deflate", "--level", "1"),
    Server("hyper-ws dedicated", "hyper-ws-deflate", "--dedicated"),
    Server("hyper-ws dedicated, level 1", "hyper-ws-deflate", "--dedicated", "--level", "1"),
    Server("yawc low latency", "yawc-deflate"),
    Server("yawc low latency, pool", "yawc-deflate", "--pool"),
    Server("yawc balanced, pool", "yawc-deflate", "--balanced", "--pool"),
    Server("sockudo-ws shared", "sockudo-ws-deflate"),
    Server("sockudo-ws dedicated", "sockudo-ws-deflate", "--dedicated"),
    Server("axum, no compression", "axum"),
]

LOADS = [("with context takeover", "yes"), ("without context takeover", "no")]


class Program(Server):
    """One that is not built here."""

    def __init__(self, name, command):
        path = shutil.which(command[0])
        if not path:
            sys.exit(f"{name}: there is no program {command[0]}")
        super().__init__(name, os.path.abspath(path), *command[1:])


def main():
    options = arguments()
    if len(os.sched_getaffinity(0)) < 2 or not shutil.which("taskset"):
        sys.exit("two CPUs and taskset (of util-linux) are needed")
    run.raise_file_limit()
    run.build([it for it in options.servers if not isinstance(it, Program)])
    node = node_server()
    if node and wanted(options, node):
        options.servers.append(node)
    for title, takeover in LOADS:
        compare(options, title, takeover)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="three short rounds")
    parser.add_argument("--only", help="servers whose names begin so, separated by commas")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="how long a sample takes")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.short else 7)
    options.seconds = options.seconds or (0.5 if options.short else 2.0)
    options.servers = [it for it in SERVERS if wanted(options, it)]
    for program in options.program:
        name, separator, command = program.partition("=")
        if not separator or not shlex.split(command):
            parser.error("--program takes NAME=COMMAND")
        options.servers.append(Program(name, shlex.split(command)))
    return options


def wanted(options, server):
    names = options.only.split(",") if options.only else [""]
    return any(server.name.startswith(name) for name in names)


def node_server():
    if not shutil.which("node") or not shutil.which("npm"):
        print("Node's ws: node or npm is not installed", file=sys.stderr)
        return None
    directory = Path(run.program("node-ws"))
    directory.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--silent", "--no-save", "--no-package-lock", "--no-audit"]
    command += ["--no-fund", "--prefix", str(directory), WS]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        print(f"Node's ws: {' '.join(command)} failed", file=sys.stderr)
        return None
    return Program(
        f"Node's {WS.replace('@', ' ')}",
        ["env", f"NODE_PATH={directory}/node_modules", "node", str(HERE / "src" / "node_ws.js")],
    )


def compare(options, title, takeover):
    samples = {it.name: [] for it in options.servers}
    for round_ in range(options.rounds):
        print(f"{title}: round {round_ + 1} of {options.rounds}", file=sys.stderr)
        for server in options.servers:
            with Running(server) as running:
                sample = load(
                    "deflate", server, running,
                    *("--takeover", takeover),
                    *("--connections", str(options.connections)),
                    *("--size", str(options.size)),
                    *("--seconds", str(options.seconds)),
                )
                sample["cpu"] = sample["server_cpu_ns"] / sample["messages"] / 1e3
                sample["user"] = sample["cpu"] * sample["server_user_share"]
                sample["rate"] = sample["messages"] / sample["seconds"]
                samples[server.name].append(sample)
    rows = [
        [
            name,
            spread(row, "cpu", ".1f"),
            f"{median(row, 'user'):.1f}",
            f"{median(row, 'reply_bytes'):.0f}",
            f"{median(row, 'request_bytes'):.0f}",
            "yes" if row[0]["context"] else "no",
            f"{median(row, 'compressed'):.0%}",
            f"{median(row, 'rate') / 1e3:.1f}k",
            spread(row, "others", ".2f"),
        ]
        for name, row in sorted(samples.items(), key=lambda it: median(it[1], "cpu"))
    ]
    table(
        f"Compressed echo {title}: {options.size} B of JSON, {options.connections} connections, "
        f"load average {os.getloadavg()[0]:.1f}",
        ["server", "CPU us/msg", "user us/msg", "reply bytes", "request bytes",
         "server's context", "compressed", "msg/s", "others"],
        rows,
    )


if __name__ == "__main__":
    main()
