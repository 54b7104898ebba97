"""How fast the routing engine decides, and how that grows with agents and with waiting contacts.

    python -m bench.acd [--seconds S] [--json] [--quick] [--small-pages]

Each point is a busy day in virtual time: teams with skills, contacts with mixed needs and relaxation steps; they arrive, are
offered, accepted (some declined or missed), end, are wrapped up, or abandon; agents take breaks, and their skills are changed.
Decision records are on. Whoever leaves is followed by another. As in the exchange the garbage collector rests meanwhile, and
memory is gathered into big pages, unless `--small-pages` is asked for.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
from heapq import heappop, heappush
from time import perf_counter
from typing import Any

from acd import effects, events
from acd.engine import Engine
from acd.model import (
    AgentConfig,
    Code,
    Membership,
    Need,
    OfferRule,
    QueueConfig,
    Relaxation,
    SkillNeed,
    TeamConfig,
    WrapUp,
)
from exchange.brain import pages

AGENT_POINTS = ((100, 5_000), (300, 5_000), (1_000, 5_000), (3_000, 5_000), (10_000, 5_000))
WAITING_POINTS = ((1_000, 100), (1_000, 500), (1_000, 2_500), (1_000, 10_000), (1_000, 50_000))
FULL = (10_000, 50_000)
QUEUES, TEAMS, SKILLS = 200, 100, 50
QUEUES_OF_A_TEAM = 8
STRATEGIES = ("longest-available", "longest-available", "best-proficiency", "fewest-contacts", "round-robin", "least-occupied")
BIG, BIG_WAITING = "q0", 5_000
"""The queue that is closed at the end, and how many wait in it then."""
RING, TALK, WRAP_UP, BREAK, PATIENCE = 4.0, 240.0, 20.0, 600.0, 3_000.0
STEPS = (Relaxation(60.0, lower=2), Relaxation(180.0, lower=3), Relaxation(400.0, without=("*",)))


def configuration(agents: int, chance: random.Random) -> events.Configured:
    """A floor of the asked size: small ones have fewer teams and queues."""
    teams = max(1, min(TEAMS, agents // 20))
    queues = max(2, min(QUEUES, teams * 2))
    names = [f"q{n}" for n in range(queues)]
    configs = [
        QueueConfig(
            name,
            name,
            strategy=STRATEGIES[n % len(STRATEGIES)],
            relaxation=STEPS if n % 3 else (),
            when_closed="leave",
            offer=OfferRule(20.0),
            wrap_up=WrapUp("timed", 60.0),
            wrap_up_codes=(Code("done", "Done"),),
        )
        for n, name in enumerate(names)
    ]
    served = []
    for n in range(teams):
        chosen = dict.fromkeys(names[(n * 2 + k) % queues] for k in range(min(QUEUES_OF_A_TEAM, queues)))
        served.append(tuple(Membership(q, priority=1 + (k > 5), delay=30.0 if k == 7 else 0.0) for k, q in enumerate(chosen)))
    people = [
        AgentConfig(
            f"a{n}",
            f"Agent {n}",
            team=f"t{n % teams}",
            skills={f"s{chance.randrange(SKILLS)}": chance.randint(1, 10) for _ in range(chance.randint(6, 14))},
        )
        for n in range(agents)
    ]
    codes = [Code("break", "Break")]
    return events.Configured(0.0, configs, people, codes, teams=[TeamConfig(f"t{n}", "", q) for n, q in enumerate(served)])


class Day:
    """A floor in a steady state, and the next thing that happens on it."""

    def __init__(self, agents: int, waiting: int) -> None:
        self.random = random.Random(7)
        self.engine = Engine()
        self.at = 0.0
        self.contacts = 0
        self.wake: float | None = None
        self.going_on = False
        self.times: list[float] = []
        self.kinds: dict[str, list[float]] = {}
        self.next: list[tuple[float, int, Any]] = []
        self.order = 0
        self.target = waiting
        self.configured = configuration(agents, self.random)
        self.names = [queue.id for queue in self.configured.queues]
        self.do(self.configured)
        while self.contacts < waiting:
            self.at += 1e-3
            self.arrive()
        for person in self.configured.agents:
            self.at += 1e-3
            self.do(events.AgentLoggedIn(self.at, person.id))
            self.do(events.AgentReachable(self.at, person.id, reachable=True))
            self.do(events.AgentStateChosen(self.at, person.id, "available"))
        self.times.clear()
        self.kinds.clear()

    def do(self, event: events.Event) -> None:
        started = perf_counter()
        out = self.engine.handle(event)
        taken = perf_counter() - started
        self.times.append(taken)
        self.kinds.setdefault(type(event).__name__, []).append(taken)
        for effect in out:
            self.see(effect)

    def see(self, effect: effects.Effect) -> None:
        """What people do about it, and when."""
        chance = self.random
        match effect:
            case effects.OfferMade(offer, _, agent):
                answer: events.Event = events.OfferAccepted(0.0, agent, offer)
                if chance.random() < 0.02:
                    answer = events.OfferDeclined(0.0, agent, offer)
                if chance.random() > 0.01:
                    self.later(chance.expovariate(1 / RING), answer)
            case effects.Assigned(contact):
                self.later(chance.expovariate(1 / TALK), events.ContactEnded(0.0, contact, "customer"))
            case effects.AgentChanged(agent, "wrap-up", contact=contact):
                self.later(chance.expovariate(1 / WRAP_UP), events.WrapUpDone(0.0, contact, agent, "done"))
            case effects.AgentChanged(agent, "not-responding"):
                self.later(5.0, events.AgentStateChosen(0.0, agent, "available"))
            case effects.SegmentEnded(agent=agent):
                if chance.random() < 0.03:
                    self.later(1.0, events.AgentStateChosen(0.0, agent, "idle", "break"))
                    self.later(chance.expovariate(1 / BREAK), events.AgentStateChosen(0.0, agent, "available"))
                if chance.random() < 0.002:
                    self.later(2.0, events.AgentAmended(0.0, self.taught(agent)))
            case effects.ContactFinal():
                self.later(0.0, None)
            case effects.WakeAt(at):
                self.wake = at
            case effects.GoOn():
                self.going_on = True
            case _:
                pass

    def taught(self, agent: str) -> AgentConfig:
        """The agent with one skill more, or a better one."""
        chance = self.random
        known = self.engine._floor.agent_configs[agent]
        skills = known.skills | {f"s{chance.randrange(SKILLS)}": chance.randint(1, 10)}
        return AgentConfig(known.id, known.name, known.queues, known.team, skills)

    def later(self, seconds: float, what: events.Event | None) -> None:
        self.order += 1
        heappush(self.next, (self.at + seconds, self.order, what))

    def arrive(self, queue: str = "") -> None:
        """The next contact, with needs by chance."""
        chance = self.random
        self.contacts += 1
        contact = f"c{self.contacts}"
        draw = chance.random()
        needed = 0 if draw < 0.5 else 1 if draw < 0.85 else 2
        skills = sorted({f"s{chance.randrange(SKILLS)}" for _ in range(needed)})
        need = Need(tuple(SkillNeed(skill, chance.choice((1, 3, 5, 7))) for skill in skills))
        name = queue or chance.choice(self.names)
        self.do(events.ContactArrived(self.at, contact))
        self.do(events.ContactQueued(self.at, contact, name, chance.choice((3, 5, 5, 5, 7)), f"v{contact}", need))
        if not queue:
            self.later(chance.expovariate(1 / PATIENCE), events.CustomerLeft(0.0, contact))

    def step(self) -> None:
        """The next thing: a deadline, a piece of unfinished work, or what somebody does."""
        if self.going_on:
            self.going_on = False
            self.do(events.Continue(self.at))
            return
        if self.wake is not None and (not self.next or self.wake <= self.next[0][0]):
            self.at, self.wake = max(self.at, self.wake), None
            self.do(events.DeadlineReached(self.at))
            return
        at, _, what = heappop(self.next)
        self.at = max(self.at, at)
        if what is None:
            self.arrive()
        elif self.possible(what):
            self.do(stamped(what, self.at))

    def possible(self, event: events.Event) -> bool:
        """Whether it still makes sense: customers are gone, agents have done something else meanwhile."""
        engine = self.engine
        match event:
            case events.CustomerLeft(_, contact) | events.ContactEnded(_, contact):
                found = engine._floor.contacts.get(contact)
                return found is not None and (found.state == "engaged") == isinstance(event, events.ContactEnded)
            case events.OfferAccepted(_, _, offer) | events.OfferDeclined(_, _, offer):
                return offer in engine._floor.offers
            case events.WrapUpDone(_, contact, agent):
                work = engine._floor.agents[agent].work(contact)
                return work is not None and work.state == "wrap-up"
            case _:
                return True


def stamped(event: Any, at: float) -> Any:
    """The event, happening at this time."""
    values = [getattr(event, name) for name in event.__struct_fields__]
    values[0] = at
    return type(event)(*values)


def measure(agents: int, waiting: int, seconds: float, *, gathered: bool = True) -> tuple[dict[str, Any], Day]:
    """Events a second and the spread of one `handle`, in microseconds."""
    day = Day(agents, waiting)
    gc.collect()
    gc.freeze()
    gc.disable()
    if gathered:
        pages.gather(smallest=0)
    ends = perf_counter() + seconds / 2
    while perf_counter() < ends:  # until offers, talks and steps have found their rhythm
        day.step()
    day.times.clear()
    day.kinds.clear()
    ends = perf_counter() + seconds
    while perf_counter() < ends:
        day.step()
    gc.enable()
    gc.unfreeze()
    return figures(day, agents, waiting), day


def figures(day: Day, agents: int, waiting: int) -> dict[str, Any]:
    """What was measured."""
    times = sorted(day.times)
    standing = day.engine.statistics()
    return {
        "agents": agents,
        "waiting": waiting,
        "waiting_at_end": standing.waiting,
        "events": len(times),
        "events_per_second": round(len(times) / sum(times)),
        "p50_us": round(times[len(times) // 2] * 1e6, 1),
        "p99_us": round(times[len(times) * 99 // 100] * 1e6, 1),
        "worst_us": round(times[-1] * 1e6, 1),
    }


def close_big(day: Day) -> dict[str, Any]:
    """Close a queue of 5,000 and hand everybody back to their flows, in `Continue` events."""
    while day.engine.waiting(BIG) < BIG_WAITING:
        day.arrive(BIG)
    waiting = day.engine.waiting(BIG)
    day.times.clear()
    gc.disable()
    day.do(events.QueueClosed(day.at, BIG, "supervisor"))
    while day.going_on:
        day.going_on = False
        day.do(events.Continue(day.at))
    gc.enable()
    return {"closed": waiting, "events": len(day.times), "worst_us": round(max(day.times) * 1e6, 1)}


def main() -> None:
    """Print one line for each point of the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each point; five times that for the full floor")
    parser.add_argument("--quick", action="store_true", help="the full floor alone")
    parser.add_argument("--small-pages", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    def show(point: dict[str, Any]) -> None:
        if options.json:
            print(json.dumps(point), flush=True)
        else:
            print(
                f"{point['agents']:>6} agents {point['waiting']:>6} waiting: {point['events_per_second']:>7,} events/s,"
                f" p50 {point['p50_us']} us, p99 {point['p99_us']} us, worst {point['worst_us']} us"
                f" ({point['events']:,} events, {point['waiting_at_end']:,} waiting at the end)",
                flush=True,
            )

    print("Routing engine: filling the floor, then measuring", flush=True) if not options.json else None
    for agents, waiting in () if options.quick else (*AGENT_POINTS, *WAITING_POINTS):
        show(measure(agents, waiting, options.seconds, gathered=not options.small_pages)[0])
    point, day = measure(*FULL, options.seconds * 5, gathered=not options.small_pages)
    show(point)
    for kind, times in sorted(day.kinds.items(), key=lambda item: -sum(item[1])):
        times.sort()
        line = {
            "kind": kind,
            "events": len(times),
            "mean_us": round(sum(times) / len(times) * 1e6, 1),
            "p99_us": round(times[len(times) * 99 // 100] * 1e6, 1),
            "worst_us": round(times[-1] * 1e6, 1),
        }
        text = "    {kind}: {events} events, mean {mean_us} us, p99 {p99_us} us, worst {worst_us} us".format(**line)
        print(json.dumps(line) if options.json else text)
    closed = close_big(day)
    sentence = "Closing a queue of {closed:,}: {events} events, the longest {worst_us} us".format(**closed)
    print(json.dumps(closed) if options.json else sentence)


if __name__ == "__main__":
    main()
