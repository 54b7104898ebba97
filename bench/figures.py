"""How fast the figures are counted: effects of a busy floor through the fold, its state, a look at the moment.

    python -m bench.figures [--contacts N] [--json]

The effects are those that the engine gives for simple contacts (queued, offered, accepted, ended, wrapped up; one in ten
leaves); what is measured is the fold alone. Then the cost of what the bookkeeper saves every few seconds, and of a live view.
"""

from __future__ import annotations

import argparse
import json
import random
from time import perf_counter, process_time

from acd import effects, events
from acd.engine import Engine
from acd.errors import Refused
from acd.figures import live
from acd.figures.fold import Fold
from acd.model import AgentConfig, QueueConfig, WrapUp

POINTS = ((100, 100), (1_000, 1_000), (1_000, 50_000))
QUEUES = 20

Told = list[tuple[float, list[effects.Effect]]]


def story(agents: int, waiting: int, contacts: int) -> Told:
    """What the engine decides: so many agents are there, so many contacts wait before the measured ones come."""
    engine, chance, told = Engine(), random.Random(7), Told()
    at = 1_795_300_000.0

    def do(event: events.Event) -> list[effects.Effect]:
        try:
            told.append((at, engine.handle(event)))
        except Refused:
            return []
        return told[-1][1]

    queues = [QueueConfig(f"q{n}", f"q{n}", wrap_up=WrapUp(seconds=20)) for n in range(QUEUES)]
    do(events.Configured(at, queues, [AgentConfig(f"a{n}", "") for n in range(agents)]))
    for number in range(waiting):
        do(events.ContactArrived(at, f"w{number}"))
        do(events.ContactQueued(at, f"w{number}", f"q{number % QUEUES}"))
    for number in range(agents):
        do(events.AgentLoggedIn(at, f"a{number}"))
        do(events.AgentReachable(at, f"a{number}", True))
    told.append((at, []))
    for number in range(contacts):
        at += 0.25
        agent, contact = f"a{number % agents}", f"c{number}"
        do(events.ContactArrived(at, contact))
        do(events.ContactQueued(at, contact, f"q{chance.randrange(QUEUES)}"))
        offers = do(events.AgentStateChosen(at, agent, "available"))
        if chance.random() < 0.1:
            do(events.CustomerLeft(at, contact))
        for offer in [e for e in offers if isinstance(e, effects.OfferMade)]:
            do(events.OfferAccepted(at, agent, offer.offer))
            at += 0.25
            do(events.ContactEnded(at, offer.contact, "customer"))
            do(events.WrapUpDone(at, offer.contact, agent))
        do(events.AgentStateChosen(at, agent, "idle"))
    return told


def measure(agents: int, waiting: int, contacts: int) -> dict[str, float]:
    """Events a second through the fold, and milliseconds of the rest."""
    told = story(agents, waiting, contacts)
    begin = next(n for n, (_, decided) in enumerate(told) if not decided)
    fold = Fold()
    for at, decided in told[:begin]:
        for effect in decided:
            fold.take(at, effect)
    started = process_time()
    for at, decided in told[begin:]:
        for effect in decided:
            fold.take(at, effect)
    spent = process_time() - started
    number, effect_count = len(told) - begin, sum(len(decided) for _, decided in told[begin:])
    found: dict[str, float] = {
        "agents": agents,
        "waiting": waiting,
        "events": number,
        "effects": effect_count,
        "events_per_second": round(number / spent),
        "us_per_effect": round(spent / effect_count * 1e6, 2),
    }
    at = told[-1][0]
    for name, action in (
        ("settle_ms", fold.settle),
        ("changes_ms", lambda: fold.take_changes()),
        ("freeze_ms", fold.freeze),
        ("now_ms", lambda: live.now(fold, at)),
        ("quarters_ms", lambda: live.quarters(fold, at)),
    ):
        begun = perf_counter()
        action()
        found[name] = round((perf_counter() - begun) * 1000, 2)
    found["state_bytes"] = len(fold.freeze())
    return found


def main() -> None:
    """Print one line for each point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for agents, waiting in POINTS:
        point = measure(agents, waiting, options.contacts)
        if options.json:
            print(json.dumps(point), flush=True)
        else:
            print(
                f"{agents:>6} agents {waiting:>6} waiting: {point['events_per_second']:>9,.0f} events/s"
                f" ({point['us_per_effect']} us an effect; {point['events']:,} events, {point['effects']:,} effects);"
                f" settle {point['settle_ms']} ms, changes {point['changes_ms']} ms, freeze {point['freeze_ms']} ms"
                f" ({point['state_bytes']:,} bytes), now {point['now_ms']} ms, quarters {point['quarters_ms']} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
