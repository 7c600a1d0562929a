"""The goals for the cost of hyper-ws, and whether they are met."""

import statistics

from bench.markdown import number, table
from bench.samples import cpu, extent, key, measured, middle, ratios, user
from bench.servers import OURS, RAW

# Built on hyper, as this crate is.
ON_HYPER = ["fastwebsockets", "hyper-tungstenite", "axum", "yawc"]


class Goals:
    def __init__(self, parts):
        self.parts = {name: part["data"] for name, part in parts.items()}
        self.rows = []

    def section(self):
        self.small_echoes()
        self.pipelined()
        self.large_echoes()
        self.broadcasts()
        self.handshakes()
        self.idle()
        self.latency()
        self.workers()
        self.growth()
        if not self.rows:
            return ""
        return (
            "## Goals\n\nWhat hyper-ws wants to cost. *level*: the ratio misses, but the "
            "samples overlap.\n\n" + table(["goal", "measured", "reached"], self.rows)
        )

    def add(self, goal, measured_, reached):
        self.rows.append([goal, measured_, reached])

    def at_most(self, goal, value, limit):
        self.add(goal, number(value), "yes" if value <= limit else "**no**")

    def loads(self, part):
        found = {it["load"]: measured(it) for it in self.parts.get(part, [])}
        return {load: rows for load, rows in found.items() if OURS in rows}

    def small_echoes(self):
        for load in ["20 B, 1 in flight", "1 KiB, 1 in flight"]:
            rows = self.loads("echo").get(load)
            if rows:
                self.to(rows, [RAW], f"echo {load}: at most 1.05 of raw", 1.05)
                self.to(rows, peers(rows), f"echo {load}: level with every peer", 1)

    def pipelined(self):
        load = "20 B, 16 in flight"
        rows = self.loads("echo").get(load)
        if not rows:
            return
        self.to(rows, [RAW], f"echo {load}: at most 1.10 of raw", 1.10)
        if RAW in rows:
            more = user(rows[OURS]) - user(rows[RAW])
            self.at_most(f"echo {load}: at most 40 ns of user time more than raw", more, 40)
        rust = [it for it in peers(rows) if "Node" not in it and "uWeb" not in it]
        batches = [it for it in rust if it.endswith(" batch")]
        plain = [it for it in rust if it not in batches]
        self.to(rows, batches, f"echo {load}: best Rust peer's batches take 1.3 of ours", 1 / 1.3)
        self.to(rows, plain, f"echo {load}: best Rust peer's plain loop takes 10 of ours", 0.1)
        self.to(rows, ["uWebSockets"], f"echo {load}: level with uWebSockets", 1)

    def large_echoes(self):
        for load, rows in self.loads("echo").items():
            if "in flight" not in load:
                self.to(rows, peers(rows), f"echo {load}: ahead of every peer", 1)

    def broadcasts(self):
        for load, rows in self.loads("broadcast").items():
            rust = [it for it in peers(rows) if it != "uWebSockets"]
            self.to(rows, rust, f"{load}: ahead of every Rust peer, and Node", 1)
            self.to(rows, ["uWebSockets"], f"{load}: level with uWebSockets", 1)

    def handshakes(self):
        part = self.parts.get("handshake")
        if part and OURS in measured(part):
            rows = measured(part)
            self.to(rows, ON_HYPER, "handshake: ahead of every peer on hyper", 1)

    def idle(self):
        part = self.parts.get("idle")
        if not part or OURS not in measured(part):
            return
        rows, figure = measured(part), key("echoed_bytes")
        ours = middle(rows[OURS], figure)
        self.at_most("idle after an echo: at most 1,280 bytes", ours, 1280)
        self.to(rows, ["raw lent"], "idle after an echo: at most 1.10 of raw lent", 1.1, figure)

    def latency(self):
        for load, rows in self.loads("latency").items():
            goal = f"p99 at {load}: no worse than any peer"
            self.to(rows, peers(rows), goal, 1, key("p99_us"))

    def workers(self):
        part = self.parts.get("workers", [])
        for one in [it for it in part if it["workers"] == 1]:
            two = next(
                it for it in part if it["workers"] == 2 and it["shape"] == one["shape"]
            )
            if OURS in measured(one) and OURS in measured(two):
                worth = 2 * middle(measured(one)[OURS], cpu) / middle(measured(two)[OURS], cpu)
                reached = "yes" if worth >= 1.8 else "**no**"
                self.add(f"{one['shape']}: two workers are worth 1.8", number(worth), reached)

    def growth(self):
        part = self.parts.get("growth", [])
        for title in dict.fromkeys(it["title"] for it in part):
            counts = [it for it in part if it["title"] == title]
            last, before = measured(counts[-1]), measured(counts[-2])
            if not all(name in it for name in [OURS, RAW] for it in [last, before]):
                continue
            ours, raw = [
                middle(last[name], cpu) / middle(before[name], cpu) for name in [OURS, RAW]
            ]
            many, few = counts[-1]["count"], counts[-2]["count"]
            self.add(
                f"{title}: {many:,} to {few:,}, within 1.05 of what raw shows",
                f"{ours:.2f}, raw {raw:.2f}",
                "yes" if ours <= raw * 1.05 else "**no**",
            )

    def to(self, rows, names, goal, limit, figure=cpu):
        """The ratio of this crate to the best of these servers, within a round."""
        names = [it for it in names if it in rows]
        if not names:
            return
        best = min(names, key=lambda name: middle(rows[name], figure))
        found = ratios(rows[OURS], rows[best], figure)
        if not found:
            return
        ratio = statistics.median(found)
        low, high = extent(rows[best], figure)
        our_low, our_high = extent(rows[OURS], figure)
        reached = "yes" if ratio <= limit else "**no**"
        if ratio > limit and limit == 1 and our_low <= high and low <= our_high:
            reached = "level"
        self.add(goal, f"{ratio:.2f} of {best}", reached)


def peers(rows):
    return [it for it in rows if it != OURS and it != RAW and not it.startswith(f"{RAW} ")]
