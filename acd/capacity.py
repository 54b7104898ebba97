"""What an agent can take beside what they have: capacity profiles, compiled to bits of channels."""

from __future__ import annotations

from acd.model import CHANNELS, Channel, ChannelCapacity, ProfileConfig
from acd.people import Agent

BITS: dict[Channel, int] = {channel: 1 << index for index, channel in enumerate(CHANNELS)}
ALL = (1 << len(CHANNELS)) - 1
INDEX: dict[Channel, int] = {channel: index for index, channel in enumerate(CHANNELS)}

ONE_AT_A_TIME = ProfileConfig("", "One contact at a time", {channel: ChannelCapacity() for channel in CHANNELS}, total=1)
"""Of agents without a profile."""


class Capacity:
    """A profile, ready to be asked; answers are remembered, since few combinations occur."""

    __slots__ = ("_answers", "_beside", "_channels", "_interrupts", "_most", "_total", "config")

    def __init__(self, config: ProfileConfig) -> None:
        self.config = config
        self._channels = [channel for channel in CHANNELS if channel in config.channels]
        self._most = {channel: rule.most for channel, rule in config.channels.items()}
        self._beside = {c: bits(rule.beside) | bits(rule.interrupts) | BITS[c] for c, rule in config.channels.items()}
        self._interrupts = {c: bits(rule.interrupts) for c, rule in config.channels.items()}
        self._total = config.total
        self._answers: dict[tuple[Channel, ...], int] = {(): self._room({})}

    def room(self, agent: Agent, *also: Channel) -> int:
        """Channels of which the agent can take one more contact, as bits, presence and reach aside; `also` is as if at work."""
        busy = tuple([work.channel for work in agent.works if work.state != "parked"]) + also
        found = self._answers.get(busy)
        if found is None:
            used: dict[Channel, int] = {}
            for channel in busy:
                used[channel] = used.get(channel, 0) + 1
            found = self._room(used)
            if len(self._answers) < 1024:
                self._answers[busy] = found
        return found

    def _room(self, used: dict[Channel, int]) -> int:
        found = 0
        busy = bits(tuple(used))
        for channel in self._channels:
            if used.get(channel, 0) >= self._most[channel] or busy & ~self._beside[channel]:
                continue
            counted = sum(n for other, n in used.items() if not self._interrupts[channel] & BITS[other])
            if not self._total or counted < self._total:
                found |= BITS[channel]
        return found

    def states(self, agent: Agent, open_now: int) -> dict[Channel, str]:
        """By channel: the work on it if any, else whether one can be taken."""
        if not self.config.id:
            return {}
        found: dict[Channel, str] = {}
        for channel in self._channels:
            mine = [work.state for work in agent.works if work.channel == channel]
            if open_now & BITS[channel]:
                found[channel] = "available"
            elif len([state for state in mine if state != "parked"]) >= self._most[channel]:
                found[channel] = "full"
            elif agent.presence == "available":
                found[channel] = "blocked"
            else:
                found[channel] = agent.presence
        return found


def bits(channels: tuple[Channel, ...]) -> int:
    """Channels as bits."""
    found = 0
    for channel in channels:
        found |= BITS[channel]
    return found
