"""What must hold of the engine between any two events; each function is one of the sentences of DESIGN §4.1 to 4.4."""

from __future__ import annotations

from collections import Counter
from typing import Any

from acd.cases import Visit
from acd.engine import Engine
from acd.state import Floor
from acd.strategies import STRATEGIES
from tests.acd.oracle import Rules, busy
from tests.acd.receiver import Receiver


def floor_of(engine: Engine) -> Floor:
    """The engine's state, which only its tests may look into."""
    return engine._floor


def one_agent_each(floor: Floor, seen: Receiver) -> None:
    """§4.1: a contact has at most one agent, an offer one contact, and all who know of it agree."""
    having: dict[str, str] = {}
    for agent in floor.agents.values():
        for work in agent.works:
            if work.state != "wrap-up":
                assert work.contact not in having, "two agents"
                having[work.contact] = agent.id
                assert floor.contacts[work.contact].state == work.state
    assert having == seen.holds
    assert having == {c.id: c.agent for c in floor.contacts.values() if c.state in ("engaged", "parked")}
    assert {id: offer.contact for id, offer in floor.offers.items()} == {id: o.contact for id, o in seen.offers.items()}
    for offer in floor.offers.values():
        assert floor.contacts[offer.contact].offer == floor.agents[offer.agent].offer == offer.id
        assert offer.visit in [visit.id for visit in floor.contacts[offer.contact].visits]
    assert len([a for a in floor.agents.values() if a.offer]) == len(floor.offers)


def everything_adds_up(engine: Engine, seen: Receiver, arrived: int) -> None:
    """§4.2: what came is open or has exactly one final state, for contacts and for the visits of each queue."""
    statistics, floor = engine.statistics(), floor_of(engine)
    assert statistics.contacts == arrived == statistics.open + sum(statistics.ended.values())
    assert Counter(seen.finals.values()) == Counter(statistics.ended)
    assert seen.contacts == {contact.id: contact.state for contact in floor.contacts.values()}
    assert set(seen.visits) == set(floor.visits) == {v.id for c in floor.contacts.values() for v in c.visits}
    for id, queue in statistics.queues.items():
        assert queue.offered == seen.started[id] == queue.open + sum(queue.ended.values())
        assert Counter(queue.ended) == seen.ended.get(id, Counter())
        mine = [visit for visit in floor.visits.values() if visit.queue == id]
        assert queue.open == len(mine)
        assert queue.callbacks == len([visit for visit in mine if visit.kind == "callback"])
    assert sum(statistics.agents.values()) == len(floor.agents)
    works = {(work.contact, work.number) for agent in floor.agents.values() for work in agent.works}
    assert works == set(seen.open_segments)


def short_views_agree(engine: Engine) -> None:
    """What tells in short who is there says the same as the whole views."""
    contacts, agents = engine.contacts(), engine.agents()
    assert engine.marks() == [(c.id, c.channel, c.state, tuple((v.id, v.queue) for v in c.visits)) for c in contacts]
    assert engine.works() == [(work, agent.id) for agent in agents for work in agent.works]
    assert engine.logged_in() == [agent.id for agent in agents if agent.state != "logged-out"]


def standing(floor: Floor) -> list[Visit]:
    """Every visit that waits for a match."""
    return [visit for contact in floor.contacts.values() if contact.state == "waiting" for visit in contact.visits]


def nobody_waits_in_vain(floor: Floor, rules: Rules) -> None:
    """§4.3: nobody waits while somebody is free who may have them."""
    for visit in standing(floor):
        for agent in floor.agents.values():
            if rules.is_free(agent, visit.channel):
                assert not rules.may_have(visit, agent.id, floor.at), f"{visit.id} waits for {agent.id}, who is free"


def in_order(floor: Floor, rules: Rules) -> None:
    """§4.3: a queue's order is the place, which priority and the time of being queued make; each stands in it once."""
    waiting = standing(floor)
    for id, queue in floor.queues.items():
        mine = [visit for visit in waiting if visit.queue == id]
        assert all(visit.place == rules.place(visit) for visit in mine)
        assert [key[2].id for key in queue.waiting] == [v.id for v in sorted(mine, key=lambda v: (v.place, v.order))]


