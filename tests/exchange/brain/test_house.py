"""The house as a pure fold: single stories, and any story."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import acd.effects as decided
import acd.events as routing
from acd.errors import Refused
from acd.model import AgentConfig
from exchange.brain import records
from exchange.brain.house import Outcome, freeze, thaw
from exchange.brain.ids import recording_id
from exchange.brain.records import Source
from ivr import effects as flow
from ivr.document import packaged, parse
from ivr.inputs import CommandDone, Digits, Recorded
from tests.exchange.brain.story import AGENTS, CONFIGURED, DEMO, Story, contact_id, new_house, possible, sensible

pytestmark = pytest.mark.unit


def kinds(outcome: Outcome) -> list[str]:
    """Names of the flow's effects."""
    return [type(effect).__name__ for _, effect in outcome.flow]


# --- one caller ---------------------------------------------------------------------------------------------------------


def test_a_whole_call() -> None:
    story = Story()
    story.ready()
    contact = story.arrive()
    assert isinstance(story.outstanding(contact), flow.AnswerCall)
    assert kinds(story.answer(contact)) == ["Speak"]
    assert kinds(story.answer(contact)) == ["CollectDigits"]
    offered = story.answer(contact, Digits("1"))
    assert any(isinstance(e, decided.OfferMade) and e.agent == "agent1" for e in offered.decided)
    assert list(offered.agents) == ["agent1"]
    assigned = story.accept()
    assert "StopSpeaking" in kinds(assigned)
    assert list(assigned.talks) == [contact]
    talk = story.talk(contact)
    assert (talk.agent, talk.recording) == ("agent1", recording_id(contact, 1))
    story.ask(contact, "hold")
    story.at += 10
    story.ask(contact, "mute")
    story.ask(contact, "hold", False)
    assert (talk.held, talk.muted) == (False, True)
    assert talk.held_seconds == pytest.approx(10.2)
    story.ask(contact, "record", False)
    assert talk.paused
    ended = story.ask(contact, "hang_up")
    assert kinds(ended)[-1] == "HangUp"
    assert (talk.final, talk.agent, story.house.by_agent) == ("handled", "", {})
    assert story.agent("agent1").state == "wrap-up"
    assert story.gone(contact).over == [contact]
    story.route(routing.WrapUpDone(0, contact, "agent1", "sold"))
    assert story.agent("agent1").state == "available"
    assert story.finals == {contact: ["handled"]}
    story.end()


def _held(story: Story) -> str:
    contact = story.to_talk()
    story.ask(contact, "hold")
    return contact


def _greeting(story: Story) -> str:
    contact = story.arrive()
    story.answer(contact)
    return contact


def _offered(story: Story) -> str:
    story.ready()
    return story.to_queue()


def _waiting(story: Story) -> str:
    story.route(routing.AgentLoggedIn(0, "agent1"))
    contact = story.to_queue()
    story.at += 100
    return contact


