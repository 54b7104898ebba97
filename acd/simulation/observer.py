"""Reads what happened, event by event, and says what it shows of customers and agents: plans, presence, habits.

It needs what the log has: the engine events that came from outside as such (configuration, agents), and the effects of every
record. What the rules did (who got whom, when) is not taken over; what people did is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from acd import effects, events
from acd.effects import Effect
from acd.events import Event
from acd.model import Target
from acd.simulation.plans import Amendment, Habits, Place, Plan, Stay
from acd.simulation.presence import Presence
from acd.simulation.seen import OfferSeen, Seen
from acd.simulation.survival import Wait

KEPT = 2_000
"""Newest observations that are kept at least, by queue and kind."""

CONTINUES = frozenset({"overflow", "moved", "callback"})
"""A visit that ended so goes on as another one, if another one begins at once: the rules' doing, not the customer's."""


class Watch(msgspec.Struct):
    """A contact that is being followed."""

    plan: Plan
    free: float
    """When its flow had it (again)."""
    began: float = 0.0
    visits: dict[str, str] = {}
    """Open visits, each with its queue."""
    reason: str = ""
    """Why the last visit ended, when it goes on at once."""
    target: Target | None = None
    offered: float | None = None
    assigned: float | None = None
    dialling: bool = False
    segments: dict[int, int] = {}
    """The stay that each open segment belongs to."""


class Observer:
    """Takes what happened in order (`see`), and tells what is new in `fresh`, `learned` and `timeline`."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self.habits: dict[str, Habits] = {}
        self.presence = Presence()
        self.watches: dict[str, Watch] = {}
        self.skipped: dict[str, int] = {}
        """Deeds of supervisors and the like that belong to the course of that day alone, by kind."""
        self.fresh: list[Plan] = []
        self.learned: list[str] = []
        self.timeline: list[Event] = []
        """What happens by itself: configuration, periods, agents' presence."""

    def take(self) -> tuple[list[Plan], list[str], list[Event]]:
        """What is new since the last time."""
        new = self.fresh, self.learned, self.timeline
        self.fresh, self.learned, self.timeline = [], [], []
        return new

    def see(self, at: float, event: Event | None, found: Sequence[Effect | Seen]) -> None:
        """One record: the engine event in it, if it is one, and what it led to."""
        if event is not None:
            self._event(at, event)
        for effect in found:
            see = _SEE.get(type(effect))
            if see is not None:
                see(self, at, effect)
        self.timeline += self.presence.settle(at)

    def forget(self) -> None:
        """Leave those who are here now out: what they did before is not known."""
        self.watches.clear()
        self.fresh.clear()
        self.learned.clear()

    # --- events ---------------------------------------------------------------------------------------------------

    def _event(self, at: float, event: Event) -> None:
        match event:
            case events.ContactArrived():
                self._watch(at, event.contact).plan.customer = event.customer
            case events.ContactTransferred():
                watch = self.watches.get(event.contact)
                if watch is not None:
                    watch.target = event.to
            case events.ContactAmended():
                self._amended(at, event)
            case events.DeadlineReached() | events.Continue() | events.Recovered():
                pass
            case _ if self.presence.event(at, event):
                self.timeline += self.presence.take()
            case events.ContactPicked() | events.ContactAssigned() | events.ContactRequeued() | events.BroadcastMade():
                kind = events.kind(event)
                self.skipped[kind] = self.skipped.get(kind, 0) + 1
            case _:
                pass

    def _amended(self, at: float, event: events.ContactAmended) -> None:
        watch = self.watches.get(event.contact)
        if watch is not None and watch.visits:
            change = Amendment(at - watch.began, event.priority, event.need, event.relaxation)
            watch.plan.stays[-1].amendments.append(change)

    # --- contacts -------------------------------------------------------------------------------------------------

    def _watch(self, at: float, contact: str) -> Watch:
        watch = self.watches.get(contact)
        if watch is None:
            plan = Plan(contact, at)
            watch = self.watches[contact] = Watch(plan, at)
            self.fresh.append(plan)
        return watch

    def _contact_changed(self, at: float, effect: effects.ContactChanged) -> None:
        watch = self.watches.get(effect.contact)
        if watch is None:
            if effect.state == "arrived":
                self._watch(at, effect.contact).plan.channel = effect.channel
        elif effect.state == "arrived":
            watch.free = at

    def _visit_started(self, at: float, effect: effects.VisitStarted) -> None:
        watch = self.watches.get(effect.contact)
        if watch is None:
            return
        plan, stays = watch.plan, watch.plan.stays
        plan.channel, plan.entry_point = effect.channel, effect.entry_point or plan.entry_point
        reason, watch.reason = watch.reason, ""
        place = Place(effect.queue, effect.priority, effect.need, effect.relaxation, effect.preferred, effect.patience)
        if effect.kind == "callback" and stays and not stays[-1].ended:
            if stays[-1].callback is None:
                stays[-1].callback = at - watch.began
        elif reason in CONTINUES and stays and not stays[-1].ended:
            pass  # the same stay, in a queue that the rules chose
        elif watch.visits and stays:
            stays[-1].places.append(msgspec.structs.replace(place, after=at - watch.began))
        else:
            transfer = None
            if watch.assigned is not None:
                transfer, watch.target = watch.target or Target("queue", effect.queue), None
            stay = Stay([place], 0.0 if transfer is not None else at - watch.free, transfer)
            if effect.kind == "callback":
                stay.callback = 0.0
            stays.append(stay)
            watch.began, watch.assigned, watch.offered = at, None, None
            self.learned.append(effect.contact)
        watch.visits[effect.visit] = effect.queue

    def _visit_ended(self, at: float, effect: effects.VisitEnded) -> None:
        watch = self.watches.get(effect.contact)
        if watch is None or watch.visits.pop(effect.visit, None) is None:
            return
        watch.reason = effect.reason if effect.reason in CONTINUES else ""
        stay = watch.plan.stays[-1]
        if watch.visits or stay.ended or effect.answered_at is not None or self._goes_on(effect):
            return
        seconds = at - watch.began
        left, out = effect.how in {"abandoned", "short-abandoned"}, False
        if left:
            stay.patience = seconds
            stay.rang = at - watch.offered if watch.offered is not None else 0.0
        elif effect.how == "flowed-out" and effect.reason in {"", "unqueued"}:
            stay.out, out = seconds, True
        self._end_of_wait(watch, stay, seconds, left=left, out=out)

    def _goes_on(self, effect: effects.VisitEnded) -> bool:
        to = effect.to
        return effect.reason in {"moved", "callback"} or (to is not None and to.kind in {"queue", "team", "agent"})

    def _end_of_wait(self, watch: Watch, stay: Stay, seconds: float, *, left: bool, out: bool) -> None:
        stay.seen, stay.ended = seconds, True
        habits = self._habits(stay.places[0].queue)
        if stay.callback is None:
            self._keep(habits.patience, Wait(seconds, left))
            self._keep(habits.out, Wait(seconds, out))
        self.learned.append(watch.plan.contact)

    def _habits(self, queue: str) -> Habits:
        found = self.habits.get(queue)
        if found is None:
            found = self.habits[queue] = Habits()
        return found

    # --- offers and talks -----------------------------------------------------------------------------------------

    def _offered(self, at: float, effect: effects.OfferMade | OfferSeen) -> None:
        watch = self.watches.get(effect.contact)
        if watch is not None:
            watch.offered = None if effect.auto else at

    def _withdrawn(self, at: float, effect: effects.OfferWithdrawn) -> None:
        watch = self.watches.get(effect.contact)
        if watch is not None and effect.why != "customer-left":
            watch.offered = None
        if effect.why in {"rona", "declined"}:
            self.presence.missed(effect.agent, at - effect.seconds)

    def _assigned(self, at: float, effect: effects.Assigned) -> None:
        watch = self.watches.get(effect.contact)
        if watch is None or not watch.plan.stays:
            return
        stay = watch.plan.stays[-1]
        if watch.offered is not None and effect.offer and stay.ring is None:
            stay.ring = at - watch.offered
            self._keep(self._habits(effect.queue).rings, stay.ring)
        watch.assigned, watch.offered, watch.dialling = at, None, effect.callback
        if not stay.ended:
            self._end_of_wait(watch, stay, at - watch.began, left=False, out=False)

    def _callback_changed(self, at: float, effect: effects.CallbackChanged) -> None:
        watch = self.watches.get(effect.contact)
        if watch is None or not watch.dialling or watch.assigned is None or effect.state in {"waiting", "dialling"}:
            return
        seconds, stay = at - watch.assigned, watch.plan.stays[-1]
        if effect.state == "answered":
            stay.dial, watch.assigned = seconds, at
            self._keep(self._habits(stay.places[0].queue).dials, seconds)
        else:
            stay.dial = -max(seconds, 0.001)
        watch.dialling = False

    def _segment_started(self, at: float, effect: effects.SegmentStarted) -> None:
        watch = self.watches.get(effect.contact)
        if watch is not None and watch.plan.stays:
            watch.segments[effect.number] = len(watch.plan.stays) - 1

    def _released(self, at: float, effect: effects.Released) -> None:
        watch = self.watches.get(effect.contact)
        if watch is None or watch.assigned is None or not watch.plan.stays:
            return
        stay = watch.plan.stays[-1]
        if effect.why in {"agent", "customer", "system", "flow", "transferred"} and not watch.dialling:
            stay.talked += at - watch.assigned
            stay.talk = stay.talked
            self._keep(self._habits(stay.places[0].queue).talks, stay.talk)
            self.learned.append(effect.contact)

    def _segment_ended(self, at: float, effect: effects.SegmentEnded) -> None:
        watch = self.watches.get(effect.contact)
        index = watch.segments.pop(effect.number, None) if watch is not None else None
        if watch is None or index is None:
            return
        stay = watch.plan.stays[index]
        if effect.how in {"handled", "transferred"}:
            stay.wrap_up, stay.code = effect.wrap_up, effect.code
            self._keep(self._habits(stay.places[0].queue).wrap_ups, effect.wrap_up)
        self._drop_if_over(watch)

    def _final(self, at: float, effect: effects.ContactFinal) -> None:
        watch = self.watches.get(effect.contact)
        if watch is None:
            return
        watch.plan.over = True
        if watch.plan.stays:
            stay = watch.plan.stays[-1]
            stay.seen, stay.ended = (at - watch.began, True) if not stay.ended else (stay.seen, True)
        self.learned.append(effect.contact)
        self._drop_if_over(watch)

    def _drop_if_over(self, watch: Watch) -> None:
        if watch.plan.over and not watch.segments:
            self.watches.pop(watch.plan.contact, None)

    def _keep(self, values: list[Any], value: float | Wait) -> None:
        values.append(value)
        if len(values) > 2 * self._kept:
            del values[: -self._kept]

    # --- agents ---------------------------------------------------------------------------------------------------

    def _agent_changed(self, at: float, effect: effects.AgentChanged) -> None:
        self.presence.state(at, effect.agent, effect.state, effect.code)


_SEE: dict[type[Any], Callable[[Observer, float, Any], None]] = {
    effects.ContactChanged: Observer._contact_changed,
    effects.VisitStarted: Observer._visit_started,
    effects.VisitEnded: Observer._visit_ended,
    effects.OfferMade: Observer._offered,
    OfferSeen: Observer._offered,
    effects.OfferWithdrawn: Observer._withdrawn,
    effects.Assigned: Observer._assigned,
    effects.CallbackChanged: Observer._callback_changed,
    effects.SegmentStarted: Observer._segment_started,
    effects.Released: Observer._released,
    effects.SegmentEnded: Observer._segment_ended,
    effects.ContactFinal: Observer._final,
    effects.AgentChanged: Observer._agent_changed,
}
