"""The packaged demo flow as stories: what the caller does, what the caller notices."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ivr.document import packaged, parse
from ivr.script import (
    Agent,
    AgentLost,
    Fail,
    Leave,
    Message,
    Place,
    Press,
    Refuse,
    Restart,
    ScriptError,
    ScriptStep,
    Silence,
    TalkOver,
    Wait,
)
from ivr.simulator import Between, simulate
from ivr.validation import check

pytestmark = pytest.mark.unit

DEMO = parse(packaged("demo"))

GREETING = "say: Welcome to Switchroom."
CHOICES = "For sales, press 1. For support, press 2."
ASK = f"ask: {CHOICES}"
INVALID = f"ask: Sorry, that is not one of the choices. {CHOICES}"
NOTHING = f"ask: Sorry, I did not hear anything. {CHOICES}"
COMFORT = "say: Thank you for waiting. An agent will be with you soon."
NO_CHOICE = "say: We could not understand your choice. Please call again. Goodbye."
LEAVE = (
    "record: Nobody from {} can take your call right now. Please leave a message after the tone, "
    "and press the hash key when you are done. (beep)"
)
THANKS = "say: Thank you for your message. We will call you back. Goodbye."
TROUBLE = "say: We are sorry, there is a technical problem. Please call again later. Goodbye."

STORIES: dict[str, tuple[Sequence[ScriptStep], list[str]]] = {
    "an agent answers": (
        [Press("1"), Place(3, 5), Wait(30), Place(1, 2), Agent("agent1"), Wait(60), TalkOver("agent")],
        [
            "answer",
            GREETING,
            ASK,
            "caller presses 1",
            "enter queue sales (priority 5)",
            "place 3 of 5",
            "say: You are number 3 in the queue for Sales.",
            "music",
            "music off",
            COMFORT,
            "place 1 of 2",
            "agent agent1 takes the call",
            "stop speaking",
            "talk ended by the agent",
            "hang up (talk-ended)",
        ],
    ),
    "the second choice, dialled during the greeting": (
        [Press("2", early=True), Place(1, 1), Agent()],
        [
            "answer",
            GREETING,
            "caller presses 2",
            ASK,
            "enter queue support (priority 5)",
            "place 1 of 1",
            "say: You are number 1 in the queue for Support.",
            "agent agent1 takes the call",
            "stop speaking",
        ],
    ),
    "a wrong digit twice, then right": (
        [Press("9"), Press("*"), Press("1")],
        [
            *["answer", GREETING, ASK, "caller presses 9", INVALID, "caller presses *", INVALID],
            *["caller presses 1", "enter queue sales (priority 5)"],
        ],
    ),
    "a wrong digit three times": (
        [Press("9"), Press("0"), Press("#")],
        [
            *["answer", GREETING, ASK, "caller presses 9", INVALID, "caller presses 0", INVALID, "caller presses #"],
            *[NO_CHOICE, "hang up (goodbye)"],
        ],
    ),
    "silence": (
        [Silence(), Silence(), Silence()],
        ["answer", GREETING, ASK, NOTHING, NOTHING, NO_CHOICE, "hang up (goodbye)"],
    ),
    "silence and wrong digits are counted apart": (
        [Silence(), Press("9"), Silence(), Press("9"), Press("1")],
        [
            *["answer", GREETING, ASK, NOTHING, "caller presses 9", INVALID, NOTHING, "caller presses 9", INVALID],
            *["caller presses 1", "enter queue sales (priority 5)"],
        ],
    ),
    "nobody is logged in": (
        [Press("2"), Refuse("nobody"), Message(7)],
        [
            *["answer", GREETING, ASK, "caller presses 2", "enter queue support (priority 5)", "queue: nobody"],
            *[LEAVE.format("Support"), THANKS, "hang up (goodbye)"],
        ],
    ),
    "the last agent logs out while the caller hears music": (
        [Press("1"), Place(1, 1), Wait(10), Refuse("nobody"), Message(7)],
        [
            *["answer", GREETING, ASK, "caller presses 1", "enter queue sales (priority 5)", "place 1 of 1"],
            *["say: You are number 1 in the queue for Sales.", "music", "queue: nobody", "music off"],
            *[LEAVE.format("Sales"), THANKS, "hang up (goodbye)"],
        ],
    ),
    "the queue is full, and the caller says nothing": (
        [Press("1"), Refuse("full"), Wait(30)],
        [
            *["answer", GREETING, ASK, "caller presses 1", "enter queue sales (priority 5)", "queue: full"],
            *["say: All our agents are still busy.", LEAVE.format("Sales")],
            *["say: Thank you for calling. Goodbye.", "hang up (goodbye)"],
        ],
    ),
    "the caller hangs up after the message": (
        [Press("1"), Refuse("closed"), Wait(12), Leave()],
        [
            *["answer", GREETING, ASK, "caller presses 1", "enter queue sales (priority 5)", "queue: closed"],
            *[LEAVE.format("Sales"), "caller leaves", "stop recording"],
        ],
    ),
    "the agent is lost and another one comes": (
        [Press("1"), Place(1, 1), Wait(5), Agent("agent1"), Wait(5), AgentLost(), Wait(20), Agent("agent2"), TalkOver("agent")],
        [
            *["answer", GREETING, ASK, "caller presses 1", "enter queue sales (priority 5)", "place 1 of 1"],
            *["say: You are number 1 in the queue for Sales.", "music", "agent agent1 takes the call", "music off"],
            *[
                "agent lost",
                "music",
                "agent agent2 takes the call",
                "music off",
                "talk ended by the agent",
                "hang up (talk-ended)",
            ],
        ],
    ),
    "the caller gives up in the queue": (
        [Press("1"), Place(4, 4), Wait(5), Leave()],
        [
            *["answer", GREETING, ASK, "caller presses 1", "enter queue sales (priority 5)", "place 4 of 4"],
            *["say: You are number 4 in the queue for Sales.", "music", "caller leaves", "leave queue (caller-left)"],
        ],
    ),
    "the queue cannot be entered": (
        [Press("1"), Fail("unknown-queue")],
        [
            *["answer", GREETING, ASK, "caller presses 1", "enter queue sales (priority 5)", "failed: unknown-queue"],
            *[TROUBLE, "hang up (goodbye)"],
        ],
    ),
    "answering fails": ([Fail("gone")], ["answer", "failed: gone", TROUBLE, "hang up (goodbye)"]),
    "the greeting cannot be spoken": (
        [Wait(0), Fail("no-speech"), Press("1")],
        ["answer", GREETING, "failed: no-speech", ASK, "caller presses 1", "enter queue sales (priority 5)"],
    ),
    "the exchange restarts in menu and queue": (
        [Wait(3), Restart(1), Press("1"), Place(2, 2), Wait(1), Restart(4), Wait(10), Agent()],
        [
            *["answer", GREETING, ASK, "caller presses 1", "enter queue sales (priority 5)", "place 2 of 2"],
            *["say: You are number 2 in the queue for Sales.", "music", "agent agent1 takes the call", "music off"],
        ],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str) -> None:
    script, expected = STORIES[story]
    assert simulate(DEMO, script).texts == expected


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("between", ["recode", "resume", "lose"])
def test_restart_between_any_two_inputs_is_not_noticed(story: str, between: Between) -> None:
    script, _ = STORIES[story]
    assert simulate(DEMO, script, between=between).lines == simulate(DEMO, script).lines


def test_messages_interrupt_the_music_at_their_times_with_the_latest_place() -> None:
    lines = simulate(DEMO, [Press("1"), Place(5, 9), Wait(50), Place(2, 4), Wait(60)]).lines
    start = next(line.at for line in lines if line.text.startswith("enter queue"))
    said = [(round(line.at - start, 1), line.text[5:]) for line in lines if line.at >= start and line.text.startswith("say: ")]
    assert said == [
        (0.0, "You are number 5 in the queue for Sales."),
        (27.7, "Thank you for waiting. An agent will be with you soon."),
        (56.3, "Your call is important to us. Please stay on the line."),
        (64.9, "You are number 2 in the queue for Sales."),
        (84.9, "Thank you for waiting. An agent will be with you soon."),
    ]


def test_music_and_speech_never_sound_together() -> None:
    music = False
    for text in simulate(DEMO, [Press("1"), Place(5, 9), Wait(800), Agent(), TalkOver()]).texts:
        music = text == "music" or (music and text != "music off")
        assert not (music and text.startswith(("say:", "ask:", "record:")))


def test_timeout_leaves_the_queue_for_the_voicemail() -> None:
    transcript = simulate(DEMO, [Press("1"), Place(1, 1), Wait(901), Message(3)])
    at = next(line.at for line in transcript.lines if line.text == "leave queue (timeout)")
    entered = next(line.at for line in transcript.lines if line.text.startswith("enter queue"))
    assert at - entered == pytest.approx(900)
    assert transcript.texts[-6:] == [
        *["leave queue (timeout)", "music off", "say: All our agents are still busy."],
        *[LEAVE.format("Sales"), THANKS, "hang up (goodbye)"],
    ]


def test_outage_does_not_count_as_waiting() -> None:
    transcript = simulate(DEMO, [Press("1"), Place(1, 1), Wait(800), Restart(300), Wait(50)])
    assert "leave queue (timeout)" not in transcript.texts
    assert not transcript.state.ended


def test_music_begins_even_if_the_queue_never_tells_the_place() -> None:
    assert simulate(DEMO, [Press("1"), Wait(3)]).texts[-2:] == ["enter queue sales (priority 5)", "music"]


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([Silence(), Silence(), Silence()], "released"),
        ([Press("1"), Place(1, 1), Agent(), TalkOver()], "talk-ended"),
        ([Press("1"), Place(1, 1), Agent(), TalkOver("caller")], "talk-ended"),
        ([Press("1"), Place(1, 1), Agent(), Leave()], "caller-left"),
        ([Press("1"), Refuse("nobody"), Message(5)], "released"),
        ([Leave()], "caller-left"),
        ([Fail(), Fail()], "released"),
    ],
)
def test_outcome(script: Sequence[ScriptStep], outcome: str) -> None:
    assert simulate(DEMO, script).state.outcome == outcome


def test_a_story_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ScriptError, match="Message"):
        simulate(DEMO, [Press("1"), Place(1, 1), Message(3)])
    with pytest.raises(ScriptError, match="nobody talks"):
        simulate(DEMO, [TalkOver()])


def test_demo_has_no_problems() -> None:
    assert check(packaged("demo"), {"sales", "support"}) == []
    assert [problem.code for problem in check(packaged("demo"), {"sales"})] == ["unknown-queue"] * 2
