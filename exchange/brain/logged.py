"""An event's effects in the log: how they are written and read, without an engine, and which of them are decisions.

An effect's id is its event's position, (epoch, offset), and its number among that event's effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from acd.effects import Effect, NobodyFor, OfferMade
from storage import rows
from storage.queries import Queries
from storage.rows import RowWrite


class EffectId(NamedTuple):
    """Says of an effect which one it is, for ever: by it receivers know what they have had."""

    epoch: int
    offset: int
    number: int


class Decision(msgspec.Struct, frozen=True):
    """An offer or a "nobody" with its reasons (`effect.decision`)."""

    id: EffectId
    at: float
    effect: OfferMade | NobodyFor


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Effect])


def encode(effects: Sequence[Effect]) -> bytes:
    """As event_log.effects holds them."""
    return _encoder.encode(effects)


def decode(data: bytes | None) -> list[Effect]:
    """The effects of an event; none where the log does not know them (LogRow.effects). Raises ValueError."""
    try:
        return _decoder.decode(data) if data is not None else []
    except msgspec.DecodeError as error:
        raise ValueError(f"not effects of this version: {error}") from error


def pointers(position: tuple[int, int], at: float, effects: Sequence[Effect]) -> list[RowWrite]:
    """The rows by which a contact's decisions are found; their bodies are in the effects alone."""
    found = []
    for index, effect in enumerate(effects):
        match effect:
            case OfferMade(offer, contact, agent, queue):
                found.append(rows.decision((*position, index), contact, "offer", offer, agent, queue, at))
            case NobodyFor(contact, queue):
                found.append(rows.decision((*position, index), contact, "nobody", None, None, queue, at))
            case _:
                pass
    return found


async def decisions_of(queries: Queries, contact: str) -> list[Decision]:
    """All decisions about a contact, in order.

    Raises DatabaseAway, BadSearch for what is no id, ValueError for effects of another version.
    """
    found = []
    for row in await queries.decisions(contact):
        effect = decode(row["effects"])[row["index"]]
        if isinstance(effect, OfferMade | NobodyFor):
            found.append(Decision(EffectId(row["epoch"], row["offset"], row["index"]), row["made"].timestamp(), effect))
    return found
