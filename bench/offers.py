"""From an agent who becomes available to the offer on their WebSocket, with the log committed, while events come at a rate.

    python -m bench offers [--rate 100] [--seconds 20] [--agents 20]

A running system with its PostgreSQL. Chats wait in a queue; agents are desks over the public API: they go idle,
become available, get the oldest chat, accept it, end it and wrap it up, again and again. Each such round is eight
events of the engine with the contact's arrival; rounds begin evenly, so that the events come at the asked rate.
Measured is, at the agent's end, from sending `set_state` to the snapshot with the offer. Clients and system share the
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from api.channel import NewContact
from api.client import RemoteContacts
from api.models import User
from bench.tools.figures import milliseconds, table
from bench.tools.house import QUEUE, agent_names, running, seed
from media.desk_client import DeskClient
from tests.tools.switchroom import PASSWORD

EVENTS_A_ROUND = 8
"""Arrived, queued, idle, available, accepted, ended, wrapped up, and half a deadline or so."""
BACKLOG = 50


class Agent:
    """One desk that goes from chat to chat when told to."""

    def __init__(self, name: str, server: str) -> None:
        self.name = name
        self.waits: list[float] = []
        self.failed: list[str] = []
        self._desk: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self._client = DeskClient(server, on_desk=self._look)

    async def __aenter__(self) -> Agent:
        await self._client.__aenter__()
        await self._client.log_in(self.name, PASSWORD)
        await self._client.start()
        await self._client.command("set_state", state="idle", code="break")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.command("log_out", timeout=5.0)
        await self._client.__aexit__(None, None, None)

    def _look(self, desk: dict[str, Any]) -> None:
        self._desk = desk
        self._changed.set()

    async def _until(self, name: str) -> Any:
        async with asyncio.timeout(10):
            while not self._desk.get(name):
                self._changed.clear()
                await self._changed.wait()
        return self._desk[name]

    async def round(self) -> None:
        """Available, offered, accepted, ended, wrapped up, idle again."""
        client = self._client
        started = time.perf_counter()
        told = asyncio.ensure_future(client.command("set_state", state="available"))
        offer = await self._until("offer")
        self.waits.append(time.perf_counter() - started)
        await told
        await client.command("accept", offer=offer["id"])
        await client.command("set_state", state="idle", code="break")
        await client.command("end", contact=offer["contact"])
        await client.command("wrap_up", contact=offer["contact"], code="done")


async def feed(contacts: RemoteContacts, user: User, number: int) -> None:
    """One more chat waits."""
    await contacts.create(user, NewContact(channel="chat", queue=QUEUE, customer=f"customer-{number}"))


async def measure(url: str, rate: float, seconds: float, count: int) -> tuple[list[float], int]:
    """Seconds from available to offer, and how many rounds were done."""
    rounds = 0
    async with RemoteContacts(url) as contacts, asyncio.TaskGroup() as group:
        user = await contacts.log_in("supervisor", PASSWORD)
        agents: asyncio.Queue[Agent] = asyncio.Queue()
        every = [Agent(name, url) for name in agent_names(count)]
        for agent in every:
            await agent.__aenter__()
            agents.put_nowait(agent)
        for number in range(BACKLOG):
            await feed(contacts, user, number)

        async def one(agent: Agent) -> None:
            await agent.round()
            agents.put_nowait(agent)

        loop = asyncio.get_running_loop()
        begun = loop.time()
        running_rounds: list[asyncio.Task[None]] = []
        while loop.time() < begun + seconds:
            due = begun + rounds * EVENTS_A_ROUND / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            running_rounds.append(group.create_task(feed(contacts, user, BACKLOG + rounds)))
            running_rounds.append(group.create_task(one(await agents.get())))
            rounds += 1
        await asyncio.gather(*running_rounds)
        for agent in every:
            await agent.__aexit__(None, None, None)
    return [wait for agent in every for wait in agent.waits], rounds


async def run(rate: float, seconds: float, agents: int) -> None:
    """Start, measure, print."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        data = Path(folder) / "data"
        await seed(data, agents)
        async with running(data, lines=4) as system:
            waits, rounds = await measure(system.url, rate, seconds, agents)
    print(
        f"{agents} agents, {rounds} rounds in {seconds:g} s: about {rounds * EVENTS_A_ROUND / seconds:.0f} events a second.\n"
    )
    row = milliseconds("agent becomes available → offer on the agent's WebSocket, log committed", waits)
    print(table(("", "samples", "p50", "p95", "p99", "highest"), [row]), flush=True)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--agents", type=int, default=20)
    options = parser.parse_args()
    uvloop.run(run(options.rate, options.seconds, options.agents))
    return 0


if __name__ == "__main__":
    sys.exit(main())
