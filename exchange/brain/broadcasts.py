"""What supervisors said to agents, until each has put it away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from storage.conversations import BroadcastRow

KEPT_SECONDS = 12 * 3600.0
MOST_KEPT = 200


class Saying(msgspec.Struct):
    """One broadcast, and who has not put it away."""

    id: str
    at: float
    by: str
    text: str
    agents: set[str] = set()


class Broadcasts:
    """The broadcasts of the last hours."""

    def __init__(self) -> None:
        self._kept: dict[str, Saying] = {}

    def add(self, id: str, at: float, by: str, text: str) -> None:
        """Something is about to be said."""
        self._kept[id] = Saying(id, at, by, text)
        while len(self._kept) > MOST_KEPT or next(iter(self._kept.values())).at < at - KEPT_SECONDS:
            del self._kept[next(iter(self._kept))]

    def sent(self, id: str, agents: Sequence[str]) -> None:
        """These agents are to see it."""
        if id in self._kept:
            self._kept[id].agents.update(agents)

    def put_away(self, agent: str, id: str) -> bool:
        """The agent has read it; whether it was there."""
        saying = self._kept.get(id)
        if saying is None or agent not in saying.agents:
            return False
        saying.agents.discard(agent)
        return True

    def of(self, agent: str) -> list[dict[str, Any]]:
        """What the agent's desk shows, oldest first."""
        return [
            {"id": one.id, "at": one.at, "by": one.by, "text": one.text} for one in self._kept.values() if agent in one.agents
        ]

    def recall(self, rows: Iterable[BroadcastRow]) -> None:
        """What the database has, oldest first."""
        for row in rows:
            self.add(row.id, row.at.timestamp(), row.by, row.body)
            self.sent(row.id, row.agents)

    @staticmethod
    def since(now: float) -> datetime:
        """From when on they are still shown."""
        return datetime.fromtimestamp(now - KEPT_SECONDS, UTC)