def rules_are_carried_out(floor: Floor, rules: Rules) -> None:
    """Nobody who stands in a queue would have to be elsewhere by its rules about closed, period or nobody there."""
    for visit in standing(floor):
        config = rules.queues[visit.queue]
        callback = floor.contacts[visit.contact].callback
        dialled = callback is not None and callback.state != "answered"
        for rule in config.overflow:
            if not rules.holds(rule, floor, visit) or (dialled and rule.to.kind not in ("queue", "team", "agent")):
                continue
            stays = visit.outside and rule.to.kind in ("team", "agent")
            stays |= dialled  # the target may be closed, and a flow has nobody on the line
            assert stays or floor.contacts[visit.contact].hops > 8, f"{visit.id} is still there: {rule}"
            break
        else:
            if rules.closed(visit.queue) and config.when_closed == "leave":
                assert dialled or visit.outside, f"{visit.id} waits in a closed queue"


def every_state_has_an_exit(floor: Floor, rules: Rules) -> None:
    """§4.4: what ends by time has its deadline, and the rest waits for an event that can come."""
    timers = {(kind, id): at for at, _, kind, id in floor.timers.save()[0]}
    expected: dict[tuple[str, str], float] = {("offer", id): offer.deadline for id, offer in floor.offers.items()}
    for agent in floor.agents.values():
        if agent.pause_ends is not None:
            assert agent.presence in ("idle", "not-responding")
            expected["agent", agent.id] = agent.pause_ends
        ends = [work.until for work in agent.works if work.until is not None]
        if ends:
            expected["wrap-up", agent.id] = min(ends)
        for work in agent.works:
            assert (work.until is None) or work.state == "wrap-up"
        if agent.presence == "logged-out":
            assert not agent.works
            assert not agent.offer
        if agent.next_state:
            assert agent.offer or [work for work in agent.works if work.state != "parked"], "deferred for ever"
    for contact in floor.contacts.values():
        state, callback = contact.state, contact.callback
        assert bool(contact.visits) == (state != "arrived")
        assert bool(contact.offer) == (state == "offered")
        assert bool(contact.agent) == (state in ("engaged", "parked"))
        if state in ("engaged", "parked"):
            assert len(contact.visits) == 1
        for visit in contact.visits:
            assert (visit.waiting_since is not None) == (state in ("waiting", "offered"))
        if state == "waiting":
            for visit in contact.visits:
                moments = steps(rules, visit)
                if moments:
                    expected["visit", visit.id] = min(moments)
        if callback is not None and state in ("waiting", "offered", "scheduled") and callback.state != "answered":
            moments = [at for at in (callback.next_try, callback.not_after) if at > 0]
            if moments:
                expected["callback", contact.id] = min(moments)
            assert (state == "scheduled") == (callback.state == "scheduled")
    offered = {visit.id for contact in floor.contacts.values() if contact.state == "offered" for visit in contact.visits}
    found = {owner: at for owner, at in timers.items() if not (owner[0] == "visit" and owner[1] in offered)}
    assert found == expected, f"deadlines: {sorted(found.items() ^ expected.items())}"


def steps(rules: Rules, visit: Visit) -> list[float]:
    """The moments that are still before a waiting visit."""
    queue = rules.queues[visit.queue]
    after = [step.after for step in (queue.relaxation if visit.relaxation is None else visit.relaxation)]
    after = [] if visit.outside else after
    start = visit.steps_from
    found = [start + seconds for seconds in after[visit.step : visit.step + 1]]
    delays = {rules.serves(agent)[visit.queue].delay for agent in rules.members(visit.queue)} - {0.0}
    found += [start + seconds for seconds in sorted(delays)[visit.delay :]]
    waits = sorted(rule.over for rule in queue.overflow if rule.when == "wait")
    found += [start + seconds for seconds in waits[visit.waits_done :]]
    return found + ([] if visit.patience_ends is None else [visit.patience_ends])


