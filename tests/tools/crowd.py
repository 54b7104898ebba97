"""Many light callers and agents on one running system, and what each of them hears, 20 ms by 20 ms."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.tools.agent import BenchAgent
from bench.tools.caller import Call
from exchange.rundir import run_directory
from exchange.supervisor import records
from tests.tools.switchroom import Switchroom

LOUD = 400.0
"""Root mean square of a frame that is sound."""
KEPT = 50 * 180
"""Frames that are remembered: three minutes."""


class Hearing:
    """The strongest tone of each frame that came, and whether it was sound at all."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.frames: deque[tuple[float, int, bool]] = deque(maxlen=KEPT)

    def frame(self, pcm: bytes, now: float) -> None:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        energy = float(np.dot(samples, samples))
        loud = energy > LOUD * LOUD * len(samples)
        hertz = 0
        if loud:
            lines = np.abs(np.fft.rfft(samples)) ** 2
            strongest = int(np.argmax(lines))
            if lines[strongest] * 2 / len(samples) > 0.5 * energy:
                hertz = strongest * self._rate // len(samples)
        self.frames.append((now, hertz, loud))

    def share(self, hertz: int, begin: float, end: float) -> float:
        """The part of a stretch, by its frames of 20 ms, in which this tone was heard."""
        heard = sum(begin <= at < end and tone == hertz for at, tone, _ in self.frames)
        return heard / max(1.0, (end - begin) * 50)

    def gap(self, hertz: int, begin: float) -> float:
        """The longest time without this tone from `begin` to now; 0 Hz: without any sound."""
        return self.longest(hertz, begin, time.monotonic())

    def longest(self, hertz: int, begin: float, end: float) -> float:
        """The same up to another moment."""
        times = [at for at, tone, loud in self.frames if begin <= at <= end and (tone == hertz if hertz else loud)]
        edges = [begin, *times, end]
        return max(after - before for before, after in itertools.pairwise(edges))

    def stall(self, begin: float) -> float:
        """The longest time since then in which nothing came at all, not even silence: what the machine itself was held up."""
        edges = [begin, *(at for at, _, _ in self.frames if at >= begin), time.monotonic()]
        return max(after - before for before, after in itertools.pairwise(edges))

    def sounds(self, begin: float, but: int = 0) -> float:
        """Seconds of sound since then that are not this tone."""
        return sum(at >= begin and loud and tone != but for at, tone, loud in self.frames) / 50


@dataclass
class Caller:
    """A caller, the tone that they send, and what they hear."""

    who: Call
    hertz: int
    ear: Hearing

    @classmethod
    def of(cls, call: Call, hertz: int) -> Caller:
        ear = Hearing(8000)
        call.on_frame = ear.frame
        return cls(call, hertz, ear)


@dataclass
class Agent:
    """The same of an agent."""

    who: BenchAgent
    hertz: int
    ear: Hearing

    @classmethod
    def of(cls, agent: BenchAgent, hertz: int) -> Agent:
        ear = Hearing(agent.rate)
        agent.on_frame = ear.frame
        return cls(agent, hertz, ear)


@dataclass
class Talk:
    """A customer and an agent who hear each other."""

    customer: Caller
    agent: Agent

    def gap(self, begin: float) -> float:
        """The longest silence of either side since then."""
        return max(self.customer.ear.gap(self.agent.hertz, begin), self.agent.ear.gap(self.customer.hertz, begin))

    def both_ways(self, begin: float, end: float, least: float = 0.8) -> bool:
        """Whether each heard the other's tone throughout."""
        one = self.customer.ear.share(self.agent.hertz, begin, end)
        return one > least and self.agent.ear.share(self.customer.hertz, begin, end) > least


async def until(true: Callable[[], Any], seconds: float, what: str, why: Callable[[], object] = str) -> float:
    """Wait for something with a limit; the seconds that it took."""
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what} {why()}")
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def heard_both_ways(talks: Iterable[Talk], seconds: float, what: str) -> float:
    """Wait until everybody has heard their other side for half a second just now; the seconds that it took."""
    every = list(talks)

    def now() -> bool:
        end = time.monotonic() - 0.06  # what is still on its way
        return all(talk.both_ways(end - 0.5, end) for talk in every)

    def why() -> object:
        end = time.monotonic()
        return [
            (
                talk.agent.hertz,
                round(talk.customer.ear.share(talk.agent.hertz, end - 0.5, end), 2),
                round(talk.agent.ear.share(talk.customer.hertz, end - 0.5, end), 2),
            )
            for talk in every
        ]

    return await until(now, seconds, what, why)


class Processes:
    """A system's processes, killed and found by their records."""

    def __init__(self, house: Switchroom) -> None:
        self._run = run_directory(house.data)

    def record(self, name: str) -> records.ProcessRecord:
        found = records.read(self._run, name)
        assert found is not None, name
        return found

    def pids(self) -> dict[str, int]:
        """Of all that live but the supervisor."""
        every = records.read_all(self._run)
        return {record.name: record.pid for record in every if record.role != "supervisor" and records.alive(record)}

    def kill(self, *names: str) -> dict[str, int]:
        """`kill -9`; their pids."""
        pids = {name: self.record(name).pid for name in names}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        return pids

    async def replaced(self, killed: dict[str, int], seconds: float = 40.0) -> float:
        """Wait until others do their work: ready, as the supervisor saw it; the seconds that it took."""

        def done() -> bool:
            found = {name: records.read(self._run, name) for name in killed}
            return all(each is not None and each.pid != killed[name] and each.generation for name, each in found.items())

        return await until(done, seconds, f"new {', '.join(killed)}")

    def family(self, name: str) -> list[int]:
        """A process and its children."""
        pid = self.record(name).pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    @staticmethod
    @contextlib.contextmanager
    def hung(pids: list[int]) -> Any:
        """Stopped, and let go on whatever happens."""
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
