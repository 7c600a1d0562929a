"""Tables in Markdown. A peer that is ahead of this crate is in bold."""

import statistics

from bench.samples import (
    cpu, extent, key, measured, middle, missing, rate, ratios, system, user,
)
from bench.servers import OURS, RAW


def number(value):
    """A number with three significant digits, or all digits before the point."""
    if value >= 10e6:
        return f"{value / 1e6:,.0f}M"
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def spread(rows, figure, form=number):
    low, high = extent(rows, figure)
    text = form(middle(rows, figure))
    return text if len(rows) == 1 else f"{text} ({form(low)}–{form(high)})"


def share(value):
    return f"{value:.0%}"


def ratio(rows, others, figure):
    if rows is others:
        return "1"
    found = ratios(rows, others, figure) if others else []
    if not found:
        return "-"
    text = f"{statistics.median(found):.2f}"
    return text if len(found) == 1 else f"{text} ({min(found):.2f}–{max(found):.2f})"


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def ranked(comparison, figure=cpu):
    return sorted(measured(comparison).items(), key=lambda it: middle(it[1], figure))


def label(name, rows, ours, figure=cpu):
    if name == OURS:
        return f"**→ {name}**"
    if name == RAW or name.startswith(f"{RAW} "):
        return f"*{name}*"
    if ours and middle(rows, figure) < middle(ours, figure):
        return f"**{name}**"
    return name


def absent(comparison, width):
    """A row for each server that could not be measured."""
    return [
        [name, f"not measured ({reason})", *[""] * (width - 2)]
        for name, reason in missing(comparison).items()
    ]


def cpu_table(comparison, unit, instructions=None, has_latency=True):
    """The usual columns, the least CPU first."""
    servers = measured(comparison)
    ours, raw = servers.get(OURS), servers.get(RAW)
    head = ["server", f"CPU ns/{unit}", f"to {OURS}", "to raw", "user ns", "system ns"]
    head += ["instructions"] if instructions else []
    head += [f"{unit}/s"] + (["p50 µs", "p99 µs"] if has_latency else [])
    head += ["server busy", "load busy", "others"]
    rows = []
    for name, samples in ranked(comparison):
        row = [
            label(name, samples, ours),
            spread(samples, cpu),
            ratio(samples, ours, cpu),
            ratio(samples, raw, cpu),
            number(user(samples)),
            number(system(samples)),
        ]
        if instructions:
            found = instructions.get(name)
            row.append(number(found) if isinstance(found, (int, float)) else "-")
        row.append(number(middle(samples, rate)))
        if has_latency:
            row += [number(middle(samples, key(it))) for it in ["p50_us", "p99_us"]]
        row += [
            share(middle(samples, key("server_busy"))),
            share(middle(samples, key("load_busy"))),
            others(samples),
        ]
        rows.append(row)
    return table(head, rows + absent(comparison, len(head)))


def others(samples):
    """The share of a CPU that other programs took: the median, and the most."""
    usual = max(middle(samples, key("others")), 0)
    most = max(extent(samples, key("others"))[1], 0)
    return f"{usual:.0%} (≤ {most:.0%})" if len(samples) > 1 else f"{usual:.0%}"
