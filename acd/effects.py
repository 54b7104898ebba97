"""What the routing engine wants to happen; the shell numbers effects by (offset, index) and sends them until acknowledged."""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.model import AgentState, ContactState, Decision, DeferredState, FinalState

WithdrawnWhy = Literal["customer-left", "rona", "declined", "unreachable", "agent-left", "flowed-out", "failed"]

ReleasedWhy = Literal["agent", "customer", "system", "flow", "connect-failed", "agent-lost"]

SegmentHow = Literal["handled", "failed", "connect-failed", "agent-lost"]

NobodyWhy = Literal["nobody-logged-in", "nobody-available"]


class OfferMade(msgspec.Struct, frozen=True, tag="offer-made"):
    """Present the contact to the agent until `deadline`; `waited` is the seconds in the queue so far."""

    offer: str
    contact: str
    agent: str
    queue: str
    deadline: float
    waited: float
    decision: Decision


class OfferWithdrawn(msgspec.Struct, frozen=True, tag="offer-withdrawn"):
    """The offer is over without being accepted."""

    offer: str
    contact: str
    agent: str
    why: WithdrawnWhy


class Assigned(msgspec.Struct, frozen=True, tag="assigned"):
    """Join contact and agent."""

    contact: str
    agent: str
    queue: str
    offer: str


class Released(msgspec.Struct, frozen=True, tag="released"):
    """Contact and agent are no longer joined."""

    contact: str
    agent: str
    why: ReleasedWhy


class AgentChanged(msgspec.Struct, frozen=True, tag="agent-changed"):
    """The agent's state, its code, or what they will have next, is new."""

    agent: str
    state: AgentState
    code: str
    since: float
    until: float | None
    """When it ends by itself: the offer's or the wrap-up's deadline, or the end of a pause."""
    next_state: DeferredState
    next_code: str
    contact: str = ""


class ContactChanged(msgspec.Struct, frozen=True, tag="contact-changed"):
    """The contact's state is new; `queue` and `agent` are empty where it has none."""

    contact: str
    state: ContactState
    queue: str
    agent: str


class ContactFinal(msgspec.Struct, frozen=True, tag="contact-final"):
    """The contact's only final state; seconds waited in queues and talked, over all visits and segments."""

    contact: str
    final: FinalState
    queue: str
    """The last queue; empty when it was never queued."""
    agent: str
    """The last agent; empty when it never had one."""
    waited: float
    talked: float


class VisitEnded(msgspec.Struct, frozen=True, tag="visit-ended"):
    """A stay in a queue is over."""

    visit: str
    contact: str
    queue: str
    how: FinalState
    queued_at: float
    ended_at: float
    waited: float
    """Seconds without an agent; time after a return to the queue counts too."""
    talked: float
    within: bool
    """`waited` is within the queue's service level."""


class SegmentStarted(msgspec.Struct, frozen=True, tag="segment-started"):
    """An agent has the contact; `number` counts the contact's segments from 1."""

    contact: str
    number: int
    agent: str
    queue: str
    visit: str
    started: float


class SegmentEnded(msgspec.Struct, frozen=True, tag="segment-ended"):
    """The agent is done with the contact, wrap-up included."""

    contact: str
    number: int
    agent: str
    queue: str
    visit: str
    how: SegmentHow
    started: float
    ended: float
    talk: float
    wrap_up: float
    code: str


class WakeAt(msgspec.Struct, frozen=True, tag="wake-at"):
    """Send `DeadlineReached` at this engine time; replaces the time asked for before."""

    at: float


class NobodyFor(msgspec.Struct, frozen=True, tag="nobody-for"):
    """A newly queued contact found no agent and waits."""

    contact: str
    queue: str
    why: NobodyWhy
    decision: Decision


Effect = (
    OfferMade
    | OfferWithdrawn
    | Assigned
    | Released
    | AgentChanged
    | ContactChanged
    | ContactFinal
    | VisitEnded
    | SegmentStarted
    | SegmentEnded
    | WakeAt
    | NobodyFor
)
