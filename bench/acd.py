"""How fast the routing engine decides, and how that grows with agents and with waiting contacts.

    python -m bench.acd [--seconds S] [--json]

Each point replays a busy floor with decision records on: contacts arrive, are offered, accepted, ended and wrapped up, some are
declined or abandoned. All agents are logged in, half of them available; the wanted number waits at the start, and the line says
how many did at the end.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
from collections import deque
from time import perf_counter

from acd import effects, events
from acd.engine import Engine
from acd.model import AgentConfig, QueueConfig

POINTS = ((100, 100), (1_000, 100), (10_000, 100), (100, 1_000), (100, 10_000), (1_000, 1_000), (10_000, 10_000))
QUEUES = 20
TEAMS = 10
"""Teams serve two queues each, so that pools overlap nowhere and queues are unevenly staffed."""


class Floor:
    """A floor in a steady state, and the next event that would happen on it."""

    def __init__(self, agents: int, waiting: int) -> None:
        self.random = random.Random(7)
        self.engine = Engine()
        self.at = 0.0
        self.contacts = 0
        self.offers: deque[effects.OfferMade] = deque()
        self.talks: deque[effects.Assigned] = deque()
        self.wrap_ups: deque[tuple[str, str]] = deque()
        self.resting: deque[str] = deque()
        self.waiting: deque[str] = deque()
        self.wake: float | None = None
        self.times: list[float] = []
        queues = [QueueConfig(f"q{n}", f"q{n}") for n in range(QUEUES)]
        people = [AgentConfig(f"a{n}", "", [f"q{2 * (n % TEAMS)}", f"q{2 * (n % TEAMS) + 1}"]) for n in range(agents)]
        self.do(events.Configured(0.0, queues, people))
        for _ in range(waiting + agents // 2):
            self.arrive()
        for person in people[: agents // 2]:
            self.log_in(person.id)
        for person in people[agents // 2 :]:
            self.do(events.AgentLoggedIn(self.at, person.id))
        self.times.clear()

    def log_in(self, agent: str) -> None:
        self.do(events.AgentLoggedIn(self.at, agent))
        self.do(events.AgentReachable(self.at, agent, True))
        self.do(events.AgentStateChosen(self.at, agent, "available"))

    def do(self, event: events.Event) -> None:
        started = perf_counter()
        out = self.engine.handle(event)
        self.times.append(perf_counter() - started)
        for effect in out:
            if isinstance(effect, effects.OfferMade):
                self.offers.append(effect)
            elif isinstance(effect, effects.Assigned):
                self.talks.append(effect)
            elif isinstance(effect, effects.AgentChanged) and effect.state == "wrap-up":
                self.wrap_ups.append((effect.contact, effect.agent))
            elif isinstance(effect, effects.AgentChanged) and effect.state == "not-responding":
                self.resting.append(effect.agent)
            elif isinstance(effect, effects.WakeAt):
                self.wake = effect.at

    def arrive(self) -> None:
        self.contacts += 1
        contact = f"c{self.contacts}"
        self.do(events.ContactArrived(self.at, contact))
        self.do(events.ContactQueued(self.at, contact, f"q{self.random.randrange(QUEUES)}", self.random.randint(3, 6)))
        self.waiting.append(contact)

    def step(self) -> None:
        """One contact arrives, and about one is accepted, ended and wrapped up, so that the numbers stay as they are."""
        self.at += 0.001
        if self.wake is not None and self.wake <= self.at:
            self.wake = None
            self.do(events.DeadlineReached(self.at))
        self.arrive()
        if self.offers:
            offer = self.offers.popleft()
            view = self.engine.offer(offer.offer)
            if view is not None and self.random.random() < 0.02:
                self.do(events.OfferDeclined(self.at, offer.agent, offer.offer))
            elif view is not None:
                self.do(events.OfferAccepted(self.at, offer.agent, offer.offer))
        if self.talks:
            talk = self.talks.popleft()
            self.do(events.ContactEnded(self.at, talk.contact, "customer"))
        if self.wrap_ups:
            contact, agent = self.wrap_ups.popleft()
            self.do(events.WrapUpDone(self.at, contact, agent))
        if self.resting:
            self.do(events.AgentStateChosen(self.at, self.resting.popleft(), "available"))
        while self.waiting and self.random.random() < 0.05:
            contact = self.waiting.popleft()
            found = self.engine.contact(contact)
            if found is not None and found.state == "waiting":
                self.do(events.CustomerLeft(self.at, contact))


def measure(agents: int, waiting: int, seconds: float) -> dict[str, float]:
    """Events a second and the spread of one `handle`, in microseconds."""
    floor = Floor(agents, waiting)
    gc.collect()
    gc.freeze()
    ends = perf_counter() + seconds
    while perf_counter() < ends:
        floor.step()
    gc.unfreeze()
    times = sorted(floor.times)
    return {
        "agents": agents,
        "waiting": waiting,
        "waiting_at_end": floor.engine.statistics().waiting,
        "events": len(times),
        "events_per_second": round(len(times) / sum(times)),
        "p50_us": round(times[len(times) // 2] * 1e6, 1),
        "p99_us": round(times[len(times) * 99 // 100] * 1e6, 1),
        "worst_us": round(times[-1] * 1e6, 1),
    }


def main() -> None:
    """Print one line for each point of the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on each point")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    print("Routing engine: filling the floor, then measuring", flush=True) if not options.json else None
    for agents, waiting in POINTS:
        point = measure(agents, waiting, options.seconds)
        if options.json:
            print(json.dumps(point), flush=True)
        else:
            print(
                f"{agents:>6} agents {waiting:>6} waiting: {point['events_per_second']:>7,} events/s,"
                f" p50 {point['p50_us']} us, p99 {point['p99_us']} us, worst {point['worst_us']} us"
                f" ({point['events']:,} events, {point['waiting_at_end']:,} waiting at the end)",
                flush=True,
            )


if __name__ == "__main__":
    main()
