"""One step of one flow: what an activity may read and do while the runner handles one input.

A Step is made from a frozen FlowState, changed by the activity, and frozen again; it never outlives `Runner.handle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ivr.effects import (
    AskNumber,
    CollectDigits,
    Command,
    FlowEffect,
    HangUp,
    HangUpReason,
    MusicOff,
    MusicOn,
    RecordMessage,
    Speak,
    StopRecording,
    StopSpeaking,
    WakeAt,
)
from ivr.inputs import Value
from ivr.prompts import render_all
from ivr.state import ENDED, FlowState, Outcome

OUTCOMES: dict[HangUpReason, Outcome] = {"goodbye": "released", "talk-ended": "talk-ended", "error": "error"}
REASONS: dict[Outcome, HangUpReason] = {outcome: reason for reason, outcome in OUTCOMES.items()}

AnyCommand = TypeVar("AnyCommand", bound=Command)


class Step:
    """The state under change and the effects so far."""

    def __init__(self, state: FlowState, now: float) -> None:
        self.now = now
        self.contact = state.contact
        self.activity = state.activity
        self.phase = state.phase
        self.variables: dict[str, Value] = dict(state.variables)
        self.memory = dict(state.memory)
        self.agent = state.agent
        self.failures = state.failures
        self.queued = state.queued
        self.effects: list[FlowEffect] = []
        self.exit: str | None = None
        self.failure: str | None = None
        self._before = state
        self._counter = state.counter
        self._outstanding: list[Command] = list(state.outstanding)
        self._deadlines = dict(state.deadlines)
        self._music = state.music
        self._outcome: Outcome = state.outcome
        self._wake = False

    # --- commands -------------------------------------------------------------------------------------------------

    def next_id(self) -> str:
        """A new command's id."""
        self._counter += 1
        return f"{self.contact}.{self._counter}"

    def issue(self, command: Command) -> None:
        """Send a command and await its end."""
        self._outstanding.append(command)
        self.effects.append(command)

    def emit(self, effect: FlowEffect) -> None:
        """Send an effect that has no end to be awaited."""
        self.effects.append(effect)

    def settle(self, id: str) -> Command | None:
        """The outstanding command with this id, which is outstanding no more; None: nobody waits for it."""
        for command in self._outstanding:
            if command.id == id:
                self._outstanding.remove(command)
                return command
        return None

    def settle_kind(self, kind: type[AnyCommand]) -> None:
        """Await no more commands of this kind: their end became known otherwise."""
        self._outstanding = [command for command in self._outstanding if not isinstance(command, kind)]

    def outstanding(self, kind: type[AnyCommand]) -> list[AnyCommand]:
        """The commands of this kind whose end is awaited."""
        return [command for command in self._outstanding if isinstance(command, kind)]

    def stop(self) -> None:
        """Stop what is being said, asked or recorded, and await nothing more."""
        for command in self._outstanding:
            if isinstance(command, (Speak, CollectDigits, AskNumber)):
                self.emit(StopSpeaking(command.id))
            elif isinstance(command, RecordMessage):
                self.emit(StopRecording(command.id))
        self._outstanding.clear()

    def silence_kind(self, kind: type[Speak] | type[CollectDigits]) -> None:
        """Stop what is said or asked by commands of this kind, and await nothing more of them."""
        for command in self.outstanding(kind):
            self.emit(StopSpeaking(command.id))
        self.settle_kind(kind)

    def reissue(self) -> None:
        """Send again everything that is in force: commands with their ids, music, the next waking."""
        self.effects.append(MusicOff() if self._music is None else MusicOn(self._music))
        self.effects.extend(self._outstanding)
        self._wake = True

    def silence(self) -> None:
        """Whatever may still be heard of the flow must stop."""
        self.effects += [StopSpeaking(""), MusicOff()]

    def render(self, texts: str | Sequence[str]) -> list[str]:
        """Prompts with the variables of now."""
        return render_all(texts, self.variables)

    # --- music and time -------------------------------------------------------------------------------------------

    def music_on(self, file: str) -> None:
        """Music, unless this music is on already."""
        if self._music != file:
            self._music = file
            self.emit(MusicOn(file))

    def music_off(self) -> None:
        """No music, if there was any."""
        if self._music is not None:
            self._music = None
            self.emit(MusicOff())

    def wake(self, name: str, after: float) -> None:
        """Set (or move) a deadline, seconds from now."""
        self._deadlines[name] = self.now + after

    def deadline(self, name: str) -> float | None:
        """When a deadline is due."""
        return self._deadlines.get(name)

    def due(self) -> list[str]:
        """Take the deadlines that have come, the earliest first."""
        self._wake = True
        names = sorted((at, name) for name, at in self._deadlines.items() if at <= self.now)
        for _, name in names:
            del self._deadlines[name]
        return [name for _, name in names]

    def forget_deadline(self, name: str) -> None:
        """This deadline does not matter any more."""
        self._deadlines.pop(name, None)

    def forget_deadlines(self) -> None:
        """Nothing wakes this flow any more."""
        self._deadlines.clear()

    def postpone(self, gap: float) -> None:
        """Move all deadlines: the time of an outage does not count."""
        self._deadlines = {name: at + gap for name, at in self._deadlines.items()}

    # --- ways out -------------------------------------------------------------------------------------------------

    def leave(self, exit: str) -> None:
        """Go out by an exit."""
        self.exit = exit

    def fail(self, code: str) -> None:
        """The activity cannot go on."""
        self.failure = code

    def hang_up(self, reason: HangUpReason) -> None:
        """End the call and the flow."""
        self.stop()
        self.music_off()
        self.emit(HangUp(reason))
        self.end(OUTCOMES[reason])

    def end(self, outcome: Outcome) -> None:
        """The flow is over."""
        self.phase = ENDED
        self._outcome = outcome
        self._outstanding.clear()
        self._deadlines.clear()
        self._music = None
        self.memory = {}
        self.agent = self.queued = ""
        self.exit = self.failure = None

    @property
    def ended(self) -> bool:
        """Nothing more may be done."""
        return self.phase == ENDED

    def enter(self, activity: str) -> None:
        """Arrive at an activity with nothing left of the one before."""
        self.stop()
        self.music_off()
        self.forget_deadlines()
        self.memory = {}
        self.activity = activity
        self.phase = ""
        self.exit = self.failure = None

    def freeze(self) -> tuple[FlowState, list[FlowEffect]]:
        """The next state, and the effects with the next waking."""
        state = FlowState(
            contact=self.contact,
            flow=self._before.flow,
            version=self._before.version,
            activity=self.activity,
            phase=self.phase,
            variables=self.variables,
            counter=self._counter,
            outstanding=tuple(self._outstanding),
            deadlines=self._deadlines,
            memory=self.memory,
            music=self._music,
            agent=self.agent,
            failures=self.failures,
            outcome=self._outcome,
            queued=self.queued,
        )
        at = state.wake_at
        if at is not None and (self._wake or at != self._before.wake_at):
            self.effects.append(WakeAt(at))
        return state, self.effects
