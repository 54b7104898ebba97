"""Courtesy callbacks through the whole brain, between scripted cards: who waits is called back in their place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import acd.events as routing
from acd.model import CallbackRule
from exchange.brain import callbacks, records
from exchange.brain.details import Details
from exchange.brain.outdial import reachable, way_to
from ivr.effects import AskNumber
from ivr.inputs import Digits
from media.control import edge, line
from media.control.envelope import ControlError
from tests.exchange.brain.floor import Floor, Page, running_floor
from tests.exchange.brain.story import CONFIGURED, Story

pytestmark = pytest.mark.layer

TRUNK = edge.Trunk("carrier", ["192.0.2.0/24"], "sip.carrier.example", "us", "secret")


def quick_retry(seconds: float = 0.2, tries: int = 3) -> routing.Configured:
    rule = CallbackRule(tries=tries, retry_seconds=seconds)
    queues = [msgspec.structs.replace(queue, callback=rule) for queue in CONFIGURED.queues]
    return msgspec.structs.replace(CONFIGURED, queues=queues)


@pytest_asyncio.fixture
async def floor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Floor]:
    monkeypatch.setattr(callbacks, "GOODBYE_SECONDS", 0.05)
    async with running_floor(configured=quick_retry(), trunks=[TRUNK]) as floor:
        yield floor


async def to_callback(floor: Floor, page: Page, *, keys: str = "1") -> str:
    """A caller waits, takes the callback and hangs up; the contact. The agent is idle meanwhile."""
    await page.softphone()
    call = floor.line.call(1)
    card = floor.line
    await floor.until(lambda: card.calls[call].collect)
    card.press(call, "1")
    await floor.until(lambda: any(isinstance(c, line.Collect) and not c.files for c in card.done) and card.calls[call].collect)
    card.press(call, "9")
    for digits in keys.split():
        await floor.until(lambda: card.calls[call].collect)
        card.press(call, digits)
    contact = floor.contact(call)
    await floor.until(lambda: floor.exchange.house.talks[contact].callback == "taken")
    await floor.until(lambda: contact not in floor.exchange.workers)  # the goodbye, and the flow hangs up
    return contact


async def dialled(floor: Floor, count: int = 1) -> line.PlaceLeg:
    await floor.until(lambda: len(floor.line.of(line.PlaceLeg)) >= count)
    leg: line.PlaceLeg = floor.line.of(line.PlaceLeg)[count - 1]
    return leg


async def taken_by(page: Page) -> None:
    await page.say("set_state", state="available")
    await page.accept()


def in_the_log(floor: Floor, text: str) -> bool:
    return any(text.encode() in row.body for row in floor.log.rows)


async def test_a_caller_is_called_back_and_talks(floor: Floor) -> None:
    page = await floor.page()
    contact = await to_callback(floor, page)
    assert floor.exchange.house.talks[contact].card == ""
    await page.say("set_state", state="available")
    await page.until(lambda: page.now["offer"])
    assert (page.now["offer"]["callback"], page.now["offer"]["number"]) == (True, "+4930123")
    await page.say("accept", offer=page.now["offer"]["id"])
    leg = await dialled(floor)
    assert (leg.target, leg.caller, leg.username) == ("sip:+4930123@carrier", "5000", "us")
    await floor.until(lambda: floor.line.of(line.PlayTone))
    assert page.now["contact"]["state"] == "dialling"
    assert not floor.line.of(line.Record)
    floor.line.answer(leg.call)
    await page.talks()
    state = floor.line.calls[leg.call]
    await floor.until(lambda: len(state.links) == 2 and state.recording)
    assert [c.player for c in floor.line.of(line.StopPlay) if c.call == leg.call] == ["ringing"]
    await page.say("hang_up")
    await floor.until(lambda: contact not in floor.exchange.house.talks)
    finals = floor.log.written("contact_ended")
    assert [(row[0], row[2]) for row in finals] == [(contact, "handled")]
    assert len(floor.log.written("contact_answered")) == len(floor.log.written("recording_opened")) == 1
    assert not in_the_log(floor, "4930123")


async def test_busy_then_again_then_given_up(floor: Floor) -> None:
    page = await floor.page()
    contact = await to_callback(floor, page)
    await taken_by(page)
    leg = await dialled(floor)
    floor.line.refuse_leg(leg.call, "busy")
    await page.until_state("available")
    await page.until(lambda: page.now["offer"] and page.now["offer"]["tries"] == 1)
    await page.accept()
    leg = await dialled(floor, 2)
    await page.say("hang_up")  # the agent gives up while it rings
    await floor.until(lambda: floor.line.calls.get(leg.call) is None or floor.line.calls[leg.call].ended)
    await page.accept()
    leg = await dialled(floor, 3)
    assert page.now["contact"]["tries"] == 3
    floor.line.refuse_leg(leg.call, "rejected")
    await floor.until(lambda: contact not in floor.exchange.house.talks)
    assert [(row[0], row[2]) for row in floor.log.written("contact_ended")] == [(contact, "failed")]
    await page.until_state("available")
    assert floor.exchange.workers == {}


async def test_no_line_costs_a_try(floor: Floor) -> None:
    floor.edge.refuse[edge.LeaseLine] = ControlError("no-line", "All lines are in use.")
    page = await floor.page()
    await to_callback(floor, page)
    await taken_by(page)
    await page.until(lambda: page.now["offer"] and page.now["offer"]["tries"] == 1)
    del floor.edge.refuse[edge.LeaseLine]
    await page.accept()
    await dialled(floor)


async def test_another_number_is_kept_beside_the_log(floor: Floor) -> None:
    page = await floor.page()
    contact = await to_callback(floor, page, keys="2 123 00493012345678")
    numbers = [c for c in floor.line.of(line.Collect) if c.max_digits > 1]
    assert len(numbers) == 2  # 123 is nobody's
    assert all(c.secret for c in numbers)
    assert floor.log.written("callback_number") == [[contact, "+493012345678"]]
    await floor.restart()
    page = await floor.page()
    await page.softphone()
    await taken_by(page)
    assert (await dialled(floor)).target == "sip:+493012345678@carrier"
    assert not in_the_log(floor, "3012345678")


@pytest.mark.parametrize(
    "when", ["before the lease", "before the leg", "ringing", "answered meanwhile", "busy meanwhile", "talking"]
)
async def test_the_exchange_dies(floor: Floor, when: str) -> None:
    page = await floor.page()
    contact = await to_callback(floor, page)
    held = {"before the lease": (floor.edge, edge.LeaseLine), "before the leg": (floor.line, line.PlaceLeg)}.get(when)
    if held is not None:
        held[0].hold[held[1]] = asyncio.Event()
    await taken_by(page)
    if held is not None:
        await floor.until(lambda: held[0].of(held[1]))
        await floor.stop()
        del held[0].hold[held[1]]  # what the dead exchange had asked for never happens
    else:
        leg = await dialled(floor)
        await floor.until(lambda: floor.line.of(line.PlayTone))
        if when == "talking":
            floor.line.answer(leg.call)
            await page.talks()
        await floor.stop()
        if when == "answered meanwhile":
            floor.line.answer(leg.call)
        if when == "busy meanwhile":
            floor.line.refuse_leg(leg.call, "busy")
    await floor.start()
    page = await floor.page()
    if when == "busy meanwhile":
        await page.until(lambda: page.now["offer"] and page.now["offer"]["tries"] == 1)
        return
    if when not in ("answered meanwhile", "talking"):
        if held is not None:
            leg = await dialled(floor, 1 if when == "before the lease" else 2)
            await floor.until(lambda: leg.call in floor.line.calls)
        floor.line.answer(leg.call)
    await page.talks()
    talk = floor.exchange.house.talks[contact]
    assert (talk.callback, talk.gone, talk.call) == ("answered", False, leg.call)
    await floor.until(lambda: len(floor.line.calls[leg.call].links) == 2)
    assert len(floor.line.of(line.Record)) == 1


async def test_the_line_card_dies_while_it_rings(floor: Floor) -> None:
    page = await floor.page()
    contact = await to_callback(floor, page)
    await taken_by(page)
    await dialled(floor)
    await floor.line.die()
    await floor.line.start()
    await page.until(lambda: page.now["offer"] and page.now["offer"]["tries"] == 1)
    await page.accept()
    leg = await dialled(floor, 2)
    floor.line.answer(leg.call)
    await page.talks()
    assert floor.exchange.house.talks[contact].generation == "linecard0-2"


async def test_a_callback_that_a_program_asked_for_is_dialled(floor: Floor) -> None:
    page = await floor.page()
    await page.softphone()
    house, contact = floor.exchange.house, "0199aaaa-0000-7000-8000-000000000001"
    floor.exchange.details[contact] = Details("", "", callback="+4930777")
    floor.exchange.put(records.Routing(routing.ContactArrived(0, contact, "voice")))
    floor.exchange.put(records.Routing(routing.CallbackTaken(0, contact, "v1", "sales")))
    await taken_by(page)
    leg = await dialled(floor)
    assert leg.target == "sip:+4930777@carrier"
    floor.line.answer(leg.call)
    await page.talks()
    floor.line.hang_up(leg.call)
    await floor.until(lambda: contact not in house.talks)
    assert [row[2] for row in floor.log.written("contact_ended")] == ["handled"]


# --- the house alone ----------------------------------------------------------------------------------------------


def test_the_place_is_kept_while_it_is_offered_and_after_it_was_declined() -> None:
    story = Story()
    story.ready()
    story.route(routing.AgentStateChosen(0, "agent1", "idle", "break"))
    story.reachable = "own"
    first, second = story.to_queue(), story.to_queue()
    visit = story.house.engine.contact(first).visit  # type: ignore[union-attr]
    while not _listens(story, first):
        story.answer(first)
    story.answer(first, Digits("9"))
    story.answer(first, Digits("3"))
    view = story.house.engine.contact(first)
    assert view is not None
    assert (view.state, view.visit) == ("waiting", visit)
    assert story.house.talks[first].flow.activity == "sales_queue"
    story.route(routing.AgentStateChosen(0, "agent1", "available"))
    assert story.house.engine.contact(first).state == "offered"  # type: ignore[union-attr]
    assert story.house.engine.contact(second).state == "waiting"  # type: ignore[union-attr]
    story.end()


def _listens(story: Story, contact: str) -> bool:
    command = story.outstanding(contact)
    return getattr(command, "texts", None) == []


def test_who_cannot_be_called_goes_on_waiting() -> None:
    story = Story()
    story.ready()
    story.route(routing.AgentStateChosen(0, "agent1", "idle", "break"))
    contact = story.to_queue()
    while not _listens(story, contact):
        story.answer(contact)
    story.answer(contact, Digits("9"))
    assert story.house.talks[contact].flow.activity == "no_callback_sales"
    assert story.house.engine.contact(contact).state == "waiting"  # type: ignore[union-attr]
    story.end()


def test_without_a_number_of_their_own_one_is_asked_for() -> None:
    story = Story()
    story.ready()
    story.route(routing.AgentStateChosen(0, "agent1", "idle", "break"))
    story.reachable = "keyed"
    contact = story.to_queue()
    while not _listens(story, contact):
        story.answer(contact)
    story.answer(contact, Digits("9"))
    assert isinstance(story.outstanding(contact), AskNumber)
    story.end()


# --- the way out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "trunks", "target", "can"),
    [
        (Details("+4930123", "5000", trunk="b"), ["a", "b"], "sip:+4930123@b", "own"),
        (Details("+49 (30) 123", "5000", trunk="gone"), ["a"], "sip:+4930123@a", "own"),
        (Details("ann", "5000", source="192.0.2.7:5070"), [], "sip:ann@192.0.2.7:5070", "own"),
        (Details("ann", "5000", source="192.0.2.7:5070"), ["a"], None, "keyed"),
        (Details("anonymous", "5000", source="192.0.2.7:5070"), [], None, "keyed"),
        (Details("+4930123", "5000"), [], None, ""),
        (Details("anonymous", "5000", callback="+4930999"), ["a"], "sip:+4930999@a", "own"),
    ],
)
def test_which_way_a_customer_is_called(detail: Details, trunks: list[str], target: str | None, can: str) -> None:
    found = [msgspec.structs.replace(TRUNK, name=name) for name in trunks]
    way: Any = way_to(detail, [msgspec.structs.replace(TRUNK, name="no-target", target=""), *found])
    assert (way.target if way is not None else None) == target
    assert reachable(detail, found, web=False) == can
