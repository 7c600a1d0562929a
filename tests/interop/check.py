#!/usr/bin/env python3
"""Talks to the example servers with Python's `websockets`, which shares no code
with this crate.

    check.py ECHO CHAT

ECHO and CHAT are the built examples.  Needs the package `websockets`
(tests/run installs it).  Prints a line for each check and at the end
`N passed, M failed`.
"""

import asyncio
import os
import re
import signal
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

# The time limit in seconds of each step, reached only when something hangs.
TIMEOUT = 20
MIB = 1024 * 1024


class Server:
    """A running server, on a port that the system chose."""

    def __init__(self, program, *arguments):
        self.command = [program, "--listen", "127.0.0.1:0", *arguments]

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE)
        try:
            while True:
                line = await asyncio.wait_for(self.process.stdout.readline(), TIMEOUT)
                if not line:
                    raise RuntimeError(f"{self.command[0]} ended before it listened")
                found = re.match(r"listening on http://(\S+)", line.decode())
                if found:
                    break
        except BaseException:
            await self.__aexit__()
            raise
        self.address = found.group(1).rstrip("/")
        return self

    def connect(self, path="/", **options):
        # Without a proxy, whatever the environment says.
        return connect(f"ws://{self.address}{path}",
                       **{"proxy": None, "open_timeout": TIMEOUT, "close_timeout": TIMEOUT,
                          "max_size": 64 * MIB, **options})

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def same(socket, message):
    await socket.send(message)
    answer = await asyncio.wait_for(socket.recv(), TIMEOUT)
    assert type(answer) is type(message), f"{type(message)} became {type(answer)}"
    assert answer == message, f"{len(message)} sent, another {len(answer)} received"


async def closed(socket):
    """The close frame that the server sent: (code, reason)."""
    try:
        while True:
            await asyncio.wait_for(socket.recv(), TIMEOUT)
    except ConnectionClosed as end:
        assert end.rcvd is not None, f"no close frame from the server: {end}"
        return end.rcvd.code, end.rcvd.reason


async def text_of_all_lengths(echo):
    async with echo.connect() as socket:
        for message in ["", "a", "grüße 🦀", "x" * 125, "x" * 126, "é" * 32767, "x" * 65535, "🦀" * 20000]:
            await same(socket, message)


async def binary_of_all_lengths(echo):
    async with echo.connect() as socket:
        for length in [0, 1, 125, 126, 127, 65535, 65536, 100_001]:
            await same(socket, os.urandom(length))


