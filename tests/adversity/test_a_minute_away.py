"""The exchange is away for a minute while an agent's telephone rings: nobody's fault, and everybody is where they were."""

from __future__ import annotations

import time

import pytest

from acd.model import OfferRule
from tests.exchange.brain.lone import Desk, LoneExchange
from tests.exchange.brain.lone_log import Book, replay

pytestmark = [
    pytest.mark.adversity,
    pytest.mark.realtime,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
]

AWAY = 60.0


async def test_an_offer_that_rang_meanwhile_rings_on(node: LoneExchange, dsn: str) -> None:
    """Longer than offers last; the next exchange's clock says so, so that nobody has to wait for it."""
    assert OfferRule().seconds < AWAY
    await node.start()
    async with Desk(node, "agent1") as desk, Desk(node, "agent2") as other:
        await other.say("set_state", state="idle", code="training")
        await desk.ready()
        offered = await node.waits(0)
        before = await node.until(lambda: desk.now.get("offer"), "an offer")
        waiting = [await node.waits(number) for number in (1, 2)]
        killed = time.time()
        await node.kill()
        away = AWAY + time.time() - killed
        await node.start(ahead=AWAY)
        await node.until(lambda: desk.now["offer"] != before, "the desk as it is now")
        offer = desk.now["offer"]
        assert offer["id"] == before["id"]
        passed = AWAY + time.time() - killed
        assert away - 1 < offer["deadline"] - before["deadline"] < passed + OfferRule().seconds
        assert 0 < offer["deadline"] - (time.time() + AWAY) <= OfferRule().seconds
        assert other.now["agent"]["state"] == "idle"
        assert other.now["agent"]["code"] == "training"
        contacts = [await desk.accept()]
        for call in (offered, *waiting[:1]):
            node.line.hang_up(call)
            await desk.free()
            contacts.append(await desk.accept())
        assert "not-responding" not in desk.states
        await node.until(node.logs_to_database, "an empty spool")
        book = await Book.read(dsn)
        assert contacts == [book.contact_of(call) for call in (offered, *waiting)], "everybody has kept their place"
        book.check(node, [offered, *waiting])
        assert book.standing == await node.standing()
        await replay(node)
