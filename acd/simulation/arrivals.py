"""Contacts that nobody has seen: Poisson arrivals whose rate changes from interval to interval."""

from __future__ import annotations

import math

import msgspec

from acd.model import DEFAULT_PRIORITY, Channel, Need
from acd.simulation.draws import uniform
from acd.simulation.plans import Place, Plan, Stay


class Stream(msgspec.Struct, frozen=True):
    """Contacts of one kind; `expected` is how many are expected in each interval from the start on."""

    name: str
    queue: str
    expected: tuple[float, ...]
    interval: float = 1800.0
    channel: Channel = "voice"
    priority: int = DEFAULT_PRIORITY
    need: Need = Need()


def poisson(stream: Stream, seed: int, start: float) -> list[Plan]:
    """The contacts of one day; the same seed gives the same ones, whatever other streams there are.

    Unit exponential steps through the integral of the rate: an interval without arrivals is passed over.
    """
    plans: list[Plan] = []
    place = Place(stream.queue, stream.priority, stream.need)
    total, passed, index = 0.0, 0.0, 0
    while True:
        contact = f"{stream.name}-{len(plans) + 1}"
        total -= math.log(uniform(seed, contact, "arrival"))
        while index < len(stream.expected) and total > passed + stream.expected[index]:
            passed += stream.expected[index]
            index += 1
        if index == len(stream.expected):
            return plans
        at = start + (index + (total - passed) / stream.expected[index]) * stream.interval
        plans.append(Plan(contact, at, stream.channel, stays=[Stay([place], ended=True)], over=True))
