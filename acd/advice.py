"""Whether a configuration makes sense: every fault in a sentence that helps whoever wrote it. Some forbid it, some warn."""

from __future__ import annotations

import difflib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from acd import advice_on_service, periods
from acd.document import NOUNS, SECTIONS, Document, EntryPointConfig
from acd.errors import BadExpression, Problem
from acd.expressions import compile
from acd.model import (
    HIGHEST_PRIORITY,
    HIGHEST_PROFICIENCY,
    LOWEST_PRIORITY,
    CallbackRule,
    ChannelCapacity,
    Code,
    Membership,
    MissRule,
    Need,
    OfferRule,
    Overflow,
    ProfileConfig,
    QueueConfig,
    Relaxation,
    Settings,
    SkillNeed,
    Target,
    WrapUp,
)
from acd.shapes import MAX_PROBLEMS, key_of
from acd.strategies import STRATEGIES

Place = tuple[str, ...]

DAY = 86_400.0
BOUNDS: dict[type, dict[str, tuple[float, float]]] = {
    SkillNeed: {"least": (1, HIGHEST_PROFICIENCY), "most": (1, HIGHEST_PROFICIENCY)},
    Relaxation: {"after": (0, 7 * DAY), "lower": (0, HIGHEST_PROFICIENCY - 1)},
    Target: {"priority": (0, LOWEST_PRIORITY)},
    Overflow: {"over": (0, 7 * DAY)},
    OfferRule: {"seconds": (1, DAY)},
    WrapUp: {"seconds": (0, DAY), "extensions": (0, 100)},
    CallbackRule: {"tries": (1, 100), "retry_seconds": (1, 7 * DAY)},
    QueueConfig: {
        "ageing_seconds": (0, 7 * DAY),
        "max_waiting": (0, 1_000_000),
        "reclaim_seconds": (0, 7 * DAY),
        "service_level_seconds": (0, 30 * DAY),
        "short_abandon_seconds": (0, DAY),
    },
    Membership: {"priority": (1, 100), "weight": (0, 1_000), "delay": (0, 7 * DAY), "level": (1, 100)},
    EntryPointConfig: {"priority": (HIGHEST_PRIORITY, LOWEST_PRIORITY)},
    ChannelCapacity: {"most": (0, 1_000)},
    ProfileConfig: {"total": (0, 1_000)},
    MissRule: {"limit": (1, 1_000), "seconds": (0, DAY)},
    Settings: {
        "connect_retry_seconds": (0, DAY),
        "default_handling_seconds": (1, 7 * DAY),
        "default_patience_seconds": (1, 7 * DAY),
    },
}
"""The least and the greatest of every number."""


def check(
    document: Document, flows: Iterable[str] | None = None, priorities: Mapping[str, Iterable[int]] | None = None
) -> list[Problem]:
    """Everything that is to be said about a document, what forbids it first.

    `flows` are those that exist (None: any may); `priorities` are those that contacts come with, by queue, as far as is known.
    """
    errors = list(itertools.islice(_errors(document, None if flows is None else list(flows)), MAX_PROBLEMS))
    if errors:
        return errors
    return list(itertools.islice(advice_on_service.warnings(document, priorities), MAX_PROBLEMS))


def _errors(document: Document, flows: list[str] | None) -> Iterator[Problem]:
    names = Names(document, flows)
    yield from _bounds(document.settings, ("settings",))
    yield from _codes(document.idle_codes, ("idle_codes",))
    for section in SECTIONS:
        items = document.section(section)
        for id, count in Counter(item.id for item in items).items():
            if count > 1:
                yield Problem("duplicate-id", (section, id), f"There are {count} {NOUNS[section]}s '{id}'.")
        for item in items:
            yield from _bounds(item, (section, item.id))
    for skill in document.skills:
        if skill.id == "all":
            yield Problem("bad-id", ("skills", "all"), "A skill cannot be called 'all': 'without: all' means every skill.")
    for period in document.periods:
        for field, number, sentence in periods.faults(period):
            yield Problem("bad-time", ("periods", period.id, field, str(number)), f"{sentence[0].upper()}{sentence[1:]}.")
    for queue in document.queues:
        yield from _queue(names, queue)
    for team in document.teams:
        yield from _served(names, team.queues, ("teams", team.id, "queues"))
        yield from names.known("profiles", team.profile, ("teams", team.id, "profile"))
    for agent in document.agents:
        place = ("agents", agent.id)
        yield from _served(names, agent.queues, (*place, "queues"))
        yield from names.known("profiles", agent.profile, (*place, "profile"))
        yield from names.known("teams", agent.team, (*place, "team"))
        for name, level in agent.skills.items():
            yield from names.known("skills", name, (*place, "skills", name))
            if not 1 <= level <= HIGHEST_PROFICIENCY:
                message = (
                    f"A proficiency is from 1 to {HIGHEST_PROFICIENCY}, not {level}; leave the skill out where there is none."
                )
                yield Problem("out-of-range", (*place, "skills", name), message)
    yield from _entry_points(names)


class Names:
    """What may be named in a document."""

    def __init__(self, document: Document, flows: list[str] | None) -> None:
        self.document = document
        self.flows = flows
        self.ids = {section: {item.id: None for item in document.section(section)} for section in SECTIONS}

    def known(self, section: str, id: str, place: Place) -> Iterator[Problem]:
        """A problem when a name that is given leads nowhere."""
        if id and id not in self.ids[section]:
            noun = NOUNS[section]
            code = f"unknown-{noun.replace(' ', '-')}"
            yield Problem(code, place, f"There is no {noun} '{id[:64]}'{guess(id, self.ids[section])}")


