"""Calls that come at a steady rate, each answered, connected to an agent for a second, and hung up: what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from bench.tools.agent import BenchAgent
from bench.tools.caller import Call, CallFailedError
from bench.tools.figures import percent, percentile, table
from bench.tools.house import WAIT, agent_names
from bench.tools.load import Floor
from bench.tools.processes import BENCH, Usage, usage
from tests.tools.switchroom import PASSWORD

TALK = 1.0
"""Seconds that customer and agent are connected."""
PATIENCE = 10.0
"""Seconds that a caller waits for an agent."""
RAMP = 2.0
"""Seconds at the beginning that say nothing about the rate: no call has ended yet."""


@dataclass
class Offered:
    """So many calls a second for a while, and their ends."""

    rate: float
    seconds: float
    quiet: bool
    calls: int = 0
    completed: int = 0
    ends: list[float] = field(default_factory=list)
    """Seconds from the first call to the end of each completed one."""
    refused: int = 0
    """Got 503."""
    failed: Counter[str] = field(default_factory=Counter)
    answers: list[float] = field(default_factory=list)
    """Seconds from INVITE to 200."""
    refusals: list[float] = field(default_factory=list)
    """Seconds from INVITE to 503."""
    connects: list[float] = field(default_factory=list)
    """Seconds from 200 to the agent who talks."""
    usage: Usage = field(default_factory=lambda: Usage(1.0, {}))
    start: float = 0.0

    @property
    def lost(self) -> float:
        """Share of the calls that were neither completed nor refused at once."""
        return sum(self.failed.values()) / max(1, self.calls)

    @property
    def throughput(self) -> float:
        """Completed calls a second while calls were offered, without the beginning, and without what was left at the end."""
        return sum(RAMP <= end <= self.seconds for end in self.ends) / (self.seconds - RAMP)

    def row(self) -> list[str]:
        """For the table."""
        return [
            f"{self.rate:g}",
            str(self.calls),
            f"{self.throughput:.1f}",
            str(self.refused),
            percent(self.lost, 1),
            *(f"{percentile(values, 0.95) * 1000:.0f} ms" for values in (self.answers, self.connects, self.refusals)),
            *(percent(self.usage.of(role), 0) for role in ("edge", "linecard", "exchange", "deskcard", "postgres")),
            percent(self.usage.system, 0),
            percent(self.usage.of(BENCH), 0),
        ]


HEADS = (
    "offered a second",
    "calls",
    "completed a second",
    "503",
    "failed",
    "200 p95",
    "agent p95",
    "503 p95",
    "edge",
    "line cards",
    "exchange",
    "desk cards",
    "PostgreSQL",
    "together",
    "generator",
)


def rate_table(runs: list[Offered]) -> str:
    """Markdown, with the reasons of failures below."""
    reasons = [f"At {run.rate:g} a second: {dict(run.failed.most_common(4))}." for run in runs if run.failed]
    return "\n".join([table(HEADS, [run.row() for run in runs]), *(["", *reasons] if reasons else [])])


class Exchange:
    """The agents of such a bench, and who of the callers is connected."""

    def __init__(self, at: Floor, agents: list[BenchAgent]) -> None:
        self.at = at
        self.agents = agents
        self._connected: dict[str, asyncio.Future[None]] = {}

    def connected(self, ani: str) -> None:
        """An agent's desk says that they talk."""
        future = self._connected.get(ani)
        if future is not None and not future.done():
            future.set_result(None)

    async def offer(self, rate: float, seconds: float, *, quiet: bool) -> Offered:
        """Calls at an even rate, whatever becomes of them; waits for the last one's end."""
        run = Offered(rate, seconds, quiet)
        loop = asyncio.get_running_loop()
        start = run.start = loop.time()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(usage(self.at.system.data, seconds))
            while (due := start + run.calls / rate) < start + seconds:
                await asyncio.sleep(max(0.0, due - loop.time()))
                run.calls += 1
                group.create_task(self._one(run))
        run.usage = watching.result()
        return run

    async def settled(self) -> None:
        """Wait until every agent is free again."""
        await asyncio.gather(*(asyncio.wait_for(agent.free.wait(), 30) for agent in self.agents))

    async def next_offers(self, samples: int, waiting: int) -> list[float]:
        """Seconds from an agent's last click of one contact to the offer of the next, while so many callers wait."""
        numbers = iter(range(samples))

        async def caller() -> None:
            for _ in numbers:
                call = self.at.board.prepare(WAIT, quiet=True)
                future = self._connected[call.ani] = asyncio.get_running_loop().create_future()
                await call.dial()
                try:
                    await asyncio.wait_for(future, 60)
                    await asyncio.sleep(0.05)
                finally:
                    self._connected.pop(call.ani, None)
                    await call.hang_up()

        async with asyncio.TaskGroup() as group:
            for _ in range(waiting):
                group.create_task(caller())
        return [seconds for agent in self.agents for seconds in agent.offers]

    async def _one(self, run: Offered) -> None:
        loop = asyncio.get_running_loop()
        call = self.at.board.prepare(WAIT, quiet=run.quiet)
        waiting = self._connected[call.ani] = loop.create_future()
        began = loop.time()
        try:
            await call.dial()
            run.answers.append(call.answered - call.invited)
            answered = loop.time()
            await self._agent(call, waiting)
            run.connects.append(loop.time() - answered)
            await asyncio.sleep(TALK)
            if call.ended.is_set():
                run.failed["hung up by us"] += 1
            else:
                await call.hang_up()
                run.completed += 1
                run.ends.append(loop.time() - run.start)
        except CallFailedError as error:
            if error.code == 503:
                run.refused += 1
                run.refusals.append(loop.time() - began)
            else:
                run.failed[str(error)] += 1
        except TimeoutError:
            run.failed[f"no agent in {PATIENCE:.0f} s"] += 1
            with contextlib.suppress(CallFailedError):
                await call.hang_up()
        finally:
            self._connected.pop(call.ani, None)

    async def _agent(self, call: Call, waiting: asyncio.Future[None]) -> None:
        """Until an agent talks or the call is over."""
        ended = asyncio.ensure_future(call.ended.wait())
        try:
            done, _ = await asyncio.wait({waiting, ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if not done:
            raise TimeoutError
        if waiting not in done:
            raise CallFailedError("ended before an agent came")


@contextlib.asynccontextmanager
async def staffed(at: Floor, count: int, *, quiet: bool) -> AsyncIterator[Exchange]:
    """So many agents, available."""
    async with contextlib.AsyncExitStack() as stack:
        agents = []
        made = Exchange(at, agents)
        for name in agent_names(count):
            agent = BenchAgent(name, at.system.url, PASSWORD, at.clock, codec="PCMU", ears=False, quiet=quiet)
            agent.on_contact = made.connected
            agents.append(await stack.enter_async_context(agent))
            await agent.available()
        yield made