STEPS: dict[str, tuple[str, Callable[[Story], str]]] = {
    "ringing": ("flowed-out", Story.arrive),
    "greeting": ("flowed-out", _greeting),
    "menu": ("flowed-out", Story.to_menu),
    "offered": ("short-abandoned", _offered),
    "waiting": ("abandoned", _waiting),
    "talking": ("handled", Story.to_talk),
    "held": ("handled", _held),
    "voicemail": ("flowed-out", Story.to_queue),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_caller_who_leaves_has_one_final_state(step: str) -> None:
    final, until = STEPS[step]
    story = Story()
    contact = until(story)
    assert story.gone(contact).over == [contact]
    assert story.finals == {contact: [final]}
    late = story.put(records.FlowAnswer(contact, CommandDone(f"{contact}.2")))
    assert (late.flow, late.decided, late.over) == ([], [], [])
    assert story.gone(contact).over == []
    story.end()
    if step in {"talking", "held"}:
        assert story.agent("agent1").state == "wrap-up"
        story.tick()
        assert story.agent("agent1").state == "available"


@pytest.mark.parametrize("step", STEPS)
def test_a_card_that_dies_ends_its_contacts_only(step: str) -> None:
    story = Story()
    contact = STEPS[step][1](story)
    other = story.arrive("linecard1", "g9")
    story.put(records.CardDied("linecard0", "another-generation"))
    assert set(story.house.talks) == {contact, other}
    outcome = story.put(records.CardDied("linecard0", "g1"))
    assert outcome.over == [contact]
    assert story.finals == {contact: ["failed"]}
    assert list(story.house.talks) == [other]
    assert story.house.by_agent == {}
    story.end()


def test_nobody_logged_in_leads_to_voicemail() -> None:
    story = Story()
    contact = story.to_queue()
    message = story.outstanding(contact)
    assert isinstance(message, flow.RecordMessage)
    assert story.house.engine.contact(contact).state == "arrived"  # type: ignore[union-attr]
    story.answer(contact, Recorded(9.0, "silence"))
    goodbye = story.answer(contact)
    assert kinds(goodbye) == ["HangUp"]
    assert story.finals == {contact: ["flowed-out"]}
    assert story.over == [], "the customer's leg is still there"
    story.end()


def test_a_full_queue_is_told_to_the_flow() -> None:
    story = Story()
    full = msgspec.structs.replace(CONFIGURED, queues=[msgspec.structs.replace(q, max_waiting=1) for q in CONFIGURED.queues])
    story.route(full)
    story.route(routing.AgentLoggedIn(0, "agent1"))
    first, second = story.to_queue(), story.to_queue()
    assert story.talk(first).flow.activity == "sales_queue"
    assert story.talk(second).flow.activity == "all_busy"
    assert story.house.engine.contact(second).state == "arrived"  # type: ignore[union-attr]
    story.end()


def test_an_offer_that_nobody_answers_goes_to_the_next() -> None:
    story = Story()
    story.ready("agent1")
    contact = story.to_queue()
    story.ready("agent2")
    for _ in range(10):
        story.tick()
        if story.agent("agent2").offer:
            break
    assert story.agent("agent1").state == "not-responding"
    story.accept("agent2")
    assert story.house.by_agent == {"agent2": contact}
    story.end()


def test_a_bridge_that_failed_puts_the_caller_back() -> None:
    story = Story()
    contact = story.to_talk()
    recording = story.talk(contact).recording
    outcome = story.put(records.BridgeFailed(contact, "agent1", "timeout"))
    assert story.talk(contact).agent == ""
    assert "MusicOn" in kinds(outcome)
    assert list(outcome.talks) == [contact]
    assert story.refused(records.BridgeFailed(contact, "agent1", "timeout")) == "not-engaged"
    story.tick()  # the agent's pause, the caller's messages
    while not story.agent("agent1").offer:
        story.tick()
    story.accept()
    assert story.talk(contact).recording == recording, "one recording a call"
    story.gone(contact)
    assert story.finals == {contact: ["handled"]}
    story.end()


def test_an_agent_who_is_lost_is_logged_out_and_the_caller_waits_on() -> None:
    story = Story()
    contact = story.to_talk()
    story.ask(contact, "hold")
    story.ask(contact, "mute")
    outcome = story.route(routing.AgentLost(0, "agent1"))
    talk = story.talk(contact)
    assert (talk.agent, talk.held, talk.muted) == ("", False, False)
    assert "MusicOn" in kinds(outcome)
    assert story.agent("agent1").state == "logged-out"
    story.ready("agent2")
    story.accept("agent2")
    assert (talk.agent, talk.held, talk.muted) == ("agent2", False, False)
    story.end()


def test_what_agents_may_not_ask() -> None:
    story = Story()
    contact = story.to_talk()
    assert story.refused(records.Asked(contact, "agent2", "hang_up")) == "not-your-contact"
    assert story.refused(records.Asked(contact_id(99), "agent1", "hold")) == "not-your-contact"
    story.ask(contact, "hang_up")
    assert story.refused(records.Asked(contact, "agent1", "hold")) == "not-your-contact"
    silent = Story(new_house(recordings=False))
    contact = silent.to_talk()
    assert silent.talk(contact).recording == ""
    assert silent.refused(records.Asked(contact, "agent1", "record")) == "not-recorded"


def test_a_recording_that_failed_is_shown_and_nothing_else() -> None:
    story = Story()
    contact = story.to_talk()
    recording = story.talk(contact).recording
    outcome = story.put(records.RecordingClosed(contact, recording, 0, "disk full"))
    assert story.talk(contact).recording_failed
    assert list(outcome.agents) == ["agent1"]
    assert (outcome.decided, outcome.flow) == ([], [])
    story.put(records.RecordingClosed(contact, "another", 0, ""))
    assert story.talk(contact).recording_failed
    story.end()


# --- restarts -----------------------------------------------------------------------------------------------------------


def test_a_restart_sends_what_is_outstanding_again_and_moves_deadlines() -> None:
    story = Story()
    story.route(routing.AgentLoggedIn(0, "agent1"))
    talking, waiting, asking = story.to_talk("agent2"), story.to_queue(), story.to_menu()
    story.answer(waiting)
    before = {c: story.talk(c).flow for c in (waiting, asking)}
    outcome = story.put(records.Booted(500.0), 500.0)
    sent = {contact: [e for c, e in outcome.flow if c == contact] for contact in (waiting, asking, talking)}
    assert before[asking].outstanding[0] in sent[asking]
    assert any(isinstance(e, flow.MusicOn) for e in sent[waiting])
    assert sent[talking] == [flow.StopSpeaking(""), flow.MusicOff()]
    shifted = {name: at + 500 for name, at in before[waiting].deadlines.items()}
    assert story.talk(waiting).flow.deadlines == shifted
    assert story.house.by_agent == {"agent2": talking}
    story.end()


def test_a_hang_up_is_said_again_when_the_card_is_back() -> None:
    story = Story()
    contact = story.to_talk()
    story.ask(contact, "hang_up")
    assert kinds(story.put(records.LineBack(contact))) == ["HangUp"]
    assert kinds(story.put(records.Booted(1.0))) == ["HangUp"]
    story.end()


def test_a_caller_stays_in_the_version_they_began_also_at_a_replay() -> None:
    later = parse(packaged("demo").replace("version: 1", "version: 2").replace("Welcome to Switchroom.", "Hello."))
    story = Story()
    contact = story.to_menu()
    house = new_house([DEMO, later])
    outcomes = [msgspec.msgpack.encode(house.apply(records.decode(data))) for data in story.log]
    assert outcomes == story.outcomes
    assert house.talks[contact].flow.version == 1
    newest = records.Arrived(contact_id(77), "linecard0", "g1", "c", "p", "5000", "demo")
    house.apply(records.Record(story.at, newest))
    assert house.talks[contact_id(77)].flow.version == 2


def test_a_flow_that_was_taken_away_ends_its_calls() -> None:
    story = Story()
    gone = records.Arrived(contact_id(1), "linecard0", "g1", "c", "p", "5000", "no-such-flow", version=3)
    assert kinds(story.put(gone)) == ["HangUp"]
    story.arrived = 1
    story.end()


def test_the_newest_event_of_each_card_is_known() -> None:
    story = Story()
    contact = story.to_menu()
    story.put(records.CustomerGone(contact, "x"), source=Source("linecard0", "g1", 17))
    story.put(records.CustomerGone(contact, "x"), source=Source("linecard1", "g2", 3))
    assert story.house.cursors == {"linecard0": ("g1", 17), "linecard1": ("g2", 3)}
    house = new_house()
    thaw(house, freeze(story.house))
    assert house.cursors == story.house.cursors


def test_secret_digits_are_not_in_the_log() -> None:
    answer = records.FlowAnswer(contact_id(1), CommandDone("x.1", Digits("4711")))
    open_, hidden = (records.encode(records.Record(1.0, answer), secret=secret) for secret in (False, True))
    assert b"4711" in open_
    assert b"4711" not in hidden
    assert records.decode(hidden).input == records.FlowAnswer(contact_id(1), CommandDone("x.1", Digits("****")))


@given(st.binary(max_size=60))
def test_garbage_is_no_record(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a record"):
        records.decode(data)


def test_a_configuration_that_is_in_use_stays() -> None:
    story = Story()
    story.to_talk()
    other = msgspec.structs.replace(CONFIGURED, agents=[AgentConfig("agent2", "Two")])
    assert story.refused(records.Routing(other)) == "agent-in-use"
    assert story.house.configured is not None
    assert story.house.configured.agents == CONFIGURED.agents


def test_deadlines_of_one_instant_fall_in_the_same_order_after_a_snapshot() -> None:
    story = Story()
    story.ready("agent2")
    story.ready("agent1")
    contacts = [story.to_queue(), story.to_queue()]
    for agent in ("agent1", "agent2"):
        story.accept(agent)
    at = story.at
    for contact in contacts:  # agent2 first, who comes second in the configuration
        story.at = at
        story.ask(contact, "hang_up", agent=story.talk(contact).agent)
    taken = len(story.log)
    for contact in contacts:
        story.gone(contact)
    assert story.agent("agent1").until == story.agent("agent2").until
    story.tick()
    check_replay(story, taken)


# --- any story ----------------------------------------------------------------------------------------------------------

PAUSES = [0.0, 0.3, 2.0, 6.0, 31.0]


def tell(story: Story, choices: Iterable[tuple[int, float]]) -> None:
    """Any inputs, sensible or not, then everybody leaves."""
    story.ready("agent1")
    for number, seconds in choices:
        if number % 9 == 0 and len(story.house.talks) < 4:
            story.arrive(f"linecard{number % 2}", f"g{number % 3}")
        elif number % 11 == 0 and story.house.next_wake() is not None:
            story.tick()
        else:
            inputs = list((sensible if number % 4 else possible)(story)) or list(possible(story))
            with contextlib.suppress(Refused):
                story.put(inputs[number // 4 % len(inputs)], seconds)
    story.end()
    assert all(view.state not in {"engaged", "reserved"} for view in story.house.engine.agents())


def check_replay(story: Story, thaw_at: int) -> None:
    outcomes, state = story.replayed(thaw_at)
    assert outcomes == story.outcomes
    assert state == freeze(story.house)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(PAUSES)), max_size=120), st.integers(0, 130))
def test_any_story(choices: list[tuple[int, float]], thaw_at: int) -> None:
    story = Story()
    tell(story, choices)
    check_replay(story, thaw_at)


def test_long_stories() -> None:
    finals: Counter[str] = Counter()
    for seed in range(12):
        random = Random(seed)
        story = Story()
        tell(story, [(random.randrange(10_000), random.choice(PAUSES)) for _ in range(500)])
        check_replay(story, random.randrange(len(story.log)))
        finals.update(final for each in story.finals.values() for final in each)
    assert {"handled", "flowed-out", "failed"} < set(finals), "these stories told nothing"
    assert finals["abandoned"] + finals["short-abandoned"] > 0


def test_what_became_of_several_desks_is_as_if_each_were_told_alone() -> None:
    told, together = Story(), Story()
    for story in (told, together):
        for agent in AGENTS:
            story.route(routing.AgentLoggedIn(0, agent))
            story.route(routing.AgentReachable(0, agent, True))
    changes = [routing.AgentReachable(0, agent, False, "no-page") for agent in AGENTS]
    changes += [routing.AgentLoggedOut(0, AGENTS[0])]
    for change in changes:
        told.put(records.Routing(change), seconds=0)
    outcome = together.put(records.Presences((routing.AgentLost(0, "nobody"), *changes)), seconds=0)
    assert together.house.engine.agents() == told.house.engine.agents()
    assert [view.state for view in together.house.engine.agents()] == ["logged-out", "idle"]
    assert list(outcome.agents) == [AGENTS[0]], "who only cannot be reached looks the same as before"
    assert records.decode(together.log[-1]).input == records.Presences((routing.AgentLost(0, "nobody"), *changes))
    assert records.engine_events(records.Presences(tuple(changes))) == tuple(changes)


def test_a_snapshot_in_a_used_house_leaves_nothing_of_what_was() -> None:
    story, empty = Story(), freeze(new_house())
    story.route(routing.AgentLoggedIn(0, AGENTS[0]))
    story.to_queue()
    assert story.house.next_wake() is not None
    thaw(story.house, empty)
    assert story.house.next_wake() is None