def is_woken(floor: Floor, seen: Receiver) -> None:
    """§4.4: the shell knows when the next deadline is."""
    at = floor.timers.next()
    if at is not None:
        assert seen.wake is not None
        assert seen.wake <= at
    assert seen.unfinished or not floor.going_on
    assert floor.going_on or not floor.sweeps


def agents_were_told(floor: Floor, engine: Engine, seen: Receiver) -> None:
    """Who follows the effects knows every agent's state."""
    for agent in floor.agents.values():
        told, view = seen.agents.get(agent.id), engine.agent(agent.id)
        assert view is not None
        if told is None:
            assert view.state == "logged-out"
            continue
        assert (told.state, told.code, told.until, told.next_state, told.next_code) == (
            view.state,
            view.code,
            view.until,
            view.next_state,
            view.next_code,
        ), agent.id
        assert told.contact == view.contact
        assert [(work.contact, work.state, work.since) for work in told.works] == [
            (work.contact, work.state, work.since) for work in view.works
        ]
        held = {work.state for work in agent.works}
        if "engaged" in held:
            assert view.state == "engaged"
        elif agent.offer:
            assert view.state == "reserved"


def derived(engine: Engine) -> dict[str, Any]:
    """All that a snapshot does not hold, in a form that can be compared."""
    floor = floor_of(engine)
    roster = floor.roster
    return {
        "free": {bit: mask for bit, mask in roster.free.items() if mask},
        "reasons": roster.reasons,
        "teams": {team: mask for team, mask in roster.teams.items() if mask},
        "orders": {name: list(roster.order(name) or ()) for name in STRATEGIES},
        "seats": [(s.agent.id, s.open, s.reason, s.keys, list(s.by_queue.values()), s.capacity.config) for s in roster.seats],
        "states": [agent.summary() for agent in floor.agents.values()],
        "aside": {door: {visit: lane.key for visit, lane in lanes.items()} for door, lanes in floor.aside.items()},
        "queues": {
            id: (
                list(queue.waiting),
                {key: (list(lane.waiting), lane.mask, lane.head) for key, lane in queue.lanes.items() if len(lane.waiting)},
                [
                    (key, (door.bit, door.skill, door.least, door.whole), lane.key)
                    for block in queue.heads.blocks
                    for key, door, lane in zip(block.keys, block.doors, block.lanes, strict=True)
                ],
                queue.delays,
                queue.members,
                queue.levels,
                [(pool.mask, pool.wanted, [served.config.id for served in pool.queues]) for pool in queue.pools],
            )
            for id, queue in floor.queues.items()
        },
        "visits": set(floor.visits),
        "standing": {visit: lane.key for visit, lane in floor.standing.items()},
        "timers": floor.timers.save(),
    }


def sets_are_true(floor: Floor) -> None:
    """What is kept of agents (skills, conditions, who may have a lane's contacts) is what would be found anew."""
    roster = floor.roster
    for need, mask in roster._skills.items():
        able = [s for s in roster.seats if max(1, need.least) <= s.config.skills.get(need.skill, 0) <= need.most]
        assert mask == sum(seat.bit for seat in able)
    for expression, mask in roster._wheres.values():
        able = [s for s in roster.seats if expression.holds(s.config.attributes, s.config.skills, s.config.team)]
        assert mask == sum(seat.bit for seat in able)
    for queue in floor.queues.values():
        for lane in queue.lanes.values():
            mask = lane.mask
            concerned = roster.seats if lane.aside else [seat for seat in roster.seats if queue.config.id in seat.by_queue]
            assert mask == sum(seat.bit for seat in concerned if lane.takes(seat))
            assert lane.free() == mask & roster.free.get(lane.bit, 0)
            if lane.door.whole:
                skill, least = lane.door.skill, lane.door.least
                assert mask == sum(seat.bit for seat in concerned if seat.config.skills.get(skill, 0) >= least)


def within_capacity(rules: Rules, floor: Floor, agent: str) -> bool:
    """Whether the offer that the agent has fits beside what they have."""
    found = floor.agents[agent]
    channel = floor.contacts[floor.offers[found.offer].contact].channel
    return rules.has_room(agent, busy(found), channel)
