"""What the event log holds: inputs from outside, in the order in which the house took them. No personal data.

Everything else (flow steps, routing, final states) follows from these by `House.apply`, at a replay as at the first time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

import acd.events
from ivr.inputs import CommandDone, CommandFailed, Digits

KIND = "exchange"
"""Of the log's rows that hold a Record."""
REJECTED = "rejected"
"""Of those whose Record raised when it was taken: every replay passes over them."""

Reachable = Literal["", "keyed", "own"]
"""Whether a contact can be called back: not at all, at a number that it keys in, or at its own, too."""

Ended = Literal["customer", "agent", "system"]


class Source(msgspec.Struct, frozen=True):
    """The card event that an input came from: after a restart, events up to the newest one are known already."""

    card: str
    generation: str
    seq: int


class Booted(msgspec.Struct, frozen=True, tag="booted"):
    """The exchange is (again) there; `gap` seconds nobody decided anything."""

    gap: float


class Routing(msgspec.Struct, frozen=True, tag="routing"):
    """An input of the routing engine: configuration, or what an agent did."""

    event: acd.events.Event


class Presences(msgspec.Struct, frozen=True, tag="presences"):
    """What became of several agents' desks, at once: each as if it were alone, one that is refused costs only itself."""

    changes: tuple[acd.events.AgentReachable | acd.events.AgentLost | acd.events.AgentLoggedOut, ...]


class Browser(msgspec.Struct, frozen=True):
    """Where a web caller's sound comes in, and the hash of the secret by which the page comes back to its call."""

    connection: str
    card: str
    generation: str
    token: bytes


class Arrived(msgspec.Struct, frozen=True, tag="arrived"):
    """A call is here; its numbers are with the contact's row, not here."""

    contact: str
    card: str
    generation: str
    call: str
    party: str
    entry_point: str
    flow: str
    web: bool = False
    version: int = 0
    """Of the flow: a replay must not begin in a version that came later."""
    browser: Browser | None = None
    """A web caller's; None in logs of older versions."""
    customer: str = ""
    """The keyed hash of the number that calls; empty for one that is withheld, or that nobody has checked."""
    reachable: Reachable = ""


class FlowAnswer(msgspec.Struct, frozen=True, tag="flow_answer"):
    """A command of a flow came to its end."""

    contact: str
    answer: CommandDone | CommandFailed


class CustomerGone(msgspec.Struct, frozen=True, tag="customer_gone"):
    """The customer's leg ended."""

    contact: str
    reason: str


class CardDied(msgspec.Struct, frozen=True, tag="card_died"):
    """A line card and all its calls are gone."""

    card: str
    generation: str


class LineBack(msgspec.Struct, frozen=True, tag="line_back"):
    """The line card with this contact's call is reachable again: what was outstanding is sent again."""

    contact: str


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """An agent asked for something in a talk."""

    contact: str
    agent: str
    what: Literal["hold", "mute", "record", "hang_up"]
    on: bool = True


class BridgeFailed(msgspec.Struct, frozen=True, tag="bridge_failed"):
    """The customer and the agent could not be brought together."""

    contact: str
    agent: str
    reason: str


class Message(msgspec.Struct, frozen=True, tag="message"):
    """Something was written in a conversation: its number there, and by whom. The text is in the table of messages."""

    contact: str
    number: int
    author: Literal["customer", "agent", "system"]
    agent: str = ""


class LineLeased(msgspec.Struct, frozen=True, tag="line_leased"):
    """A line for dialling a customer: the n-th time that this contact is dialled; the leg is placed when this is durable."""

    contact: str
    dial: int
    card: str
    generation: str


class NotDialled(msgspec.Struct, frozen=True, tag="not_dialled"):
    """A customer could not be dialled: there was no line, or no way to the number."""

    contact: str
    dial: int
    code: str = ""


class LegLost(msgspec.Struct, frozen=True, tag="leg_lost"):
    """A call that should be dialling is not on its card: the leg was never placed."""

    contact: str
    call: str


class CustomerThere(msgspec.Struct, frozen=True, tag="customer_there"):
    """A customer who was dialled has answered."""

    contact: str
    call: str


class RecordingClosed(msgspec.Struct, frozen=True, tag="recording_closed"):
    """A recording's files are complete (or `failed` says why not)."""

    contact: str
    recording: str
    seconds: float
    failed: str = ""


class Clock(msgspec.Struct, frozen=True, tag="clock"):
    """The next deadline of engine or flows has come."""


Input = (
    Booted
    | Routing
    | Presences
    | Arrived
    | FlowAnswer
    | CustomerGone
    | CardDied
    | LineBack
    | Asked
    | BridgeFailed
    | Message
    | LineLeased
    | NotDialled
    | LegLost
    | CustomerThere
    | RecordingClosed
    | Clock
)


class Record(msgspec.Struct, frozen=True):
    """One row of the log: when, what, and the card event it came from."""

    at: float
    input: Input
    source: Source | None = None


def engine_events(input: Input) -> tuple[acd.events.Event, ...]:
    """The engine events that an input is, without those that follow from it."""
    match input:
        case Routing(event):
            return (event,)
        case Presences(changes):
            return changes
        case _:
            return ()


_decoder = msgspec.msgpack.Decoder(Record)
_encoder = msgspec.msgpack.Encoder()


def encode(record: Record, *, secret: bool = False) -> bytes:
    """As msgpack; with `secret` the digits of a flow's answer are replaced by as many stars."""
    match record.input:
        case FlowAnswer(contact, CommandDone(id, Digits(digits, why))) if secret:
            hidden = CommandDone(id, Digits("*" * len(digits), why))
            record = Record(record.at, FlowAnswer(contact, hidden), record.source)
        case _:
            pass
    return _encoder.encode(record)


def decode(data: bytes) -> Record:
    """Raises ValueError."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a record of this log: {error}") from error
