"""Who may have a contact: needs are joined and relaxed here, and become sets of agents; states play no part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from acd.capacity import BITS
from acd.errors import BadExpression, Refused
from acd.expressions import compile
from acd.model import HIGHEST_PROFICIENCY, NOTHING, Channel, Need, Relaxation, SkillNeed
from acd.roster import Roster, Seat

if TYPE_CHECKING:
    from acd.cases import Visit
    from acd.state import Floor, Queue

Unable = Literal["not-in-queue", "delay", "without-the-skill", "where", "other-team", "not-named"]


def join(one: Need, other: Need) -> Need:
    """Both needs at once; of a skill that both name the narrower range counts."""
    if other is NOTHING or other == NOTHING:
        return one
    if one is NOTHING or one == NOTHING:
        return other
    skills = {need.skill: need for need in one.skills}
    for need in other.skills:
        known = skills.get(need.skill)
        if known is not None:
            prefer = need.prefer or known.prefer
            need = SkillNeed(need.skill, max(need.least, known.least), min(need.most, known.most), prefer)
        skills[need.skill] = need
    where = f"({one.where}\n) && ({other.where}\n)" if one.where and other.where else one.where or other.where
    teams = tuple(t for t in one.teams if t in other.teams) or ("",) if one.teams and other.teams else one.teams or other.teams
    agents = tuple(a for a in one.agents if a in other.agents) or ("",)
    if not (one.agents and other.agents):
        agents = one.agents or other.agents
    return Need(tuple(skills[name] for name in sorted(skills)), where, teams, agents)


def relax(need: Need, step: Relaxation) -> Need:
    """The need after one more step; the same object when the step changes nothing."""
    skills = need.skills if step.skills is None else step.skills
    if step.without and skills:
        skills = () if "*" in step.without else tuple(s for s in skills if s.skill not in step.without)
    if step.lower and skills:
        skills = tuple(SkillNeed(s.skill, max(1, s.least - step.lower), s.most, s.prefer) for s in skills)
    if skills == need.skills and step.where is None and step.teams is None and step.agents is None:
        return need
    return Need(
        skills,
        need.where if step.where is None else step.where,
        need.teams if step.teams is None else step.teams,
        need.agents if step.agents is None else step.agents,
    )


def check_need(need: Need, steps: tuple[Relaxation, ...] = ()) -> None:
    """Refuse a need, or a step of it, whose expression cannot be read."""
    for text in (need.where, *(step.where for step in steps)):
        if text:
            try:
                compile(text)
            except BadExpression as error:
                raise Refused("bad-expression", error.message) from error


def steps_of(queue: Queue, visit: Visit) -> tuple[Relaxation, ...]:
    """The contact's own steps, or the queue's; none for who waits for agents from outside."""
    if visit.outside:
        return ()
    return queue.config.relaxation if visit.relaxation is None else visit.relaxation


def need_now(queue: Queue, visit: Visit) -> Need:
    """The visit's need with the steps that were taken; with a preferred agent whose patience lasts, that one alone."""
    if visit.patience_ends is not None:
        return Need(agents=(visit.preferred,))
    return need_of_all(queue, visit)


def need_of_all(queue: Queue, visit: Visit) -> Need:
    """The visit's need with the steps that were taken, whoever is preferred."""
    if visit.outside:
        return visit.need
    need = join(queue.config.need, visit.asked)
    for step in steps_of(queue, visit)[: visit.step]:
        need = relax(need, step)
    return need


def able(roster: Roster, queue: Queue, need: Need, delay: int, outside: bool) -> int:
    """Who may have a contact with this need; `delay` is how many of the queue's delays are over."""
    if need.agents:
        mask = 0
        for id in need.agents:
            seat = roster.by_id.get(id)
            mask |= seat.bit if seat is not None else 0
        return mask
    mask = roster.all if outside else queue.members[delay]
    for skill in need.skills:
        mask &= roster.with_skill(skill)
    if need.where:
        mask &= roster.where(need.where)
    if need.teams:
        mask &= in_teams(roster, need)
    return mask


def in_teams(roster: Roster, need: Need) -> int:
    """Everybody in the teams that are needed."""
    mask = 0
    for team in need.teams:
        mask |= roster.teams.get(team, 0)
    return mask


def unable(roster: Roster, queue: Queue, need: Need, delay: int, outside: bool) -> dict[str, int]:
    """The queue's other agents, counted by the first thing that they lack."""
    if need.agents or outside:
        return {}
    counts: dict[str, int] = {}
    left = queue.members[delay]
    number = left.bit_count()
    if delay < len(queue.delays):
        counts["delay"] = queue.members[-1].bit_count() - number

    def keep(mask: int, reason: Unable) -> None:
        nonlocal left, number
        left &= mask
        kept = left.bit_count()
        if kept != number:
            counts[reason] = counts.get(reason, 0) + number - kept
            number = kept

    if need.teams:
        keep(in_teams(roster, need), "other-team")
    for skill in need.skills:
        keep(roster.with_skill(skill), "without-the-skill")
    if need.where:
        keep(roster.where(need.where), "where")
    return counts


def why_not(floor: Floor, visit: Visit, seat: Seat) -> tuple[str, str]:
    """Why this agent cannot have this visit's contact now: a reason and a detail; both empty when they can."""
    need, queue, roster = visit.need, floor.queues[visit.queue], floor.roster
    if need.agents:
        if seat.agent.id not in need.agents:
            return "not-named", "preferred agent" if visit.patience_ends is not None else ""
    else:
        if not visit.outside and not queue.members[-1] & seat.bit:
            return "not-in-queue", queue.config.id
        if not visit.outside and not queue.members[visit.delay] & seat.bit:
            return "delay", f"{seat.by_queue[queue.config.id].delay:g} s"
        if need.teams and not in_teams(roster, need) & seat.bit:
            return "other-team", seat.config.team
        for skill in need.skills:
            if not roster.with_skill(skill) & seat.bit:
                return "without-the-skill", f"{describe(skill)}, has {seat.config.skills.get(skill.skill, 0)}"
        if need.where and not roster.where(need.where) & seat.bit:
            return "where", need.where
    return why_not_free(seat, visit.channel)


def why_not_free(seat: Seat, channel: Channel) -> tuple[str, str]:
    """Why this agent cannot be offered a contact of the channel now."""
    agent = seat.agent
    if seat.open & BITS[channel]:
        return "", ""
    if seat.reason != "available":
        detail = agent.code if seat.reason in ("idle", "not-responding") else ""
        if seat.reason in ("engaged", "wrap-up") and agent.presence == "available" and not agent.next_state:
            detail = channel if not seat.capacity.room(agent) & BITS[channel] else ""
        return seat.reason, detail
    if not agent.reach & BITS[channel]:
        return "unreachable", channel
    return "full", channel


def describe(need: SkillNeed) -> str:
    """As an admin would write it, e.g. `german >= 5`."""
    if need.least > 1 and need.most < HIGHEST_PROFICIENCY:
        return f"{need.least} <= {need.skill} <= {need.most}"
    if need.most < HIGHEST_PROFICIENCY:
        return f"{need.skill} <= {need.most}"
    return f"{need.skill} >= {need.least}" if need.least > 1 else need.skill
