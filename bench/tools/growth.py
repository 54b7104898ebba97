"""Calls set up and torn down in a row: what of it every process keeps."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass

import httpx2

from bench.tools.caller import CallFailedError
from bench.tools.figures import table
from bench.tools.house import PROMPT, WAIT, agent_names
from bench.tools.load import Floor
from bench.tools.processes import Footprint, Processes, quiet

TALK = 0.5
"""Seconds that customer and agent talk."""
CLOCKS_STOP = 2.0
"""Seconds after which a line card without calls has stopped its clock, which takes a thread and its files."""
STEADY_TRIES = 20
POOL = 6
"""Threads that asyncio's executor may still make on 2 cores (cores + 4 in all): it makes one whenever all are at work."""


@dataclass(frozen=True)
class Growth:
    """Each process after the warm-up and at the end."""

    calls: int
    talked: int
    seconds: float
    before: dict[str, Footprint]
    after: dict[str, Footprint]
    tasks: tuple[int, int]
    """Of asyncio in the exchange."""
    failed: list[str]
    """Calls that did not go as they should."""

    def kept(self) -> list[str]:
        """Processes with more descriptors or threads than before; PostgreSQL's backends come and go with the pool."""
        found = []
        for name, was in self.before.items():
            now = self.after[name]
            if now.threads > was.threads + POOL or (now.descriptors > was.descriptors and name != "postgres"):
                found.append(name)
        return found

    def section(self) -> str:
        """Markdown."""
        rows = []
        for name, was in self.before.items():
            now = self.after[name]
            grown = now.own - was.own
            rows.append(
                [
                    name,
                    f"{was.descriptors} → {now.descriptors}",
                    f"{was.threads} → {now.threads}",
                    f"{was.own / 2**20:.1f} → {now.own / 2**20:.1f} MiB",
                    f"{now.share / 2**20:.1f} MiB",
                    f"{grown / self.calls / 1024:+.1f} KiB",
                ]
            )
        return "\n".join(
            [
                f"{self.calls} calls in {self.seconds:.0f} s after a warm-up, {self.talked} of them connected to an agent and"
                " recorded; measured when everything was filed and the last call forgotten. Own memory is USS, the share PSS.",
                "",
                table(("process", "descriptors", "threads", "own memory", "share", "a call"), rows),
                "",
                f"Tasks of asyncio in the exchange: {self.tasks[0]} → {self.tasks[1]}. Calls that failed: {len(self.failed)}"
                f"{' (' + ', '.join(self.failed[:5]) + ')' if self.failed else ''}.",
            ]
        )


async def growth(at: Floor, *, warm: int, calls: int, at_once: int) -> Growth:
    """Warm up, look, run, look again."""
    async with contextlib.AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(at.agent(name, "PCMU")) for name in agent_names(at_once)]
        for agent in agents:
            await agent.available()
        failed = await _run(at, warm, at_once)
        before, tasks_before = await _look(at)
        loop = asyncio.get_running_loop()
        talked, start = sum(agent.contacts for agent in agents), loop.time()
        failed += await _run(at, calls, at_once)
        took = loop.time() - start
        after, tasks_after = await _look(at, before)
        talked = sum(agent.contacts for agent in agents) - talked
    return Growth(calls, talked, took, before, after, (tasks_before, tasks_after), failed)


async def _run(at: Floor, count: int, at_once: int) -> list[str]:
    """Calls, `at_once` at a time; every second one is for an agent. What went wrong."""
    numbers = iter(range(count))
    failed: list[str] = []

    async def caller() -> None:
        for number in numbers:
            try:
                await (_with_agent(at) if number % 2 else _with_prompt(at))
            except CallFailedError as error:
                failed.append(str(error))
            except TimeoutError:
                failed.append("no audio in 10 s")

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(caller())
    return failed


async def _with_prompt(at: Floor) -> None:
    call = await at.board.call(PROMPT, ears=False)
    await asyncio.sleep(random.uniform(0.1, 0.3))
    await call.hang_up()


async def _with_agent(at: Floor) -> None:
    call = await at.board.call(WAIT, hertz=500, ears=False)
    heard = asyncio.Event()
    call.on_frame = lambda _pcm, _now: heard.set()
    try:
        await asyncio.wait_for(heard.wait(), 10)
        await asyncio.sleep(TALK + random.uniform(0.2, 0.4))
    finally:
        await call.hang_up()


async def _look(at: Floor, like: dict[str, Footprint] | None = None) -> tuple[dict[str, Footprint], int]:
    """When all is filed and quiet; with `like`, wait a little for what only comes down late."""
    await quiet(at.system.data, timeout=90)
    await asyncio.sleep(CLOCKS_STOP)
    for _ in range(STEADY_TRIES):
        found, tasks = Processes(at.system.data).footprints(), await _tasks(at.system.url)
        if like is None or all(
            found[n].descriptors <= w.descriptors and found[n].threads <= w.threads for n, w in like.items()
        ):
            break
        await asyncio.sleep(0.5)
    return found, tasks


async def _tasks(url: str) -> int:
    async with httpx2.AsyncClient(base_url=url, timeout=10) as client:
        text = (await client.get("/metrics")).text
    return next((int(float(ln.split()[1])) for ln in text.splitlines() if ln.startswith("switchroom_tasks ")), -1)
