"""The JSON of the work on the floor: offers, agents' states, queues as they are now, broadcasts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from api.channel import Given, Id, MaybeId, Wait


class OfferItem(BaseModel):
    """An offer that is out."""

    id: str
    contact: str
    channel: str
    agent: str
    queue: str
    queue_name: str | None
    made: datetime
    deadline: datetime


class OfferList(BaseModel):
    items: list[OfferItem]


class Decline(Given):
    """The agent does not want the contact."""

    reason: str = Field(default="", pattern="^[a-z0-9-]{0,40}$")


class StateChange(Given):
    """What an agent shall be: at once, or after the present contact."""

    state: Literal["available", "idle", "logged-out"]
    code: MaybeId = ""


class Work(BaseModel):
    """A contact that an agent has, or is still busy with."""

    contact: str
    channel: str
    queue: str
    state: Literal["engaged", "parked", "wrap-up"]
    since: datetime


class AgentNow(BaseModel):
    """An agent as the engine sees them."""

    id: str
    name: str
    state: str
    code: str
    since: datetime
    next_state: str
    reachable: bool
    queues: list[str]
    works: list[Work]
    channels: dict[str, str]


class QueueNow(BaseModel):
    """A queue with its figures of this moment."""

    id: str
    name: str
    closed: bool
    waiting: int
    callbacks: int
    longest_wait: float
    agents: dict[str, int]
    """Those who serve it, by state."""
    last: Wait | None
    """What is expected for the one who came last, of those who wait."""
    offered: int
    """Visits since the engine's counters began; always the sum of `open` and `ended`."""
    open: int
    ended: dict[str, int]


class Broadcast(Given):
    """Something said to all agents who are logged in, of these teams and queues (none: everybody)."""

    text: str = Field(min_length=1, max_length=500)
    teams: list[Id] = Field(default=[], max_length=100)
    queues: list[Id] = Field(default=[], max_length=100)

    @model_validator(mode="after")
    def _words(self) -> Broadcast:
        if not self.text.strip():
            raise ValueError("text: something must be said")
        return self
