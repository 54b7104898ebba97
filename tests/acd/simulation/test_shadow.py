"""The same rules as a shadow wait exactly as long; others do not; a restart in between changes nothing."""

from __future__ import annotations

from statistics import fmean

import msgspec
import pytest

from acd import effects
from acd.events import Configured, Event
from acd.model import Membership
from acd.simulation.observer import Observer
from acd.simulation.presence import Presence
from acd.simulation.shadow import Pair, Saved, Shadow
from bench.tools import days

pytestmark = pytest.mark.unit

Log = list[tuple[float, Event, list[effects.Effect]]]


@pytest.fixture(scope="module")
def happened() -> tuple[Configured, Log]:
    """Half a day; the first half hour passes without a shadow."""
    day = days.a_day(14, 450, 1000.0, hours=5)
    log: Log = []
    days.happen(day, lambda at, event, found: log.append((at, event, found)))
    return day.rules(), log


def follow(log: Log, rules: Configured, *, saves: int = 0, restarts: bool = False) -> tuple[Shadow, list[Pair]]:
    begin = next(n for n, (at, _, _) in enumerate(log) if at > 2800.0)
    before = Observer()
    for at, event, found in log[:begin]:
        before.see(at, event, found)
    presence = before.presence
    shadow = Shadow(rules, 900.0, presence, log[begin - 1][0])
    pairs: list[Pair] = []
    for number, (at, event, found) in enumerate(log[begin:], 1):
        pairs += shadow.see(at, event, found)
        if saves and number % saves == 0:
            state = msgspec.msgpack.encode((shadow.save(), presence))
            if restarts:
                saved, presence = msgspec.msgpack.decode(state, type=tuple[Saved, Presence])
                shadow = Shadow.restore(saved, presence)
    return shadow, pairs


def test_the_same_rules_wait_as_long(happened: tuple[Configured, Log]) -> None:
    """But for the first minutes: whoever talked when the shadow began is free in it."""
    rules, log = happened
    shadow, pairs = follow(log, rules)
    assert not shadow.refused
    assert shadow.dropped == 0
    assert len(pairs) > 350
    later = [pair for pair in pairs if pair.began > 2800.0 + 1800.0]
    assert len(later) > 300
    equal = [p for p in later if p.waited == pytest.approx(p.shadow_waited, abs=1e-6) and p.how == p.shadow_how]
    assert len(equal) == len(later)


def test_everybody_for_everything_waits_less(happened: tuple[Configured, Log]) -> None:
    rules, log = happened
    both = (Membership("sales"), Membership("support"))
    wider = msgspec.structs.replace(rules, agents=[msgspec.structs.replace(agent, queues=both) for agent in rules.agents])
    shadow, pairs = follow(log, wider)
    assert fmean(p.shadow_waited for p in pairs) < 0.9 * fmean(p.waited for p in pairs)
    assert any(p.shadow_waited > p.waited + 5 for p in pairs)  # and some wait longer for it
    assert {p.shadow_how for p in pairs} >= {"answered", "abandoned"}
    assert shadow.now < log[-1][0]


def test_a_restart_changes_nothing(happened: tuple[Configured, Log]) -> None:
    rules, log = happened
    fewer = msgspec.structs.replace(rules, agents=rules.agents[:-2])
    _, without = follow(log, fewer, saves=300)
    shadow, restarted = follow(log, fewer, saves=300, restarts=True)
    assert restarted == without
    assert shadow.refused  # two are not in the rules: their log-ins count for nothing


def test_a_queue_that_the_rules_do_not_have(happened: tuple[Configured, Log]) -> None:
    rules, log = happened
    support = msgspec.structs.replace(
        rules,
        queues=[queue for queue in rules.queues if queue.id == "support"],
        agents=[msgspec.structs.replace(agent, queues=(Membership("support"),)) for agent in rules.agents],
    )
    shadow, pairs = follow(log, support)
    assert {pair.queue for pair in pairs} == {"support"}
    assert shadow.dropped > 100
