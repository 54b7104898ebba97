"""Web callers against cards at real control sockets: what becomes of a call when its page, the exchange or a card is away."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from api.errors import ApiError
from exchange.brain import cards as cards_module
from exchange.brain import records, webcalls
from exchange.brain.webpages import WebPage
from media.control import desk, line
from tests.exchange.brain.fake_cards import FakeCall
from tests.exchange.brain.floor import Floor, running_floor

pytestmark = pytest.mark.layer


class Browser:
    """A web caller's page, and its connection on the desk card."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.token = ""
        self.connection = ""
        self.news: list[dict[str, Any]] = []
        self.page: WebPage
        self.come()

    def come(self) -> None:
        """A new WebSocket."""
        self.news = []
        self.page = self.floor.web_calls.open("127.0.0.1", self.news.append)

    @property
    def now(self) -> tuple[str, bool]:
        return self.news[-1]["state"], self.news[-1]["talking"]

    async def start(self) -> None:
        """Call; the sound is not there yet."""
        started = await self.page.handle("start", {"entry_point": "5000", "sdp": "offer", "name": "Jane"})
        assert started["sdp"].startswith("answer")
        self.token = started["token"]
        self.connection = next(reversed(self.floor.web.connections))

    async def call(self) -> FakeCall:
        """Be in the menu; the call on the line card."""
        await self.start()
        self.floor.web.change(self.connection, "connected")
        await self.floor.until(lambda: self.news[-1]["state"] == "connected")
        call = list(self.floor.line.calls.values())[-1]
        await self.floor.until(lambda: call.collect)
        return call

    async def resume(self) -> None:
        self.come()
        assert await self.page.handle("resume", {"token": self.token}) == {}

    async def press(self, digits: str, press: int) -> None:
        await self.page.handle("digits", {"digits": digits, "press": press})

    async def refused(self, kind: str, **fields: Any) -> tuple[int, str]:
        with pytest.raises(ApiError) as caught:
            await self.page.handle(kind, fields)
        return caught.value.status, caught.value.code


def pressed(floor: Floor) -> list[str]:
    return [command.digits for command in floor.line.of(line.PressDigits)]


def forget_browsers(floor: Floor) -> None:
    """The log as a version wrote it that did not know how to come back."""
    for place, row in enumerate(floor.log.rows):
        record = records.decode(row.body)
        if isinstance(record.input, records.Arrived):
            older = msgspec.structs.replace(record, input=msgspec.structs.replace(record.input, browser=None))
            floor.log.rows[place] = msgspec.structs.replace(row, body=records.encode(older))


async def queued(floor: Floor) -> None:
    """The only contact waits for an agent."""
    (contact,) = floor.exchange.house.talks
    await floor.until(lambda: floor.exchange.house.engine.position(contact))


def reasons(floor: Floor) -> list[str]:
    """How customers' legs ended, as far as it was told first."""
    return [row[9] for row in floor.log.written("leg") if row[9] is not None]


async def ended(floor: Floor, call: FakeCall, reason: str) -> None:
    """The contact is over, nothing of the call is left, and one reason was told."""
    await floor.until(lambda: not floor.exchange.house.talks and call.ended is not None and not floor.web.connections)
    assert reasons(floor)[0] == reason
    assert len(floor.log.written("contact_ended")) == 1


async def test_a_call_outlives_the_exchange() -> None:
    async with running_floor() as floor:
        await floor.page()  # an agent is there: the queue is open
        browser = Browser(floor)
        call = await browser.call()
        for _ in range(2):
            await floor.restart()
            await browser.resume()
            assert browser.now == ("connected", False)
        await browser.press("1", 1)
        await queued(floor)
        assert await Browser(floor).refused("start", entry_point="5000", sdp="offer") == (503, "all-lines-busy")
        await floor.restart()
        await browser.resume()
        await browser.press("1", 1)
        await browser.press("2", 2)
        assert pressed(floor) == ["1", "2"], "a press counts once, whoever passes it on"
        agent = await floor.page()
        await agent.ready()
        await agent.accept()
        await agent.talks()
        assert browser.now == ("connected", True)
        await floor.restart()
        await browser.resume()
        assert browser.now == ("connected", True)
        await floor.quiet()
        assert len(floor.line.of(line.OpenPatch)) == 2
        assert len(floor.web.of(desk.Patch)) == 1
        await browser.page.handle("hang_up", {})
        await ended(floor, call, "remote-hangup")
        assert browser.now == ("ended", False)
        assert all(browser.token.encode() not in row.body for row in floor.log.rows)


async def test_keys_wait_for_the_line_card() -> None:
    """A page may be back before the cards are."""
    async with running_floor() as floor:
        browser = Browser(floor)
        await browser.call()
        floor.line.cut()
        await floor.until(lambda: not floor.exchange.cards.line_cards_up)
        await browser.press("1", 1)
        assert pressed(floor) == ["1"]


async def test_the_figures_of_a_call_that_outlived_the_exchange_are_filed() -> None:
    async with running_floor() as floor:
        browser = Browser(floor)
        call = await browser.call()
        await floor.restart()
        await browser.resume()
        figures = desk.LegQuality(browser.connection, f"web:{browser.connection}", call.customer, line.Quality("opus", 50, 50))
        floor.web.emit(figures)
        await floor.until(lambda: any('"opus"' in str(row[12]) for row in floor.log.written("leg")))
        assert reasons(floor) == [], "how the leg ended is not theirs to say"


