"""What a day would have been under other rules: before and after, by queue, with how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from acd.events import Configured
from acd.simulation.compare import Range, difference, estimate
from acd.simulation.day import Day, Result, missing
from acd.simulation.figures import Figures
from exchange.lab.errors import LabError
from exchange.lab.runs import Side, both

NAMES = ("level", "asa", "p90", "abandonment", "occupancy", "offered", "answered", "abandoned", "flowed_out")
"""The figures that are compared, in the order of their columns."""


class Row(msgspec.Struct, frozen=True):
    """One figure of one queue."""

    figure: str
    measured: float | None
    before: Range | None
    after: Range | None
    change: Range | None
    """After minus before, paired by seed."""


class Comparison(msgspec.Struct, frozen=True):
    """`switchroom whatif --json`."""

    start: float
    end: float
    contacts: int
    seeds: int
    queues: dict[str, list[Row]]
    """The key "" is all queues together."""
    notes: list[str]


def compare(
    day: Day,
    measured: dict[str, Figures],
    changed: Configured | None,
    restaffed: Day | None = None,
    *,
    seeds: int = 4,
    processes: int = 0,
    done: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Run the day by its rules, and (with `changed`) by others; raises LabError."""
    after_day = restaffed or day
    rules = changed if changed is not None else after_day.rules()
    if unknown := missing(day, rules):
        raise LabError(
            f"Contacts of that day waited in queues that the changed configuration does not have: {', '.join(unknown)}. "
            "Keep these queues in it, with the changed rules."
        )
    if changed is None:
        results = both((Side(day, None),), seeds, processes, done)
        before, after = results[0], None
    else:
        results = both((Side(day, None), Side(after_day, changed)), seeds, processes, done)
        before, after = results[0], results[1]
    queues = dict.fromkeys([*before[0].figures, *(after[0].figures if after is not None else ())])
    rows = {queue: _rows(queue, measured, before, after) for queue in queues if _any(queue, before, after)}
    contacts = len(day.plans) if day.plans else before[0].figures[""].offered
    return Comparison(day.start, day.end, contacts, seeds, rows, _notes(day, after_day, before, after, changed))


def _any(queue: str, before: Sequence[Result], after: Sequence[Result] | None) -> bool:
    return any(r.figures[queue].offered for r in [*before, *(after or ())] if queue in r.figures)


def _rows(queue: str, measured: dict[str, Figures], before: Sequence[Result], after: Sequence[Result] | None) -> list[Row]:
    found = []
    for name in NAMES:
        one = [_value(result.figures.get(queue), name) for result in before]
        other = [_value(result.figures.get(queue), name) for result in after] if after is not None else []
        change = difference(one, other) if after is not None else None
        found.append(Row(name, _value(measured.get(queue), name), estimate(one), estimate(other), change))
    return found


def _value(figures: Figures | None, name: str) -> float | None:
    value = getattr(figures, name) if figures is not None else None
    return float(value) if value is not None else None


def _notes(
    day: Day, after_day: Day, before: Sequence[Result], after: Sequence[Result] | None, changed: Configured | None
) -> list[str]:
    """What the reader should know of how far this can be trusted."""
    notes = []
    if day.skipped:
        deeds = ", ".join(f"{number} × {kind}" for kind, number in sorted(day.skipped.items()))
        notes.append(f"What supervisors did by hand that day is left out: {deeds}.")
    if changed is not None:
        there = {agent for event in [*after_day.opening, *after_day.timeline] if (agent := getattr(event, "agent", None))}
        absent = [agent.id for agent in changed.agents if agent.id not in there]
        if absent:
            some = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
            notes.append(f"{len(absent)} agents of the changed configuration never logged in that day: {some}.")
    for name, results in (("present", before), ("changed", after or [])):
        left = max((result.open for result in results), default=0)
        if left:
            notes.append(f"Under the {name} rules up to {left} contacts were still here an hour after the end.")
        refused = {kind: number for result in results for kind, number in result.refused.items()}
        serious = {
            kind: n for kind, n in refused.items() if kind.startswith(("contact-arrived", "contact-queued", "configured"))
        }
        if serious:
            words = ", ".join(f"{number} × {kind}" for kind, number in sorted(serious.items()))
            notes.append(f"Under the {name} rules the engine refused: {words}.")
    return notes


_SERIOUS = ("contact-arrived", "contact-queued", "configured")

HEADS = ("", "MEASURED", "PRESENT RULES", "CHANGED RULES", "CHANGE")

LABELS = {
    "level": "service level",
    "asa": "ASA",
    "p90": "90 % wait at most",
    "abandonment": "abandonment",
    "occupancy": "occupancy",
    "offered": "offered",
    "answered": "answered",
    "abandoned": "abandoned",
    "flowed_out": "flowed out",
}

_SHARES = {"level", "abandonment", "occupancy"}
_SECONDS = {"asa", "p90"}


def text(found: Comparison, names: dict[str, str], head: str) -> str:
    """For a person."""
    out = [head, ""]
    for queue, rows in sorted(found.queues.items(), key=lambda pair: (pair[0] != "", pair[0])):
        out.append(f"{names.get(queue, queue)} ({queue})" if queue else "All queues")
        cells = [HEADS] + [
            (LABELS[r.figure], _figure(r.figure, r.measured), *(_range(r.figure, x) for x in (r.before, r.after)), _change(r))
            for r in rows
        ]
        used = [i for i in range(len(HEADS)) if any(row[i] for row in cells[1:])]
        widths = [max(len(row[i]) for row in cells) for i in used]
        out += ["  " + "  ".join(row[i].ljust(w) for i, w in zip(used, widths, strict=True)).rstrip() for row in cells]
        out.append("")
    out += [f"Note: {note}" for note in found.notes]
    out.append(
        f"Means of {found.seeds} runs with 95 % ranges (Student's t; the change is paired: the same customers in both). "
        "Service level: short abandons left out. Abandonment: short ones included. Occupancy: of the agents who serve the "
        "queue, whatever queue they worked for."
    )
    return "\n".join(out)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in _SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:.1f} s" if name in _SECONDS else f"{value:.0f}"


def _range(name: str, found: Range | None) -> str:
    if found is None:
        return ""
    spread = found.high - found.mean
    if spread == math.inf:
        return _figure(name, found.mean)
    return f"{_figure(name, found.mean)} ± {_figure(name, spread).split(' ')[0]}"


def _change(row: Row) -> str:
    found = row.change
    if found is None:
        return ""
    sign = "+" if found.mean > 0 else ""
    sure = "" if found.low <= 0.0 <= found.high else " *"
    points = _range(row.figure, found).replace("%", "points") if row.figure in _SHARES else _range(row.figure, found)
    return f"{sign}{points}{sure}"
