"""Erlang's formulas: M/M/n with endless patience (C) and with exponential patience (A). Rates are per second."""

from __future__ import annotations

import math

import msgspec

NEGLIGIBLE = 1e-12
"""States of Erlang A less likely than this, relative to the likeliest one, are left out."""


class Service(msgspec.Struct, frozen=True):
    """What a queue gives its callers."""

    waits: float
    """Probability that an arrival finds nobody free."""
    asa: float
    """Mean wait of those answered, s."""
    level: float
    """Share of all who arrive that is answered within the time asked for."""
    abandoned: float = 0.0
    """Share that leaves."""
    occupancy: float = 0.0


def erlang_b(agents: int, load: float) -> float:
    """Probability that all of `agents` lines are busy at an offered load in Erlang, nobody waiting (GLOSSARY: B_k)."""
    blocked = 1.0
    for k in range(1, agents + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(rate: float, handling: float, agents: int, within: float = 20.0) -> Service:
    """Callers who never leave; raises ValueError when the load is not below the number of agents."""
    load = rate * handling
    if load >= agents:
        raise ValueError(f"{load:.2f} Erlang are too much for {agents} agents: the queue grows without end")
    blocked = erlang_b(agents, load)
    waits = blocked / (1 - load / agents * (1 - blocked))
    spare = (agents - load) / handling
    return Service(waits, waits / spare, 1 - waits * math.exp(-spare * within), 0.0, load / agents)


def agents_for(rate: float, handling: float, level: float, within: float = 20.0) -> int:
    """The smallest number of agents that answers this share within the time, by Erlang C."""
    agents = math.floor(rate * handling) + 1
    while erlang_c(rate, handling, agents, within).level < level:
        agents += 1
    return agents


def erlang_a(rate: float, handling: float, agents: int, patience: float, within: float = 20.0) -> Service:
    """Callers with exponential patience of this mean (M/M/n+M; Palm 1957, Garnett, Mandelbaum and Reiman 2002)."""
    service, leave = 1 / handling, 1 / patience
    states = _stationary(rate, service, leave, agents)
    queue = states[agents:]
    served, time = _first_come(service * agents, leave, len(queue))
    answered = sum(states[:agents]) + sum(p * s for p, s in zip(queue, served, strict=True))
    waited = sum(p * t for p, t in zip(queue, time, strict=True))
    in_time = _served_within(service * agents, leave, len(queue), within)
    level = sum(states[:agents]) + sum(p * s for p, s in zip(queue, in_time, strict=True))
    busy = sum(min(k, agents) * p for k, p in enumerate(states))
    return Service(sum(queue), waited / answered, level, 1 - answered, busy / agents)


def _stationary(rate: float, service: float, leave: float, agents: int) -> list[float]:
    """Probability of k customers in the system, for all k that matter."""
    logs, highest, k = [0.0], 0.0, 0
    while k < agents or logs[-1] > highest + math.log(NEGLIGIBLE):
        k += 1
        logs.append(logs[-1] + math.log(rate / (min(k, agents) * service + max(0, k - agents) * leave)))
        highest = max(highest, logs[-1])
    weights = [math.exp(weight - highest) for weight in logs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _first_come(drain: float, leave: float, states: int) -> tuple[list[float], list[float]]:
    """For a customer who finds j waiting: probability of being served, and expected wait where served (else 0)."""
    served, time = [], []
    before, waited = 1.0, 0.0
    for ahead in range(states):
        step = drain + ahead * leave
        stays, seconds = step / (step + leave), 1 / (step + leave)
        waited = stays * (waited + before * seconds)
        before *= stays
        served.append(before)
        time.append(waited)
    return served, time


def _served_within(drain: float, leave: float, states: int, within: float) -> list[float]:
    """For a customer who finds j waiting: probability of being served within the time (by uniformisation)."""
    if within <= 0:
        return [0.0] * states
    fastest = drain + states * leave
    mean = fastest * within
    steps = math.ceil(mean + 12 * math.sqrt(mean) + 30)
    chance = [0.0] * states  # of being served after m jumps
    found = [0.0] * states
    for m in range(1, steps + 1):
        weight = math.exp(-mean + m * math.log(mean) - math.lgamma(m + 1))
        next_chance = []
        for ahead in range(states):
            step = (drain + ahead * leave) / fastest
            own = leave / fastest
            after = 1.0 if ahead == 0 else chance[ahead - 1]
            next_chance.append(step * after + (1 - step - own) * chance[ahead])
        chance = next_chance
        found = [f + weight * c for f, c in zip(found, chance, strict=True)]
    return found
