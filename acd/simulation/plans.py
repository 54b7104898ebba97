"""What a contact would do, whatever the rules are: when it comes, what it needs, how long it waits, how long it is talked with.

Plans of a day are complete. Those that a shadow follows become complete while the contact lives: a time that is None is not
known, and is drawn when it is needed.
"""

from __future__ import annotations

import msgspec

from acd.model import DEFAULT_PRIORITY, Channel, Need, Relaxation, Target
from acd.simulation.survival import Wait


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A queue that a contact waits in, and how it was queued."""

    queue: str
    priority: int = DEFAULT_PRIORITY
    need: Need = Need()
    relaxation: tuple[Relaxation, ...] | None = None
    preferred: str = ""
    patience: float = 0.0
    """For the preferred agent."""
    after: float = 0.0
    """Seconds since the stay began."""


class Amendment(msgspec.Struct, frozen=True, array_like=True):
    """A change of priority or need while the contact waited."""

    after: float
    priority: int = 0
    need: Need | None = None
    relaxation: tuple[Relaxation, ...] | None = None


class Stay(msgspec.Struct):
    """One time of waiting, in one queue or several at once, and the talk that ends it."""

    places: list[Place]
    gap: float = 0.0
    """Seconds since the contact arrived, or since its flow had it back."""
    transfer: Target | None = None
    """It begins because the agent of the stay before gave the contact away."""
    patience: float | None = None
    """When the customer left, seconds since the stay began."""
    out: float | None = None
    """When the flow took it out."""
    seen: float = 0.0
    """So long it is known to have stayed."""
    ended: bool = False
    """Nothing more will be known of the wait."""
    callback: float | None = None
    """When the customer asked to be called back."""
    dial: float | None = None
    """How long the customer then took to answer; negative: could not be reached."""
    ring: float | None = None
    """Until the agent accepted."""
    rang: float = 0.0
    """So long it rang at least, before the customer left."""
    talk: float | None = None
    talked: float = 0.0
    """So long the talk is known to have lasted when it is not over."""
    wrap_up: float | None = None
    code: str = ""
    amendments: list[Amendment] = []


class Plan(msgspec.Struct):
    """A contact."""

    contact: str
    at: float
    channel: Channel = "voice"
    entry_point: str = ""
    customer: str = ""
    stays: list[Stay] = []
    over: bool = False
    """Nothing more will be known of it."""


class Habits(msgspec.Struct):
    """What was seen in one queue, newest last: what is not known of a contact is drawn from it."""

    patience: list[Wait] = []
    out: list[Wait] = []
    rings: list[float] = []
    talks: list[float] = []
    wrap_ups: list[float] = []
    dials: list[float] = []
