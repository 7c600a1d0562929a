#!/usr/bin/env python3
"""Pages of the chat example that lose their server and come back, in headless Chromium.

usage: tests/browser/resume.py PATH_TO_CHAT_BINARY

The page reaches its server by a road of this program's own, which can be closed; the server
sees everybody else. Needs chromium and its driver; everything else is Python's standard library.
Prints one line per check and `N passed, M failed`; exits with 1 if one failed.
"""

import json
import pathlib
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chat import PAGE_SHOWS_WITHIN, Failure, Program, Session, WebDriverError, find  # noqa: E402

READY = r"^listening on http://(127\.0\.0\.1:\d+)$"
CONNECTED = "return byId('state').textContent === 'Connected'"
# The texts that a page shows, by identity, in its order.
IDS = "return JSON.stringify([...messages.children].filter(e => e.matches('.message')).map(e => [...shown].find(([, item]) => item === e)?.[0]))"
HOLE = "Some messages may be missing here"
KEPT, SHOWN = 100, 50  # what the server keeps of a room, and shows to a page that has missed too much


def until_equal(what, ann, ben):
    """Waits until both pages show the same texts, and returns their ids. One page may be behind
    the other for a moment, and a text of its own has no id until it comes back."""
    deadline = time.monotonic() + PAGE_SHOWS_WITHIN
    while True:
        of_ann, of_ben = (json.loads(page.script(IDS)) for page in (ann, ben))
        if of_ann == of_ben and None not in of_ann:
            ann.check.holds(what, True)
            return of_ann
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {PAGE_SHOWS_WITHIN} s: {of_ann} and {of_ben}")
        time.sleep(.03)


