"""Activity `queue`: wait for an agent, with music and messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from ivr.activities.base import Activity, Exit, Name, Prompt, named
from ivr.effects import CollectDigits, Command, EnterQueue, LeaveQueue, Speak
from ivr.inputs import CommandResult, Digits, QueueChanged, Refusal
from ivr.step import Step

ENTERING = "entering"
WAITING = "waiting"
SPEAKING = "speaking"

MESSAGES = ("position", "comfort", "callback")
"""In the order in which they are spoken."""

FIRST_PLACE = 2.0
"""Seconds that the queue has to say where the caller stands, before music begins without it."""

LEAST_MUSIC = 5.0
"""Seconds of music between two messages."""

LEAST_EVERY = 10.0
"""Seconds between two messages of a kind, at least: callers must hear the music too."""

LISTENING_SECONDS = 86400.0
"""How long a digit is waited for at a time, while music plays."""

Digit = Annotated[str, msgspec.Meta(pattern=r"^[0-9*#]$")]
Every = Annotated[float, msgspec.Meta(ge=LEAST_EVERY, le=3600)]


class Comfort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages in turn, one every so many seconds."""

    prompts: Annotated[list[Prompt], msgspec.Meta(min_length=1, max_length=20)]
    every: Every = 30.0


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The caller's place, at the start and every so many seconds (0: not again)."""

    prompt: Prompt
    at_start: bool = True
    every: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0


class CallbackKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digit by which a waiting caller asks to be called back, and the message that says so."""

    digit: Digit
    prompt: Prompt
    at_start: bool = False
    every: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0


class Queue(Activity, frozen=True, kw_only=True, tag="queue"):
    """Puts the contact into `queue` and plays music until an agent takes it; messages interrupt the music.

    With `callback` the caller may press its digit at any moment (it cuts messages short) and leaves by the exit `callback`; the
    place is kept, and an agent may still take the call, until the flow goes on to another queue or to voicemail.
    Messages are counted from the end of the one before; two that are due together are spoken together. `timeout` 0 waits
    without end. Exits: `answered` after the talk (not connected: the caller is released), `timeout`, and what the queue
    says: `nobody` (no agent is logged in), `closed`, `full`, and `overflow` when a rule of the queue sends the caller
    elsewhere (variables `overflow`: voicemail, number or flow, and `overflow_target`; not connected: as `full`). A contact
    whose agent is lost comes back to the music.

    Resumes: music again, and the entry into the queue if it was not confirmed (the engine knows its id); a message that was
    being spoken is sent again with its id; deadlines move by the length of the outage.
    """

    queue: Name
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    priority: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    music: Annotated[str, msgspec.Meta(max_length=200)] = ""
    timeout: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 0.0
    comfort: Comfort | None = None
    position: Position | None = None
    callback: CallbackKey | None = None

    def outlets(self) -> tuple[Exit, ...]:
        timeout = (Exit("timeout", waits=True),) if self.timeout else ()
        asked = (Exit("callback", waits=True),) if self.callback is not None else ()
        said = (Exit("nobody"), Exit("closed"), Exit("full"), Exit("overflow", required=False))
        return (Exit("answered", required=False, waits=True), *timeout, *asked, *said)

    def prompts(self) -> Iterator[tuple[str, str]]:
        if self.position is not None:
            yield from named("position.prompt", self.position.prompt)
        for prompt in self.comfort.prompts if self.comfort is not None else ():
            yield from named("comfort.prompts", prompt)
        if self.callback is not None:
            yield from named("callback.prompt", self.callback.prompt)

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.position is not None and 0 < self.position.every < LEAST_EVERY:
            yield "bad-setting", f"position.every is 0 (not again) or at least {LEAST_EVERY:g} seconds."
        if self.callback is not None and 0 < self.callback.every < LEAST_EVERY:
            yield "bad-setting", f"callback.every is 0 (not again) or at least {LEAST_EVERY:g} seconds."

    def keeps_place(self, queue: str) -> bool:
        return queue == self.queue

    def enter(self, step: Step) -> None:
        step.queued = ""
        step.variables |= {"queue": self.queue, "queue_name": self.name or self.queue}
        step.variables |= {"position": 0, "waiting": 0, "expected_wait": 0}
        step.phase = ENTERING
        step.issue(EnterQueue(step.next_id(), self.queue, self.priority))
        step.wake("place", FIRST_PLACE)
        self._limit(step)

    def queue_changed(self, step: Step, change: QueueChanged) -> None:
        step.settle_kind(EnterQueue)
        if step.phase != ENTERING:
            return
        step.forget_deadline("place")
        first = [("position", self.position), ("callback", self.callback)]
        messages = [name for name, message in first if message is not None and message.at_start]
        if messages:
            self._speak(step, messages)
        else:
            self._play(step)

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        if isinstance(command, Speak):
            self._play(step)
        elif isinstance(command, CollectDigits) and isinstance(result, Digits):
            self._pressed(step, result.digits)

    def failed(self, step: Step, command: Command, code: str) -> None:
        if isinstance(command, EnterQueue):
            step.fail(code)
            return
        if isinstance(command, CollectDigits):
            step.memory["deaf"] = 1  # asking again would only fail again
        self._play(step)

    def due(self, step: Step, names: list[str]) -> None:
        if "timeout" in names:
            step.emit(LeaveQueue("timeout"))
            step.leave("timeout")
            return
        if "place" in names and step.phase == ENTERING:
            self._play(step)
        messages: list[str] = [name for name in MESSAGES if name in names]
        if step.phase == WAITING and messages:
            self._speak(step, messages)
        elif step.phase == SPEAKING:
            for name in messages:
                step.wake(name, LEAST_MUSIC)

    def unavailable(self, step: Step, why: Refusal) -> None:
        known = why != "overflow" or "overflow" in self.exits
        step.leave(why if known else "full")

    def unassigned(self, step: Step) -> None:
        self._limit(step)
        self._play(step)

    def left(self, step: Step) -> None:
        step.emit(LeaveQueue("caller-left"))

    # --- music and messages ---------------------------------------------------------------------------------------

    def _limit(self, step: Step) -> None:
        if self.timeout:
            step.wake("timeout", self.timeout)

    def _pressed(self, step: Step, digits: str) -> None:
        if self.callback is not None and digits == self.callback.digit:
            step.queued = self.queue
            step.leave("callback")
        elif step.phase == WAITING:
            self._listen(step)

    def _listen(self, step: Step) -> None:
        """Wait for the digit while the music plays."""
        if self.callback is not None and not step.outstanding(CollectDigits) and not step.memory.get("deaf"):
            step.issue(CollectDigits(step.next_id(), [], first_timeout=LISTENING_SECONDS))

    def _play(self, step: Step) -> None:
        step.phase = WAITING
        step.music_on(self.music)
        self._listen(step)
        for name, every in (
            ("position", self.position.every if self.position is not None else 0),
            ("comfort", self.comfort.every if self.comfort is not None else 0),
            ("callback", self.callback.every if self.callback is not None else 0),
        ):
            at = step.deadline(name)
            if every and at is None:
                step.wake(name, every)
            elif at is not None and at < step.now + LEAST_MUSIC:
                step.wake(name, LEAST_MUSIC)

    def _speak(self, step: Step, messages: list[str]) -> None:
        texts: list[str] = []
        if "position" in messages and self.position is not None and step.variables.get("position"):
            texts += step.render(self.position.prompt)
        if "comfort" in messages and self.comfort is not None:
            turn = step.memory.get("comfort", 0)
            step.memory["comfort"] = (turn + 1) % len(self.comfort.prompts)
            texts += step.render(self.comfort.prompts[turn % len(self.comfort.prompts)])
        if "callback" in messages and self.callback is not None:
            texts += step.render(self.callback.prompt)
        if not texts:
            self._play(step)
            return
        step.silence_kind(CollectDigits)
        step.music_off()
        step.phase = SPEAKING
        step.issue(Speak(step.next_id(), texts, barge_in=self.callback is not None))
