"""Frames and envelopes of the control protocol: a 4-byte big-endian length, then one msgpack-encoded envelope."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

PROTOCOL = 1
"""Version in every hello; an exchange works with cards of this version and the one before."""

MAX_FRAME = 4 * 1024 * 1024
"""Bytes; a longer frame is refused, so that a broken peer cannot make us hold unbounded memory."""

Role = Literal["commander", "observer"]


class ControlError(Exception):
    """Root of the control protocol's errors; `code` is for machines, the text for people."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


class FrameError(ValueError):
    """The bytes are not a frame of this protocol."""


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First message of a client: who it is, and the last event it has dealt with (generation, seq)."""

    role: Role
    protocol: int = PROTOCOL
    generation: str = ""
    after: int = 0
    epoch: int = 0
    """Of the event log that a commander writes: one of an older epoch does not take a card from one of a newer; 0: none."""


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The card's answer. `resumed` says that every event after `Hello.after` follows; else take an inventory."""

    card: str
    kind: str
    generation: str
    protocol: int
    seq: int
    resumed: bool


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The card will not talk to this client; the connection closes."""

    code: str
    message: str


class Command(msgspec.Struct, frozen=True, tag="command"):
    """Asks for something; the same id again gets the same reply and is not done twice."""

    id: str
    body: msgspec.Raw


class Failure(msgspec.Struct, frozen=True):
    """Why a command was not done."""

    code: str
    message: str
    retryable: bool = False


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """Answer to the command of the same id; `body` is null where the command returns nothing."""

    id: str
    failure: Failure | None = None
    body: msgspec.Raw = msgspec.Raw(b"\xc0")


class Event(msgspec.Struct, frozen=True, tag="event"):
    """Something happened on the card. `at` is the card's wall clock in seconds."""

    card: str
    generation: str
    seq: int
    at: float
    body: msgspec.Raw


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """The commander has dealt with all events up to `seq`; the card may forget them."""

    seq: int


Envelope = Hello | Welcome | Refused | Command | Reply | Event | Ack

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Envelope] = msgspec.msgpack.Decoder(Envelope)


def encode(envelope: Envelope) -> bytes:
    """One frame: length prefix and envelope."""
    data = _encoder.encode(envelope)
    if len(data) > MAX_FRAME:
        raise FrameError(f"a frame of {len(data)} bytes is over the limit of {MAX_FRAME}")
    return len(data).to_bytes(4, "big") + data


def encode_body(body: Any) -> msgspec.Raw:
    """The body of a command, reply or event, ready to be put into its envelope."""
    return msgspec.Raw(_encoder.encode(body))


def decode(data: bytes) -> Envelope:
    """The envelope in one frame's payload; raises FrameError."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"not a control message: {error}") from error


class FrameReader:
    """Cuts a byte stream into frames; memory is bounded by MAX_FRAME."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Envelope]:
        """Envelopes completed by `data`, in order; raises FrameError on the first bad one."""
        data = self._rest + data if self._rest else data
        found: list[Envelope] = []
        start, left = 0, len(data)
        while left >= 4:
            size = int.from_bytes(data[start : start + 4], "big")
            if size > MAX_FRAME:
                raise FrameError(f"a frame of {size} bytes is over the limit of {MAX_FRAME}")
            if left < size + 4:
                break
            found.append(decode(data[start + 4 : start + 4 + size]))
            start += size + 4
            left -= size + 4
        self._rest = data[start:]
        return found
