"""The fold: takes the engine's effects in the order of the log, keeps the figures of the running quarter and what is going on.

Everything is a whole number of milliseconds or contacts: a fold that was frozen and thawed at any point gives exactly the
figures of one that ran through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from acd import effects
from acd.effects import Effect
from acd.figures.measures import (
    EndKey,
    Quarter,
    StateKey,
    VisitFigures,
    VisitKey,
    WorkFigures,
    WorkKey,
    duration,
    instant,
    quarter_of,
)
from acd.figures.standing import OpenVisit, Stand, Standing

ENDS = {
    "handled": "handled",
    "abandoned": "abandoned",
    "short-abandoned": "short_abandoned",
    "flowed-out": "flowed_out",
    "rejected": "rejected",
    "failed": "failed",
}
PARTS = {
    "handled": "handled",
    "transferred": "transferred",
    "failed": "failed",
    "connect-failed": "connect_failed",
    "agent-lost": "agent_lost",
    "not-reached": "not_reached",
}
OVERFLOWED = "overflowed"
"""Not an end of a visit (a rule may keep it in its queue for others), but counted beside them, by the rule."""
WAITING = ("waiting", "offered")
CODED = ("idle", "not-responding")
"""States whose code says something."""


class OpenSegment(msgspec.Struct):
    """An agent's part in a contact, wrap-up included."""

    key: WorkKey
    hold_ms: int = 0
    held_since: int | None = None


class AgentNow(msgspec.Struct):
    """An agent who is logged in."""

    state: str
    code: str
    since: int
    booked: int
    """Up to here the state's time is in the figures."""
    contacts: int = 0


class State(msgspec.Struct):
    """Everything that the fold knows."""

    quarter: Quarter
    now: int = 0
    closed: list[Quarter] = []
    visits: dict[str, OpenVisit] = {}
    of_contact: dict[str, list[str]] = {}
    """Open visits by contact."""
    contacts: dict[str, str] = {}
    """States of contacts that have not ended."""
    offers: dict[str, WorkKey] = {}
    segments: dict[tuple[str, int], OpenSegment] = {}
    talking: dict[str, int] = {}
    """By contact the number of the segment in which somebody talks."""
    agents: dict[str, AgentNow] = {}
    open: dict[VisitKey, int] = {}
    closed_queues: dict[str, None] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


