"""The runner by single inputs, and what must hold for any of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.document import Flow, packaged, parse
from ivr.effects import (
    AnswerCall,
    CollectDigits,
    EnterQueue,
    FlowEffect,
    HangUp,
    LeaveQueue,
    MusicOff,
    MusicOn,
    RecordMessage,
    Speak,
    StopSpeaking,
    WakeAt,
)
from ivr.inputs import (
    Assigned,
    CallerLeft,
    CommandDone,
    CommandFailed,
    DeadlineReached,
    Digits,
    Done,
    FlowInput,
    Played,
    QueueChanged,
    Recorded,
    Resumed,
    Started,
    TalkEnded,
    Unassigned,
    Unavailable,
)
from ivr.runner import Runner
from ivr.script import Agent, Place, Press, Refuse, TalkOver, Wait
from ivr.simulator import simulate
from ivr.state import NEW, TALKING, FlowState

pytestmark = pytest.mark.unit

DEMO = parse(packaged("demo"))

EVERYTHING = parse("""
flow: everything
version: 3
entry: early
on_error: again
variables:
  customer: {type: text, default: friend}
  visits: {type: number, default: 1}
  known: {type: yes_no}
activities:
  early: {type: set, values: {customer: "dear {customer}", visits: 2, known: yes}, exits: {done: answer}}
  answer: {type: answer, exits: {done: hello}}
  hello: {type: say, text: ["Hello {customer}", "{called:digits}"], exits: {done: menu}}
  menu:
    type: menu
    prompt: Which department?
    choices: {1: one, 12: twelve, "*": one}
    invalid: {retries: 1}
    no_input: {retries: 0}
    exits: {one: queue, twelve: mail, invalid: mail, no_input: end}
  queue:
    type: queue
    queue: q
    priority: 1
    music: jazz.wav
    timeout: 40
    position: {prompt: "Place {position}, {expected_wait:minutes} minutes", at_start: false, every: 15}
    exits: {answered: survey, timeout: queue, nobody: mail, closed: mail, full: end}
  survey: {type: say, text: "How was it?", barge_in: true, exits: {done: end}}
  mail: {type: voicemail, prompt: Speak, queue: other, exits: {recorded: end, none: menu}}
  again: {type: say, text: Sorry., exits: {done: menu}}
  end: {type: hangup}
