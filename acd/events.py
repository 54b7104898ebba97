"""What may happen to the routing engine; events carry their time and ids, and are logged before their effects leave.

An event that the present state does not allow raises `acd.errors.Refused` and changes nothing. `by` names who did it where
that is not the one it is about: a user's id, empty for the one concerned or the system.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.model import (
    DEFAULT_PRIORITY,
    AgentConfig,
    Channel,
    ChosenState,
    Code,
    Need,
    ProfileConfig,
    QueueConfig,
    Relaxation,
    Settings,
    SkillConfig,
    Target,
    TeamConfig,
)

# --- configuration ------------------------------------------------------------------------------------------------


class Configured(msgspec.Struct, frozen=True, tag="configured"):
    """The whole configuration anew; refused when it drops a queue or an agent that is in use."""

    at: float
    queues: list[QueueConfig]
    agents: list[AgentConfig]
    idle_codes: list[Code] = []
    settings: Settings = Settings()
    teams: list[TeamConfig] = []
    profiles: list[ProfileConfig] = []
    skills: list[SkillConfig] = []


class AgentAmended(msgspec.Struct, frozen=True, tag="agent-amended"):
    """One agent anew: a new one, or skills, attributes, team, queues or profile of one who may be at work."""

    at: float
    agent: AgentConfig
    by: str = ""


class PeriodChanged(msgspec.Struct, frozen=True, tag="period-changed"):
    """A named period (opening hours, lunch, night) began or ended; those that never were told of are not on."""

    at: float
    period: str
    on: bool


# --- agents -------------------------------------------------------------------------------------------------------


class AgentLoggedIn(msgspec.Struct, frozen=True, tag="agent-logged-in"):
    """The agent is there: idle without a code until they choose a state."""

    at: float
    agent: str


class AgentLoggedOut(msgspec.Struct, frozen=True, tag="agent-logged-out"):
    """The agent leaves: at once, or after the present contacts when they are engaged."""

    at: float
    agent: str
    by: str = ""


class AgentStateChosen(msgspec.Struct, frozen=True, tag="agent-state-chosen"):
    """The agent, or a supervisor for them, chose a state: at once, or deferred while reserved, engaged or in wrap-up."""

    at: float
    agent: str
    state: ChosenState
    code: str = ""
    by: str = ""


class AgentReachable(msgspec.Struct, frozen=True, tag="agent-reachable"):
    """The agent can be reached, or no longer, on these channels (empty: all): for voice it takes a softphone, for the others a
    page. There are no offers where not. Agents begin as not reachable."""

    at: float
    agent: str
    reachable: bool
    why: str = ""
    channels: tuple[Channel, ...] = ()


class AgentLost(msgspec.Struct, frozen=True, tag="agent-lost"):
    """The agent's desk was away for longer than allowed: logged out, and the contacts go back to their places."""

    at: float
    agent: str


# --- contacts -----------------------------------------------------------------------------------------------------


class ContactArrived(msgspec.Struct, frozen=True, tag="contact-arrived"):
    """A contact begins and is with its flow; `customer` is a keyed hash of who it is, the same each time they come."""

    at: float
    contact: str
    channel: Channel = "voice"
    entry_point: str = ""
    customer: str = ""


class ContactQueued(msgspec.Struct, frozen=True, tag="contact-queued"):
    """The contact begins to wait in a queue, perhaps beside others in which it waits: the first match ends the other visits.

    `visit` is the new id of this stay. A preferred agent is tried alone for `patience` seconds; 0: not at all when they cannot
    take it at once. `relaxation` None takes the queue's steps.
    """

    at: float
    contact: str
    queue: str
    priority: int = DEFAULT_PRIORITY
    visit: str = ""
    need: Need = Need()
    relaxation: tuple[Relaxation, ...] | None = None
    preferred: str = ""
    patience: float = 0.0


class ContactUnqueued(msgspec.Struct, frozen=True, tag="contact-unqueued"):
    """The flow takes the waiting contact out of one queue, or of all, and has it again when it is in none."""

    at: float
    contact: str
    why: Literal["flowed-out"] = "flowed-out"
    queue: str = ""


