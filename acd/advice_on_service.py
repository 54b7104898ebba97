"""What a configuration that can be taken does to callers and agents nevertheless: warnings, with the figures behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from acd.document import Document
from acd.errors import Problem
from acd.expressions import compile
from acd.model import (
    CHANNELS,
    DEFAULT_PRIORITY,
    AgentConfig,
    Channel,
    Membership,
    Need,
    Overflow,
    ProfileConfig,
    QueueConfig,
    Relaxation,
    SkillNeed,
)
from acd.shapes import duration

Place = tuple[str, ...]
Servers = list[tuple[AgentConfig, Membership]]

AT_ONCE = ("size", "ewt", "closed", "nobody-logged-in", "nobody-with-the-skill", "period")
"""Overflow rules that are asked the moment a contact comes."""


def warnings(document: Document, priorities: Mapping[str, Iterable[int]] | None) -> Iterator[Problem]:
    """All warnings, queue by queue, then agents and profiles."""
    servers = serving(document)
    for queue in document.queues:
        serves = servers[queue.id]
        yield from _served(queue, serves)
        yield from _needed(document, queue, serves)
        yield from _channels(document, queue, serves)
        yield from _starved(document, queue, serves, priorities)
        yield from _steps(queue)
        yield from _delays(queue, serves)
        yield from _rules(queue)
        yield from _codes(queue)
    yield from _loops(document)
    busy = {agent.id for found in servers.values() for agent, _ in found}
    named = {agent for queue in document.queues for agent in _named(queue)}
    for agent in document.agents:
        if agent.id not in busy and agent.id not in named:
            yield _warning(
                "agent-without-queue", ("agents", agent.id), "This agent serves no queue and is never offered anything."
            )
    for profile in document.profiles:
        yield from _profile(profile)


def serving(document: Document) -> dict[str, Servers]:
    """Who serves which queue, and how: what the agent says of a queue goes before what the team says."""
    teams = {team.id: team for team in document.teams}
    named = {m.queue for agent in document.agents for m in agent.queues} | {m.queue for t in document.teams for m in t.queues}
    open_to_all = [Membership(queue.id) for queue in document.queues if queue.id not in named]
    found: dict[str, Servers] = {queue.id: [] for queue in document.queues}
    for agent in document.agents:
        team = teams.get(agent.team)
        served = {m.queue: m for m in (*(team.queues if team is not None else ()), *agent.queues)}
        for membership in served.values() or open_to_all:
            found[membership.queue].append((agent, membership))
    return found


def _warning(code: str, place: Place, message: str) -> Problem:
    return Problem(code, place, message, blocks=False)


def _time(seconds: float) -> str:
    found = duration(seconds)
    return found if isinstance(found, str) else f"{found:g} s"


def _named(queue: QueueConfig) -> tuple[str, ...]:
    return (*queue.need.agents, *(agent for step in queue.relaxation for agent in step.agents or ()))


def _served(queue: QueueConfig, serves: Servers) -> Iterator[Problem]:
    if not serves and not _named(queue):
        yield _warning("nobody-serves", ("queues", queue.id), "Nobody serves this queue: name it with an agent or a team.")


# --- needs --------------------------------------------------------------------------------------------------------


def _needed(document: Document, queue: QueueConfig, serves: Servers) -> Iterator[Problem]:
    """Needs that nobody meets, before and after each step."""
    if not serves:
        return
    need = queue.need
    place: Place = ("queues", queue.id, "need")
    faults = _unmet(document, need, serves)
    until = ""
    for number, step in enumerate(queue.relaxation):
        need = relaxed(need, step)
        later = _unmet(document, need, serves)
        if faults and not later:
            until = f" Until the step after {_time(step.after)} nobody can have these contacts."
            break
        if later and not faults:
            place, faults = ("queues", queue.id, "relaxation", str(number)), later
            break
    yield from (_warning(code, place, message + until) for code, message in faults)


def _unmet(document: Document, need: Need, serves: Servers) -> list[tuple[str, str]]:
    """Why nobody who serves the queue is what is needed; empty when somebody is, or named agents are needed."""
    if need.agents:
        return []
    left = [agent for agent, _ in serves]
    if need.teams:
        left = [agent for agent in left if agent.team in need.teams]
        if not left:
            return [("team-serves-not", f"Nobody of {', '.join(need.teams)} serves this queue.")]
    found = []
    for skill in need.skills:
        best = max((agent.skills.get(skill.skill, 0) for agent in left), default=0)
        if best == 0:
            found.append(("skill-nobody-has", f"Nobody who serves this queue has the skill '{skill.skill}'."))
        elif not any(_meets(agent, skill) for agent in left):
            message = f"Nobody who serves this queue has {_wanted(skill)}; the best has {best}."
            found.append(("level-nobody-has", message))
    if not found and not any(all(_meets(agent, skill) for skill in need.skills) for agent in left):
        together = " and ".join(_wanted(skill) for skill in need.skills)
        found.append(("skills-nobody-joins", f"Nobody who serves this queue has {together} together."))
    if not found and need.where:
        condition = compile(need.where)
        able = (agent for agent in left if all(_meets(agent, skill) for skill in need.skills))
        if not any(condition.holds(agent.attributes, agent.skills, agent.team) for agent in able):
            found.append(("nobody-where", f"For nobody who serves this queue the condition '{need.where}' holds."))
    return found


def _meets(agent: AgentConfig, need: SkillNeed) -> bool:
    return need.least <= agent.skills.get(need.skill, 0) <= need.most


def _wanted(need: SkillNeed) -> str:
    if need.most < 10:
        return f"'{need.skill}' from {need.least} to {need.most}"
    return f"'{need.skill}' at {need.least} or more" if need.least > 1 else f"'{need.skill}'"


def relaxed(need: Need, step: Relaxation) -> Need:
    """The need after a step, as the engine takes it."""
    skills = need.skills if step.skills is None else step.skills
    skills = () if "*" in step.without else tuple(skill for skill in skills if skill.skill not in step.without)
    return Need(
        tuple(SkillNeed(s.skill, max(1, s.least - step.lower), s.most, s.prefer) for s in skills),
        need.where if step.where is None else step.where,
        need.teams if step.teams is None else step.teams,
        need.agents if step.agents is None else step.agents,
    )


def _steps(queue: QueueConfig) -> Iterator[Problem]:
    """Steps that loosen nothing, or that come too late."""
    need, before = queue.need, -1.0
    leaves = min((rule.over for rule in queue.overflow if rule.when == "wait" and not rule.during), default=None)
    for number, step in enumerate(queue.relaxation):
        place = ("queues", queue.id, "relaxation", str(number))
        after = relaxed(need, step)
        asks = step.lower == 0 and not step.without
        if after == need and (queue.need != Need() or asks):
            yield _warning("relaxes-nothing", place, "This step makes nothing looser: what is needed is the same as before it.")
        elif after != need and _stricter(need, after):
            yield _warning(
                "relaxes-nothing", place, "This step asks for more than before it, so that fewer agents can have the contact."
            )
        if step.after < before:
            message = "This step stands behind one that comes later; write the steps in the order of their times."
            yield _warning("steps-disorder", place, message)
        if leaves is not None and step.after >= leaves:
            message = f"Nobody waits here for so long: after {_time(leaves)} a rule takes everybody elsewhere."
            yield _warning("never-reached", place, message)
        need, before = after, max(before, step.after)


def _stricter(before: Need, after: Need) -> bool:
    """Whether whoever meets the second meets the first, as far as can be told."""
    ranges = {skill.skill: skill for skill in after.skills}
    for old in before.skills:
        new = ranges.get(old.skill)
        if new is None or new.least < old.least or new.most > old.most:
            return False
    where = after.where == before.where or not before.where
    return where and _narrower(before.teams, after.teams) and _narrower(before.agents, after.agents)


def _narrower(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    """Whether the second list, of which an empty one is everybody, lets in nobody whom the first does not."""
    return after == before or (bool(after) and set(after) <= set(before or after))


# --- channels and capacity ----------------------------------------------------------------------------------------


def _channels(document: Document, queue: QueueConfig, serves: Servers) -> Iterator[Problem]:
    """Profiles that can never take what the queue brings."""
    profiles = {profile.id: profile for profile in document.profiles}
    teams = {team.id: team for team in document.teams}
    wanted: tuple[Channel, ...] = queue.channels or CHANNELS
    able: dict[str, int] = {}
    for agent, _ in serves:
        team = teams.get(agent.team)
        name = agent.profile or (team.profile if team is not None else "")
        able[name] = able.get(name, 0) + 1
    never = [name for name in able if name and not any(takes(profiles[name], channel) for channel in wanted)]
    for name in never:
        count = f"{able[name]} agent{'s' if able[name] != 1 else ''}"
        message = f"{count} of this queue work by the profile '{name}', which never takes {_listed(wanted)}."
        yield _warning("profile-never", ("queues", queue.id, "channels"), message)
    for channel in queue.channels:
        if able and len(never) < len(able) and not any(not name or takes(profiles[name], channel) for name in able):
            message = f"Nobody who serves this queue has a profile that takes {channel}."
            yield _warning("channel-nobody-takes", ("queues", queue.id, "channels"), message)


def takes(profile: ProfileConfig, channel: Channel) -> bool:
    """Whether an agent with this profile can ever have a contact of the channel."""
    return channel in profile.channels and profile.channels[channel].most > 0


def _listed(channels: Iterable[str]) -> str:
    words = list(channels)
    return "any channel" if len(words) == len(CHANNELS) else " or ".join(words)


def _profile(profile: ProfileConfig) -> Iterator[Problem]:
    if not any(takes(profile, channel) for channel in CHANNELS):
        yield _warning("profile-empty", ("profiles", profile.id), "With this profile an agent is never offered anything.")
    for channel, capacity in sorted(profile.channels.items()):
        for other in (*capacity.beside, *capacity.interrupts):
            if other != channel and not takes(profile, other):
                message = f"Contacts of {other} are never taken with this profile, so that nothing can come besides them."
                yield _warning("never-matters", ("profiles", profile.id, "channels", channel), message)


# --- starvation ---------------------------------------------------------------------------------------------------


def _starved(
    document: Document, queue: QueueConfig, serves: Servers, priorities: Mapping[str, Iterable[int]] | None
) -> Iterator[Problem]:
    """Contacts and queues whose turn may never come."""
    if queue.ageing_seconds == 0:
        found = {rule.to.priority for other in document.queues for rule in other.overflow if _into(rule, queue)} - {0}
        found |= set(priorities.get(queue.id, ())) if priorities is not None else set()
        if found:
            found.add(DEFAULT_PRIORITY if priorities is None else min(found))
        if len(found) > 1:
            low = ", ".join(str(priority) for priority in sorted(found)[1:])
            message = (
                f"With ageing 0, contacts of priority {low} may never be served while some of priority {min(found)} wait; "
                "an ageing of 10m would bound that."
            )
            yield _warning("starvation", ("queues", queue.id, "ageing"), message)
        elif priorities is None:
            message = "With ageing 0, contacts of low priority may never be served while others of a higher one wait."
            yield _warning("starvation", ("queues", queue.id, "ageing"), message)
    yield from _last_served(document, queue, serves)


def _into(rule: Overflow, queue: QueueConfig) -> bool:
    return rule.to.kind == "queue" and rule.to.id == queue.id


def _last_served(document: Document, queue: QueueConfig, serves: Servers) -> Iterator[Problem]:
    """A queue to which everybody comes only when another one of theirs is empty."""
    if not serves:
        return
    teams = {team.id: team for team in document.teams}
    first: set[str] | None = None
    for agent, membership in serves:
        team = teams.get(agent.team)
        mine = {m.queue: m for m in (*(team.queues if team is not None else ()), *agent.queues)}
        earlier = {m.queue for m in mine.values() if m.priority < membership.priority}
        first = earlier if first is None else first & earlier
    if first:
        names = " and ".join(f"'{name}'" for name in sorted(first))
        message = f"All who serve this queue serve {names} first: while contacts wait there, nobody comes here."
        yield _warning("starvation", ("queues", queue.id), message)


# --- delays, rules, codes -----------------------------------------------------------------------------------------


def _delays(queue: QueueConfig, serves: Servers) -> Iterator[Problem]:
    least = min((membership.delay for _, membership in serves), default=0.0)
    if least > 0:
        message = f"Everybody who serves this queue has a delay: contacts wait {_time(least)} for nobody."
        yield _warning("delay-for-nobody", ("queues", queue.id), message)
    leaves = min((rule.over for rule in queue.overflow if rule.when == "wait" and not rule.during), default=None)
    if leaves is None:
        return
    late = [agent.id for agent, membership in serves if membership.delay >= leaves]
    if late:
        who = ", ".join(late[:3]) + (f" and {len(late) - 3} others" if len(late) > 3 else "")
        message = f"{who} never get a contact of this queue: after {_time(leaves)} a rule takes everybody elsewhere."
        yield _warning("never-matters", ("queues", queue.id), message)


def _rules(queue: QueueConfig) -> Iterator[Problem]:
    """Overflow rules behind one that always applies before them."""
    always: dict[str, float] = {}
    for number, rule in enumerate(queue.overflow):
        if rule.when in always and always[rule.when] <= rule.over:
            message = "This rule never applies: one before it, for the same case, does whenever this one would."
            yield _warning("rule-never-applies", ("queues", queue.id, "overflow", str(number)), message)
        if not rule.during:
            always[rule.when] = min(rule.over, always.get(rule.when, rule.over))


def _codes(queue: QueueConfig) -> Iterator[Problem]:
    rules = {"wrap_up": queue.wrap_up} | {f"wrap_up_by_channel.{name}": rule for name, rule in queue.wrap_up_by_channel.items()}
    for key, rule in rules.items():
        if rule.code_needed and not queue.wrap_up_codes:
            message = "A code is needed to finish the wrap-up, but the queue has none: wrap_up_codes is empty."
            yield _warning("no-codes", ("queues", queue.id, *key.split(".")), message)


def _loops(document: Document) -> Iterator[Problem]:
    """Overflow that comes back to where it began."""
    ways = {q.id: [(n, r) for n, r in enumerate(q.overflow) if r.to.kind == "queue"] for q in document.queues}
    told: set[frozenset[str]] = set()
    for start in ways:
        for path in _round(ways, start):
            round_trip = frozenset(queue for queue, _, _ in path)
            if round_trip in told:
                continue
            told.add(round_trip)
            names = " → ".join(f"'{queue}'" for queue, _, _ in path) + f" → '{start}'"
            at_once = all(rule.when in AT_ONCE for _, _, rule in path)
            how = "at once, until the engine stops it" if at_once else "for as long as nobody takes them"
            place = ("queues", start, "overflow", str(path[0][1]))
            yield _warning("overflow-loop", place, f"Contacts can go round {how}: {names}.")


def _round(ways: Mapping[str, list[tuple[int, Overflow]]], start: str) -> Iterator[list[tuple[str, int, Overflow]]]:
    """The shortest way from a queue back to itself, if there is one."""
    ahead: list[list[tuple[str, int, Overflow]]] = [[(start, number, rule)] for number, rule in ways[start]]
    seen: set[str] = set()
    while ahead:
        path = ahead.pop(0)
        queue = path[-1][2].to.id
        if queue == start:
            yield path
            return
        if queue not in seen and queue in ways:
            seen.add(queue)
            ahead += [[*path, (queue, number, rule)] for number, rule in ways[queue]]
