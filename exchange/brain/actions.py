"""What is asked of a contact, as events: pure, and with the rules of who may."""

from __future__ import annotations

import msgspec

import acd.events as routing
from acd.model import ContactView, Need, Target
from api.channel import (
    Action,
    Assign,
    Callback,
    Change,
    End,
    Needed,
    Park,
    Pick,
    Requeue,
    Resume,
    Transfer,
)
from api.errors import ApiError
from api.models import User
from exchange.brain import records
from exchange.brain.house import House
from exchange.brain.ids import uuid7
from exchange.brain.records import Input
from storage import rows
from storage.rows import RowWrite

LEAVES = frozenset({"voicemail", "number", "flow"})
"""Targets of a rule that only a flow can reach."""


def need_of(needed: Needed) -> Need:
    """As the engine takes it."""
    return msgspec.convert(needed.model_dump(), Need)


def events_of(by: User, view: ContactView, action: Action, house: House) -> list[Input]:
    """The inputs that do it, at least one; raises ApiError 403, 409, 422."""
    _check_role(by, view, action)
    match action:
        case Change():
            return _changed(by, view, action, house)
        case End():
            return [_ended(by, view, action, house)]
        case _:
            return [records.Routing(_event(by, view, action, house))]


def rows_of(contact: str, action: Action) -> list[RowWrite]:
    """What is kept beside the log."""
    if isinstance(action, Callback) and action.number:
        return [rows.callback_number(contact, action.number)]
    return []


def callback_taken(contact: str, wanted: Callback, queue: str, by: str) -> routing.CallbackTaken:
    """The window as engine times."""
    first = wanted.not_before.timestamp() if wanted.not_before is not None else 0.0
    last = wanted.not_after.timestamp() if wanted.not_after is not None else 0.0
    return routing.CallbackTaken(0, contact, uuid7(), queue, first, last, by)


def _check_role(by: User, view: ContactView, action: Action) -> None:
    """Agents do what concerns their own contacts, and pick for themselves."""
    if by.role != "agent":
        return
    if isinstance(action, Pick):
        if action.agent in ("", by.id):
            return
        raise ApiError(403, "not-allowed", "An agent picks contacts for themselves only.")
    if isinstance(action, Assign | Requeue | Change):
        raise ApiError(403, "not-allowed", "This needs the role supervisor or admin; you are agent.")
    if view.agent != by.id:
        raise ApiError(403, "not-your-contact", "This contact is not yours.")


def _event(by: User, view: ContactView, action: Action, house: House) -> routing.Event:
    contact = view.id
    if isinstance(action, Transfer | Park) and not view.agent:
        raise ApiError(409, "not-engaged", f"No agent has contact {contact}.")
    match action:
        case Transfer():
            target = Target(action.kind, action.id, action.keep_place, action.priority or 0)
            return routing.ContactTransferred(0, contact, view.agent, target, uuid7())
        case Park():
            return routing.ContactParked(0, contact, view.agent)
        case Resume():
            return routing.ContactResumed(0, contact, action.by, action.patience)
        case Assign():
            _known_agent(house, action.agent)
            return routing.ContactAssigned(0, contact, action.agent, by.id, action.force)
        case Pick():
            agent = action.agent or by.id
            _known_agent(house, agent)
            return routing.ContactPicked(0, contact, agent, "" if agent == by.id else by.id)
        case Requeue():
            _known_queue(house, action.queue)
            return routing.ContactRequeued(0, contact, by.id, action.queue, uuid7(), action.keep_place)
        case Callback():
            if view.channel != "voice":
                raise ApiError(409, "not-for-chat", "Only callers are called back.")
            _known_queue(house, action.queue)
            return callback_taken(contact, action, action.queue, by.id)
        case _:
            raise TypeError(type(action).__name__)


def _changed(by: User, view: ContactView, change: Change, house: House) -> list[Input]:
    """Priority and need first: they are refused when the contact waits no more, before anything is done."""
    found: list[Input] = []
    if change.priority is not None or change.need is not None:
        need = need_of(change.need) if change.need is not None else None
        found.append(records.Routing(routing.ContactAmended(0, view.id, change.priority or 0, need, by=by.id)))
    if change.queue is not None:
        _known_queue(house, change.queue)
        if view.state not in ("waiting", "offered", "scheduled"):
            raise ApiError(409, "not-waiting", f"Contact {view.id} is {view.state}.")
        found.append(records.Routing(routing.ContactRequeued(0, view.id, by.id, change.queue, uuid7())))
    return found


def _ended(by: User, view: ContactView, end: End, house: House) -> Input:
    if by.role == "agent":
        return _ended_by_agent(view, house)
    if end.by == "agent":
        raise ApiError(422, "invalid", "body.by: only the agent who has the contact ends it as its agent.")
    if end.by == "customer":
        if view.id in house.talks:
            raise ApiError(409, "not-for-voice", "Whether a caller has left, the line says.")
        return records.Routing(routing.CustomerLeft(0, view.id))
    return records.Routing(routing.ContactEnded(0, view.id, "system", failed=end.failed))


def _ended_by_agent(view: ContactView, house: House) -> Input:
    if view.id in house.talks:
        return records.Asked(view.id, view.agent, "hang_up")
    return records.Routing(routing.ContactEnded(0, view.id, "agent"))


def _known_queue(house: House, queue: str) -> None:
    if queue and house.queue(queue) is None:
        raise ApiError(422, "no-such-queue", f"There is no queue {queue!r}.")


def _known_agent(house: House, agent: str) -> None:
    if house.engine.agent(agent) is None:
        raise ApiError(422, "no-such-agent", f"There is no agent {agent!r}.")
