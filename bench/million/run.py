#!/usr/bin/env python3
"""Measures the cost of a million WebSockets: writes result.json and result.md.

    python3 run.py                    10,000, 100,000 and 1,000,000 sockets; some 4 minutes
    python3 run.py --sockets 10000    other numbers of them
    python3 run.py --no-kernel        without what needs 15,000 real connections
    python3 run.py --new              instead of adding to the result.json that is there

Needs Linux and Rust. The largest run takes 1.5 GB of memory; with less than 2 GB
free it is left out, with a note. Real connections need as many open files
(`ulimit -n`), and figures of the kernel's caches need root. See README.md.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULT = HERE / "result.json"
PROGRAM = HERE / "target" / "release" / "million"

# The time limit of a process in seconds. On a quiet machine none takes one minute.
TIMEOUT = 900
# The free memory that a run needs for each socket, generously.
ROOM = 2_000
# Seconds of real keep-alive: one interval of the crate's default.
INTERVAL = 25


def main():
    options = arguments()
    os.environ.pop("CARGO_TARGET_DIR", None)
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=HERE, check=True)
    result = {"machine": machine(), "idle": [], "room": []}
    if RESULT.exists() and not options.new:
        before = json.loads(RESULT.read_text())
        # The figures of two machines must not be mixed.
        if before["machine"] == result["machine"]:
            result = before
    result["left out"] = []
    # The shortest first, each saved at once: a run may be interrupted.
    if options.kernel:
        result["kernel"] = kernel(options.kernel)
    for sockets in options.sockets:
        if memory()["MemAvailable"] < sockets * ROOM:
            result["left out"].append(sockets)
            print(f"{sockets:,} sockets are left out for want of memory", file=sys.stderr)
            continue
        for what in ["idle", "room"]:
            others = [it for it in result[what] if it["sockets"] != sockets]
            others.append(simulate(what, sockets))
            result[what] = sorted(others, key=lambda it: it["sockets"])
            save(result)
    save(result)
    print(markdown(result))


def save(result):
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "result.md").write_text(markdown(result))


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    numbers = lambda text: [int(it) for it in text.replace("_", "").split(",")]
    parser.add_argument("--sockets", type=numbers, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--kernel", type=int, default=15_000, help="real connections")
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--no-kernel", action="store_const", const=0, dest="kernel")
    return parser.parse_args()


def simulate(what, sockets):
    print(f"{what}, {sockets:,} sockets", file=sys.stderr)
    command = [PROGRAM, what, str(sockets)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT, check=True, text=True)
    return json.loads(done.stdout)


def kernel(connections):
    """Measures real connections between two processes, and the kernel's memory for them."""
    # The two have few other files open.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = min(connections, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 100, hard))
    return kernel_memory(most) | kernel_time(most)


def kernel_memory(connections):
    print(f"kernel's memory, {connections:,} connections", file=sys.stderr)
    with started("server", str(INTERVAL * 1000)) as server:
        address = server.stdout.readline().strip()
        # The base line, with the caches that the kernel keeps after connections end.
        with started("client", address, "1000") as client:
            client.stdout.readline()
        time.sleep(1)
        before, used = system(), ask(server)
        with started("client", address, str(connections)) as client:
            if not client.stdout.readline():
                raise SystemExit("the client did not get its connections")
            time.sleep(1)
            after, using = system(), ask(server)
            resident = status(client.pid, "VmRSS")
    sockets = 2 * connections
    grown = lambda key: (after["memory"][key] - before["memory"][key]) / sockets
    more = {
        name: (count - before["slabs"].get(name, (0, 0))[0], size)
        for name, (count, size) in after["slabs"].items()
    }
    looked_at, slabs = without_onlookers(more, grown("Slab") * sockets)
    caches = []
    for name, (count, size) in more.items():
        if count > sockets / 4:
            each = {"name": name, "objects a socket": round(count / sockets, 2)}
            caches.append(each | {"bytes of each": size})
    caches.sort(key=lambda it: -it["objects a socket"] * it["bytes of each"])
    processes = using["resident"] - used["resident"] + resident
    return {
        "connections": connections,
        "bytes of slabs a socket": slabs / sockets,
        "looked at by others": round(looked_at / sockets, 2),
        "bytes of these caches a socket": sum(
            it["objects a socket"] * it["bytes of each"] for it in caches
        ),
        # The count is for the whole machine, so it needs a quiet one.
        "bytes not available a socket": -grown("MemAvailable") - processes / sockets,
        "bytes of buffers a socket": (after["pages"] - before["pages"]) * 4096 / sockets,
        "bytes resident in the server a socket": (using["resident"] - used["resident"])
        / connections,
        "bytes allocated by the server a socket": (using["allocated"] - used["allocated"])
        / connections,
        "caches": caches,
    }


