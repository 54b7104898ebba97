"""Runs plans and agents' presence through the real engine in virtual time; deterministic by seed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any

import msgspec

from acd import effects, events
from acd.engine import Engine
from acd.errors import Refused
from acd.events import Event
from acd.model import QueueConfig
from acd.simulation.course import Course, Due, State, Wrapping
from acd.simulation.manners import Manners
from acd.simulation.plans import Amendment, Plan, Stay

See = Callable[[float, Any], None]
"""Is told an effect, with the time of its event."""

MOST_WAKES = 100_000
"""At one time, one after the other."""

EVENT, COME, BEGIN, PLACE, LEAVE, OUT, CALL_BACK, AMEND, ACCEPT, DIALLED, DONE, WRAPPED, EXTEND, LATE = range(14)


class Simulator:
    """One run; `push` what happens by itself, `come` for each contact, then `run`."""

    def __init__(self, manners: Manners, see: Mapping[type[Any], See] | None = None, *, late: float = math.inf) -> None:
        """`see`: who is told of which effects. `late`: after so many seconds a talk whose length is not known yet is drawn."""
        self.engine = Engine()
        self.now = 0.0
        self.events = 0
        self.refused: Counter[str] = Counter()
        self._manners = manners
        self._on: dict[type[Any], tuple[See, ...]] = {kind: (one.__get__(self),) for kind, one in _REACTIONS.items()}
        for kind, seer in (see or {}).items():
            self._on[kind] = (*self._on.get(kind, ()), seer)
        self._late = late
        self._wake: float | None = None
        self._wakes = 0
        self._order = 0
        self._due: list[Due] = []
        self._courses: dict[str, Course] = {}
        self._offers: dict[str, str] = {}
        self._wrapping: dict[str, Wrapping] = {}
        self._queues: dict[str, QueueConfig] = {}

    # --- from outside ---------------------------------------------------------------------------------------------

    def push(self, event: Event) -> None:
        """An engine event that happens at its own time: configuration, presence, periods."""
        self._plan(event.at, EVENT, "", 0, event)

    def come(self, plan: Plan) -> None:
        """A contact that arrives at its time; one whose plan is not complete yet may be completed later (`learned`)."""
        self._courses[plan.contact] = Course(plan)
        self._plan(plan.at, COME, plan.contact)

    def learned(self, contact: str) -> None:
        """More is known of a contact's plan."""
        course = self._courses.get(contact)
        if course is None:
            return
        if course.waiting:
            self._plan_end_of_wait(course)
        elif course.agent and not course.ending:
            self._plan_end_of_talk(course)

    def plan(self, contact: str) -> Plan | None:
        """The plan of a contact that is still here."""
        course = self._courses.get(contact)
        return course.plan if course is not None else None

    @property
    def open(self) -> int:
        """Contacts that have not come or not gone yet."""
        return len(self._courses)

    def run(self, until: float = math.inf) -> None:
        """Everything up to this time, or to the end."""
        due = self._due
        while True:
            first = due[0][0] if due else math.inf
            wake = self._wake
            if wake is not None and wake <= first:
                if wake > until:
                    break
                self._count_wakes(wake)
                self._wake, self.now = None, max(self.now, wake)
                self._handle(events.DeadlineReached(self.now))
                continue
            if first > until or not due:
                break
            at, _, what, ref, number, event = heappop(due)
            self.now = max(self.now, at)
            if event is not None:
                self._take(event)
            else:
                _STEPS[what](self, ref, number)
        if until != math.inf:
            self.now = max(self.now, until)

    def _count_wakes(self, at: float) -> None:
        """An engine that wants to be woken again and again at one time would never come to an end."""
        self._wakes = self._wakes + 1 if at <= self.now else 0
        if self._wakes > MOST_WAKES:
            raise RuntimeError(f"the engine asked {MOST_WAKES} times to be woken at {at}")

    def freeze(self) -> State:
        """The present moment."""
        courses = list(self._courses.values())
        return State(
            self.engine.snapshot(),
            self.now,
            self._wake,
            self._order,
            list(self._due),
            courses,
            dict(self._offers),
            dict(self._wrapping),
            dict(self.refused),
        )

    def thaw(self, state: State, configured: events.Configured | None) -> None:
        """Go on from a moment; `configured` is the configuration in force."""
        self.engine = Engine.restore(state.engine)
        self.now, self._wake, self._order = state.now, state.wake, state.order
        self._due = list(state.due)  # a heap stays one
        self._courses = {course.plan.contact: course for course in state.courses}
        self._offers, self._wrapping = dict(state.offers), dict(state.wrapping)
        self.refused = Counter(state.refused)
        if configured is not None:
            self._configure(configured)

    # --- the engine -----------------------------------------------------------------------------------------------

    def _plan(self, at: float, what: int, ref: str, number: int = 0, event: Event | None = None) -> None:
        if at < math.inf:
            self._order += 1
            heappush(self._due, (at, self._order, what, ref, number, event))

    def _take(self, event: Event) -> None:
        self._handle(event if event.at >= self.now else msgspec.structs.replace(event, at=self.now))
        if isinstance(event, events.Configured):
            self._configure(event)

    def _configure(self, configured: events.Configured) -> None:
        self._queues = {queue.id: queue for queue in configured.queues}

    def _handle(self, event: Event) -> bool:
        """False when the engine refuses it, which is counted."""
        now, on = self.now, self._on
        going_on: Event | None = event
        while going_on is not None:
            try:
                found = self.engine.handle(going_on)
            except Refused as refusal:
                self.refused[f"{events.kind(event)}: {refusal.code}"] += 1
                return False
            self.events += 1
            going_on = None
            for effect in found:
                for told in on.get(type(effect), ()):
                    told(now, effect)
                if type(effect) is effects.GoOn:
                    going_on = events.Continue(now)
        return True

    # --- what the engine says -------------------------------------------------------------------------------------

    def _wake_at(self, _: float, effect: effects.WakeAt) -> None:
        self._wake = effect.at

    def _offered(self, _: float, effect: effects.OfferMade) -> None:
        self._offers[effect.offer] = effect.agent
        course = self._courses.get(effect.contact)
        if course is None or effect.auto:
            return
        stay = course.plan.stays[course.stay]
        ring = stay.ring
        if ring is None:
            ring = self._manners.ring(effect.contact, course.stay, effect.queue, stay.rang)
        self._plan(self.now + min(ring, max(0.0, effect.deadline - self.now - 0.001)), ACCEPT, effect.offer)

    def _withdrawn(self, _: float, effect: effects.OfferWithdrawn) -> None:
        self._offers.pop(effect.offer, None)

    def _assigned(self, _: float, effect: effects.Assigned) -> None:
        self._offers.pop(effect.offer, None)
        course = self._courses.get(effect.contact)
        if course is None:
            return
        course.waiting, course.agent, course.queue = False, effect.agent, effect.queue
        course.talks += 1
        course.since, course.ending = self.now, False
        if effect.callback:
            dial = course.plan.stays[course.stay].dial
            if dial is None:
                dial = self._manners.dial(effect.contact, course.stay, effect.queue)
            self._plan(self.now + abs(dial), DIALLED, effect.contact, course.talks)
        else:
            self._plan_end_of_talk(course)
        self._ask_for_wrap_up(course)

    def _ask_for_wrap_up(self, course: Course) -> None:
        if self._mode(course) != "optional" or self._wrap_up(course) <= 0.0:
            return
        asked = events.WrapUpAsked(self.now, course.plan.contact, course.agent)
        self._plan(self.now, EVENT, "", 0, asked)

    def _released(self, _: float, effect: effects.Released) -> None:
        course = self._courses.get(effect.contact)
        if course is None:
            return
        if effect.why in {"connect-failed", "agent-lost", "requeued", "not-reached"}:
            course.waiting = effect.why != "requeued" or not course.agent
            course.agent = ""
            return
        agent, course.agent = effect.agent, ""
        if self._mode(course) == "off":
            return
        ref, seconds = f"{effect.contact} {agent}", self._wrap_up(course)
        code = course.plan.stays[course.stay].code or self._any_code(course.queue)
        self._wrapping[ref] = Wrapping(effect.contact, agent, course.talks, seconds, code)
        self._plan(self.now + seconds, WRAPPED, ref, course.talks)

    def _mode(self, course: Course) -> str:
        queue = self._queues.get(course.queue)
        return queue.wrap_up_of(course.plan.channel).mode if queue is not None else "off"

    def _any_code(self, queue: str) -> str:
        config = self._queues.get(queue)
        return config.wrap_up_codes[0].code if config is not None and config.wrap_up_codes else ""

    def _wrap_up(self, course: Course) -> float:
        known = course.plan.stays[course.stay].wrap_up
        return known if known is not None else self._manners.wrap_up(course.plan.contact, course.stay, course.queue)

    def _segment_ended(self, _: float, effect: effects.SegmentEnded) -> None:
        self._wrapping.pop(f"{effect.contact} {effect.agent}", None)

    def _agent_changed(self, _: float, effect: effects.AgentChanged) -> None:
        """Whoever wants more wrap-up than there is left asks for more, a moment before it is over."""
        if effect.state != "wrap-up" or effect.until is None:
            return
        for work in effect.works:
            if work.state == "wrap-up" and work.until is not None and work.extensions_left:
                ref = f"{work.contact} {effect.agent}"
                wrapping = self._wrapping.get(ref)
                if wrapping is None or wrapping.extended == work.until:
                    continue
                if work.since + wrapping.seconds > work.until:
                    wrapping.extended = work.until
                    self._plan(work.until - 0.001, EXTEND, ref, wrapping.talk)

    def _contact_changed(self, _: float, effect: effects.ContactChanged) -> None:
        course = self._courses.get(effect.contact)
        if course is None or effect.state not in {"arrived", "waiting"}:
            return
        if effect.state == "waiting":
            course.waiting = True
        elif course.waiting:  # back with its flow: taken out, or the queue would not have it
            course.waiting = False
            self._next_stay(course)

    def _callback_changed(self, _: float, effect: effects.CallbackChanged) -> None:
        course = self._courses.get(effect.contact)
        if course is not None:
            course.callback = effect.state != "over"

    def _overflowed(self, _: float, effect: effects.Overflowed) -> None:
        course = self._courses.get(effect.contact)
        if course is not None and (effect.to is None or effect.to.kind not in {"queue", "team", "agent"}):
            course.waiting = False
            self._next_stay(course)

    def _final(self, _: float, effect: effects.ContactFinal) -> None:
        self._courses.pop(effect.contact, None)

    # --- what is due ----------------------------------------------------------------------------------------------

    def _come(self, contact: str, _: int) -> None:
        plan = self._courses[contact].plan
        if not self._handle(events.ContactArrived(self.now, contact, plan.channel, plan.entry_point, plan.customer)):
            del self._courses[contact]
        elif plan.stays:
            self._plan(plan.at + plan.stays[0].gap, BEGIN, contact, 0)
        elif plan.over:
            self._give_up(contact)

    def _begin(self, contact: str, number: int) -> None:
        course = self._courses.get(contact)
        if course is None:
            return
        course.stay, course.began, course.waiting = number, self.now, True
        stay = course.plan.stays[number]
        self._stay_begins(course, stay)
        for index, place in enumerate(stay.places):
            if place.after > 0.0:
                self._plan(self.now + place.after, PLACE, contact, number * 1000 + index)
            elif not self._queue(course, index) and course.waiting and len(stay.places) == 1:
                course.waiting = False
                self._next_stay(course)

    def _stay_begins(self, course: Course, stay: Stay) -> None:
        contact, number = course.plan.contact, course.stay
        self._plan_end_of_wait(course)
        if stay.callback is not None:
            self._plan(self.now + stay.callback, CALL_BACK, contact, number)
        for index, amendment in enumerate(stay.amendments):
            self._plan(self.now + amendment.after, AMEND, contact, number * 1000 + index)

    def _queue(self, course: Course, index: int) -> bool:
        place = course.plan.stays[course.stay].places[index]
        course.visits += 1
        contact = course.plan.contact
        visit = f"{contact}:{course.visits}"
        return self._handle(
            events.ContactQueued(
                self.now,
                contact,
                place.queue,
                place.priority,
                visit,
                place.need,
                place.relaxation,
                place.preferred,
                place.patience,
            )
        )

    def _place(self, contact: str, number: int) -> None:
        course = self._waiting(contact, number // 1000)
        if course is not None:
            self._queue(course, number % 1000)

    def _waiting(self, contact: str, stay: int) -> Course | None:
        course = self._courses.get(contact)
        return course if course is not None and course.waiting and course.stay == stay else None

    def _leave(self, contact: str, stay: int) -> None:
        course = self._waiting(contact, stay)
        if course is not None and not course.callback:
            self._handle(events.CustomerLeft(self.now, contact))

    def _out(self, contact: str, stay: int) -> None:
        course = self._waiting(contact, stay)
        if course is not None and not course.callback:
            self._handle(events.ContactUnqueued(self.now, contact))

    def _call_back(self, contact: str, stay: int) -> None:
        course = self._waiting(contact, stay)
        if course is not None:
            course.visits += 1
            self._handle(events.CallbackTaken(self.now, contact, f"{contact}:{course.visits}"))

    def _amend(self, contact: str, number: int) -> None:
        course = self._waiting(contact, number // 1000)
        if course is not None:
            change: Amendment = course.plan.stays[course.stay].amendments[number % 1000]
            self._handle(events.ContactAmended(self.now, contact, change.priority, change.need, change.relaxation))

    def _accept(self, offer: str, _: int) -> None:
        agent = self._offers.get(offer)
        if agent is not None:
            self._handle(events.OfferAccepted(self.now, agent, offer))

    def _dialled(self, contact: str, talk: int) -> None:
        course = self._courses.get(contact)
        if course is None or course.talks != talk or not course.agent:
            return
        dial = course.plan.stays[course.stay].dial
        if dial is not None and dial < 0:
            self._handle(events.CallbackFailed(self.now, contact))
        elif self._handle(events.CallbackAnswered(self.now, contact)):
            course.since = self.now
            self._plan_end_of_talk(course)

    def _done(self, contact: str, talk: int) -> None:
        course = self._courses.get(contact)
        if course is None or course.talks != talk or not course.agent:
            return
        following = course.plan.stays[course.stay + 1] if course.stay + 1 < len(course.plan.stays) else None
        if following is None or following.transfer is None:
            self._handle(events.ContactEnded(self.now, contact, "customer"))
            return
        course.visits += 1
        agent, visit = course.agent, f"{contact}:{course.visits}"
        if self._handle(events.ContactTransferred(self.now, contact, agent, following.transfer, visit)):
            course.stay, course.began = course.stay + 1, self.now
            if not course.agent:  # nobody had it at once
                course.waiting = True
                self._stay_begins(course, following)
        else:
            self._handle(events.ContactEnded(self.now, contact, "customer"))

    def _wrapped(self, ref: str, talk: int) -> None:
        wrapping = self._wrapping.get(ref)
        if wrapping is not None and wrapping.talk == talk:
            self._handle(events.WrapUpDone(self.now, wrapping.contact, wrapping.agent, wrapping.code))

    def _extend(self, ref: str, talk: int) -> None:
        wrapping = self._wrapping.get(ref)
        if wrapping is not None and wrapping.talk == talk:
            self._handle(events.WrapUpExtended(self.now, wrapping.contact, wrapping.agent))

    def _too_late(self, contact: str, talk: int) -> None:
        course = self._courses.get(contact)
        if course is not None and course.talks == talk and course.agent and not course.ending:
            self._plan_end_of_talk(course, now=not course.plan.stays[course.stay].ended)

    # --- plans ----------------------------------------------------------------------------------------------------

    def _plan_end_of_wait(self, course: Course) -> None:
        stay, contact, number = course.plan.stays[course.stay], course.plan.contact, course.stay
        if stay.patience is not None:
            self._plan(course.began + stay.patience, LEAVE, contact, number)
        if stay.out is not None:
            self._plan(course.began + stay.out, OUT, contact, number)
        if stay.ended and stay.patience is None and stay.out is None:
            beyond, queue = max(stay.seen, self.now - course.began), stay.places[0].queue
            self._plan(course.began + self._manners.patience(contact, number, queue, beyond), LEAVE, contact, number)
            self._plan(course.began + self._manners.out(contact, number, queue, beyond), OUT, contact, number)

    def _plan_end_of_talk(self, course: Course, *, now: bool = False) -> None:
        """When it is known, or never will be (`now`: nobody talks with them where they really are); else it is waited for."""
        plan, contact = course.plan, course.plan.contact
        stay, talk = plan.stays[course.stay], plan.stays[course.stay].talk
        never = plan.over or stay.patience is not None or stay.out is not None or len(plan.stays) > course.stay + 1
        if talk is None and (never or now):
            talk = self._manners.talk(contact, course.stay, course.queue, self.now - course.since)
        if talk is not None:
            course.ending = True
            self._plan(max(self.now, course.since + talk), DONE, contact, course.talks)
        elif not stay.ended:
            self._plan(self.now + self._late, LATE, contact, course.talks)

    def _next_stay(self, course: Course) -> None:
        """The flow has the contact again: into the next queue of its plan, or out."""
        following = course.stay + 1
        contact = course.plan.contact
        if following < len(course.plan.stays) and course.plan.stays[following].transfer is None:
            self._plan(self.now + course.plan.stays[following].gap, BEGIN, contact, following)
        else:
            self._plan(self.now, EVENT, "", 0, events.ContactEnded(self.now, contact, "flow"))

    def _give_up(self, contact: str) -> None:
        self._handle(events.ContactEnded(self.now, contact, "flow"))


_REACTIONS: dict[type[Any], Callable[[Simulator, float, Any], None]] = {
    effects.WakeAt: Simulator._wake_at,
    effects.OfferMade: Simulator._offered,
    effects.OfferWithdrawn: Simulator._withdrawn,
    effects.Assigned: Simulator._assigned,
    effects.Released: Simulator._released,
    effects.SegmentEnded: Simulator._segment_ended,
    effects.AgentChanged: Simulator._agent_changed,
    effects.ContactChanged: Simulator._contact_changed,
    effects.CallbackChanged: Simulator._callback_changed,
    effects.Overflowed: Simulator._overflowed,
    effects.ContactFinal: Simulator._final,
}

_STEPS: dict[int, Callable[[Simulator, str, int], None]] = {
    COME: Simulator._come,
    BEGIN: Simulator._begin,
    PLACE: Simulator._place,
    LEAVE: Simulator._leave,
    OUT: Simulator._out,
    CALL_BACK: Simulator._call_back,
    AMEND: Simulator._amend,
    ACCEPT: Simulator._accept,
    DIALLED: Simulator._dialled,
    DONE: Simulator._done,
    WRAPPED: Simulator._wrapped,
    EXTEND: Simulator._extend,
    LATE: Simulator._too_late,
}
