"""Two worker threads beside one, by CPU time."""

from bench import samples
from bench.markdown import number, spread, table
from bench.parts.echo import LOADS
from bench.process import Running, cpus, load
from bench.samples import cpu, measured, middle

NAME = "workers"
TITLE = "Two worker threads"
WHO = ["raw", "hyper-ws", "fastwebsockets", "yawc batch"]
WHICH = ["20 B, 1 in flight", "20 B, 16 in flight"]


def measure(bench):
    servers = [it for it in bench.servers if it.name in WHO and it.has_workers]
    # The load has a CPU of its own, where there are three.
    load_cpu = "2" if cpus() > 2 else "1"
    comparisons = []
    for shape in [it for it in LOADS if it.title in WHICH]:
        for workers in [1, 2]:
            def sample(server):
                where = "0" if workers == 1 else "0,1"
                flags = ["--workers", str(workers)]
                with Running(server, *flags, cpus=where) as running:
                    flags = [*shape.flags(), "--seconds", bench.pick(1.0, 0.3)]
                    return load(running, "echo", *flags, cpu=load_cpu)

            title = f"{shape.title}, {workers} worker{'s' if workers > 1 else ''}"
            found = samples.in_turns(bench, title, servers, bench.pick(3, 1), sample)
            found |= {"shape": shape.title, "workers": workers, "cpus": cpus()}
            comparisons.append(found | {"servers": measured(found)})
    return comparisons


def section(page, comparisons):
    has_room = comparisons and comparisons[0]["cpus"] > 2
    page.text(
        "Tokio's multi-threaded runtime with one worker on CPU 0, and with two on CPUs 0 and 1. "
        + ("The load has CPU 2. " if has_room else
           "There is no third CPU here: with two workers, one shares its CPU with the load, so no "
           "rate can show what two threads are worth. ")
        + "So CPU time is compared: if a message costs as much as with one worker, two do twice as "
        "much. *Worth* is 2 × CPU with one ÷ CPU with two. Here a message with one worker costs more "
        "than above, since the multi-threaded runtime does more than the other."
    )
    rows = []
    for title in dict.fromkeys(it["shape"] for it in comparisons):
        one, two = [
            next(it for it in comparisons if it["shape"] == title and it["workers"] == n)
            for n in [1, 2]
        ]
        for name, alone in measured(one).items():
            both = measured(two).get(name)
            if both:
                rows.append([
                    f"**→ {name}**" if name == "hyper-ws" else name,
                    title,
                    spread(alone, cpu),
                    spread(both, cpu),
                    f"{2 * middle(alone, cpu) / middle(both, cpu):.2f}",
                    number(max(s["others"] for s in alone + both) * 100) + "%",
                ])
    head = ["server", "load", "CPU ns/msg, one worker", "CPU ns/msg, two", "worth", "others, at most"]
    page.add(table(head, rows))
    page.command(NAME)
