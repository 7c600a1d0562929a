"""Compression (permessage-deflate, RFC 7692): CPU time at equal or smaller replies."""

from bench import samples
from bench.markdown import absent, number, others, ranked, spread, table
from bench.process import Running, load
from bench.samples import cpu, key, middle, rate, user

NAME = "deflate"
TITLE = "Compression"
LOADS = [
    ("with context takeover, 8 connections", "yes", 8),
    ("with context takeover, 50 connections", "yes", 50),
    ("with context takeover, 200 connections", "yes", 200),
    ("without context takeover, 50 connections", "no", 50),
]
SIZE = 1024


def measure(bench):
    comparisons = []
    for title, takeover, connections in LOADS:
        def sample(server):
            with Running(server) as running:
                return load(
                    running, "deflate",
                    *("--takeover", takeover),
                    *("--connections", connections),
                    *("--size", SIZE),
                    *("--seconds", bench.pick(1.0, 0.3)),
                )

        servers, rounds = bench.deflate_servers, bench.pick(3, 1)
        comparisons.append(samples.in_turns(bench, f"deflate {title}", servers, rounds, sample))
    return comparisons


def section(page, comparisons):
    page.text(
        f"An echo of {SIZE} B of JSON, each message another one, one in flight on each "
        "connection; both sides compress. Of two servers, that with less CPU "
        "time is ahead only if its replies are not larger: level and window buy one with the "
        "other. What may be tuned is a row of its own. *context* says whether the server kept "
        "one from message to message. That takes 8 KB for each connection of hyper-ws (64 KB with "
        "window 15) and up to sixteen compressors of a thread (64 with window 15 and level 1), "
        "20 to 350 KB for each elsewhere. "
        "So with few connections all keep their contexts in the CPU's cache, and with many only "
        "those do that have small ones."
    )
    for comparison in comparisons:
        title = comparison["load"]
        page.heading(f"The client offers compression {title.removeprefix('deflate ')}")
        page.plot_cpu(title, f"Compressed echo, {title}", comparison, "message")
        head = ["server", "CPU ns/msg", "user ns", "reply bytes", "context", "compressed",
                "msg/s", "others"]
        rows = [
            [
                f"**→ {name}**" if name.startswith("hyper-ws") else name,
                spread(found, cpu),
                number(user(found)),
                f"{middle(found, key('reply_bytes')):.0f}",
                "yes" if found[0]["context"] else "no",
                f"{middle(found, key('compressed')):.0%}",
                number(middle(found, rate)),
                others(found),
            ]
            for name, found in ranked(comparison)
        ]
        page.add(table(head, rows + absent(comparison, len(head))))
        page.command(NAME)
