"""Activity `say`: speak to the caller."""

from __future__ import annotations

from collections.abc import Iterator

from ivr.activities.base import Activity, Prompt, named
from ivr.effects import Command, Speak
from ivr.inputs import CommandResult
from ivr.step import Step


class Say(Activity, frozen=True, kw_only=True, tag="say"):
    """Speaks `text`; exit `done`. With `barge_in` a digit ends it, and counts in the menu that follows.

    A text that cannot be spoken is left out: a silent prompt is better than a lost call.
    Resumes: the same command again, with the text as it was; the card goes on where it is.
    """

    text: Prompt
    barge_in: bool = False

    def prompts(self) -> Iterator[tuple[str, str]]:
        return named("text", self.text)

    def enter(self, step: Step) -> None:
        texts = step.render(self.text)
        if not texts:
            step.leave("done")
            return
        step.phase = "speaking"
        step.issue(Speak(step.next_id(), texts, self.barge_in))

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        step.leave("done")

    def failed(self, step: Step, command: Command, code: str) -> None:
        step.leave("done")
