#!/usr/bin/env python3
"""Runs the example `client` from the command line, against servers that share no code
with this crate (Python's `websockets`, Node's `ws`), over TLS, and through
proxies (tinyproxy, microsocks).

    client.py CLIENT TLS

CLIENT and TLS are the built examples.  Needs the Python package `websockets`,
node with `ws`, tinyproxy and microsocks (tests/run installs them).  Prints a
line for each check and at the end `N passed, M failed`.
"""

import asyncio
import contextlib
import http
import json
import os
import pathlib
import re
import socket
import sys
import tempfile

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

# The time limit in seconds of each step, reached only when something hangs.
TIMEOUT = 20
HERE = pathlib.Path(__file__).resolve().parent
GOOD, BAD_END, REFUSED = 0, 1, 3


class Ran:
    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors.decode()

    def ended(self, status, *words):
        assert self.status == status, f"status {self.status}, not {status}: {self.errors}"
        for word in words:
            assert word in self.errors, f"no {word!r} in {self.errors!r}"
        assert "\x1b" not in self.errors, "colours, though this is not a terminal"


async def client(*arguments, typed=b"", **environment):
    process = await asyncio.create_subprocess_exec(
        sys.argv[1], *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment})
    try:
        output, errors = await asyncio.wait_for(process.communicate(typed), TIMEOUT)
    except BaseException:
        process.kill()
        raise
    return Ran(process.returncode, output, errors)


def after(count):
    """The options to close after `count` messages, however long they take."""
    return ["--count", str(count), "--wait", str(TIMEOUT)]


