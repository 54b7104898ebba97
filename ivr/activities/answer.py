"""Activity `answer`: take the call."""

from __future__ import annotations

from ivr.activities.base import Activity
from ivr.effects import AnswerCall, Command
from ivr.inputs import CommandResult
from ivr.step import Step


class Answer(Activity, frozen=True, tag="answer"):
    """Answers the call; exit `done`. A call that is answered already is no fault.

    Resumes: the same command again; answering twice is answering once.
    """

    def needs_answer(self) -> bool:
        return False

    def enter(self, step: Step) -> None:
        step.phase = "answering"
        step.issue(AnswerCall(step.next_id()))

    def done(self, step: Step, command: Command, result: CommandResult) -> None:
        step.leave("done")
