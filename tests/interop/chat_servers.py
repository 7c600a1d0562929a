#!/usr/bin/env python3
"""Clients of three chat servers on one Redis, all of which are killed and stopped again and again.

    chat_servers.py CHAT [SEED] [SECONDS]

CHAT is the built example. Needs the package `websockets` (tests/run installs it) and redis-server.
Each client keeps a log of what it was sent, comes back to any of the servers by its position, and
says a text until it is confirmed. At the end the logs are compared: no text that was confirmed is
missing, none comes twice, and all have one order. Prints the seed, a line for each check, and at
the end `N passed, M failed`.
"""

import asyncio
import json
import random
import shutil
import signal
import socket
import sys
import tempfile
import time

from chat import Page, as_documented
from check import TIMEOUT, Server
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

CLIENTS = 12


class Node(Server):
    """A chat server on a port of its own, which it has again when it was killed."""

    def __init__(self, program, redis):
        self.address = f"127.0.0.1:{free_port()}"
        # More texts than are said, so that nobody misses too much.
        self.command = [program, "--listen", self.address, "--redis", f"redis://127.0.0.1:{redis.port}",
                        "--history", "100000"]

    async def start(self):
        await self.__aenter__()

    async def kill(self):
        self.process.kill()
        await self.process.wait()

    def connect(self, path="/", **options):
        return connect(f"ws://{self.address}{path}", proxy=None, open_timeout=TIMEOUT, close_timeout=2, **options)


class Redis:
    """A Redis that has written each message to the disk before it says so."""

    def __init__(self, folder):
        self.port = free_port()
        self.command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", folder,
                        "--save", "", "--appendonly", "yes", "--appendfsync", "always"]

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(*self.command, stdout=asyncio.subprocess.DEVNULL)
        for _ in range(20 * TIMEOUT):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                return writer.close()
            except OSError:
                await asyncio.sleep(0.05)
        raise RuntimeError("redis-server does not listen")

    async def kill(self):
        self.process.kill()
        await self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client(Page):
    """Says texts and comes and goes, until it is told to stop and everything is confirmed."""

    def __init__(self, number, nodes, chance):
        super().__init__(None, f"Client {number}", "soak", f"secret {number}")
        self.number, self.nodes, self.chance = number, nodes, chance
        self.waiting, self.said, self.declined, self.connections = {}, [], 0, 0

    async def live(self, until):
        while True:
            self.chat = self.chance.choice(self.nodes)
            try:
                async with self:
                    self.connections += 1
                    if await self.talk(until):
                        return
            except (ConnectionClosed, InvalidHandshake, OSError, asyncio.TimeoutError, EOFError):
                await asyncio.sleep(self.chance.uniform(0.2, 1))

    async def talk(self, until):
        """Returns whether everything is said and confirmed."""
        for identity in self.seen & set(self.waiting):
            self.confirm(identity)
        asked, next_at = None, 0
        leave_at = min(until, time.monotonic() + self.chance.uniform(1, 12))
        while (now := time.monotonic()) < until or self.waiting:
            if leave_at < now < until:
                return False
            if asked not in self.waiting:
                asked = None
            if asked is None and now >= next_at:
                if now < until and not self.waiting:
                    self.said.append(f"{self.number}-{len(self.said)}")
                    self.waiting[self.said[-1]] = "hello"
                asked = next(iter(self.waiting), None)
                if asked is not None:
                    await self.send({"type": "say", "id": asked, "text": self.waiting[asked]})
                next_at = now + self.chance.uniform(0.02, 0.3)
            try:
                message = as_documented(json.loads(await asyncio.wait_for(self.socket.recv(), 0.1)))
            except asyncio.TimeoutError:
                continue
            if message["type"] == "said":
                self.position = message["position"]
                assert message["id"] not in self.seen, f"{message} comes twice to {self.name}"
                self.take(message)
            if message["type"] in ("said", "accepted"):
                self.confirm(message["id"])
            if message["type"] == "declined":
                self.declined += 1
                asked, next_at = None, time.monotonic() + self.chance.uniform(0.5, 1.5)
        return True

    def confirm(self, identity):
        self.waiting.pop(identity, None)


async def disturb(nodes, redis, chance, until):
    """Kills and stops, until a few seconds before the end. All run when it returns."""
    while (left := until - time.monotonic()) > 5:
        await asyncio.sleep(chance.uniform(0.5, 2))
        what = chance.choice(["kill a server", "stop a server", "kill Redis", "stop Redis"])
        node = chance.choice(nodes)
        pause = chance.choice([0.2, 2, min(13, left)])
        print(f"        {what} for {pause:.1f} s", flush=True)
        program = redis if "Redis" in what else node
        if what.startswith("stop"):
            program.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(pause)
            program.process.send_signal(signal.SIGCONT)
        else:
            await program.kill()
            await asyncio.sleep(pause)
            await program.start()


async def main():
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__)
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is missing; type: apt-get install -y redis-server")
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 40
    print(f"seed {seed}, {seconds:g} s", flush=True)
    chance = random.Random(seed)
    counts = {True: 0, False: 0}

    def holds(what, condition, found=None):
        counts[bool(condition)] += 1
        print(f"{'ok     ' if condition else 'FAILED '} {what}" + ("" if condition else f": {str(found)[:600]}"), flush=True)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        redis = Redis(folder)
        nodes = [Node(sys.argv[1], redis) for _ in range(3)]
        try:
            await redis.start()
            for node in nodes:
                await node.start()
            until = time.monotonic() + seconds
            clients = [Client(number, nodes, chance) for number in range(CLIENTS)]
            await asyncio.wait_for(asyncio.gather(
                disturb(nodes, redis, chance, until), *(client.live(until) for client in clients)), seconds + 120)
            for client in clients:
                async with client:  # the rest of what it has missed
                    pass
        finally:
            for program in [*nodes, redis]:
                if getattr(program, "process", None) and program.process.returncode is None:
                    await program.kill()

    logs = [[text["id"] for text in client.texts] for client in clients]
    log = max(logs, key=len)
    said = [identity for client in clients for identity in client.said]
    print(f"        {len(log)} texts, {sum(client.connections for client in clients)} connections, "
          f"{sum(client.declined for client in clients)} declined")
    holds("every text that was said is confirmed, and in the room", set(said) == set(log), set(said) ^ set(log))
    holds("no text comes twice", all(len(set(each)) == len(each) for each in logs))
    holds("nobody was told of a hole", not any(client.holes for client in clients))
    # A first visit begins with the last fifty texts.
    holds("all clients have the same texts in the same order", all(each == log[-len(each):] for each in logs),
          [(len(each), each[:3]) for each in logs])
    holds("each author's texts are in the order in which they were said",
          all([identity for identity in log if identity in set(client.said)] == client.said for client in clients))
    holds("there was something to see", len(log) > 10 * CLIENTS and sum(client.connections for client in clients) > 2 * CLIENTS,
          (len(log), [client.connections for client in clients]))
    print(f"{counts[True]} passed, {counts[False]} failed")
    sys.exit(1 if counts[False] else 0)


if __name__ == "__main__":
    asyncio.run(main())
