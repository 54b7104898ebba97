"""The database says nothing any more in the middle of a commit, for a while: nobody notices, nothing is lost or twice.

The wire is the test's: it holds the commit before PostgreSQL has it, or its answer; afterwards it carries on late, breaks, or
leaves the old connections quiet for ever, as a firewall that has forgotten them does.
"""

from __future__ import annotations

import asyncio
import os
import time

import httpx2
import pytest

from storage.log import COMMIT_SECONDS
from tests.exchange.brain.lone import Desk, LoneExchange
from tests.exchange.brain.lone_log import Book, replay
from tests.tools.wire import Ending, Lost, Wire

pytestmark = [
    pytest.mark.adversity,
    pytest.mark.realtime,
    pytest.mark.asyncio(loop_scope="session"),
]

HUNG_SECONDS = float(os.environ.get("HUNG_SECONDS", "2"))
HANGS: list[tuple[Lost, Ending]] = [("request", "late"), ("request", "cut"), ("answer", "cut"), ("request", "never")]
pytestmark.append(pytest.mark.timeout(400 + 4 * HUNG_SECONDS))
AT_ONCE = 1.5
"""A commit has COMMIT_SECONDS, then its events are the spool's."""


class Shift:
    """An exchange behind a wire, an agent who talks and one who is free, and the calls that came."""

    def __init__(self, node: LoneExchange, wire: Wire, api: httpx2.AsyncClient) -> None:
        self.node = node
        self.wire = wire
        self.api = api
        self.calls: list[str] = []
        self.mails: list[str] = []

    async def call(self, *, queue: bool) -> str:
        number = len(self.calls)
        self.calls.append(f"linecard0-call-{number}")
        call = await self.node.caller(number)
        if queue:
            self.node.line.press(call, "1")
        return call

    async def serve(self, desk: Desk) -> None:
        """A caller who is offered to this agent, to the end."""
        call = await self.call(queue=True)
        await desk.accept()
        await self.node.until(lambda: len(self.node.line.calls[call].links) == 2, "a talk that is heard")
        self.node.line.hang_up(call)
        await desk.free()
        await self.node.until(lambda: desk.now["agent"]["state"] == "available", "an agent who is free again")

    async def mail(self) -> None:
        """A written contact comes by the API, waits, and is taken back."""
        answer = await self.api.post("/api/v1/contacts", json={"channel": "email", "queue": "support", "customer": "jo"})
        assert answer.status_code == 201, answer.text
        self.mails.append(answer.json()["id"])
        now = await self.api.get(f"/api/v1/contacts/{self.mails[-1]}/now")
        assert (now.status_code, now.json()["state"]) == (200, "waiting")
        assert (await self.api.delete(f"/api/v1/contacts/{self.mails[-1]}")).status_code == 200

    async def goes_on(self, first: Desk, second: Desk, talk: str) -> str:
        """One is served, the first agent's customer is held, a letter comes, and a call, which waits: its name."""
        await self.serve(second)
        await second.say("set_state", state="idle", code="break")
        await self.mail()
        await first.say("hold", on=True)
        await self.node.until(lambda: self.node.line.calls[talk].music, "music for who is held")
        await first.say("hold", on=False)
        waiting = await self.call(queue=True)
        await self.node.until(lambda: self.node.line.calls[waiting].music, "a queue with music")
        return waiting

    async def hang(self, lost: Lost) -> float:
        """A call comes, and with it the commit that does not end; the seconds until it is asked for a digit."""
        await self.node.until(self.node.logs_to_database, "an empty spool")
        self.wire.hang_in_commit(lost)
        begun = time.monotonic()
        await self.call(queue=False)
        took = time.monotonic() - begun
        await self.node.until(self.wire.quiet.is_set, "a commit that hangs")
        return took


async def test_a_hung_database_costs_nothing(node: LoneExchange, wire: Wire, dsn: str) -> None:
    """Calls are answered, queued, offered and ended, agents and programs are served, all before the database is back."""
    await node.start()
    async with Desk(node, "agent1") as first, Desk(node, "agent2") as second, node.api() as api:
        shift = Shift(node, wire, api)
        await first.ready()
        talk = await shift.call(queue=True)
        await first.accept()
        await second.ready()
        took = []
        for lost, ending in HANGS:
            took.append(await shift.hang(lost))
            begun = time.monotonic()
            waiting = await shift.goes_on(first, second, talk)
            while time.monotonic() - begun < HUNG_SECONDS:
                node.line.hang_up(await shift.call(queue=False))
                await asyncio.sleep(0.2)
            assert wire.quiet.is_set(), "all of it while the database said nothing"
            assert not await node.logs_to_database()
            wire.mend(ending)
            await node.until(node.logs_to_database, "the database again")
            node.line.hang_up(waiting)
            await second.say("set_state", state="available")
        assert COMMIT_SECONDS / 2 < min(took) < AT_ONCE, "the commit's time, which may begin before the clock is looked at"

        async def mails() -> list[str]:
            items = (await api.get("/api/v1/contacts", params={"queue": "support"})).json().get("items", [])
            return [item["id"] for item in items]

        assert await node.until(mails, "contacts from the database") == shift.mails[::-1]
        await node.until(node.logs_to_database, "an empty spool")
        standing = await node.standing()
        assert [c["call"] for c in standing.contacts if c["phase"] == "talking"] == [talk]
        book = await Book.read(dsn)
        book.check(node, shift.calls)
        assert book.standing == standing
        assert (await replay(node))["compared"] == len(book.rows)


async def test_an_exchange_that_is_killed_meanwhile(node: LoneExchange, wire: Wire, dsn: str) -> None:
    """What it said is on its disk; the next one waits for the database, then everybody is where they were."""
    await node.start()
    async with Desk(node, "agent1") as desk, node.api() as api:
        shift = Shift(node, wire, api)
        await desk.ready()
        talk = await shift.call(queue=True)
        await desk.accept()
        first = await shift.call(queue=True)
        await shift.hang("answer")
        second = await shift.call(queue=True)
        await node.until(lambda: node.line.calls[second].music, "a queue with music")
        await node.kill()
        early = node.line.call(99)
        await node.spawn()
        await node.until(lambda: "the database does not answer yet" in node.log, "a word about it")
        assert desk.states[-1] == "engaged"
        assert not node.line.calls[early].answered
        wire.mend("cut")
        await node.up()
        await node.until(lambda: node.line.calls[early].collect, "an answer for who called meanwhile")
        shift.calls.append(early)
        await node.until(lambda: desk.now["softphone"]["state"] == "ready", "the agent's page")
        node.line.hang_up(talk)
        await desk.free()
        contact = await desk.accept()
        await node.until(node.logs_to_database, "an empty spool")
        book = await Book.read(dsn)
        book.check(node, shift.calls)
        assert contact == book.contact_of(first), "who has waited longest comes first"
        assert book.standing == await node.standing()
        assert [place.epoch for place in book.places][:: len(book.places) - 1] == [1, 2]
        assert (await replay(node))["compared"] == len(book.rows)
