#!/usr/bin/env python3
"""WebSockets over HTTP/2 (RFC 8441) against another implementation of HTTP/2,
and against hostile clients.

    http2.py ECHO

ECHO is the built example.  Conversations go through the package `h2`
(tests/run installs it), attacks through frames written here; the frames of
RFC 6455 are written here too.  Prints a line for each check and at the end
`N passed, M failed`.
"""

import asyncio
import contextlib
import os
import pathlib
import struct
import sys
import time
import zlib

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check import TIMEOUT, Server, same  # noqa: E402

KIB = 1024
MIB = 1024 * KIB
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

# RFC 9113, section 6, and the codes of section 7.
DATA, HEADERS, RST_STREAM, SETTINGS, HTTP2_PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL, ENHANCE_YOUR_CALM = 8, 11


def handshake(path="/", **more):
    """The fields of RFC 8441, section 5.1."""
    fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
              (":authority", "localhost"), ("sec-websocket-version", "13")]
    return fields + [(name.replace("_", "-"), value) for name, value in more.items()]


def frame(opcode, payload=b"", first=0x80):
    """A frame of a client (RFC 6455, section 5.2)."""
    length, key = len(payload), os.urandom(4)
    head = bytes([first | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 1 << 16:
        head += struct.pack("!BH", 0xFE, length)
    else:
        head += struct.pack("!BQ", 0xFF, length)
    mask = (key * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + key + masked.to_bytes(length, "big")


def closing(code):
    return frame(CLOSE, struct.pack("!H", code))


class Connection:
    """One HTTP/2 connection, with the rules of the package `h2`."""

    opened = []

    @classmethod
    async def open(cls, server):
        self = cls()
        cls.opened.append(self)
        host, port = server.address.rsplit(":", 1)
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.queues, self.progress, self.ready = {}, asyncio.Condition(), asyncio.Event()
        self.flush()
        self.pump = asyncio.create_task(self.receive())
        await asyncio.wait_for(self.ready.wait(), TIMEOUT)
        return self

    def flush(self):
        self.writer.write(self.h2.data_to_send())

    async def receive(self):
        while data := await self.reader.read(64 * KIB):
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    self.ready.set()
                if isinstance(event, h2.events.DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                queue = self.queues.get(getattr(event, "stream_id", None))
                if queue:
                    queue.put_nowait(event)
            self.flush()
            async with self.progress:
                self.progress.notify_all()
        for queue in self.queues.values():
            queue.put_nowait(None)

    async def request(self, fields, end):
        stream = self.h2.get_next_available_stream_id()
        self.queues[stream] = asyncio.Queue()
        self.h2.send_headers(stream, fields, end_stream=end)
        self.flush()
        event = await asyncio.wait_for(self.queues[stream].get(), TIMEOUT)
        assert isinstance(event, h2.events.ResponseReceived), event
        return stream, dict(event.headers)

    async def get(self, path="/"):
        fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        stream, headers = await self.request(fields, True)
        return headers[":status"], await self.body(stream)

    async def body(self, stream):
        body = b""
        while not isinstance(event := await asyncio.wait_for(self.queues[stream].get(), TIMEOUT),
                             h2.events.StreamEnded):
            body += getattr(event, "data", b"")
        return body.decode()

    async def socket(self, fields=None):
        stream, headers = await self.request(fields or handshake(), False)
        assert headers[":status"] == "200", headers
        return Socket(self, stream, headers)

    @classmethod
    def close_all(cls):
        for connection in cls.opened:
            connection.pump.cancel()
            connection.writer.close()
        cls.opened.clear()


class Socket:
    def __init__(self, connection, stream, headers):
        self.connection, self.stream, self.headers = connection, stream, headers
        self.buffer, self.ended = b"", False

    async def send(self, data, piece=None):
        """Sends in DATA frames of at most `piece` bytes, as the window allows."""
        h2 = self.connection.h2
        while data:
            async with self.connection.progress:
                await asyncio.wait_for(self.connection.progress.wait_for(
                    lambda: h2.local_flow_control_window(self.stream) > 0), TIMEOUT)
            most = min(h2.local_flow_control_window(self.stream), h2.max_outbound_frame_size, piece or MIB)
            h2.send_data(self.stream, data[:most])
            data = data[most:]
            self.connection.flush()
            await self.connection.writer.drain()

    async def exactly(self, count):
        while len(self.buffer) < count:
            event = await asyncio.wait_for(self.connection.queues[self.stream].get(), TIMEOUT)
            if isinstance(event, h2.events.DataReceived):
                self.buffer += event.data
            elif event is None or isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                raise EOFError(event)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    async def receive(self):
        """The first byte, opcode included, and the payload of the next frame."""
        first, length = await self.exactly(2)
        assert length < 0x80 and not (length == 127 and first < 0x80), "a server does not mask"
        if length == 126:
            length = int.from_bytes(await self.exactly(2), "big")
            assert length >= 126
        elif length == 127:
            length = int.from_bytes(await self.exactly(8), "big")
            assert length >= 1 << 16
        return first, await self.exactly(length)

    async def echoes(self, opcode, payload, piece=None):
        sending = asyncio.create_task(self.send(frame(opcode, payload), piece))
        first, answer = await self.receive()
        await sending
        assert first == 0x80 | opcode and answer == payload, (first, len(answer))

    async def close(self, code=1000):
        await self.send(closing(code))
        assert await self.receive() == (0x88, struct.pack("!H", code))
        await self.end()

    async def end(self):
        """Waits until the server ends its half of the stream, and ends the other half."""
        event = await asyncio.wait_for(self.connection.queues[self.stream].get(), TIMEOUT)
        while isinstance(event, h2.events.DataReceived) and not event.data:
            event = await asyncio.wait_for(self.connection.queues[self.stream].get(), TIMEOUT)
        assert isinstance(event, h2.events.StreamEnded), event
        # A proxy may already have dropped the stream.
        with contextlib.suppress(h2.exceptions.StreamClosedError):
            self.connection.h2.end_stream(self.stream)
        self.connection.flush()


# ---- Conversations.


async def the_answer_is_200_with_nothing_of_http_1(echo):
    connection = await Connection.open(echo)
    assert connection.h2.remote_settings.enable_connect_protocol == 1
    socket = await connection.socket()
    for absent in ["sec-websocket-accept", "upgrade", "connection", "content-length", "transfer-encoding"]:
        assert absent not in socket.headers, socket.headers
    await socket.echoes(TEXT, "grüße 🦀".encode())
    await socket.close()


async def messages_of_all_lengths_in_data_frames_of_all_lengths(echo):
    connection = await Connection.open(echo)
    socket = await connection.socket()
    for length in [0, 1, 125, 126, 127, 65535, 65536, MIB]:
        await socket.echoes(BINARY, os.urandom(length))
    for piece in [1, 2, 3, 7, 100]:
        await socket.echoes(BINARY, os.urandom(1000), piece)
    await socket.send(frame(PING, b"?") + frame(TEXT, b"a", 0) + frame(0, b"b"))
    assert await socket.receive() == (0x8A, b"?")
    assert await socket.receive() == (0x81, b"ab")
    await socket.close(4321)


async def a_hundred_sockets_and_requests_between_them(echo):
    connection = await Connection.open(echo)
    sockets = [await connection.socket(handshake(f"/{number}")) for number in range(100)]

    async def talk(socket, number):
        for turn in range(20):
            await socket.echoes(TEXT, f"{number} {turn}".encode())
        await socket.echoes(BINARY, os.urandom(20_000))

    async def look():
        for _ in range(50):
            assert (await connection.get())[0] == "404"

    await asyncio.gather(look(), *(talk(socket, number) for number, socket in enumerate(sockets)))
    for socket in sockets:
        await socket.close()
    assert (await connection.get())[0] == "404"


async def refusals_have_a_status_that_http_2_knows(echo):
    connection = await Connection.open(echo)
    bad = [
        (handshake()[:-1], "400", "missing `Sec-WebSocket-Version` header"),
        (handshake()[:-1] + [("sec-websocket-version", "8")], "400", "got `8`, expected `13`"),
        (handshake(sec_websocket_protocol="a,b c"), "400", "expected a list of tokens"),
        (handshake(sec_websocket_extensions="=,;"), "400", "Sec-WebSocket-Extensions"),
    ]
    for fields, status, reason in bad:
        stream, headers = await connection.request(fields, False)
        text = await connection.body(stream)
        assert headers[":status"] == status and reason in text, (headers, text)
        assert "upgrade" not in headers and "connection" not in headers, headers
        if "Version" in reason or "`13`" in reason:
            assert headers["sec-websocket-version"] == "13"
    # A protocol other than websocket is refused.
    other = [(name, "connect-udp" if name == ":protocol" else value) for name, value in handshake()]
    assert (await connection.request(other, False))[1][":status"] == "404"
    await (await connection.socket()).echoes(TEXT, b"after all that")


async def messages_are_compressed_as_was_agreed_on(echo):
    connection = await Connection.open(echo)
    socket = await connection.socket(handshake(sec_websocket_extensions="permessage-deflate"))
    assert socket.headers["sec-websocket-extensions"].startswith("permessage-deflate"), socket.headers
    text = b"all work and no play makes Jack a dull boy; " * 1000
    deflate = zlib.compressobj(wbits=-15)
    compressed = (deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    await socket.send(frame(TEXT, compressed, 0xC0))
    first, answer = await socket.receive()
    assert first == 0xC1 and len(answer) < 1000, (first, len(answer))
    assert zlib.decompressobj(wbits=-15).decompress(answer + b"\0\0\xff\xff") == text


async def a_server_that_stops_closes_every_stream_with_1001(program):
    async with Server(program) as echo:
        connection = await Connection.open(echo)
        sockets = [await connection.socket() for _ in range(20)]
        await sockets[0].echoes(TEXT, b"hello")
        echo.stop()
        for socket in sockets:
            assert await socket.receive() == (0x88, struct.pack("!H", 1001))
            await socket.send(closing(1001))
        for socket in sockets:
            await socket.end()
        assert await asyncio.wait_for(echo.process.wait(), TIMEOUT) == 0


# ---- Attacks: after each of them the server still answers other clients.


class Wire:
    """One HTTP/2 connection with frames by hand, without any rules."""

    @classmethod
    async def open(cls, server, settings=()):
        self = cls()
        host, port = server.address.rsplit(":", 1)
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.put(SETTINGS, 0, 0, b"".join(struct.pack("!HI", name, value) for name, value in settings))
        assert (await self.next_of(SETTINGS))[1] == 0
        self.put(SETTINGS, ACK, 0)
        return self

    def raw(self, data):
        # `drain` notices when the server has disconnected.
        if not self.writer.is_closing():
            self.writer.write(data)

    def put(self, kind, flags, stream, payload=b""):
        self.raw(len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload)

    def block(self, fields):
        return self.encoder.encode(fields)

    def ask(self, stream, fields=None):
        self.put(HEADERS, END_HEADERS, stream, self.block(fields or handshake()))

    async def next(self):
        """The next frame: kind, flags, stream, payload; None at the end of input."""
        try:
            head = await asyncio.wait_for(self.reader.readexactly(9), TIMEOUT)
            payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        kind, flags, stream = struct.unpack("!BBI", head[3:])
        return kind, flags, stream, payload

    async def next_of(self, *kinds):
        while (frame := await self.next()) is not None:
            if frame[0] in kinds:
                return frame
        raise EOFError("the server has left")

    async def status(self, stream):
        kind, _, of, block = await self.next_of(HEADERS, RST_STREAM, GOAWAY)
        if kind != HEADERS:
            return {RST_STREAM: "reset", GOAWAY: "goaway"}[kind]
        assert of == stream, (of, stream)
        return dict(self.decoder.decode(block))[":status"]

    async def end(self):
        """The code of the GOAWAY with which the server ended the connection."""
        code = None
        while (frame := await self.next()) is not None:
            if frame[0] == GOAWAY:
                code = int.from_bytes(frame[3][4:8], "big")
        return code

    async def drain(self):
        await asyncio.wait_for(self.writer.drain(), TIMEOUT)

    def cut(self):
        self.writer.transport.abort()


def memory(server):
    """The resident memory of the server, in bytes."""
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def a_window_that_stays_shut_costs_no_more_than_its_limits(echo):
    before = memory(echo)
    wires = []
    for _ in range(2):
        wire = await Wire.open(echo, [(4, 0)])
        wires.append(wire)
        for number in range(100):
            stream = 2 * number + 1
            wire.ask(stream)
            assert await wire.status(stream) == "200"
            # As much as a stream may send, without reading any of the echo.
            for _ in range(60):
                wire.put(DATA, 0, stream, frame(BINARY, bytes(1000)))
        await wire.drain()
    await asyncio.sleep(0.5)
    grown = (memory(echo) - before) / 200
    assert grown < 512 * KIB, f"{grown / KIB:.0f} KiB for each socket"
    print(f"        {grown / KIB:.0f} KiB for each socket whose window is shut")
    # The sockets were only waiting.
    wire = wires[0]
    wire.put(WINDOW_UPDATE, 0, 0, struct.pack("!I", 1 << 30))
    wire.put(WINDOW_UPDATE, 0, 1, struct.pack("!I", 1 << 30))
    echoed = 0
    while echoed < 60 * 1004:
        _, _, stream, payload = await wire.next_of(DATA)
        assert stream == 1
        echoed += len(payload)
    for wire in wires:
        wire.cut()


async def streams_that_are_reset_at_any_stage_are_gone(echo):
    wire = await Wire.open(echo)
    stages = [
        [],
        [frame(TEXT, b"hello")],
        [frame(TEXT, b"hello")[:1]],
        [frame(TEXT, b"hello")[:9]],
        [frame(BINARY, bytes(60_000))[:16_000]],
        [closing(1000)],
    ]
    stream = 1
    for code in [0, 1, 2, 5, CANCEL, 0xFFFF_FFFF]:
        for sent in stages:
            wire.ask(stream)
            for data in sent:
                wire.put(DATA, 0, stream, data)
            assert await wire.status(stream) == "200"
            wire.put(RST_STREAM, 0, stream, struct.pack("!I", code))
            stream += 2
    wire.ask(stream)
    assert await wire.status(stream) == "200"
    wire.cut()


async def a_flood_of_resets_is_ended(echo):
    """CVE-2023-44487: hyper's code, in this server's process."""
    wire = await Wire.open(echo)
    for number in range(20_000):
        wire.ask(2 * number + 1)
        wire.put(RST_STREAM, 0, 2 * number + 1, struct.pack("!I", CANCEL))
    try:
        await wire.drain()
    except ConnectionError:
        pass
    assert await wire.end() in (ENHANCE_YOUR_CALM, None)


async def data_beyond_the_window_ends_the_stream(echo):
    wire = await Wire.open(echo, [(4, 0)])
    wire.ask(1)
    assert await wire.status(1) == "200"
    try:
        for _ in range(2000):
            wire.put(DATA, 0, 1, frame(BINARY, bytes(16_000)))
            await wire.drain()
    except ConnectionError:
        pass
    # FLOW_CONTROL_ERROR, on the stream or on the connection.
    kind, _, _, payload = await wire.next_of(RST_STREAM, GOAWAY)
    code = payload[:4] if kind == RST_STREAM else payload[4:8]
    assert int.from_bytes(code, "big") == 3, payload
    wire.cut()


async def data_frames_of_a_byte_are_served_or_the_connection_ended(echo):
    wire = await Wire.open(echo)
    wire.ask(1)
    assert await wire.status(1) == "200"
    before = memory(echo)
    messages = b"".join(frame(TEXT, b"x") for _ in range(30_000 // 7))
    for byte in messages:
        wire.put(DATA, 0, 1, bytes([byte]))
    try:
        await wire.drain()
        echoed = b""
        while len(echoed) < 3 * (30_000 // 7):
            kind, _, _, payload = await wire.next_of(DATA, GOAWAY)
            if kind == GOAWAY:
                assert int.from_bytes(payload[4:8], "big") == ENHANCE_YOUR_CALM
                break
            echoed += payload
            wire.put(WINDOW_UPDATE, 0, 0, struct.pack("!I", len(payload) or 1))
    except (ConnectionError, EOFError):
        pass
    assert memory(echo) - before < 16 * MIB, memory(echo) - before
    wire.cut()


async def a_flood_of_empty_data_frames_is_ended(echo):
    wire = await Wire.open(echo)
    wire.ask(1)
    assert await wire.status(1) == "200"
    before = memory(echo)
    try:
        for _ in range(20):
            for _ in range(10_000):
                wire.put(DATA, 0, 1)
            await wire.drain()
    except ConnectionError:
        pass
    assert await wire.end() in (ENHANCE_YOUR_CALM, None)
    assert memory(echo) - before < 16 * MIB


async def headers_may_come_in_pieces_but_not_without_end(echo):
    wire = await Wire.open(echo)
    block = wire.block(handshake())
    wire.put(HEADERS, 0, 1, block[:1])
    wire.put(CONTINUATION, 0, 1, b"")
    wire.put(CONTINUATION, 0, 1, block[1:20])
    wire.put(CONTINUATION, END_HEADERS, 1, block[20:])
    assert await wire.status(1) == "200"

    before = memory(echo)
    wire.put(HEADERS, 0, 3, wire.block(handshake()))
    try:
        for _ in range(2000):
            wire.put(CONTINUATION, 0, 3, wire.encoder.encode([("x", "y" * 8000)], huffman=False))
            await wire.drain()
    except ConnectionError:
        pass
    await wire.end()
    assert memory(echo) - before < 16 * MIB, memory(echo) - before


async def a_bad_protocol_ends_its_stream_and_no_other(echo):
    good = handshake()

    def but(drop=(), add=(), **change):
        changed = [(name, change.get(name.lstrip(":"), value)) for name, value in good if name not in drop]
        return changed + list(add)

    bad = [
        but(method="GET"), but(method="POST"),
        but(add=[(":protocol", "websocket")]),
        but(drop=[":protocol"], add=[(":protocol", "websocket")]),
        but(drop=[":path"]), but(drop=[":scheme"]), but(drop=[":authority"]),
        but(path=""), but(protocol=""), but(protocol="web socket"), but(protocol="websocket\0"),
        but(protocol="WEBSOCKET"), but(protocol="w" * 5000),
        but(add=[("connection", "upgrade")]), but(add=[("upgrade", "websocket")]),
        but(add=[("transfer-encoding", "chunked")]), but(add=[("Sec-WebSocket-Protocol", "a")]),
    ]
    for fields in bad:
        wire = await Wire.open(echo)
        wire.ask(1)
        assert await wire.status(1) == "200"
        wire.ask(3, fields)
        status = await wire.status(3)
        assert status != "200", fields
        if status != "goaway":
            wire.put(DATA, 0, 1, frame(TEXT, b"still here"))
            while (await wire.next_of(DATA))[3] != b"\x81\x0astill here":
                pass
        wire.cut()


async def a_stream_that_ends_within_a_frame_is_ended(echo):
    wire = await Wire.open(echo)
    whole = frame(TEXT, b"hello")
    for length in range(1, len(whole)):
        stream = 2 * length - 1
        wire.ask(stream)
        wire.put(DATA, END_STREAM, stream, whole[:length])
        assert await wire.status(stream) == "200"
        kind, flags, of, payload = await wire.next_of(DATA, RST_STREAM)
        assert (kind, flags, of, payload) == (DATA, END_STREAM, stream, b""), (kind, flags, of, payload)
    wire.cut()


async def a_client_that_sends_goaway_keeps_its_sockets(echo):
    wire = await Wire.open(echo)
    wire.ask(1)
    assert await wire.status(1) == "200"
    wire.put(GOAWAY, 0, 0, bytes(8))
    wire.put(DATA, 0, 1, frame(TEXT, b"hello") + closing(1000))
    received = b""
    while len(received) < 11:
        received += (await wire.next_of(DATA))[3]
    assert received == b"\x81\x05hello\x88\x02\x03\xe8", received
    wire.cut()


async def connections_that_vanish_leave_nothing(echo):
    before = memory(echo)
    for _ in range(20):
        wire = await Wire.open(echo)
        for number in range(100):
            wire.ask(2 * number + 1)
            wire.put(DATA, 0, 2 * number + 1, frame(BINARY, bytes(500)))
        await wire.drain()
        await wire.next_of(DATA)
        wire.cut()
    await asyncio.sleep(0.3)
    assert memory(echo) - before < 32 * MIB, memory(echo) - before


async def other_clients(echo):
    """A socket on each HTTP version, which the attacks must not affect."""
    async with echo.connect() as socket:
        await same(socket, "over HTTP/1.1")
    connection = await Connection.open(echo)
    socket = await connection.socket()
    await socket.echoes(TEXT, b"over HTTP/2")
    await socket.close()


async def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = sys.argv[1]
    counts = {"passed": 0, "failed": 0}

    async def check(function, argument, afterwards=None):
        name = function.__name__.replace("_", " ")
        began = time.monotonic()
        try:
            await asyncio.wait_for(function(argument), 3 * TIMEOUT)
            if afterwards:
                await asyncio.wait_for(afterwards(argument), TIMEOUT)
            counts["passed"] += 1
            print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as problem:
            counts["failed"] += 1
            print(f"FAILED  {name}: {type(problem).__name__}: {problem}", flush=True)
        finally:
            Connection.close_all()

    async with Server(program, "--deflate") as echo:
        for function in [
            the_answer_is_200_with_nothing_of_http_1,
            messages_of_all_lengths_in_data_frames_of_all_lengths,
            a_hundred_sockets_and_requests_between_them,
            refusals_have_a_status_that_http_2_knows,
            messages_are_compressed_as_was_agreed_on,
        ]:
            await check(function, echo)
    await check(a_server_that_stops_closes_every_stream_with_1001, program)
    async with Server(program) as echo:
        for function in [
            streams_that_are_reset_at_any_stage_are_gone,
            a_flood_of_resets_is_ended,
            data_beyond_the_window_ends_the_stream,
            data_frames_of_a_byte_are_served_or_the_connection_ended,
            a_flood_of_empty_data_frames_is_ended,
            headers_may_come_in_pieces_but_not_without_end,
            a_bad_protocol_ends_its_stream_and_no_other,
            a_stream_that_ends_within_a_frame_is_ended,
            a_client_that_sends_goaway_keeps_its_sockets,
            connections_that_vanish_leave_nothing,
            a_window_that_stays_shut_costs_no_more_than_its_limits,
        ]:
            await check(function, echo, other_clients)

    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


if __name__ == "__main__":
    asyncio.run(main())
