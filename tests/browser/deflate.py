#!/usr/bin/env python3
"""Counts the bytes that Chromium and the example server put on the wire, with and
without compression (RFC 7692).

usage: tests/browser/deflate.py PATH_TO_ECHO_BINARY

Needs chromium; everything else is Python's standard library.  A page sends a hundred
messages through a proxy that counts, compares what comes back, and tells.  Prints one
line per check and `N passed, M failed`; exits with 1 if one failed.
"""

import asyncio
import contextlib
import json
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chat import FLAGS, find  # noqa: E402

TIMEOUT = 60
MESSAGES = 100
MODES = {"none": [], "shared": ["--deflate=shared"], "dedicated": ["--deflate=dedicated"]}

# Every message is about 1.3 KB of JSON, different each time.
PAGE = """<!doctype html><title>deflate</title><script>
const text = i => JSON.stringify(Array.from({length: 20}, (_, k) =>
  ({id: k * 7919 + i * 104729, name: "user" + (k * i) %% 977, text: "hello number " + i * k})));
function talk(port) {
  return new Promise(done => {
    const socket = new WebSocket("ws://127.0.0.1:" + port + "/");
    let received = 0, same = 0, length = 0;
    socket.onopen = () => socket.send(text(0));
    socket.onmessage = event => {
      same += event.data === text(received);
      length += event.data.length;
      received += 1;
      if (received < %(messages)d) socket.send(text(received)); else socket.close(1000);
    };
    socket.onclose = event => done({same, length, extensions: socket.extensions, code: event.code});
  });
}
(async () => {
  const results = {};
  for (const [mode, port] of Object.entries(%(ports)s)) results[mode] = await talk(port);
  await fetch("/done", {method: "POST", body: JSON.stringify(results)});
})();
</script>"""


class Proxy:
    """A proxy between the browser and a server that counts bytes."""

    async def start(self, echo, flags):
        self.server = await asyncio.create_subprocess_exec(
            echo, "--listen", "127.0.0.1:0", *flags, stdout=asyncio.subprocess.PIPE)
        line = (await asyncio.wait_for(self.server.stdout.readline(), TIMEOUT)).decode()
        found = re.match(r"listening on http://(.+):(\d+)", line)
        if not found:
            sys.exit(f"the server does not say where it listens: {line!r}")
        self.target = found.groups()
        self.up, self.down = bytearray(), bytearray()
        listener = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]

    async def accept(self, reader, writer):
        there_reader, there_writer = await asyncio.open_connection(*self.target)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self.pump(reader, there_writer, self.up), self.pump(there_reader, writer, self.down))

    @staticmethod
    async def pump(reader, writer, seen):
        while chunk := await reader.read(65536):
            seen += chunk
            writer.write(chunk)
            await writer.drain()
        writer.close()

    def counts(self):
        """The bytes behind the two heads of the handshake."""
        return [len(seen) - seen.index(b"\r\n\r\n") - 4 for seen in (self.up, self.down)]

    def extensions(self):
        """The extensions in the offer, and in the answer."""
        lines = []
        for seen in (self.up, self.down):
            head = seen[:seen.index(b"\r\n\r\n")].decode()
            found = re.search(r"(?im)^sec-websocket-extensions: *(.*?)\r?$", head)
            lines.append(found and found[1])
        return lines


async def serve_page(proxies):
    """Serves the page; returns its address, and a future of its result."""
    found = asyncio.get_running_loop().create_future()
    ports = json.dumps({mode: proxy.port for mode, proxy in proxies.items()})
    page = (PAGE % {"messages": MESSAGES, "ports": ports}).encode()

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("POST /done"):
            length = int(re.search(r"(?im)^content-length: (\d+)", head)[1])
            found.set_result(json.loads(await reader.readexactly(length)))
        body = page if head.startswith("GET / ") else b""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
                     b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", found


async def browse(echo, browser, scratch):
    proxies = {mode: Proxy() for mode in MODES}
    process = None
    try:
        for mode, flags in MODES.items():
            await proxies[mode].start(echo, flags)
        address, found = await serve_page(proxies)
        process = await asyncio.create_subprocess_exec(
            browser, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={scratch}/profile", address,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        return await asyncio.wait_for(found, TIMEOUT), proxies
    finally:
        for running in [process, *(getattr(proxy, "server", None) for proxy in proxies.values())]:
            if running and running.returncode is None:
                running.terminate()
                await running.wait()


def main():
    if len(sys.argv) != 2 or not shutil.which(sys.argv[1]):
        sys.exit("usage: tests/browser/deflate.py PATH_TO_ECHO_BINARY")
    browser = find("chromium")
    with tempfile.TemporaryDirectory(prefix="deflate-check-", ignore_cleanup_errors=True) as scratch:
        results, proxies = asyncio.run(browse(sys.argv[1], browser, scratch))
    counts = {"passed": 0, "failed": 0}

    def holds(what, condition):
        counts["passed" if condition else "failed"] += 1
        print(f"{'ok     ' if condition else 'FAILED '} {what}")

    plain = proxies["none"].counts()
    for mode, proxy in proxies.items():
        result, (up, down) = results[mode], proxy.counts()
        offer, answer = proxy.extensions()
        print(f"        {mode}: offered {offer!r}, answered {answer!r}; {result['length']} bytes of messages: "
              f"{up} bytes to the server, {down} to the browser")
        holds(f"{mode}: {MESSAGES} messages came back as they were, and the close",
              result["same"] == MESSAGES and result["code"] == 1000)
        if mode == "none":
            holds("none: nothing is agreed on, and nothing gets smaller",
                  result["extensions"] == "" and answer is None and min(up, down) > result["length"])
        else:
            holds(f"{mode}: the browser has agreed", result["extensions"].startswith("permessage-deflate"))
            holds(f"{mode}: less than half of the bytes in both directions",
                  up < plain[0] / 2 and down < plain[1] / 2)
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
