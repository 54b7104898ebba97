"""What the database would have of conversations and keys, read from the rows that were written to a log in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from api.channel import WHOLE, Happened, Place
from api.models import User
from exchange.brain import stream
from storage.conversations import Answer, BroadcastRow, MessageRow

if TYPE_CHECKING:
    from tests.exchange.brain.floor import MemoryLog


class Written:
    """Conversations, queries of contacts, and followers (storage.conversations, api.ports.Contacts.follow)."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def messages(self, contact: str, after: int = 0, most: int = 500) -> list[MessageRow]:
        return (await self.newest_messages([contact])).get(contact, [])[after:][:most]

    async def newest_messages(self, contacts: Sequence[str], most: int = 500) -> dict[str, list[MessageRow]]:
        found: dict[str, list[MessageRow]] = {}
        for contact, number, author, agent, at, body in self._log.written("message"):
            if contact in contacts:
                found.setdefault(contact, []).append(MessageRow(number, author, agent, datetime.fromtimestamp(at, UTC), body))
        return {contact: rows[-most:] for contact, rows in found.items()}

    async def broadcasts(self, since: datetime) -> list[BroadcastRow]:
        agents: dict[str, list[str]] = dict(self._log.written("broadcast_sent"))
        for id, agent in self._log.written("broadcast_read"):
            agents[id].remove(agent)
        return [
            BroadcastRow(id, datetime.fromtimestamp(at, UTC), by, body, tuple(agents.get(id, ())))
            for id, at, by, body, _ in self._log.written("broadcast")
        ]

    async def answer(self, asker: str, key: str) -> Answer | None:
        kept = [row for row in self._log.written("answer") if row[:2] == [asker, key]]
        return Answer(kept[0][2], kept[-1][4], json.loads(kept[-1][5])) if kept else None

    async def open_contacts(self, ids: list[str]) -> list[dict[str, Any]]:
        rows = {row[0]: row for row in self._log.written("contact_arrived")}
        names = ("id", "channel", "ani", "dnis", "display", "entry_point", "arrived", "cad")
        numbers: dict[str, str] = {row[0]: row[2] for row in self._log.written("contact_known")}
        numbers.update(self._log.written("callback_number"))
        came = {row[0]: row for row in self._log.written("contact_came")}
        return [
            {
                **dict(zip(names, rows[id], strict=True)),
                "callback": numbers.get(id, ""),
                "trunk": came[id][2] if id in came else "",
                "source": came[id][3] if id in came else "",
            }
            for id in ids
            if id in rows
        ]

    async def contact(self, id: str) -> Any:
        return next((row for row in self._log.written("contact_arrived") if row[0] == id), None)

    async def follow(self, by: User, after: Place | None) -> AsyncGenerator[Happened, None]:
        rows = self._log.rows
        place = after or Place(*self._log.position, WHOLE)
        yield Happened(place, 0.0, "following", {})
        read = 0
        while True:
            while read < len(rows):
                read += 1
                for item in stream.told(rows[read - 1]):
                    if item.place > place and stream.concerns(by, item):
                        yield item
            await asyncio.sleep(0.005)
