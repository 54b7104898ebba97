"""Activity `goodbye`: speak, then end the call."""

from __future__ import annotations

from collections.abc import Iterator

from ivr.activities.base import Activity, Exit, Prompt, named
from ivr.effects import Command, Speak
from ivr.inputs import CommandResult
from ivr.step import Step


class Goodbye(Activity, frozen=True, kw_only=True, tag="goodbye"):
    """Speaks `text` to its end and hangs up; it has no exits.

    Resumes: the same command again; the call ends when the card has spoken.
    """

    text: Prompt

    def outlets(self) -> tuple[Exit, ...]:
        return ()

    def prompts(self) -> Iterator[tuple[str, str]]:
        return named("text", self.text)

    def enter(self, step: Step) -> None:
        texts = step.render(self.text)
        if not texts:
            step.hang_up("goodbye")
            return
        step.phase = "speaking"
        step.issue(Speak(step.next_id(), texts))

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        step.hang_up("goodbye")

    def failed(self, step: Step, command: Command, code: str) -> None:
        step.hang_up("goodbye")
