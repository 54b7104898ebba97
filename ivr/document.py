"""Flow documents: what an admin writes, as a typed value."""

from __future__ import annotations

import difflib
import importlib.resources
import re
from typing import Annotated, Any

import msgspec

from ivr import yaml_reader
from ivr.activities import TYPES, AnyActivity
from ivr.activities.base import Name
from ivr.errors import FlowError, Problem
from ivr.variables import Variable

MAX_ACTIVITIES = 500
MAX_PROBLEMS = 100
"""More are not reported: the first ones explain the rest."""

PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "a name of letters, digits, underscores, dots and hyphens (at most 64)",
    r"^[0-9*#]{1,8}$": "one to eight of the digits 0 to 9, * and #",
    r"^[0-9*#]$": "one of the digits 0 to 9, * and #",
    r"^([A-Z]{2})?$": "a country's two letters, like DE",
    r"^[a-z][a-z0-9_]{0,63}$": "a name of small letters, digits and underscores (at most 64)",
}
"""The patterns of settings in words."""

VariableName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a flow. `flow` is its id, `on_error` the activity for callers of whom an activity failed."""

    flow: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    note: str = ""
    entry: Name
    on_error: Name | None = None
    variables: Annotated[dict[VariableName, Variable], msgspec.Meta(max_length=200)] = {}
    activities: Annotated[dict[Name, AnyActivity], msgspec.Meta(min_length=1, max_length=MAX_ACTIVITIES)]


def parse(text: str) -> Flow:
    """Read a document; raises FlowError with all that is wrong with its form. Whether it makes sense, `validation` says."""
    data = yaml_reader.read(text)
    if not isinstance(data, dict):
        raise FlowError(
            [Problem("syntax", "", "A flow document is a mapping with the keys flow, version, entry and activities.")]
        )
    try:
        return msgspec.convert(data, Flow)
    except msgspec.ValidationError as error:
        raise FlowError(_explain(data, error)) from error


def packaged(name: str) -> str:
    """The text of a flow that comes with Switchroom, like `demo`."""
    return importlib.resources.files("ivr").joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def _explain(data: dict[str, Any], first: msgspec.ValidationError) -> list[Problem]:
    """One problem for each activity that cannot be read, else the document's own."""
    problems: list[Problem] = []
    activities = data.get("activities")
    if isinstance(activities, dict):
        for name, settings in activities.items():
            problem = _explain_activity(str(name), settings)
            if problem is not None:
                problems.append(problem)
            if len(problems) >= MAX_PROBLEMS:
                return problems
        rest = {**data, "activities": {"only": {"type": "hangup"}}}
        try:
            msgspec.convert(rest, Flow)
        except msgspec.ValidationError as error:
            problems.insert(0, _problem("", error, list(Flow.__struct_fields__)))
    return problems or [_problem("", first, list(Flow.__struct_fields__))]


def _explain_activity(name: str, settings: Any) -> Problem | None:
    if not isinstance(settings, dict):
        return Problem("bad-setting", name, "An activity is a mapping with a type and its settings.")
    kind = settings.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        guess = _guess(kind, list(TYPES))
        return Problem("unknown-type", name, f"There is no activity type '{kind}'{guess}; the types are {', '.join(TYPES)}.")
    try:
        msgspec.convert(settings, TYPES[kind])
    except msgspec.ValidationError as error:
        return _problem(name, error, list(TYPES[kind].__struct_fields__))
    return None


def _problem(activity: str, error: msgspec.ValidationError, fields: list[str]) -> Problem:
    message = str(error)
    unknown = re.match(r"Object contains unknown field `([^`]*)`(?: - at `\$?\.?([^`]*)`)?", message)
    if unknown:
        inside = f" in '{unknown[2]}'" if unknown[2] else ""
        guess = "" if inside else _guess(unknown[1], fields)
        return Problem("unknown-setting", activity, f"There is no setting '{unknown[1]}'{inside}{guess}.")
    missing = re.match(r"Object missing required field `([^`]*)`(?: - at `\$?\.?([^`]*)`)?", message)
    if missing:
        inside = f" in '{missing[2]}'" if missing[2] else ""
        return Problem("missing-setting", activity, f"The setting '{missing[1]}' is missing{inside}.")
    for pattern, words in PATTERNS.items():
        message = message.replace(f"`str` matching regex {pattern!r}", words)
    place = re.match(r"(.*) - at `(key` in `)?\$?\.?(.*)`$", message, re.DOTALL)
    if place and place[3]:
        return Problem(
            "bad-setting",
            activity,
            f"A {'key' if place[2] else 'value'} of '{place[3].removesuffix('[...]')}' is wrong: {place[1]}.",
        )
    return Problem("bad-setting", activity, f"{message}.")


def _guess(word: object, known: list[str]) -> str:
    close = difflib.get_close_matches(str(word)[:64], known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
