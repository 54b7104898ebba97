"""A random walk over all events: every rule is something that can happen to the engine, at any moment, allowed or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from acd import effects, events
from acd.cases import Contact, Visit
from acd.engine import Engine
from acd.errors import Refused
from acd.model import Channel, Membership, Target
from tests.acd import invariants
from tests.acd.floors import AGENTS, AMENDED, CONFIGURATIONS, NEEDS, PERIODS, QUEUES, STEPS, TARGETS, TEAMS
from tests.acd.invariants import floor_of
from tests.acd.oracle import Rules
from tests.acd.receiver import Receiver

numbers = range(31)
channels: tuple[Channel, ...] = ("voice", "voice", "chat", "chat", "email")
customers = ("", "", "", "x", "y")
somebody = ("", "boss")
patiences = (0.0, 4.0, 15.0)
yes_or_no = (False, True)
some = range(2 ** len(AGENTS))
"""Sets of agents, as bits."""
WAITING = ("waiting", "offered", "scheduled")
HELD = ("engaged", "parked")


Step = TypeVar("Step", bound=Callable[..., None])

STEPS_OF: dict[str, dict[str, Sequence[Any]]] = {}
"""Every step of the walk with what its arguments are chosen from, for walks by plain random numbers."""


def step(**choices: Sequence[Any]) -> Callable[[Step], Step]:
    """Something that may happen: each argument is one of these."""

    def register(function: Step) -> Step:
        STEPS_OF[function.__name__] = choices
        made: Step = rule(**{name: st.sampled_from(values) for name, values in choices.items()})(function)
        return made

    return register


class Walk(RuleBasedStateMachine):
    """Commands and failures in any order; after each the invariants are checked, at the end all is replayed."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.at = 0.0
        self.log: list[events.Event] = []
        self.effects: list[list[effects.Effect]] = []
        self.saved: tuple[int, bytes] = (0, self.engine.snapshot())
        self.arrived = 0
        self.accepted_arrivals = 0
        self.refused = 0
        self.rules = Rules()
        self.seen = Receiver()
        self.body = self.engine.snapshot()
        self.checked = b""

    # --- carrying out ---------------------------------------------------------------------------------------------

    def do(self, event: events.Event) -> bool:
        """Hand an event to the engine and follow what comes of it; False when it is refused."""
        before, finished = self.body, not self.seen.unfinished
        standing = {v.id: (v.place, v.need) for v in invariants.standing(floor_of(self.engine))}
        try:
            out = self.engine.handle(event)
        except Refused:
            self.refused += 1
            self.unchanged(event, before)
            return False
        if isinstance(event, events.DeadlineReached):
            self.seen.wake = None
        elif isinstance(event, events.Continue):
            self.seen.unfinished = False
        self.log.append(event)
        self.effects.append(out)
        self.rules.take(event)
        if isinstance(event, events.Configured):
            self.seen.forget_queues(set(self.rules.queues))
        self.seen.see(out)
        self.body = self.engine.snapshot()
        if finished:
            self.check_offers(out, standing)
        return True

    def unchanged(self, event: events.Event, before: bytes) -> None:
        """A refused event leaves no trace."""
        assert self.engine.snapshot() == before, f"{event} was refused, but changed something"

    def check_offers(self, out: list[effects.Effect], standing: dict[str, tuple[float, object]]) -> None:
        """An offer that is out fits the agent, and nobody who stood before it was passed over."""
        floor, at = floor_of(self.engine), self.engine.at
        for offer in out:
            if not isinstance(offer, effects.OfferMade) or offer.decision.trigger == "supervisor":
                continue
            visit, mine = floor.visits.get(offer.visit), floor.offers.get(offer.offer)
            if mine is not None:
                assert invariants.within_capacity(self.rules, floor, offer.agent), f"{offer} is too much"
            if visit is None or not (mine or offer.auto):
                continue
            agent = floor.agents[offer.agent]
            for other in invariants.standing(floor):
                if min(invariants.steps(self.rules, other), default=at + 1) <= at or other.channel != visit.channel:
                    continue
                if standing.get(other.id) != (other.place, other.need):
                    continue
                if offer.decision.trigger != "agent" and other.queue != visit.queue:
                    continue
                if self.rank(agent.id, other, offer) < self.rank(agent.id, visit, offer):
                    assert not self.rules.may_have(other, agent.id, at), f"{other.id} was passed over for {visit.id}"

    def rank(self, agent: str, visit: Visit, offer: effects.OfferMade) -> tuple[float, ...]:
        """What decides between contacts: all of it when an agent looked for one, the place when contacts did."""
        if offer.decision.trigger != "agent":
            return (visit.place,)
        member = self.rules.serves(agent).get(visit.queue, Membership(""))
        return (member.priority, int(visit.place), -member.weight, visit.place)

    def wake(self) -> None:
        """Deal with everything that is due now."""
        for _ in range(60):
            if self.seen.wake is not None and self.seen.wake <= self.at:
                self.do(events.DeadlineReached(self.at))
            elif self.seen.unfinished:
                self.do(events.Continue(self.at))
            else:
                return
        raise AssertionError("the engine wants to be woken again and again")

    def due(self) -> bool:
        """Whether the shell has something left to send."""
        return self.seen.unfinished or (self.seen.wake is not None and self.seen.wake <= self.at)

    # --- whom it happens to ---------------------------------------------------------------------------------------

    def one_of(self, number: int, *states: str) -> str:
        """An open contact in one of these states if there is any, else anything."""
        found = floor_of(self.engine).contacts
        chosen = [contact.id for contact in found.values() if not states or contact.state in states]
        return chosen[number % len(chosen)] if chosen else f"c{number}"

    def holder(self, number: int, *states: str) -> tuple[str, str]:
        """A contact with an agent, and that agent."""
        contact = self.one_of(number, *(states or HELD))
        found = floor_of(self.engine).contacts.get(contact)
        return contact, (found.agent if found is not None and found.agent else AGENTS[number % len(AGENTS)])

    def offer(self, number: int) -> tuple[str, str]:
        """An agent with an offer, and the offer."""
        offers = list(floor_of(self.engine).offers.values())
        if not offers:
            return AGENTS[number % len(AGENTS)], "c1.1"
        chosen = offers[number % len(offers)]
        return chosen.agent, chosen.id

    def wrapping(self, number: int) -> tuple[str, str]:
        """An after-contact work, and its agent."""
        found = [(w.contact, a.id) for a in floor_of(self.engine).agents.values() for w in a.works if w.state == "wrap-up"]
        return found[number % len(found)] if found else (f"c{number}", AGENTS[number % len(AGENTS)])

    def new_contact(self, channel: Channel, customer: str) -> str:
        self.arrived += 1
        contact = f"c{self.arrived}"
        self.accepted_arrivals += self.do(events.ContactArrived(self.at, contact, channel, "main", customer))
        return contact

    # --- configuration and time -----------------------------------------------------------------------------------

    @initialize(which=st.sampled_from(range(len(CONFIGURATIONS))), day=st.booleans(), who=st.sampled_from(some))
    def start(self, which: int, day: bool, who: int) -> None:
        assert self.do(CONFIGURATIONS[which])
        if day:
            self.do(events.PeriodChanged(self.at, "day", True))
        self.some_come(who)

    @step(what=range(8), which=range(31), on=yes_or_no, by=somebody)
    def new_rules(self, what: int, which: int, on: bool, by: str) -> None:
        """Configuration and hours, which change more seldom than the rest."""
        if what == 0:
            self.do(msgspec.structs.replace(CONFIGURATIONS[which % len(CONFIGURATIONS)], at=self.at))
        elif what < 4:
            self.do(events.AgentAmended(self.at, AMENDED[which % len(AMENDED)], by))
        else:
            self.do(events.PeriodChanged(self.at, PERIODS[which % len(PERIODS)], on))

    @step(seconds=(0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 5.0, 10.0, 20.0))
    def wait(self, seconds: float) -> None:
        self.wake()
        end = self.at + seconds
        while self.seen.wake is not None and self.seen.wake <= end:
            self.at = max(self.at, self.seen.wake)
            self.wake()
        self.at = end

    @step(carry_on=yes_or_no)
    def spurious_wake(self, carry_on: bool) -> None:
        self.do(events.Continue(self.at) if carry_on else events.DeadlineReached(self.at))

    @step(gap=(0.0, 7.0, 60.0))
    def recover(self, gap: float) -> None:
        self.at += gap
        self.do(events.Recovered(self.at, gap))

    @step()
    def restart(self) -> None:
        """Go on from a snapshot; the walk's later steps prove that nothing was lost."""
        self.engine = Engine.restore(self.body)
        assert self.engine.snapshot() == self.body
        self.saved = (len(self.log), self.body)

    # --- agents ---------------------------------------------------------------------------------------------------

    @step(agent=AGENTS)
    def log_in(self, agent: str) -> None:
        self.do(events.AgentLoggedIn(self.at, agent))

    @step(agent=AGENTS)
    def come_available(self, agent: str) -> None:
        self.do(events.AgentLoggedIn(self.at, agent))
        self.do(events.AgentReachable(self.at, agent, reachable=True))
        self.do(events.AgentStateChosen(self.at, agent, "available"))

    @step(who=some)
    def some_come(self, who: int) -> None:
        for number, agent in enumerate(AGENTS):
            if who >> number & 1:
                self.come_available(agent)

    @step(agent=AGENTS, by=somebody)
    def log_out(self, agent: str, by: str) -> None:
        self.do(events.AgentLoggedOut(self.at, agent, by))

    @step(agent=AGENTS, code=("b", "b", "c", ""))
    def choose_idle(self, agent: str, code: str) -> None:
        self.do(events.AgentStateChosen(self.at, agent, "idle", code))

    @step(agent=AGENTS)
    def choose_available(self, agent: str) -> None:
        self.do(events.AgentStateChosen(self.at, agent, "available"))

    @step(agent=AGENTS, reachable=yes_or_no, channels=((), ("voice",), ("chat", "email")))
    def reach(self, agent: str, reachable: bool, channels: tuple[Channel, ...]) -> None:
        self.do(events.AgentReachable(self.at, agent, reachable, "", channels))

    @step(agent=AGENTS)
    def lose(self, agent: str) -> None:
        self.do(events.AgentLost(self.at, agent))

    # --- contacts -------------------------------------------------------------------------------------------------

    @step(
        queue=QUEUES,
        channel=channels,
        customer=customers,
        priority=(1, 4, 5, 5, 5, 10),
        need=NEEDS,
        steps=STEPS,
        preferred=("", "", "a1", "a3", "a5"),
        patience=patiences,
    )
    def come(self, queue, channel, customer, priority, need, steps, preferred, patience) -> None:  # type: ignore[no-untyped-def]
        contact = self.new_contact(channel, customer)
        self.do(events.ContactQueued(self.at, contact, queue, priority, "", need, steps, preferred, patience))

    @step(queue=QUEUES, channel=channels, customer=customers, many=(1, 2, 3, 4))
    def some_come_in(self, queue: str, channel: Channel, customer: str, many: int) -> None:
        for _ in range(many):
            self.do(events.ContactQueued(self.at, self.new_contact(channel, customer), queue))

    @step(number=numbers, queue=QUEUES, need=NEEDS, visit=("", "v1", "v2"))
    def queue_again(self, number: int, queue: str, need, visit: str) -> None:  # type: ignore[no-untyped-def]
        self.do(events.ContactQueued(self.at, self.one_of(number, "arrived", "waiting"), queue, 5, visit, need))

    @step(number=numbers, queue=("", *QUEUES))
    def unqueue(self, number: int, queue: str) -> None:
        self.do(events.ContactUnqueued(self.at, self.one_of(number, *WAITING), queue=queue))

    @step(
        number=numbers,
        priority=(0, 1, 6, 11),
        need=(None, *NEEDS),
        steps=STEPS,
    )
    def amend(self, number, priority, need, steps) -> None:  # type: ignore[no-untyped-def]
        self.do(events.ContactAmended(self.at, self.one_of(number, *WAITING), priority, need, steps))

    @step(number=numbers)
    def customer_leaves(self, number: int) -> None:
        self.do(events.CustomerLeft(self.at, self.one_of(number)))

    @step(number=numbers, by=("agent", "customer", "system", "flow"), how=range(5))
    def end(self, number, by, how) -> None:  # type: ignore[no-untyped-def]
        self.do(events.ContactEnded(self.at, self.one_of(number), by, how == 1, how == 2))

    # --- talks ----------------------------------------------------------------------------------------------------

    @step(number=numbers)
    def accept(self, number: int) -> None:
        agent, offer = self.offer(number)
        self.do(events.OfferAccepted(self.at, agent, offer))

    @step()
    def accept_all(self) -> None:
        for offer in list(floor_of(self.engine).offers.values()):
            self.do(events.OfferAccepted(self.at, offer.agent, offer.id))

    @step(number=numbers, agent=AGENTS)
    def accept_what_is_not_mine(self, number: int, agent: str) -> None:
        self.do(events.OfferAccepted(self.at, agent, self.offer(number)[1]))

    @step(number=numbers, reason=("", "busy", "lunch"))
    def decline(self, number: int, reason: str) -> None:
        agent, offer = self.offer(number)
        self.do(events.OfferDeclined(self.at, agent, offer, reason))

    @step(number=numbers)
    def connect_fails(self, number: int) -> None:
        self.do(events.ConnectFailed(self.at, *self.holder(number, "engaged")))

    @step(number=numbers)
    def talk_ends(self, number: int) -> None:
        self.do(events.ContactEnded(self.at, self.one_of(number, *HELD), "agent"))

    @step(number=numbers, to=TARGETS, visit=("", "", "v1"))
    def transfer(self, number: int, to: Target, visit: str) -> None:
        self.do(events.ContactTransferred(self.at, *self.holder(number, "engaged"), to, visit))

    @step(number=numbers)
    def park(self, number: int) -> None:
        self.do(events.ContactParked(self.at, *self.holder(number, "engaged")))

    @step(number=numbers, by=("agent", "customer"), patience=patiences)
    def resume(self, number, by, patience) -> None:  # type: ignore[no-untyped-def]
        self.do(events.ContactResumed(self.at, self.one_of(number, "parked"), by, patience))

    @step(number=numbers, on=yes_or_no)
    def ask_wrap_up(self, number: int, on: bool) -> None:
        self.do(events.WrapUpAsked(self.at, *self.holder(number), on))

    @step(number=numbers, code=("", "w", "w", "x"))
    def wrap_up_done(self, number: int, code: str) -> None:
        self.do(events.WrapUpDone(self.at, *self.wrapping(number), code))

    @step(number=numbers)
    def extend_wrap_up(self, number: int) -> None:
        self.do(events.WrapUpExtended(self.at, *self.wrapping(number)))

    # --- callbacks ------------------------------------------------------------------------------------------------

    @step(
        number=numbers,
        queue=("", "", *QUEUES),
        before=(0.0, 0.0, 3.0, 8.0),
        after=(0.0, 5.0, 12.0, 40.0),
    )
    def take_callback(self, number: int, queue: str, before: float, after: float) -> None:
        contact = self.one_of(number, "arrived", "waiting", "offered")
        window = (self.at + before if before else 0.0, self.at + after if after else 0.0)
        self.do(events.CallbackTaken(self.at, contact, "", queue, *window))

    @step(number=numbers)
    def callback_answered(self, number: int) -> None:
        self.do(events.CallbackAnswered(self.at, self.dialled(number)))

    @step(number=numbers, why=("no-answer", "busy"))
    def callback_failed(self, number, why) -> None:  # type: ignore[no-untyped-def]
        self.do(events.CallbackFailed(self.at, self.dialled(number), why))

    @step(number=numbers, why=("customer", "supervisor", "called-in"), by=somebody)
    def cancel_callback(self, number, why, by) -> None:  # type: ignore[no-untyped-def]
        called = [c.id for c in floor_of(self.engine).contacts.values() if c.callback is not None]
        contact = called[number % len(called)] if called else self.one_of(number)
        self.do(events.CallbackCancelled(self.at, contact, why, by))

    def dialled(self, number: int) -> str:
        """A contact whose customer is being called, if any."""

        def dialling(contact: Contact) -> bool:
            return contact.callback is not None and contact.callback.state == "dialling"

        found = [contact.id for contact in floor_of(self.engine).contacts.values() if dialling(contact)]
        return found[number % len(found)] if found else self.one_of(number)

    # --- supervisors ----------------------------------------------------------------------------------------------

    @step(number=numbers, agent=AGENTS, by=somebody)
    def pick(self, number: int, agent: str, by: str) -> None:
        self.do(events.ContactPicked(self.at, self.one_of(number, *WAITING), agent, by))

    @step(number=numbers, agent=AGENTS, force=yes_or_no)
    def assign(self, number: int, agent: str, force: bool) -> None:
        self.do(events.ContactAssigned(self.at, self.one_of(number, *WAITING), agent, "boss", force))

    @step(number=numbers, queue=("", *QUEUES), visit=("", "", "v2"), keep_place=yes_or_no)
    def requeue(self, number: int, queue: str, visit: str, keep_place: bool) -> None:
        self.do(events.ContactRequeued(self.at, self.one_of(number), "boss", queue, visit, keep_place))

    @step(queue=QUEUES, team=TEAMS, what=range(6))
    def of_queues(self, queue: str, team: str, what: int) -> None:
        if what < 2:
            self.do(events.QueueClosed(self.at, queue, "boss"))
        elif what < 5:
            self.do(events.QueueOpened(self.at, queue, "boss"))
        else:
            self.do(events.BroadcastMade(self.at, "m", "boss", (team,), (queue,)))

    # --- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        if self.body is self.checked:
            return
        self.checked = self.body
        floor = floor_of(self.engine)
        invariants.one_agent_each(floor, self.seen)
        invariants.everything_adds_up(self.engine, self.seen, self.accepted_arrivals)
        invariants.short_views_agree(self.engine)
        invariants.in_order(floor, self.rules)
        invariants.is_woken(floor, self.seen)
        invariants.agents_were_told(floor, self.engine, self.seen)
        if not self.due() and self.at == self.engine.at:
            invariants.nobody_waits_in_vain(floor, self.rules)
            invariants.rules_are_carried_out(floor, self.rules)
            invariants.every_state_has_an_exit(floor, self.rules)
        invariants.sets_are_true(floor)
        assert invariants.derived(self.engine) == invariants.derived(Engine.restore(self.body))

    def teardown(self) -> None:
        """Replaying the log gives the same effects, from the start and from a snapshot; at the end all is drained."""
        fresh = Engine()
        for number, event in enumerate(self.log):
            assert fresh.handle(event) == self.effects[number]
        assert fresh.snapshot() == self.body
        count, body = self.saved
        middle = Engine.restore(body)
        decoded = [events.decode(events.encode(event)) for event in self.log[count:]]
        assert [middle.handle(event) for event in decoded] == self.effects[count:]
        self.drain()

    def drain(self) -> None:
        """All customers go and all agents finish: nothing is left of anything."""
        self.wait(1.0)
        for contact in list(floor_of(self.engine).contacts.values()):
            if contact.callback is not None:
                self.do(events.CallbackCancelled(self.at, contact.id))
            self.do(events.ContactEnded(self.at, contact.id, "system"))
            self.do(events.ContactEnded(self.at, contact.id, "system"))
        for contact in list(floor_of(self.engine).contacts.values()):
            self.do(events.CallbackCancelled(self.at, contact.id))
        self.wait(1000.0)
        for agent in list(floor_of(self.engine).agents.values()):
            for work in list(agent.works):
                self.do(events.WrapUpDone(self.at, work.contact, agent.id, "w"))
                self.do(events.WrapUpDone(self.at, work.contact, agent.id, ""))
        self.everything_holds()
        floor = floor_of(self.engine)
        assert not floor.contacts
        assert not floor.visits
        assert not floor.offers
        assert not self.seen.open_segments
        assert not self.seen.callbacks
        assert not floor.callbacks
        assert not floor.aside
        assert not any(agent.works for agent in floor.agents.values())
        assert not floor.timers.save()[0]
