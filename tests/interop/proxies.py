#!/usr/bin/env python3
"""Runs the servers behind HAProxy and nginx.

    proxies.py ECHO CHAT

ECHO and CHAT are the built examples.  HAProxy speaks HTTP/1.1 and HTTP/2 to its
clients and to the server, in all four combinations; nginx speaks HTTP/1.1 to
both, configured as README says, and with the usual mistakes.  Needs `haproxy` and
`nginx`, and the packages `websockets` and `h2` (tests/run installs them).
Prints a line for each check and at the end `N passed, M failed`.
"""

import asyncio
import contextlib
import os
import pathlib
import socket
import sys
import tempfile

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check import TIMEOUT, Server, closed, same  # noqa: E402
from http2 import BINARY, CANCEL, MIB, PING, TEXT, Connection, frame  # noqa: E402

HAPROXY = """
global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout tunnel 1m
{sections}
"""

# A frontend of each version before a backend of each: `ws` is how HAProxy asks the
# server for a WebSocket.
HAPROXY_PAIR = """
listen {name}
    bind 127.0.0.1:{port} {front}
    server echo {server} {back}
"""

NGINX = """
daemon off;
master_process off;
worker_processes 1;
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections 1000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{chat};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;
        }}
        location /echo {{
            proxy_pass http://{echo};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }}
        location /forgotten {{
            proxy_pass http://{chat}/ws;
        }}
        location /half {{
            proxy_pass http://{chat}/ws;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
        }}
        location /renamed {{
            proxy_pass http://{chat}/ws;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host backend.internal;
        }}
    }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxied:
    """A server behind a proxy, with the proxy's address."""

    def __init__(self, port):
        self.address = f"127.0.0.1:{port}"

    def connect(self, path="/", **options):
        return connect(f"ws://{self.address}{path}",
                       **{"proxy": None, "open_timeout": TIMEOUT, "max_size": 64 * MIB, **options})


@contextlib.asynccontextmanager
async def running(*command, port):
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    try:
        for _ in range(20 * TIMEOUT):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.returncode is not None:
                raise RuntimeError((await process.stderr.read()).decode())
            await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def converse(proxied, path="/"):
    """Runs a whole conversation over HTTP/1.1."""
    async with proxied.connect(path) as client:
        for message in ["", "grüße 🦀", "x" * 70_000, b"", os.urandom(MIB)]:
            await same(client, message)
        for number in range(200):
            await client.send(str(number))
        for number in range(200):
            assert await asyncio.wait_for(client.recv(), TIMEOUT) == str(number)
        await asyncio.wait_for(await client.ping(), TIMEOUT)
        await client.close(4321, "enough")
        assert client.close_code == 4321, client.close_code


async def converse_over_http_2(proxied):
    """Runs the same over HTTP/2, on several streams of one connection."""
    connection = await Connection.open(proxied)
    sockets = [await connection.socket() for _ in range(20)]

    async def talk(stream):
        for payload in [b"", b"hello", os.urandom(70_000)]:
            await stream.echoes(BINARY, payload)
        await stream.send(frame(PING, b"?"))
        assert await stream.receive() == (0x8A, b"?")

    await asyncio.gather(*(talk(stream) for stream in sockets))
    assert (await connection.get())[0] == "404"
    # One of them is reset, which does not affect the others.
    connection.h2.reset_stream(sockets[0].stream, CANCEL)
    connection.flush()
    for stream in sockets[1:]:
        await stream.echoes(TEXT, b"still here")
        await stream.close(4321)


async def many_at_once(proxied):
    async def one(number):
        async with proxied.connect(f"/{number}") as client:
            for turn in range(10):
                await same(client, f"{number} {turn}")

    await asyncio.gather(*(one(number) for number in range(100)))


async def one_that_is_cut_off_does_not_cost_the_others(proxied):
    async with proxied.connect() as other:
        for _ in range(10):
            client = await proxied.connect()
            await same(client, "hello")
            client.transport.abort()
        await same(other, "still here")


async def a_violation_is_closed_with_its_code(proxied):
    async with proxied.connect() as client:
        client.transport.write(b"\x81\x84\0\0\0\0ok\xff\xff")
        assert (await closed(client))[0] == 1007


async def haproxy(check, echo):
    fronts = {"HTTP/1.1": "", "HTTP/2": "proto h2"}
    backs = {"HTTP/1.1": "ws h1", "HTTP/2": "proto h2 ws h2"}
    sections, ports = "", {}
    for front, bind in fronts.items():
        for back, server in backs.items():
            ports[front, back] = port = free_port()
            sections += HAPROXY_PAIR.format(name=f"pair{port}", port=port, front=bind, server=echo.address, back=server)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "haproxy.cfg"
        config.write_text(HAPROXY.format(sections=sections))
        async with running("haproxy", "-q", "-f", str(config), port=port):
            for (front, back), port in ports.items():
                proxied, way = Proxied(port), f"HAProxy, {front} to {back}: "
                if front == "HTTP/2":
                    await check(way + "conversations on streams", converse_over_http_2(proxied))
                    continue
                await check(way + "a conversation", converse(proxied))
                await check(way + "a hundred at once", many_at_once(proxied))
                await check(way + "one is cut off", one_that_is_cut_off_does_not_cost_the_others(proxied))
                await check(way + "a violation", a_violation_is_closed_with_its_code(proxied))


async def refused(proxied, path, status, reason, **options):
    try:
        async with proxied.connect(path, **options):
            raise AssertionError("accepted")
    except InvalidStatus as refusal:
        text = refusal.response.body.decode()
        assert refusal.response.status_code == status and reason in text, (refusal.response, text)


async def the_origin_that_the_browser_sees_is_accepted(proxied):
    async with proxied.connect("/ws", origin=f"http://{proxied.address}") as client:
        await client.send('{"type": "join", "room": "a", "name": "Ann"}')
        assert "welcome" in await asyncio.wait_for(client.recv(), TIMEOUT)


async def nginx(check, echo, chat):
    port = free_port()
    proxied = Proxied(port)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, echo=echo.address, chat=chat.address))
        async with running("nginx", "-c", str(config), "-p", folder, port=port):
            await check("nginx: a conversation", converse(proxied, "/echo"))
            await check("nginx: the origin that the browser sees is accepted",
                        the_origin_that_the_browser_sees_is_accepted(proxied))
            await check("nginx: without its headers, the answer says what is missing",
                        refused(proxied, "/forgotten", 426, "HTTP/1.0, which has no `Upgrade`"))
            await check("nginx: without `Connection`, the answer says so",
                        refused(proxied, "/half", 426, "a proxy may have removed it"))
            await check("nginx: another `Host`, and the answer names both",
                        refused(proxied, "/renamed", 403, "`backend.internal`", origin=f"http://{proxied.address}"))


async def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    counts = {"passed": 0, "failed": 0}

    async def check(name, conversation):
        try:
            await asyncio.wait_for(conversation, 3 * TIMEOUT)
            counts["passed"] += 1
            print(f"ok      {name}", flush=True)
        except Exception as problem:
            counts["failed"] += 1
            print(f"FAILED  {name}: {type(problem).__name__}: {problem}", flush=True)
        finally:
            Connection.close_all()

    async with Server(sys.argv[1]) as echo, Server(sys.argv[2]) as chat:
        await haproxy(check, echo)
        await nginx(check, echo, chat)

    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


if __name__ == "__main__":
    asyncio.run(main())
