"""The memory of an idle connection."""

from bench import samples
from bench.markdown import absent, label, number, ranked, table
from bench.process import Running, load
from bench.samples import key, measured, middle

NAME = "idle"
TITLE = "Idle sockets"
LOAD = "idle"


def measure(bench):
    connections = min(bench.pick(10_000, 5_000), bench.files - 500)

    def sample(server):
        with Running(server) as running:
            return load(running, "idle", "--connections", connections, "--size", 1024)

    servers = bench.plain()
    found = samples.in_turns(bench, LOAD, servers, 1, sample)
    return found | {"connections": connections}


def section(page, comparison):
    figure = key("echoed_bytes")
    page.text(
        f"{comparison['connections']:,} connections: how the server's resident memory has grown "
        "for each, right after the handshakes, and after each has echoed one message of 1 KiB and "
        "gone quiet. All timers on. The kernel's own memory for a socket is not in it. `raw` keeps "
        "64 KiB for each connection, of which the kernel counts the pages that were touched; "
        "`raw lent` lends its buffer and keeps none, which is as little as a Tokio task and a "
        "socket can have. tungstenite (and axum with it) reads into 128 KiB by default; it can be "
        "told to take less."
    )
    page.plot("idle", "Idle after one 1 KiB echo", "bytes a connection", comparison, figure)
    head = ["server", "bytes after the handshake", "bytes after one echo", "to raw lent",
            "MiB without any"]
    servers = measured(comparison)
    lent = servers.get("raw lent")
    rows = []
    for name, found in ranked(comparison, figure):
        bytes_ = middle(found, figure)
        rows.append([
            label(name, found, servers.get("hyper-ws"), figure),
            number(middle(found, key("connected_bytes"))),
            number(bytes_),
            f"{bytes_ / middle(lent, figure):.2f}" if lent else "-",
            f"{middle(found, key('base_bytes')) / 2**20:.1f}",
        ])
    page.add(table(head, rows + absent(comparison, len(head))))
    page.command(NAME)
    page.stands("idle", comparison, figure, "bytes")
