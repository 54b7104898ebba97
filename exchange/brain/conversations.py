"""Open conversations of digital channels: their messages, kept at hand so that a database that is away stops nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

from api.channel import Author, Message
from storage.conversations import MessageRow

MOST_AT_HAND = 500
"""Messages of one conversation in memory; older ones are read from the database."""


_NONE: deque[Message] = deque(maxlen=0)


class Conversation:
    """One contact's messages."""

    __slots__ = ("_messages", "agents", "contact", "count")

    def __init__(self, contact: str) -> None:
        self.contact = contact
        self.count = 0
        self.agents: set[str] = set()
        """Who has something to do with it, wrap-up included."""
        self._messages = _NONE

    def add(self, author: Author, agent: str, at: float, text: str) -> Message:
        """The next message."""
        message = Message(
            number=self.count + 1, author=author, agent=agent, at=datetime.fromtimestamp(at, UTC), text=text.replace("\0", "")
        )
        self._take(message)
        return message

    def recall(self, rows: Iterable[MessageRow]) -> None:
        """What the database has, in order."""
        for row in rows:
            author: Author = row.author  # type: ignore[assignment]  # a constraint of the table
            self._take(Message(number=row.number, author=author, agent=row.agent, at=row.at, text=row.body))

    def after(self, number: int) -> list[Message] | None:
        """The messages with greater numbers; None when the first of them is no longer at hand."""
        if number >= self.count:
            return []
        if not self._messages or self._messages[0].number > number + 1:
            return None
        return [message for message in self._messages if message.number > number]

    @property
    def all(self) -> list[Message]:
        """Those at hand."""
        return list(self._messages)

    @property
    def last(self) -> Message | None:
        return self._messages[-1] if self._messages else None

    def _take(self, message: Message) -> None:
        if self._messages is _NONE:
            self._messages = deque(maxlen=MOST_AT_HAND)
        self._messages.append(message)
        self.count = message.number