""")


class Call:
    """A state that inputs are fed to."""

    def __init__(self, flow: Flow = EVERYTHING, **variables: Any) -> None:
        self.runner = Runner([flow])
        self.state = self.runner.begin("c7", flow.flow)
        self.now = 1000.0
        self.effects = self(Started("c7", variables))

    def __call__(self, input: FlowInput, after: float = 0.0) -> list[FlowEffect]:
        self.now += after
        self.state, self.effects = self.runner.handle(self.state, input, self.now)
        return self.effects

    def done(self, result: Any = None) -> list[FlowEffect]:
        """End the only outstanding command."""
        (command,) = self.state.outstanding
        return self(CommandDone(command.id, Done() if result is None else result))


def queued() -> Call:
    call = Call()
    call.done()
    call.done(Played())
    call.done(Digits("1"))
    return call


def test_commands_and_ids_to_the_queue() -> None:
    call = Call(called="5000", caller="+4930123", secretly="undeclared")
    assert call.effects == [AnswerCall("c7.1")]
    assert call.done() == [Speak("c7.2", ["Hello dear friend", "5 0 0 0"])]
    assert call.done(Played()) == [
        CollectDigits("c7.3", ["Which department?"], max_digits=2, terminators="#", first_timeout=5.0, digit_timeout=3.0)
    ]
    assert call.done(Digits("1")) == [EnterQueue("c7.4", "q", 1), WakeAt(1002.0)]
    assert call.state.variables["known"] is True
    assert call.state.variables["visits"] == 2
    assert "secretly" not in call.state.variables


def test_queue_with_music_position_and_timeout_into_itself() -> None:
    call = queued()
    assert call(QueueChanged(4, 9, 61.0)) == [MusicOn("jazz.wav"), WakeAt(1015.0)]
    assert call(DeadlineReached(), 15) == [MusicOff(), Speak("c7.5", ["Place 4, 2 minutes"]), WakeAt(1040.0)]
    assert call.done(Played()) == [MusicOn("jazz.wav"), WakeAt(1030.0)]
    call(DeadlineReached(), 15)
    speaking = call.state.outstanding[0]
    assert call(DeadlineReached(), 10) == [
        LeaveQueue("timeout"),
        StopSpeaking(speaking.id),
        EnterQueue("c7.7", "q", 1),
        WakeAt(1042.0),
    ]


def test_assigned_silences_at_once_and_the_talk_goes_on_to_its_exit() -> None:
    call = queued()
    call(QueueChanged(1, 1))
    call(DeadlineReached(), 15)
    assert call(Assigned("anna")) == [StopSpeaking("c7.5")]
    assert call.state.phase == TALKING
    assert call.state.agent == "anna"
    assert call.state.wake_at is None
    assert call(CommandDone("c7.5", Played("stopped"))) == []
    assert call(DeadlineReached(), 100) == []
    assert call(TalkEnded("agent")) == [Speak("c7.6", ["How was it?"], barge_in=True)]


def test_agent_there_after_the_flow_left_the_queue_still_gets_the_caller() -> None:
    call = queued()
    call(Unavailable("nobody"))
    assert isinstance(call.state.outstanding[0], RecordMessage)
    assert call(Assigned("anna"))[0].__class__.__name__ == "StopRecording"
    assert call.state.phase == TALKING
    assert call(TalkEnded("agent")) == [HangUp("talk-ended")]


def test_unassigned_brings_the_music_back_without_entering_again() -> None:
    call = queued()
    call(Assigned("anna"))
    assert call(Unassigned()) == [MusicOn("jazz.wav"), WakeAt(1015.0)]
    assert call.state.agent == ""
    assert call.state.deadlines == {"position": 1015.0, "timeout": 1040.0}


def test_called_too_early_asks_to_be_called_again() -> None:
    call = queued()
    assert call(DeadlineReached(), 1) == [WakeAt(1002.0)]


def test_message_due_while_another_is_spoken_waits_for_a_little_music() -> None:
    flow = parse(
        """
        {flow: f, version: 1, entry: a, activities: {a: {type: answer, exits: {done: q}}, q: {type: queue, queue: q,
         position: {prompt: "LONG", at_start: false, every: 20}, comfort: {prompts: [Soon.], every: 25}}}}""".replace(
            "LONG", "x" * 150
        )
    )
    lines = simulate(flow, [Place(1, 1), Wait(40)]).lines
    assert [(line.at, line.text[:8]) for line in lines if line.text.startswith(("say", "music"))] == [
        *[(0.0, "music"), (20.0, "music of"), (20.0, "say: xxx"), (30.0, "music")],
        *[(35.0, "music of"), (35.0, "say: Soo"), (35.3, "music")],
    ]


def test_resumed_repeats_what_is_in_force_with_the_same_ids() -> None:
    call = queued()
    assert call(Resumed(30.0), 30) == [MusicOff(), EnterQueue("c7.4", "q", 1), WakeAt(1032.0)]
    call(QueueChanged(1, 1))
    assert call(Resumed(), 1) == [MusicOn("jazz.wav"), WakeAt(1045.0)]
    call(Assigned("anna"))
    assert call(Resumed()) == [StopSpeaking(""), MusicOff()]
    call(TalkEnded("caller"))
    assert call(Resumed()) == [HangUp("talk-ended")]


def test_choice_of_several_digits_and_terminator() -> None:
    for pressed, kind in (("12", RecordMessage), ("1#", EnterQueue), ("*", EnterQueue), ("2", CollectDigits)):
        call = Call()
        call.done()
        call.done(Played())
        call.done(Digits(pressed))
        assert isinstance(call.state.outstanding[0], kind), pressed


def test_message_shorter_than_the_least_is_none() -> None:
    for seconds, kind in ((0.9, CollectDigits), (1.0, None)):
        call = Call()
        call.done()
        call.done(Played())
        call.done(Digits("12"))
        call.done(Recorded(seconds))
        assert (kind is None and call.state.ended) or isinstance(call.state.outstanding[0], kind or HangUp)


def test_first_failure_goes_to_on_error_the_second_hangs_up() -> None:
    call = Call()
    assert call(CommandFailed("c7.1", "timeout")) == [Speak("c7.2", ["Sorry."])]
    call.done(Played())
    call.done(Digits("1"))
    assert call(CommandFailed("c7.4", "unknown-queue"))[-1] == HangUp("error")
    assert call.state.outcome == "error"


def test_a_caller_of_whom_the_card_says_he_left_is_not_kept_for_ever() -> None:
    call = Call()
    call.done()
    call.done(Played())
    assert call.done(Digits("", "ended")) == [WakeAt(1005.0)]
    assert call(DeadlineReached(), 5) == [HangUp("error")]


def test_a_loop_that_nobody_stops_ends_with_a_hang_up() -> None:
    flow = parse("""
        {flow: loop, version: 1, entry: a, variables: {x: {}}, activities: {
            a: {type: set, values: {x: "{x}{x}!"}, exits: {done: b}}, b: {type: set, values: {x: "1"}, exits: {done: a}}}}""")
    assert Call(flow).effects == [HangUp("error")]


def test_callers_stay_in_their_version_and_a_removed_one_hangs_up() -> None:
    newer = msgspec.structs.replace(EVERYTHING, version=4, entry="end")
    runner = Runner([EVERYTHING])
    state = runner.begin("c", "everything")
    runner.add(newer)
    assert runner.handle(state, Started("c"), 0.0)[1] == [AnswerCall("c.1")]
    assert runner.begin("c", "everything").version == 4
    assert Runner([newer]).handle(state, Started("c"), 0.0)[1] == [HangUp("error")]
    with pytest.raises(KeyError):
        runner.begin("c", "no such flow")


def test_digits_and_variables_are_in_no_repr() -> None:
    assert "471" not in repr(CommandDone("c.1", Digits("471", "enough")))
    assert "+4930123" not in repr(Started("c", {"caller": "+4930123"}))
    call = Call(called="471", caller="+4930123")
    call.done()
    assert "4 7 1" in call.state.outstanding[0].texts  # type: ignore[union-attr]
    assert "471" not in repr(call.state)
    assert "4 7 1" not in repr(call.state)


def test_pressed_digits_are_not_in_the_state() -> None:
    call = Call()
    call.done()
    call.done(Played())
    call.done(Digits("77"))
    assert b"77" not in call.state.encode()


def test_half_a_character_from_a_header_can_be_stored() -> None:
    call = Call(caller="\ud83d")
    assert FlowState.decode(call.state.encode()).variables["caller"] == "?"


def test_state_refuses_other_bytes() -> None:
    for data in (b"", b"\xc1", b"\x80", msgspec.msgpack.encode({"contact": 1}), Call().state.encode()[:-1]):
        with pytest.raises(ValueError, match="not a flow state"):
            FlowState.decode(data)


def test_survey_after_the_talk_in_the_simulator() -> None:
    texts = simulate(EVERYTHING, [Press("1"), Place(1, 1), Agent(), TalkOver()]).texts
    assert texts[-3:] == ["talk ended by the agent", "say: How was it?", "hang up (goodbye)"]
    assert simulate(EVERYTHING, [Press("1"), Refuse("full")]).texts[-1] == "hang up (goodbye)"


# --- what must hold whatever comes --------------------------------------------------------------------------------

words = st.sampled_from(["", "1", "2", "9", "12", "1#", "*", "#"])
results = st.one_of(
    st.just(Done()),
    st.builds(Played, st.sampled_from(["finished", "stopped", "barged", "failed"])),
    st.builds(Digits, words, st.sampled_from(["enough", "timeout", "no-input", "stopped", "ended"])),
    st.builds(
        Recorded, st.sampled_from([0.0, 0.5, 20.0]), st.sampled_from(["terminator", "silence", "limit", "stopped", "ended"])
    ),
)
ids = st.integers(-3, 0)
"""Which command is meant, counted back from the last."""

outside = st.one_of(
    st.builds(Started, st.just("c"), st.dictionaries(st.sampled_from(["caller", "visits", "position"]), st.text(max_size=5))),
    st.just(DeadlineReached()),
    st.builds(QueueChanged, st.integers(-1, 2**40), st.integers(0, 99), st.floats()),
    st.builds(Assigned, st.sampled_from(["anna", "ben"])),
    st.just(Unassigned()),
    st.builds(Unavailable, st.sampled_from(["nobody", "closed", "full"])),
    st.builds(TalkEnded, st.sampled_from(["agent", "caller", "system"])),
    st.builds(Resumed, st.floats(0, 1e6)),
)
happenings = st.one_of(
    st.tuples(ids, results),
    st.tuples(ids, st.sampled_from(["error", "card-gone"])),
    outside,
    outside,
    st.just(CallerLeft()),
)


def as_input(happening: Any, state: FlowState) -> FlowInput:
    if not isinstance(happening, tuple):
        return happening  # type: ignore[no-any-return]
    back, what = happening
    id = f"{state.contact}.{state.counter + back}"
    return CommandFailed(id, what) if isinstance(what, str) else CommandDone(id, what)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([DEMO, EVERYTHING]),
    st.lists(st.tuples(happenings, st.sampled_from([0.0, 0.1, 3.0, 30.0, 1000.0])), max_size=40),
)
def test_whatever_comes(flow: Flow, story: list[tuple[Any, float]]) -> None:
    runner = Runner([flow])
    state = runner.begin("c", flow.flow)
    state, _ = runner.handle(state, Started("c"), 0.0)
    issued: list[str] = ["c.1"]
    now, music = 0.0, False
    for happening, after in story:
        now += after
        given_input = as_input(happening, state)
        before = state.encode()
        was_ended = state.ended
        state, effects = runner.handle(state, given_input, now)
        again, same = runner.handle(FlowState.decode(before), given_input, now)
        assert msgspec.msgpack.encode(same) == msgspec.msgpack.encode(effects)
        assert again.encode() == state.encode()
        if was_ended:
            assert effects == [] or isinstance(given_input, Resumed)
            continue
        assert state.ended or not isinstance(given_input, CallerLeft)
        assert sum(isinstance(effect, HangUp) for effect in effects) <= 1
        for effect in effects:
            if isinstance(effect, (MusicOn, MusicOff)):
                music = isinstance(effect, MusicOn)
            if isinstance(effect, (Speak, CollectDigits, RecordMessage)):
                assert not music
            if isinstance(effect, (AnswerCall, Speak, CollectDigits, RecordMessage, EnterQueue)) and not isinstance(
                given_input, Resumed
            ):
                assert effect.id not in issued
                issued.append(effect.id)
            if isinstance(effect, WakeAt):
                assert effect.at == state.wake_at
        assert_not_stuck(state)


def assert_not_stuck(state: FlowState) -> None:
    """Something is awaited: a command, a deadline, an agent's talk, or a queue's doing."""
    if state.ended:
        assert state.outcome
        assert not state.outstanding
        assert state.wake_at is None
    elif state.phase not in (NEW, TALKING):
        assert state.outstanding or state.deadlines or state.phase == "waiting"
