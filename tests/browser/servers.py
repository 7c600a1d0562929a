#!/usr/bin/env python3
"""Three chat servers behind HAProxy are one chat, in two headless Chromiums: one of the servers is
killed, and Redis, and both are started again.

usage: tests/browser/servers.py PATH_TO_CHAT_BINARY

The binary is built with the feature `redis`. Needs chromium and its driver, haproxy and
redis-server; everything else is Python's standard library. Prints one line per check and
`N passed, M failed`; exits with 1 if one failed.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chat import Failure, Program, Session, WebDriverError, find  # noqa: E402
from resume import CONNECTED, HOLE, IDS, READY, until_equal  # noqa: E402

# A page stays with its server as long as that is up: by the cookie, from which this program knows
# which server it is.
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout tunnel 1m
    retries 3
    option redispatch 1

listen chat
    bind 127.0.0.1:{port}
    balance roundrobin
    cookie SERVER insert indirect nocache
    option httpchk GET /ready
    default-server check inter 300ms fall 1 rise 1
{servers}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Check:
    """The servers, the counts in the form that `Session` needs, and the checks."""

    def __init__(self, program, scratch):
        self.program, self.browser, self.scratch = program, find("chromium"), scratch
        self.passed, self.failed, self.sessions, self.programs = 0, [], [], []
        self.driver = self.start([find("chromedriver"), "--port=0"], r"successfully on port (\d+)")
        self.redis_port, self.port = free_port(), free_port()
        self.redis = self.serve_redis()
        self.chats = {name: self.serve("127.0.0.1:0") for name in ("one", "two", "three")}
        servers = "\n".join(f"    server {name} {chat.matched} ws h1 cookie {name}" for name, chat in self.chats.items())
        config = scratch / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=self.port, servers=servers))
        # It says nothing when it is ready.
        self.proxy = subprocess.Popen(["haproxy", "-q", "-f", str(config)])

    def start(self, command, ready):
        program = Program(command, ready)
        self.programs.append(program)
        return program

    def serve(self, address):
        return self.start([self.program, "--listen", address, "--redis", f"redis://127.0.0.1:{self.redis_port}"], READY)

    def serve_redis(self):
        # Every write is on the disk before it is answered: what was accepted survives.
        return self.start(["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", str(self.scratch),
                           "--save", "", "--appendonly", "yes", "--appendfsync", "always"], r"(Ready to accept connections)")

    def run(self):
        try:
            self.ready("one", 200)
            ann, ben = self.visit("Ann"), self.visit("Ben")
            self.holds("the pages are on two servers", self.server(ann) != self.server(ben), [self.server(ann), self.server(ben)])
            self.they_are_in_one_room(ann, ben)
            self.a_server_is_killed(ann, ben)
            self.redis_is_killed(ann, ben)
            self.all_is_well_again(ann, ben)
            self.redis_forgets_everything(ann, ben)
        except (Failure, WebDriverError) as failure:
            self.failed.append(str(failure))
            print(f"FAILED  {failure}")

    def visit(self, name):
        session = Session(self, name)
        self.sessions.append(session)
        session.open(f"http://127.0.0.1:{self.port}/?room=rust")
        session.script("window.marked = true; byId('name').value = ''")
        session.type("#name", name + "\n")
        session.until(f"{name} is connected", CONNECTED)
        return session

    # The checks, in the order in which they happen.

    def they_are_in_one_room(self, ann, ben):
        self.both_are_here(ann, ben)
        ann.say("hello from one server")
        ben.arrives("Ben reads Ann", "Ann", "hello from one server")
        ben.say("hello from another")
        ann.arrives("Ann reads Ben", "Ben", "hello from another")

    def a_server_is_killed(self, ann, ben):
        self.killed = self.server(ann)
        self.chats[self.killed].kill()
        for number in range(20):
            ben.say(f"while Ann is away, {number}")
        ann.say("said while there was no server")
        ann.script("if (!socket) tryNow()")
        ann.until("Ann is on another server", CONNECTED)
        ben.arrives("her text arrives", "Ann", "said while there was no server")
        self.both_are_here(ann, ben)
        self.are_equal(ann, ben)

    def redis_is_killed(self, ann, ben):
        self.redis.kill()
        for number in range(3):
            ann.say(f"Ann's, without Redis, {number}")
            ben.say(f"Ben's, without Redis, {number}")
        for page in (ann, ben):
            page.until(f"{page.name} is told that the texts wait", "return document.body.dataset.state === 'held' && pending.size === 3")
        alive = next(name for name in self.chats if name not in (self.killed, self.server(ben)))
        self.ready(alive, 503)
        self.holds("nobody was disconnected", all(page.script("return socket.readyState === 1") for page in (ann, ben)))
        self.the_room_cannot_be_entered(alive)
        self.redis = self.serve_redis()
        self.chats[self.killed] = self.serve(self.chats[self.killed].matched)
        self.ready(alive, 200)
        self.ready(self.killed, 200)

    def all_is_well_again(self, ann, ben):
        for page in (ann, ben):
            page.until(f"what {page.name} said is accepted", f"return !pending.size && ({CONNECTED.removeprefix('return ')})")
        ann.say("and on")
        ben.arrives("they go on talking", "Ann", "and on")
        self.are_equal(ann, ben)
        self.both_are_here(ann, ben)
        self.holds("all texts are there", len(self.ids(ann)) == 2 + 21 + 6 + 1, len(self.ids(ann)))
        for page in (ann, ben):
            self.holds(f"{page.name} was told of no hole", HOLE not in page.script("return messages.textContent"))
            self.holds(f"{page.name}'s page was never reloaded", page.script("return window.marked === true"))

    def the_room_cannot_be_entered(self, name):
        """A page that comes now is told to come back later; it is not let in half."""
        with socket.create_connection(self.chats[name].matched.split(":"), timeout=20) as page:
            page.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            join = json.dumps({"type": "join", "room": "rust", "name": "Cem"}).encode()
            page.sendall(bytes([0x81, 0x80 | len(join), 0, 0, 0, 0]) + join)
            answer = b""
            while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < 4:
                answer += page.recv(4096)
        frame = answer.split(b"\r\n\r\n", 1)[1]
        self.holds("who comes now is told to try again later (1013)",
                   frame[0] == 0x88 and int.from_bytes(frame[2:4], "big") == 1013, frame)

    def redis_forgets_everything(self, ann, ben):
        with socket.create_connection(("127.0.0.1", self.redis_port), timeout=20) as redis:
            redis.sendall(b"FLUSHALL\r\n")
            self.holds("Redis forgets everything", redis.recv(100) == b"+OK\r\n")
        ann.say("into the new log")
        for page in (ann, ben):
            page.until(f"{page.name} is told that messages may be missing", f"return messages.textContent.includes('{HOLE}')")
            page.until("and goes on", f"return !pending.size && ({CONNECTED.removeprefix('return ')})")
        ben.arrives("what is said then arrives", "Ann", "into the new log")
        self.both_are_here(ann, ben)
        ben.say("the end")
        ann.arrives("in both directions", "Ben", "the end")
        self.are_equal(ann, ben)

    # Helpers of the checks.

    def server(self, page):
        return page.script("return document.cookie.match(/SERVER=(\\w+)/)[1]")

    def ready(self, name, expected):
        def ask():
            try:
                with urllib.request.urlopen(f"http://{self.chats[name].matched}/ready", timeout=10) as answer:
                    return answer.status
            except urllib.error.HTTPError as refused:
                return refused.code
        deadline = time.monotonic() + 30
        while (status := ask()) != expected and time.monotonic() < deadline:
            time.sleep(.1)
        self.holds(f"/ready of server {name} says {expected}", status == expected, status)

    def both_are_here(self, ann, ben):
        for page in (ann, ben):
            page.until(f"Ann and Ben are here ({page.name})", "return [...people].sort().join() === 'Ann,Ben'")

    def ids(self, page):
        return json.loads(page.script(IDS))

    def are_equal(self, ann, ben):
        ids = until_equal("both show the same texts in the same order", ann, ben)
        self.holds("nothing twice", len(set(ids)) == len(ids), ids)

    def holds(self, what, condition, found=None):
        if condition:
            self.passed += 1
            print(f"ok      {what}", flush=True)
        else:
            self.failed.append(what)
            print(f"FAILED  {what}" + (f": {str(found)[:600]}" if found is not None else ""), flush=True)

    def clean_up(self):
        for session in self.sessions:
            session.quit()
        self.proxy.kill()
        self.proxy.wait()
        for program in self.programs:
            program.kill()


def main():
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_file():
        sys.exit("usage: tests/browser/servers.py PATH_TO_CHAT_BINARY (cargo build --release --features redis --example chat)")
    for program in ("haproxy", "redis-server"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing; type: apt-get install -y haproxy redis-server")
    with tempfile.TemporaryDirectory(prefix="servers-check-", ignore_cleanup_errors=True) as scratch:
        check = Check(sys.argv[1], pathlib.Path(scratch))
        try:
            check.run()
        finally:
            check.clean_up()
    print(f"{check.passed} passed, {len(check.failed)} failed")
    sys.exit(1 if check.failed or not check.passed else 0)


if __name__ == "__main__":
    main()
