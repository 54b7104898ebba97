"""Prompt texts with variables: `You are number {position} in the queue for {queue_name}.`

`{name}` is replaced by the variable, `{name:form}` by the variable in that form, `{{` and `}}` stand for the braces
themselves. There is nothing else: no expressions, no attributes, no calls.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from ivr.errors import PromptError
from ivr.inputs import Value
from ivr.variables import VariableType

MAX_VALUE = 200
"""Characters of one variable that are spoken; what callers send must not make a prompt endless."""

MAX_SPOKEN = 4000
"""Characters of one rendered text."""

FORMS: dict[str, frozenset[VariableType]] = {
    "digits": frozenset({"text", "number"}),
    "minutes": frozenset({"number"}),
}
"""`digits`: spelled one by one. `minutes`: seconds as whole minutes, rounded up, at least 1."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]{0,63})(?::([a-z]+))?\}|[{}]")


class Slot(msgspec.Struct, frozen=True):
    """A variable's place in a prompt."""

    name: str
    form: str = ""


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> tuple[str | Slot, ...]:
    """Texts and slots of a prompt; raises PromptError with a sentence that says what is wrong."""
    parts: list[str | Slot] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            parts.append(token[0])
        elif token in ("{", "}"):
            place = text[max(0, match.start() - 10) : match.start() + 15]
            raise PromptError(f"A variable is written {{name}}, and a brace itself is doubled; look near '{place}'.")
        else:
            name, form = match.group(1), match.group(2) or ""
            if form and form not in FORMS:
                raise PromptError(f"'{token}': there is no form '{form}'; the forms are {', '.join(sorted(FORMS))}.")
            parts.append(Slot(name, form))
    parts.append(text[end:])
    return tuple(part for part in parts if part != "")


def slots(text: str) -> list[Slot]:
    """The variables of a prompt; raises PromptError."""
    return [part for part in parse(text) if isinstance(part, Slot)]


def render(text: str, variables: Mapping[str, Value]) -> str:
    """The words to be spoken; an unknown variable is silent, and a text that is no template is spoken as it is."""
    try:
        parts = parse(text)
    except PromptError:
        return text
    words = (part if isinstance(part, str) else _spoken(variables.get(part.name, ""), part.form) for part in parts)
    return "".join(words).strip()[:MAX_SPOKEN]


def render_all(texts: str | Sequence[str], variables: Mapping[str, Value]) -> list[str]:
    """Each text rendered, without those that came out empty."""
    rendered = (render(text, variables) for text in ([texts] if isinstance(texts, str) else texts))
    return [text for text in rendered if text]


def _spoken(value: Value, form: str) -> str:
    if form == "digits":
        return " ".join(character for character in _plain(value) if character.isalnum())
    if form == "minutes" and isinstance(value, (int, float)) and math.isfinite(value):
        return str(max(1, math.ceil(value / 60)))
    return _plain(value)


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value) if isinstance(value, str) else f"{value:d}" if abs(value) < 10**30 else "very many"
    return "".join(character if character.isprintable() else " " for character in text[:MAX_VALUE])
