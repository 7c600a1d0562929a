#!/usr/bin/env python3
"""Asks the example `metrics` for its counts, with curl, before, during and
after conversations, and compares them with what was done.

    tests/interop/metrics.py target/debug/examples/metrics
"""

import asyncio
import re
import subprocess
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

DEADLINE = 20


def curl(url):
    """The counts, by names with labels."""
    command = ["curl", "-sS", "--fail", "--max-time", "5", "-w", "%{content_type}", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    body, _, kind = text.rpartition("# EOF\n")
    assert kind.startswith("application/openmetrics-text"), kind
    counts = {}
    for line in body.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            counts[name] = float(value)
    return counts


async def until(url, expected):
    """Waits until the counts are the expected ones."""
    counts = {}
    for _ in range(DEADLINE * 10):
        counts = await asyncio.to_thread(curl, url)
        if all(counts.get(name) == value for name, value in expected.items()):
            return counts
        await asyncio.sleep(0.1)
    different = {name: (value, counts.get(name)) for name, value in expected.items()}
    raise AssertionError(f"expected and found: {different}")


def traffic(messages, size):
    """The counts of messages and bytes in both directions, which an echo makes equal."""
    return {
        f'websocket_{what}_total{{direction="{direction}"}}': value
        for what, value in (("messages", messages), ("message_bytes", size))
        for direction in ("in", "out")
    }


async def check(address, server):
    metrics = f"http://{address}/metrics"
    socket = f"ws://{address}/ws"

    counts = await asyncio.to_thread(curl, metrics)
    for name in ("open", "accepted_total", "duration_seconds_count"):
        assert counts[f"websocket_{name}"] == 0, counts
    assert not any("refused_total" in name or "ended_total" in name for name in counts), counts

    sockets = [await connect(socket) for _ in range(3)]
    for at, client in enumerate(sockets):
        for _ in range(at + 1):
            await client.send("x" * 1000)
            assert len(await client.recv()) == 1000
    try:
        await connect(socket, origin="https://elsewhere.example")
        raise AssertionError("a foreign page was accepted")
    except InvalidStatus as refused:
        assert refused.response.status_code == 403
    # Messages of sockets that are still open count too.
    await until(metrics, {
        "websocket_open": 3,
        "websocket_accepted_total": 3,
        'websocket_refused_total{status="403"}': 1,
        "websocket_duration_seconds_count": 0,
        **traffic(6, 6000),
    })

    await sockets[0].close()
    sockets[1].transport.abort()
    await until(metrics, {
        "websocket_open": 1,
        "websocket_accepted_total": 3,
        'websocket_ended_total{cause="remote"}': 1,
        'websocket_ended_total{cause="lost"}': 1,
        "websocket_duration_seconds_count": 2,
        **traffic(6, 6000),
    })

    # Rooms: one with a history, and two visitors.
    room = f"ws://{address}/room"
    async with connect(room) as one, connect(room) as two:
        await one.send("hello")
        assert await one.recv() == await two.recv() == "hello"
        counts = await until(metrics, {"hub_rooms": 1, "hub_engine_up": 1, "hub_gaps_lost_total": 0})
        assert 0 < counts["hub_history_bytes"] < 1000, counts

    server.terminate()
    try:
        await sockets[2].recv()
        raise AssertionError("an unexpected message")
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and closed.rcvd.code == 1001, closed
    assert await asyncio.to_thread(server.wait, DEADLINE) == 0


def main():
    [binary] = sys.argv[1:]
    command = [binary, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            address = re.fullmatch(r"listening on http://(\S+)\n", line).group(1)
            asyncio.run(asyncio.wait_for(check(address, server), 3 * DEADLINE))
        finally:
            server.kill()
    print("the counts are right before, during and after")


main()
