"""Every process is killed in turn while five callers talk, five wait and five are in menus, a prompt and voicemail.

One system and one sequence of stages, since what one kill breaks may show only in the next. What must hold is DESIGN.md §4.7.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from bench.tools.agent import BenchAgent
from bench.tools.caller import Switchboard
from bench.tools.clock import Clock
from bench.tools.house import WAIT, agent_names, running, seed
from sip.message import Request, Response
from tests.sip.edge.peers import Phone, answer
from tests.tools.crowd import Agent, Caller, Hearing, Processes, Talk, heard_both_ways, until
from tests.tools.dns_server import DnsServer
from tests.tools.switchroom import PASSWORD, Switchroom

pytestmark = [pytest.mark.adversity, pytest.mark.realtime, pytest.mark.timeout(400)]

TALK_GAP = 1.0
MUSIC_GAP = 3.0
"""Seconds; the music has rests."""
STALLS = 3.0
"""A talk goes through four clocks, what a caller hears while waiting through two."""
PATIENCE = 60.0
"""Seconds until everybody hears each other, on a machine that is busy with other things; usually it takes one."""
COMMAND_SECONDS = 3.0
"""From the exchange's death to the effect of an agent's next command."""
ANSWER_SECONDS = 4.0
"""For a new call while the database is away."""

MENU, PROMPT, VOICEMAIL, NEWS = "7101", "7102", "7103", "7104"
_TEXT = "Please stay on the line. We are glad that you have called us today."


def _flow(name: str, activities: str) -> str:
    return f"""
flow: bench-{name}
version: 1
entry: answer
activities:
  answer: {{type: answer, exits: {{done: one}}}}
{activities}
  wait: {{type: queue, queue: bench, exits: {{nobody: bye, closed: bye, full: bye}}}}
  bye: {{type: hangup}}
"""


def _menu(prompt: str, timeout: int) -> str:
    return f"""
  one:
    type: menu
    prompt: [{prompt}]
    choices: {{"1": wait}}
    first_timeout: {timeout}
    no_input: {{retries: 10}}
    exits: {{wait: wait, invalid: bye, no_input: bye}}
"""


FLOWS = {
    MENU: _flow(MENU, _menu(f'"{_TEXT}"', 60)),
    PROMPT: _flow(PROMPT, _menu(", ".join([f'"{_TEXT}"'] * 5), 1)),
    VOICEMAIL: _flow(
        VOICEMAIL,
        f"""
  one:
    type: voicemail
    prompt: "{_TEXT}"
    max_seconds: 900
    silence_seconds: 60
    exits: {{recorded: bye, none: bye}}
""",
    ),
    NEWS: _flow(NEWS, '\n  one: {type: say, text: "Nobody has ever spoken these words before.", exits: {done: wait}}\n'),
}


class Registrar(Phone):
    """A carrier that takes every registration."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip():
            return  # it keeps NAT open
        super().datagram_received(data, addr)
        while not self.inbox.empty():
            message: Request | Response = self.inbox.get_nowait()[0]
            if isinstance(message, Request) and message.method == "REGISTER":
                self.taken += message.headers["Expires"] != "0"
                self.send(answer(message, 200, "OK", contact=message.headers["Contact"] + ";expires=600", tag="r"), addr)


