"""From a question on the command line to its answer: which day, which rules, how many runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec

from acd.events import Configured
from acd.sentences import Names
from acd.simulation.day import Day
from exchange.lab import daylight, rules, synthetic, whatif
from exchange.lab.daylight import Measured
from exchange.lab.entries import Log
from exchange.lab.errors import LabError
from exchange.lab.times import moment, show, whole_day, zone_of


class Question(msgspec.Struct, frozen=True):
    """What `switchroom whatif` was asked."""

    config: Path | None
    day: str | None
    start: str | None
    end: str | None
    agents: list[str]
    synthetic: Path | None
    present: Path | None
    seeds: int
    processes: int
    zone: str | None


class Answer(msgspec.Struct, frozen=True):
    """And what it found."""

    comparison: whatif.Comparison
    head: str
    names: dict[str, str]


def span(day: str | None, start: str | None, end: str | None, zone: str | None) -> tuple[float, float]:
    """First and last second that is asked for; raises LabError."""
    here = zone_of(zone)
    first, last = whole_day(day, here)
    if start is not None and day is None:
        first = moment(start, here)
        last = first + 86_400.0
    elif start is not None:
        first = moment(start, here, None if "T" in start else _date(day))
    if end is not None:
        last = moment(end, here, None if "T" in end or day is None else _date(day))
    if last <= first:
        raise LabError("--to must be later than --from.")
    return first, last


def _date(day: str | None) -> date | None:
    return date.fromisoformat(day) if day is not None else None


async def read(question: Question, log: Log) -> Measured:
    """The day that the question is about; raises LabError."""
    if question.synthetic is not None:
        known = await log.span()
        present = await log.configured(known[1] + 1.0) if known is not None else None
        if present is None:
            raise LabError("There is no present configuration: name one with --present.")
        return Measured(synthetic.day(synthetic.load(question.synthetic), present), {}, 0, 0, 0)
    return await daylight.read(log, *span(question.day, question.start, question.end, question.zone))


def of_files(question: Question) -> Answer:
    """Synthetic arrivals under the rules of one file, and another; raises LabError."""
    if question.synthetic is None or question.present is None:
        raise LabError("--present is for --synthetic.")
    present, _ = rules.load(question.present)
    day = synthetic.day(synthetic.load(question.synthetic), present)
    return answer(question, Measured(day, {}, 0, 0, 0), None)


def answer(question: Question, measured: Measured, progress: Callable[[int, int], None] | None) -> Answer:
    """Run it; raises LabError."""
    day, present = measured.day, measured.day.rules()
    changed, warnings = rules.load(question.config) if question.config is not None else (None, [])
    restaffed, staffed = _restaffed(question, day, changed)
    found = whatif.compare(
        day, measured.figures, staffed, restaffed, seeds=question.seeds, processes=question.processes, done=progress
    )
    notes = [*found.notes, *(f"The changed configuration: {warning}" for warning in warnings), *_of_reading(measured)]
    found = msgspec.structs.replace(found, notes=notes)
    zone = zone_of(question.zone)
    when = f"{show(found.start, zone)} to {show(found.end, zone)}" if not day.streams else "synthetic arrivals"
    what = " and ".join(filter(None, [str(question.config) if question.config is not None else "", *question.agents]))
    head = f"{when}, {found.contacts:,} contacts; changed: {what or 'nothing'}"
    return Answer(found, head, Names.of(staffed or present).queues | Names.of(present).queues)


def _restaffed(question: Question, day: Day, changed: Configured | None) -> tuple[Day | None, Configured | None]:
    if not question.agents:
        return None, changed
    changes = [rules.staffing(words) for word in question.agents for words in word.split(",")]
    return rules.restaffed(day, changed if changed is not None else day.rules(), changes)


def _of_reading(measured: Measured) -> list[str]:
    notes = []
    if measured.left_out:
        notes.append(f"{measured.left_out} contacts were there already at the beginning: they are left out.")
    if measured.unread:
        notes.append(f"{measured.unread} events are of another version and could not be read.")
    if measured.without:
        notes.append(f"{measured.without} events are without their effects (logged by an older version) and say little.")
    return notes


def text(found: Answer) -> str:
    """For a person."""
    return whatif.text(found.comparison, found.names, found.head)


def as_json(found: Answer) -> str:
    """For programs; a range of one run alone has no bounds (null)."""
    return msgspec.json.encode(found.comparison).decode()
