"""The rows of the records that follow from an outcome, or from a card's news."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

import acd.effects as decided
from exchange.brain.details import Details
from exchange.brain.house import House, Outcome
from exchange.brain.records import Record
from media.control import desk, line
from media.control.line import Quality
from media.quality import mos
from storage import figures, rows
from storage.log import RowWrite


def contact_arrived(contact: str, entry_point: str, detail: Details, at: float) -> RowWrite:
    """Who calls: with the record, but never in it."""
    return rows.contact_arrived(contact, "voice", detail.ani, detail.dnis, detail.display, entry_point, at, detail.cad)


def contact_came(contact: str, customer: str, detail: Details) -> RowWrite:
    """As whom the log knows them, and by which way they came."""
    return rows.contact_came(contact, customer, detail.trunk, detail.source)


def number_keyed(contact: str, number: str) -> RowWrite:
    """The number that a caller wants to be called back at."""
    return rows.callback_number(contact, number)


def leg_started(contact: str, call: str, party: str, at: float) -> RowWrite:
    return rows.leg(contact, party, "sip", call=call, started=at)


def leg_connected(contact: str, party: str, at: float) -> RowWrite:
    return rows.leg(contact, party, "sip", connected=at)


def web_leg(contact: str, party: str, at: float) -> RowWrite:
    """A web caller's leg: connected before the contact is there; its quality comes from the desk card."""
    return rows.leg(contact, party, "webrtc", owner="web", started=at, connected=at)


def web_leg_ended(contact: str, party: str, reason: str, at: float) -> RowWrite:
    """A web caller who left, as the desk card or the page tells it."""
    by = "remote" if reason == "remote-hangup" else "system"
    return rows.leg(contact, party, "webrtc", ended=at, result="answered", reason=reason, by=by)


def leg_ended(contact: str, change: line.PartyChanged, at: float, *, web: bool = False) -> RowWrite:
    """The typed end of a customer's leg, with its quality."""
    end = change.termination or line.Termination("failed", "error")
    quality = _figures(change.quality) if change.quality is not None and not web else None
    return rows.leg(
        contact,
        change.party,
        "webrtc" if web else "sip",
        ended=at,
        result=end.result,
        reason=end.reason,
        by=end.by,
        sip_code=end.sip_code,
        quality=quality,
    )


def desk_leg(contact: str, leg: desk.LegQuality, at: float) -> RowWrite:
    """A patched stretch of a browser's connection, when it ended; how a web caller's leg ended is told by others."""
    quality = _figures(leg.quality, late=leg.late) | {"concealed": leg.concealed, "late": leg.late}
    if leg.owner.startswith("web:"):
        return rows.leg(contact, leg.patch, "webrtc", quality=quality)
    return rows.leg(
        contact,
        leg.patch,
        "webrtc",
        owner=leg.owner,
        started=at - leg.seconds,
        connected=at - leg.seconds,
        ended=at,
        result="answered",
        reason="unpatched",
        by="system",
        quality=quality,
    )


def message_opened(recording: str, contact: str, queue: str, at: float) -> RowWrite:
    """A voicemail that is being recorded."""
    return rows.recording_opened(recording, contact, "voicemail", queue or None, None, at)


PLAYOUT_MS = 60.0
"""What packetising, the jitter buffer and the bridge add one way, for the E-model."""


def _figures(quality: Quality, *, late: int = 0) -> dict[str, Any]:
    """A leg's figures as stored, with its MOS as we received it (G.107)."""
    found: dict[str, Any] = msgspec.to_builtins(quality)
    expected = quality.received + quality.lost
    if expected:
        missing = (quality.lost + quality.discarded + late) / expected
        delay = quality.round_trip_ms / 2 + quality.jitter_ms + PLAYOUT_MS
        found["mos"] = round(mos(quality.codec, loss=missing, delay_ms=delay), 2)
    return found


def of_outcome(house: House, record: Record, outcome: Outcome) -> Sequence[RowWrite]:
    """Everything that an outcome changes in the records."""
    found: list[RowWrite] = []
    for effect in outcome.decided:
        found += _of_effect(house, record, effect)
    for contact in outcome.talks:
        talk = house.talks.get(contact)
        if talk is not None:
            found.append(rows.contact_held(contact, talk.held_seconds))
    return found


def _answered(house: House, record: Record, contact: str, agent: str, queue: str) -> list[RowWrite]:
    """An agent and the customer are there."""
    found = [rows.contact_answered(contact, record.at)]
    talk = house.talks.get(contact)
    if talk is not None and talk.recording:
        found.append(rows.recording_opened(talk.recording, contact, "call", queue, agent, record.at))
    return found


def _of_effect(house: House, record: Record, effect: decided.Effect) -> list[RowWrite]:
    match effect:
        case decided.ContactChanged(contact, _, queue, agent):
            return [rows.contact_placed(contact, queue or None, agent or None)]
        case decided.Assigned(contact, agent, queue, callback=False):
            return _answered(house, record, contact, agent, queue)
        case decided.CallbackChanged(contact, queue, "answered") if contact in house.talks:
            return _answered(house, record, contact, house.talks[contact].agent, queue)
        case decided.ContactFinal(contact, final, queue, agent, waited, talked):
            return [rows.contact_ended(contact, record.at, final, waited, talked, queue or None, agent or None)]
        case decided.VisitStarted():
            return figures.visit_rows([figures.begun_visit(effect, record.at)])
        case decided.VisitEnded():
            return figures.visit_rows([figures.ended_visit(effect, record.at)])
        case decided.BroadcastSent(message=message, agents=agents):
            return [rows.broadcast_sent(message, agents)]
        case decided.SegmentStarted(contact, number, agent, queue, visit, started):
            return [rows.segment_started(contact, number, agent, queue, visit, started)]
        case decided.SegmentEnded():
            e2 = effect
            found = [rows.segment_ended(e2.contact, e2.number, e2.ended, e2.how, e2.talk, e2.wrap_up, e2.code)]
            if e2.code:
                found.append(rows.contact_wrapped(e2.contact, e2.code))
            return found
        case _:
            return []
