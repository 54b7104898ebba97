"""Sums of quarters by what a report is split by, and the measures of `definitions` made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from acd.figures.definitions import Measures
from acd.figures.measures import Quarter, VisitFigures, VisitKey, WorkFigures, WorkKey, add

Group = tuple[str, ...]


def visits_by(quarters: Sequence[Quarter], group: Callable[[VisitKey], Group | None]) -> dict[Group, VisitFigures]:
    """Sums by a group; keys whose group is None are left out. `open` is that of the last quarter."""
    found: dict[Group, VisitFigures] = {}
    for quarter in quarters:
        for figures in found.values():
            figures.open = 0
        for key, figures in quarter.visits.items():
            named = group(key)
            if named is not None:
                add(found.setdefault(named, VisitFigures()), figures)
    return found


def work_by(quarters: Iterable[Quarter], group: Callable[[WorkKey], Group | None]) -> dict[Group, WorkFigures]:
    """Sums by a group; keys whose group is None are left out."""
    found: dict[Group, WorkFigures] = {}
    for quarter in quarters:
        for key, figures in quarter.work.items():
            named = group(key)
            if named is not None:
                add(found.setdefault(named, WorkFigures()), figures)
    return found


def states_by(quarters: Iterable[Quarter], agent: str | None = None) -> dict[str, dict[tuple[str, str], int]]:
    """Milliseconds by state and code, of each agent or of one."""
    found: dict[str, dict[tuple[str, str], int]] = {}
    for quarter in quarters:
        for (id, state, code), ms in quarter.states.items():
            if agent is None or id == agent:
                spent = found.setdefault(id, {})
                spent[state, code] = spent.get((state, code), 0) + ms
    return found


def queue_measures(visits: Mapping[str, int], work: Mapping[str, int], *, tells_short: bool = True) -> Measures:
    """Fields of VisitFigures and WorkFigures as measures. Where no abandon counts as short their number is not known."""
    found: dict[str, int | None] = {**visits, **{f"work_{name}": value for name, value in work.items()}}
    if not tells_short and not found.get("short_abandoned"):
        found["short_abandoned"] = None
    return found


def agent_measures(work: Mapping[str, int], states: Mapping[tuple[str, str], int]) -> Measures:
    """Fields of WorkFigures, and milliseconds by state and code, as measures."""
    found: dict[str, int] = {f"work_{name}": value for name, value in work.items()}
    for (state, _), ms in states.items():
        name = f"state_{state.replace('-', '_')}"
        found[name] = found.get(name, 0) + ms
    return found


def fields(figures: VisitFigures | WorkFigures | None) -> Mapping[str, int]:
    """A struct's fields; none of nothing."""
    return msgspec.structs.asdict(figures) if figures is not None else {}