class Fold:
    """Figures of one log. Time stands still between effects; `advance` moves it without one."""

    def __init__(self) -> None:
        self.state = State(Quarter(0))
        self.standing = Standing(self.state.visits)
        self._forget_changes()

    # --- in -------------------------------------------------------------------------------------------------------

    def take(self, at: float, effect: Effect) -> None:
        """The next effect, of an event at this time; those that say nothing about figures are passed over."""
        handler = _HANDLERS.get(type(effect))
        if handler is not None:
            self.advance(at)
            handler(self, effect)

    def hold(self, at: float, contact: str, on: bool) -> None:
        """The agent put the customer on hold, or took them back: an input of the house, of which the engine knows nothing."""
        self.advance(at)
        number = self.state.talking.get(contact)
        segment = self.state.segments.get((contact, number)) if number is not None else None
        if segment is None:
            return
        if on and segment.held_since is None:
            segment.held_since = self.state.now
        elif not on:
            self._off_hold(segment)

    def advance(self, at: float) -> None:
        """Time has come to this point: quarters that are over are closed. Time never goes back."""
        state = self.state
        now = instant(at)
        if now <= state.now:
            return
        if not state.now:
            state.quarter = Quarter(quarter_of(now))
        while now >= state.quarter.end * 1000:
            self._close_quarter(now)
        state.now = now

    def kind(self, visit: str, callback: bool = False) -> str:
        """Of an open visit: direct, or callback."""
        found = self.state.visits.get(visit)
        return found.key[2] if found is not None else "callback" if callback else "direct"

    # --- out ------------------------------------------------------------------------------------------------------

    def take_closed(self) -> list[Quarter]:
        """The quarters that are over since this was asked last, complete and for ever."""
        found, self.state.closed = self.state.closed, []
        return found

    def take_changes(self) -> Quarter:
        """Of the running quarter those figures that have changed since this was asked last, with their present values."""
        running = self.state.quarter
        changes = Quarter(
            running.start,
            {key: running.visits[key] for key in self._visits},
            {key: running.ends[key] for key in self._ends},
            {key: running.work[key] for key in self._work},
            {key: running.states[key] for key in self._states},
        )
        self._forget_changes()
        return changes

    def settle(self) -> None:
        """Bring the agents' times up to now; else a state is booked when it ends, and when its quarter ends."""
        for id, agent in self.state.agents.items():
            self._book(id, agent, self.state.now)

    def freeze(self) -> bytes:
        """The state as msgpack, what was closed and not taken included."""
        return _encoder.encode(self.state)

    @classmethod
    def thaw(cls, data: bytes) -> Fold:
        """A fold that goes on from there; raises ValueError. All figures of the running quarter count as changed."""
        fold = cls()
        try:
            fold.state = state = _decoder.decode(data)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a state of the figures: {error}") from error
        fold.standing = Standing(state.visits)
        running = state.quarter
        fold._visits, fold._ends = dict.fromkeys(running.visits), dict.fromkeys(running.ends)
        fold._work, fold._states = dict.fromkeys(running.work), dict.fromkeys(running.states)
        return fold

    def _forget_changes(self) -> None:
        self._visits: dict[VisitKey, None] = {}
        self._ends: dict[EndKey, None] = {}
        self._work: dict[WorkKey, None] = {}
        self._states: dict[StateKey, None] = {}

    # --- the quarter ----------------------------------------------------------------------------------------------

    def _close_quarter(self, now: int) -> None:
        """End the running quarter, divide what crosses its border, begin the next that has anything to tell."""
        state = self.state
        end = state.quarter.end
        for id, agent in state.agents.items():
            self._book(id, agent, end * 1000)
        if not state.quarter.empty():
            state.closed.append(state.quarter)
        nothing = not state.agents and not state.open
        state.quarter = Quarter(quarter_of(now) if nothing else end)
        self._forget_changes()
        for key, count in state.open.items():
            self._visit(key).open = count

    def _visit(self, key: VisitKey) -> VisitFigures:
        self._visits[key] = None
        found = self.state.quarter.visits.get(key)
        if found is None:
            found = self.state.quarter.visits[key] = VisitFigures()
        return found

    def _done(self, key: WorkKey) -> WorkFigures:
        self._work[key] = None
        found = self.state.quarter.work.get(key)
        if found is None:
            found = self.state.quarter.work[key] = WorkFigures()
        return found

    def _end(self, key: EndKey) -> None:
        self._ends[key] = None
        ends = self.state.quarter.ends
        ends[key] = ends.get(key, 0) + 1

    def _book(self, id: str, agent: AgentNow, until: int) -> None:
        spent = until - agent.booked
        if spent <= 0:
            return
        key = (id, agent.state, agent.code)
        states = self.state.quarter.states
        states[key] = states.get(key, 0) + spent
        self._states[key] = None
        agent.booked = until

    # --- visits ---------------------------------------------------------------------------------------------------

    def _visit_started(self, e: effects.VisitStarted) -> None:
        state = self.state
        key = (e.queue, e.channel, e.kind)
        stand: Stand = "scheduled" if state.contacts.get(e.contact) == "scheduled" else "waiting"
        visit = state.visits[e.visit] = OpenVisit(e.contact, key, stand, 0, state.now)
        state.of_contact.setdefault(e.contact, []).append(e.visit)
        self.standing.add(e.visit, visit)
        figures = self._visit(key)
        figures.offered += 1
        figures.open = state.open[key] = state.open.get(key, 0) + 1

    def _visit_ended(self, e: effects.VisitEnded) -> None:
        state = self.state
        visit = state.visits.pop(e.visit, None)
        if visit is None:
            return
        self.standing.remove(visit)
        siblings = state.of_contact[visit.contact]
        siblings.remove(e.visit)
        if not siblings:
            del state.of_contact[visit.contact]
        figures = self._visit(visit.key)
        name = ENDS[e.how]
        setattr(figures, name, getattr(figures, name) + 1)
        self._end((*visit.key, e.how, e.reason))
        left = state.open[visit.key] - 1
        if left:
            state.open[visit.key] = left
        else:
            del state.open[visit.key]
        figures.open = left
        waited = duration(e.waited)
        figures.wait_ms += waited
        figures.longest_ms = max(figures.longest_ms, waited)
        if e.how == "handled":
            figures.handled_wait_ms += waited
            figures.handled_within += e.within
        elif e.how in ("abandoned", "short-abandoned"):
            figures.abandoned_wait_ms += waited
            figures.abandoned_within += e.within

    def _contact_changed(self, e: effects.ContactChanged) -> None:
        state = self.state
        if e.state == "ended":
            state.contacts.pop(e.contact, None)
        else:
            state.contacts[e.contact] = e.state
        stand: Stand = "waiting" if e.state in WAITING else "scheduled" if e.state == "scheduled" else "agent"
        for id in state.of_contact.get(e.contact, ()):
            visit = state.visits[id]
            if visit.stand == stand:
                continue
            self.standing.remove(visit)
            if visit.stand == "waiting":
                visit.waited_ms += state.now - visit.since
            visit.stand, visit.since = stand, state.now
            self.standing.add(id, visit)

    def _contact_final(self, e: effects.ContactFinal) -> None:
        self.state.contacts.pop(e.contact, None)

    def _overflowed(self, e: effects.Overflowed) -> None:
        """Which rule took it: the effect comes while the visit is open."""
        for id in self.state.of_contact.get(e.contact, ()):
            key = self.state.visits[id].key
            if key[0] == e.queue:
                self._end((*key, OVERFLOWED, e.why))

    def _queue_changed(self, e: effects.QueueChanged) -> None:
        if e.closed:
            self.state.closed_queues[e.queue] = None
        else:
            self.state.closed_queues.pop(e.queue, None)

    # --- agents ---------------------------------------------------------------------------------------------------

    def _offer_made(self, e: effects.OfferMade) -> None:
        key = (e.agent, e.queue, e.channel, self.kind(e.visit, e.callback))
        self.state.offers[e.offer] = key
        self._done(key).offers += 1

    def _offer_withdrawn(self, e: effects.OfferWithdrawn) -> None:
        key = self.state.offers.pop(e.offer, None)
        if key is None:
            return
        figures = self._done(key)
        if e.why == "rona":
            figures.rona += 1
        elif e.why == "declined":
            figures.declined += 1
        else:
            figures.withdrawn += 1

    def _assigned(self, e: effects.Assigned) -> None:
        key = self.state.offers.pop(e.offer, None)
        if key is not None:
            self._done(key).accepted += 1

    def _segment_started(self, e: effects.SegmentStarted) -> None:
        key = (e.agent, e.queue, e.channel, self.kind(e.visit))
        self.state.segments[e.contact, e.number] = OpenSegment(key)
        self.state.talking[e.contact] = e.number

    def _released(self, e: effects.Released) -> None:
        number = self.state.talking.get(e.contact)
        segment = self.state.segments.get((e.contact, number)) if number is not None else None
        if segment is not None and segment.key[0] == e.agent:
            self._off_hold(segment)
            del self.state.talking[e.contact]

    def _off_hold(self, segment: OpenSegment) -> None:
        if segment.held_since is not None:
            segment.hold_ms += self.state.now - segment.held_since
            segment.held_since = None

    def _segment_ended(self, e: effects.SegmentEnded) -> None:
        state = self.state
        segment = state.segments.pop((e.contact, e.number), None)
        if segment is None:
            return
        if state.talking.get(e.contact) == e.number:
            del state.talking[e.contact]
        self._off_hold(segment)
        figures = self._done(segment.key)
        name = PARTS[e.how]
        setattr(figures, name, getattr(figures, name) + 1)
        talk = duration(e.talk)
        hold = min(talk, segment.hold_ms)
        figures.talk_ms += talk - hold
        figures.hold_ms += hold
        figures.wrap_up_ms += duration(e.wrap_up)

    def _agent_changed(self, e: effects.AgentChanged) -> None:
        agents, now = self.state.agents, self.state.now
        code = e.code if e.state in CODED else ""
        known = agents.get(e.agent)
        if known is not None and (known.state, known.code) == (e.state, code):
            known.contacts = len(e.works)
            return
        if known is not None:
            self._book(e.agent, known, now)
        if e.state == "logged-out":
            agents.pop(e.agent, None)
        else:
            agents[e.agent] = AgentNow(e.state, code, now, now, len(e.works))


_HANDLERS: dict[type[Any], Callable[[Fold, Any], None]] = {
    effects.VisitStarted: Fold._visit_started,
    effects.VisitEnded: Fold._visit_ended,
    effects.ContactChanged: Fold._contact_changed,
    effects.ContactFinal: Fold._contact_final,
    effects.Overflowed: Fold._overflowed,
    effects.QueueChanged: Fold._queue_changed,
    effects.OfferMade: Fold._offer_made,
    effects.OfferWithdrawn: Fold._offer_withdrawn,
    effects.Assigned: Fold._assigned,
    effects.SegmentStarted: Fold._segment_started,
    effects.Released: Fold._released,
    effects.SegmentEnded: Fold._segment_ended,
    effects.AgentChanged: Fold._agent_changed,
}
