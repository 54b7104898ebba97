"""What may happen to the routing engine; events carry their time and ids, and are logged before their effects leave.

An event that the present state does not allow raises `acd.errors.Refused` and changes nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.model import DEFAULT_PRIORITY, AgentConfig, Channel, ChosenState, Code, QueueConfig, Settings


class Configured(msgspec.Struct, frozen=True, tag="configured"):
    """The whole configuration anew; refused when it drops a queue or an agent that is in use."""

    at: float
    queues: list[QueueConfig]
    agents: list[AgentConfig]
    idle_codes: list[Code] = msgspec.field(default_factory=list)
    settings: Settings = Settings()


class AgentLoggedIn(msgspec.Struct, frozen=True, tag="agent-logged-in"):
    """The agent is there: idle without a code until they choose a state."""

    at: float
    agent: str


class AgentLoggedOut(msgspec.Struct, frozen=True, tag="agent-logged-out"):
    """The agent leaves: at once, or after the present contact when they are engaged."""

    at: float
    agent: str


class AgentStateChosen(msgspec.Struct, frozen=True, tag="agent-state-chosen"):
    """The agent chose a state: at once, or deferred while reserved, engaged or in wrap-up."""

    at: float
    agent: str
    state: ChosenState
    code: str = ""


class AgentReachable(msgspec.Struct, frozen=True, tag="agent-reachable"):
    """The agent's softphone came up or went away; without it there are no offers. Agents begin as not reachable."""

    at: float
    agent: str
    reachable: bool
    why: str = ""


class ContactArrived(msgspec.Struct, frozen=True, tag="contact-arrived"):
    """A contact begins and is with its flow."""

    at: float
    contact: str
    channel: Channel = "voice"
    entry_point: str = ""


class ContactQueued(msgspec.Struct, frozen=True, tag="contact-queued"):
    """The flow puts the contact into a queue; `visit` is the new id of this stay."""

    at: float
    contact: str
    queue: str
    priority: int = DEFAULT_PRIORITY
    visit: str = ""


class ContactUnqueued(msgspec.Struct, frozen=True, tag="contact-unqueued"):
    """The flow takes the waiting contact out of its queue and has it again."""

    at: float
    contact: str
    why: Literal["flowed-out"] = "flowed-out"


class CustomerLeft(msgspec.Struct, frozen=True, tag="customer-left"):
    """The customer hung up: abandoned while waiting or offered, handled while engaged, flowed out while with the flow."""

    at: float
    contact: str


class OfferAccepted(msgspec.Struct, frozen=True, tag="offer-accepted"):
    """The agent takes the contact."""

    at: float
    agent: str
    offer: str


class OfferDeclined(msgspec.Struct, frozen=True, tag="offer-declined"):
    """The agent does not want the contact: it keeps its place, the agent is out of rotation until they choose a state."""

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


class AgentLost(msgspec.Struct, frozen=True, tag="agent-lost"):
    """The agent's desk was away for longer than allowed: logged out, and the contact goes back to its place."""

    at: float
    agent: str


class WrapUpDone(msgspec.Struct, frozen=True, tag="wrap-up-done"):
    """The agent finished the after-contact work; `code` may be empty."""

    at: float
    contact: str
    agent: str
    code: str = ""


class WrapUpExtended(msgspec.Struct, frozen=True, tag="wrap-up-extended"):
    """The agent needs the queue's wrap-up time once more."""

    at: float
    contact: str
    agent: str


class DeadlineReached(msgspec.Struct, frozen=True, tag="deadline-reached"):
    """The time of the last `WakeAt` has come; harmless when nothing is due."""

    at: float


class Recovered(msgspec.Struct, frozen=True, tag="recovered"):
    """The engine was away for `gap` seconds: all deadlines move by it, waiting times do not."""

    at: float
    gap: float


Event = (
    Configured
    | AgentLoggedIn
    | AgentLoggedOut
    | AgentStateChosen
    | AgentReachable
    | ContactArrived
    | ContactQueued
    | ContactUnqueued
    | CustomerLeft
    | OfferAccepted
    | OfferDeclined
    | ConnectFailed
    | ContactEnded
    | AgentLost
    | WrapUpDone
    | WrapUpExtended
    | DeadlineReached
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
