"""The rows that follow from events: named statements, all of which may be repeated without harm. Times are epoch seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from storage.figure_sql import STATEMENTS as FIGURES


class RowWrite(msgspec.Struct, frozen=True, array_like=True):
    """One statement by name, with its arguments (text, numbers, null)."""

    statement: str
    args: list[Any]


STATEMENTS = {
    "document": """
        INSERT INTO documents (kind, id, version, body, changed_by, created, deleted)
        VALUES ($1, $2, $3, $4, $5, to_timestamp($6), $7 <> 0) ON CONFLICT (kind, id, version) DO NOTHING""",
    "contact_arrived": """
        INSERT INTO contacts (id, channel, ani, dnis, display, entry_point, arrived, cad)
        VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8::jsonb) ON CONFLICT (id) DO NOTHING""",
    "contact_known": "UPDATE contacts SET customer = $2, callback = $3 WHERE id = $1",
    "contact_came": "UPDATE contacts SET customer = $2, trunk = $3, source = $4 WHERE id = $1",
    "callback_number": "UPDATE contacts SET callback = $2 WHERE id = $1",
    "message": """
        INSERT INTO messages (contact, number, author, agent, at, body)
        VALUES ($1, $2, $3, $4, to_timestamp($5), $6) ON CONFLICT (contact, number) DO NOTHING""",
    "broadcast": """
        INSERT INTO broadcasts (id, at, "by", body, agents) VALUES ($1, to_timestamp($2), $3, $4, $5)
        ON CONFLICT (id) DO NOTHING""",
    "broadcast_sent": "UPDATE broadcasts SET agents = $2 WHERE id = $1",
    "broadcast_read": "UPDATE broadcasts SET agents = array_remove(agents, $2) WHERE id = $1",
    "answer": """
        INSERT INTO answers (asker, key, digest, at, status, body) VALUES ($1, $2, $3, to_timestamp($4), $5, $6::jsonb)
        ON CONFLICT (asker, key) DO UPDATE SET status = excluded.status, body = excluded.body
        WHERE answers.digest = excluded.digest""",
    "contact_placed": "UPDATE contacts SET queue = coalesce($2, queue), agent = coalesce($3, agent) WHERE id = $1",
    "contact_answered": "UPDATE contacts SET answered = coalesce(answered, to_timestamp($2)) WHERE id = $1",
    "contact_ended": """
        UPDATE contacts SET ended = to_timestamp($2), final = $3, waited = $4, talked = $5,
            queue = coalesce($6, queue), agent = coalesce($7, agent) WHERE id = $1 AND final IS NULL""",
    "contact_held": "UPDATE contacts SET held = $2 WHERE id = $1",
    "segment_started": """
        INSERT INTO segments (contact, number, agent, queue, visit, started)
        VALUES ($1, $2, $3, $4, $5, to_timestamp($6)) ON CONFLICT DO NOTHING""",
    "segment_ended": """
        UPDATE segments SET ended = to_timestamp($3), how = $4, talked = $5, wrap_up = $6, wrap_up_code = $7
        WHERE contact = $1 AND number = $2""",
    "contact_wrapped": "UPDATE contacts SET wrap_up_code = $2 WHERE id = $1",
    "leg": """
        INSERT INTO legs (contact, id, kind, call, owner, started, connected, ended, result, reason, "by", sip_code, quality)
        VALUES ($1, $2, $3, $4, $5, to_timestamp($6), to_timestamp($7), to_timestamp($8), $9, $10, $11, $12, $13::jsonb)
        ON CONFLICT (contact, id) DO UPDATE SET
            started = coalesce(legs.started, excluded.started), connected = coalesce(legs.connected, excluded.connected),
            ended = coalesce(legs.ended, excluded.ended), result = coalesce(legs.result, excluded.result),
            reason = coalesce(legs.reason, excluded.reason), "by" = coalesce(legs."by", excluded."by"),
            sip_code = coalesce(legs.sip_code, excluded.sip_code), quality = legs.quality || excluded.quality""",
    "recording_opened": """
        INSERT INTO recordings (id, contact, kind, queue, agent, state, started)
        VALUES ($1, $2, $3, $4, $5, 'pending', to_timestamp($6)) ON CONFLICT (id) DO NOTHING""",
    "recording_closed": """
        INSERT INTO recordings (id, contact, kind, state, started, seconds, paused, left_file, right_file, problem)
        VALUES ($1, $2, $3, $4, to_timestamp($5), $6, $7::jsonb, $8, $9, $10)
        ON CONFLICT (id) DO UPDATE SET state = excluded.state, started = excluded.started, seconds = excluded.seconds,
            paused = excluded.paused, left_file = excluded.left_file, right_file = excluded.right_file,
            problem = excluded.problem
        WHERE recordings.state = 'pending'""",
    "recording_stored": """
        UPDATE recordings SET state = 'stored', file = $2, wrapped_key = $3, media_type = $4, seconds = $5, size = $6,
            sha256 = $7,
            left_talk = $8, left_silence = $9, right_talk = $10, right_silence = $11, overlap = $12,
            peaks_left = $13::jsonb, peaks_right = $14::jsonb, peaks_per_second = $15, left_file = NULL, right_file = NULL
        WHERE id = $1""",
    "recording_failed": "UPDATE recordings SET state = 'failed', problem = $2 WHERE id = $1 AND state <> 'stored'",
    "shadow_begun": "DELETE FROM shadow_waits WHERE run <> $1",
    "shadow_wait": """
        INSERT INTO shadow_waits (run, contact, queue, queued, waited, how, shadow_waited, shadow_how)
        VALUES ($1, $2, $3, to_timestamp($4), $5, $6, $7, $8) ON CONFLICT DO NOTHING""",
    "decision": """
        INSERT INTO decisions (epoch, "offset", index, contact, kind, offer, agent, queue, made)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9)) ON CONFLICT DO NOTHING""",
    **FIGURES,
}


def contact_arrived(
    id: str, channel: str, ani: str, dnis: str, display: str, entry_point: str, at: float, cad: dict[str, str]
) -> RowWrite:
    told = json.dumps({_text(name): _text(value) for name, value in cad.items()})
    return RowWrite("contact_arrived", [id, channel, _text(ani), _text(dnis), _text(display), entry_point, at, told])


def _text(text: str) -> str:
    """What a caller says of itself, without the one character that PostgreSQL refuses: the row must not be lost for it."""
    return text.replace("\0", "")


def contact_placed(id: str, queue: str | None, agent: str | None) -> RowWrite:
    return RowWrite("contact_placed", [id, queue, agent])


def contact_answered(id: str, at: float) -> RowWrite:
    return RowWrite("contact_answered", [id, at])


def contact_ended(
    id: str, at: float, final: str, waited: float, talked: float, queue: str | None, agent: str | None
) -> RowWrite:
    return RowWrite("contact_ended", [id, at, final, waited, talked, queue, agent])


def contact_held(id: str, held: float) -> RowWrite:
    return RowWrite("contact_held", [id, held])


def contact_wrapped(id: str, code: str) -> RowWrite:
    return RowWrite("contact_wrapped", [id, code])


def segment_started(contact: str, number: int, agent: str, queue: str, visit: str, started: float) -> RowWrite:
    return RowWrite("segment_started", [contact, number, agent, queue, visit, started])


def segment_ended(contact: str, number: int, ended: float, how: str, talked: float, wrap_up: float, code: str) -> RowWrite:
    return RowWrite("segment_ended", [contact, number, ended, how, talked, wrap_up, code])


def leg(
    contact: str,
    id: str,
    kind: str,
    *,
    call: str | None = None,
    owner: str | None = None,
    started: float | None = None,
    connected: float | None = None,
    ended: float | None = None,
    result: str | None = None,
    reason: str | None = None,
    by: str | None = None,
    sip_code: int | None = None,
    quality: dict[str, Any] | None = None,
) -> RowWrite:
    """What is known of a leg by now; values that are known already stay."""
    told = json.dumps(quality or {})
    return RowWrite("leg", [contact, id, kind, call, owner, started, connected, ended, result, reason, by, sip_code, told])


def recording_opened(id: str, contact: str, kind: str, queue: str | None, agent: str | None, started: float) -> RowWrite:
    return RowWrite("recording_opened", [id, contact, kind, queue, agent, started])


def recording_closed(
    id: str,
    contact: str,
    kind: str,
    state: str,
    started: float,
    seconds: float,
    paused: Sequence[Sequence[float]],
    left: str,
    right: str,
    problem: str,
) -> RowWrite:
    marks = json.dumps([{"start": start, "end": end} for start, end in paused])
    return RowWrite("recording_closed", [id, contact, kind, state, started, seconds, marks, left, right, problem or None])


def recording_failed(id: str, problem: str) -> RowWrite:
    return RowWrite("recording_failed", [id, problem])


def decision(
    effect: tuple[int, int, int], contact: str, kind: str, offer: str | None, agent: str | None, queue: str, made: float
) -> RowWrite:
    """Where a decision is: epoch and offset of its event, and its number among that event's effects."""
    return RowWrite("decision", [*effect, contact, kind, offer, agent, queue, made])


