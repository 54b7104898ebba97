"""Effects as a reader of whole days needs them: without decision records, which are most of their bytes."""

from __future__ import annotations

import msgspec

from acd import effects
from acd.model import Channel


class OfferSeen(msgspec.Struct, frozen=True, tag="offer-made"):
    """An `OfferMade` without its decision."""

    offer: str
    contact: str
    agent: str
    queue: str
    channel: Channel = "voice"
    visit: str = ""
    callback: bool = False
    auto: bool = False


class NobodySeen(msgspec.Struct, frozen=True, tag="nobody-for"):
    """A `NobodyFor` without its decision."""

    contact: str


Seen = (
    OfferSeen
    | NobodySeen
    | effects.OfferWithdrawn
    | effects.Assigned
    | effects.Released
    | effects.Parked
    | effects.AgentChanged
    | effects.ContactChanged
    | effects.ContactFinal
    | effects.VisitStarted
    | effects.VisitEnded
    | effects.SegmentStarted
    | effects.SegmentEnded
    | effects.Overflowed
    | effects.CallbackChanged
    | effects.QueueChanged
    | effects.BroadcastSent
    | effects.WakeAt
    | effects.GoOn
)
