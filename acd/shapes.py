"""How configuration is written for people: short forms, durations, needs like `german >= 5`; read by type, without loss.

Every type of acd.model can be written as a mapping of its fields, of which those named `…_seconds` may be called without that.
Many have a short form besides; `write` uses it whenever nothing is lost.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from acd.errors import Problem
from acd.model import (
    HIGHEST_PROFICIENCY,
    CallbackRule,
    ChannelCapacity,
    Code,
    Membership,
    MissRule,
    Need,
    OfferRule,
    Relaxation,
    SkillConfig,
    SkillNeed,
    Target,
    WrapUp,
)

MAX_PROBLEMS = 100
"""More are not reported: the first ones explain the rest."""
MAX_TEXT = 1_000
MOST_SECONDS = 10 * 365 * 86_400.0

BAD: Any = object()
"""Stands for what could not be read; a Problem says why."""

Place = tuple[str, ...]

_DURATION = re.compile(r"(?:(\d{1,6})d)?\s*(?:(\d{1,6})h)?\s*(?:(\d{1,6})m)?\s*(?:(\d{1,9}(?:\.\d{1,6})?)s)?")
_NEED = re.compile(
    r"(?P<skill>[^\s<>=]+)\s*(?:(?P<sign>>=|<=|==?)\s*(?P<number>\d{1,3})|(?P<least>\d{1,3})\s*\.\.\s*(?P<most>\d{1,3}))?"
    r"(?:\s+prefer\s+(?P<prefer>high|low))?"
)
_ID = re.compile(r"[A-Za-z0-9+][A-Za-z0-9_.@+-]{0,63}")


def field(kind: type, name: str) -> msgspec.structs.FieldInfo:
    """A field of a Struct by its name."""
    return names(kind)[name]


def key_of(name: str) -> str:
    """What a field is called in the document."""
    return name.removesuffix("_seconds") if name.endswith("_seconds") else name


@functools.cache
def keys(kind: type) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a Struct by their names in the document."""
    return {key_of(info.name): info for info in msgspec.structs.fields(kind)}


@functools.cache
def names(kind: type) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a Struct by their own names."""
    return {info.name: info for info in msgspec.structs.fields(kind)}


def default(info: msgspec.structs.FieldInfo) -> Any:
    """A field's default; msgspec.NODEFAULT where it has none."""
    return info.default_factory() if info.default_factory is not msgspec.NODEFAULT else info.default


# --- reading ------------------------------------------------------------------------------------------------------


