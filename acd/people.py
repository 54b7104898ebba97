"""What changes about agents: their presence, their work, their offer. Plain structs, kept in snapshots as they are."""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.effects import SegmentHow
from acd.model import AgentState, Channel, DeferredState

Presence = Literal["logged-out", "idle", "available", "not-responding"]
"""What the agent chose, or what offers without an answer brought them to; work and offers come on top of it."""


class Work(msgspec.Struct):
    """An agent's part of a contact, from the answer to the end of the wrap-up."""

    contact: str
    channel: Channel
    number: int
    queue: str
    visit: str
    started: float
    since: float
    state: Literal["engaged", "parked", "wrap-up"] = "engaged"
    talk: float = 0.0
    """Seconds engaged before `since`."""
    how: SegmentHow = "handled"
    extensions: int = 0
    until: float | None = None
    asked_wrap_up: bool = False
    dialling: bool = False
    """The customer of a callback is not there yet."""

    @property
    def id(self) -> str:
        """Unique among the works that there are."""
        return f"{self.contact}/{self.number}"


class Agent(msgspec.Struct):
    """An agent; configuration aside, all that the engine remembers of them."""

    id: str
    presence: Presence = "logged-out"
    code: str = ""
    state: AgentState = "logged-out"
    since: float = 0.0
    pause_ends: float | None = None
    reach: int = 0
    """Channels on which they can be reached, as bits."""
    next_state: DeferredState = ""
    next_code: str = ""
    offer: str = ""
    works: list[Work] = []
    free_since: float = 0.0
    free_order: int = 0
    offered_order: int = 0
    """When they were last offered something; 0 is never."""
    handled: int = 0
    """Contacts since they logged in."""
    misses: dict[str, int] = {}
    """Offers not taken since the last that was, by reason."""
    busy: float = 0.0
    ready: float = 0.0
    """Seconds at work, and available without work, since they logged in, up to `measured`."""
    measured: float = 0.0
    occupancy: float = 0.0
    """busy / (busy + ready) when they last became free."""

    def summary(self) -> AgentState:
        """One state for all channels."""
        found: AgentState = self.presence
        if self.offer:
            found = "reserved"
        for work in self.works:
            if work.state == "engaged":
                return "engaged"
            if work.state == "wrap-up" and found != "reserved":
                found = "wrap-up"
        return found

    @property
    def held(self) -> bool:
        """Whether an offer, a talk or a wrap-up keeps a choice of theirs waiting."""
        return bool(self.offer) or any(work.state != "parked" for work in self.works)

    def work(self, contact: str) -> Work | None:
        """Their part of a contact that they have; else of one in after-contact work."""
        found: Work | None = None
        for work in self.works:
            if work.contact == contact:
                if work.state != "wrap-up":
                    return work
                found = found or work
        return found


class Offer(msgspec.Struct):
    """An offer that is out."""

    id: str
    contact: str
    agent: str
    visit: str
    queue: str
    made_at: float
    deadline: float
