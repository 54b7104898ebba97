"""What only the database knows of open contacts comes back by and by, each once, and at once for who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from exchange.brain import recall as module
from exchange.brain.conversations import Conversation
from exchange.brain.details import Details
from exchange.brain.recall import Recall
from storage.conversations import MessageRow
from storage.errors import DatabaseAway

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Tables:
    """Contacts with one message each; `gate` holds what is read back, `away` lets the next reads fail."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[list[str]] = []
        self.away = 0

    async def open_contacts(self, ids: list[str]) -> list[Any]:
        self.asked.append(ids)
        if self.away:
            self.away -= 1
            raise DatabaseAway("away")
        names = ("ani", "dnis", "display", "callback", "trunk", "source")
        return [{"id": id, "cad": "{}", **dict.fromkeys(names, ""), "ani": f"by {id}"} for id in ids]

    async def newest_messages(self, contacts: Sequence[str]) -> dict[str, list[MessageRow]]:
        found = {id: [MessageRow(1, "customer", "", AT, f"I am {id}")] for id in contacts}
        await self.gate.wait()
        return found


class Shop:
    """Open contacts, some of them conversations."""

    def __init__(self, *contacts: str) -> None:
        self.tables = Tables()
        self.details: dict[str, Details] = {}
        self.conversations = {id: Conversation(id) for id in contacts}
        self.shown: list[str] = []
        self.recall = Recall(self.tables, self.tables, self.details, self.conversations, self.shown.append)
        self.recall.expect(contacts)

    def said(self, contact: str) -> list[str]:
        return [message.text for message in self.conversations[contact].all]


async def test_all_come_back_in_parts_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    shop = Shop("a", "b", "c")
    shop.recall.expect(["b", "call"])  # nothing was written in a call
    await shop.recall.run()
    assert shop.tables.asked == [["a", "b"], ["c", "call"]]
    assert shop.shown == ["a", "b", "c", "call"]
    assert [shop.details[id].ani for id in ("a", "call")] == ["by a", "by call"]
    assert shop.said("c") == ["I am c"]
    await shop.recall.run()
    assert len(shop.tables.asked) == 2, "each is read once"


async def test_who_is_asked_for_is_read_at_once_and_keeps_what_was_written_since() -> None:
    shop = Shop("a", "b")
    shop.tables.gate.clear()
    running = asyncio.create_task(shop.recall.run())
    await asyncio.sleep(0)
    asking = [asyncio.create_task(shop.recall.one("b")) for _ in range(2)]
    await asyncio.sleep(0)
    assert shop.tables.asked == [["a", "b"], ["b"], ["b"]]
    shop.tables.gate.set()
    await asyncio.gather(*asking)
    assert shop.said("b") == ["I am b"]
    shop.conversations["b"].add("customer", "", 0.0, "and I wait")
    await running
    assert shop.said("b") == ["I am b", "and I wait"]
    assert shop.said("a") == ["I am a"]
    assert shop.conversations["b"].count == 2


async def test_who_is_over_meanwhile_stays_away() -> None:
    shop = Shop("a", "b")
    shop.tables.gate.clear()
    running = asyncio.create_task(shop.recall.run())
    await asyncio.sleep(0)
    del shop.conversations["a"]
    shop.recall.forget("a")
    shop.tables.gate.set()
    await running
    assert list(shop.details) == ["b"]


async def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    shop = Shop("a")
    shop.tables.away = 2
    with pytest.raises(DatabaseAway):
        await shop.recall.one("a")
    await shop.recall.run()
    assert shop.said("a") == ["I am a"]
