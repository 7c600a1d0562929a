"""Instructions in user space, counted behind real sockets: the same on a noisy
machine as on a quiet one."""

import re
import tempfile
from pathlib import Path

from bench.process import LOAD_CPU, SERVER_CPU, Running, load


def instructions(server, what, flags, lengths, server_flags=(), cpus=(SERVER_CPU, LOAD_CPU)):
    """For each message, and how much of it in which function: a long run less a
    short one, so that start, handshakes and warm-up are not counted."""
    (short, few), (long, many) = [
        counted(server, what, flags, length, server_flags, cpus) for length in lengths
    ]
    functions = {
        name: (cost - short.get(name, 0)) / (many - few) for name, cost in long.items()
    }
    return sum(functions.values()), functions


def counted(server, what, flags, length, server_flags, cpus):
    """The costs of each function over a run, and how many messages it had."""
    server_cpu, load_cpu = cpus
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with Running(server, *server_flags, wrapper=wrapper, cpus=server_cpu) as running:
            sample = load(running, what, *flags, "--messages", length, cpu=load_cpu)
        return self_costs(out.read_text()), sample["messages"]


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
