#!/usr/bin/env python3
"""Chromium over TLS and HTTP/2, by its own network log: a page and all of its
sockets on one connection (RFC 8441).

usage: tests/browser/http2.py PATH_TO_TLS_BINARY

Needs chromium and chromedriver; everything else is Python's standard library.  Prints
one line per check and `N passed, M failed`; exits with 1 if one failed.
"""

import json
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import chat  # noqa: E402
from chat import Program, Session, find  # noqa: E402

SOCKETS = 100

# Opens a number of sockets at once with requests between them, and returns the results.
TALK = """const [sockets, done] = arguments;
const talk = number => new Promise(resolve => {
  const socket = new WebSocket(`wss://${location.host}/ws`);
  let same = 0;
  socket.onopen = () => socket.send(`${number} 0`);
  socket.onmessage = event => {
    same += event.data === `${number} ${same}`;
    if (same < 10) socket.send(`${number} ${same}`); else socket.close(1000);
  };
  socket.onclose = event => resolve([same, event.code]);
});
(async () => {
  const talks = Array.from({length: sockets}, (_, number) => talk(number));
  const pages = await Promise.all(Array.from({length: 20}, () => fetch('/').then(answer => answer.status)));
  done({talks: await Promise.all(talks), pages});
})();"""


class Check:
    """The counts, in the form that `Session` needs."""

    def __init__(self, scratch):
        self.browser, self.scratch = find("chromium"), scratch
        self.passed = self.failed = 0
        self.driver = Program([find("chromedriver"), "--port=0"], r"successfully on port (\d+)")

    def holds(self, what, condition, found=None):
        self.passed += bool(condition)
        self.failed += not condition
        print(f"{'ok     ' if condition else 'FAILED '} {what}" + ("" if condition else f": {str(found)[:600]}"))


def browse(check, server, log):
    key = re.search(r"SHA-256 of the public key: (\S+)", "".join(server.said))[1]
    chat.FLAGS = chat.FLAGS + [f"--ignore-certificate-errors-spki-list={key}",
                               f"--log-net-log={log}", "--net-log-capture-mode=Everything"]
    session = Session(check, "browser")
    try:
        session.open(f"https://{server.matched}/")
        session.until("the page's socket echoes",
                      "return document.getElementById('answer').textContent === 'Socket: hello'")
        version = session.script("return document.getElementById('version').textContent.trim()")
        check.holds("the page came over HTTP/2", version == "Page: HTTP/2.0", version)
        came = session.script_later(TALK, [SOCKETS])
        check.holds(f"{SOCKETS} more sockets echo ten messages each, and close with 1000",
                    came["talks"] == [[10, 1000]] * SOCKETS, came["talks"])
        check.holds("requests between them are answered", came["pages"] == [200] * 20, came["pages"])
    finally:
        session.quit()


def read(log, host):
    """Reads the browser's network log: the header fields of the requests of each
    connection, and the requests for a WebSocket over HTTP/1.1."""
    text = log.read_text()
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        # A browser that was killed has not closed the lists of its log.
        whole = json.loads(text.rstrip().rstrip(",") + "]}")
    names = {number: name for name, number in whole["constants"]["logEventTypes"].items()}
    connections, old = {}, []
    for event in whole["events"]:
        headers = event.get("params", {}).get("headers")
        if not isinstance(headers, list):
            continue
        fields = dict(re.match(r"(:?[^:]*): ?(.*)", line, re.DOTALL).groups() for line in headers if ":" in line)
        if names[event["type"]] == "HTTP2_SESSION_SEND_HEADERS" and fields.get(":authority") == host:
            connections.setdefault(event["source"]["id"], []).append(fields)
        if fields.get("Upgrade", "").lower() == "websocket":
            old.append(fields)
    return connections, old


def main():
    if len(sys.argv) != 2 or not shutil.which(sys.argv[1]):
        sys.exit("usage: tests/browser/http2.py PATH_TO_TLS_BINARY")
    with tempfile.TemporaryDirectory(prefix="http2-check-", ignore_cleanup_errors=True) as scratch:
        check = Check(pathlib.Path(scratch))
        server = Program([sys.argv[1], "--listen", "127.0.0.1:0"], r"^listening on https://(\S+)$")
        try:
            log = pathlib.Path(scratch) / "network.json"
            browse(check, server, log)
            connections, old = read(log, server.matched)
        finally:
            check.driver.kill()
            server.kill()
    check.holds("there was one connection", len(connections) == 1, connections.keys())
    requests = next(iter(connections.values()), [])
    sockets = [fields for fields in requests if fields.get(":protocol") == "websocket"]
    check.holds(f"it had {SOCKETS + 1} sockets", len(sockets) == SOCKETS + 1, len(sockets))
    check.holds("each by CONNECT, without a key", all(
        fields[":method"] == "CONNECT" and fields["sec-websocket-version"] == "13" and "sec-websocket-key" not in fields
        for fields in sockets), sockets[:1])
    check.holds("no socket was asked for over HTTP/1.1", not old, old)
    print(f"{check.passed} passed, {check.failed} failed")
    sys.exit(1 if check.failed or not check.passed else 0)


if __name__ == "__main__":
    main()