class Road:
    """A TCP proxy that can be closed: what is under way is cut, and nothing is let in. If it is
    closed silently, the server does not notice."""

    def __init__(self, to):
        host, port = to.split(":")
        self.to, self.is_open, self.ends, self.silent = (host, int(port)), True, {}, []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.to, timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self.lock:
                if self.is_open:
                    self.ends[near] = far
                    for one, other in ((near, far), (far, near)):
                        threading.Thread(target=self.carry, args=(one, other), daemon=True).start()
                    continue
            near.close()
            far.close()

    def carry(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        with self.lock:
            if not {one, other}.isdisjoint(self.silent):
                return
            for end in (one, other):
                self.ends.pop(end, None)
                shut(end)

    def close(self, silently=False):
        with self.lock:
            self.is_open = False
            for near, far in self.ends.items():
                shut(near)
                if silently:
                    self.silent.append(far)
                else:
                    shut(far)
            self.ends.clear()

    def open(self):
        with self.lock:
            self.is_open = True


def shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()


class Check:
    """The counts in the form that `Session` needs, and the checks."""

    def __init__(self, program, scratch):
        self.program, self.browser, self.scratch = program, find("chromium"), scratch
        self.passed, self.failed, self.sessions = 0, [], []
        self.driver = Program([find("chromedriver"), "--port=0"], r"successfully on port (\d+)")
        self.server = self.serve("127.0.0.1:0")
        self.road = Road(self.server.matched)

    def serve(self, address):
        return Program([self.program, "--listen", address, "--history", str(KEPT)], READY)

    def run(self):
        try:
            ann = self.visit("Ann", self.server.matched)
            ben = self.visit("Ben", self.road.address)
            self.away_for_a_while(ann, ben)
            self.both_say_something_meanwhile(ann, ben)
            self.away_for_too_long(ann, ben)
            self.the_server_does_not_notice(ann, ben)
            self.a_position_of_another_log(ann, ben)
            self.declined(ann, ben)
            self.accepted_before(ann, ben)
            for page in (ann, ben):
                self.holds(f"{page.name}'s page was never reloaded", page.script("return window.marked === true"))
        except (Failure, WebDriverError) as failure:
            self.failed.append(str(failure))
            print(f"FAILED  {failure}")

    def visit(self, name, address):
        session = Session(self, name)
        self.sessions.append(session)
        session.open(f"http://{address}/?room=rust")
        session.script("window.marked = true; byId('name').value = ''")
        session.type("#name", name + "\n")
        session.until(f"{name} is connected", CONNECTED)
        return session

    # The checks, in the order in which they happen.

    def away_for_a_while(self, ann, ben):
        self.lose(ben)
        self.talk(ann, "while Ben is away", KEPT)
        self.find_again(ben)
        self.are_equal("Ben gets all that the server keeps", ann, ben)
        self.holds("and no word of a hole", HOLE not in ben.script("return messages.textContent"))

    def both_say_something_meanwhile(self, ann, ben):
        self.lose(ben)
        self.talk(ann, "before Ben's", 3)
        for number in range(5):
            ben.say(f"Ben's own, {number}")
        ben.until("what Ben says is kept", "return pending.size === 5")
        self.talk(ann, "after Ben's", 3)
        self.find_again(ben)
        for page in (ann, ben):
            page.until(f"it arrives ({page.name})", "return !pending.size && messages.textContent.includes(\"Ben's own, 4\")")
        self.are_equal("both show one order", ann, ben)
        self.holds("and Ben's texts in his", ann.script(
            "return [...messages.querySelectorAll('.text')].slice(-5).map(e => e.textContent.slice(-1)).join('')") == "01234")

    def away_for_too_long(self, ann, ben):
        before = self.ids(ben)
        self.lose(ben)
        self.talk(ann, "while Ben is away for long", KEPT + 20)
        self.find_again(ben)
        ben.until("Ben is told that he has missed too much", f"return hole?.textContent.includes('{HOLE}')")
        self.holds("between what he knew and what is new", ben.script(
            "return [...messages.querySelectorAll('.message')].filter(e => hole.compareDocumentPosition(e) & 4).length") == SHOWN)
        self.holds("what he gets is the end of the room, nothing twice",
                   self.ids(ben) == before + self.ids(ann)[-SHOWN:], self.ids(ben))
        self.talk(ann, "and goes on from there", 1)
        self.lose(ben)
        self.talk(ann, "and further", 5)
        holes = "return messages.textContent.split(arguments[0]).length"
        count = ben.script(holes, [HOLE])
        self.find_again(ben)
        self.holds("and comes back from there", ben.script(holes, [HOLE]) == count
                   and self.ids(ben) == before + self.ids(ann)[-SHOWN - 6:], self.ids(ben))

    def the_server_does_not_notice(self, ann, ben):
        moved = "return messages.querySelectorAll('.note').length + messages.textContent.split('came in').length"
        before = ann.script(moved)
        self.road.close(silently=True)
        ben.until("Ben has lost his server", "return !isConnected()")
        self.talk(ann, "to nobody but a dead connection", 3)
        self.find_again(ben)
        for page in (ann, ben):
            page.until(f"there is one Ben ({page.name})", "return [...people].sort().join() === 'Ann,Ben'")
        self.holds("whose name is his", ben.script("return you") == "Ben")
        self.holds("and nobody came or went", ann.script(moved) == before)
        self.arrive_last(ben, "to nobody but a dead connection, 2")

    def a_position_of_another_log(self, ann, ben):
        """The server is killed, and forgets. Both pages name positions that are not in its new log."""
        for page in (ann, ben):
            page.script("hole?.remove(); hole = null; for (const e of [...messages.children]) e.remove(); shown.clear(); last = moved = null")
        self.talk(ann, "to the old server", 5)
        self.arrived(ben, 5)
        self.server.kill()
        for page in (ann, ben):
            page.until(f"{page.name} has lost the server", "return document.body.dataset.state === 'waiting'")
        ben.say("said to nobody")
        self.server = self.serve(self.server.matched)
        for page in (ann, ben):
            page.script("tryNow()")
            page.until(f"{page.name} is back", CONNECTED)
            page.until("and is told that messages may be missing", f"return messages.textContent.includes('{HOLE}')")
        for page in (ann, ben):
            self.arrived(page, 6)
        self.are_equal("both show the same still", ann, ben)
        self.talk(ann, "to the new server", 5)
        self.arrived(ben, 11)
        self.are_equal("and go on in one order", ann, ben)

    def declined(self, ann, ben):
        """A server whose engine is away, as the page sees it."""
        ann.script("window.real = socket.send; socket.send = () => {}")
        ann.say("first")
        ann.say("second")
        ann.script("receive.declined({ id: inFlight, reason: 'the engine is unavailable' })")
        ann.until("a page is told that its text was not accepted",
                  "return !byId('outage').hidden && byId('outage-text').textContent.includes('cannot pass messages on')")
        self.holds("and keeps it", ann.script("return pending.size === 2 && [...document.querySelectorAll('.pending')].every(e => e.innerText.includes('Not sent yet'))"))
        ben.say("Ann still hears me")
        ann.arrives("it stays in the room", "Ben", "Ann still hears me")
        self.holds("on the same connection", ann.script("return socket.send !== window.real && socket.readyState === 1"))
        ann.script("socket.send = window.real")
        ann.until("it tries again by itself", "return !pending.size && byId('state').textContent === 'Connected' && byId('outage').hidden")
        self.arrived(ben, 14)
        self.are_equal("in the order in which they were written", ann, ben)
        self.holds("first, then second", ben.script("return [...messages.querySelectorAll('.text')].slice(-2).map(e => e.textContent).join()") == "first,second")

    def accepted_before(self, ann, ben):
        """A text that was accepted, but its echo was lost, and now it is too old to be replayed."""
        ben.script("socket.onmessage = null")
        ben.say("the echo is lost")
        ann.arrives("the text arrives", "Ben", "the echo is lost")
        self.lose(ben)
        self.talk(ann, "a long time passes", KEPT + 20)
        self.find_again(ben)
        ben.until("the author learns that it was accepted", "return !pending.size && byId('state').textContent === 'Connected'")
        for page in (ann, ben):
            self.holds(f"it is there once ({page.name})", page.script("return messages.textContent.split('the echo is lost').length") == 2)

    # Helpers of the checks.

    def lose(self, ben):
        self.road.close()
        ben.until("Ben has lost his server", "return document.body.dataset.state === 'waiting' || document.body.dataset.state === 'connecting'")

    def find_again(self, ben):
        self.road.open()
        ben.script("if (!socket) tryNow()")
        ben.until("Ben is back", CONNECTED)

    def talk(self, page, text, count):
        page.script("for (let n = 0; n < arguments[1]; n += 1) queue(`${crypto.randomUUID()}`, `${arguments[0]}, ${n}`)", [text, count])
        page.until(f"{page.name} says {count} texts", "return !pending.size")

    def arrive_last(self, page, text):
        page.until(f"{page.name} gets what was missed", f"return [...messages.querySelectorAll('.text')].at(-1).textContent === '{text}'")

    def arrived(self, page, count):
        page.until(f"{page.name} shows {count} texts", f"return messages.querySelectorAll('.message').length === {count}")

    def ids(self, page):
        return json.loads(page.script(IDS))

    def are_equal(self, what, ann, ben):
        ids = until_equal(what, ann, ben)
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
        self.driver.kill()
        self.server.kill()


def main():
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_file():
        sys.exit("usage: tests/browser/resume.py PATH_TO_CHAT_BINARY (cargo build --release --example chat)")
    with tempfile.TemporaryDirectory(prefix="resume-check-", ignore_cleanup_errors=True) as scratch:
        check = Check(sys.argv[1], pathlib.Path(scratch))
        try:
            check.run()
        finally:
            check.clean_up()
    print(f"{check.passed} passed, {len(check.failed)} failed")
    sys.exit(1 if check.failed or not check.passed else 0)


if __name__ == "__main__":
    main()
