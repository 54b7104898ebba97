"""What another document would change, in sentences, and whom it concerns at this moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from acd import document, shapes
from acd.advice_on_service import serving
from acd.document import NOUNS, SECTIONS, Document
from acd.engine import Engine
from exchange.configuration.kept import things

DEFAULT = "its default"
"""Stands for what a document leaves out."""

MOST_NAMES = 5
"""So many agents are named, the rest is counted."""


class Change(msgspec.Struct, frozen=True):
    """One thing that would be another."""

    section: str
    id: str
    what: Literal["added", "changed", "removed"]
    sentence: str
    details: list[str] = []
    """Key by key: what was, and what would be."""
    concerns: list[str] = []
    """Contacts and agents that it touches now."""
    refused: str = ""
    """Why it cannot be done now."""


def between(before: Document, after: Document, engine: Engine) -> list[Change]:
    """All changes, section by section."""
    old, new = things(before), things(after)
    order = {section: number for number, section in enumerate(("settings", "idle_codes", *SECTIONS))}
    keys = sorted(
        (key for key in old.keys() | new.keys() if old.get(key) != new.get(key)), key=lambda key: (order[key[0]], key[1])
    )
    floor = Floor(engine, before) if keys else None
    return [_change(key, old.get(key), new.get(key), floor) for key in keys if floor is not None]


class Floor:
    """Who is where now, looked up once for all changes."""

    def __init__(self, engine: Engine, before: Document) -> None:
        self.engine = engine
        self.agents = {view.id: view for view in engine.agents()}
        self.waiting: dict[str, int] = {}
        self.engaged: dict[str, list[str]] = {}
        for contact in engine.marks():
            for queue in {queue for _, queue in contact.visits}:
                if contact.state in ("waiting", "offered", "scheduled"):
                    self.waiting[queue] = self.waiting.get(queue, 0) + 1
        for view in self.agents.values():
            for work in view.works:
                self.engaged.setdefault(work.queue, []).append(view.id)
        self.servers = {queue: [agent.id for agent, _ in found] for queue, found in serving(before).items()}
        self.teams: dict[str, list[str]] = {}
        self.profiles: dict[str, list[str]] = {}
        team_profile = {team.id: team.profile for team in before.teams}
        for config in before.agents:
            self.teams.setdefault(config.team, []).append(config.id)
            self.profiles.setdefault(config.profile or team_profile.get(config.team, ""), []).append(config.id)

    def logged_in(self, agents: list[str]) -> list[str]:
        """Those of them who are there."""
        return [id for id in agents if id in self.agents and self.agents[id].state != "logged-out"]


def _change(key: tuple[str, str], old: Any, new: Any, floor: Floor) -> Change:
    section, id = key
    name = (
        f"{NOUNS[section]} '{id}'"
        if section in SECTIONS
        else {"settings": "the settings", "idle_codes": "the idle codes"}[section]
    )
    if section not in SECTIONS:
        what: Literal["added", "changed", "removed"] = "changed"
        details = _details(shapes.write(old) if old is not None else {}, shapes.write(new) if new is not None else {})
    elif old is None:
        what, details = "added", [f"{k}: {_text(v)}" for k, v in _plain(new).items()]
    elif new is None:
        what, details = "removed", []
    else:
        what, details = "changed", _details(_plain(old), _plain(new))
    concerns, refused = _concerns(section, id, what, floor)
    sentence = f"{name[0].upper()}{name[1:]} {'are' if section not in SECTIONS else 'is'} {what}."
    return Change(section, id, what, sentence, details, concerns, refused)


def _plain(item: Any) -> dict[str, Any]:
    data = document.plain_item(item)
    return data if isinstance(data, dict) else {"name": data}


def _details(old: Any, new: Any, place: str = "") -> list[str]:
    """Key by key, down to where the difference is."""
    found = []
    for key in [*old, *(key for key in new if key not in old)]:
        was, will, name = old.get(key), new.get(key), f"{place}{key}"
        if was == will and (key in old) == (key in new):
            continue
        if isinstance(was, dict) and isinstance(will, dict):
            found += _details(was, will, f"{name}.")
        else:
            said = [_text(side[key]) if key in side else DEFAULT for side in (old, new)]
            found.append(f"{name}: {said[0]} becomes {said[1]}")
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(inner) for inner in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else "''"


def _concerns(section: str, id: str, what: str, floor: Floor) -> tuple[list[str], str]:
    if section == "queues":
        return _of_queue(id, what, floor)
    if section == "agents":
        view = floor.agents.get(id)
        if view is None or view.state == "logged-out":
            return [], ""
        if what == "removed":
            return [], f"Agent '{id}' is logged in ({view.state}) and cannot go: log them out first."
        return [f"{id} is logged in ({view.state}): it counts from their next contact on."], ""
    if section in ("teams", "profiles"):
        there = floor.logged_in((floor.teams if section == "teams" else floor.profiles).get(id, []))
        return ([f"{_named(there)} logged in: it counts from their next contact on."] if there else []), ""
    return [], ""


def _of_queue(id: str, what: str, floor: Floor) -> tuple[list[str], str]:
    found, waiting, engaged = [], floor.waiting.get(id, 0), floor.engaged.get(id, [])
    if waiting:
        words = ("contact waits", "keeps its place") if waiting == 1 else ("contacts wait", "keep their places")
        found.append(f"{waiting} {words[0]} there, and {words[1]}.")
    if engaged:
        found.append(f"{_named(engaged)} busy with contacts of it.")
    if what == "removed" and (waiting or engaged):
        who = " and ".join(
            part
            for part in (
                f"{waiting} waiting contact{'s' if waiting != 1 else ''}" if waiting else "",
                f"{len(engaged)} with agents" if engaged else "",
            )
            if part
        )
        return [], f"Queue '{id}' has {who} and cannot go: close it, and wait until it is empty."
    there = floor.logged_in(floor.servers.get(id, []))
    if there:
        found.append(f"{_named(there)} logged in and serve{'s' if len(there) == 1 else ''} it.")
    return found, ""


def _named(agents: list[str]) -> str:
    rest = len(agents) - MOST_NAMES
    names = agents[:MOST_NAMES] + ([f"{rest} others"] if rest > 0 else [])
    joined = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{joined} {'is' if len(agents) == 1 else 'are'}"


def lines(changes: list[Change]) -> Iterator[str]:
    """The changes as a person reads them in a terminal."""
    marks = {"added": "+", "changed": "~", "removed": "-"}
    for change in changes:
        yield f"{marks[change.what]} {change.sentence}"
        yield from (f"    {detail}" for detail in change.details)
        yield from (f"    ! {sentence}" for sentence in change.concerns)
        if change.refused:
            yield f"    ✗ {change.refused}"
