"""Latency below saturation: at half of the rate that saturates a server."""

from bench import samples
from bench.markdown import absent, label, number, others, ranked, spread, table
from bench.process import Failed, Running, load
from bench.samples import key, measured, middle, rate

NAME = "latency"
TITLE = "Latency below saturation"
SATURATING = ["--connections", 100, "--in-flight", 1, "--size", 20]


def measure(bench):
    servers = [it for it in bench.plain() if it.name != "raw lent"]
    rates = {}
    for server in servers:
        bench.progress(f"latency: what saturates {server.name}")
        try:
            with Running(server) as running:
                flags = [*SATURATING, "--seconds", bench.pick(0.7, 0.3)]
                rates[server.name] = rate(load(running, "echo", *flags))
        except Failed as reason:
            bench.progress(f"latency: {server.name} failed: {reason}")
    servers = [it for it in servers if it.name in rates]
    slowest = min(rates.values(), default=1)

    def at(title, rate_of):
        def sample(server):
            with Running(server) as running:
                pace = ["--rate", f"{rate_of(server):.0f}", "--seconds", bench.pick(1.5, 0.5)]
                found = load(running, "paced", *SATURATING, *pace)
                return found | {"rate": rate_of(server)}

        return samples.in_turns(bench, title, servers, bench.pick(3, 1), sample)

    return [
        at("half of the slowest server's rate", lambda _: slowest / 2),
        at("half of each server's own rate", lambda server: rates[server.name] / 2),
    ]


def section(page, comparisons):
    page.text(
        "20 B over 100 connections, at a fixed rate, whether the server has answered the last "
        "messages or not; time counts from when a message was due, so that a stall is seen by all "
        "that it delays. First one rate for all, half of what saturates the slowest; then "
        "each at half of what saturates itself (a faster server bears more). The generator does "
        "not sleep. A busy machine shows here first: look at *others*."
    )
    for comparison in comparisons:
        figure = key("p99_us")
        page.heading(f"At {comparison['load']}")
        page.plot(
            f"latency-{comparison['load']}", f"99th percentile at {comparison['load']}",
            "microseconds", comparison, figure,
        )
        servers = measured(comparison)
        head = ["server", "msg/s", "p50 µs", "p99 µs", "server busy", "others"]
        rows = [
            [
                label(name, found, servers.get("hyper-ws"), figure),
                number(middle(found, rate)),
                spread(found, key("p50_us")),
                spread(found, figure),
                f"{middle(found, key('server_busy')):.0%}",
                others(found),
            ]
            for name, found in ranked(comparison, figure)
        ]
        page.add(table(head, rows + absent(comparison, len(head))))
        page.command(NAME)
        page.stands("latency", comparison, figure, "p99 µs")
