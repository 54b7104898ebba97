"""What changes about contacts: their visits to queues, their callback. Plain structs, kept in snapshots as they are."""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.errors import Refused
from acd.model import HIGHEST_PRIORITY, LOWEST_PRIORITY, NOTHING, Channel, ContactState, Need, Relaxation, VisitKind


class Visit(msgspec.Struct):
    """A stay in a queue, from being queued to its end; the place is kept all the time."""

    id: str
    contact: str
    queue: str
    channel: Channel
    kind: VisitKind
    queued_at: float
    base: float
    """From when the place counts: an earlier time when a place was kept."""
    steps_from: float
    """From when the steps count."""
    order: int
    priority: int
    place: float
    asked: Need
    """What the contact itself needs."""
    need: Need
    """What is needed now, the queue's own need and all relaxation included."""
    relaxation: tuple[Relaxation, ...] | None = None
    """The contact's own steps; None: the queue's."""
    step: int = 0
    delay: int = 0
    """How many of the queue's delays are over."""
    waits_done: int = 0
    """How many of the queue's rules by waiting time were looked at."""
    preferred: str = ""
    patience_ends: float | None = None
    outside: bool = False
    """By a rule it may go to agents who do not serve the queue."""
    waiting_since: float | None = None
    """Start of the present wait; none while engaged or scheduled."""
    waited: float = 0.0
    talked: float = 0.0
    answered_at: float | None = None
    estimate: float | None = None
    p90: float | None = None

    @property
    def key(self) -> WaitingKey:
        """Its place among others."""
        return (self.place, self.order, self)

    def waited_by(self, at: float) -> float:
        """Seconds without an agent so far."""
        return self.waited + (at - self.waiting_since if self.waiting_since is not None else 0.0)

    def stop_waiting(self, at: float) -> None:
        """The present wait is over."""
        self.waited, self.waiting_since = self.waited_by(at), None


WaitingKey = tuple[float, int, Visit]
"""Place, order, and who is there; no two have the same order."""


class Ticket:
    """With what somebody comes to a queue."""

    __slots__ = (
        "base",
        "id",
        "inside",
        "kind",
        "need",
        "outside",
        "patience",
        "preferred",
        "priority",
        "relaxation",
        "steps_from",
    )

    def __init__(
        self,
        priority: int,
        id: str = "",
        need: Need = NOTHING,
        relaxation: tuple[Relaxation, ...] | None = None,
        *,
        kind: VisitKind = "direct",
        base: float | None = None,
        steps_from: float | None = None,
        preferred: str = "",
        patience: float = 0.0,
        outside: Need | None = None,
        inside: bool = False,
    ) -> None:
        self.priority, self.id, self.need, self.relaxation = priority, id, need, relaxation
        self.kind, self.base, self.steps_from = kind, base, steps_from
        self.preferred, self.patience = preferred, patience
        self.outside, self.inside = outside, inside
        """Whom it goes to, whatever they serve; that it was in the queue before: rules for newcomers are not asked."""


class Callback(msgspec.Struct):
    """A courtesy callback that was agreed."""

    not_before: float = 0.0
    not_after: float = 0.0
    tries: int = 0
    state: Literal["waiting", "scheduled", "dialling", "answered"] = "waiting"
    next_try: float = 0.0


class Contact(msgspec.Struct):
    """A contact that has no final state yet."""

    id: str
    channel: Channel
    entry_point: str
    arrived_at: float
    customer: str = ""
    state: ContactState = "arrived"
    visits: list[Visit] = []
    """The open ones, in the order of being queued; of an engaged contact the one it was answered from."""
    waited: float = 0.0
    talked: float = 0.0
    agent: str = ""
    offer: str = ""
    offers: int = 0
    answered_at: float | None = None
    segments: int = 0
    last_queue: str = ""
    last_agent: str = ""
    hops: int = 0
    """How often a rule has moved it."""
    callback: Callback | None = None

    @property
    def to_dial(self) -> bool:
        """Whether it is a callback whose customer is not on the line."""
        return self.callback is not None and self.callback.state != "answered"

    def visit_in(self, queue: str) -> Visit | None:
        """The open visit to a queue."""
        return next((visit for visit in self.visits if visit.queue == queue), None)


class Left(msgspec.Struct):
    """A place that a customer may have again."""

    customer: str
    queue: str
    base: float
    priority: int
    until: float


def check_priority(priority: int) -> None:
    """Refuse what is no priority."""
    if not HIGHEST_PRIORITY <= priority <= LOWEST_PRIORITY:
        raise Refused("bad-priority", f"priority {priority} is not from {HIGHEST_PRIORITY} to {LOWEST_PRIORITY}")