class ContactAmended(msgspec.Struct, frozen=True, tag="contact-amended"):
    """Priority or need of a waiting contact is new; the time it has waited counts on."""

    at: float
    contact: str
    priority: int = 0
    """0 is as before."""
    need: Need | None = None
    relaxation: tuple[Relaxation, ...] | None = None
    """With a new need: its steps, by the seconds since the contact was queued; None is none."""
    by: str = ""


class CustomerLeft(msgspec.Struct, frozen=True, tag="customer-left"):
    """The customer hung up: abandoned while waiting or offered, handled while engaged, flowed out while with the flow.

    A callback that was agreed goes on without the line.
    """

    at: float
    contact: str


class ContactEnded(msgspec.Struct, frozen=True, tag="contact-ended"):
    """The talk ended, or the flow or the system ended the contact.

    Engaged: handled, or failed. Waiting or offered: by the customer as in CustomerLeft, else flowed out, or failed. With the
    flow: flowed out, rejected, or failed.
    """

    at: float
    contact: str
    by: Literal["agent", "customer", "system", "flow"]
    failed: bool = False
    rejected: bool = False


class ContactTransferred(msgspec.Struct, frozen=True, tag="contact-transferred"):
    """The agent gives the contact to a queue, a team or an agent (of the queue it came from); their part of it ends."""

    at: float
    contact: str
    agent: str
    to: Target
    visit: str = ""


class ContactParked(msgspec.Struct, frozen=True, tag="contact-parked"):
    """The conversation rests; it stays with its agent but takes none of their slots."""

    at: float
    contact: str
    agent: str


class ContactResumed(msgspec.Struct, frozen=True, tag="contact-resumed"):
    """A parked conversation goes on: by the agent (refused when they have no slot) or because the customer wrote.

    With its agent, or, when the agent has no slot or is not there, from the front of its queue, its agent preferred.
    """

    at: float
    contact: str
    by: Literal["agent", "customer"] = "customer"
    patience: float = 60.0


# --- offers -------------------------------------------------------------------------------------------------------


class OfferAccepted(msgspec.Struct, frozen=True, tag="offer-accepted"):
    """The agent takes the contact."""

    at: float
    agent: str
    offer: str


class OfferDeclined(msgspec.Struct, frozen=True, tag="offer-declined"):
    """The agent does not want the contact: it keeps its place, the agent is out of rotation by the rule for the reason."""

    at: float
    agent: str
    offer: str
    reason: str = ""


class ConnectFailed(msgspec.Struct, frozen=True, tag="connect-failed"):
    """An accepted contact could not be joined to its agent: back to its place, the agent pauses for a few seconds."""

    at: float
    contact: str
    agent: str
    reason: str = ""


# --- wrap-up ------------------------------------------------------------------------------------------------------


class WrapUpAsked(msgspec.Struct, frozen=True, tag="wrap-up-asked"):
    """An engaged agent wants after-contact work (where it is optional), or does not after all."""

    at: float
    contact: str
    agent: str
    on: bool = True


class WrapUpDone(msgspec.Struct, frozen=True, tag="wrap-up-done"):
    """The agent finished the after-contact work; `code` may be empty where none is needed."""

    at: float
    contact: str
    agent: str
    code: str = ""


class WrapUpExtended(msgspec.Struct, frozen=True, tag="wrap-up-extended"):
    """The agent needs the queue's wrap-up time once more."""

    at: float
    contact: str
    agent: str


# --- callbacks ----------------------------------------------------------------------------------------------------


class CallbackTaken(msgspec.Struct, frozen=True, tag="callback-taken"):
    """A waiting contact, or one with its flow (`queue` says where it shall wait), becomes a callback and keeps its place.

    It is offered between `not_before` and `not_after` (0: at any time). The number is with the contact's row, not here.
    """

    at: float
    contact: str
    visit: str
    queue: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    by: str = ""


