"""Samples: how they are taken in turns, and what is computed from them.

A comparison is a dictionary that is kept as JSON: `load` says what was done,
`servers` holds the samples of each server, round by round, or why there are none.
"""

import statistics

from bench.process import Failed
from bench.servers import OURS, RAW


def in_turns(bench, what, servers, rounds, sample):
    """Takes alternating samples, so that other work of the machine hits all servers."""
    taken = {it.name: [] for it in servers}
    failed = {}
    for round_ in range(rounds):
        bench.progress(f"{what}: round {round_ + 1} of {rounds}")
        for server in servers:
            if server.name in failed:
                continue
            try:
                taken[server.name].append(sample(server))
            except Failed as reason:
                failed[server.name] = f"failed: {reason}"
                bench.progress(f"{what}: {server.name} failed: {reason}")
    return {"load": what, "servers": {**taken, **failed, **bench.absent}}


def measured(comparison):
    """The servers that have samples."""
    return {
        name: rows
        for name, rows in comparison["servers"].items()
        if isinstance(rows, list) and rows
    }


def missing(comparison):
    """The servers without samples, and the reasons."""
    return {
        name: rows if isinstance(rows, str) else "no sample"
        for name, rows in comparison["servers"].items()
        if isinstance(rows, str) or not rows
    }


def cpu(row):
    """Nanoseconds on the CPU for each message, the kernel's included."""
    return row["server_cpu_ns"] / max(row["messages"], 1)


def user(rows):
    """Nanoseconds a message outside of the kernel, over all samples together:
    ticks of a clock are too coarse for one of them."""
    spent = sum(row["server_cpu_ns"] * row["server_user_share"] for row in rows)
    return spent / max(sum(row["messages"] for row in rows), 1)


def system(rows):
    spent = sum(row["server_cpu_ns"] * (1 - row["server_user_share"]) for row in rows)
    return spent / max(sum(row["messages"] for row in rows), 1)


def rate(row):
    return row["messages"] / row["seconds"]


def key(name):
    return lambda row: row[name]


def middle(rows, figure):
    return statistics.median(figure(row) for row in rows)


def extent(rows, figure):
    values = [figure(row) for row in rows]
    return min(values), max(values)


def ratios(rows, others, figure):
    """The ratios within each round."""
    pairs = zip(rows, others)
    return [figure(row) / figure(other) for row, other in pairs if figure(other)]


def standing(comparison, figure=cpu):
    """The comparison with every peer, as `(name, ratio, doubt)`, the best
    first; ratios are theirs to ours, below 1 is ahead of us. `doubt` says why the
    order has not been shown, if it has not."""
    rows = measured(comparison)
    ours = rows.get(OURS)
    if not ours:
        return []
    result = []
    for name, theirs in rows.items():
        if name == OURS or name == RAW or name.startswith(f"{RAW} "):
            continue
        ratio = statistics.median(ratios(theirs, ours, figure) or [0])
        low, high = extent(theirs, figure)
        our_low, our_high = extent(ours, figure)
        doubt = "one sample" if len(theirs) < 2 or len(ours) < 2 else None
        if not doubt and low <= our_high and our_low <= high:
            doubt = "samples overlap"
        result.append((name, ratio, doubt))
    return sorted(result, key=lambda it: it[1])