def without_onlookers(more, slabs):
    """The growth of the caches without the inodes and names in them that exist because
    another program lists the open files of processes in /proc."""
    listed = max(0, more.get("proc_inode_cache", (0, 0))[0])
    for name in ["proc_inode_cache", "dentry", "lsm_inode_cache"]:
        if name in more:
            count, size = more[name]
            more[name] = (count - listed, size)
            slabs -= listed * size
    return listed, slabs


def kernel_time(connections):
    """The time for keep-alive with pings as frequent as for a million sockets."""
    print(f"kernel's time, {connections:,} connections", file=sys.stderr)
    interval = INTERVAL * 1000 * connections // 1_000_000
    with started("server", str(interval)) as server:
        address = server.stdout.readline().strip()
        with started("client", address, str(connections)) as client:
            client.stdout.readline()
            # Some rounds in which the pings spread, then the rounds that count.
            time.sleep(2)
            begin, pongs = ask(server), ask(client)
            time.sleep(10)
            end, pongs = ask(server), ask(client) - pongs
            if client.poll() is not None:
                raise SystemExit("the client lost its connections")
    cpu = end["CPU seconds"] - begin["CPU seconds"]
    return {"pings a second": pongs / 10, "CPU us a ping": cpu / pongs * 1e6}


class started:
    """A process that ends when its input ends."""

    def __init__(self, *arguments):
        self.command = [PROGRAM, *arguments]

    def __enter__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True)
        return self.process

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ask(server):
    server.stdin.write("\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


def system():
    return {"memory": memory(), "slabs": slabs(), "pages": pages()}


def memory():
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in lines}


def status(process, key):
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def slabs():
    """The kernel's caches: the objects in use, and the bytes of each."""
    try:
        lines = Path("/proc/slabinfo").read_text().splitlines()[2:]
    except PermissionError:
        return {}
    fields = (line.split() for line in lines)
    return {name: (int(active), int(size)) for name, active, _, size, *_ in fields}


