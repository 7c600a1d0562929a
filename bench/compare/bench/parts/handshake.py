"""The cost of a connection with a handshake and one message."""

from bench import samples
from bench.markdown import cpu_table
from bench.process import Running, load

NAME = "handshake"
TITLE = "Handshake"
LOAD = "handshake and one message"

# For a run under callgrind, two lengths in connections.
LENGTHS = (200, 600)


def measure(bench):
    def sample(server):
        with Running(server) as running:
            return load(running, "handshake", "--seconds", bench.pick(1.0, 0.3))

    servers = bench.plain()
    return samples.in_turns(bench, LOAD, servers, bench.pick(3, 1), sample)


def section(page, comparison):
    page.text(
        "64 connections at a time: connect, upgrade, send 20 B, get them back, reset; the "
        "CPU time and the instructions of one such life, from accept to close. `raw` is what the "
        "kernel takes for it. tokio-websockets and sockudo-ws parse the request themselves, "
        "without an HTTP server."
    )
    page.plot_cpu("handshake", "Connect, upgrade, one message, reset", comparison, "connection")
    page.add(cpu_table(comparison, "connection", page.instructions(LOAD)))
    page.command(NAME)
    page.stands("handshake", comparison)