class Crowd:
    """Everybody on the line, by the parts that they play."""

    def __init__(self, house: Switchroom, board: Switchboard, agents: list[Agent]) -> None:
        self.house = house
        self.processes = Processes(house)
        self.agents = agents
        self.talks: list[Talk] = []
        self.waiting: list[Caller] = []
        self.menus: list[Caller] = []
        self.prompts: list[Caller] = []
        self.voicemail: list[Caller] = []
        self.figures: dict[str, float] = {}
        self._board = board
        self.dialled = 0

    async def dial(self, number: str) -> Caller:
        """One more caller, who is answered at once."""
        hertz = 350 + 50 * (self.dialled % 7)
        self.dialled += 1
        begun = time.monotonic()
        call = await self._board.call(number, hertz=hertz, ears=False)
        self.figures["answered"] = max(self.figures.get("answered", 0.0), time.monotonic() - begun)
        return Caller.of(call, hertz)

    async def gather(self) -> None:
        """Five talk, five wait, five are elsewhere."""
        for agent in self.agents:
            await agent.who.available()
        for _ in self.agents:
            customer = await self.dial(WAIT)
            self.talks.append(await self.connected(customer))
        self.waiting = [await self.dial(WAIT) for _ in range(5)]
        self.menus = [await self.dial(MENU) for _ in range(2)]
        self.prompts = [await self.dial(PROMPT) for _ in range(2)]
        self.voicemail = [await self.dial(VOICEMAIL)]

    def with_customer(self, customer: Caller) -> Agent | None:
        """The agent who has this caller."""
        found = [a for a in self.agents if a.who.in_contact.is_set() and a.who.customer == customer.who.ani]
        return found[0] if found else None

    async def connected(self, customer: Caller) -> Talk:
        """The talk that an agent has with this caller, soon."""
        await until(lambda: self.with_customer(customer), PATIENCE, "an agent for a caller")
        agent = self.with_customer(customer)
        assert agent is not None
        return Talk(customer, agent)

    @property
    def callers(self) -> list[Caller]:
        talking = [talk.customer for talk in self.talks]
        return [*talking, *self.waiting, *self.menus, *self.prompts, *self.voicemail]

    def check(self, stage: str, begin: float, *, talks: list[Talk] | None = None) -> None:
        """Nobody dropped, talks went on without a gap, music and prompts played on.

        A busy machine holds up the cards' clocks or our own: that is seen by those whom no kill concerns, and allowed for.
        """
        gone = [c.who.ani for c in self.callers if c.who.ended.is_set()]
        assert not gone, f"{stage}: dropped: {gone}"
        gaps = [round(talk.gap(begin), 2) for talk in (self.talks if talks is None else talks)]
        silence = [round(c.ear.gap(0, begin), 2) for c in self.waiting]
        stall = self.stall(begin)
        self.figures |= {f"{stage}: gap in a talk": max(gaps, default=0.0), f"{stage}: stall": stall}
        assert max(gaps, default=0.0) < TALK_GAP + STALLS * stall, f"{stage}: gaps in talks: {gaps}, stall {stall:.2f} s"
        assert max(silence) < MUSIC_GAP + STALLS * stall, f"{stage}: silence for those who wait: {silence}, stall {stall:.2f} s"

    def stall(self, begin: float) -> float:
        """How long the machine held up the audio of those who wait."""
        return max(caller.ear.stall(begin) for caller in [*self.waiting, *self.prompts])

    async def activities(self) -> dict[str, str]:
        """What each caller's flow is at, by number."""
        report = await self.house.status()
        numbers = {call["call"]: call["ani"] for call in report["calls"]}
        return {numbers.get(contact["call"], ""): contact["activity"] for contact in report["contacts"]}


@asynccontextmanager
async def crowd(data: Path) -> AsyncIterator[tuple[Crowd, Registrar]]:
    """A system of 20 lines with five agents, and a trunk that is known by name and registers."""
    await seed(data, 5, FLOWS)
    registrar = Registrar()
    await registrar.open("127.0.0.9")
    zone = f"_sip._udp.carrier.example 60 SRV 1 1 {registrar.address[1]} s.example.", "s.example 60 A 127.0.0.9"
    trunk = {"name": "carrier", "target": "carrier.example", "register": True, "username": "us", "max_calls": 9}
    async with AsyncExitStack() as stack:
        stack.callback(registrar.close)
        dns = await stack.enter_async_context(DnsServer(*zone))
        environment = {"SWITCHROOM_TRUNKS": json.dumps([trunk]), "SWITCHROOM_DNS": f"127.0.0.1:{dns.address[1]}"}
        house = await stack.enter_async_context(running(data, lines=20, rate=8000, environment=environment))
        clock = await stack.enter_async_context(Clock())
        board = await stack.enter_async_context(Switchboard(("127.0.0.1", house.sip), clock))
        agents = []
        for number, name in enumerate(agent_names(5)):
            hertz = 1_200 + 100 * number
            agent = BenchAgent(name, house.url, PASSWORD, clock, codec="PCMU", hertz=hertz, ears=False)
            agents.append(Agent.of(await stack.enter_async_context(agent), hertz))
        found = Crowd(house, board, agents)
        await found.gather()
        yield found, registrar
        print(json.dumps({what: round(figure, 2) for what, figure in found.figures.items()}))


