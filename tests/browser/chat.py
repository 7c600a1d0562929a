#!/usr/bin/env python3
"""Two people in a headless Chromium chat through the example server.

usage: tests/browser/chat.py PATH_TO_CHAT_BINARY [--screenshots DIR]

Needs chromium and its driver; everything else is Python's standard library.
Speaks the WebDriver protocol (https://www.w3.org/TR/webdriver2/) with chromedriver.
Prints one line per check and `N passed, 0 failed`; exits with 1 if one failed.
"""

import argparse
import base64
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-dev-shm-usage", "--no-first-run", "--lang=en-GB"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# A WebSocket that finds no server, or whose server is killed, is reported by the browser itself; no page can prevent it.
OUTAGE = re.compile(r"WebSocket connection to 'ws://[^']*/ws' failed")
MARKUP = "<img src=x onerror=\"document.title='owned'\"><b>bold</b> &amp; <script>document.title='owned'</script>"
EMOJI = "🦀🚀🌈🐳" * (64 * 1024 // 16)  # 64 KiB of UTF-8
SERVER_STARTS_WITHIN = PAGE_SHOWS_WITHIN = 20


def main():
    arguments = argparse.ArgumentParser(description="Check the chat example in a browser.")
    arguments.add_argument("binary", help="the built example, as target/release/examples/chat")
    arguments.add_argument("--screenshots", metavar="DIR", type=pathlib.Path, help="leave pictures of the page there")
    options = arguments.parse_args()
    browser, driver = find("chromium"), find("chromedriver")
    if not pathlib.Path(options.binary).is_file():
        sys.exit(f"{options.binary} is missing; type: cargo build --release --example chat")
    with tempfile.TemporaryDirectory(prefix="chat-check-") as scratch:
        check = Check(options, browser, driver, pathlib.Path(scratch))
        try:
            check.run()
        finally:
            check.clean_up()
    sys.exit(check.report())


def find(program):
    path = shutil.which(program)
    if path is None:
        sys.exit(f"{program} is missing; type: apt-get install -y chromium chromium-driver")
    return path


class Failure(Exception):
    """A failed check, after which the others would mean nothing."""


class Check:
    """The conversation, from the first visit to the shutdown of the server."""

    def __init__(self, options, browser, driver, scratch):
        self.options, self.browser, self.scratch = options, browser, scratch
        self.passed, self.failed = 0, []
        self.server, self.sessions = None, []
        self.driver = Program([driver, "--port=0", f"--log-path={scratch / 'driver.log'}"], r"successfully on port (\d+)")

    def run(self):
        try:
            self.conversation()
        except (Failure, WebDriverError) as failure:
            self.failed.append(str(failure))
            print(f"FAILED  {failure}")

    def conversation(self):
        self.server = Program([self.options.binary, "--listen", "127.0.0.1:0"], r"^listening on http://(127\.0\.0\.1:\d+)$")
        self.origin = f"http://{self.server.matched}"
        self.page_is_guarded()
        ann, ben = self.visit("Ann"), self.visit("Ben")
        self.first_visit(ann, ben)
        self.they_talk(ann, ben)
        self.text_stays_text(ann, ben)
        self.rooms_are_apart(ben)
        self.names_are_distinct(ann, ben)
        self.old_messages_are_caught_up(ben)
        self.unread_messages_are_counted(ann, ben)
        self.nonsense_is_refused(ann, ben)
        self.dead_connections(ann, ben)
        self.outage(ann, ben)
        self.keyboard_and_names(ann)
        self.narrow_page(ann)
        if self.options.screenshots:
            self.pictures(ann, ben)
        self.nothing_was_reported(ann, ben)
        self.shutdown(ann, ben)

    # The checks, in the order in which they happen.

    def page_is_guarded(self):
        with urllib.request.urlopen(self.origin + "/", timeout=10) as answer:
            headers, body = answer.headers, answer.read().decode()
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        self.holds("the page is HTML in UTF-8", headers["Content-Type"] == "text/html; charset=utf-8")
        self.holds("the policy allows nothing by default", policy.get("default-src") == "'none'")
        for kind in ["script-src", "style-src"]:
            sources = policy.get(kind, "").split()
            self.holds(f"{kind} names hashes only", sources and all(source.startswith("'sha256-") for source in sources), sources)
        self.holds("only the page's own server may be connected to", policy.get("connect-src") == "'self'")
        for kind in ["base-uri", "form-action", "frame-ancestors"]:
            self.holds(f"{kind} is 'none'", policy.get(kind) == "'none'")
        self.holds("nothing comes from elsewhere", not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", body))
        self.holds("no event attribute in the markup", not re.search(r"<[a-z][^>]*\son[a-z]+=", body.split("<script>")[0]))
        try:
            urllib.request.urlopen(self.origin + "/nothing-here", timeout=10)
            status = 200
        except urllib.error.HTTPError as error:
            status = error.code
        self.holds("an unknown path is not found", status == 404, status)

    def visit(self, name):
        session = Session(self, name)
        self.sessions.append(session)
        session.open(f"{self.origin}/?room=rust")
        return session

    def first_visit(self, ann, ben):
        for page in (ann, ben):
            page.until("a first visit asks for a name", "return byId('welcome').open")
            page.script("byId('name').value = ''")
            page.type("#name", "x" * 33 + "\n")
            page.until("a long name is refused, and why", "return byId('name-problem').textContent.includes('32 is the most')")
            page.script("byId('name').value = ''")
            page.type("#name", page.name + "\n")
            page.until(f"{page.name} is connected", "return byId('state').textContent === 'Connected'")
        self.both_are_here(ann, ben, "both see who is here")
        self.holds("an empty room explains itself", ben.script("return !byId('empty').hidden && byId('address').textContent === location.href"))
        self.holds("the newcomer is announced", "\u2068Ben\u2069 came in" in ann.script("return messages.innerText"))

    def they_talk(self, ann, ben):
        ann.say("Hello Ben!")
        ben.arrives("Ben reads Ann", "Ann", "Hello Ben!")
        ben.say("Hello Ann,\nthis is a second line")
        ann.arrives("Ann reads Ben", "Ben", "Hello Ann,\nthis is a second line")
        ann.until("a confirmed message is no longer pending", "return !pending.size && !document.querySelector('.pending')")
        self.holds("own messages stand apart", ann.script("return messages.querySelectorAll('.own').length") == 1)
        self.holds("every message has its time", ann.script(
            "return [...messages.querySelectorAll('time')].every(t => Math.abs(Date.parse(t.dateTime) - Date.now()) < 60000 && t.textContent)"))
        ann.script("send({ type: 'say', id: 'forged', from: 'Ben', text: 'I am Ben' })")
        ben.arrives("a page cannot speak for another person", "Ann", "I am Ben")

    def text_stays_text(self, ann, ben):
        ann.say(MARKUP)
        ben.arrives("markup arrives as text", "Ann", MARKUP)
        for page in (ann, ben):
            self.holds(f"no element was made of it at {page.name}'s", page.script(
                "return !messages.querySelector('img, b, script') && !document.title.includes('owned')"))
        ann.say(EMOJI)
        ben.until("64 KiB of emoji arrive", "return [...messages.querySelectorAll('.text')].some(e => e.textContent.length > 30000)")
        arrived = ben.script("return [...messages.querySelectorAll('.text')].at(-1).textContent")
        self.holds("they arrive whole", arrived == EMOJI, f"{len(arrived)} characters of {len(EMOJI)}")
        ben.click(".more")
        unbroken = "unbroken" * 200
        ann.say(unbroken)
        ben.arrives("a word without an end arrives", "Ann", unbroken)
        self.holds("shown in full neither breaks the page", ben.script(
            "return !document.querySelector('.long') && document.documentElement.scrollWidth <= innerWidth && log.scrollWidth <= log.clientWidth"))
        ann.script("draft.value = arguments[0]; draftChanged()", [EMOJI + "!"])
        self.holds("one byte more is not sent, and the page says so", ann.script(
            "return byId('send').disabled && byId('room-left').textContent === 'Too long by 1 bytes.'"))
        ann.script("draft.value = ''; draftChanged()")

    def rooms_are_apart(self, ben):
        first = ben.window()
        ben.new_window(f"{self.origin}/?room=%20Other%20ROOM!")
        ben.until("a second room opens under its tidy name", "return byId('room').textContent === 'other-room' && byId('state').textContent === 'Connected'")
        self.holds("the second room has no people of the first", ben.script("return [...people].join()") == "Ben")
        ben.say("only here")
        ben.until("the second room works", "return messages.innerText.includes('only here') && !pending.size")
        self.holds("the second room has not heard the first", "Hello" not in ben.script("return messages.textContent"))
        ben.close_window(first)
        self.holds("the first room has not heard the second", "only here" not in ben.script("return messages.textContent"))

    def names_are_distinct(self, ann, ben):
        first = ben.window()
        ben.new_window(f"{self.origin}/?room=rust")
        ben.until("a name that is taken gets a number, and the page says so",
                  "return you === 'Ben (2)' && messages.innerText.includes('you are Ben (2)')")
        ann.until("a third person is seen", "return [...people].sort().join() === 'Ann,Ben,Ben (2)' && byId('people').innerText.includes('Ben (2)')")
        ben.close_window(first)
        ann.until("a person who closes the page is gone", "return [...people].sort().join() === 'Ann,Ben'")
        self.holds("a person who only looked in leaves no line behind", "Ben (2)" not in ann.script("return messages.innerText"))

    def old_messages_are_caught_up(self, ben):
        ben.script("draft.value = 'not finished'; draft.dispatchEvent(new Event('input'))")
        before = ben.script("return [...messages.querySelectorAll('.text')].map(e => e.textContent)")
        ben.open(f"{self.origin}/?room=rust")
        ben.until("a reloaded page is in the room again", "return you === 'Ben' && byId('state').textContent === 'Connected'")
        after = ben.script("return [...messages.querySelectorAll('.text')].map(e => e.textContent)")
        self.holds("it shows what was said before, once", before == after, f"{len(before)} before, {len(after)} after")
        self.holds("a draft survives the reload", ben.script("return draft.value") == "not finished")
        self.holds("it knows which messages are its own", ben.script("return messages.querySelectorAll('.own').length") == 1)

    def unread_messages_are_counted(self, ann, ben):
        for number in range(30):
            ann.say(f"filling the page, line {number}")
        ben.arrives("thirty messages in a row arrive", "Ann", "filling the page, line 29")
        ben.script("log.scrollTop = 0")
        ben.until("the page is scrolled up", "return !atEnd()")
        ann.say("did you see that?")
        ann.say("down here")
        ben.until("new messages are counted", "return byId('pill').textContent === '2 new messages ↓' && !byId('pill').hidden")
        self.holds("reading older messages is not disturbed", ben.script("return log.scrollTop") == 0)
        self.holds("the title says so too", ben.script("return document.title").startswith("(2) #rust"))
        ben.click("#pill")
        ben.until("one press shows them", "return atEnd() && byId('pill').hidden && document.title.startsWith('#rust')")

    def nonsense_is_refused(self, ann, ben):
        join = {"type": "join", "room": "nonsense", "name": "Nobody"}
        nonsense = [
            ("a text that is not JSON", ["hello"]),
            ("speaking before joining", [{"type": "say", "id": "1", "text": "hello"}]),
            ("an invalid room name", [join | {"room": "a room"}]),
            ("an empty name", [join | {"name": " "}]),
            ("a name of 33 characters", [join | {"name": "x" * 33}]),
            ("a name with a control character", [join | {"name": "a\nb"}]),
            ("joining twice", [join, join]),
            ("a text of one byte too many", [join, {"type": "say", "id": "1", "text": EMOJI + "!"}]),
            ("a long identity", [join, {"type": "say", "id": "1" * 65, "text": "hello"}]),
        ]
        for what, messages in nonsense:
            texts = [message if isinstance(message, str) else json.dumps(message) for message in messages]
            code, reason = ann.script_later("""const [texts, done] = arguments, other = new WebSocket(address);
                other.onopen = () => texts.forEach(text => other.send(text));
                other.onclose = event => done([event.code, event.reason])""", [texts])
            self.holds(f"{what} is refused with 1008 and a reason", code == 1008 and reason, [code, reason])
        heard = ann.script_later("""const [join, done] = arguments, other = new WebSocket(address), heard = [];
            other.onopen = () => [join, ...['a', 'b', 'a', 'c'].map(id => ({ type: 'say', id, text: id }))].forEach(it => other.send(JSON.stringify(it)));
            other.onmessage = ({ data }) => { const { id } = JSON.parse(data); if (id) heard.push(id); if (id === 'c') { other.close(); done(heard.join()); } }""", [join])
        self.holds("a message that comes twice is passed on once", heard == "a,b,c", heard)
        ben.script("send({ type: 'join', room, name })")
        ben.until("a refused page shows the reason, and does not connect again",
                  "return document.body.dataset.state === 'refused' && byId('outage-text').textContent.startsWith('The server said no: ')")
        ben.click("#try-now")
        ben.until("it connects again on demand", "return byId('state').textContent === 'Connected' && byId('outage').hidden")
        self.both_are_here(ann, ben, "no other person is there")

    def dead_connections(self, ann, ben):
        ann.script("socket.send = () => {}")
        ann.say("swallowed on the way there")
        ann.script("dropConnection(socket, 'The server does not answer.')")
        ben.arrives("what a dead connection swallowed is sent again", "Ann", "swallowed on the way there")
        ann.until("and confirmed", "return !pending.size && you === 'Ann'")
        ann.script("socket.onmessage = null")
        ann.say("the answer was swallowed")
        ben.arrives("a message of which only the answer is lost arrives", "Ann", "the answer was swallowed")
        self.holds("its page does not know yet", ann.script("return pending.size") == 1)
        ann.script("dropConnection(socket, 'The server does not answer.')")
        ann.until("it learns when it is back", "return !pending.size && byId('state').textContent === 'Connected'")
        ann.say("once more, from the top")
        ben.arrives("and goes on", "Ann", "once more, from the top")
        for page in (ann, ben):
            self.holds(f"neither came twice to {page.name}", page.script(
                "return ['swallowed on the way there', 'the answer was swallowed'].every(t => messages.textContent.split(t).length === 2)"))
        self.both_are_here(ann, ben, "each person is there once")

    def outage(self, ann, ben):
        ann.script("draft.value = 'half a thought'; draftChanged()")
        self.server.kill()
        for page in (ann, ben):
            page.until(f"{page.name} is told that the connection is lost",
                       "return byId('state').textContent.startsWith('Disconnected') && !byId('outage').hidden && /connection was lost|cannot be reached/.test(byId('outage').innerText)")
            page.until("and when it is tried again", "return /Trying again in \\d+ s|Trying now/.test(byId('countdown').textContent)")
        pauses = ben.script("return [0, 1, 2, 3, 4, 9].map(n => { attempt = n; retry('The connection was lost.'); return retryAt - Date.now(); })")
        self.holds("the pauses grow, and end", all(1000 * low <= pause <= 1000 * high + 50 for pause, (low, high) in zip(
            pauses, [(.45, 1.5), (.95, 3), (1.95, 6), (3.95, 12), (7.95, 24), (14.95, 45)])), pauses)
        ben.say("said into the void")
        ben.until("a message that cannot be sent is kept and marked", "return [...document.querySelectorAll('.pending')].map(e => e.innerText).join().includes('Not sent yet')")
        ben.open(f"{self.origin}/?room=rust", fails=True)
        self.server = Program([self.options.binary, "--listen", self.server.matched], r"^listening on http://(127\.0\.0\.1:\d+)$")
        ann.until("Ann comes back by herself", "return byId('state').textContent === 'Connected' && byId('outage').hidden")
        self.holds("the draft was kept", ann.script("return draft.value") == "half a thought")
        # Ben reloaded while there was no server: the browser shows its own error page until it is tried again.
        ben.open(f"{self.origin}/?room=rust")
        ben.until("Ben comes back", "return byId('state').textContent === 'Connected'")
        ann.arrives("what was said during the outage arrives", "Ben", "said into the void")
        self.holds("it arrives once", ann.script("return messages.textContent.split('said into the void').length") == 2)
        self.both_are_here(ann, ben, "who is here is right again")
        ann.press("#draft", "\ue007")
        ben.arrives("they go on talking", "Ann", "half a thought")
        self.second_outage(ann, ben)

    def second_outage(self, ann, ben):
        news = [page.script("return messages.textContent.split('came in').length") for page in (ann, ben)]
        self.server.kill()
        for page in (ann, ben):
            page.until(f"{page.name} notices a second time", "return ['waiting', 'connecting'].includes(document.body.dataset.state) && !byId('outage').hidden")
        self.server = Program([self.options.binary, "--listen", self.server.matched], r"^listening on http://(127\.0\.0\.1:\d+)$")
        ann.script("if (!byId('try-now').hidden) byId('try-now').click()")
        ben.script("window.dispatchEvent(new Event('online'))")
        for page in (ann, ben):
            page.until(f"{page.name} is back", "return byId('state').textContent === 'Connected' && byId('outage').hidden")
        self.both_are_here(ann, ben, "both are here a second time")
        self.holds("people from before the outage are not news", news == [
            page.script("return messages.textContent.split('came in').length") for page in (ann, ben)])
        ben.say("and on")
        ann.arrives("and go on", "Ben", "and on")

    def keyboard_and_names(self, ann):
        unnamed = ann.script("""return [...document.querySelectorAll('button, input, textarea, a, [role=log]')].filter(e =>
            !(e.ariaLabel || e.innerText?.trim() || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML.slice(0, 80))""")
        self.holds("every control has a name", unnamed == [], unnamed)
        self.holds("messages are a live log, the state is announced", ann.script(
            "return log.role === 'log' && log.ariaLive === 'polite' && byId('state').role === 'status'"))
        ann.script("document.activeElement.blur()")
        reached = []
        for _ in range(25):
            ann.keys("\ue004")
            reached.append(ann.script("""const e = document.activeElement, s = getComputedStyle(e), r = getComputedStyle(e.closest('.composer') ?? e);
                return [e.id || e.className || e.tagName, s.outlineStyle !== 'none' || r.outlineStyle !== 'none']"""))
        names = {name for name, _ in reached}
        self.holds("the Tab key reaches everything", {"room-name", "rename", "log", "draft"} <= names, sorted(names))
        self.holds("the focus is visible everywhere", all(seen for name, seen in reached if name != "BODY"), reached)

    def narrow_page(self, ann):
        ann.resize(360, 740)
        ann.until("nothing sticks out at 360 pixels", "return innerWidth === 360 && document.documentElement.scrollWidth <= 360 && log.scrollWidth <= log.clientWidth")
        ann.click("#drawer-toggle")
        ann.until("people and rooms are one press away", "return byId('drawer-toggle').ariaExpanded === 'true' && getComputedStyle(byId('side')).visibility === 'visible'")
        ann.keys("\ue00c")
        ann.until("Escape closes them", "return byId('drawer-toggle').ariaExpanded === 'false' && document.activeElement.id === 'drawer-toggle'")
        ann.resize(1280, 800)

    def nothing_was_reported(self, ann, ben):
        for page in (ann, ben):
            entries = [entry for entry in page.console() if not (page.outages and OUTAGE.search(entry["message"]))]
            self.holds(f"{page.name}'s console reports nothing but the outages", entries == [], entries)
            self.holds(f"nothing violated the policy at {page.name}'s", page.script("return window.violations") == [], page.script("return window.violations"))

    def shutdown(self, ann, ben):
        code = self.server.terminate()
        self.holds("SIGTERM ends the server with 0", code == 0, f"exit code {code}")
        for page in (ann, ben):
            page.until(f"{page.name} is told that the server went away",
                       "return !byId('outage').hidden && /shutting down or restarting|cannot be reached/.test(byId('outage-text').textContent)")
            self.holds("it sent a close frame first", page.script("return window.closings.includes(1001)"), page.script("return window.closings"))

    def pictures(self, ann, ben):
        directory = self.options.screenshots
        directory.mkdir(parents=True, exist_ok=True)
        talk(self, ann, ben)
        for width, height, size in [(1280, 800, "desktop"), (390, 844, "phone")]:
            for shade in ["light", "dark"]:
                def take(what):
                    time.sleep(.4)  # transitions end, pictures only
                    ann.picture(directory / f"{size}-{shade}-{what}.png")

                ann.look(width, height, shade)
                ann.script("toEnd()")
                take("talk")
                ann.script("const kept = name; name = null; askName(); name = kept; byId('name').value = 'Ann'; byId('name').select()")
                take("name")
                ann.script("dialog.close(); attempt = 3; retry('The connection was lost.'); queue('unsent', 'Are you all still there?')")
                take("outage")
                ann.script("pending.get('unsent').element.remove(); pending.delete('unsent'); attempt = 0; clearInterval(timer); show('online', 'Connected')")
                if (size, shade) in [("desktop", "light"), ("phone", "dark")]:
                    ann.script("log.scrollTop = 0")
                    ben.say(EMOJI)
                    ben.say("Sorry, cat on the keyboard")
                    ann.until("two are unread", "return unread === 2 && !byId('pill').hidden")
                    take("unread")
                    ann.click("#pill")
                    take("long")
                if size == "phone":
                    ann.click("#drawer-toggle")
                    take("drawer")
                    ann.keys("\ue00c")
        ann.look(1280, 800, "")

    # Helpers of the checks.

    def both_are_here(self, ann, ben, what):
        for page in (ann, ben):
            page.until(f"{what} ({page.name})", """return [...people].sort().join() === 'Ann,Ben' && byId('count').textContent === '2'
                && byId('people').innerText.includes('Ann') && byId('people').innerText.includes('Ben')""")

    def holds(self, what, condition, found=None):
        if condition:
            self.passed += 1
            print(f"ok      {what}")
        else:
            self.failed.append(what)
            print(f"FAILED  {what}" + (f": {str(found)[:600]}" if found is not None else ""))

    def report(self):
        print(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0

    def clean_up(self):
        for session in self.sessions:
            session.quit()
        self.driver.kill()
        if self.server:
            self.server.kill()


class Session:
    """One browser with a profile of its own, and the page in it."""

    def __init__(self, check, name):
        self.check, self.name, self.outages = check, name, True
        self.base = f"http://127.0.0.1:{check.driver.matched}/session"
        profile = check.scratch / name
        answer = self.call("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": check.browser, "args": FLAGS + [f"--user-data-dir={profile}", "--window-size=1280,800"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}})
        self.base += "/" + answer["sessionId"]
        # Before any script of any page: collect what the policy forbids and how each socket ended.
        self.devtools("Page.addScriptToEvaluateOnNewDocument", {"source": """
            window.violations = []; window.closings = [];
            document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective + ' ' + e.blockedURI));
            window.WebSocket = class extends WebSocket {
                constructor(...all) { super(...all); this.addEventListener('close', e => closings.push(e.code)); }
            };"""})

    def open(self, url, fails=False):
        try:
            self.call("POST", "/url", {"url": url})
        except WebDriverError:
            if not fails:
                raise

    def script(self, source, arguments=()):
        return self.call("POST", "/execute/sync", {"script": source, "args": list(arguments)})

    def script_later(self, source, arguments=()):
        return self.call("POST", "/execute/async", {"script": source, "args": list(arguments)})

    def until(self, what, source):
        """Waits until the script returns true, which is the check."""
        deadline = time.monotonic() + PAGE_SHOWS_WITHIN
        while True:
            try:
                if self.script(source):
                    return self.check.holds(what, True)
            except WebDriverError as error:
                found = error
            else:
                found = None
            if time.monotonic() > deadline:
                seen = found or self.script("return document.body.dataset.state + ' | ' + [...document.body.innerText].slice(0, 700).join('')")
                raise Failure(f"{what} ({self.name}): not within {PAGE_SHOWS_WITHIN} s; the page shows: {seen}")
            time.sleep(.03)

    def arrives(self, what, author, text):
        self.until(what, f"""const [author, text] = {json.dumps([author, text])};
            return [...messages.querySelectorAll('.message:not(.own)')].some(e =>
                e.querySelector('.author bdi').textContent === author && e.querySelector('.text').textContent === text)""")

    def say(self, text):
        # The driver cannot type characters outside the basic plane: the text is set by a script, the Enter key is real.
        self.script("draft.value = arguments[0]; draft.dispatchEvent(new Event('input', { bubbles: true })); draft.focus()", [text])
        self.press("#draft", "\ue007")

    def element(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def type(self, selector, text):
        self.press(selector, text.replace("\n", "\ue007"))

    def press(self, selector, keys):
        self.call("POST", f"/element/{self.element(selector)}/value", {"text": keys})

    def keys(self, keys):
        actions = [step for key in keys for step in ({"type": "keyDown", "value": key}, {"type": "keyUp", "value": key})]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector):
        self.call("POST", f"/element/{self.element(selector)}/click", {})

    def window(self):
        return self.call("GET", "/window")

    def new_window(self, url):
        handle = self.call("POST", "/window/new", {"type": "tab"})["handle"]
        self.call("POST", "/window", {"handle": handle})
        self.open(url)

    def close_window(self, then):
        self.call("DELETE", "/window")
        self.call("POST", "/window", {"handle": then})

    def resize(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def look(self, width, height, shade):
        self.devtools("Emulation.setDeviceMetricsOverride",
                      {"width": width, "height": height, "deviceScaleFactor": 2 if width < 500 else 1, "mobile": width < 500})
        self.devtools("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": shade}]})

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def console(self):
        return self.call("POST", "/se/log", {"type": "browser"})

    def devtools(self, command, parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            problem = json.load(error)["value"]
            raise WebDriverError(f"{method} {path}: {problem['error']}: {problem['message'].splitlines()[0]}") from None

    def quit(self):
        try:
            self.call("DELETE", "")
        except (WebDriverError, OSError) as error:
            print(f"{self.name}'s browser could not be closed: {error}", file=sys.stderr)


class WebDriverError(Exception):
    """An error that chromedriver answered."""


class Program:
    """A program that is started, awaited until it is ready, and ended here."""

    def __init__(self, command, ready):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said, self.matched, said_so = [], None, threading.Event()

        def listen():
            for line in self.process.stdout:
                self.said.append(line)
                found = re.search(ready, line.rstrip("\n"))
                if found and self.matched is None:
                    self.matched = found.group(1)
                    said_so.set()
            said_so.set()

        threading.Thread(target=listen, daemon=True).start()
        said_so.wait(SERVER_STARTS_WITHIN)
        if self.matched is None:
            self.kill()
            raise Failure(f"{command[0]} did not say that it is ready; it said: {''.join(self.said)!r}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            return "none: it was still running after 20 s"


def talk(check, ann, ben):
    """Makes a conversation for the screenshots, in a room of its own."""
    connected = "return byId('state').textContent === 'Connected'"
    for width, shade in [(1280, "light"), (390, "dark")]:
        ann.look(width, 844 if width < 500 else 800, shade)
        ann.open(f"{check.origin}/?room=bread-club")
        ann.until("Ann is in the room for the pictures", connected)
        ann.picture(check.options.screenshots / f"empty-{width}-{shade}.png")
    speakers = {}
    for name in ["Ben", "Priya", "Tomás", "Ελένη", "سلمى"]:
        if speakers:
            speakers[name] = ben.call("POST", "/window/new", {"type": "tab"})["handle"]
            ben.call("POST", "/window", {"handle": speakers[name]})
        else:
            speakers[name] = ben.window()
        ben.open(f"{check.origin}/?room=bread-club")
        ben.until("a guest is there", connected)
        ben.script("if (name === arguments[0]) return; name = arguments[0]; const old = socket; socket = you = null; old.close(); connect()", [name])
        ben.until(f"{name} is there", f"return you === {json.dumps(name)}")
    lines = [
        ("Ann", "The starter doubled overnight. I think today is the day 🍞"),
        ("Ben", "Finally! Which flour did you end up using?"),
        ("Ann", "Half rye, half the strong white from the mill"),
        ("Ann", "Hydration around 75 %, so it is a bit of a handful"),
        ("Priya", "Do wet your hands. Mine stuck to everything but the basket last time"),
        ("Priya", "And the worktop. And the cat."),
        ("سلمى", "أرسلي لنا صورة من فضلك!"),
        ("Ann", "🎉"),
        ("Tomás", "My timings:\n  08:00  mix, rest 40 minutes\n  09:00  four folds, every half hour\n  13:00  shape, into the fridge\nBake the next morning in a very hot pot."),
        ("Ben", "Saved. Is that with the lid on for the first half?"),
        ("Tomás", "Yes, 20 minutes with, 20 without"),
        ("Ann", "Then I will be back tomorrow with either bread or a doorstop."),
    ]
    for speaker, text in lines:
        page = ann if speaker == "Ann" else ben
        if page is ben:
            ben.call("POST", "/window", {"handle": speakers[speaker]})
        page.say(text)
        page.until("said", "return !pending.size")
    ben.call("POST", "/window", {"handle": speakers["Ben"]})
    ann.until("all was said", f"return shown.size === {len(lines)}")


if __name__ == "__main__":
    main()