class CallbackAnswered(msgspec.Struct, frozen=True, tag="callback-answered"):
    """The customer who was dialled for an agent is there: the talk begins."""

    at: float
    contact: str


class CallbackFailed(msgspec.Struct, frozen=True, tag="callback-failed"):
    """The customer could not be reached: tried again by the queue's rule, the agent is free."""

    at: float
    contact: str
    why: Literal["no-answer", "busy", "unreachable", "rejected"] = "no-answer"


class CallbackCancelled(msgspec.Struct, frozen=True, tag="callback-cancelled"):
    """Nobody is to call back: the contact has flowed out."""

    at: float
    contact: str
    why: Literal["called-in", "customer", "supervisor"] = "customer"
    by: str = ""


# --- supervisors --------------------------------------------------------------------------------------------------


class ContactPicked(msgspec.Struct, frozen=True, tag="contact-picked"):
    """An agent takes a waiting contact out of its turn; they need a free slot."""

    at: float
    contact: str
    agent: str
    by: str = ""


class ContactAssigned(msgspec.Struct, frozen=True, tag="contact-assigned"):
    """A supervisor has a waiting contact offered to an agent, skills and queues aside; with `force` it is theirs at once, over
    their capacity if need be."""

    at: float
    contact: str
    agent: str
    by: str
    force: bool = False


class ContactRequeued(msgspec.Struct, frozen=True, tag="contact-requeued"):
    """A supervisor moves a contact that waits, or takes one from its agent, into a queue (empty: its own)."""

    at: float
    contact: str
    by: str
    queue: str = ""
    visit: str = ""
    keep_place: bool = True


class QueueClosed(msgspec.Struct, frozen=True, tag="queue-closed"):
    """A supervisor closes a queue, whatever its hours say."""

    at: float
    queue: str
    by: str


class QueueOpened(msgspec.Struct, frozen=True, tag="queue-opened"):
    """A supervisor takes back that a queue is closed; its hours count again."""

    at: float
    queue: str
    by: str


class BroadcastMade(msgspec.Struct, frozen=True, tag="broadcast-made"):
    """A supervisor says something to all who are logged in, of these teams and queues (none: everybody). The text is kept under
    the message's id, not here."""

    at: float
    message: str
    by: str
    teams: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


# --- time ---------------------------------------------------------------------------------------------------------


class DeadlineReached(msgspec.Struct, frozen=True, tag="deadline-reached"):
    """The time of the last `WakeAt` has come; harmless when nothing is due."""

    at: float


class Continue(msgspec.Struct, frozen=True, tag="continue"):
    """Go on with work that was too much for one event; asked for by the effect `GoOn`, harmless when nothing is left."""

    at: float


class Recovered(msgspec.Struct, frozen=True, tag="recovered"):
    """The engine was away for `gap` seconds: deadlines of agents move by it, waiting times do not."""

    at: float
    gap: float


Event = (
    Configured
    | AgentAmended
    | PeriodChanged
    | AgentLoggedIn
    | AgentLoggedOut
    | AgentStateChosen
    | AgentReachable
    | AgentLost
    | ContactArrived
    | ContactQueued
    | ContactUnqueued
    | ContactAmended
    | CustomerLeft
    | ContactEnded
    | ContactTransferred
    | ContactParked
    | ContactResumed
    | OfferAccepted
    | OfferDeclined
    | ConnectFailed
    | WrapUpAsked
    | WrapUpDone
    | WrapUpExtended
    | CallbackTaken
    | CallbackAnswered
    | CallbackFailed
    | CallbackCancelled
    | ContactPicked
    | ContactAssigned
    | ContactRequeued
    | QueueClosed
    | QueueOpened
    | BroadcastMade
    | DeadlineReached
    | Continue
    | Recovered
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


def kind(event: Event) -> str:
    """The event's name in the log, e.g. `contact-queued`."""
    return str(event.__struct_config__.tag)


def encode(event: Event) -> bytes:
    """The event's body in the log."""
    return _encoder.encode(event)


def decode(body: bytes) -> Event:
    """The event of a log body; raises ValueError."""
    return _decoder.decode(body)
