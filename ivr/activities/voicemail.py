"""Activity `voicemail`: let the caller leave a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from ivr.activities.base import Activity, Exit, Name, Prompt, named
from ivr.effects import Command, RecordMessage, StopRecording
from ivr.inputs import CommandResult, Recorded
from ivr.step import Step


class Voicemail(Activity, frozen=True, kw_only=True, tag="voicemail"):
    """Speaks `prompt`, beeps and records until `max_seconds`, `silence_seconds` of silence or #.

    Exits: `recorded`, or `none` when the message is shorter than `min_seconds` or nothing could be recorded. A caller who hangs
    up after the message has left one. It belongs to `queue`; without that setting, to the queue the caller came from.
    Resumes: the same command again with the same id; the recording goes on, a message finished meanwhile counts.
    """

    prompt: Prompt
    beep: bool = True
    min_seconds: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    max_seconds: Annotated[float, msgspec.Meta(ge=1, le=1800)] = 120.0
    silence_seconds: Annotated[float, msgspec.Meta(ge=1, le=60)] = 4.0
    queue: Name | None = None

    def outlets(self) -> tuple[Exit, ...]:
        return (Exit("recorded", waits=True), Exit("none"))

    def keeps_place(self, queue: str) -> bool:
        return False  # an agent in the middle of a message would be a surprise

    def prompts(self) -> Iterator[tuple[str, str]]:
        return named("prompt", self.prompt)

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.min_seconds >= self.max_seconds:
            yield (
                "bad-setting",
                f"No message can be as long as min_seconds {self.min_seconds:g} and end by max_seconds {self.max_seconds:g}.",
            )

    def enter(self, step: Step) -> None:
        step.phase = "recording"
        step.issue(
            RecordMessage(
                step.next_id(),
                step.render(self.prompt),
                self.beep,
                self.min_seconds,
                self.max_seconds,
                self.silence_seconds,
                queue=self.queue or str(step.variables.get("queue", "")),
            )
        )

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        recorded = isinstance(result, Recorded) and result.seconds >= self.min_seconds
        step.leave("recorded" if recorded else "none")

    def failed(self, step: Step, command: Command, code: str) -> None:
        step.leave("none")

    def left(self, step: Step) -> None:
        for command in step.outstanding(RecordMessage):
            step.emit(StopRecording(command.id))