class Reader:
    """Makes values of types out of plain data, and collects what is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, code: str, place: Place, message: str) -> Any:
        """Note a problem."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(code, place, message))
        return BAD

    def unknown(self, key: Any, known: Any, place: Place) -> None:
        """Note a key that does not exist."""
        close = difflib.get_close_matches(str(key)[:64], list(known), n=1)
        guess = f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(known)}."
        self.wrong("unknown-key", (*place, str(key)[:64]), f"There is no key '{str(key)[:64]}' here{guess}")

    def named(self, kind: type, id: str, data: Any, place: Place) -> Any:
        """A thing with an id, which is not in its data; its name is the id where none is given."""
        if not _ID.fullmatch(id):
            return self.wrong(
                "bad-id", place, "An id has 1 to 64 letters, digits or the signs _ . @ + - and begins with a letter or digit."
            )
        if data is None:
            data = {}
        if kind is SkillConfig and isinstance(data, str):
            data = {"name": data}
        if not isinstance(data, dict):
            return self.wrong("bad-value", place, "This must be a mapping of settings.")
        if "id" in data and data["id"] != id:
            return self.wrong("bad-id", (*place, "id"), f"The id is '{id}', and cannot be another one here.")
        given = {"id": id, **data}
        fields = keys(kind)
        if "name" in fields:
            given.setdefault("name", id)
        if "number" in fields:
            given.setdefault("number", id)
        return self._struct(kind, given, place)

    def read(self, kind: Any, data: Any, place: Place) -> Any:
        """A value of the type; BAD with a problem noted where that cannot be."""
        origin = get_origin(kind)
        if origin is Literal:
            return data if data in get_args(kind) and isinstance(data, str) else self._choice(get_args(kind), data, place)
        if origin in (Union, types.UnionType):
            return self._union(get_args(kind), data, place)
        if origin in (tuple, list):
            return self._sequence(get_args(kind)[0], data, place)
        if origin is dict:
            keys_are, values_are = get_args(kind)
            return self._mapping(keys_are, values_are, data, place)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._short(kind, data, place)
        return self._scalar(kind, data, place)

    def _choice(self, choices: tuple[str, ...], data: Any, place: Place) -> Any:
        words = ", ".join(word or "''" for word in choices)
        return self.wrong("bad-value", place, f"{_shown(data)} is none of {words}.")

    def _union(self, kinds: tuple[Any, ...], data: Any, place: Place) -> Any:
        if type(None) in kinds:
            return None if data is None else self.read(next(k for k in kinds if k is not type(None)), data, place)
        if isinstance(data, float) and math.isfinite(data):
            return data
        for kind in (bool, int, str):
            if kind in kinds and type(data) is kind:
                return self._scalar(kind, data, place)
        return self.wrong("bad-value", place, f"{_shown(data)} must be a text, a number, true or false.")

    def _sequence(self, kind: Any, data: Any, place: Place) -> Any:
        if kind is Code and isinstance(data, dict):
            return self._all(Code, [{"code": str(k), "name": str(k) if v is None else v} for k, v in data.items()], place)
        if not isinstance(data, list | tuple):
            data = [] if data is None else [data]
        return self._all(kind, data, place)

    def _all(self, kind: Any, data: Any, place: Place) -> Any:
        found = [self.read(kind, entry, (*place, str(number))) for number, entry in enumerate(data)]
        return BAD if BAD in found else tuple(found)

    def _mapping(self, key_kind: Any, kind: Any, data: Any, place: Place) -> Any:
        if data is None:
            return {}
        if not isinstance(data, dict):
            return self.wrong("bad-value", place, f"{_shown(data)} must be a mapping.")
        found = {}
        for key, value in data.items():
            name = self.read(key_kind, key, (*place, str(key)[:64]))
            inner = self.read(kind, value, (*place, str(key)[:64]))
            if name is BAD or inner is BAD:
                return BAD
            found[name] = inner
        return found

    def _scalar(self, kind: Any, data: Any, place: Place) -> Any:
        if kind is float:
            return self._seconds(data, place)
        if kind is bool and isinstance(data, bool):
            return data
        if kind is int and isinstance(data, int) and not isinstance(data, bool):
            return data if abs(data) < 10**15 else self.wrong("bad-value", place, f"{data} is too great.")
        if kind is str:
            if isinstance(data, int) and not isinstance(data, bool):
                data = str(data)  # 5000 as a number to dial needs no quotes
            if isinstance(data, str):
                lines = data.replace("\n", "") if place[-1:] == ("where",) else data
                if len(data) <= MAX_TEXT and lines.isprintable():
                    return data
                return self.wrong("bad-value", place, f"A text has at most {MAX_TEXT:,} characters, all of them visible.")
        what = {bool: "true or false", int: "a whole number", str: "a text"}[kind]
        return self.wrong("bad-value", place, f"{_shown(data)} must be {what}.")

    def _seconds(self, data: Any, place: Place) -> Any:
        if isinstance(data, str):
            found = seconds(data)
            if found is None:
                return self.wrong("bad-value", place, f"{_shown(data)} is no duration; write seconds, or 90s, 2m, 1h30m, 1d.")
            data = found
        if isinstance(data, int | float) and not isinstance(data, bool) and math.isfinite(data) and abs(data) <= MOST_SECONDS:
            return float(data)
        return self.wrong("bad-value", place, f"{_shown(data)} must be a number, or a duration of at most ten years.")

    def _short(self, kind: type[msgspec.Struct], data: Any, place: Place) -> Any:
        if isinstance(data, kind):
            return data
        if not isinstance(data, dict):
            read = _SHORT.get(kind)
            full = read(data) if read is not None else None
            if full is None:
                hint = f"; {_HINTS[kind]}" if kind in _HINTS else ""
                return self.wrong("bad-value", place, f"{_shown(data)} cannot be understood here{hint}.")
            data = full
        if kind is Relaxation and data.get("without") in ("all", "*"):
            data = {**data, "without": ["*"]}
        return self._struct(kind, data, place)

    def _struct(self, kind: type[msgspec.Struct], data: dict[Any, Any], place: Place) -> Any:
        known = keys(kind)
        by_name = names(kind)
        found: dict[str, Any] = {}
        for key, value in data.items():
            info = known.get(key) or by_name.get(key)
            if info is None:
                self.unknown(key, [name for name in known if name != "id"], place)
                continue
            found[info.name] = self.read(info.type, value, (*place, str(key)))
        for info in by_name.values():
            if info.required and info.name not in found:
                return self.wrong("missing-key", place, f"The key '{key_of(info.name)}' is missing.")
        return BAD if BAD in found.values() or self._has_unknown(data, known, by_name) else kind(**found)

    @staticmethod
    def _has_unknown(data: dict[Any, Any], known: dict[str, Any], by_name: dict[str, Any]) -> bool:
        return any(key not in known and key not in by_name for key in data)