async def test_every_process_dies_and_only_a_line_cards_own_calls_end(tmp_path: Path) -> None:
    async with crowd(tmp_path / "data") as (people, registrar):
        await heard_both_ways(people.talks, PATIENCE, "all talks at the beginning")
        await exchange_dies(people)
        await edge_dies(people, registrar)
        await workers_die(people)
        await desk_card_dies(people)
        await supervisor_dies(people)
        await postgres_dies(people)
        await postgres_hangs(people)
        ended = await line_card_dies(people)
        await all_is_written(people, ended)


async def exchange_dies(people: Crowd) -> None:
    """Nobody drops, a pressed digit counts, the next command takes effect, the first who waits comes first."""
    chooser, first = people.menus[0], people.talks[0]
    log = people.house.data / "logs" / "exchange.log"
    people.figures["spare ready"] = await until(lambda: "spare exchange is ready" in log.read_text(), 60, "a spare exchange")
    begin = time.monotonic()
    killed = people.processes.kill("exchange")
    chooser.who.press("1")
    await first.agent.who.hold(True)
    took = people.figures["exchange: kill to command"] = time.monotonic() - begin
    held, stall = time.monotonic(), people.stall(begin)
    await until(lambda: first.customer.ear.sounds(held, but=first.agent.hertz) > 0.5, 15, "music for whom the agent holds")
    now = time.monotonic()
    await until(lambda: first.customer.ear.sounds(now) > 0.3, 15, "more of it")
    assert first.customer.ear.share(first.agent.hertz, now, time.monotonic()) == 0, "the agent is not in it"
    await first.agent.who.hold(False)
    people.figures["exchange: ready"] = await people.processes.replaced(killed)
    await heard_both_ways(people.talks, PATIENCE, "all talks after the exchange's death")
    people.check("exchange", begin, talks=people.talks[1:])
    assert not any(agent.who.renewed for agent in people.agents), "no softphone was lost"
    people.menus.remove(chooser)
    people.waiting.append(chooser)

    async def chosen() -> bool:
        return (await people.activities()).get(chooser.who.ani) == "wait"

    await people.house.until(chosen, 10, "the digit that was pressed while there was no exchange")
    assert took < COMMAND_SECONDS + STALLS * stall, f"the command took effect after {took:.1f} s, stall {stall:.2f} s"
    last = people.talks.pop()
    await last.agent.who.hang_up()
    await until(lambda: last.customer.who.ended.is_set(), PATIENCE, "the end of a talk")
    await until(lambda: last.agent.who.in_contact.is_set(), PATIENCE, "a next contact")
    longest = people.waiting.pop(0)
    assert last.agent.who.customer == longest.who.ani, "who has waited longest comes first, also after a kill"
    people.talks.append(Talk(longest, last.agent))
    await heard_both_ways(people.talks, PATIENCE, "the new talk")


async def edge_dies(people: Crowd, registrar: Registrar) -> None:
    """Calls go on; new ones, and the end of old ones, go through the new one, which registers again."""
    before, begin = registrar.taken, time.monotonic()
    assert before > 0
    killed = people.processes.kill("edge")
    people.figures["edge: ready"] = await people.processes.replaced(killed)
    newcomer = await people.dial(WAIT)
    await until(lambda: newcomer.ear.sounds(begin) > 0.2, PATIENCE, "music for a caller through the new edge")
    await newcomer.who.hang_up()
    await heard_both_ways(people.talks, PATIENCE, "all talks after the edge's death")
    people.check("edge", begin)

    async def registered() -> bool:
        (trunk,) = (await people.house.status())["trunks"]
        return bool(trunk["registration"] == "registered" and trunk["targets"] == [f"udp 127.0.0.9:{registrar.address[1]}"])

    await people.house.until(registered, 10, "the registration again")
    assert registrar.taken > before


