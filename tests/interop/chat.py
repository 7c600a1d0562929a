#!/usr/bin/env python3
"""A client of the chat example that is written against the text at its top, and nothing else.

    chat.py CHAT

CHAT is the built example. Needs the package `websockets` (tests/run installs it). Compares
what the server sends with the messages that examples/chat/main.rs shows, field by field. Prints a
line for each check and at the end `N passed, M failed`.
"""

import asyncio
import json
import pathlib
import re
import sys
import time
import urllib.request

from check import TIMEOUT, Server, closed

KEPT, SHOWN = 100, 50
SOURCE = pathlib.Path(__file__).parents[2] / "examples/chat/main.rs"


def documented():
    """The fields of each message, as the example's text shows them."""
    text = "\n".join(line[4:] for line in SOURCE.read_text().splitlines() if line.startswith("//!"))
    blocks = re.findall(r"```text\n(\{.*?)```", text, re.DOTALL)
    shown, decoder = {}, json.JSONDecoder()
    for block in blocks:
        while block := block.lstrip():
            message, end = decoder.raw_decode(block)
            shown[message["type"]] = message
            block = block[end:]
    return shown


SHOWN_MESSAGES = documented()


def as_documented(message):
    """Fails unless the message has the fields that are documented, in that order, of those types."""
    shown = SHOWN_MESSAGES[message["type"]]
    assert list(message) == list(shown), f"got {list(message)}, documented {list(shown)}"
    for field, value in message.items():
        assert type(value) is type(shown[field]), (field, value)
    for entry in message.get("messages", []):
        as_documented(entry)
    return message


class Page:
    """A client that keeps its position and the texts in their order."""

    def __init__(self, chat, name, room="rust", secret=None):
        self.chat, self.name, self.room, self.secret = chat, name, room, secret
        self.position, self.texts, self.holes, self.seen = None, [], 0, set()

    async def __aenter__(self):
        self.manager = self.chat.connect("/ws")
        self.socket = await self.manager.__aenter__()
        join = {"type": "join", "room": self.room, "name": self.name}
        if self.position is not None:
            join["after"] = self.position
        if self.secret is not None:
            join["secret"] = self.secret
        await self.send(join)
        welcome = await self.get()
        assert welcome["type"] == "welcome", welcome
        self.you = welcome["you"]
        while (message := await self.get())["type"] != "people":
            assert message["type"] in ("said", "recent", "joined", "left"), message
        self.people = message["people"]
        return self

    async def __aexit__(self, *why):
        await self.manager.__aexit__(*why)

    async def send(self, message):
        await self.socket.send(json.dumps(message))

    async def get(self):
        message = as_documented(json.loads(await asyncio.wait_for(self.socket.recv(), TIMEOUT)))
        if message["type"] == "recent":
            self.holes += self.position is not None
            self.position = message["position"]
            assert len(message["messages"]) <= SHOWN
            if message["messages"]:
                assert message["messages"][-1]["position"] == message["position"], message
            for said in message["messages"]:
                self.take(said)
        elif message["type"] == "said":
            self.position = message["position"]
            assert message["id"] not in self.seen, message
            self.take(message)
        return message

    def take(self, said):
        if said["id"] not in self.seen:
            self.seen.add(said["id"])
            self.texts.append(said)

    async def say(self, identity, text):
        await self.send({"type": "say", "id": identity, "text": text})
        while (message := await self.get()).get("id") != identity:
            pass
        return message

    async def until(self, kind):
        while (message := await self.get())["type"] != kind:
            pass
        return message


async def every_message_is_documented(_):
    assert sorted(SHOWN_MESSAGES) == sorted(
        ["join", "say", "welcome", "recent", "people", "said", "joined", "left", "accepted", "declined"]), SHOWN_MESSAGES


async def a_first_visit(chat):
    async with Page(chat, "Ann", "first") as ann:
        assert (ann.you, ann.people, ann.texts, ann.holes) == ("Ann", ["Ann"], [], 0)
        async with Page(chat, "  ann ", "first") as other:
            assert other.you == "ann (2)" and sorted(other.people) == ["Ann", "ann (2)"], (other.you, other.people)
            assert (await ann.until("joined"))["name"] == "ann (2)"
            said = await other.say("1", "hello")
            assert (said["from"], said["text"]) == ("ann (2)", "hello")
            assert abs(said["at"] / 1000 - time.time()) < 60
            assert await ann.until("said") == said
        assert (await ann.until("left"))["name"] == "ann (2)"


async def what_was_missed_comes_once_in_order(chat):
    ben = Page(chat, "Ben", "away")
    async with Page(chat, "Ann", "away") as ann:
        async with ben:
            await ben.say("b", "I am off")
        for number in range(KEPT):
            await ann.say(f"a{number}", str(number))
        async with ben:
            assert ben.holes == 0
            ann_knows = [said["id"] for said in ann.texts]
            assert [said["id"] for said in ben.texts] == ann_knows, ben.texts
        async with ben:
            assert ben.holes == 0 and len(ben.texts) == KEPT + 1, "nothing was missed, and nothing comes"


async def who_has_missed_too_much_gets_the_last_texts(chat):
    ben = Page(chat, "Ben", "long")
    async with Page(chat, "Ann", "long") as ann:
        async with ben:
            await ben.say("b", "I am off")
        for number in range(KEPT + 1):
            await ann.say(f"a{number}", str(number))
        async with ben:
            assert ben.holes == 1, ben.holes
            expected = ["b"] + [f"a{number}" for number in range(KEPT + 1 - SHOWN, KEPT + 1)]
            assert [said["id"] for said in ben.texts] == expected, ben.texts
        # The oldest position from which nothing is missing, and a text that is no position.
        ben.position, ben.seen, ben.texts, ben.holes = ann.texts[0]["position"], set(), [], 0
        async with ben:
            assert ben.holes == 1
        ben.position, ben.holes = ann.texts[1]["position"], 0
        ben.seen, ben.texts = set(), []
        async with ben:
            assert ben.holes == 0 and len(ben.texts) == KEPT, (ben.holes, len(ben.texts))
        ben.position = "not a position"
        async with ben:
            assert ben.holes == 1


