"""What the routing engine wants to happen; the shell numbers effects by (offset, index) and sends them until acknowledged."""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.model import (
    AgentState,
    Channel,
    ContactState,
    Decision,
    DeferredState,
    FinalState,
    Need,
    Relaxation,
    Target,
    VisitKind,
    WorkView,
)

WithdrawnWhy = Literal[
    "customer-left", "rona", "declined", "unreachable", "agent-left", "flowed-out", "failed", "taken", "cancelled", "changed"
]
"""`taken`: somebody else has the contact by a supervisor's or an agent's hand; `changed`: queue or need are new."""

ReleasedWhy = Literal[
    "agent", "customer", "system", "flow", "connect-failed", "agent-lost", "transferred", "requeued", "not-reached", "resumed"
]

SegmentHow = Literal["handled", "transferred", "failed", "connect-failed", "agent-lost", "not-reached"]

NobodyWhy = Literal["nobody-logged-in", "nobody-with-the-skill", "nobody-available"]

OverflowWhy = Literal["wait", "size", "ewt", "closed", "nobody-logged-in", "nobody-with-the-skill", "period", "transferred"]
"""A queue's rule, or that an agent sent it there."""

VisitReason = Literal[
    "",
    "unqueued",
    "overflow",
    "elsewhere",
    "callback",
    "expired",
    "unreachable",
    "moved",
    "transferred",
    "called-in",
    "cancelled",
]
"""Why a visit flowed out or failed: `elsewhere`: answered from another queue; `callback`: goes on as a callback; `moved`: by a
supervisor; the callback's: `expired`, `unreachable`, `called-in`, `cancelled`."""


class OfferMade(msgspec.Struct, frozen=True, tag="offer-made"):
    """Present the contact to the agent until `deadline`; `waited` is the seconds in the queue so far."""

    offer: str
    contact: str
    agent: str
    queue: str
    deadline: float
    waited: float
    decision: Decision
    channel: Channel = "voice"
    visit: str = ""
    callback: bool = False
    auto: bool = False
    """The agent has it at once: `Assigned` comes next."""


class OfferWithdrawn(msgspec.Struct, frozen=True, tag="offer-withdrawn"):
    """The offer is over without being accepted."""

    offer: str
    contact: str
    agent: str
    why: WithdrawnWhy
    queue: str = ""
    seconds: float = 0.0
    """How long it was out."""
    reason: str = ""
    """The agent's, when declined."""


class Assigned(msgspec.Struct, frozen=True, tag="assigned"):
    """Join contact and agent; of a callback: dial the customer for the agent, and say CallbackAnswered or CallbackFailed."""

    contact: str
    agent: str
    queue: str
    offer: str
    """Empty when it was picked or forced."""
    channel: Channel = "voice"
    callback: bool = False
    by: str = ""


class Released(msgspec.Struct, frozen=True, tag="released"):
    """Contact and agent are no longer joined."""

    contact: str
    agent: str
    why: ReleasedWhy
    by: str = ""


class Parked(msgspec.Struct, frozen=True, tag="parked"):
    """The conversation rests with its agent, or goes on."""

    contact: str
    agent: str
    on: bool


class AgentChanged(msgspec.Struct, frozen=True, tag="agent-changed"):
    """The agent's state, its code, what they work on, or what they will have next, is new."""

    agent: str
    state: AgentState
    code: str
    since: float
    until: float | None
    """When it ends by itself: the offer's or the wrap-up's deadline, or the end of a pause."""
    next_state: DeferredState
    next_code: str
    contact: str = ""
    channels: dict[Channel, str] = {}
    works: tuple[WorkView, ...] = ()
    by: str = ""


class ContactChanged(msgspec.Struct, frozen=True, tag="contact-changed"):
    """The contact's state is new; `queue` and `agent` are empty where it has none."""

    contact: str
    state: ContactState
    queue: str
    agent: str
    channel: Channel = "voice"


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
    channel: Channel = "voice"
    entry_point: str = ""
    arrived_at: float = 0.0


class VisitStarted(msgspec.Struct, frozen=True, omit_defaults=True, tag="visit-started"):
    """A stay in a queue begins; `estimate` is the wait that was predicted (None: unknown, or answered at once). What was asked
    for is the contact's own, not joined with the queue's."""

    visit: str
    contact: str
    queue: str
    channel: Channel
    kind: VisitKind
    at: float
    priority: int
    estimate: float | None = None
    p90: float | None = None
    entry_point: str = ""
    need: Need = Need()
    relaxation: tuple[Relaxation, ...] | None = None
    preferred: str = ""
    patience: float = 0.0


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
    channel: Channel = "voice"
    kind: VisitKind = "direct"
    reason: VisitReason = ""
    to: Target | None = None
    """Where it overflowed to."""
    answered_at: float | None = None
    """When the first agent of this visit had it."""


class SegmentStarted(msgspec.Struct, frozen=True, tag="segment-started"):
    """An agent has the contact; `number` counts the contact's segments from 1."""

    contact: str
    number: int
    agent: str
    queue: str
    visit: str
    started: float
    channel: Channel = "voice"
    waited: float = 0.0
    """Seconds of this visit without an agent so far."""
    first: bool = True
    """The first of its visit."""


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
    channel: Channel = "voice"


class NobodyFor(msgspec.Struct, frozen=True, tag="nobody-for"):
    """A newly queued contact found no agent and waits."""

    contact: str
    queue: str
    why: NobodyWhy
    decision: Decision


class Overflowed(msgspec.Struct, frozen=True, tag="overflowed"):
    """The contact left its queue by a rule: into another queue, team or agent it goes by itself, the rest is the shell's."""

    contact: str
    queue: str
    why: OverflowWhy
    to: Target | None
    """None: back to its flow."""


class CallbackChanged(msgspec.Struct, frozen=True, tag="callback-changed"):
    """A callback was taken, will be tried again at `at`, or is over."""

    contact: str
    queue: str
    state: Literal["waiting", "scheduled", "dialling", "answered", "over"]
    why: str = ""
    at: float = 0.0
    tries: int = 0
    by: str = ""


class QueueChanged(msgspec.Struct, frozen=True, tag="queue-changed"):
    """A queue opened or closed."""

    queue: str
    closed: bool
    why: Literal["hours", "supervisor"]
    by: str = ""


class BroadcastSent(msgspec.Struct, frozen=True, tag="broadcast-sent"):
    """Show the message to these agents."""

    message: str
    agents: tuple[str, ...]
    by: str


class WakeAt(msgspec.Struct, frozen=True, tag="wake-at"):
    """Send `DeadlineReached` at this engine time; replaces the time asked for before."""

    at: float


class GoOn(msgspec.Struct, frozen=True, tag="go-on"):
    """Send `Continue` soon: there is work left that was too much for one event."""


Effect = (
    OfferMade
    | OfferWithdrawn
    | Assigned
    | Released
    | Parked
    | AgentChanged
    | ContactChanged
    | ContactFinal
    | VisitStarted
    | VisitEnded
    | SegmentStarted
    | SegmentEnded
    | NobodyFor
    | Overflowed
    | CallbackChanged
    | QueueChanged
    | BroadcastSent
    | WakeAt
    | GoOn
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[Effect]] = msgspec.msgpack.Decoder(list[Effect])


def encode(effects: list[Effect]) -> bytes:
    """A list of effects as the log keeps it."""
    return _encoder.encode(effects)


def decode(body: bytes) -> list[Effect]:
    """The effects of a log body; raises ValueError."""
    return _decoder.decode(body)