async def workers_die(people: Crowd) -> None:
    """What was never spoken is spoken by the new worker."""
    begin = time.monotonic()
    killed = people.processes.kill("speech", "vault", "bookkeeper")
    news = await people.dial(NEWS)
    people.figures["workers: ready"] = await people.processes.replaced(killed)
    await until(lambda: news.ear.sounds(begin) > 0.5, 30, "words from the new speech worker")
    await news.who.hang_up()
    await heard_both_ways(people.talks, PATIENCE, "all talks after the workers' death")
    people.check("workers", begin)


async def desk_card_dies(people: Crowd) -> None:
    """Its agents are back on another one, their customers hear music meanwhile; the others notice nothing."""
    before = {id(agent): agent.who.renewed for agent in people.agents}
    begin = time.monotonic()
    people.processes.kill("deskcard0")

    def lost() -> list[Talk]:
        return [talk for talk in people.talks if talk.agent.who.renewed > before[id(talk.agent)]]

    people.figures["desk card: agents back"] = await until(lost, 15, "an agent who is back")
    await heard_both_ways(people.talks, PATIENCE, "all talks after the desk card's death")
    hurt = lost()
    assert 0 < len(hurt) < len(people.talks), "the agents were on two cards"
    for talk in hurt:
        assert talk.customer.ear.sounds(begin, but=talk.agent.hertz) > 0.1, "music, while the agent was away"
    people.check("desk card", begin, talks=[talk for talk in people.talks if talk not in hurt])


async def supervisor_dies(people: Crowd) -> None:
    """The next one adopts the living; nobody notices."""
    before, begin = people.processes.pids(), time.monotonic()
    await people.house.kill("supervisor")
    assert people.house.server is not None
    await people.house.server.wait()
    await people.house.start()
    assert people.processes.pids() == before, "the next supervisor adopts the living"
    people.figures["supervisor: up again"] = time.monotonic() - begin
    await heard_both_ways(people.talks, PATIENCE, "all talks after the supervisor's death")
    people.check("supervisor", begin)


async def postgres_dies(people: Crowd) -> None:
    """New calls get an answer and a queue."""
    begin = time.monotonic()
    for pid in people.processes.family("postgres"):
        os.kill(pid, signal.SIGKILL)
    await newcomer_waits(people)
    async with httpx2.AsyncClient(base_url=people.house.url) as http:

        async def answers() -> bool:
            return not [told for told in (await http.get("/health")).json()["problems"] if "database" in told]

        await people.house.until(answers, 30, "the database again")
    people.figures["postgres: back"] = time.monotonic() - begin
    await heard_both_ways(people.talks, PATIENCE, "all talks after the database's death")
    people.check("postgres", begin)


HUNG_SECONDS = 20.0


async def postgres_hangs(people: Crowd) -> None:
    """The same, and agents and callers in menus are served by the event log's spool."""
    begin = time.monotonic()
    chooser, first = people.menus[0], people.talks[0]
    with people.processes.hung(people.processes.family("postgres")):
        await newcomer_waits(people)
        chooser.who.press("1")
        await until(lambda: chooser.ear.gap(0, begin) < 4 and chooser.ear.sounds(begin) > 2, PATIENCE, "music after a digit")
        held = time.monotonic()
        await first.agent.who.hold(True)
        await until(lambda: first.customer.ear.sounds(held, but=first.agent.hertz) > 0.5, 15, "music for whom the agent holds")
        await first.agent.who.hold(False)
        await asyncio.sleep(max(0.0, begin + HUNG_SECONDS - time.monotonic()))
        await heard_both_ways(people.talks, PATIENCE, "all talks while the database hangs")
        people.check("postgres hung", begin, talks=people.talks[1:])
    people.menus.remove(chooser)
    people.waiting.append(chooser)


async def newcomer_waits(people: Crowd) -> None:
    begin = time.monotonic()
    newcomer = await people.dial(WAIT)
    answered = people.figures["database away: answered"] = time.monotonic() - begin
    stall = people.stall(begin)
    assert answered < ANSWER_SECONDS + STALLS * stall, f"answered after {answered:.1f} s, stall {stall:.2f} s"
    await until(lambda: newcomer.ear.sounds(begin) > 0.2, PATIENCE, "music for a newcomer")
    await newcomer.who.hang_up()


