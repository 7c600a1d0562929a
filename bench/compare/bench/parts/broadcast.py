"""Broadcast: one client sends, all clients receive."""

from dataclasses import dataclass

from bench import samples
from bench.markdown import cpu_table
from bench.process import Running, load

NAME = "broadcast"
TITLE = "Broadcast"


@dataclass
class Load:
    title: str
    in_flight: int
    members: int = 1_000
    size: int = 100
    # For a run under callgrind, with fewer members: two lengths in rounds.
    lengths: tuple = ()
    is_large: bool = True

    def flags(self, members=None):
        return [
            *("--connections", members or self.members),
            *("--in-flight", self.in_flight),
            *("--size", self.size),
        ]


LOADS = [
    Load("100 B to 1,000, one at a time", 1, lengths=(20, 60)),
    Load("100 B to 1,000, sixteen at a time", 16, lengths=(5, 15)),
]

# How many get it under callgrind, which takes long to let 1,000 in.
FEW_MEMBERS = 200


def measure(bench):
    comparisons = []
    for shape in bench.chosen(LOADS):
        servers = bench.servers_for(shape, "broadcast")

        def sample(server):
            with Running(server, "--broadcast") as running:
                seconds = bench.pick(1.0, 0.3)
                return load(running, "broadcast", *shape.flags(), "--seconds", seconds)

        rounds = bench.pick(5, 1)
        comparisons.append(samples.in_turns(bench, shape.title, servers, rounds, sample))
    return comparisons


def section(page, comparisons):
    page.text(
        "One connection of 1,000 sends, and waits until the message has come to all, itself too. "
        "CPU time is for each delivery. `raw` writes what it has read to every socket, so at "
        "sixteen it writes all of them at once. fastwebsockets, tungstenite, axum, "
        "tokio-websockets and yawc have nothing of their own for this: a task for each "
        "connection takes from one of Tokio's broadcast channels, as axum's example `chat` has "
        "it, and in the batching form takes all that is there before it flushes. sockudo-ws has "
        "its `PubSub`, Node's ws its set of clients. Latency is from the sending to each delivery."
    )
    for comparison in comparisons:
        title = comparison["load"]
        page.heading(title)
        page.plot_cpu(f"broadcast-{title}", f"Broadcast: {title}", comparison, "delivery")
        page.add(cpu_table(comparison, "delivery", page.instructions(title)))
        page.command(NAME, title)
        page.stands("broadcast", comparison)
