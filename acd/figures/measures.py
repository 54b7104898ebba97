"""What is counted, by the quarter of an hour: whole numbers and milliseconds, so that a sum is the same in any order."""

from __future__ import annotations

from copy import copy
from typing import TypeVar

import msgspec

QUARTER = 900
"""Seconds of the shortest interval; all others are sums of these."""

VisitKey = tuple[str, str, str]
"""Queue, channel, kind (`direct` or `callback`)."""
EndKey = tuple[str, str, str, str, str]
"""Queue, channel, kind, how the visit ended, and the reason."""
WorkKey = tuple[str, str, str, str]
"""Agent, queue, channel, kind."""
StateKey = tuple[str, str, str]
"""Agent, state, code."""

T = TypeVar("T", bound=msgspec.Struct)


class VisitFigures(msgspec.Struct):
    """Stays in a queue: `offered` in the quarter in which they began, all else in that in which they ended."""

    offered: int = 0
    handled: int = 0
    abandoned: int = 0
    short_abandoned: int = 0
    flowed_out: int = 0
    rejected: int = 0
    failed: int = 0
    open: int = 0
    """Not ended when the quarter was over, or now; not a sum over time."""
    handled_within: int = 0
    abandoned_within: int = 0
    """Of both kinds of abandons."""
    wait_ms: int = 0
    """Of all that ended."""
    handled_wait_ms: int = 0
    abandoned_wait_ms: int = 0
    longest_ms: int = 0
    """The longest wait of those that ended; not a sum."""


class WorkFigures(msgspec.Struct):
    """What an agent was offered and did: offers in the quarter in which they were made, all else where it was over."""

    offers: int = 0
    accepted: int = 0
    rona: int = 0
    declined: int = 0
    withdrawn: int = 0
    """Offers that were over without the agent's doing."""
    handled: int = 0
    transferred: int = 0
    failed: int = 0
    connect_failed: int = 0
    agent_lost: int = 0
    not_reached: int = 0
    talk_ms: int = 0
    """Without hold."""
    hold_ms: int = 0
    wrap_up_ms: int = 0


class Quarter(msgspec.Struct):
    """All figures of one quarter of an hour; `start` in seconds since 1970."""

    start: int
    visits: dict[VisitKey, VisitFigures] = {}
    ends: dict[EndKey, int] = {}
    work: dict[WorkKey, WorkFigures] = {}
    states: dict[StateKey, int] = {}
    """Milliseconds."""

    @property
    def end(self) -> int:
        return self.start + QUARTER

    def empty(self) -> bool:
        return not (self.visits or self.ends or self.work or self.states)


def quarter_of(ms: int) -> int:
    """The start, in seconds, of the quarter in which an instant (milliseconds) lies."""
    return ms // (QUARTER * 1000) * QUARTER


def instant(seconds: float) -> int:
    """A point in time in whole milliseconds, never later than it was: it must not slip into the next quarter."""
    return int(seconds * 1000)


def duration(seconds: float) -> int:
    """A length of time in whole milliseconds."""
    return round(seconds * 1000)


def add(total: T, part: T) -> T:
    """Add field by field, the longest as such; `open` is added too, which is right among keys and wrong along the time."""
    for name in total.__struct_fields__:
        have, more = getattr(total, name), getattr(part, name)
        setattr(total, name, max(have, more) if name == "longest_ms" else have + more)
    return total


def copied(quarter: Quarter) -> Quarter:
    """The same figures, which do not change any more."""
    visits = {key: copy(figures) for key, figures in quarter.visits.items()}
    work = {key: copy(figures) for key, figures in quarter.work.items()}
    return Quarter(quarter.start, visits, dict(quarter.ends), work, dict(quarter.states))


def merge(total: Quarter, later: Quarter) -> None:
    """Add a later quarter to a sum of quarters; `open` becomes the later one's."""
    for figures in total.visits.values():
        figures.open = 0
    for key, visit in later.visits.items():
        add(total.visits.setdefault(key, VisitFigures()), visit)
    for key2, work in later.work.items():
        add(total.work.setdefault(key2, WorkFigures()), work)
    for end, count in later.ends.items():
        total.ends[end] = total.ends.get(end, 0) + count
    for state, ms in later.states.items():
        total.states[state] = total.states.get(state, 0) + ms
