"""Chats through the exchange's inside: scripted customers over the internal API, agents at their desks, restarts between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

import acd.events as routing
from acd.model import Overflow, QueueConfig, Target
from channels.loopback.channel import Loopback, Visit
from channels.loopback.script import Script, parse
from exchange.brain import records
from tests.exchange.brain.border import CONFIGURATION, Border, running_border
from tests.exchange.brain.floor import Page

pytestmark = pytest.mark.layer

QUESTION = """
contact: {entry_point: chat, customer: jo@example.org, name: Jo, cad: {order: "4711"}}
steps:
  - wait: agent
  - say: "My parcel is late. Strictly-personal-words."
  - wait: answer
  - say: "Thank you!"
  - leave
"""


@contextlib.asynccontextmanager
async def customers(border: Border, script: Script, number: int = 1) -> AsyncIterator[asyncio.Task[list[Visit]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    loopback = Loopback(border.floor.doors.contacts, border.user("supervisor"), script, lambda *event: told.append(event))
    task = asyncio.create_task(loopback.run(number))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def accepted(border: Border, page: Page) -> str:
    """The agent takes what is offered; its contact."""
    offer = await border.offered(page)
    contact = str(page.now["offer"]["contact"])
    await page.say("accept", offer=offer)
    await page.until(lambda: shown(page, contact))
    return contact


def shown(page: Page, contact: str) -> dict[str, Any] | None:
    return next((c for c in page.now["conversations"] if c["contact"] == contact), None)


async def test_a_customer_asks_an_agent_answers_and_the_log_holds_no_word_of_it() -> None:
    async with running_border() as border, customers(border, parse(QUESTION)) as visits:
        page = await border.page()
        contact = await accepted(border, page)
        chat = shown(page, contact)
        assert chat is not None
        assert (chat["customer"], chat["name"], chat["cad"]) == ("jo@example.org", "Jo", {"order": "4711"})
        await page.until(lambda: (shown(page, contact) or {})["messages"] == 1)
        (message,) = (await page.say("messages", contact=contact))["messages"]
        assert (message["number"], message["author"], "parcel" in message["text"]) == (1, "customer", True)
        twice = [await page.say("send", contact=contact, text="It comes today.", key="s1") for _ in range(2)]
        assert twice == [{"number": 2}, {"number": 2}]
        (visit,) = await asyncio.wait_for(visits, 5)
        assert (visit.final, visit.read) == ("handled", 2)
        await page.until(lambda: (shown(page, contact) or {})["state"] == "wrap-up")
        assert [m["author"] for m in (await page.say("messages", contact=contact, after=1))["messages"]] == [
            "agent",
            "customer",
        ]
        await page.say("wrap_up", contact=contact, code="solved")
        await page.until(lambda: not page.now["conversations"])
        assert border.floor.exchange.desks.conversations == {}
        assert border.floor.exchange.details == {}
        logged = b"".join(row.body + (row.effects or b"") for row in border.floor.log.rows)
        for words in (b"personal", b"today", b"jo@example", b"Jo", b"4711"):
            assert words not in logged
        assert [row[5] for row in border.floor.log.written("message")][1:] == ["It comes today.", "Thank you!"]
        assert (await border.ask("GET", f"/contacts/{contact}/messages?after=2"))[1]["items"][0]["text"] == "Thank you!"


async def test_a_call_and_two_chats_at_once_and_a_third_waits() -> None:
    async with running_border() as border:
        floor = border.floor
        page = await border.page()
        await page.softphone()
        chats = [await border.chatting(page) for _ in range(2)]
        waiting = await border.chat()
        call = floor.line.call(1)
        await floor.until(lambda: floor.line.calls[call].collect)
        floor.line.press(call, "1")
        await page.accept()
        await page.talks()
        assert (await border.state(waiting), page.now["agent"]["state"]) == ("waiting", "engaged")
        assert [c["state"] for c in page.now["conversations"]] == ["engaged", "engaged"]
        await page.say("park", contact=chats[0])
        assert await accepted(border, page) == waiting, "a parked conversation needs no slot"
        with pytest.raises(Exception, match="can take no more"):
            await page.say("resume", contact=chats[0])
        await page.say("end", contact=waiting)
        await page.say("wrap_up", contact=waiting)
        await page.say("resume", contact=chats[0])
        await page.say("hang_up")
        await page.until(lambda: page.now["wrap_up"])
        assert page.now["wrap_up"]["contact"] == page.now["contact"]["id"]
        await page.say("wrap_up")
        await page.until(lambda: page.now["wrap_up"] is None)
        assert {c["contact"] for c in page.now["conversations"]} == set(chats)
        assert [border.final(contact) for contact in (waiting, *chats)] == ["handled", None, None]


async def test_conversations_outlive_the_exchange_and_a_parked_one_wakes_up() -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chatting(page)
        for number in (1, 2):
            assert await border.post(f"/contacts/{contact}/messages", {"text": f"Word {number}"}) == (201, {"id": str(number)})
        await page.say("park", contact=contact)
        before = await border.now(contact)
        await border.floor.restart()
        page = await border.floor.page()
        assert {**await border.now(contact), "waited": 0} == {**before, "waited": 0}
        assert [m["text"] for m in (await page.say("messages", contact=contact))["messages"]] == ["Word 1", "Word 2"]
        assert (shown(page, contact) or {})["customer"] == "jo@example.org"
        assert await border.post(f"/contacts/{contact}/messages", {"text": "Still there?"}) == (201, {"id": "3"})
        await page.until(lambda: (shown(page, contact) or {})["state"] == "engaged")
        assert await border.post(f"/contacts/{contact}/messages", {"text": "x" * 4001}) == (422, "invalid")


async def test_who_asks_first_after_a_restart_is_told_everything() -> None:
    async with running_border(recalling=False) as border:
        contact = await border.chatting(await border.page())
        for number in (1, 2):
            assert await border.post(f"/contacts/{contact}/messages", {"text": f"Word {number}"}) == (201, {"id": str(number)})
        await border.floor.restart()
        page = await border.floor.page()
        assert (shown(page, contact) or {})["messages"] == 0, "nothing was read yet"
        assert [m["text"] for m in (await page.say("messages", contact=contact))["messages"]] == ["Word 1", "Word 2"]
        await page.until(lambda: (shown(page, contact) or {})["messages"] == 2)
        await border.floor.restart()
        assert await border.post(f"/contacts/{contact}/messages", {"text": "Word 3"}) == (201, {"id": "3"})
        await border.floor.restart()
        assert (await border.now(contact))["messages"] == 3


async def test_who_loses_patience_leaves() -> None:
    script = parse("{contact: {entry_point: chat}, patience: 0.05, steps: [{wait: agent}, {say: Hello}]}")
    async with running_border() as border, customers(border, script, 2) as visits:
        found = await asyncio.wait_for(visits, 5)
        assert [visit.final for visit in found] == ["short-abandoned"] * 2
        assert border.floor.log.written("message") == []
        assert border.floor.exchange.desks.conversations == {}


async def test_what_a_queue_hands_back_has_flowed_out() -> None:
    full = Overflow("size", Target("voicemail"), over=1)
    queues = [QueueConfig("support", "Support", overflow=(full,)), QueueConfig("sales", "Sales", max_waiting=1)]
    border: Border
    async with running_border() as border:
        changed = msgspec.structs.replace(CONFIGURATION, queues=queues)
        await border.floor.exchange.ledger.put(records.Routing(changed))
        first = await border.chat()
        second = await border.chat()
        await border.floor.until(lambda: border.final(second))
        assert (border.final(first), border.final(second)) == (None, "flowed-out")
        assert await border.chat(queue="sales")
        body = {"channel": "chat", "queue": "sales"}
        assert await border.post("/contacts", body) == (409, "queue-full")


async def test_what_arrived_and_was_not_queued_when_the_exchange_died_is_queued() -> None:
    async with running_border() as border:
        house = border.floor.exchange.house
        contact = await border.chat()
        other = contact[:-4] + "ffff"
        arrived = routing.ContactArrived(0, other, "chat", "chat")
        await border.floor.exchange.ledger.put(records.Routing(arrived))
        assert house.engine.contact(other) is not None
        await border.floor.restart()
        assert (await border.now(other))["state"] == "waiting"
        assert (await border.now(other))["wait"]["position"] == 2


async def test_an_agent_whose_page_stays_away_loses_the_conversation_to_another() -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chatting(page)
        desks = border.floor.exchange.desks
        page.session.close(meant=True)
        desks._log_out(desks._seats["agent1"])
        await border.floor.exchange.ledger_drained()
        now = await border.now(contact)
        assert (now["state"], now["agent"]) == ("waiting", "")
        other = await border.page("agent2")
        assert await accepted(border, other) == contact
