"""A house without cards and clocks: records go in, what must always hold is checked after each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgspec
import pytest

import acd.effects as decided
import acd.events as routing
from acd.errors import Refused
from acd.model import AgentConfig, AgentView
from exchange.brain import records
from exchange.brain.house import House, Outcome, Talk, freeze, thaw
from exchange.brain.records import Input, Record, Source
from exchange.demo import configuration
from ivr import effects as flow
from ivr.document import Flow, packaged, parse
from ivr.inputs import CommandDone, CommandFailed, CommandResult, Digits, Done, Played, Recorded
from ivr.runner import Runner

AGENTS = ["agent1", "agent2"]
QUEUES = [msgspec.structs.replace(queue, hours="") for queue in configuration().queues]
CONFIGURED = routing.Configured(0.0, QUEUES, [AgentConfig(id, id.title()) for id in AGENTS], list(configuration().idle_codes))
DEMO = parse(packaged("demo"))


def contact_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def new_house(flows: list[Flow] | None = None, *, recordings: bool = True) -> House:
    return House(Runner(flows or [DEMO]), recordings=recordings)


class Story:
    """A house that remembers everything it was told and everything it answered."""

    def __init__(self, house: House | None = None) -> None:
        self.house = house or new_house()
        self.at = 1000.0
        self.log: list[bytes] = []
        self.outcomes: list[bytes] = []
        self.finals: dict[str, list[str]] = {}
        self.over: list[str] = []
        self.arrived = 0
        self.reachable: records.Reachable = ""
        self.put(records.Routing(CONFIGURED))

    # --- telling --------------------------------------------------------------------------------------------------

    def put(self, input: Input, seconds: float = 0.1, source: Source | None = None) -> Outcome:
        """The next record, so many seconds later; raises Refused after checking that nothing changed by it."""
        self.at += seconds
        record = Record(self.at, input, source)
        before = freeze(self.house)
        try:
            outcome = self.house.apply(record)
        except Refused:
            assert freeze(self.house) == before, "a refusal has changed something"
            raise
        self.log.append(records.encode(record))
        self.outcomes.append(msgspec.msgpack.encode(outcome))
        for effect in outcome.decided:
            if isinstance(effect, decided.ContactFinal):
                self.finals.setdefault(effect.contact, []).append(effect.final)
        self.over += outcome.over
        self.check()
        return outcome

    def refused(self, input: Input) -> str:
        with pytest.raises(Refused) as error:
            self.put(input)
        return error.value.code

    def route(self, event: routing.Event) -> Outcome:
        return self.put(records.Routing(event))

    # --- what may happen ------------------------------------------------------------------------------------------

    def arrive(self, card: str = "linecard0", generation: str = "g1") -> str:
        self.arrived += 1
        contact, number = contact_id(self.arrived), self.arrived
        arrived = records.Arrived(contact, card, generation, f"call-{number}", f"party-{number}", "5000", "demo", version=1)
        self.put(msgspec.structs.replace(arrived, reachable=self.reachable))
        return contact

    def outstanding(self, contact: str) -> flow.Command:
        (command,) = self.house.talks[contact].flow.outstanding
        return command

    def answer(self, contact: str, result: CommandResult | None = None) -> Outcome:
        """The one outstanding command comes to its (or the given) end."""
        command = self.outstanding(contact)
        return self.put(records.FlowAnswer(contact, CommandDone(command.id, result or ordinary_end(command))))

    def fail(self, contact: str, code: str = "error") -> Outcome:
        return self.put(records.FlowAnswer(contact, CommandFailed(self.outstanding(contact).id, code)))

    def to_menu(self) -> str:
        contact = self.arrive()
        self.answer(contact)
        self.answer(contact)
        return contact

    def to_queue(self, digit: str = "1") -> str:
        contact = self.to_menu()
        self.answer(contact, Digits(digit))
        return contact

    def agent(self, id: str) -> AgentView:
        found = self.house.engine.agent(id)
        assert found is not None
        return found

    def ready(self, agent: str = "agent1") -> None:
        """Logged in, with a softphone, available."""
        self.route(routing.AgentLoggedIn(0, agent))
        self.route(routing.AgentReachable(0, agent, True))
        self.route(routing.AgentStateChosen(0, agent, "available"))

    def accept(self, agent: str = "agent1") -> Outcome:
        return self.route(routing.OfferAccepted(0, agent, self.agent(agent).offer))

    def to_talk(self, agent: str = "agent1") -> str:
        self.ready(agent)
        contact = self.to_queue()
        self.accept(agent)
        return contact

    def gone(self, contact: str) -> Outcome:
        return self.put(records.CustomerGone(contact, "remote-hangup"))

    def ask(self, contact: str, what: str, on: bool = True, agent: str = "agent1") -> Outcome:
        asked = {"type": "asked", "contact": contact, "agent": agent, "what": what, "on": on}
        return self.put(msgspec.convert(asked, records.Asked))

    def tick(self) -> Outcome:
        """Time passes to the next deadline."""
        due = self.house.next_wake()
        assert due is not None
        return self.put(records.Clock(), max(0.0, due - self.at))

    # --- what must hold -------------------------------------------------------------------------------------------

    def talk(self, contact: str) -> Talk:
        return self.house.talks[contact]

    def check(self) -> None:
        """At every instant."""
        house = self.house
        figures = house.engine.statistics()
        assert figures.contacts == figures.open + sum(figures.ended.values())
        for queue in figures.queues.values():
            assert queue.offered == queue.open + sum(queue.ended.values())
        assert {c.id for c in house.engine.contacts()} == {t.contact for t in house.talks.values() if not t.final}
        assert house.by_agent == {t.agent: t.contact for t in house.talks.values() if t.agent}
        assert house._calls == {(t.card, t.call): t.contact for t in house.talks.values() if t.card}
        for view in house.engine.agents():
            assert (view.state == "engaged") == (view.id in house.by_agent)
            if view.state == "engaged":
                assert house.by_agent[view.id] == view.contact
        assert all(len(finals) == 1 for finals in self.finals.values())
        assert not any(t.gone and t.final for t in house.talks.values()), "an ended contact is still here"
        due = house.next_wake()
        assert due is None or due > self.at - 3600

    def end(self) -> None:
        """Everybody hangs up: nothing may be left."""
        for contact in list(self.house.talks):
            self.gone(contact)
        house = self.house
        assert (house.talks, house.by_agent, house._calls) == ({}, {}, {})
        assert sorted(self.over) == sorted(self.finals) == [contact_id(n + 1) for n in range(self.arrived)]

    def replayed(self, thaw_at: int = -1) -> tuple[list[bytes], bytes]:
        """Outcomes and end state of the same log in a new house, frozen and thawed once on the way."""
        house = new_house()
        outcomes = []
        for number, data in enumerate(self.log):
            if number == thaw_at:
                frozen = freeze(house)
                house = new_house()
                thaw(house, frozen)
                assert freeze(house) == frozen
            outcomes.append(msgspec.msgpack.encode(house.apply(records.decode(data))))
        return outcomes, freeze(house)


def ordinary_end(command: flow.Command) -> CommandResult:
    match command:
        case flow.Speak():
            return Played()
        case flow.CollectDigits():
            return Digits("1")
        case flow.RecordMessage():
            return Recorded(7.0, "terminator")
        case _:
            return Done()


def sensible(story: Story) -> Iterator[Input]:
    """What would happen next if nothing went wrong."""
    for talk in story.house.talks.values():
        for command in talk.flow.outstanding:
            yield records.FlowAnswer(talk.contact, CommandDone(command.id, ordinary_end(command)))
        if talk.agent:
            yield records.Asked(talk.contact, talk.agent, "hold", not talk.held)
        if talk.agent and story.at - talk.agent_since > 20:
            yield records.Asked(talk.contact, talk.agent, "hang_up")
        if talk.final:
            yield records.CustomerGone(talk.contact, "local-hangup")
    for view in story.house.engine.agents():
        match view.state:
            case "logged-out":
                yield records.Routing(routing.AgentLoggedIn(0, view.id))
            case "idle" | "not-responding":
                yield records.Routing(routing.AgentStateChosen(0, view.id, "available"))
            case "reserved":
                yield records.Routing(routing.OfferAccepted(0, view.id, view.offer))
            case "wrap-up":
                yield records.Routing(routing.WrapUpDone(0, view.contact, view.id, "callback"))
        if not view.reachable:
            yield records.Routing(routing.AgentReachable(0, view.id, True))


def possible(story: Story) -> Iterator[Input]:
    """What may happen now, the senseless included; the same story gives the same list."""
    house = story.house
    for talk in list(house.talks.values()):
        contact = talk.contact
        yield records.CustomerGone(contact, "remote-hangup")
        for command in talk.flow.outstanding:
            yield records.FlowAnswer(contact, CommandDone(command.id, ordinary_end(command)))
            yield records.FlowAnswer(contact, CommandFailed(command.id, "error"))
            if isinstance(command, flow.CollectDigits):
                for digits, why in (("2", "enough"), ("9", "enough"), ("", "no-input"), ("", "ended")):
                    result = msgspec.convert({"type": "digits", "digits": digits, "why": why}, Digits)
                    yield records.FlowAnswer(contact, CommandDone(command.id, result))
            if isinstance(command, flow.RecordMessage):
                yield records.FlowAnswer(contact, CommandDone(command.id, Recorded(0.2, "limit")))
                yield records.FlowAnswer(contact, CommandDone(command.id, Recorded(9.0, "ended")))
        yield records.FlowAnswer(contact, CommandDone(f"{contact}.1"))
        yield records.LineBack(contact)
        for agent in AGENTS:
            yield records.Asked(contact, agent, "hang_up")
            yield records.Asked(contact, agent, "hold", not talk.held)
            yield records.Asked(contact, agent, "mute", not talk.muted)
            yield records.Asked(contact, agent, "record", talk.paused)
            yield records.BridgeFailed(contact, agent, "timeout")
        if talk.recording:
            yield records.RecordingClosed(contact, talk.recording, 3.0)
            yield records.RecordingClosed(contact, talk.recording, 0.0, "disk full")
    for view in house.engine.agents():
        if view.offer:
            yield records.Routing(routing.OfferAccepted(0, view.id, view.offer))
            yield records.Routing(routing.OfferAccepted(0, view.id, view.offer))
            yield records.Routing(routing.OfferDeclined(0, view.id, view.offer))
        yield records.Routing(routing.AgentLoggedIn(0, view.id))
        yield records.Routing(routing.AgentReachable(0, view.id, not view.reachable))
        yield records.Routing(routing.AgentStateChosen(0, view.id, "available"))
        yield records.Routing(routing.AgentStateChosen(0, view.id, "idle", "break"))
        yield records.Routing(routing.AgentStateChosen(0, view.id, "idle", "no-such-code"))
        yield records.Routing(routing.AgentLoggedOut(0, view.id))
        yield records.Routing(routing.AgentLost(0, view.id))
        yield records.Routing(routing.WrapUpDone(0, view.contact or contact_id(1), view.id, "callback"))
        yield records.Routing(routing.OfferAccepted(0, view.id, "no-such-offer"))
    for card in sorted({(t.card, t.generation) for t in house.talks.values()}):
        yield records.CardDied(*card)
    yield records.Booted(7.5)
    yield records.Clock()
    yield records.Routing(CONFIGURED)
    yield records.CustomerGone(contact_id(1), "again")