def pages():
    """The pages in the buffers of all TCP connections."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1])
    return 0


def machine():
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "CPU": names[0] if names else platform.machine(),
        "CPUs": len(os.sched_getaffinity(0)),
        "GB of memory": round(memory()["MemTotal"] / 2**30),
        "kernel": platform.release().split("-")[0],
    }


def markdown(result):
    return "\n\n".join(section for section in sections(result) if section) + "\n"


def sections(result):
    of = result["machine"]
    yield "## A million sockets"
    yield (
        "Connections in one process on one thread, each behind an IO in memory instead of a file\n"
        "descriptor, through all of hyper and the service as the README writes it: handshake, an\n"
        "echo of 1 KiB, then idle with pings every 25 s, as by default. `bench/million` is the\n"
        f"program and says what is measured how. Measured on: {of['CPU']}, kernel {of['kernel']}."
    )
    yield table(
        [
            "sockets",
            "bytes allocated",
            "bytes resident",
            "handshake and echo, µs",
            "a ping and its pong, µs",
            "keep-alive, share of a core",
        ],
        [
            [
                f"{it['sockets']:,}",
                f"{it['bytes allocated a socket']:,.0f}",
                f"{it['bytes resident a socket']:,.0f}",
                f"{it['CPU us a handshake and echo']:.1f}",
                f"{it['CPU ns a ping'] / 1e3:.1f}",
                f"{it['share of a core for keep-alive']:.2%}",
            ]
            for it in result["idle"]
        ],
    )
    if result["idle"]:
        yield (
            "Bytes are for each socket; "
            f"{result['idle'][-1]['bytes of these for the IO']:.0f} of them are the simulated client. "
            "Times are on the CPU. A ping finds its\nconnection in no cache, which is what makes it "
            "dearer where there are more of them."
        )
    yield (
        "All of them in one room, and counted by a `Tracker`. 100 bytes are published to the room,\n"
        "then it is drained with a timeout of 40 s: a drain closes 500 sockets at a time and pauses\n"
        "between, so that not all clients come back at once; the pauses may take half of the timeout."
    )
    yield table(
        [
            "sockets",
            "bytes allocated",
            "publish: in `send`, ms",
            "until all have it, ms",
            "CPU a member, µs",
            "queued, bytes a member",
            "drain, s",
            "CPU a socket, µs",
            "the thread is kept at most, ms",
        ],
        [
            [
                f"{it['sockets']:,}",
                f"{it['bytes allocated a socket']:,.0f}",
                f"{it['publish: seconds in send'] * 1e3:,.1f}",
                f"{it['publish: seconds until delivered to all'] * 1e3:,.0f}",
                f"{it['publish: CPU ns a member'] / 1e3:.2f}",
                f"{it['publish: bytes allocated a member at the peak']:,.0f}",
                f"{it['drain: seconds']:.1f}",
                f"{it['drain: CPU us a socket']:.1f}",
                f"{it['drain: ms that another task waited at most']:,.0f}",
            ]
            for it in result["room"]
        ],
    )
    for it in result["room"]:
        if it["drain: cut off"]:
            yield (
                f"Of {it['sockets']:,} sockets {it['drain: cut off']:,.0f} had to be cut off: this machine had other\n"
                "things to do, so that time was over before."
            )
    for sockets in result["left out"]:
        yield f"{sockets:,} sockets were left out: this machine has not the memory."
    if "kernel" in result:
        yield from kernel_sections(result["kernel"])


def kernel_sections(it):
    server = it["bytes resident in the server a socket"]
    slabs = it["bytes of these caches a socket"] or it["bytes of slabs a socket"]
    yield (
        f"What a real connection takes, measured on {it['connections']:,} over loopback between two\n"
        "processes of the same build (an end of each counts, so the kernel's growth is halved):"
    )
    yield table(
        ["for each idle socket", "bytes"],
        [
            ["the server process, resident", f"{server:,.0f}"],
            ["the kernel's objects, by /proc/slabinfo", f"{slabs:,.0f}"],
            ["the kernel's caches with what is free in them, by /proc/meminfo", f"{it['bytes of slabs a socket']:,.0f}"],
            [
                "the kernel's buffers, by /proc/net/sockstat",
                f"{max(0, it['bytes of buffers a socket']):,.0f}",
            ],
        ],
    )
    if it["caches"]:
        objects = ", ".join(
            f"`{cache['name']}` {cache['objects a socket']:.2g} × {cache['bytes of each']}"
            for cache in it["caches"]
        )
        yield (
            f"The kernel's objects: {objects}.\n"
            "(A cache serves all objects of one size, whatever it is called.)"
        )
    if it["looked at by others"] > 0.1:
        yield (
            f"Another program listed {it['looked at by others']:.0%} of these connections in `/proc` "
            "meanwhile; what the kernel keeps of that\nis not in the figures."
        )
    of_a_core = it["CPU us a ping"] / INTERVAL
    yield (
        "With the kernel's work for it, a ping and its pong cost "
        f"{it['CPU us a ping']:.1f} µs of CPU where {it['pings a second']:,.0f} are\n"
        f"sent in a second. For a million sockets that is {of_a_core:.0%} of a core."
    )
    kernel_bytes = max(slabs, it["bytes of slabs a socket"])
    each = server + kernel_bytes
    sizes = []
    for memory in [4, 16, 64]:
        usable = memory * 2**30 * 0.75
        count = int(usable / each / 10_000) * 10_000
        sizes.append(
            [
                f"{memory} GB",
                f"{count:,}",
                f"{count * server / 2**30:.1f} GB",
                f"{count * kernel_bytes / 2**30:.1f} GB",
                f"{count * it['CPU us a ping'] / 1e6 / INTERVAL:.0%}",
            ]
        )
    yield (
        f"So an idle socket takes {each:,.0f} bytes in all. What one machine holds, with a quarter of its memory\n"
        "left for the system, for bursts (a published message is queued once for each member,\n"
        "before and in the kernel), and for the handlers' own state:"
    )
    yield table(
        ["memory", "idle sockets", "in the process", "in the kernel", "keep-alive, share of a core"], sizes
    )
    yield (
        "The system must allow as many open files (`fs.nr_open`, `fs.file-max`, `ulimit -n`), and a\n"
        "firewall that tracks connections must have room for them (`net.netfilter.nf_conntrack_max`)."
    )


def table(head, rows):
    lines = [head, ["---" if at == 0 else "---:" for at in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
