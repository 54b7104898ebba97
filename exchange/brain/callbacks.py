"""The voice side of callbacks, a part of the house's fold: who rests without a call, who is dialled, what comes of it.

`Talk.callback` says how far one is: `taken` (it waits for its turn), `reserved` (an agent has it, nothing is dialled yet),
`dialling` (a line is leased), `answered`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

import acd.effects as decided
import acd.events as routing
from acd.errors import Refused
from exchange.brain import records
from exchange.brain.ids import recording_id
from ivr import effects as flow_effects
from ivr import inputs as flow_inputs
from ivr.state import ENDED, FlowState

if TYPE_CHECKING:
    from exchange.brain.house import House, Talk

Why = Literal["no-answer", "busy", "unreachable", "rejected"]

REASONS: dict[str, Why] = {"no-answer": "no-answer", "busy": "busy", "rejected": "rejected", "cancelled": "no-answer"}
"""Of a leg's end, in the engine's words; the rest is `unreachable`."""

GOODBYE_SECONDS = 8.0
"""A callback is not offered at once: the caller is still being told that it was taken."""

UNDER_WAY = frozenset({"reserved", "dialling"})


def call_of(contact: str, dial: int) -> str:
    """The call in which the customer is dialled for the n-th time; no other call has such a name."""
    return f"back{dial}-{contact}"


def party_of(contact: str, dial: int) -> str:
    """The customer in that call."""
    return f"{call_of(contact, dial)}-customer"


def is_dialled(call: str) -> bool:
    """Whether the exchange has begun this call."""
    return call.startswith("back")


# --- what flows want ----------------------------------------------------------------------------------------------


def offer(house: House, talk: Talk, wanted: flow_effects.OfferCallback) -> None:
    """Say whether the queue would call back, and at which number."""
    queue = house.queue(wanted.queue)
    view = house.engine.contact(talk.contact)
    waits = view is not None and any(visit.queue == wanted.queue for visit in view.visits)
    if queue is None or not queue.callback.offered or talk.callback or not talk.reachable:
        answer: flow_inputs.FlowInput = flow_inputs.CommandFailed(wanted.id, "no-callbacks")
    elif house.engine.closed(wanted.queue) and not waits:
        answer = flow_inputs.CommandFailed(wanted.id, "queue-closed")
    else:
        answer = flow_inputs.CommandDone(wanted.id, flow_inputs.CallbackOffer(talk.reachable == "own"))
    house.feed(talk.contact, answer)


def take(house: House, talk: Talk, wanted: flow_effects.TakeCallback) -> None:
    """The contact keeps its place, and needs its line no more."""
    now = house.now
    last = now + wanted.within if wanted.within else 0.0
    talk.visits += 1
    visit = f"{talk.contact}:{talk.visits}"
    first = now + GOODBYE_SECONDS
    try:
        house.route(routing.CallbackTaken(now, talk.contact, visit, wanted.queue, first, last if last > first else 0.0))
    except Refused as error:
        house.feed(talk.contact, flow_inputs.CommandFailed(wanted.id, error.code))
        return
    house.feed(talk.contact, flow_inputs.CommandDone(wanted.id))


# --- what the engine wants ----------------------------------------------------------------------------------------


def changed(house: House, change: decided.CallbackChanged) -> None:
    """The engine's view of it; a callback that a program asked for begins here, without ever having had a call."""
    talk = house.talks.get(change.contact)
    view = house.engine.contact(change.contact)
    if talk is None and view is not None and change.state in ("waiting", "scheduled"):
        flow = FlowState(view.id, "", 0, phase=ENDED, outcome="caller-left")
        talk = house.talks[view.id] = house.new_talk(view.id, view.entry_point, flow, view.arrived_at)
        talk.gone = True
    if talk is None:
        return
    talk.tries = change.tries
    if not talk.callback and change.state in ("waiting", "scheduled"):
        talk.callback = "taken"
    house.changed(talk)


def assigned(house: House, talk: Talk) -> None:
    """An agent is there for a callback: as soon as the customer's old call is over, the new one begins."""
    talk.callback = "reserved"
    talk.dials += 1
    if not talk.gone:
        house.let_out(talk.contact, flow_effects.HangUp("goodbye"))


def released(house: House, talk: Talk) -> None:
    """The agent is gone before the customer was there: no more dialling."""
    dialling = talk.callback == "dialling"
    talk.callback = "taken"
    if dialling:
        rest(house, talk)


def rest(house: House, talk: Talk) -> None:
    """The call is over, the contact goes on without one."""
    house.forget_call(talk)
    talk.card = talk.generation = talk.call = talk.party = ""
    talk.gone, talk.web = True, False
    talk.recording, talk.paused, talk.recording_failed = "", False, False
    if talk.flow.ended:  # so that no restart says its hang-up again, to the next call
        talk.flow = msgspec.structs.replace(talk.flow, outcome="caller-left")


# --- what the dialling comes to -----------------------------------------------------------------------------------


def leased(house: House, lease: records.LineLeased) -> None:
    """There is a line: the call is on this card from now on. Raises Refused when nobody waits for it any more."""
    talk = house.talks.get(lease.contact)
    if talk is None or talk.callback != "reserved" or not talk.gone or talk.dials != lease.dial:
        raise Refused("not-dialling", f"contact {lease.contact} is not to be dialled")
    talk.card, talk.generation = lease.card, lease.generation
    talk.call = call_of(talk.contact, talk.dials)
    talk.party = party_of(talk.contact, talk.dials)
    talk.callback, talk.gone = "dialling", False
    house.know_call(talk)
    house.changed(talk)


def not_dialled(house: House, failure: records.NotDialled) -> None:
    """No line, or nothing to dial."""
    talk = house.talks.get(failure.contact)
    if talk is not None and talk.callback == "reserved" and talk.dials == failure.dial:
        house.derive(routing.CallbackFailed(house.now, talk.contact, "unreachable"))


def never_placed(house: House, lost: records.LegLost) -> None:
    """The exchange ended between lease and leg: once more, with a new line."""
    talk = house.talks.get(lost.contact)
    if talk is not None and talk.callback == "dialling" and talk.call == lost.call:
        rest(house, talk)
        talk.callback = "reserved"
        talk.dials += 1
        house.changed(talk)


def there(house: House, answer: records.CustomerThere, *, recordings: bool) -> None:
    """The customer has answered."""
    talk = house.talks.get(answer.contact)
    if talk is None or talk.callback != "dialling" or talk.call != answer.call:
        return
    talk.callback = "answered"
    talk.agent_since = house.now
    if recordings:
        talk.recordings += 1
        talk.recording = recording_id(talk.contact, talk.recordings)
    house.derive(routing.CallbackAnswered(house.now, talk.contact))
    house.changed(talk)


def gone(house: House, talk: Talk, reason: str) -> bool:
    """The customer's leg ended; True: that was all there is to it, because the contact is to be called back."""
    if talk.callback == "dialling":
        house.derive(routing.CallbackFailed(house.now, talk.contact, REASONS.get(reason, "unreachable")))
        house.changed(talk)
        return True
    if talk.callback in ("taken", "reserved") and not talk.final:
        house.feed(talk.contact, flow_inputs.CallerLeft())
        rest(house, talk)
        house.changed(talk)
        return True
    return False
