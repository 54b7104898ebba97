"""Activity `set`: give variables new values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from ivr.activities.base import Activity
from ivr.inputs import Value
from ivr.prompts import render
from ivr.step import Step
from ivr.variables import coerce, type_of


class Set(Activity, frozen=True, kw_only=True, tag="set"):
    """Sets each variable of `values`; texts may have variables in them. Exit `done`.

    A value that does not fit the variable's type leaves it as it is.
    Resumes: nothing to do, it is over at once.
    """

    values: Annotated[dict[str, Value], msgspec.Meta(min_length=1, max_length=100)]

    def prompts(self) -> Iterator[tuple[str, str]]:
        return ((f"values.{name}", value) for name, value in self.values.items() if isinstance(value, str))

    def needs_answer(self) -> bool:
        return False

    def enter(self, step: Step) -> None:
        for name, value in self.values.items():
            current = step.variables.get(name)
            if current is None:
                continue
            fitting = coerce(render(value, step.variables) if isinstance(value, str) else value, type_of(current))
            if fitting is not None:
                step.variables[name] = fitting
        step.leave("done")
