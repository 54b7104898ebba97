"""A new configuration: checked as a whole, then taken as a whole; and one agent anew, who may be at work."""

from __future__ import annotations

from acd import lanes
from acd.agents import put_back, take_choice
from acd.capacity import BITS, ONE_AT_A_TIME, Capacity
from acd.eligibility import check_need
from acd.entry import nobody_left, rules_may_hold
from acd.errors import Refused
from acd.events import AgentAmended, Configured
from acd.matching import seek_contact
from acd.model import AgentConfig, Membership, QueueConfig
from acd.offers import close_offer
from acd.people import Agent
from acd.roster import Roster, Seat
from acd.state import Floor, History, Pool, Queue, Sweep, Visits
from acd.strategies import STRATEGIES
from acd.visits import refresh


def configure(floor: Floor, event: Configured) -> None:
    """Take the new rules; contacts keep their places, agents their states."""
    _check(floor, event)
    before = floor.queues
    floor.settings = event.settings
    floor.idle_codes = {code.code: code for code in event.idle_codes}
    floor.teams = {team.id: team for team in event.teams}
    floor.profiles = {profile.id: profile for profile in event.profiles}
    floor.skills = {skill.id: skill for skill in event.skills}
    floor.agent_configs = {config.id: config for config in event.agents}
    floor.agents = {id: floor.agents.get(id) or Agent(id, since=floor.at) for id in floor.agent_configs}
    floor.queues = {}
    for config in event.queues:
        old = before.get(config.id)
        if old is None:
            floor.queues[config.id] = Queue(config, History(), Visits(), shut=False)
        else:
            floor.queues[config.id] = Queue(config, old.history, old.visits, shut=old.shut)
    rebuild(floor)
    refresh_all(floor)
    line_up(floor)
    floor.sweeps = []
    _take_back(floor)
    rules_may_hold(floor)
    match_all(floor)


def _check(floor: Floor, event: Configured) -> None:
    queues = {config.id for config in event.queues}
    agents = {config.id for config in event.agents}
    if len(queues) != len(event.queues) or len(agents) != len(event.agents):
        raise Refused("duplicate-id", "two queues or two agents have the same id")
    teams = {team.id for team in event.teams}
    profiles = {profile.id for profile in event.profiles} | {""}
    for queue in event.queues:
        _check_queue(queue)
    for team in event.teams:
        _check_served(f"team {team.id}", team.queues, queues)
        if team.profile not in profiles:
            raise Refused("unknown-profile", f"team {team.id} has the profile {team.profile}, which is none")
    for agent in event.agents:
        _check_agent(agent, queues, teams, profiles)
    for contact in floor.contacts.values():
        for visit in contact.visits:
            if visit.queue not in queues:
                raise Refused("queue-in-use", f"contact {contact.id} is in queue {visit.queue}")
    for held in floor.agents.values():
        if held.id not in agents and held.presence != "logged-out":
            raise Refused("agent-in-use", f"agent {held.id} is logged in")
        for work in held.works:
            if work.queue not in queues:
                raise Refused("queue-in-use", f"agent {held.id} is busy with a contact of queue {work.queue}")


def _check_queue(queue: QueueConfig) -> None:
    if queue.strategy not in STRATEGIES:
        raise Refused("unknown-strategy", f"queue {queue.id} chooses by {queue.strategy}, which is no strategy")
    check_need(queue.need, queue.relaxation)
    for rule in queue.overflow:
        if rule.to.kind == "queue" and rule.to.id == queue.id:
            raise Refused("bad-target", f"queue {queue.id} has a rule that takes contacts to itself")


def _check_served(who: str, served: tuple[Membership, ...], queues: set[str]) -> None:
    for member in served:
        if member.queue not in queues:
            raise Refused("unknown-queue", f"{who} serves {member.queue}, which is no queue")


def _check_agent(agent: AgentConfig, queues: set[str], teams: set[str], profiles: set[str]) -> None:
    _check_served(f"agent {agent.id}", agent.queues, queues)
    if agent.team and agent.team not in teams:
        raise Refused("unknown-team", f"agent {agent.id} is in team {agent.team}, which is none")
    if agent.profile not in profiles:
        raise Refused("unknown-profile", f"agent {agent.id} has the profile {agent.profile}, which is none")


