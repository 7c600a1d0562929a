"""Echo: messages of several sizes, with one or several in flight."""

from dataclasses import dataclass

from bench import samples
from bench.markdown import cpu_table
from bench.process import Running, load

NAME = "echo"
TITLE = "Echo"


@dataclass
class Load:
    title: str
    connections: int
    in_flight: int
    size: int
    kind: str = "binary"
    # For a run under callgrind, two lengths in messages.
    lengths: tuple = ()
    is_large: bool = False

    def flags(self):
        return [
            *("--connections", self.connections),
            *("--in-flight", self.in_flight),
            *("--size", self.size),
            *("--kind", self.kind),
        ]


LOADS = [
    Load("20 B, 1 in flight", 100, 1, 20, lengths=(2_000, 6_000)),
    Load("1 KiB, 1 in flight", 100, 1, 1024, lengths=(2_000, 6_000)),
    Load("20 B, 16 in flight", 100, 16, 20, lengths=(8_000, 24_000)),
    Load("16 KiB binary", 100, 1, 16 << 10, lengths=(500, 1_500), is_large=True),
    Load("64 KiB binary", 10, 1, 64 << 10, lengths=(200, 600), is_large=True),
    Load("1 MiB binary", 10, 1, 1 << 20, lengths=(20, 50), is_large=True),
    Load("1 MiB text", 10, 1, 1 << 20, "text", lengths=(20, 50), is_large=True),
]

NOTES = {
    "20 B, 1 in flight": "Nine tenths of this is the kernel: one receive, one send and a wake-up "
    "for each message. Good servers differ here by less than their own samples do.",
    "20 B, 16 in flight": "The generator sends sixteen frames in one write and waits for all "
    "sixteen answers. A server that answers each with a write of its own pays sixteen times.",
    "1 MiB binary": "`raw` reads into 64 KiB, so that it needs 17 receives for a message: the "
    "limit is one receive into the message's own memory.",
    "1 MiB text": "Words of many scripts in random order, so that no branch of a validator can "
    "be foreseen. `raw` does not validate, and yawc only if it is told to.",
}


def measure(bench):
    comparisons = []
    for shape in bench.chosen(LOADS):
        servers = bench.servers_for(shape, "echo", shape.kind)
        rounds = bench.pick(5, 1 if shape.is_large else 2)
        seconds = bench.pick(1.0, 0.3)

        def sample(server):
            with Running(server) as running:
                return load(running, "echo", *shape.flags(), "--seconds", seconds)

        found = samples.in_turns(bench, shape.title, servers, rounds, sample)
        comparisons.append(found | {"connections": shape.connections})
    return comparisons


def section(page, comparisons):
    for comparison in comparisons:
        title = comparison["load"]
        page.heading(f"{title}, {comparison['connections']} connections")
        page.text(NOTES.get(title, ""))
        page.plot_cpu(f"echo-{title}", f"Echo: {title}", comparison, "message")
        page.add(cpu_table(comparison, "msg", page.instructions(title)))
        page.command(NAME, title)
        page.stands("echo", comparison)
