"""Instructions for each message of every load: a column in the other tables."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from bench import callgrind
from bench.parts import broadcast, echo, handshake
from bench.process import LOAD_CPU, SERVER_CPU, Failed

NAME = "instructions"
TITLE = None

# At a glance: what differs most between servers.
SHORT = ["20 B, 16 in flight"]


def measure(bench):
    if not shutil.which("valgrind"):
        bench.progress("instructions: valgrind is not installed")
        return {}
    jobs = []
    for shape in bench.chosen(echo.LOADS):
        servers = bench.servers_for(shape, "echo", shape.kind)
        jobs.append((shape.title, servers, "echo", shape.flags(), shape.lengths, []))
    for shape in bench.chosen(broadcast.LOADS):
        flags = shape.flags(members=broadcast.FEW_MEMBERS)
        servers = bench.servers_for(shape, "broadcast")
        jobs.append((shape.title, servers, "broadcast", flags, shape.lengths, ["--broadcast"]))
    if not bench.options.load:
        jobs.append((handshake.LOAD, bench.plain(), "handshake", [], handshake.LENGTHS, []))
    jobs = [job for job in jobs if bench.pick(True, job[0] in SHORT)]
    return {title: count(bench, title, *job) for title, *job in jobs}


def count(bench, title, servers, *job):
    """Two at a time: the clock does not matter here."""
    servers = [it for it in servers if it.is_compiled]
    bench.progress(f"instructions: {title}")
    places = SimpleQueue()
    places.put((SERVER_CPU, LOAD_CPU))
    places.put((LOAD_CPU, SERVER_CPU))

    def counted(server):
        cpus = places.get()
        try:
            return one(bench, title, server, *job, cpus=cpus)
        finally:
            places.put(cpus)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip([it.name for it in servers], pool.map(counted, servers)))


def one(bench, title, server, what, flags, lengths, server_flags, cpus):
    try:
        total, functions = callgrind.instructions(
            server, what, flags, lengths, server_flags, cpus
        )
    except Failed as reason:
        return f"failed: {reason}"
    if bench.options.functions:
        lines = [f"\n{server.name}, {title}: {total:.1f} instructions a message"]
        for function, cost in sorted(functions.items(), key=lambda it: -it[1])[:15]:
            lines.append(f"  {cost:8.1f}  {function[:110]}")
        print("\n".join(lines), flush=True)
    return round(total, 1)
