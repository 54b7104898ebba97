"""Scripts of customers: what is read, and the sentences for what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.loopback.customer import Customer, Deed, Go, Write
from channels.loopback.script import Leave, Say, Script, ScriptError, Wait, parse

pytestmark = pytest.mark.unit

WHOLE = """
contact:
  entry_point: chat
  name: Jo
patience: 30
steps:
  - wait: agent
  - say: Hello
  - wait: answer
    patience: 10
  - wait: 2.5
  - leave
"""


def test_a_script_is_read() -> None:
    script = parse(WHOLE)
    assert (script.contact.channel, script.contact.name, script.patience) == ("chat", "Jo", 30)
    assert script.steps == (Wait(wait="agent"), Say(say="Hello"), Wait(wait="answer", patience=10), Wait(wait=2.5), Leave())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML"),
        ("- x", "fields contact, steps"),
        ("steps: [leave]", "contact"),
        ("{contact: {entry_point: x}, steps: []}", "steps"),
        ("{contact: {entry_point: x}, steps: [{shout: Hello}]}", "steps.0"),
        ("{contact: {entry_point: x}, steps: [{wait: forever}]}", "steps.0"),
        ("{contact: {entry_point: x}, steps: [{wait: -1}]}", "steps.0"),
        ("{contact: {channel: voice, entry_point: x}, steps: [leave]}", "callback"),
    ],
)
def test_faults_are_told_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ScriptError, match=words):
        parse(text)


# --- the customer -----------------------------------------------------------------------------------------------------


def customer(*steps: object, patience: float = 0.0) -> Customer:
    contact = {"channel": "chat", "entry_point": "chat"}
    return Customer(Script.model_validate({"contact": contact, "patience": patience, "steps": list(steps)}), 100.0)


def test_a_visit_step_by_step() -> None:
    jo = customer({"say": "Hello"}, {"wait": "agent"}, {"wait": 2}, {"say": "My order"}, {"wait": "answer"}, "leave")
    assert (jo.deeds(100), jo.wake_at()) == ([Write(0, "Hello")], None)
    jo.assigned("agent1")
    assert (jo.deeds(105), jo.wake_at()) == ([], 107.0)
    assert (jo.deeds(106.9), jo.deeds(107), jo.wake_at()) == ([], [Write(3, "My order")], None)
    jo.heard()
    assert (jo.deeds(108), jo.over, jo.deeds(109)) == ([Go("script")], True, [])


def test_an_answer_from_before_the_question_is_none() -> None:
    jo = customer({"wait": "agent"}, {"say": "A question"}, {"wait": "answer"}, "leave")
    jo.assigned("agent1")
    jo.heard()
    assert jo.deeds(101) == [Write(1, "A question")]
    assert jo.deeds(102) == []
    jo.heard()
    assert jo.deeds(103) == [Go("script")]


def test_patience_for_an_agent_and_for_an_answer() -> None:
    alone = customer({"wait": "agent"}, patience=30)
    assert (alone.wake_at(), alone.deeds(129.9), alone.deeds(130)) == (130.0, [], [Go("patience")])
    left_alone = customer({"wait": "agent"}, {"wait": 1000}, patience=30)
    left_alone.assigned("agent1")
    assert (left_alone.deeds(110), left_alone.wake_at()) == ([], 1110.0)
    left_alone.released(200)
    assert (left_alone.wake_at(), left_alone.deeds(230)) == (230.0, [Go("patience")])
    unanswered = customer({"say": "Hello"}, {"wait": "answer", "patience": 10})
    assert unanswered.deeds(100) == [Write(0, "Hello")]
    assert (unanswered.wake_at(), unanswered.deeds(110)) == (110.0, [Go("patience")])


def test_who_has_said_everything_stays_until_the_end() -> None:
    jo = customer({"say": "Hello"})
    jo.deeds(100)
    assert (jo.deeds(1e6), jo.wake_at(), jo.over) == ([], None, False)
    jo.ended()
    assert jo.wake_at() is None


STEPS = st.lists(
    st.one_of(
        st.builds(lambda text: {"say": text}, st.text("ab", min_size=1, max_size=3)),
        st.builds(lambda seconds: {"wait": seconds}, st.floats(0, 100)),
        st.sampled_from([{"wait": "agent"}, {"wait": "answer", "patience": 5}, "leave"]),
    ),
    min_size=1,
    max_size=8,
)


@given(STEPS, st.lists(st.tuples(st.sampled_from(["agent", "gone", "heard", "time"]), st.floats(0, 60)), max_size=20))
def test_steps_come_once_in_their_order_and_time_is_only_waited_for_when_it_is_to_come(
    steps: list[object], story: object
) -> None:
    jo, now = customer(*steps), 100.0
    done: list[Deed] = []
    for what, seconds in story:  # type: ignore[attr-defined]
        now += seconds
        match what:
            case "agent":
                jo.assigned("agent1")
            case "gone":
                jo.released(now)
            case "heard":
                jo.heard()
        done += jo.deeds(now)
        wake = jo.wake_at()
        assert wake is None or wake > now or jo.over
    written = [deed.step for deed in done if isinstance(deed, Write)]
    assert written == sorted(set(written))
    assert sum(isinstance(deed, Go) for deed in done) <= 1
