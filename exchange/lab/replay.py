"""The log through the house of this version: does it still decide the same?"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Literal

import msgspec

from acd.effects import Effect
from acd.errors import Refused
from exchange.brain import logged, records
from exchange.brain.records import KIND, REJECTED, Record
from exchange.lab.entries import Log
from exchange.lab.player import Player
from exchange.lab.times import show
from storage.entries import LogRow

DIFF_LINES = 80
"""More of a difference is not shown."""


class Difference(msgspec.Struct, frozen=True):
    """The first event that gives something else now."""

    epoch: int
    offset: int
    at: float
    record: str
    """As JSON."""
    why: Literal["effects", "refused", "raised", "unreadable"]
    lines: list[str]
    """What was logged (-) and what comes out now (+)."""


class Report(msgspec.Struct):
    """`switchroom replay --json`."""

    start: Literal["beginning", "snapshot"] = "beginning"
    began_at: float = 0.0
    """Time of the first event that was replayed."""
    before: int = 0
    """Events replayed only to come to `--from`."""
    compared: int = 0
    """Events whose effects were compared."""
    effects: int = 0
    without: int = 0
    """Events of which the log does not know the effects."""
    rejected: int = 0
    """Events that raised when they came; they are passed over, as at every recovery."""
    seconds: float = 0.0
    difference: Difference | None = None

    @property
    def identical(self) -> bool:
        return self.difference is None


async def replay(
    log: Log, start: float | None, end: float | None, *, recordings: bool, done: Callable[[int], None] | None = None
) -> Report:
    """From a snapshot before `start`, or from the beginning of the log; raises LabError when neither is there."""
    player = await Player.begin(log, start, recordings)
    report = Report("snapshot" if player.from_snapshot else "beginning")
    began = time.monotonic()
    async for row in log.rows(player.after):
        if end is not None and row.at > end:
            break
        report.began_at = report.began_at or row.at
        if row.kind == REJECTED:
            report.rejected += 1
        elif row.kind == KIND:
            report.difference = await _take(player, row, report, within=start is None or row.at >= start)
            if report.difference is not None:
                break
        if done is not None:
            done(report.before + report.compared)
    report.seconds = time.monotonic() - began
    return report


async def _take(player: Player, row: LogRow, report: Report, *, within: bool) -> Difference | None:
    try:
        record = records.decode(row.body)
        then = logged.decode(row.effects) if row.effects is not None else None
    except ValueError as error:
        return _difference(row, None, "unreadable", [str(error)])
    try:
        now = await player.take(row)
    except Refused as error:
        return _difference(row, record, "refused", [f"+ refused: {error.code} ({error})"])
    except Exception as error:
        return _difference(row, record, "raised", [f"+ raised: {type(error).__name__}: {error}"])
    if then is not None and list(now) != then:
        return _difference(row, record, "effects", diff(then, now))
    if not within:
        report.before += 1
        return None
    report.compared += 1
    report.without += then is None
    report.effects += len(now) if then is not None else 0
    return None


def _difference(
    row: LogRow, record: Record | None, why: Literal["effects", "refused", "raised", "unreadable"], lines: list[str]
) -> Difference:
    said = msgspec.json.encode(record.input).decode() if record is not None else ""
    return Difference(row.epoch, row.offset, row.at, said, why, lines)


def diff(then: Sequence[Effect], now: Sequence[Effect]) -> list[str]:
    """Readable: the effects that differ, field by field, with a little of what is around them."""
    lines = difflib.unified_diff(_pretty(then), _pretty(now), "logged", "now", lineterm="", n=2)
    found = list(lines)
    if len(found) > DIFF_LINES:
        found = [*found[:DIFF_LINES], f"… {len(found) - DIFF_LINES} more lines"]
    return found


def _pretty(effects: Sequence[Effect]) -> list[str]:
    out: list[str] = []
    for effect in effects:
        out += msgspec.json.format(msgspec.json.encode(effect), indent=2).decode().splitlines()
    return out


def text(report: Report, zone: tzinfo) -> str:
    """For a person."""
    begun = {"beginning": "from the beginning of the log", "snapshot": "from a snapshot"}[report.start]
    counts = f"{report.compared:,} events with {report.effects:,} effects, {begun} ({show(report.began_at, zone)})"
    extra = []
    if report.before:
        extra.append(f"{report.before:,} events before them replayed to come there")
    if report.without:
        extra.append(f"{report.without:,} of them older than logged effects: not compared")
    if report.rejected:
        extra.append(f"{report.rejected:,} rejected events passed over")
    tail = f"; {', '.join(extra)}" if extra else ""
    found = report.difference
    if found is None:
        return f"identical: {counts}{tail}. {report.seconds:.1f} s."
    what = {
        "effects": "gives other effects now",
        "refused": "is refused now",
        "raised": "raises now",
        "unreadable": "cannot be read by this version",
    }[found.why]
    head = f"different: event {found.epoch}/{found.offset} of {show(found.at, zone)} {what}, after {counts}{tail}."
    return "\n".join([head, f"  event: {found.record}", *(f"  {line}" for line in found.lines)])