async def a_position_of_another_room_is_missed(chat):
    async with Page(chat, "Ann", "one") as ann:
        await ann.say("1", "in one")
        other = Page(chat, "Ben", "two")
        async with other:
            await other.say("1", "in two")
        other.position, other.seen = ann.position, set()
        async with other:
            assert other.holes == 1


async def an_identity_is_taken_once(chat):
    ben = Page(chat, "Ben", "once")
    async with Page(chat, "Ann", "once") as ann:
        async with ben:
            for identity in "abab":
                await ben.send({"type": "say", "id": identity, "text": identity})
            await ben.say("end", "end")
        async with ben:
            accepted = await ben.say("a", "said again in another connection")
            assert accepted == {"type": "accepted", "id": "a"}, accepted
        while (await ann.get()).get("id") != "end":
            pass
        assert [said["id"] for said in ann.texts] == ["a", "b", "end"], ann.texts


async def an_unanswered_text_is_found_in_what_was_missed(chat):
    ben = Page(chat, "Ben", "unanswered")
    async with Page(chat, "Ann", "unanswered") as ann:
        async with ben:
            await ben.say("before", "before")
            await ben.send({"type": "say", "id": "unanswered", "text": "and gone"})
            await ann.until("said")
            while ann.texts[-1]["id"] != "unanswered":
                await ann.get()
            # What has come by now is not read.
        async with ben:
            assert [said["id"] for said in ben.texts] == ["before", "unanswered"], ben.texts


async def texts_may_follow_join_at_once(chat):
    async with chat.connect("/ws") as socket:
        await socket.send('{"type":"join","room":"eager","name":"Ann","after":null,"unknown":1}')
        await socket.send('{"type":"say","id":"1","text":"hello"}')
        kinds = [json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT))["type"] for _ in range(4)]
        assert kinds == ["welcome", "recent", "people", "said"], kinds


async def a_page_that_comes_back_has_its_name(chat):
    async with Page(chat, "Ann", "again") as ann:
        async with Page(chat, "Ben", "again", "secret") as old:
            async with Page(chat, "Ben", "again", "another") as other:
                assert other.you == "Ben (2)", other.you
                assert (await ann.until("joined"))["name"] == "Ben"
                assert (await ann.until("joined"))["name"] == "Ben (2)"
                async with Page(chat, "Ben", "again", "secret") as new:
                    assert new.you == "Ben" and sorted(new.people) == ["Ann", "Ben", "Ben (2)"], (new.you, new.people)
                    assert (await closed(old.socket))[0] == 1012
                    await new.say("1", "it is still me")
                    told = await ann.get()
                    assert (told["type"], told["from"]) == ("said", "Ben"), told
            async with Page(chat, "Ann", "again", "secret") as renamed:
                assert renamed.you == "Ann (2)", "a secret holds for one name"


async def what_breaks_the_rules_is_closed_with_1008(chat):
    join = {"type": "join", "room": "rules", "name": "Ann"}
    say = {"type": "say", "id": "1", "text": "hello"}
    for messages in [[say], [join, join], ["no JSON"], [join | {"room": "a room"}], [join | {"room": "x" * 33}],
                     [join | {"name": "  "}], [join | {"name": "x" * 33}], [join, say | {"id": ""}],
                     [join, say | {"id": "x" * 65}], [join, say | {"text": "x" * 65537}], [{"type": "shout"}]]:
        async with chat.connect("/ws") as socket:
            for message in messages:
                await socket.send(message if isinstance(message, str) else json.dumps(message))
            code, reason = await closed(socket)
            assert code == 1008 and reason, (messages, code, reason)
    async with Page(chat, "Ann", "rules") as ann:
        assert (await ann.say("x" * 64, "\x01" * 65536))["text"] == "\x01" * 65536
        await ann.send({"type": "say", "id": "2", "text": "\x01" * 65536, "unknown": "x" * 1024})
        assert (await closed(ann.socket))[0] == 1009


async def it_is_ready(chat):
    def ask():
        with urllib.request.urlopen(f"http://{chat.address}/ready", timeout=TIMEOUT) as answer:
            return answer.status, answer.read()
    assert await asyncio.to_thread(ask) == (200, b"ready\n")


async def a_server_that_stops_says_1001(chat):
    async with Page(chat, "Ann", "stop") as ann:
        chat.stop()
        assert (await closed(ann.socket))[0] == 1001


async def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    passed = failed = 0
    async with Server(sys.argv[1], "--history", str(KEPT)) as chat:
        for function in [
            every_message_is_documented, a_first_visit, what_was_missed_comes_once_in_order,
            who_has_missed_too_much_gets_the_last_texts, a_position_of_another_room_is_missed,
            an_identity_is_taken_once, an_unanswered_text_is_found_in_what_was_missed,
            texts_may_follow_join_at_once, a_page_that_comes_back_has_its_name, what_breaks_the_rules_is_closed_with_1008, it_is_ready,
            a_server_that_stops_says_1001,
        ]:
            name = function.__name__.replace("_", " ")
            try:
                await asyncio.wait_for(function(chat), 3 * TIMEOUT)
                passed += 1
                print(f"ok      {name}", flush=True)
            except Exception as problem:
                failed += 1
                print(f"FAILED  {name}: {type(problem).__name__}: {str(problem)[:600]}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    asyncio.run(main())