def guess(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that does not exist."""
    close = difflib.get_close_matches(word[:64], list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else "."


def _bounds(value: msgspec.Struct, place: Place) -> Iterator[Problem]:
    """Numbers out of their bounds, in a thing and everything in it."""
    bounds = BOUNDS.get(type(value), {})
    for name in value.__struct_fields__:
        given, here = getattr(value, name), (*place, key_of(name))
        if name in bounds:
            least, most = bounds[name]
            if not least <= given <= most:
                yield Problem("out-of-range", here, f"{key_of(name)} must be from {least:g} to {most:g}, not {given:g}.")
        elif isinstance(given, msgspec.Struct):
            yield from _bounds(given, here)
        elif isinstance(given, tuple | dict):
            entries = given.items() if isinstance(given, dict) else enumerate(given)
            for key, entry in entries:
                if isinstance(entry, msgspec.Struct):
                    yield from _bounds(entry, (*here, str(key)))


def _codes(codes: tuple[Code, ...], place: Place) -> Iterator[Problem]:
    for code, count in Counter(entry.code for entry in codes).items():
        if count > 1 or not code:
            yield Problem("duplicate-id", place, f"The code '{code}' is there {count} times." if code else "A code is empty.")


def _queue(names: Names, queue: QueueConfig) -> Iterator[Problem]:
    place = ("queues", queue.id)
    if queue.strategy not in STRATEGIES:
        yield Problem(
            "unknown-strategy",
            (*place, "strategy"),
            f"There is no strategy '{queue.strategy}'; there are {', '.join(STRATEGIES)}.",
        )
    yield from _need(names, queue.need, (*place, "need"))
    for number, step in enumerate(queue.relaxation):
        here = (*place, "relaxation", str(number))
        yield from _need(names, Need(step.skills or (), step.where or "", step.teams or (), step.agents or ()), here)
        for skill in step.without:
            if skill != "*":
                yield from names.known("skills", skill, (*here, "without"))
    yield from names.known("periods", queue.hours, (*place, "hours"))
    for number, rule in enumerate(queue.overflow):
        yield from _overflow(names, queue, rule, (*place, "overflow", str(number)))
    yield from _codes(queue.wrap_up_codes, (*place, "wrap_up_codes"))


def _need(names: Names, need: Need, place: Place) -> Iterator[Problem]:
    for skill in need.skills:
        yield from names.known("skills", skill.skill, (*place, "skills"))
        if 1 <= skill.most < skill.least <= HIGHEST_PROFICIENCY:
            yield Problem(
                "out-of-range", (*place, "skills"), f"Nobody has {skill.skill} at least {skill.least} and at most {skill.most}."
            )
    for team in need.teams:
        yield from names.known("teams", team, (*place, "teams"))
    for agent in need.agents:
        yield from names.known("agents", agent, (*place, "agents"))
    if need.where:
        try:
            compile(need.where)
        except BadExpression as error:
            yield Problem(error.code, (*place, "where"), error.message)


def _overflow(names: Names, queue: QueueConfig, rule: Overflow, place: Place) -> Iterator[Problem]:
    yield from names.known("periods", rule.during, (*place, "during"))
    if rule.when == "period" and not rule.during:
        yield Problem("missing-key", place, "A rule for a period must name it: 'during' is missing.")
    to, sections = rule.to, {"queue": "queues", "team": "teams", "agent": "agents"}
    if to.kind in sections:
        yield from names.known(sections[to.kind], to.id, (*place, "to"))
    if to.kind != "voicemail" and not to.id:
        yield Problem("missing-key", (*place, "to"), f"Which {to.kind}? Write: {to.kind} NAME.")
    if to.kind == "queue" and to.id == queue.id:
        yield Problem("overflow-to-itself", (*place, "to"), "The queue overflows into itself; name another one.")
    if to.kind == "flow" and to.id and names.flows is not None and to.id not in names.flows:
        yield Problem("unknown-flow", (*place, "to"), f"There is no flow '{to.id}'{guess(to.id, names.flows)}")


def _served(names: Names, served: tuple[Membership, ...], place: Place) -> Iterator[Problem]:
    for queue, count in Counter(membership.queue for membership in served).items():
        yield from names.known("queues", queue, place)
        if not queue:
            yield Problem("missing-key", place, "A queue has no name here.")
        if count > 1:
            yield Problem("duplicate-id", place, f"The queue '{queue}' is named {count} times.")


def _entry_points(names: Names) -> Iterator[Problem]:
    owner: dict[tuple[str, str], str] = {}
    for entry in names.document.entry_points:
        place, address = ("entry_points", entry.id), (entry.channel, entry.number)
        if address in owner:
            message = f"The number {entry.number} already belongs to the entry point '{owner[address]}'."
            yield Problem("duplicate-number", (*place, "number"), message)
        owner.setdefault(address, entry.id)
        yield from names.known("queues", entry.queue, (*place, "queue"))
        yield from _need(names, entry.need, (*place, "need"))
        if entry.channel == "voice" and not entry.flow:
            yield Problem("missing-key", place, "An entry point for calls needs a flow.")
        if entry.channel != "voice" and not entry.queue:
            yield Problem("missing-key", place, f"An entry point for {entry.channel} needs a queue.")
        if not entry.number:
            yield Problem("missing-key", (*place, "number"), "The number is empty.")
        if entry.flow and names.flows is not None and entry.flow not in names.flows:
            yield Problem("unknown-flow", (*place, "flow"), f"There is no flow '{entry.flow}'{guess(entry.flow, names.flows)}")
