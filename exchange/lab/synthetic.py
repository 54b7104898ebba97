"""Arrivals that nobody has seen, out of a YAML file: by interval, with how customers and agents behave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from acd import events
from acd.events import Configured, Event
from acd.model import DEFAULT_PRIORITY, Channel, Need, SkillNeed
from acd.simulation.arrivals import Stream
from acd.simulation.day import Day
from acd.simulation.manners import LogNormal, Manner
from acd.simulation.survival import Distribution, Endless, Exponential, Seen
from exchange.lab.errors import LabError


class Times(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution of seconds."""

    mean: float
    distribution: str = "exponential"
    """`exponential`, `lognormal` (with `deviation`) or `constant`."""
    deviation: float = 0.0


class Contacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stream of contacts."""

    queue: str
    expected: list[float]
    """Contacts in each interval from the start on."""
    channel: Channel = "voice"
    priority: int = DEFAULT_PRIORITY
    skills: dict[str, int] = {}
    """Least proficiency that each contact needs."""


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of customers and agents in one queue."""

    handling: Times | float = 300.0
    wrap_up: Times | float = 0.0
    patience: Times | float | None = None
    """None: they wait for ever."""
    ring: Times | float = 3.0


class Arrivals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    contacts: dict[str, Contacts]
    interval_minutes: float = 30.0
    behaviour: dict[str, Behaviour] = {}
    """By queue; `default` is of the others."""
    agents: list[str] | int | None = None
    """Who is there from the beginning to the end: ids, how many of the configuration, or (None) all of it."""


def load(path: Path) -> Arrivals:
    """Raises LabError."""
    try:
        found = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Arrivals)
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise LabError(f"{path} is no YAML: {str(error).splitlines()[0]}.") from error
    except msgspec.ValidationError as error:
        raise LabError(f"{path} says something that cannot be used: {error}.") from error
    if not found.contacts or any(not c.expected or min(c.expected) < 0 for c in found.contacts.values()):
        raise LabError(f"{path}: every stream of contacts needs `expected`, numbers of 0 and more.")
    return found


def day(arrivals: Arrivals, rules: Configured, start: float = 0.0) -> Day:
    """A day of these arrivals with the configuration's agents there all the time."""
    interval = arrivals.interval_minutes * 60
    length = max(len(contacts.expected) for contacts in arrivals.contacts.values()) * interval
    known = {queue.id for queue in rules.queues}
    for name, contacts in arrivals.contacts.items():
        if contacts.queue not in known:
            raise LabError(f"The contacts {name} go to the queue {contacts.queue}, which the configuration does not have.")
    streams = [
        Stream(name, c.queue, tuple(c.expected), interval, c.channel, c.priority, _need(c.skills))
        for name, c in arrivals.contacts.items()
    ]
    default = arrivals.behaviour.get("default", Behaviour())
    manners = {queue: _manner(arrivals.behaviour.get(queue, default)) for queue in known}
    return Day(start, start + length, _opening(arrivals, rules, start), [], [], streams=streams, manners=manners)


def _need(skills: dict[str, int]) -> Need:
    return Need(tuple(SkillNeed(skill, least) for skill, least in sorted(skills.items())))


def _opening(arrivals: Arrivals, rules: Configured, start: float) -> list[Event]:
    known = [agent.id for agent in rules.agents]
    chosen = known if arrivals.agents is None else known[: arrivals.agents] if isinstance(arrivals.agents, int) else []
    if isinstance(arrivals.agents, list):
        if unknown := [agent for agent in arrivals.agents if agent not in known]:
            raise LabError(f"The configuration does not have these agents: {', '.join(unknown)}.")
        chosen = arrivals.agents
    found: list[Event] = [msgspec.structs.replace(rules, at=start)]
    for agent in chosen:
        found += [
            events.AgentLoggedIn(start, agent),
            events.AgentReachable(start, agent, True),
            events.AgentStateChosen(start, agent, "available"),
        ]
    return found


def _manner(behaviour: Behaviour) -> Manner:
    patience: Any = Endless() if behaviour.patience is None else _times(behaviour.patience)
    return Manner(
        patience=patience,
        ring=_times(behaviour.ring),
        talk=_times(behaviour.handling),
        wrap_up=_times(behaviour.wrap_up),
    )


def _times(given: Times | float) -> Distribution:
    if not isinstance(given, Times):
        return Exponential(given) if given > 0 else Seen((0.0,))
    if given.mean <= 0:
        return Seen((0.0,))
    match given.distribution:
        case "exponential":
            return Exponential(given.mean)
        case "constant":
            return Seen((given.mean,))
        case "lognormal":
            return LogNormal(given.mean, given.deviation or given.mean)
        case other:
            raise LabError(f"{other} is no distribution: say exponential, lognormal or constant.")
