"""Counts instructions in user space, behind real sockets: the same on a noisy
machine as on a quiet one."""

import re
import tempfile
from pathlib import Path

from bench.process import LOAD_CPU, SERVER_CPU, Running, load


def instructions(server, what, flags, lengths, server_flags=(), cpus=(SERVER_CPU, LOAD_CPU)):
    """The instructions for each message, in all and by function: a long run minus a
    short one, so that the start, handshakes and warm-up are not counted."""
    (short, few), (long, many) = [
        counted(server, what, flags, length, server_flags, cpus) for length in lengths
    ]
    functions = {
        name: (cost - short.get(name, 0)) / (many - few) for name, cost in long.items()
    }
    return sum(functions.values()), functions


def counted(server, what, flags, length, server_flags, cpus):
    """The costs of each function over a run, and the number of its messages."""
    server_cpu, load_cpu = cpus
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with Running(server, *server_flags, wrapper=wrapper, cpus=server_cpu) as running:
            sample = load(running, what, *flags, "--messages", length, cpu=load_cpu)
        return self_costs(out.read_text()), sample["messages"]


def self_costs(text):
    """Parses the part of callgrind's format that is needed: the first number of each cost
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
                # Callgrind leaves out a cost of zero.
                cost = int((line.split() + ["0"])[1])
                costs[function] = costs.get(function, 0) + cost
            skip = False
    return costs
