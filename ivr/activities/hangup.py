"""Activity `hangup`: end the call without a word."""

from __future__ import annotations

from ivr.activities.base import Activity, Exit
from ivr.step import Step


class Hangup(Activity, frozen=True, tag="hangup"):
    """Hangs up; it has no exits. A call that was never answered is rejected by it.

    Resumes: nothing to do, it is over at once.
    """

    def outlets(self) -> tuple[Exit, ...]:
        return ()

    def needs_answer(self) -> bool:
        return False

    def enter(self, step: Step) -> None:
        step.hang_up("goodbye")
