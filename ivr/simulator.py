"""Walks a flow with a scripted caller in virtual time; gives the transcript. For tests and for trying a flow before it is used.

The simulated card speaks 15 characters a second, keeps digits that are dialled ahead, and does a command it has had once only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from ivr.document import Flow
from ivr.effects import (
    AnswerCall,
    AskNumber,
    CollectDigits,
    Command,
    EnterQueue,
    FlowEffect,
    HangUp,
    LeaveQueue,
    MusicOff,
    MusicOn,
    OfferCallback,
    RecordMessage,
    Speak,
    StopRecording,
    StopSpeaking,
    TakeCallback,
    WakeAt,
)
from ivr.inputs import (
    Assigned,
    CallbackOffer,
    CallerLeft,
    CommandDone,
    CommandFailed,
    CommandResult,
    DeadlineReached,
    Digits,
    Done,
    FlowInput,
    NumberKeyed,
    Played,
    QueueChanged,
    Recorded,
    Resumed,
    Started,
    TalkEnded,
    Unassigned,
    Unavailable,
    Value,
)
from ivr.numbers import callable_number
from ivr.runner import Runner
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
from ivr.state import TALKING, FlowState

CHARACTERS_A_SECOND = 15.0
MAX_INPUTS = 10_000
"""Inputs of one simulation; a script that waits for days in a queue ends here."""

Between = Literal["nothing", "recode", "resume", "lose"]
"""What happens between two inputs: nothing; the state goes through msgpack; then also a Resumed; or a crash in which the
effects of the input are lost before the Resumed (but not what takes the contact out of a queue: the engine's log has that)."""


class Line(msgspec.Struct, frozen=True):
    """One thing that happened, seconds after the start."""

    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.at:7.1f}  {self.text}"


class Transcript(msgspec.Struct, frozen=True):
    """What caller and agent would have noticed, and how it ended."""

    lines: list[Line]
    state: FlowState

    @property
    def texts(self) -> list[str]:
        """The lines without times."""
        return [line.text for line in self.lines]

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines))


class _Job(msgspec.Struct):
    """A command that the simulated card is at: the prompt ends, then the whole."""

    command: Command
    prompt_ends: float
    ends: float
    result: CommandResult


def simulate(
    flow: Flow,
    script: Iterable[ScriptStep] = (),
    variables: Mapping[str, Value] | None = None,
    between: Between = "nothing",
    *,
    callbacks: str = "own",
) -> Transcript:
    """Run the script, then go on until the call ends or waits in a queue or a talk; raises ScriptError.

    `callbacks`: queues call back at the `own` number, at one that is `keyed` in, or (empty) not at all.
    """
    simulation = _Simulation(Runner([flow]), flow.flow, between, callbacks)
    simulation.start(dict(variables or {}))
    for step in script:
        simulation.perform(step)
    simulation.finish()
    return Transcript(simulation.lines, simulation.state)


