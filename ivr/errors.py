"""What can be wrong with a flow: a Problem is one fault in words, a FlowError all that keep a document from being read."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, order=True):
    """One fault: a stable code for machines, the activity it is in (empty: the document), a sentence for people."""

    code: str
    activity: str
    message: str

    def __str__(self) -> str:
        place = f"{self.activity}: " if self.activity else ""
        return f"{place}{self.message} [{self.code}]"


MAX_MESSAGE = 500


class FlowError(ValueError):
    """The text is not a flow; `problems` says why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = [msgspec.structs.replace(problem, message=problem.message[:MAX_MESSAGE]) for problem in problems]
        super().__init__("; ".join(str(problem) for problem in self.problems))


class PromptError(ValueError):
    """The text of a prompt is not a template."""