def _shown(data: Any) -> str:
    if isinstance(data, dict):
        return "A mapping"
    if isinstance(data, list | tuple):
        return "A list"
    if data is None:
        return "Nothing"
    if isinstance(data, bool):
        return str(data).lower()
    return f"'{str(data)[:64]}'"


def seconds(text: str) -> float | None:
    """The seconds of `90s`, `2m`, `1h30m` or `1d`; None for what is no duration."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, rest = match.groups()
    return int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes or 0) * 60 + float(rest or 0)


def _read_membership(data: Any) -> dict[str, Any] | None:
    return {"queue": data} if isinstance(data, str | int) else None


def _read_skill_need(data: Any) -> dict[str, Any] | None:
    match = _NEED.fullmatch(data.strip()) if isinstance(data, str) else None
    if match is None:
        return None
    found: dict[str, Any] = {"skill": match["skill"]}
    if match["number"]:
        number = int(match["number"])
        found |= {"least": number} if match["sign"] != "<=" else {}
        found |= {"most": number} if match["sign"] != ">=" else {}
    if match["least"]:
        found |= {"least": int(match["least"]), "most": int(match["most"])}
    return found | ({"prefer": match["prefer"]} if match["prefer"] else {})


def _read_need(data: Any) -> dict[str, Any] | None:
    if isinstance(data, str):
        data = [part.strip() for part in data.split(",")]
    return {"skills": data} if isinstance(data, list | tuple) else None


def _read_target(data: Any) -> dict[str, Any] | None:
    if not isinstance(data, str):
        return None
    kind, _, id = data.strip().partition(" ")
    return {"kind": kind, "id": id.strip()}


def _read_wrap_up(data: Any) -> dict[str, Any] | None:
    if isinstance(data, str) and seconds(data) is None:
        return {"mode": data}
    return {"seconds": data} if _is_duration(data) else None


def _is_duration(data: Any) -> bool:
    return (isinstance(data, int | float) and not isinstance(data, bool)) or (
        isinstance(data, str) and seconds(data) is not None
    )


_SHORT: dict[type, Callable[[Any], dict[str, Any] | None]] = {
    Membership: _read_membership,
    SkillNeed: _read_skill_need,
    Need: _read_need,
    Target: _read_target,
    OfferRule: lambda data: {"seconds": data} if _is_duration(data) else None,
    WrapUp: _read_wrap_up,
    MissRule: lambda data: {"limit": data} if isinstance(data, int) and not isinstance(data, bool) else None,
    ChannelCapacity: lambda data: {"most": data} if isinstance(data, int) and not isinstance(data, bool) else None,
    CallbackRule: lambda data: {"offered": data} if isinstance(data, bool) else None,
    Code: lambda data: {"code": data, "name": data} if isinstance(data, str) else None,
}

_HINTS: dict[type, str] = {
    Membership: "name a queue, or write {queue: sales, priority: 2, delay: 30s}",
    SkillNeed: "write german, german >= 5, german <= 3, german 3..7, or one of them with 'prefer low' behind it",
    Need: "list skills like german >= 5, or write a mapping with skills, where, teams and agents",
    Target: "write queue support, team evening, agent anna, voicemail, number +4930123 or flow evening",
    WrapUp: "write off, optional, mandatory, a duration, or a mapping",
}


# --- writing ------------------------------------------------------------------------------------------------------


def write(value: Any) -> Any:
    """Plain data that `Reader.read` makes the same value of."""
    if isinstance(value, msgspec.Struct):
        full = _fields(value)
        short = _WRITERS.get(type(value))
        return full if short is None else short(value, full)
    if isinstance(value, tuple | list):
        if value and all(isinstance(entry, Code) for entry in value) and len({e.code for e in value}) == len(value):
            return {entry.code: entry.name for entry in value}
        return [write(entry) for entry in value]
    if isinstance(value, dict):
        return {key: write(value[key]) for key in sorted(value)}
    return value


def write_named(value: Any) -> Any:
    """A thing without its id, and without a name that is the same."""
    full = _fields(value)
    id = full.pop("id")
    for same in ("name", "number"):
        if full.get(same) == id:
            del full[same]
    return value.name if isinstance(value, SkillConfig) else full


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    found = {}
    for key, info in keys(type(value)).items():
        given = getattr(value, info.name)
        if info.required or given != default(info):
            found[key] = duration(given) if info.type is float else write(given)
    return found


def duration(value: float) -> int | float | str:
    """Seconds as people write them, without loss."""
    if value != int(value):
        return value
    whole = int(value)
    for unit, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if whole > 0 and whole % unit == 0:
            return f"{whole // unit}{letter}"
    return whole


def _write_skill_need(value: SkillNeed, full: dict[str, Any]) -> Any:
    if _ID.fullmatch(value.skill) is None or not 0 <= value.least <= 999 or not 0 <= value.most <= 999:
        return full
    text = value.skill
    match value.least, value.most:
        case 1, most if most == HIGHEST_PROFICIENCY:
            pass
        case least, most if most == HIGHEST_PROFICIENCY:
            text += f" >= {least}"
        case 1, most:
            text += f" <= {most}"
        case least, most:
            text += f" {least}..{most}"
    return text + (f" prefer {value.prefer}" if value.prefer else "")


def _write_target(value: Target, full: dict[str, Any]) -> Any:
    if value.id != value.id.strip() or full.keys() - {"kind", "id"}:
        return full
    return f"{value.kind} {value.id}".strip()


def _write_relaxation(value: Relaxation, full: dict[str, Any]) -> Any:
    return {**full, "without": "all"} if value.without == ("*",) else full


def _only(*names: str) -> Callable[[Any, dict[str, Any]], Any]:
    """The short form is the value of one of these keys, when nothing else is said."""

    def short(value: Any, full: dict[str, Any]) -> Any:
        return next(iter(full.values())) if len(full) == 1 and set(full) <= set(names) else full

    return short


_WRITERS: dict[type, Callable[[Any, dict[str, Any]], Any]] = {
    Membership: _only("queue"),
    SkillNeed: _write_skill_need,
    Need: _only("skills"),
    Target: _write_target,
    Relaxation: _write_relaxation,
    OfferRule: _only("seconds"),
    WrapUp: _only("mode", "seconds"),
    MissRule: _only("limit"),
    ChannelCapacity: _only("most"),
    CallbackRule: _only("offered"),
}