@pytest.mark.parametrize("restart", [True, False])
async def test_a_page_that_does_not_come_back_is_gone(restart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_floor() as floor:
        browser = Browser(floor)
        call = await browser.call()
        monkeypatch.setattr(webcalls, "RETURN_GRACE", 0.2)
        if restart:
            await floor.restart()
        else:
            browser.page.close(meant=False)
        assert floor.exchange.house.talks
        await ended(floor, call, "page-lost")
        await browser.resume()
        assert (browser.now, browser.news[-1]["reason"]) == (("ended", False), "page-lost")


async def test_a_broken_page_comes_back_and_the_old_one_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcalls, "RETURN_GRACE", 0.2)
    async with running_floor() as floor:
        await floor.page()
        browser = Browser(floor)
        call = await browser.call()
        browser.page.close(meant=False)
        await browser.resume()
        half_open, last_news = browser.page, len(browser.news)
        await browser.resume()
        await half_open.handle("hang_up", {})
        assert await Browser(floor).refused("digits", digits="1") == (409, "no-call")
        half_open.close(meant=True)
        await browser.press("1", 1)
        await queued(floor)
        assert await browser.refused("resume", token=browser.token) == (409, "already-calling")
        assert await browser.refused("start", entry_point="5000", sdp="offer") == (409, "already-calling")
        assert last_news == 1, "a page that was replaced hears no more"
        await asyncio.sleep(1.5 * webcalls.RETURN_GRACE)
        assert call.ended is None, "the one that came back in time is not gone"
        browser.page.close(meant=True)
        await ended(floor, call, "remote-hangup")


async def test_a_call_that_is_not_there_yet_waits_for_its_page_too() -> None:
    async with running_floor() as floor:
        browser = Browser(floor)
        await browser.start()
        browser.page.close(meant=False)
        await browser.resume()
        assert browser.now == ("connecting", False)
        floor.web.change(browser.connection, "connected")
        await floor.until(lambda: browser.now == ("connected", False))
        # What no log knows does not outlive the exchange.
        await floor.restart()
        await browser.resume()
        browser.page.close(meant=True)
        await floor.until(lambda: not floor.web.connections)
        browser.come()
        await browser.start()
        await floor.restart()
        await floor.until(lambda: not floor.web.connections)
        browser.come()
        assert await browser.refused("resume", token=browser.token) == (404, "no-such-call")


async def test_a_wrong_secret_leads_nowhere() -> None:
    async with running_floor() as floor:
        browser = Browser(floor)
        await browser.call()
        other = Browser(floor)
        for wrong in ("x", browser.token[:-1], browser.connection):
            assert await other.refused("resume", token=wrong) == (404, "no-such-call")
        for strange in (None, "", 7, "x" * 201):
            assert await other.refused("resume", token=strange) == (422, "invalid")
        for strange in (-1, 1.5, True, "1", 10**9):
            assert await browser.refused("digits", digits="1", press=strange) == (422, "invalid")
        assert pressed(floor) == []


async def test_who_hung_up_while_the_exchange_was_away_is_gone_when_it_is_back() -> None:
    async with running_floor() as floor:
        call = await Browser(floor).call()
        await floor.stop()
        floor.web.connections.clear()
        await floor.start()
        await ended(floor, call, "remote-hangup")


async def test_whose_sound_stays_away_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcalls, "LOST_SECONDS", 0.2)
    async with running_floor() as floor:
        browser = Browser(floor)
        call = await browser.call()
        await floor.stop()
        floor.web.change(browser.connection, "lost")
        await floor.start()
        await browser.resume()
        await ended(floor, call, "media-timeout")


async def test_a_cut_from_its_card_costs_no_call_and_the_cards_death_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards_module, "DEAD_AFTER", 0.3)
    async with running_floor() as floor:
        browser = Browser(floor)
        call = await browser.call()
        floor.web.cut()
        await floor.until(lambda: not floor.exchange.cards.web_cards_up)
        await floor.until(lambda: floor.exchange.cards.web_cards_up)
        await asyncio.sleep(1.5 * cards_module.DEAD_AFTER)
        assert call.ended is None
        assert browser.connection in floor.web.connections
        await floor.web.die()
        await ended(floor, call, "card-died")
        assert browser.now == ("ended", False)


@pytest.mark.parametrize("exchange", [True, False])
async def test_a_card_that_is_another_process_has_lost_its_calls(exchange: bool) -> None:
    async with running_floor() as floor:
        call = await Browser(floor).call()
        if exchange:
            await floor.stop()
        await floor.web.die()
        await floor.web.start()
        if exchange:
            await floor.start()
        await ended(floor, call, "card-died")


async def test_a_dead_line_card_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards_module, "DEAD_AFTER", 0.1)
    async with running_floor() as floor:
        browser = Browser(floor)
        await browser.call()
        await floor.line.die()
        await floor.until(lambda: browser.now == ("ended", False))
        assert browser.news[-1]["reason"] == "card-died"
        assert reasons(floor) == ["card-died"]
        await floor.until(lambda: not floor.web.connections)


async def test_a_browser_that_closes_its_connection_has_hung_up() -> None:
    async with running_floor() as floor:
        browser = Browser(floor)
        call = await browser.call()
        record = floor.web.connections.pop(browser.connection)
        floor.web.emit(desk.ConnectionChanged(record.connection, record.owner, "closed", "closed-by-peer"))
        await ended(floor, call, "remote-hangup")


@pytest.mark.parametrize("cards", [["webcard0"], []])
async def test_nobody_can_come_back_to_a_call_of_an_older_log_or_of_a_card_that_is_no_more(cards: list[str]) -> None:
    async with running_floor() as floor:
        browser = Browser(floor)
        call = await browser.call()
        talk = next(iter(floor.exchange.house.talks.values()))
        if cards:
            forget_browsers(floor)
        assert talk.browser is not None
        floor.web_cards = cards
        await floor.restart()
        await floor.until(lambda: not floor.exchange.house.talks and call.ended is not None)
        assert reasons(floor)[0] == "page-lost"
