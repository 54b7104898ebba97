"""The variables of a flow: those of the language itself, those that a document declares, and their types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from ivr.inputs import Value

VariableType = Literal["text", "number", "yes_no"]

MAX_TEXT = 1000
"""Characters that a text variable keeps."""


class Variable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A declared variable: its type, and its value until something sets it."""

    type: VariableType = "text"
    default: Value | None = None

    def initial(self) -> Value:
        """The default, or the empty value of the type."""
        value = None if self.default is None else coerce(self.default, self.type)
        return EMPTY[self.type] if value is None else value


EMPTY: dict[VariableType, Value] = {"text": "", "number": 0, "yes_no": False}

BUILT_IN: dict[str, Variable] = {
    "caller": Variable("text"),
    "called": Variable("text"),
    "queue": Variable("text"),
    "queue_name": Variable("text"),
    "position": Variable("number"),
    "waiting": Variable("number"),
    "expected_wait": Variable("number"),
}
"""`caller` and `called` are the numbers (ANI, DNIS); the others are set by the queue: `expected_wait` is in seconds."""

GIVEN = frozenset({"caller", "called"})
"""Built-in variables that come with Started."""


def coerce(value: Value, type: VariableType) -> Value | None:
    """The value as that type, or None where it cannot be one."""
    if type == "text":
        if isinstance(value, str):
            # Half a surrogate pair (bytes of a header that are no UTF-8) could not be stored.
            return value[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
        return ("yes" if value else "no") if isinstance(value, bool) else f"{value}"[:MAX_TEXT]
    if type == "yes_no":
        if isinstance(value, str):
            return {"yes": True, "true": True, "no": False, "false": False}.get(value.strip().lower())
        return bool(value)
    if isinstance(value, str):
        return _number(value)
    return value if not isinstance(value, bool) and math.isfinite(value) and abs(value) < 2**53 else None


def type_of(value: Value) -> VariableType:
    """The type that a variable with this value has."""
    if isinstance(value, bool):
        return "yes_no"
    return "text" if isinstance(value, str) else "number"


def initial(declared: Mapping[str, Variable], given: Mapping[str, Value]) -> dict[str, Value]:
    """All variables at the start: defaults, then what was given, except what is undeclared or of another type."""
    known = {**BUILT_IN, **declared}
    values = {name: variable.initial() for name, variable in known.items()}
    for name, value in given.items():
        if name in declared or name in GIVEN:
            fitting = coerce(value, known[name].type)
            if fitting is not None:
                values[name] = fitting
    return values


def _number(text: str) -> Value | None:
    try:
        number = float(text[:40])
    except ValueError:
        return None
    if not math.isfinite(number) or abs(number) >= 2**53:
        return None
    return int(number) if number.is_integer() else number
