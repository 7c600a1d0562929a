"""The cost of a message with more sockets, and with more members of a room."""

from bench import samples
from bench.markdown import others, ratio, spread, table
from bench.plot import lines
from bench.process import Running, load
from bench.samples import cpu, extent, measured, middle

NAME = "growth"
TITLE = "Growth"
WHO = ["raw", "raw lent", "hyper-ws"]


def measure(bench):
    found = []
    most = min(bench.pick(15_000, 4_000), bench.files - 500)
    for title, what, counts, speaks in [
        ("active sockets", "echo", [10, 1_000, most], "echo"),
        ("members of a room", "broadcast", [10, 100, 1_000, most], "broadcast"),
    ]:
        servers = [
            it for it in bench.servers
            if (it.name in WHO or it.is_given) and speaks in it.speaks
        ]
        for count in counts:
            def sample(server):
                flags = ["--broadcast"] if what == "broadcast" else []
                with Running(server, *flags) as running:
                    shape = ["--connections", count, "--size", 100 if flags else 20]
                    return load(running, what, *shape, "--seconds", bench.pick(1.0, 0.3))

            rounds = bench.pick(3, 1)
            one = samples.in_turns(bench, f"{count:,} {title}", servers, rounds, sample)
            one |= {"title": title, "count": count, "servers": measured(one)}
            found.append(one)
    return found


def section(page, comparisons):
    page.text(
        "The same message with more connections, all of them active: an echo of 20 B, one in "
        "flight on each; and rooms in which one sends 100 B to all, one at a time. A server does "
        "not get dearer by what it keeps for others, but its memory gets colder: what `raw` "
        "shows of that is the machine's. Connections come from several addresses 127.0.0.x."
    )
    for title in dict.fromkeys(it["title"] for it in comparisons):
        some = [it for it in comparisons if it["title"] == title]
        counts = [it["count"] for it in some]
        series = {}
        for one in some:
            for name, rows in measured(one).items():
                point = (one["count"], middle(rows, cpu), *extent(rows, cpu))
                series.setdefault(name, []).append(point)
        unit = "message" if title == "active sockets" else "delivery"
        page.heading(f"CPU ns/{unit} by {title}")
        page.picture(f"growth-{title}", lines(title.capitalize(), title, f"CPU ns a {unit}", series))
        rows = []
        for name in series:
            cells = [measured(one).get(name) for one in some]
            last, before = cells[-1], cells[-2]
            rows.append([
                f"**→ {name}**" if name == "hyper-ws" else name,
                *[spread(cell, cpu) if cell else "-" for cell in cells],
                f"{middle(last, cpu) / middle(before, cpu):.2f}" if last and before else "-",
                others([sample for cell in cells if cell for sample in cell]),
            ])
        for name in series:
            if name not in WHO[:2]:
                cells = [
                    ratio(measured(one).get(name, []), measured(one).get("raw"), cpu)
                    for one in some
                ]
                rows.append([f"{name} ÷ raw", *cells, "", ""])
        head = ["server", *[f"{count:,}" for count in counts],
                f"{counts[-1]:,} to {counts[-2]:,}", "others"]
        page.add(table(head, rows))
    page.command(NAME)