async def line_card_dies(people: Crowd) -> list[Caller]:
    """Only its calls end, their customers get a BYE; its agents are free and get those who have waited longest."""
    report = await people.house.status()
    cards = {call["ani"]: call["card"] for call in report["calls"]}
    card = cards[people.talks[0].customer.who.ani]
    doomed = [caller for caller in people.callers if cards[caller.who.ani] == card]
    freed = [talk.agent for talk in people.talks if talk.customer in doomed]
    begin = time.monotonic()
    people.processes.kill(card)
    took = await until(lambda: all(c.who.ended.is_set() for c in doomed), 10, "a BYE for each of its callers")
    people.figures["line card: callers' BYE"] = took
    people.talks = [talk for talk in people.talks if talk.customer not in doomed]
    next_ones = [caller for caller in people.waiting if caller not in doomed][: len(freed)]
    for part in (people.waiting, people.menus, people.prompts, people.voicemail):
        part[:] = [caller for caller in part if caller not in doomed]
    await until(
        lambda: all(people.with_customer(caller) for caller in next_ones),
        20,
        "those who have waited longest with the free agents",
        lambda: [(agent.who.customer, agent.who.refused) for agent in people.agents],
    )
    people.figures["line card: agents busy again"] = time.monotonic() - begin
    people.check("line card", begin)

    async def back() -> bool:
        return bool((await people.house.status())["lines"]["total"] == 20)

    await people.house.until(back, 20, "the card's lines again")
    for caller in next_ones:
        people.talks.append(await people.connected(caller))
        people.waiting.remove(caller)
    await heard_both_ways(people.talks, PATIENCE, "the new talks")
    return doomed


async def all_is_written(people: Crowd, lost: list[Caller]) -> None:
    """Each contact is there once, with its end; what the killed card recorded is salvaged, the message is kept."""
    messages = list(people.voicemail)
    for caller in people.callers:
        await caller.who.hang_up()
    failed = {caller.who.ani for caller in lost}
    async with people.house.api() as api:

        async def written() -> bool:
            items = (await api.get("/api/v1/contacts", params={"limit": 100})).json()["items"]
            finals: dict[str, list[Any]] = {}
            for item in items:
                finals.setdefault(item["ani"], []).append(item["final"])
            once = all(len(each) == 1 and each[0] for each in finals.values())
            return once and len(finals) == people.dialled and {a for a, f in finals.items() if f == ["failed"]} == failed

        await people.house.until(written, 30, "every contact once, with its end")

        async def recorded(ani: str) -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = (await api.get("/api/v1/recordings", params={"number": ani})).json()["items"]
            return items

        async def salvaged() -> bool:
            """The first of them: the vault works with low priority, one after the other."""
            found = [item for caller in lost for item in await recorded(caller.who.ani)]
            return any(item["state"] == "stored" and item["seconds"] > 10 for item in found)

        await people.house.until(salvaged, 90, "a salvaged recording")
        for caller in messages:
            (message,) = await recorded(caller.who.ani)
            assert (message["kind"], message["state"] != "failed") == ("voicemail", True)


def test_what_is_heard() -> None:
    """A tone with a gap of 200 ms, then noise."""
    ear = Hearing(8000)
    samples = 4000 * np.sin(2 * np.pi * 1200 * np.arange(16000) / 8000)
    samples[8000:9600] = 0
    for number in range(100):
        ear.frame(samples[number * 160 : (number + 1) * 160].astype("<i2").tobytes(), number / 50)
    rest = np.random.default_rng(1).normal(0, 2000, 160).astype("<i2").tobytes()
    ear.frame(rest, 2.0)
    inside = list(ear.frames)
    assert [hertz for _, hertz, _ in inside[:50]] == [1200] * 50
    assert [loud for _, _, loud in inside[50:60]] == [False] * 10
    assert inside[-1][1:] == (0, True)
    assert ear.share(1200, 0.0, 1.0) == 1.0
    assert ear.share(1200, 0.5, 1.5) == 0.8
    assert ear.share(1300, 0.0, 1.0) == 0.0
    assert 0.2 < ear.longest(1200, 0.0, 2.0) < 0.25
    assert ear.sounds(0.0, but=1200) == 1 / 50