async def one_mebibyte_each_way(echo):
    async with echo.connect() as socket:
        await same(socket, os.urandom(MIB))
        await same(socket, "€" * (MIB // 3))


async def fragments_are_one_message(echo):
    async with echo.connect() as socket:
        for parts in [["one ", "", "two"], [b"\x00" * 70000, b"\x01", b"\x02" * 200], ["x"] * 5000]:
            await socket.send(parts)
            answer = await asyncio.wait_for(socket.recv(), TIMEOUT)
            assert answer == type(parts[0])().join(parts)
        # A character that is cut, and a ping between the fragments.
        crab = "🦀".encode()

        async def cut():
            yield crab[:1]
            await (await socket.ping())
            yield crab[1:3]
            yield crab[3:]

        await socket.send(cut(), text=True)
        assert await asyncio.wait_for(socket.recv(), TIMEOUT) == "🦀"


async def many_messages_in_order(echo):
    async with echo.connect() as socket:
        for i in range(500):
            await socket.send(f"{i}")
        answers = [await asyncio.wait_for(socket.recv(), TIMEOUT) for _ in range(500)]
        assert answers == [f"{i}" for i in range(500)]


async def pings_are_answered_with_their_payload(echo):
    async with echo.connect(ping_interval=None) as socket:
        for payload in [b"", b"payload", os.urandom(125)]:
            pong = await socket.ping(payload)
            latency = await asyncio.wait_for(pong, TIMEOUT)
            assert 0 < latency < TIMEOUT, latency
        # An unsolicited pong is valid (RFC 6455, section 5.5.3).
        await socket.pong(b"unasked")
        await same(socket, "still here")


async def our_close_code_comes_back(echo):
    for code, reason in [(1000, ""), (1001, "going"), (3000, "registered"), (4999, "é" * 61)]:
        async with echo.connect() as socket:
            await same(socket, "before")
            await socket.close(code, reason)
            received = socket.protocol.close_rcvd
            assert received is not None, f"{code} was not answered"
            assert received.code == code, f"{code} was answered with {received.code}"


async def a_message_over_the_limit_is_closed_with_1009(program):
    async with Server(program, "--max-message", "1000") as echo:
        async with echo.connect() as socket:
            await same(socket, "x" * 1000)
            await socket.send("x" * 1001)
            code, _ = await closed(socket)
            assert code == 1009, code
        async with echo.connect() as socket:
            await socket.send(["x" * 600, "x" * 600])
            code, _ = await closed(socket)
            assert code == 1009, code


async def a_message_over_our_limit_ends_this_connection_only(echo):
    async with echo.connect() as other:
        async with echo.connect(max_size=100) as socket:
            await socket.send("x" * 101)
            try:
                await asyncio.wait_for(socket.recv(), TIMEOUT)
                raise AssertionError("received in spite of our own limit")
            except ConnectionClosed as end:
                # After failing the connection, the library does not wait for an answer.
                assert end.sent.code == 1009, end
        await same(other, "still here")


async def text_that_is_no_utf8_is_closed_with_1007(echo):
    async with echo.connect() as socket:
        await socket.send(b"\xc0\xaf", text=True)
        code, _ = await closed(socket)
        assert code == 1007, code


async def a_reserved_opcode_is_closed_with_1002(echo):
    async with echo.connect() as socket:
        # A masked frame with opcode 3, which is reserved.
        socket.transport.write(b"\x83\x80\x00\x00\x00\x00")
        code, _ = await closed(socket)
        assert code == 1002, code


async def a_server_that_stops_says_1001(program):
    async with Server(program) as echo:
        async with echo.connect() as first, echo.connect() as second:
            await same(first, "before")
            await same(second, "before")
            echo.stop()
            codes = [(await closed(socket))[0] for socket in (first, second)]
            assert codes == [1001, 1001], codes
        status = await asyncio.wait_for(echo.process.wait(), TIMEOUT)
        assert status == 0, f"ended with status {status}"


async def compression_that_is_offered_is_declined(echo):
    async with echo.connect(compression="deflate") as socket:
        assert "Sec-WebSocket-Extensions" in socket.request.headers
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        await same(socket, "x" * 5000)


async def no_subprotocol_unless_one_is_chosen(echo):
    for offered in [None, ["chat.v1", "chat.v2"]]:
        async with echo.connect(subprotocols=offered) as socket:
            assert socket.subprotocol is None, socket.subprotocol
            assert "Sec-WebSocket-Protocol" not in socket.response.headers
            await same(socket, "without")


async def any_path_has_a_socket_in_echo(echo):
    for path in ["/", "/some/where?room=1&name=%C3%A9"]:
        async with echo.connect(path) as socket:
            await same(socket, path)


async def a_foreign_origin_is_refused_with_403(chat):
    try:
        async with chat.connect("/ws", origin="https://evil.example"):
            raise AssertionError("accepted")
    except InvalidStatus as refusal:
        response = refusal.response
    assert response.status_code == 403, response.status_code
    text = response.body.decode()
    assert "evil.example" in text and chat.address in text, text
    async with chat.connect("/ws", origin=f"http://{chat.address}"):
        pass


async def a_hundred_clients_at_once(echo):
    async def client(number):
        async with echo.connect() as socket:
            for i in range(20):
                await same(socket, f"{number}:{i} " + "x" * (number * 37))
            await same(socket, os.urandom(number * 211))

    await asyncio.gather(*(client(number) for number in range(100)))


async def messages_sent_after_the_close_frame_are_no_harm(echo):
    async with echo.connect() as other:
        async with echo.connect() as socket:
            await same(socket, "before")
            # A close frame (1000) and a text frame in one write.
            mask = b"\x00\x00\x00\x00"
            socket.transport.write(b"\x88\x82" + mask + b"\x03\xe8" + b"\x81\x81" + mask + b"x")
            # The library did not send that close frame, so it reports the server's.
            code, _ = await closed(socket)
            assert code == 1000, code
        await same(other, "still here")


async def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, chat_program = sys.argv[1:]
    counts = {"passed": 0, "failed": 0}

    async def check(function, argument):
        name = function.__name__.replace("_", " ")
        try:
            await asyncio.wait_for(function(argument), 3 * TIMEOUT)
            counts["passed"] += 1
            print(f"ok      {name}", flush=True)
        except Exception as problem:
            counts["failed"] += 1
            print(f"FAILED  {name}: {type(problem).__name__}: {problem}", flush=True)

    async with Server(program) as echo:
        for function in [
            text_of_all_lengths, binary_of_all_lengths, one_mebibyte_each_way,
            fragments_are_one_message, many_messages_in_order,
            pings_are_answered_with_their_payload, our_close_code_comes_back,
            a_message_over_our_limit_ends_this_connection_only,
            text_that_is_no_utf8_is_closed_with_1007, a_reserved_opcode_is_closed_with_1002,
            messages_sent_after_the_close_frame_are_no_harm,
            compression_that_is_offered_is_declined, no_subprotocol_unless_one_is_chosen,
            any_path_has_a_socket_in_echo, a_hundred_clients_at_once,
        ]:
            await check(function, echo)
    await check(a_message_over_the_limit_is_closed_with_1009, program)
    await check(a_server_that_stops_says_1001, program)
    async with Server(chat_program) as chat:
        await check(a_foreign_origin_is_refused_with_403, chat)

    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


if __name__ == "__main__":
    asyncio.run(main())
