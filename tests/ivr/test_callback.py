"""The offer to call back, from the queue and without one."""

from __future__ import annotations

import pytest

from ivr.document import packaged, parse
from ivr.numbers import callable_number
from ivr.script import Agent, Place, Press, ScriptStep, Silence, Wait
from ivr.simulator import Between, simulate
from ivr.validation import check

pytestmark = pytest.mark.unit

DEMO = parse(packaged("demo"))
WAITING: list[ScriptStep] = [Press("1"), Place(3, 3), Wait(4)]
OFFER = (
    "ask: We can call you back at the number that you call from, as soon as it is your turn."
    " To agree, press 1. For another number, press 2. To go on waiting, press 3."
)
KEY = "ask number: Please key in the number with its area code, and press the hash key."
SORRY = "ask number: This number cannot be called. Please key in the number with its area code, and press the hash key."
TAKEN = ["called back by sales", "say: Thank you. We will call you back. Goodbye.", "hang up (goodbye)"]
BACK = ["enter queue sales (priority 5)"]
STAY = "say: We are sorry, we cannot call you back. Please stay on the line."


@pytest.mark.parametrize("between", ["nothing", "recode", "resume", "lose"])
@pytest.mark.parametrize(
    ("steps", "callbacks", "expected"),
    [
        ([Press("1")], "own", [OFFER, "caller presses 1", *TAKEN]),
        ([Press("3")], "own", [OFFER, "caller presses 3", *BACK]),
        ([Silence()], "own", [OFFER, *BACK]),
        ([Press("2"), Press("00493012345678#")], "own", [OFFER, "caller presses 2", KEY, "caller keys in 14 digits", *TAKEN]),
        (
            [*[Press("123")] * 3],
            "keyed",
            [KEY, "caller keys in 3 digits", *[SORRY, "caller keys in 3 digits"] * 2, *BACK],
        ),
        ([], "", [STAY, *BACK]),
        ([Agent()], "own", [OFFER, "agent agent1 takes the call", "stop speaking"]),
    ],
)
def test_who_waits_may_be_called_back(steps: list[ScriptStep], callbacks: str, expected: list[str], between: Between) -> None:
    told = simulate(DEMO, [*WAITING, Press("9"), *steps], between=between, callbacks=callbacks)
    texts = told.texts
    after = texts[texts.index("caller presses 9") + 1 :]
    assert [text for text in after if text not in ("music", "music off")] == expected
    assert told.state.queued == ("sales" if expected[-1] == "stop speaking" else "")


def test_the_digit_cuts_a_message_short() -> None:
    told = simulate(DEMO, [Press("1"), Place(3, 3), Press("9", early=True), Press("1")])
    assert told.texts[-5:] == [OFFER, "caller presses 1", *TAKEN]


def test_other_digits_change_nothing() -> None:
    told = simulate(DEMO, [*WAITING, Press("5"), Press("9"), Press("1")])
    assert told.texts[-3:] == TAKEN


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('accept: "1"', 'accept: "2"'), "both 2"),
        (("country: DE", "country: XX"), "no country XX"),
        (("country: DE", "country: Germany"), "two letters"),
        (("every: 60", "every: 5"), "at least 10"),
        (("refused: bye", "refuse: bye"), "did you mean 'refused'"),
        (("queue: sales  # b", "queue: sails"), "did you mean 'sales'"),
    ],
)
def test_faults_are_told(change: tuple[str, str], fault: str) -> None:
    text = """
flow: f
version: 1
entry: a
activities:
  a: {type: answer, exits: {done: q}}
  q:
    type: queue
    queue: sales
    callback: {digit: "9", prompt: Press 9., every: 60}
    exits: {callback: c, nobody: bye, closed: bye, full: bye}
  c:
    type: callback
    queue: sales  # b
    prompt: Press 1.
    accept: "1"
    other: {prompt: Which number, country: DE}
    exits: {taken: bye, declined: q, refused: bye}
  bye: {type: hangup}
"""
    assert check(text, {"sales"}) == []
    assert change[0] in text
    text = text.replace(*change)
    assert any(fault in problem.message for problem in check(text, {"sales"})), check(text, {"sales"})


@pytest.mark.parametrize(
    ("digits", "country", "number"),
    [
        ("03012345678", "DE", "+493012345678"),
        ("00493012345678#", "", "+493012345678"),
        ("493012345678", "", "+493012345678"),
        ("03012345678", "", None),
        ("00", "DE", None),
        ("", "DE", None),
        ("***", "DE", None),
        ("110", "DE", None),
        ("9" * 20, "", None),
    ],
)
def test_numbers_that_can_be_called(digits: str, country: str, number: str | None) -> None:
    assert callable_number(digits, country) == number
