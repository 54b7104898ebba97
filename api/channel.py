"""What channels and the public interface say of contacts: the same types for both, validated where they come in.

Channels import this module, `api.ports`, `api.models` and `api.errors`, and nothing else of ours (docs/channels.md).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from acd.model import Channel

Author = Literal["customer", "agent", "system"]
Id = Annotated[str, StringConstraints(min_length=1, max_length=100)]
MaybeId = Annotated[str, StringConstraints(max_length=100)]
Line = Annotated[str, StringConstraints(max_length=200)]
"""What a person or a program says of itself in one line."""
LONGEST_TEXT = 4000
Words = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT)]
Priority = Annotated[int, Field(ge=1, le=10)]

MOST_CAD = 50
LONGEST_KEY = 100


class Place(NamedTuple):
    """Where in the log something happened; places compare in the order of the log."""

    epoch: int
    offset: int
    nth: int
    """Of the effects of one event, from 0."""

    @classmethod
    def parse(cls, text: str) -> Place:
        """`EPOCH.OFFSET` (all of that event is known) or `EPOCH.OFFSET.NUMBER`; raises ValueError."""
        match = re.fullmatch(r"([0-9]{1,18})\.([0-9]{1,18})(?:\.([0-9]{1,9}))?", text)
        if match is None:
            raise ValueError("a place in the log is EPOCH.OFFSET or EPOCH.OFFSET.NUMBER")
        epoch, offset, nth = match.groups()
        return cls(int(epoch), int(offset), int(nth) if nth is not None else WHOLE)

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}" if self.nth == WHOLE else f"{self.epoch}.{self.offset}.{self.nth}"


WHOLE = 1_000_000_000
"""After all effects of an event."""

BEGINNING = Place(0, 0, WHOLE)


class Given(BaseModel):
    """What comes in: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- what is needed -------------------------------------------------------------------------------------------------


class NeededSkill(Given):
    """A skill that the agent must have, with a proficiency between `least` and `most`."""

    skill: Id
    least: int = Field(default=1, ge=1, le=10)
    most: int = Field(default=10, ge=1, le=10)
    prefer: Literal["high", "low", ""] = ""


class Needed(Given):
    """What an agent must be to get the contact."""

    skills: list[NeededSkill] = Field(default=[], max_length=20)
    where: str = Field(default="", max_length=1000)
    """A CEL expression over the agent's attributes, skills and team."""
    teams: list[Id] = Field(default=[], max_length=100)
    agents: list[Id] = Field(default=[], max_length=100)


# --- contacts -------------------------------------------------------------------------------------------------------


class Callback(Given):
    """Call the customer back, with the place kept."""

    number: Line = ""
    """Empty: the number that the contact has."""
    queue: MaybeId = ""
    """Where it shall wait; empty: where it waits."""
    not_before: datetime | None = None
    not_after: datetime | None = None

    @model_validator(mode="after")
    def _window(self) -> Callback:
        for moment in (self.not_before, self.not_after):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("times need a zone, for example 2026-11-22T08:00:00Z")
        if self.not_before is not None and self.not_after is not None and self.not_after <= self.not_before:
            raise ValueError("not_after must be later than not_before")
        return self


class NewContact(Given):
    """A contact that begins. A `callback` makes it one that we call: channel voice."""

    channel: Channel
    entry_point: MaybeId = ""
    customer: Line = ""
    """Who it is on this channel: a number, an address, an account. Kept with the contact's row, never in the log."""
    name: Line = ""
    cad: dict[Id, Line] = Field(default={}, max_length=MOST_CAD)
    queue: MaybeId = ""
    """Empty: the entry point's; so are priority and need, where they are left out."""
    priority: Priority | None = None
    need: Needed | None = None
    preferred: MaybeId = ""
    """An agent who is tried alone for `patience` seconds."""
    patience: float = Field(default=0.0, ge=0, le=86_400)
    callback: Callback | None = None

    @model_validator(mode="after")
    def _sense(self) -> NewContact:
        if not self.entry_point and not self.queue:
            raise ValueError("an entry_point or a queue is needed")
        if self.channel == "voice" and self.callback is None:
            raise ValueError("a voice contact begins with a call; what can be asked for is a callback")
        if self.callback is not None and self.channel != "voice":
            raise ValueError("a callback is on the channel voice")
        if self.callback is not None and not (self.callback.number or self.customer):
            raise ValueError("a callback needs a number")
        return self


class Change(Given):
    """New values of a waiting contact; its place is kept."""

    priority: Priority | None = None
    need: Needed | None = None
    queue: Id | None = None

    @model_validator(mode="after")
    def _something(self) -> Change:
        if self.priority is None and self.need is None and self.queue is None:
            raise ValueError("priority, need or queue: something must be new")
        return self


class End(Given):
    """The contact is over."""

    by: Literal["customer", "agent", "system"] = "system"
    failed: bool = False


class Transfer(Given):
    """The agent's part ends; the contact goes to a queue, a team or an agent."""

    kind: Literal["queue", "team", "agent"]
    id: Id
    keep_place: bool = True
    priority: Priority | None = None


class Park(Given):
    """The conversation rests with its agent, in none of their slots."""


class Resume(Given):
    """The conversation goes on; when its agent has no slot for `patience` seconds, with another one."""

    by: Literal["agent", "customer"] = "agent"
    patience: float = Field(default=60.0, ge=0, le=86_400)


class Assign(Given):
    """A supervisor has a waiting contact offered to an agent; with `force` it is theirs at once."""

    agent: Id
    force: bool = False


class Pick(Given):
    """An agent takes a waiting contact out of its turn; a supervisor names the agent."""

    agent: MaybeId = ""


class Requeue(Given):
    """A supervisor moves a contact that waits, or takes one from its agent, into a queue (empty: its own)."""

    queue: MaybeId = ""
    keep_place: bool = True


Action = Change | End | Transfer | Park | Resume | Assign | Pick | Requeue | Callback


class Said(Given):
    """A message of a conversation."""

    text: Words
    author: Author = "customer"


class Done(BaseModel):
    """What was asked for is in the log. `id` is of the contact, offer, message or whatever it was about."""

    id: str


# --- what is told ---------------------------------------------------------------------------------------------------


class Message(BaseModel):
    """One message; numbers count from 1 in each conversation."""

    number: int
    author: Author
    agent: str
    """Of a message by an agent."""
    at: datetime
    text: str


class MessageList(BaseModel):
    items: list[Message]


class Wait(BaseModel):
    """Predicted remaining wait in seconds; null where nobody works on the queue."""

    position: int
    mean: float | None
    p50: float | None
    p90: float | None


class QueueVisit(BaseModel):
    """A stay in a queue that is not over."""

    id: str
    queue: str
    queue_name: str | None
    kind: Literal["direct", "callback"]
    queued: datetime
    relaxed: int
    """How often the need has been relaxed."""


class ContactNow(BaseModel):
    """An open contact as the engine sees it."""

    id: str
    channel: str
    entry_point: str
    state: Literal["arrived", "waiting", "offered", "engaged", "parked", "scheduled", "ended"]
    queue: str
    agent: str
    offer: str
    priority: int
    waited: float
    callback: bool
    messages: int
    wait: Wait | None
    """While it waits."""
    visits: list[QueueVisit]


class Happened(NamedTuple):
    """One effect, or one message, in the order of the log."""

    place: Place
    at: float
    type: str
    fields: dict[str, Any]

    def plain(self) -> dict[str, Any]:
        """As JSON tells it."""
        return {"id": str(self.place), "at": self.at, "type": self.type, **self.fields}