def contact_known(id: str, customer: str, callback: str = "") -> RowWrite:
    """The keyed hash of the customer, and the number to call back."""
    return RowWrite("contact_known", [id, customer, _text(callback)])


def contact_came(id: str, customer: str, trunk: str, source: str) -> RowWrite:
    """Who a caller is to the log, and which way the call came."""
    return RowWrite("contact_came", [id, customer, _text(trunk), _text(source)])


def callback_number(id: str, number: str) -> RowWrite:
    return RowWrite("callback_number", [id, _text(number)])


def message(contact: str, number: int, author: str, agent: str, at: float, body: str) -> RowWrite:
    return RowWrite("message", [contact, number, author, agent, at, _text(body)])


def broadcast(id: str, at: float, by: str, body: str) -> RowWrite:
    return RowWrite("broadcast", [id, at, by, _text(body), []])


def broadcast_sent(id: str, agents: Sequence[str]) -> RowWrite:
    return RowWrite("broadcast_sent", [id, list(agents)])


def broadcast_read(id: str, agent: str) -> RowWrite:
    """Those who are named have it on their desks."""
    return RowWrite("broadcast_read", [id, agent])


def answer(asker: str, key: str, digest: bytes, at: float, status: int, body: dict[str, Any]) -> RowWrite:
    """What a request with an idempotency key was answered."""
    return RowWrite("answer", [asker, key, digest, at, status, json.dumps(body)])


def document(kind: str, id: str, version: int, body: str, by: str, at: float, *, deleted: bool = False) -> RowWrite:
    """A new version of a document, or the end of one."""
    return RowWrite("document", [kind, id, version, body, by, at, int(deleted)])


def shadow_begun(run: int) -> RowWrite:
    """Another rule set is tried, or none: waits of earlier runs go."""
    return RowWrite("shadow_begun", [run])


def shadow_wait(
    run: int, contact: str, queue: str, began: float, waited: float, how: str, shadow_waited: float, shadow_how: str
) -> RowWrite:
    """A contact's wait under the live rules and under the tried ones."""
    return RowWrite("shadow_wait", [run, contact, queue, began, waited, how, shadow_waited, shadow_how])