class _Simulation:
    def __init__(self, runner: Runner, flow: str, between: Between, callbacks: str) -> None:
        self.state = runner.begin("call", flow)
        self.lines: list[Line] = []
        self._runner = runner
        self._between = between
        self._callbacks = callbacks
        self._now = 0.0
        self._inputs = 0
        self._wake: float | None = None
        self._jobs: dict[str, _Job] = {}
        self._seen: set[str] = set()
        self._ahead = ""
        self._music: str | None = None
        self._queued = False
        self._gone = False

    # --- the story ------------------------------------------------------------------------------------------------

    def start(self, variables: dict[str, Value]) -> None:
        self._input(Started("call", variables))

    def perform(self, step: ScriptStep) -> None:
        match step:
            case Press():
                self._press(step)
            case Silence():
                self._reach(step, CollectDigits)
                self._run(self._job(CollectDigits).ends)
            case Wait(seconds=seconds):
                self._run(self._now + seconds)
            case Message(seconds=seconds):
                self._reach(step, RecordMessage)
                job = self._job(RecordMessage)
                self._run(job.prompt_ends)
                job.ends = self._now + seconds
                job.result = Recorded(seconds)
                self._run(job.ends)
            case Restart(seconds=seconds):
                self._restart(seconds)
            case _:
                self._happen(step)

    def finish(self) -> None:
        while not self.state.ended and (not self._queued or self.state.queued) and self.state.phase != TALKING:
            at = self._next()
            if at is None:
                return
            self._run(at)

    def _happen(self, step: ScriptStep) -> None:
        """Steps that come from outside, at the moment."""
        if isinstance(step, (Place, Refuse)):
            self._reach(step, EnterQueue)
        if self.state.ended:
            raise ScriptError(f"{step} cannot happen: the flow has ended.")
        if isinstance(step, (TalkOver, AgentLost)) and self.state.phase != TALKING:
            raise ScriptError(f"{step} cannot happen: nobody talks.")
        match step:
            case Place(position=position, waiting=waiting, ewt=ewt):
                self._note(f"place {position} of {waiting}")
                self._input(QueueChanged(position, waiting, ewt))
            case Refuse(why=why):
                self._note(f"queue: {why}")
                self._queued = False
                self._input(Unavailable(why))
            case Agent(agent=agent):
                self._note(f"agent {agent} takes the call")
                self._input(Assigned(agent))
            case AgentLost():
                self._note("agent lost")
                self._input(Unassigned())
            case TalkOver(by=by):
                self._note(f"talk ended by the {by}")
                self._queued = False
                self._input(TalkEnded(by))
            case Fail(code=code):
                self._fail(step, code)
            case Leave():
                self._note("caller leaves")
                self._gone = True
                self._input(CallerLeft())

    def _fail(self, step: ScriptStep, code: str) -> None:
        failing = [*self._jobs, *(command.id for command in self.state.outstanding if isinstance(command, EnterQueue))]
        if not failing:
            raise ScriptError(f"{step} cannot happen: nothing is being done.")
        if self._jobs.pop(failing[0], None) is None:
            self._queued = False
        self._note(f"failed: {code}")
        self._input(CommandFailed(failing[0], code))

    def _press(self, step: Press) -> None:
        if step.early:
            self._run(self._now + 1.0)
            self._note(f"caller presses {step.digits}")
            self._ahead += step.digits
            for job in list(self._jobs.values()):
                if isinstance(job.command, Speak) and job.command.barge_in:
                    self._end(job.command.id, Played("barged"))
            self._take_digits()
            self._run(self._now)
            return
        self._reach(step, CollectDigits, AskNumber)
        job = self._job(CollectDigits, AskNumber)
        self._run(job.prompt_ends + min(1.0, (job.ends - job.prompt_ends) / 2))
        if isinstance(job.command, AskNumber):
            self._note(f"caller keys in {len(step.digits.rstrip('#'))} digits")
            job.ends = self._now
            job.result = NumberKeyed("good" if callable_number(step.digits, job.command.country) else "bad")
            self._run(self._now)
            return
        secret = isinstance(job.command, CollectDigits) and job.command.secret
        self._note(f"caller presses {'•' * len(step.digits) if secret else step.digits}")
        self._ahead += step.digits
        self._take_digits()
        self._run(self._now)

    def _restart(self, seconds: float) -> None:
        """Cards go on alone; what they have to say waits for the exchange."""
        self._now += seconds
        self.state = FlowState.decode(self.state.encode())
        self._handle(Resumed(seconds))
        self._run(self._now)

    # --- time -----------------------------------------------------------------------------------------------------

    def _next(self) -> float | None:
        times = [job.ends for job in self._jobs.values()]
        if self._wake is not None and not self.state.ended:
            times.append(self._wake)
        return min(times, default=None)

    def _run(self, until: float) -> None:
        while True:
            at = self._next()
            if at is None or at > until:
                break
            self._now = max(self._now, at)
            job = min(self._jobs.values(), key=lambda job: job.ends, default=None)
            if job is not None and job.ends <= at:
                self._end(job.command.id, job.result)
            else:
                self._wake = None
                self._input(DeadlineReached())
        self._now = max(self._now, until)

    def _reach(self, step: ScriptStep, *kinds: type[Command]) -> None:
        """Let the call go on until it is at such a command; an EnterQueue is reached while the contact is in the queue."""
        queue = kinds == (EnterQueue,)
        while not (self._queued if queue else any(isinstance(job.command, kinds) for job in self._jobs.values())):
            at = self._next()
            if at is None or (self._queued and not self.state.queued and self.state.phase != TALKING and not queue):
                raise ScriptError(f"{step} cannot happen at {self._now:.1f} s: the call is in {self.state!r}.")
            self._run(at)

    def _job(self, *kinds: type[Command]) -> _Job:
        return next(job for job in self._jobs.values() if isinstance(job.command, kinds))

    # --- the flow -------------------------------------------------------------------------------------------------

    def _input(self, input: FlowInput) -> None:
        lost = self._between == "lose" and not self.state.ended
        effects = self._decide(input)
        if not lost:
            self._carry_out(effects)
        if self._between != "nothing":
            self.state = FlowState.decode(self.state.encode())
        if self._between in ("resume", "lose"):
            if lost:
                self._carry_out([effect for effect in effects if isinstance(effect, (LeaveQueue, StopRecording))])
            self._handle(Resumed())

    def _handle(self, input: FlowInput) -> None:
        self._carry_out(self._decide(input))

    def _decide(self, input: FlowInput) -> list[FlowEffect]:
        self._inputs += 1
        if self._inputs > MAX_INPUTS:
            raise ScriptError(f"More than {MAX_INPUTS} things happened; the call is in {self.state!r}.")
        self.state, effects = self._runner.handle(self.state, input, self._now)
        return effects

    def _end(self, id: str, result: CommandResult) -> None:
        if self._jobs.pop(id, None) is not None:
            self._input(CommandDone(id, result))

    def _carry_out(self, effects: Sequence[FlowEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Command):
                if effect.id not in self._seen:
                    self._seen.add(effect.id)
                    self._begin(effect)
            else:
                self._do(effect)
        self._take_digits()

    def _begin(self, command: Command) -> None:
        match command:
            case AnswerCall():
                self._note("answer")
                self._work(command, 0.0, 0.0, Done())
            case Speak(texts=texts):
                self._note(f"say: {' '.join(texts)}")
                self._work(command, _seconds(texts), 0.0, Played())
            case CollectDigits(texts=texts, first_timeout=wait):
                if texts:  # without, a digit is waited for behind the music
                    self._note(f"ask: {' '.join(texts)}")
                self._work(command, _seconds(texts), wait, Digits("", "no-input"))
            case RecordMessage(texts=texts, silence_seconds=silence):
                self._note(f"record: {' '.join(texts)}{' (beep)' if command.beep else ''}")
                self._work(command, _seconds(texts), silence, Recorded(0.0, "silence"))
            case EnterQueue(queue=queue, priority=priority):
                self._note(f"enter queue {queue} (priority {priority})")
                self._queued = True
            case AskNumber(texts=texts, first_timeout=wait):
                self._note(f"ask number: {' '.join(texts)}")
                self._work(command, _seconds(texts), wait, NumberKeyed("none"))
            case OfferCallback(id=id):
                self._decided(id, CallbackOffer(self._callbacks == "own") if self._callbacks else None)
            case TakeCallback(id=id, queue=queue):
                self._note(f"called back by {queue}")
                self._queued = False
                self._decided(id, Done())

    def _decided(self, id: str, result: CommandResult | None) -> None:
        """What the house answers at once."""
        self._input(CommandDone(id, result) if result is not None else CommandFailed(id, "no-callbacks"))

    def _work(self, command: Command, prompt: float, after: float, result: CommandResult) -> None:
        self._jobs[command.id] = _Job(command, self._now + prompt, self._now + prompt + after, result)

    def _do(self, effect: FlowEffect) -> None:
        match effect:
            case MusicOn(file=file):
                if self._music != file:
                    self._note(f"music {file}".strip())
                self._music = file
            case MusicOff():
                if self._music is not None:
                    self._note("music off")
                self._music = None
            case StopSpeaking(id=id):
                self._stop(id, (Speak, CollectDigits, AskNumber), "stop speaking")
            case StopRecording(id=id):
                self._stop(id, (RecordMessage,), "stop recording")
            case LeaveQueue(why=why):
                self._note(f"leave queue ({why})")
                self._queued = False
            case HangUp(reason=reason):
                if not self._gone:
                    self._note(f"hang up ({reason})")
                self._gone = True
                self._jobs.clear()
            case WakeAt(at=at):
                self._wake = at

    def _stop(self, id: str, kinds: tuple[type, ...], word: str) -> None:
        for job in list(self._jobs.values()):
            if isinstance(job.command, kinds) and id in ("", job.command.id):
                del self._jobs[job.command.id]
                if not isinstance(job.command, CollectDigits) or job.command.texts:
                    self._note(word)

    def _take_digits(self) -> None:
        """The card's side of a question: digits of now or dialled ahead end it, when they are enough or no more come."""
        for job in list(self._jobs.values()):
            command = job.command
            if not isinstance(command, CollectDigits) or not self._ahead:
                continue
            taken = job.result.digits if isinstance(job.result, Digits) else ""
            heard = self._now if command.barge_in else max(self._now, job.prompt_ends)
            while self._ahead and len(taken) < command.max_digits:
                digit, self._ahead = self._ahead[0], self._ahead[1:]
                if digit in command.terminators:
                    job.result, job.ends = Digits(taken, "enough"), heard
                    break
                taken += digit
            else:
                enough = len(taken) >= command.max_digits
                job.result = Digits(taken, "enough" if enough else "timeout")
                job.ends = heard + (0.0 if enough else command.digit_timeout)
            job.prompt_ends = min(job.prompt_ends, heard)

    def _note(self, text: str) -> None:
        self.lines.append(Line(round(self._now, 3), text))


def _seconds(texts: Sequence[str]) -> float:
    return round(sum(map(len, texts)) / CHARACTERS_A_SECOND, 1)
