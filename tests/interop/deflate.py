#!/usr/bin/env python3
"""permessage-deflate (RFC 7692) against Python's `zlib` and `websockets`, which
share no code with this crate's compressor.

    deflate.py ECHO [--messages N] [--idle N]

ECHO is the built example.  N messages (4,000 unless given; the long form is
100,000) go there and back in random pieces; as many sockets are idle (2,000;
10,000 in the long form).  Needs the package `websockets`
(tests/run installs it).  Prints a line for each check and at the end
`N passed, M failed`.
"""

import argparse
import asyncio
import base64
import itertools
import os
import pathlib
import random
import resource
import struct
import sys
import time
import zlib

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check import TIMEOUT, Server  # noqa: E402

MIB = 1024 * 1024
SEED = int(os.environ.get("SEED", "20260101"))


class Wire:
    """A client of its own: frames and their compression by hand."""

    @classmethod
    async def open(cls, server, offer):
        host, port = server.address.rsplit(":", 1)
        wire = cls()
        wire.reader, wire.writer = await asyncio.open_connection(host, int(port), limit=64 * MIB)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"Sec-WebSocket-Extensions: {line}\r\n" for line in offer]
        wire.writer.write(
            (f"GET / HTTP/1.1\r\nHost: {server.address}\r\nConnection: Upgrade\r\n"
             f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
             f"{''.join(lines)}\r\n").encode())
        head = (await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), TIMEOUT)).decode()
        assert head.startswith("HTTP/1.1 101 "), head
        fields = [line.split(": ", 1) for line in head.split("\r\n")[1:-2]]
        answers = [value for name, value in fields if name.lower() == "sec-websocket-extensions"]
        assert len(answers) <= 1, answers
        wire.answer = answers[0] if answers else None
        wire.parameters = dict(
            (part.strip().split("=", 1) + [""])[:2]
            for part in (wire.answer or "").split(";")[1:])
        wire.received = wire.compressed = 0
        window = int(wire.parameters.get("server_max_window_bits", 15))
        wire.keeps = "server_no_context_takeover" not in wire.parameters
        wire.inflater = lambda: zlib.decompressobj(-window)
        wire.inflate = wire.inflater()
        return wire

    @staticmethod
    def frame(first, payload, key=b"\x00" * 4):
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", first, 0x80 | length)
        elif length < 65536:
            head = struct.pack("!BBH", first, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, length)
        if key != b"\x00" * 4:
            mask = (key * (length // 4 + 1))[:length]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
        return head + key + payload

    async def receive_frame(self):
        first, second = await self.reader.readexactly(2)
        assert not second & 0x80, "a server does not mask"
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            length, = struct.unpack("!Q", await self.reader.readexactly(8))
        self.received += length
        return first, await self.reader.readexactly(length)

    async def receive(self):
        """(opcode, payload) of the next message, or (8, close code)."""
        first, payload = await asyncio.wait_for(self.receive_frame(), 3 * TIMEOUT)
        assert first & 0x80, "this server does not fragment"
        if first & 0x0F >= 8:
            assert not first & 0x70, "a control frame has no reserved bits"
            return first & 0x0F, (struct.unpack("!H", payload[:2])[0] if payload else None)
        assert not first & 0x30, "of the reserved bits only RSV1 has a meaning"
        if first & 0x40:
            self.compressed += 1
            payload = self.inflate.decompress(payload + b"\x00\x00\xff\xff")
            assert not self.inflate.eof
            if not self.keeps:
                self.inflate = self.inflater()
        return first & 0x0F, payload

    def close(self):
        self.writer.transport.abort()


WORDS = ("alpha meeting server please thanks tomorrow compression what is the of and room socket "
         "message received error update price Berlin größer 🦀 never again coffee").split()


def text(length, source):
    """JSON-like text of about `length` bytes."""
    out = []
    size = 0
    while size < length:
        words = " ".join(source.choice(WORDS) for _ in range(source.randrange(3, 12)))
        out.append('{"id":%d,"user":"u%05d","text":"%s","read":%s}' % (
            source.randrange(10**7), source.randrange(10**5), words, source.choice(["true", "false"])))
        size += len(out[-1]) + 1
    return "[" + ",".join(out) + "]"


# The offers of browsers and libraries.

async def firefox_is_told_nothing_of_a_window_it_did_not_offer(server):
    wire = await Wire.open(server, ["permessage-deflate"])
    assert wire.answer is not None and wire.answer.startswith("permessage-deflate"), wire.answer
    assert "client_max_window_bits" not in wire.answer, wire.answer
    assert "server_max_window_bits" not in wire.answer, wire.answer
    wire.close()


async def the_first_acceptable_offer_wins(server):
    for offer, expected in [
        (["x-unknown, permessage-deflate; client_max_window_bits"], True),
        (["permessage-deflate; server_max_window_bits=7, permessage-deflate"], True),
        (["permessage-deflate; unknown", 'permessage-deflate ; server_max_window_bits = "10"'], True),
        (["permessage-deflate; server_no_context_takeover=1"], False),
        (["permessage-bzip2"], False),
    ]:
        wire = await Wire.open(server, offer)
        assert (wire.answer is not None) == expected, (offer, wire.answer)
        if "10" in offer[-1]:
            assert wire.parameters["server_max_window_bits"] == "10", wire.answer
        wire.close()


async def sixty_four_combinations_of_what_the_library_offers(server):
    bits = [None, 9, 12, 15]
    flags = [False, True]
    source = random.Random(SEED)
    for server_alone, client_alone, server_bits, client_bits in itertools.product(flags, flags, bits, bits):
        factory = ClientPerMessageDeflateFactory(
            server_no_context_takeover=server_alone, client_no_context_takeover=client_alone,
            server_max_window_bits=server_bits, client_max_window_bits=client_bits or True)
        async with server.connect(compression=None, extensions=[factory]) as socket:
            combination = (server_alone, client_alone, server_bits, client_bits)
            answer = socket.response.headers["Sec-WebSocket-Extensions"]
            assert ("server_max_window_bits" in answer) == (server_bits is not None), (combination, answer)
            assert not server_alone or "server_no_context_takeover" in answer, (combination, answer)
            for length in [0, 10, 700, 5000, 40_000]:
                message = text(length, source)
                await socket.send(message)
                await socket.send([message[:length // 2], message[length // 2:]])
                for _ in range(2):
                    answer = await asyncio.wait_for(socket.recv(), TIMEOUT)
                    assert answer == message, combination


async def a_window_of_8_bits_by_hand(server):
    """A window of 8 bits by hand: no library offers it, since only zlib's inflate has it."""
    source = random.Random(SEED)
    for offer in ["server_max_window_bits=8", "server_max_window_bits=8; client_max_window_bits=8"]:
        wire = await Wire.open(server, [f"permessage-deflate; {offer}"])
        assert wire.parameters["server_max_window_bits"] == "8", wire.answer
        for _ in range(20):
            message = text(3000, source).encode()
            wire.writer.write(Wire.frame(0x81, message))
            # In small steps, so that zlib looks into its window of 256 bytes.
            first, payload = await asyncio.wait_for(wire.receive_frame(), TIMEOUT)
            assert first == 0xC1, hex(first)
            out = b""
            rest = payload + b"\x00\x00\xff\xff"
            while rest:
                out += wire.inflate.decompress(rest, 1)
                rest = wire.inflate.unconsumed_tail
            while more := wire.inflate.decompress(b"", 1):
                out += more
            assert out == message
            if not wire.keeps:
                wire.inflate = wire.inflater()
        wire.close()


# The differential test.

class Compressor:
    """The compressor of this side: zlib, in every way that a peer may use it."""

    def __init__(self, wire, source):
        self.source = source
        self.keeps = "client_no_context_takeover" not in wire.parameters
        self.bits = int(wire.parameters.get("client_max_window_bits", 15))
        self.level = source.choice([0, 1, 6, 9])
        self.new()

    def new(self):
        # zlib's deflate has no window of 8 bits; one of 9 refers back 250 bytes at most.
        self.deflate = zlib.compressobj(self.level, zlib.DEFLATED, -max(self.bits, 9),
                                        self.source.choice([1, 8, 9]))

    def message(self, payload):
        source = self.source
        out = b""
        at = 0
        while source.random() < 0.3 and at < len(payload):
            step = source.randrange(1, len(payload) - at + 1)
            out += self.deflate.compress(payload[at:at + step])
            at += step
            out += self.deflate.flush(source.choice(
                [zlib.Z_NO_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK]))
        out += self.deflate.compress(payload[at:])
        if source.random() < 0.05:
            # A last block, and the beginning of another (section 7.2.3.4).
            out += self.deflate.flush(zlib.Z_FINISH) + b"\x00"
            self.new()
            return out
        out += self.deflate.flush(zlib.Z_SYNC_FLUSH)
        if not self.keeps:
            self.new()
        if not out.endswith(b"\x00\x00\xff\xff"):
            # Nothing to flush: the empty message after a flush.
            return out + b"\x00"
        return out[:-4]


def random_payload(source):
    length = source.choice([0, 1, 100, 511, 512, 1000, 1000, 1000, 3000, 20_000])
    length = source.randrange(length + 1)
    kind = source.random()
    if kind < 0.6:
        return 1, text(length, source).encode()
    if kind < 0.8:
        return 2, source.randbytes(length)
    return 2, source.randbytes(source.randrange(1, 9)) * (length // 4)


def pieces(payload, source):
    """The payload in a few parts, some of them empty."""
    cuts = sorted(source.randrange(len(payload) + 1) for _ in range(source.choice([0, 0, 0, 1, 2, 9])))
    return [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)])]


async def differential(server, mode, messages, seed):
    source = random.Random(seed)
    offers = ["permessage-deflate",
              "permessage-deflate; client_max_window_bits",
              "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
              "permessage-deflate; server_no_context_takeover; client_max_window_bits=15",
              "permessage-deflate; client_no_context_takeover; server_max_window_bits=15",
              "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8"]
    rounds = max(1, messages // 500)
    compressed = [0, 0]
    for number in range(rounds):
        wire = await Wire.open(server, [offers[number % len(offers)]])
        assert wire.answer, mode
        if mode == "shared":
            assert not wire.keeps and "client_no_context_takeover" in wire.parameters
        compressor = Compressor(wire, source)
        sent = [random_payload(source) for _ in range(messages // rounds)]
        for opcode, payload in sent:
            assert opcode != 1 or payload.decode()
        async def send():
            waiting = b""
            for opcode, payload in sent:
                marked = 0
                if source.random() < 0.9:
                    compressed[0] += 1
                    payload, marked = compressor.message(payload), 0x40
                parts = pieces(payload, source)
                for at, part in enumerate(parts):
                    first = (0x80 if at + 1 == len(parts) else 0) | (marked | opcode if at == 0 else 0)
                    waiting += Wire.frame(first, part, source.randbytes(4))
                    if source.random() < 0.05:
                        waiting += Wire.frame(0x89, b"")
                # In chunks that ignore the boundaries of frames.
                while waiting and source.random() < 0.7:
                    cut = source.randrange(1, len(waiting) + 1)
                    wire.writer.write(waiting[:cut])
                    waiting = waiting[cut:]
                    await wire.writer.drain()
                    if source.random() < 0.2:
                        await asyncio.sleep(0)
            wire.writer.write(waiting)
            await wire.writer.drain()

        sending = asyncio.create_task(send())
        for at, expected in enumerate(sent):
            while (got := await wire.receive())[0] == 10:
                pass
            assert got == expected, (
                f"seed {seed}, mode {mode}, connection {number}, message {at}: "
                f"{expected[0]} {len(expected[1])} bytes sent, {got[0]} {got[1] if got[0] == 8 else len(got[1])} received")
        await sending
        compressed[1] += wire.compressed
        wire.close()
    print(f"        {mode}: {messages} messages, {compressed[0]} of them compressed on the way there, "
          f"{compressed[1]} on the way back")
    assert compressed[0] > messages // 2 and compressed[1] > messages // 8, compressed


# Memory.

def resident(server):
    """The resident memory of the server, in bytes."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def peak(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


async def bombs(server, mode):
    """Sends a GiB of zeros in a MiB: the server allows 1 MiB."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(deflate.compress(bytes(MIB)) for _ in range(1000))
    bomb += deflate.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert len(bomb) < MIB, len(bomb)
    # A message of the largest size first, so that its memory is already counted.
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    allowed = (deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    wire = await Wire.open(server, ["permessage-deflate"])
    wire.writer.write(Wire.frame(0xC2, allowed))
    assert await wire.receive() == (2, bytes(MIB))
    before = peak(server)
    wire.close()
    for parts in [1, 2, 1000]:
        for first in [False, True]:
            wire = await Wire.open(server, ["permessage-deflate"])
            if first:
                # The message creates the context, if there is one.
                wire.writer.write(Wire.frame(0xC2, allowed))
                await wire.receive()
            size = len(bomb) // parts + 1
            for at in range(0, len(bomb), size):
                first_byte = (0x42 if at == 0 else 0) | (0x80 if at + size >= len(bomb) else 0)
                wire.writer.write(Wire.frame(first_byte, bomb[at:at + size]))
            assert await wire.receive() == (8, 1009)
            wire.close()
    grown = peak(server) - before
    print(f"        {mode}: the peak grew by {grown / 1024:.0f} KiB")
    assert grown < 4 * MIB, f"{grown} bytes more at the peak"


async def idle(program, mode, count):
    """Bytes for each of `count` connections that have echoed a compressed KiB."""
    arguments = [f"--deflate={mode}"] if mode else []
    async with Server(program, "--threads", "1", *arguments) as server:
        source = random.Random(SEED)
        message = text(1024, source).encode()[:1024]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        payload = (deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
        frame = Wire.frame(0xC2, payload) if mode else Wire.frame(0x82, message)

        async def one():
            wire = await Wire.open(server, [
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                "server_max_window_bits=15; client_max_window_bits=15, permessage-deflate; client_max_window_bits"
            ])
            assert (wire.answer is not None) == bool(mode)
            wire.writer.write(frame)
            assert await wire.receive() == (2, message)
            assert wire.compressed == bool(mode)
            return wire

        # Few at once: each handshake in progress has buffers, and the allocator keeps
        # the memory for the largest number of them.
        async def more(many):
            for _ in range(many // 5):
                wires.extend(await asyncio.gather(*(one() for _ in range(5))))

        wires = []
        await more(200)
        before = resident(server)
        await more(count)
        await asyncio.sleep(0.5)
        each = (resident(server) - before) / (len(wires) - 200)
        for wire in wires:
            wire.close()
        return each


async def idle_sockets_hold_nothing_of_it(program, count):
    without = await idle(program, None, count)
    shared = await idle(program, "shared", count)
    print(f"        {count} idle sockets: {without:.0f} bytes each, {shared:.0f} with shared compression")
    assert shared - without <= 120, f"{shared - without:.0f} bytes more"


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("echo")
    arguments.add_argument("--messages", type=int, default=4000)
    arguments.add_argument("--idle", type=int, default=2000)
    options = arguments.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    counts = {"passed": 0, "failed": 0}

    async def check(name, future):
        began = time.monotonic()
        try:
            await future
            counts["passed"] += 1
            print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as problem:
            counts["failed"] += 1
            print(f"FAILED  {name}: {type(problem).__name__}: {problem}", flush=True)

    for mode in ["shared", "dedicated"]:
        async with Server(options.echo, f"--deflate={mode}") as server:
            for function in [
                firefox_is_told_nothing_of_a_window_it_did_not_offer,
                the_first_acceptable_offer_wins,
                sixty_four_combinations_of_what_the_library_offers,
                a_window_of_8_bits_by_hand,
            ]:
                await check(f"{mode}: {function.__name__.replace('_', ' ')}", function(server))
            await check(f"{mode}: what goes there comes back, by another zlib",
                        differential(server, mode, options.messages // 2, SEED))
        async with Server(options.echo, f"--deflate={mode}", "--max-message", str(MIB), "--threads", "1") as server:
            await check(f"{mode}: bombs are closed with 1009 and cost no memory", bombs(server, mode))
    await check("idle sockets hold nothing of it", idle_sockets_hold_nothing_of_it(options.echo, options.idle))

    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


if __name__ == "__main__":
    asyncio.run(main())
