"""An exchange is paused, another one takes the log, the first goes on: it finds out, leaves, and has done nothing more."""

from __future__ import annotations

import signal

import pytest

from media.control import line
from tests.exchange.brain.lone import PATIENCE, Desk, LoneExchange
from tests.exchange.brain.lone_log import Book, replay
from tests.tools.wire import Wire

pytestmark = [
    pytest.mark.adversity,
    pytest.mark.realtime,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
]


@pytest.mark.parametrize("paused", ["in a commit", "with a spool"])
async def test_the_first_of_two_leaves_and_nothing_is_done_twice(node: LoneExchange, wire: Wire, dsn: str, paused: str) -> None:
    """What the first had said is the second's to know; what it has not, the second says; what it says later reaches nobody."""
    await node.start()
    async with Desk(node, "agent1") as desk, node.beside() as second:
        await desk.ready()
        talk = await node.waits(0)
        await desk.accept()
        waiting = await node.waits(1)
        await node.until(node.logs_to_database, "an empty spool")
        wire.hang_in_commit("request")
        late = node.line.call(2)
        if paused == "with a spool":
            await node.until(lambda: node.line.calls[late].collect, "an answer without the database")
        await wire.quiet.wait()
        node.signal(signal.SIGSTOP)
        wire.mend("never")
        await second.start()
        await node.until(lambda: node.line.calls[late].collect, "an answer by one of them")
        async with Desk(second, "agent1") as page:
            node.line.hang_up(talk)
            await page.free()
            contact = await page.accept()
            await second.until(second.logs_to_database, "an empty spool")
            book = await Book.read(dsn)
            assert contact == book.contact_of(waiting)
            said = [card.done.copy() for card in node.cards]
            node.signal(signal.SIGCONT)
            assert await node.ended(PATIENCE) == 0
            assert "another exchange writes this log now" in node.log
            assert [card.done for card in node.cards] == said, "the first has commanded nobody"
            last = await second.caller(3)
            await second.until(second.logs_to_database, "an empty spool")
            book, before = await Book.read(dsn), book.places
        assert [place for place in book.places if place.epoch == 1] == [place for place in before if place.epoch == 1]
        book.check(node, [talk, waiting, late, last])
        assert book.standing == await second.standing()
        assert (await replay(node))["compared"] >= len(book.rows)
        await second.kill()
    await node.start()
    found = await Book.read(dsn)
    assert found.places[: len(book.places)] == book.places
    assert min(found.places[len(book.places) :]) > max(book.places), "no spool of the first brings anything later"
    assert len(node.line.of(line.Answer)) == 4
