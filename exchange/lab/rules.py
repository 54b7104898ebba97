"""Other rules and other staffing than the present ones: a configuration document, and `+2@sales`."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from acd import advice, document, events
from acd.errors import BadDocument, Problem
from acd.events import Configured, Event
from acd.model import AgentConfig
from acd.simulation.day import Day
from acd.simulation.figures import serving
from exchange.configuration import text
from exchange.lab.errors import LabError

_STAFFING = re.compile(r"([+-])([1-9][0-9]{0,3})@(.+)")


def load(path: Path) -> tuple[Configured, list[str]]:
    """The rules of a document, and what it is warned of; raises LabError."""
    try:
        words = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}.") from error
    return parse(words, str(path))


def parse(words: str, name: str) -> tuple[Configured, list[str]]:
    """The same of a text."""
    try:
        found, lines = text.parse(words)
    except BadDocument as error:
        raise LabError(_listed(f"{name} cannot be used", error.problems)) from error
    problems = [text.located(problem, lines) for problem in advice.check(found)]
    blocking = [problem for problem in problems if problem.blocks]
    if blocking:
        raise LabError(_listed(f"{name} cannot be used", blocking))
    return document.configured(found), [problem.message for problem in problems]


def _listed(head: str, problems: list[Problem]) -> str:
    return "\n".join([f"{head}:", *(f"  {problem.message}" for problem in problems[:20])])


class Staffing(msgspec.Struct, frozen=True):
    """More or fewer agents in a queue."""

    number: int
    queue: str


def staffing(words: str) -> Staffing:
    """Of `+2@sales` or `-1@support`; raises LabError."""
    match = _STAFFING.fullmatch(words)
    if match is None:
        raise LabError(f"{words} is no change of staffing: say one like +2@sales or -1@support.")
    return Staffing(int(match[2]) if match[1] == "+" else -int(match[2]), match[3])


def restaffed(day: Day, rules: Configured, changes: list[Staffing]) -> tuple[Day, Configured]:
    """The day and the rules with more agents, who work as those do who are there longest, or without some of them."""
    for change in changes:
        if change.queue not in {queue.id for queue in rules.queues}:
            raise LabError(f"There is no queue {change.queue} in the configuration.")
        present = _longest_there(day, rules, change.queue)
        if change.number < 0:
            if len(present) < -change.number:
                raise LabError(f"Only {len(present)} agents of {change.queue} were there that day.")
            day, rules = _without(day, rules, set(present[change.number :]))
        elif not present:
            raise LabError(f"Nobody of {change.queue} was there that day: there is no example of how more agents would work.")
        else:
            for number in range(change.number):
                day, rules = _with(day, rules, present[number % len(present)])
    return day, rules


def _longest_there(day: Day, rules: Configured, queue: str) -> list[str]:
    """The queue's agents who logged in, those who were there longest first."""
    since: dict[str, float] = {}
    spent: dict[str, float] = {}
    for event in [*day.opening, *sorted(day.timeline, key=lambda e: e.at)]:
        match event:
            case events.AgentLoggedIn(at, agent):
                since.setdefault(agent, at)
            case events.AgentLoggedOut(at, agent) if agent in since:
                spent[agent] = spent.get(agent, 0.0) + at - since.pop(agent)
            case _:
                pass
    for agent, at in since.items():
        spent[agent] = spent.get(agent, 0.0) + day.end - at
    return sorted((a for a in serving(rules)[queue] if a in spent), key=lambda a: (-spent[a], a))


def _without(day: Day, rules: Configured, gone: set[str]) -> tuple[Day, Configured]:
    rules = msgspec.structs.replace(rules, agents=[agent for agent in rules.agents if agent.id not in gone])
    opening = [event for event in day.opening if getattr(event, "agent", None) not in gone]
    timeline = [event for event in day.timeline if getattr(event, "agent", None) not in gone]
    return msgspec.structs.replace(day, opening=opening, timeline=timeline), rules


def _with(day: Day, rules: Configured, like: str) -> tuple[Day, Configured]:
    taken = {agent.id for agent in rules.agents}
    number = next(n for n in range(1, len(taken) + 2) if f"{like}+{n}" not in taken)
    id = f"{like}+{number}"
    model: AgentConfig = next(agent for agent in rules.agents if agent.id == like)
    rules = msgspec.structs.replace(rules, agents=[*rules.agents, msgspec.structs.replace(model, id=id, name=id)])

    def doubled(happens: list[Event]) -> list[Event]:
        found: list[Event] = []
        for event in happens:
            found.append(event)
            if isinstance(event, _PRESENCE) and event.agent == like:
                found.append(msgspec.structs.replace(event, agent=id))
        return found

    return msgspec.structs.replace(day, opening=doubled(day.opening), timeline=doubled(day.timeline)), rules


_PRESENCE = (events.AgentLoggedIn, events.AgentLoggedOut, events.AgentStateChosen, events.AgentReachable)
