"""The rules of routing a second time, slowly and plainly: asked after every step, written without those of `acd`.

Nothing here uses sets of agents, lanes, orders or remembered answers: for one agent and one visit every rule is looked up in
the configuration. What a visit asked for and since when is read from the engine; what follows from it is not.
"""

from __future__ import annotations

from acd import events
from acd.cases import Visit
from acd.expressions import compile
from acd.model import AgentConfig, Channel, Membership, Need, Overflow, ProfileConfig, QueueConfig, Relaxation, SkillNeed
from acd.people import Agent
from acd.state import Floor

BIT: dict[Channel, int] = {"voice": 1, "chat": 2, "email": 4, "sms": 8, "whatsapp": 16, "messenger": 32, "apple": 64}


class Rules:
    """The configuration as the events have made it."""

    def __init__(self) -> None:
        self.configured = events.Configured(0.0, [], [])
        self.queues: dict[str, QueueConfig] = {}
        self.agents: dict[str, AgentConfig] = {}
        self.on: dict[str, bool] = {}
        self.shut: set[str] = set()

    def take(self, event: events.Event) -> None:
        """Follow an event that the engine did not refuse."""
        match event:
            case events.Configured():
                self.configured = event
                self.queues = {queue.id: queue for queue in event.queues}
                self.agents = {agent.id: agent for agent in event.agents}
                self.shut &= set(self.queues)
            case events.AgentAmended():
                self.agents[event.agent.id] = event.agent
            case events.PeriodChanged():
                self.on[event.period] = event.on
            case events.QueueClosed():
                self.shut.add(event.queue)
            case events.QueueOpened():
                self.shut.discard(event.queue)
            case _:
                pass

    # --- who serves what ------------------------------------------------------------------------------------------

    def serves(self, agent: str) -> dict[str, Membership]:
        """The queues of an agent: their own before the team's, or those that nobody names."""
        config = self.agents[agent]
        found: dict[str, Membership] = {}
        for team in self.configured.teams:
            if team.id == config.team:
                for member in team.queues:
                    found[member.queue] = member
        for member in config.queues:
            found[member.queue] = member
        if found:
            return found
        named = {member.queue for other in self.agents.values() for member in other.queues}
        for team in self.configured.teams:
            named |= {member.queue for member in team.queues}
        return {id: Membership(id) for id in self.queues if id not in named}

    def members(self, queue: str) -> list[str]:
        """Who serves a queue."""
        return [agent for agent in self.agents if queue in self.serves(agent)]

    def profile(self, agent: str) -> ProfileConfig | None:
        """The agent's capacity profile, or the team's; None is one contact at a time."""
        config = self.agents[agent]
        name = config.profile
        if not name:
            name = next((team.profile for team in self.configured.teams if team.id == config.team), "")
        return next((profile for profile in self.configured.profiles if profile.id == name), None)

    def has_room(self, agent: str, busy: list[Channel], channel: Channel) -> bool:
        """Whether an agent who is busy on these channels can take one more contact of a channel."""
        profile = self.profile(agent)
        if profile is None:
            return not busy
        rule = profile.channels.get(channel)
        if rule is None or busy.count(channel) >= rule.most:
            return False
        for other in busy:
            if other != channel and other not in rule.beside and other not in rule.interrupts:
                return False
        counted = [other for other in busy if other not in rule.interrupts]
        return profile.total == 0 or len(counted) < profile.total

    # --- what is needed -------------------------------------------------------------------------------------------

    def may_have(self, visit: Visit, agent: str, at: float, *, patience: bool = True, delays: bool = True) -> bool:
        """Whether the agent is one who may get the visit's contact now, whatever they are doing."""
        config = self.agents[agent]
        if patience and not visit.outside and visit.patience_ends is not None:
            return agent == visit.preferred
        wanted = Wanted(visit.need) if visit.outside else Wanted(self.queues[visit.queue].need, visit.asked)
        if not visit.outside:
            for step in self.queues[visit.queue].relaxation if visit.relaxation is None else visit.relaxation:
                if visit.steps_from + step.after > at:
                    break
                wanted.relax(step)
        if wanted.agents:
            return all(agent in named for named in wanted.agents)
        if not visit.outside:
            member = self.serves(agent).get(visit.queue)
            if member is None or (delays and visit.steps_from + member.delay > at):
                return False
        return wanted.fits(config)

    # --- which rule -----------------------------------------------------------------------------------------------

    def is_free(self, agent: Agent, channel: Channel) -> bool:
        """Whether something of the channel can be offered to the agent now."""
        if agent.presence != "available" or agent.offer or agent.next_state or not agent.reach & BIT[channel]:
            return False
        return self.has_room(agent.id, busy(agent), channel)

    def closed(self, queue: str) -> bool:
        """Whether the queue lets nobody in."""
        hours = self.queues[queue].hours
        return queue in self.shut or bool(hours and not self.on.get(hours, False))

    def place(self, visit: Visit) -> float:
        """The order in a queue: by priority, each level worth the ageing time."""
        return visit.base + (visit.priority - 1) * (self.queues[visit.queue].ageing_seconds or 1e7)

    def holds(self, rule: Overflow, floor: Floor, visit: Visit) -> bool:
        """Whether a rule about the queue's state, not the contact's coming, applies to somebody who waits."""
        if rule.during and not self.on.get(rule.during, False):
            return False
        there = [agent.id for agent in floor.agents.values() if agent.presence != "logged-out"]
        if rule.when == "closed":
            return self.closed(visit.queue)
        if rule.when == "period":
            return bool(rule.during)
        if rule.when == "nobody-logged-in":
            return not any(agent in self.members(visit.queue) for agent in there)
        if rule.when == "nobody-with-the-skill":
            return not any(self.may_have(visit, agent, floor.at, patience=False, delays=False) for agent in there)
        return False


def busy(agent: Agent) -> list[Channel]:
    """The channels of what holds the agent; what is parked does not."""
    return [work.channel for work in agent.works if work.state != "parked"]


class Wanted:
    """Everything that an agent must be, one list of conditions for each kind; all must hold."""

    def __init__(self, *needs: Need) -> None:
        self.skills = [skill for need in needs for skill in need.skills]
        self.wheres = [need.where for need in needs if need.where]
        self.teams = [need.teams for need in needs if need.teams]
        self.agents = [need.agents for need in needs if need.agents]

    def relax(self, step: Relaxation) -> None:
        """One step more."""
        if step.skills is not None:
            self.skills = list(step.skills)
        self.skills = [skill for skill in self.skills if not {skill.skill, "*"} & set(step.without)]
        if step.lower:
            self.skills = [SkillNeed(s.skill, max(1, s.least - step.lower), s.most) for s in self.skills]
        if step.where is not None:
            self.wheres = [step.where] if step.where else []
        if step.teams is not None:
            self.teams = [step.teams] if step.teams else []
        if step.agents is not None:
            self.agents = [step.agents] if step.agents else []

    def fits(self, config: AgentConfig) -> bool:
        """Whether an agent is all that, named agents aside."""
        for skill in self.skills:
            if not max(1, skill.least) <= config.skills.get(skill.skill, 0) <= skill.most:
                return False
        if any(config.team not in teams for teams in self.teams):
            return False
        return all(compile(where).holds(config.attributes, config.skills, config.team) for where in self.wheres)
