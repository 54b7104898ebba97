"""Steady load: callers who hear a prompt, wait with music, or talk with agents; what it costs and what is lost of the audio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from bench.tools.agent import BenchAgent
from bench.tools.caller import Call, CallFailedError, Switchboard
from bench.tools.clock import Clock
from bench.tools.figures import percent, table
from bench.tools.house import PROMPT, WAIT, agent_names
from bench.tools.processes import BENCH, Usage, quiet, usage
from bench.tools.sound import Listening
from exchange import rundir
from exchange.supervisor.ask import ask
from media.control import line
from tests.tools.switchroom import PASSWORD, Switchroom

SETTLE = 2.5
"""Seconds between the last call that is up and the window that is measured."""
TALK_TIMEOUT = 30.0
CARDS = ("linecard", "deskcard")
REST = ("exchange", "edge", "postgres", "supervisor", "zygote")


class Floor:
    """A system, and the callers and agents of this bench in it."""

    def __init__(self, system: Switchroom, clock: Clock, board: Switchboard) -> None:
        self.system = system
        self.clock = clock
        self.board = board

    async def dial(self, number: str, count: int, *, ears: bool = True) -> list[Call]:
        """So many callers, one after the other."""
        return [await self.board.call(number, hertz=400 + 10 * n, ears=ears) for n in range(count)]

    def agent(self, name: str, codec: str, *, ears: bool = True) -> BenchAgent:
        return BenchAgent(name, self.system.url, PASSWORD, self.clock, codec=codec, ears=ears)


@contextlib.asynccontextmanager
async def floor(system: Switchroom) -> AsyncIterator[Floor]:
    """Clock and SIP socket on a running system."""
    async with Clock() as clock, Switchboard(("127.0.0.1", system.sip), clock) as board:
        yield Floor(system, clock, board)


async def hang_up(calls: Iterable[Call]) -> None:
    """All of them, and wait."""
    for call in calls:
        with contextlib.suppress(CallFailedError):
            await call.hang_up()


@contextlib.asynccontextmanager
async def talks(at: Floor, count: int, codec: str) -> AsyncIterator[tuple[list[Call], list[BenchAgent]]]:
    """So many callers who talk with an agent each, recorded."""
    async with contextlib.AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(at.agent(name, codec)) for name in agent_names(count)]
        for agent in agents:
            await agent.available()
        calls = await at.dial(WAIT, count)
        try:
            async with asyncio.timeout(TALK_TIMEOUT):
                await asyncio.gather(*(agent.in_contact.wait() for agent in agents))
        except TimeoutError:
            problems = {agent.name: agent.refused for agent in agents if not agent.in_contact.is_set()}
            await hang_up(calls)
            raise RuntimeError(f"not every call found its agent: {problems} {at.system.log()}") from None
        try:
            yield calls, agents
        finally:
            await hang_up(calls)


# --- what a call costs ----------------------------------------------------------------------------------------------


@dataclass
class Costs:
    """Usage by kind of call; `idle` is the base of all others."""

    rate: int
    calls: int
    idle: Usage
    kinds: dict[str, Usage] = field(default_factory=dict)
    vault: float = 0.0
    """Seconds of CPU for a minute of a recording."""

    def rows(self) -> list[list[str]]:
        """For the table: per cent of a core for each call, by process."""
        return [self._row(name, one) for name, one in self.kinds.items()]

    def _row(self, name: str, one: Usage) -> list[str]:
        def each(*roles: str) -> float:
            return (one.of(*roles) - self.idle.of(*roles)) / self.calls

        rest = each(*REST)
        total = each("linecard") + each("deskcard") + rest
        return [
            name,
            f"{self.rate // 1000} kHz",
            str(self.calls),
            *(percent(value) for value in (each("linecard"), each("deskcard"), rest, total)),
        ]


async def costs(at: Floor, *, rate: int, count: int, seconds: float, prompts: bool) -> Costs:
    """Every kind of call, so many of each."""
    data = at.system.data
    await quiet(data)
    found = Costs(rate, count, await usage(data, seconds))
    if prompts:
        calls = await at.dial(PROMPT, count)
        await quiet(data, roles=("speech",))
        found.kinds["hears a prompt"] = await _steady(at, seconds)
        await hang_up(calls)
    async with at.agent(agent_names(1)[0], "PCMU") as resting:
        await resting.idle()
        calls = await at.dial(WAIT, count)
        found.kinds["waits with music"] = await _steady(at, seconds)
        await hang_up(calls)
    for codec, name in (("PCMU", "talks, recorded, agent with PCMU"), ("opus", "talks, recorded, agent with Opus")):
        await quiet(data, roles=("vault",))
        async with talks(at, count, codec):
            found.kinds[name] = await _steady(at, seconds)
    return found


async def _steady(at: Floor, seconds: float) -> Usage:
    await asyncio.sleep(SETTLE)
    return await usage(at.system.data, seconds)


def costs_section(all_costs: list[Costs], generator: float) -> str:
    """Markdown."""
    first = all_costs[0]
    idle = ", ".join(
        f"{role} {percent(first.idle.of(role))}"
        for role in ("linecard", "deskcard", "exchange", "edge", "postgres", "supervisor")
    )
    rows = [row for one in all_costs for row in one.rows()]
    rows.sort(key=lambda row: (row[1], row[0]))
    return "\n".join(
        [
            "Callers with PCMU, so many of a kind at once; per cent of one core for each call, the idle system subtracted."
            " `rest`: exchange, edge, PostgreSQL, supervisor.",
            "",
            table(("a caller who …", "bridge", "calls", "line card", "desk card", "rest", "together"), rows),
            "",
            f"Idle system, all processes of a role together: {idle}."
            f" The load generator itself took up to {percent(generator, 0)} of a core.",
        ]
    )


# --- the load of the issue ------------------------------------------------------------------------------------------


@dataclass
class Load:
    """Talking and waiting at the same time for a while."""

    talking: int
    waiting: int
    seconds: float
    at_agents: Listening
    at_callers: Listening
    at_waiting: Listening
    usage: Usage
    ticks: float
    late_clock: float
    legs: list[dict[str, object]] = field(default_factory=list)
    recordings: int = 0

    @property
    def worst(self) -> float:
        return max(self.at_agents.share, self.at_callers.share, self.at_waiting.share)

    def section(self) -> str:
        """Markdown."""
        rows = [
            [name, *map(str, (one.pulled, one.arrived, one.missing, one.late)), percent(one.share, 3)]
            for name, one in (
                (f"{self.talking} agents hear their callers", self.at_agents),
                (f"{self.talking} callers hear their agents", self.at_callers),
                (f"{self.waiting} callers hear music", self.at_waiting),
            )
        ]
        cpu = [
            [role, percent(cores, 1)]
            for role, cores in sorted(self.usage.cores.items(), key=lambda item: -item[1])
            if role != BENCH
        ]
        cpu += [["**Switchroom together**", percent(self.usage.system, 1)], [BENCH, percent(self.usage.of(BENCH), 1)]]
        return "\n".join(
            [
                f"{self.talking} recorded calls and {self.waiting} callers who wait, for {self.seconds:.0f} s."
                " A frame is late or lost when a listener (a jitter buffer, as a patch has) finds nothing to play at its time.",
                "",
                table(("", "frames due", "arrived", "late or lost", "of these came late", "share"), rows),
                "",
                table(("processes", "of a core"), cpu),
                "",
                f"Slowest bridge clock: {self.ticks:.1f} of 50 ticks a second. The load generator's own clock was late"
                f" {percent(self.late_clock)} of the time. Legs in the records: {self._legs()}."
                f" Recordings stored: {self.recordings} of {self.talking}.",
            ]
        )

    def _legs(self) -> str:
        def total(kind: str, name: str) -> int:
            return sum(int(str(leg.get(name, 0))) for leg in self.legs if leg["kind"] == kind)

        parts = []
        for kind in ("sip", "webrtc"):
            count = sum(leg["kind"] == kind for leg in self.legs)
            figures = ", ".join(
                f"{name.replace('_', ' ')} {total(kind, name)}"
                for name in ("received", "lost", "discarded", "late", "remote_lost")
            )
            parts.append(f"{count} {kind} ({figures})")
        return "; ".join(parts)


async def load(at: Floor, *, talking: int, waiting: int, seconds: float) -> Load:
    """The load that the system must carry on two cores."""
    async with talks(at, talking, "opus") as (calls, agents):
        music = await at.dial(WAIT, waiting)
        await asyncio.sleep(SETTLE)

        def mark() -> None:
            for ears in (*(c.ears for c in (*calls, *music)), *(a.ears for a in agents)):
                if ears is not None:
                    ears.mark()

        late, ticks = at.clock.late, at.clock.ticks
        used = await usage(at.system.data, seconds, mark)
        late, ticks = at.clock.late - late, at.clock.ticks - ticks
        found = Load(
            talking,
            waiting,
            seconds,
            _heard(agents),
            _heard(calls),
            _heard(music),
            used,
            await _slowest_bridge(at.system),
            late / ticks,
        )
        await hang_up(music)
    numbers = [call.ani for call in calls]
    found.legs, found.recordings = await _records(at.system, numbers)
    return found


def _heard(listeners: Iterable[Call | BenchAgent]) -> Listening:
    total = Listening()
    for one in listeners:
        if one.ears is not None:
            total += one.ears.since()
    return total


async def _slowest_bridge(system: Switchroom) -> float:
    _, run = rundir.locate(system.data)
    cards = [await ask(path, line.TakeInventory(), line.Inventory) for path in sorted(run.glob("linecard[0-9]*.ctl"))]
    return min((card.counters["ticks"] for card in cards if card.counters["clock"]), default=50.0)


async def _records(system: Switchroom, numbers: list[str]) -> tuple[list[dict[str, object]], int]:
    """Quality of the legs of these callers, and how many of their recordings are in the vault, once all are written."""
    async with system.api() as api:

        async def stored() -> int:
            items = (await api.get("/api/v1/recordings", params={"limit": 100})).json()["items"]
            return sum(item["ani"] in numbers and item["state"] == "stored" for item in items)

        with contextlib.suppress(AssertionError):

            async def everything() -> bool:
                return await stored() == len(numbers)

            await system.until(everything, 60, "stored recordings")
        legs: list[dict[str, object]] = []
        for number in numbers:
            items = (await api.get("/api/v1/contacts", params={"number": number})).json()["items"]
            for item in items[:1]:
                contact = (await api.get(f"/api/v1/contacts/{item['id']}")).json()
                legs += [{"kind": leg["kind"], **leg["quality"]} for leg in contact["legs"]]
        return legs, await stored()