@contextlib.asynccontextmanager
async def program(*command, pattern, stream="stdout", **options):
    """A running program, and the line that it printed when it was ready."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, **{"stdout": asyncio.subprocess.PIPE, **options})
    try:
        found, read = None, getattr(process, stream)
        while pattern and not found:
            line = await asyncio.wait_for(read.readline(), TIMEOUT)
            if not line:
                raise RuntimeError(f"{command[0]} ended before it was ready")
            found = re.search(pattern, line.decode())
        yield process, found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def echo(connection):
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


@contextlib.asynccontextmanager
async def python(handler=echo, **options):
    options = {"compression": None, "max_size": None, **options}
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server.sockets[0].getsockname()[1]


# Python's websockets.

async def lines_go_in_and_messages_come_out():
    async with python() as port:
        typed = "".join(f"line {i} é\n" for i in range(2000)).encode()
        ran = await client(*after(2000), f"ws://127.0.0.1:{port}/", typed=typed)
        ran.ended(GOOD, "connected", "closed by this side: 1000")
        assert ran.output == typed, f"{len(ran.output)} of {len(typed)} bytes"


async def the_last_line_needs_no_end():
    async with python() as port:
        ran = await client(f"http://127.0.0.1:{port}", typed=b"a\r\n\nb")
        ran.ended(GOOD)
        assert ran.output == b"a\n\nb\n", ran.output


async def a_large_input_does_not_wait_for_its_echo():
    async with python() as port:
        typed = b"".join(b"%d" % i * 5000 + b"\n" for i in range(1000, 1500))
        ran = await client(*after(500), f"ws://127.0.0.1:{port}/", typed=typed)
        ran.ended(GOOD)
        assert ran.output == typed, f"{len(ran.output)} of {len(typed)} bytes"


async def binary_messages_are_written_as_they_are():
    kinds = []

    async def handler(connection):
        async for message in connection:
            kinds.append(type(message))
            await connection.send(bytes(reversed(message)))

    async with python(handler) as port:
        ran = await client("--binary", f"ws://127.0.0.1:{port}/", typed=b"\x00\xff\x80\nabc\n")
        ran.ended(GOOD)
        assert ran.output == b"\x80\xff\x00cba", ran.output
        assert kinds == [bytes, bytes], kinds


async def a_binary_message_that_was_not_expected_is_shown_in_digits():
    async def handler(connection):
        await connection.send(b"\x00\x1b")

    async with python(handler) as port:
        ran = await client("--no-input", f"ws://127.0.0.1:{port}/")
        ran.ended(GOOD)
        assert ran.output == b"2 bytes: 001b\n", ran.output


async def the_server_sees_fields_origin_user_and_subprotocols():
    seen = {}

    async def handler(connection):
        seen.update(connection.request.headers.raw_items())
        await connection.send(connection.subprotocol)

    async with python(handler, subprotocols=["chat.v1"], origins=["https://example.com"]) as port:
        ran = await client("-H", "X-Mine: a: b", "--header", "Cookie: c=d", "--origin", "https://example.com",
                           "--protocol", "chat.v2", "--protocol", "chat.v1", "--verbose", "--no-input",
                           f"ws://me:pass%20word@127.0.0.1:{port}/")
        ran.ended(GOOD, "subprotocol chat.v1", "101 Switching Protocols", "sec-websocket-protocol: chat.v1")
    assert ran.output == b"chat.v1\n", ran.output
    seen = {name.lower(): value for name, value in seen.items()}
    assert seen["x-mine"] == "a: b" and seen["cookie"] == "c=d", seen
    assert seen["authorization"] == "Basic bWU6cGFzcyB3b3Jk", seen
    assert seen["host"] == f"127.0.0.1:{port}", seen


async def compression_of_both_kinds():
    typed = b"".join(b"%d and so on, and so on" % i * 200 + b"\n" for i in range(300))
    for mode in ["--deflate", "--deflate=dedicated"]:
        extensions = []

        async def handler(connection):
            extensions.append(connection.response.headers.get("Sec-WebSocket-Extensions", ""))
            await echo(connection)

        async with python(handler, compression="deflate") as port:
            ran = await client(*after(300), mode, f"ws://127.0.0.1:{port}/", typed=typed)
            ran.ended(GOOD)
            assert ran.output == typed, f"{len(ran.output)} of {len(typed)} bytes"
            assert extensions[0].startswith("permessage-deflate"), extensions
            # Compression is not offered, so it is not negotiated.
            ran = await client(f"ws://127.0.0.1:{port}/", typed=b"x\n")
            assert ran.output == b"x\n" and extensions[1] == "", extensions


async def fragments_and_pings_of_the_server():
    async def handler(connection):
        await connection.send(iter(["one ", "message ", "in parts"]))
        latency = await asyncio.wait_for(await connection.ping(b"are you there?"), TIMEOUT)
        await connection.send(f"answered {latency >= 0}")

    async with python(handler) as port:
        ran = await client("--no-input", f"ws://127.0.0.1:{port}/")
        ran.ended(GOOD)
        assert ran.output == b"one message in parts\nanswered True\n", ran.output


async def the_close_code_decides_on_the_exit_status():
    for code, reason, status in [(1000, "", GOOD), (1001, "restart", GOOD), (1011, "broken", BAD_END),
                                 (4321, "go\x1b away", BAD_END)]:
        async def handler(connection):
            await connection.close(code, reason)

        async with python(handler) as port:
            ran = await client("--no-input", f"ws://127.0.0.1:{port}/")
            ran.ended(status, f"closed by the peer: {code}")


async def a_server_that_vanishes_is_no_good_end():
    async def handler(connection):
        connection.transport.abort()

    async with python(handler) as port:
        ran = await client("--no-input", f"ws://127.0.0.1:{port}/")
        ran.ended(BAD_END, "lost")


async def a_message_that_is_too_large_is_refused():
    async def handler(connection):
        await connection.send("x" * 2000)
        try:
            await connection.recv()
        except ConnectionClosed as end:
            codes.append(end.rcvd and end.rcvd.code)

    codes = []
    async with python(handler) as port:
        ran = await client("--max-message", "1000", "--no-input", f"ws://127.0.0.1:{port}/")
        ran.ended(BAD_END, "1000 bytes")
    assert codes == [1009], codes


async def json_is_shown_over_several_lines():
    value = {"z": [1, 2.5, None], "a": {"é": "\u0007"}}

    async def handler(connection):
        await connection.send(json.dumps(value))
        await connection.send("no JSON")

    async with python(handler) as port:
        ran = await client("--json", "--no-input", f"ws://127.0.0.1:{port}/")
        ran.ended(GOOD)
    text, end = ran.output.decode().rsplit("no JSON\n", 1)
    assert json.loads(text) == value and len(text.splitlines()) > 5 and end == "", text
    assert text.index('"z"') < text.index('"a"'), f"the order is another one: {text}"


async def ping_says_how_fast_the_server_answers():
    async def handler(connection):
        await asyncio.sleep(1.5)

    async with python(handler) as port:
        ran = await client("--ping=0.2", "--no-input", f"ws://127.0.0.1:{port}/")
        ran.ended(GOOD, "answers a ping within")


async def answers_are_waited_for_and_not_for_ever():
    async def handler(connection):
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                for _ in range(4):
                    await asyncio.sleep(0.4)
                    await connection.send(message)

    async with python(handler) as port:
        ran = await client("--wait", "2", f"ws://127.0.0.1:{port}/", typed=b"x\n")
        ran.ended(GOOD, "closed by this side")
        assert ran.output == b"x\n" * 4, ran.output
        ran = await client("--wait", "0", f"ws://127.0.0.1:{port}/", typed=b"x\n")
        ran.ended(GOOD, "closed by this side")
        assert ran.output == b"", ran.output


async def a_refusal_is_told_with_its_reason():
    def refuse(connection, request):
        return connection.respond(http.HTTPStatus.UNAUTHORIZED, "who are you?\n")

    async with python(process_request=refuse) as port:
        ran = await client(f"ws://127.0.0.1:{port}/")
        ran.ended(REFUSED, "401", "who are you?")
    ran = await client(f"ws://127.0.0.1:{port}/")
    ran.ended(REFUSED, f"127.0.0.1:{port}", "refused")


# Node's ws.

async def messages_of_all_lengths_with_nodes_ws():
    lengths = [0, 1, 125, 126, 127, 65535, 65536, 300_000]
    for mode in [[], ["--deflate"], ["--deflate=dedicated"]]:
        async with program("node", str(HERE / "echo_server.js"), *(["deflate"] if mode else []), pattern=r"(\d+)") as (node, found):
            for binary in [[], ["--binary"]]:
                typed = b"".join(b"x%d " % length * length + b"\n" for length in lengths)
                expected = typed.replace(b"\n", b"") if binary else typed
                ran = await client(*after(len(lengths)), *mode, *binary, f"ws://127.0.0.1:{found.group(1)}/", typed=typed)
                ran.ended(GOOD)
                assert ran.output == expected, f"{mode} {binary}: {len(ran.output)} of {len(expected)} bytes"
                line = await asyncio.wait_for(node.stdout.readline(), TIMEOUT)
                assert line.startswith(b"closed 1000"), line
                assert (b"permessage-deflate" in line) == bool(mode), line


# TLS.

@contextlib.asynccontextmanager
async def tls(*arguments):
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/certificate.pem"
        async with program(sys.argv[2], "--listen", "127.0.0.1:0", "--certificate", file, *arguments,
                           pattern=r"listening on https://127.0.0.1:(\d+)") as (_, found):
            yield found.group(1), file


async def a_certificate_is_trusted_when_one_says_so():
    async with tls() as (port, file):
        for host in ["localhost", "127.0.0.1"]:
            url = f"wss://{host}:{port}/ws"
            for arguments, environment in [
                (["--ca", file], {}),
                (["--insecure"], {}),
                ([], {"SSL_CERT_FILE": file}),  # the authorities of the system
            ]:
                ran = await client(*arguments, url, typed=b"secret\n", **environment)
                ran.ended(GOOD)
                assert ran.output == b"secret\n", ran.output


async def a_certificate_is_not_trusted_otherwise():
    async with tls() as (port, _):
        ran = await client(f"wss://localhost:{port}/ws")
        ran.ended(REFUSED, f"localhost:{port}", "UnknownIssuer")
    async with tls("--name", "example.com") as (port, file):
        ran = await client("--ca", file, f"wss://localhost:{port}/ws")
        ran.ended(REFUSED, "not valid for name", "example.com")


# Proxies.

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


async def listening(port):
    for _ in range(TIMEOUT * 20):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise RuntimeError(f"no listener on {port}")


@contextlib.asynccontextmanager
async def tinyproxy():
    with tempfile.TemporaryDirectory() as folder:
        port, log = free_port(), pathlib.Path(folder, "log")
        pathlib.Path(folder, "conf").write_text(
            f'Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nBasicAuth me secret\n'
            f'LogFile "{log}"\nLogLevel Connect\nMaxClients 20\n')
        async with program("tinyproxy", "-d", "-c", f"{folder}/conf", pattern=None, stdout=asyncio.subprocess.DEVNULL):
            await listening(port)
            yield f"http://me:secret@127.0.0.1:{port}", log.read_text


@contextlib.asynccontextmanager
async def microsocks(*arguments):
    with tempfile.TemporaryFile() as log:
        port = free_port()

        def text():
            log.seek(0)
            return log.read().decode()

        async with program("microsocks", "-i", "127.0.0.1", "-p", str(port), *arguments,
                           pattern=None, stdout=log, stderr=log):
            await listening(port)
            yield f"127.0.0.1:{port}", text


async def goes_through(proxy, log):
    async with python() as port:
        ran = await client("--proxy", proxy, f"ws://localhost:{port}/", typed=b"hello\n")
        ran.ended(GOOD)
        assert ran.output == b"hello\n", ran.output
        assert re.search(rf"localhost:{port}\b", log()), f"the proxy knows nothing of it: {log()}"
    async with tls() as (port, file):
        ran = await client("--proxy", proxy, "--ca", file, f"wss://localhost:{port}/ws", typed=b"hello\n")
        ran.ended(GOOD)
        assert ran.output == b"hello\n", ran.output
        assert re.search(rf"localhost:{port}\b", log()), f"the proxy knows nothing of it: {log()}"
    ran = await client("--proxy", proxy, f"ws://127.0.0.1:{free_port()}/")
    ran.ended(REFUSED)


async def through_an_http_proxy():
    async with tinyproxy() as (proxy, log):
        await goes_through(proxy, log)
        ran = await client("--proxy", proxy.replace("secret", "wrong"), "ws://localhost:1/")
        ran.ended(REFUSED)


async def through_a_socks5_proxy():
    async with microsocks() as (address, log):
        await goes_through(f"socks5://{address}", log)
    async with microsocks("-u", "me", "-P", "secret") as (address, log):
        await goes_through(f"socks5://me:secret@{address}", log)
        ran = await client("--proxy", f"socks5://me:wrong@{address}", "ws://localhost:1/")
        ran.ended(REFUSED)


async def a_proxy_that_is_not_there_is_an_error():
    for scheme in ["http", "socks5"]:
        ran = await client("--proxy", f"{scheme}://127.0.0.1:{free_port()}", "ws://localhost:1/")
        ran.ended(REFUSED)


async def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    # Without proxies and colours from the environment.
    for name in ["http_proxy", "https_proxy", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"]:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    counts = {"passed": 0, "failed": 0}
    for check in [
        lines_go_in_and_messages_come_out, the_last_line_needs_no_end,
        a_large_input_does_not_wait_for_its_echo, binary_messages_are_written_as_they_are,
        a_binary_message_that_was_not_expected_is_shown_in_digits,
        the_server_sees_fields_origin_user_and_subprotocols, compression_of_both_kinds,
        fragments_and_pings_of_the_server, the_close_code_decides_on_the_exit_status,
        a_server_that_vanishes_is_no_good_end, a_message_that_is_too_large_is_refused,
        json_is_shown_over_several_lines, ping_says_how_fast_the_server_answers,
        answers_are_waited_for_and_not_for_ever, a_refusal_is_told_with_its_reason,
        messages_of_all_lengths_with_nodes_ws,
        a_certificate_is_trusted_when_one_says_so, a_certificate_is_not_trusted_otherwise,
        through_an_http_proxy, through_a_socks5_proxy, a_proxy_that_is_not_there_is_an_error,
    ]:
        name = check.__name__.replace("_", " ")
        try:
            await asyncio.wait_for(check(), 5 * TIMEOUT)
            counts["passed"] += 1
            print(f"ok      {name}", flush=True)
        except Exception as problem:
            counts["failed"] += 1
            print(f"FAILED  {name}: {type(problem).__name__}: {problem}", flush=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


if __name__ == "__main__":
    asyncio.run(main())
