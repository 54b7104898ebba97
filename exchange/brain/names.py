"""What reports take from the configuration as it is now, and how a figure is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acd.events import Configured
from acd.figures.definitions import Figure, Measures
from acd.model import AgentConfig, QueueConfig
from api.report_models import Values


class Names:
    """Names by ids, and which queues tell short abandons."""

    def __init__(self, queues: Mapping[str, QueueConfig], agents: Mapping[str, AgentConfig]) -> None:
        self.queues, self.agents = queues, agents

    @classmethod
    def of(cls, configured: Configured | None) -> Names:
        """As it is now."""
        if configured is None:
            return cls({}, {})
        return cls({q.id: q for q in configured.queues}, {a.id: a for a in configured.agents})

    def queue(self, id: str | None) -> str | None:
        """The id itself for a queue that is no more."""
        found = self.queues.get(id) if id is not None else None
        return found.name if found is not None else id

    def agent(self, id: str) -> str | None:
        found = self.agents.get(id)
        return found.name if found is not None else None

    def tells_short(self, queue: str | None) -> bool:
        """Whether anybody can be short-abandoned there; of all queues together, yes."""
        found = self.queues.get(queue) if queue is not None else None
        return found is None or found.short_abandon_seconds > 0


def values(figures: Sequence[Figure], measures: Measures) -> Values:
    """All figures of these sums, as the API says them."""
    found: Values = {}
    for each in figures:
        value = each.value(measures)
        found[each.id] = round(value, 3) if isinstance(value, float) else value
    return found
