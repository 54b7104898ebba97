"""After a restart: what only the database knows of open contacts comes back by and by, while the exchange answers already.

A contact that somebody touches before its turn is read at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from exchange.brain.conversations import Conversation
from exchange.brain.details import Details
from storage.conversations import MessageRow
from storage.errors import DatabaseAway
from storage.queries import Row

log = structlog.get_logger()

AT_ONCE = 200
"""Contacts that are read and taken in one go: decisions are made meanwhile."""
RETRY_SECONDS = 1.0


class Contacts(Protocol):
    """Who calls or writes (storage.queries.Queries)."""

    async def open_contacts(self, ids: list[str]) -> list[Row]: ...


class Messages(Protocol):
    """What was written (storage.conversations.Conversations)."""

    async def newest_messages(self, contacts: Sequence[str]) -> dict[str, list[MessageRow]]: ...


class Recall:
    """Fills the details and conversations of the contacts that it is told of; each once."""

    def __init__(
        self,
        contacts: Contacts,
        messages: Messages,
        details: dict[str, Details],
        conversations: dict[str, Conversation],
        changed: Callable[[str], None],
    ) -> None:
        self._contacts = contacts
        self._messages = messages
        self._details = details
        self._conversations = conversations
        self._changed = changed
        self._left: dict[str, None] = {}

    def expect(self, contacts: Iterable[str]) -> None:
        """They are open: those that come first are wanted first."""
        self._left |= dict.fromkeys(contacts)

    def forget(self, contact: str) -> None:
        """It is over."""
        self._left.pop(contact, None)

    async def one(self, contact: str) -> None:
        """When this returns, everything of this contact is at hand; raises DatabaseAway."""
        if contact in self._left:
            await self._read([contact])

    async def run(self) -> None:
        """Until all are there; while the database is away it waits."""
        count = len(self._left)
        while self._left:
            some = [contact for contact, _ in zip(self._left, range(AT_ONCE), strict=False)]
            try:
                await self._read(some)
            except DatabaseAway as error:
                log.info("open contacts wait for the database", error=str(error), contacts=len(self._left))
                await asyncio.sleep(RETRY_SECONDS)
        log.info("open contacts are at hand", contacts=count)

    async def _read(self, contacts: list[str]) -> None:
        rows = {str(row["id"]): row for row in await self._contacts.open_contacts(contacts)}
        written = await self._messages.newest_messages([id for id in contacts if id in self._conversations])
        for contact in contacts:
            if contact not in self._left:
                continue  # it is over meanwhile, or was read for somebody who wanted it at once
            del self._left[contact]
            if contact in rows:
                self._details.setdefault(contact, details_of(rows[contact]))
            if contact in self._conversations:
                self._conversations[contact].recall(written.get(contact, []))
            self._changed(contact)


def details_of(row: Row) -> Details:
    """Who calls or writes."""
    cad = msgspec.json.decode(row["cad"], type=dict[str, str])
    return Details(row["ani"], row["dnis"], row["display"], cad, row["callback"], row["trunk"], row["source"])
