"""A real exchange process on a real database, between scripted cards that outlive it: killed, paused, begun by the test."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import httpx2

from exchange.brain.messages import Standing, Status
from exchange.demo import SeedOrder, seed
from media.control.client import ControlClient
from media.desk_client import DeskClient, DeskError
from media.vault.keys import make_or_load_master_key
from storage.database import Database
from storage.queries import Queries
from tests.exchange.brain.fake_cards import DeskCard, Edge, LineCard, Speech, Vault
from tests.tools.switchroom import PASSWORD, asked_until, free_port

STEP = 0.02
PATIENCE = 120.0
"""Seconds for what takes no time, on a machine that is busy with other things."""
MODULE = "exchange.brain"
LATER = f"""
import runpy, sys, time
now, ahead = time.time, float(sys.argv.pop(1))
time.time = lambda: now() + ahead
runpy.run_module({MODULE!r}, run_name="__main__", alter_sys=True)
"""
"""A process whose clock is ahead of ours."""


class Desk:
    """An agent's page and softphone, which come back by themselves; what it shows now is `now`."""

    def __init__(self, exchange: LoneExchange, name: str) -> None:
        self.name = name
        self.now: dict[str, Any] = {}
        self.states: list[str] = []
        """Every state that the page has shown, once for each change."""
        self._exchange = exchange
        self._client = DeskClient(exchange.url, on_desk=self._show)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._exchange.until(self._logged_in, f"{self.name} at the desk")
        await self._client.start(PATIENCE)
        await self._exchange.until(lambda: self.now, f"{self.name}'s desk")
        return self

    async def _logged_in(self) -> bool:
        with contextlib.suppress(DeskError):
            return bool(await self._client.log_in(self.name, PASSWORD))
        return False

    async def __aexit__(self, *exc: object) -> None:
        await self._client.__aexit__(None, None, None)

    def _show(self, item: dict[str, Any]) -> None:
        self.now = item
        state = str(item["agent"]["state"])
        if self.states[-1:] != [state]:
            self.states.append(state)

    async def say(self, kind: str, **fields: Any) -> dict[str, Any]:
        return await self._client.command(kind, timeout=PATIENCE, **fields)

    async def ready(self) -> None:
        """With a softphone, taking contacts."""
        card = self._exchange.desk_card
        await self.say("softphone", sdp="offer")
        (connection,) = [id for id, record in card.connections.items() if record.owner == self.name]
        card.change(connection, "connected")
        await self._exchange.until(lambda: self.now["softphone"]["state"] == "ready", "a softphone")
        await self.say("set_state", state="available")

    async def accept(self) -> str:
        """Take the offer that comes; the contact."""
        offer = await self._exchange.until(lambda: self.now.get("offer"), f"an offer for {self.name}")
        await self.say("accept", offer=offer["id"])
        await self._exchange.until(lambda: (self.now["contact"] or {}).get("state") == "talking", "a talk")
        return str(offer["contact"])

    async def free(self) -> None:
        """The contact is over: be done with it."""
        await self._exchange.until(lambda: self.now["agent"]["state"] == "wrap-up", f"the end of {self.name}'s talk")
        await self.say("wrap_up", code="other")