def amend_agent(floor: Floor, event: AgentAmended) -> None:
    """One agent anew; what they can do from now on counts from now on.

    Other skills or attributes move the agent to other sets; another team, profile or other queues make all sets anew.
    """
    config = event.agent
    _check_agent(config, set(floor.queues), set(floor.teams), set(floor.profiles) | {""})
    before = floor.agent_configs.get(config.id)
    floor.agent_configs[config.id] = config
    agent = floor.agents.get(config.id)
    same = before is not None and (before.queues, before.team, before.profile) == (config.queues, config.team, config.profile)
    if agent is not None and before is not None and same:
        floor.roster.describe(floor.seat(agent), config)
        floor.tell_agent(agent, event.by)
        seek_contact(floor, agent)
        nobody_left(floor, floor.seat(agent))
        return
    if agent is None:
        agent = floor.agents[config.id] = Agent(config.id, since=floor.at)
    rebuild(floor)
    refresh_all(floor)
    line_up(floor)
    _take_back(floor)
    floor.tell_agent(agent, event.by)
    seek_contact(floor, agent)
    rules_may_hold(floor)
    match_all(floor)


def _take_back(floor: Floor) -> None:
    """Offers that are too much for an agent whose profile is a smaller one now; the contacts wait at their places."""
    for offer in list(floor.offers.values()):
        contact, agent = floor.contacts[offer.contact], floor.agents[offer.agent]
        if floor.seat(agent).capacity.room(agent) & BITS[contact.channel]:
            continue
        close_offer(floor, offer, "changed")
        if agent.held or not take_choice(floor, agent):
            floor.settle(agent)
        put_back(floor, contact)


def match_all(floor: Floor) -> None:
    """Who serves what is new: those who wait and those who are free are brought together, step by step."""
    known = any(not work.queue for work in floor.sweeps)
    if not known and any(len(queue.waiting) for queue in floor.queues.values()) and any(floor.roster.free.values()):
        floor.sweeps.append(Sweep())


# --- what follows from configuration and states -------------------------------------------------------------------


def rebuild(floor: Floor) -> None:
    """Derive seats, sets, memberships and pools anew; nobody stands in line after."""
    floor.capacities = {"": Capacity(ONE_AT_A_TIME)} | {p.id: Capacity(p) for p in floor.profiles.values()}
    floor.roster = roster = Roster()
    floor.aside = {}
    floor.standing = {}
    for slot, (id, config) in enumerate(floor.agent_configs.items()):
        team = floor.teams.get(config.team)
        profile = config.profile or (team.profile if team is not None else "")
        roster.add(Seat(slot, floor.agents[id], config, floor.capacities[profile]))
    for queue in floor.queues.values():
        floor.queues[queue.config.id] = Queue(queue.config, queue.history, queue.visits, shut=queue.shut)
    serve(floor)
    roster.use([STRATEGIES[name] for name in sorted({q.config.strategy for q in floor.queues.values()}) if name != "linear"])
    for seat in roster.seats:
        floor.seat_of(seat.agent, seat)


def serve(floor: Floor) -> None:
    """Who serves which queue, how."""
    named = {m.queue for c in floor.agent_configs.values() for m in c.queues}
    named |= {m.queue for team in floor.teams.values() for m in team.queues}
    everybody = [Membership(id) for id in floor.queues if id not in named]
    pools: dict[tuple[str, ...], Pool] = {}
    delays: dict[str, dict[float, int]] = {id: {} for id in floor.queues}
    levels: dict[str, dict[int, int]] = {id: {} for id in floor.queues}
    position = {id: index for index, id in enumerate(floor.queues)}
    for seat in floor.roster.seats:
        team = floor.teams.get(seat.config.team)
        served = {m.queue: m for m in team.queues} if team is not None else {}
        served |= {m.queue: m for m in seat.config.queues}
        served = served or {m.queue: m for m in everybody}
        names = tuple(sorted(served, key=position.__getitem__))
        seat.serves = [(floor.queues[name], served[name]) for name in names]
        seat.by_queue = served
        for name, member in served.items():
            delays[name][member.delay] = delays[name].get(member.delay, 0) | seat.bit
            levels[name][member.level] = levels[name].get(member.level, 0) | seat.bit
        pool = pools.get(names)
        if pool is None:
            pool = pools[names] = Pool([queue for queue, _ in seat.serves])
            for queue in pool.queues:
                queue.pools.append(pool)
        pool.mask |= seat.bit
    for id, queue in floor.queues.items():
        queue.levels = sorted(levels[id].items())
        mask = delays[id].get(0.0, 0)
        queue.delays = sorted(delay for delay in delays[id] if delay > 0)
        queue.members = [mask]
        for delay in queue.delays:
            mask |= delays[id][delay]
            queue.members.append(mask)


def refresh_all(floor: Floor) -> None:
    """Everybody's place, steps and need by the new rules; in the order of contacts, which a snapshot keeps."""
    for contact in floor.contacts.values():
        for visit in contact.visits:
            refresh(floor, visit)


def line_up(floor: Floor) -> None:
    """Put everybody who waits into their lanes."""
    lanes.line_up(floor, (v for c in floor.contacts.values() if c.state == "waiting" for v in c.visits))
