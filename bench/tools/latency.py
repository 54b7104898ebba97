"""How long things take, with sender and listener on one monotonic clock: answer, click to audio, RTP in to RTP out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.tools.agent import BenchAgent
from bench.tools.caller import RATE, Call, CallFailedError
from bench.tools.clock import SLOTS
from bench.tools.figures import milliseconds, table
from bench.tools.house import PROMPT, WAIT, agent_names
from bench.tools.load import Floor
from bench.tools.sound import BURST_FRAMES, BURST_HZ, is_tone, onset, voice
from tests.tools.switchroom import PASSWORD

CALLER_HZ, AGENT_HZ = 1000.0, 2500.0
"""In the middle of the 50 Hz bins of a frame, and not in the music."""
HUSH = 0.25
"""Seconds of silence before bursts, for the jitter buffers and the ear."""
GAP = 0.13
"""Seconds between two bursts."""
TIMEOUT = 3.0


@dataclass
class Latencies:
    """Seconds."""

    answer: list[float] = field(default_factory=list)
    offers: list[float] = field(default_factory=list)
    click: dict[str, list[float]] = field(default_factory=dict)
    to_agent: dict[str, list[float]] = field(default_factory=dict)
    to_caller: dict[str, list[float]] = field(default_factory=dict)
    unheard: int = 0
    failed: list[str] = field(default_factory=list)

    def section(self) -> str:
        """Markdown."""
        rows = [milliseconds("INVITE → 200 OK", self.answer)]
        if self.offers:
            rows.append(milliseconds("agent is free → next offer on the desk, callers wait", self.offers))
        for codec, values in self.click.items():
            rows.append(milliseconds(f"click on answer → audio both ways, agent with {codec}", values))
        for codec in self.to_agent:
            rows.append(milliseconds(f"RTP in → RTP out, caller → agent with {codec}", self.to_agent[codec]))
            rows.append(milliseconds(f"RTP in → RTP out, agent with {codec} → caller", self.to_caller[codec]))
        return "\n".join(
            [
                "Sender and listener are one process with one clock. RTP in → RTP out: from the packet in which a burst begins,"
                " as it is sent, to the packet in which it comes out, as it is received, plus its first sample's place in it.",
                "",
                table(("", "samples", "p50", "p95", "p99", "highest"), rows),
                *([f"\nBursts that were not heard: {self.unheard}."] if self.unheard else []),
                *([f"\nCalls that failed: {', '.join(self.failed)}."] if self.failed else []),
            ]
        )


async def answers(at: Floor, count: int) -> list[float]:
    """INVITE to 200 OK, one call after the other."""
    found = []
    for _ in range(count):
        call = await at.board.call(PROMPT, ears=False)
        found.append(call.answered - call.invited)
        await call.hang_up()
        await asyncio.sleep(random.uniform(0.03, 0.09))
    return found


async def conversations(at: Floor, into: Latencies, codec: str, *, calls: int, bursts: int) -> None:
    """Calls one after the other with one agent: click to audio, then bursts each way."""
    clicks, to_agent, to_caller = (kind.setdefault(codec, []) for kind in (into.click, into.to_agent, into.to_caller))
    agent = BenchAgent(agent_names(1)[0], at.system.url, PASSWORD, at.clock, codec=codec, hertz=AGENT_HZ, ears=False)
    async with agent:
        await agent.available()
        for number in range(calls):
            await asyncio.wait_for(agent.free.wait(), TIMEOUT * 3)
            agent.move(number % SLOTS)
            agent.accept_after = random.uniform(0.30, 0.34)
            try:
                call = await at.board.call(WAIT, hertz=CALLER_HZ, ears=False, slot=random.randrange(SLOTS))
            except CallFailedError as error:
                into.failed.append(str(error))
                continue
            try:
                clicks.append(await _click(call, agent))
                call.talking = agent.talking = False
                await asyncio.sleep(HUSH)
                for _ in range(bursts):
                    for found, source, listener, rate, far in (
                        (to_agent, call, agent, RATE, agent.rate),
                        (to_caller, agent, call, agent.rate, RATE),
                    ):
                        seconds = await _burst(source, listener, rate, far)
                        if seconds is None:
                            into.unheard += 1
                        else:
                            found.append(seconds)
                        await asyncio.sleep(GAP)
            finally:
                await call.hang_up()


async def _click(call: Call, agent: BenchAgent) -> float:
    """Seconds from the click until the caller's tone is at the agent and the agent's at the caller."""
    heard = [
        _first(agent, lambda pcm: is_tone(pcm, agent.rate, CALLER_HZ)),
        _first(call, lambda pcm: is_tone(pcm, RATE, AGENT_HZ)),
    ]
    try:
        async with asyncio.timeout(TIMEOUT * 2):
            times = await asyncio.gather(*heard)
    except TimeoutError:
        raise RuntimeError(f"no audio both ways: {[h.done() for h in heard]} {agent.refused}") from None
    finally:
        agent.on_frame = call.on_frame = None
    return max(times) - agent.accepted


def _first(listener: Call | BenchAgent, right: Callable[[bytes], bool]) -> asyncio.Future[float]:
    """When the first frame comes that is right."""
    found: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def take(pcm: bytes, now: float) -> None:
        if not found.done() and right(pcm):
            found.set_result(now)

    listener.on_frame = take
    return found


async def _burst(source: Call | BenchAgent, listener: Call | BenchAgent, rate: int, far: int) -> float | None:
    """Seconds on the way; None when it was not heard."""
    loop = asyncio.get_running_loop()
    sent: asyncio.Future[float] = loop.create_future()
    found: asyncio.Future[float] = loop.create_future()

    def take(pcm: bytes, now: float) -> None:
        first = onset(pcm) if sent.done() and not found.done() else None
        if first is not None:
            found.set_result(now + first / far)

    listener.on_frame = take
    source.burst(voice(rate, BURST_HZ)[:BURST_FRAMES], sent.set_result)
    try:
        async with asyncio.timeout(1.0):
            return await found - await sent
    except TimeoutError:
        return None
    finally:
        listener.on_frame = None