class LoneExchange:
    """One node without a supervisor."""

    def __init__(self, data: Path, dsn: str) -> None:
        self.data = data
        self.dsn = dsn
        self.run = Path(tempfile.mkdtemp(prefix="swl-"))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.changed = asyncio.Event()
        self.line = LineCard(self.run, "linecard0", self.changed)
        self.desk_card = DeskCard(self.run, "deskcard0", self.changed)
        self.others = [Speech(self.run, "speech", self.changed), Edge(self.run, "edge", self.changed)]
        self.others.append(Vault(self.run, "vault", self.changed))
        self.process: asyncio.subprocess.Process | None = None
        for name in ("keys", "prompts", "vault"):
            (data / name).mkdir(parents=True)
        make_or_load_master_key(data / "keys" / "master.key")

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "DATABASE_URL": self.dsn,
            "HTTP": self.url.removeprefix("http://"),
            "LINES": "4",
            "DESK_CARDS": "1",
            "WEB_CARDS": "0",
            "RECORDINGS": "false",
        }
        return {**os.environ, **{f"SWITCHROOM_{name}": value for name, value in ours.items()}}

    @property
    def cards(self) -> list[Any]:
        return [self.line, self.desk_card, *self.others]

    @property
    def log(self) -> str:
        """What the processes have said."""
        return (self.data / "exchange.log").read_text(errors="replace")

    async def spawn(self, *, ahead: float = 0.0) -> None:
        """Begin a process, with a clock that is so many seconds ahead; it may not come far."""
        program = ("-c", LATER, str(ahead)) if ahead else ("-m", MODULE)
        with (self.data / "exchange.log").open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, *program, "--run", str(self.run), "--data", str(self.data)),
                stdout=out,
                stderr=out,
                env=self.environment,
            )

    async def start(self, *, ahead: float = 0.0) -> None:
        """Begin a process, and wait until it answers."""
        await self.spawn(ahead=ahead)
        await self.up()

    async def up(self) -> None:
        await self.until(self.healthy, "health")

    @contextlib.asynccontextmanager
    async def beside(self) -> AsyncIterator[LoneExchange]:
        """Another process on the same cards and data, with an address of its own; not begun yet."""
        other = copy.copy(self)
        other.url, other.process = f"http://127.0.0.1:{free_port()}", None
        try:
            yield other
        finally:
            await other.kill()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def kill(self) -> None:
        """`kill -9`, also of one that is paused."""
        if self.process is not None and self.process.returncode is None:
            self.signal(signal.SIGKILL)
            await self.process.wait()

    async def ended(self, seconds: float) -> int:
        """Wait for its end by itself; the exit code."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), seconds)

    async def healthy(self) -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            return (await self.health())["ok"] is True
        return False

    async def health(self) -> dict[str, Any]:
        async with httpx2.AsyncClient() as client:
            found: dict[str, Any] = (await client.get(f"{self.url}/health", timeout=2)).json()
            return found

    async def logs_to_database(self) -> bool:
        """Whether nothing waits in the spool."""
        return not [told for told in (await self.health())["problems"] if "database" in told]

    async def standing(self) -> Standing:
        """Agents, queues and contacts."""
        async with ControlClient(self.run / "exchange.ctl", role="observer") as client:
            await client.connected()
            return await client.command(Status(), Standing)

    async def until(self, true: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Ask again and again, with a limit; the truthy answer."""

        def ended() -> bool:
            return self.process is not None and self.process.returncode is not None

        return await asked_until(true, seconds, what, lambda: self.log[-6000:], step=STEP, ended=ended)

    # --- callers --------------------------------------------------------------------------------------------------

    async def caller(self, number: int) -> str:
        """A call to the demo that has been answered and is asked for a digit."""
        call = self.line.call(number)
        await self.until(lambda: self.line.calls[call].collect, f"a menu for {call}")
        return call

    async def waits(self, number: int) -> str:
        """A call that waits for Sales: it hears music, unless an agent has it at once."""
        call = await self.caller(number)
        self.line.press(call, "1")
        await self.until(lambda: self.line.calls[call].music or self.line.calls[call].links, f"a queue for {call}")
        return call

    @contextlib.asynccontextmanager
    async def api(self, user: str = "supervisor") -> AsyncIterator[httpx2.AsyncClient]:
        """A client that is logged in."""
        limits = httpx2.Limits(keepalive_expiry=1)  # the server ends what rests for 5 s, perhaps as we use it again
        async with httpx2.AsyncClient(base_url=self.url, timeout=20, limits=limits) as client:
            answer = await client.post("/api/v1/login", json={"name": user, "password": PASSWORD}, timeout=PATIENCE)
            assert answer.status_code == 200, answer.text
            client.headers["authorization"] = f"Bearer {answer.json()['token']}"
            yield client


async def furnish(dsn: str) -> None:
    """The demo's accounts and configuration."""
    async with Database(dsn) as database:
        people = dict.fromkeys(("agent1", "agent2", "supervisor"), PASSWORD)
        await seed(Queries(database), SeedOrder(demo=True, reset=False, passwords=people))


@contextlib.asynccontextmanager
async def lone_exchange(data: Path, dsn: str) -> AsyncIterator[LoneExchange]:
    """Its cards are there, its process is not begun yet; all ends with the block."""
    node = LoneExchange(data, dsn)
    try:
        for card in node.cards:
            await card.start()
        yield node
    finally:
        await node.kill()
        for card in node.cards:
            await card.die()
        shutil.rmtree(node.run)
