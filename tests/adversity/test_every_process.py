"""Every process is killed in turn while one caller talks and one waits: nobody drops, and each does its work again after."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.tools import tones
from tests.tools.switchroom import Switchroom, Tool, switchroom

pytestmark = [pytest.mark.adversity, pytest.mark.realtime, pytest.mark.timeout(240)]

AGENT_HZ = 880


async def talk(house: Switchroom, seconds: int, save: Path) -> tuple[Tool, Tool, Tool]:
    """An agent and a caller who talk, and a caller who waits."""
    agent = await house.agent("agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ), "--contacts", "3")
    await agent.event("available")
    talking = await house.call("--digits", "1", "--seconds", str(seconds), "--caller", "31", "--save", str(save))
    await agent.event("audio-in")
    waiting = await house.call("--digits", "1", "--seconds", str(seconds), "--caller", "32")
    await waiting.event("digits-sent")
    return agent, talking, waiting


def alive(*tools: Tool) -> bool:
    return all(t.process.returncode is None and not [e for e in t.events if e["event"] == "ended"] for t in tools)


async def replaced(house: Switchroom, role: str, name: str = "") -> None:
    """Kill it, and wait until another one does its work."""
    old = await house.kill(role, name)

    async def again() -> bool:
        found = [p for p in await house.processes(role) if not name or p["name"] == name]
        return bool(found and found[0]["pid"] not in (0, old) and found[0]["state"] == "ready")

    await house.until(again, 20, f"new {role}")


def hears(samples_from: Path) -> list[bool]:
    """Whether the agent's tone is in each 100 ms of what was saved, from its first sound to half a second before the end.

    In the last half second the caller has hung up already.
    """
    samples, rate = tones.load(samples_from)
    size = rate // 10
    windows = [samples[i : i + size, 0] for i in range(0, len(samples) - size, size)]
    heard = [tones.level(window, rate, AGENT_HZ) > -30 for window in windows]
    return heard[heard.index(True) : -5]


async def test_edge_workers_and_supervisor_die_and_the_talk_goes_on(tmp_path: Path) -> None:
    async with switchroom(tmp_path / "data") as house:
        saved = tmp_path / "talking.wav"
        agent, talking, waiting = await talk(house, 200, saved)
        for role in ("edge", "speech", "vault"):
            await replaced(house, role)
            assert alive(talking, waiting), role
        before = {p["name"]: p["pid"] for p in await house.processes() if p["role"] != "supervisor"}
        await house.kill("supervisor")
        assert house.server is not None
        await house.server.wait()
        await house.start()
        after = {p["name"]: p["pid"] for p in await house.processes() if p["role"] != "supervisor"}
        assert after == before, "the next supervisor adopts the living"
        third = await house.call("--digits", "1", "--seconds", "6", "--caller", "33")
        assert (await third.end(40))["answered"], "new calls come through the new edge"
        assert alive(talking, waiting, agent)
        await talking.stop()
        heard = hears(saved)
        assert len(heard) > 100
        assert sum(heard) > 0.98 * len(heard), "the agent was heard throughout"


async def test_a_desk_card_dies_and_its_agent_is_back(tmp_path: Path) -> None:
    async with switchroom(tmp_path / "data") as house:
        saved = tmp_path / "talking.wav"
        agent, talking, waiting = await talk(house, 200, saved)
        killed = time.monotonic()
        await house.kill("deskcard", "deskcard0")
        again = await agent.event("softphone-again", timeout=15)
        print({"softphone_back_after_s": round(again["t"] - killed, 2)})
        assert alive(talking, waiting)
        await asyncio.sleep(max(0.0, again["t"] + 5 - time.monotonic()))
        await talking.stop()
        samples, rate = tones.load(saved)
        tail = samples[-3 * rate : -rate // 2, 0]
        assert tones.level(tail, rate, AGENT_HZ) > -30, "agent and caller hear each other again"
        size = rate // 10
        windows = [samples[i : i + size, 0] for i in range(0, len(samples) - size, size)]
        # The music has the agent's note, too, but never alone.
        talked = [n for n, w in enumerate(windows) if -35 < tones.power(w) < tones.level(w, rate, AGENT_HZ) + 3]
        gap = [n for n in range(talked[0], talked[-1]) if n not in set(talked)]
        assert gap, "the agent was gone for a moment"
        music = [n for n in gap if tones.power(windows[n]) > -50]
        assert music, "meanwhile the customer heard music"


@pytest.mark.parametrize("how", ["killed", "hung"])
async def test_postgres_is_away_and_calls_go_on(tmp_path: Path, how: str) -> None:
    async with switchroom(tmp_path / "data") as house:
        agent, talking, waiting = await talk(house, 200, tmp_path / "talking.wav")
        postgres = await house.pid("postgres")
        family = [postgres, *map(int, Path(f"/proc/{postgres}/task/{postgres}/children").read_text().split())]
        for pid in family:
            os.kill(pid, signal.SIGSTOP if how == "hung" else signal.SIGKILL)
        started = time.monotonic()
        newcomer = await house.call("--digits", "1", "--seconds", "12", "--caller", "34")
        answered = await newcomer.event("answered", timeout=10)
        assert answered["t"] - started < 4, "new calls get an answer"
        await newcomer.event("digits-sent")
        assert alive(talking, waiting, newcomer)
        if how == "hung":
            for pid in family:
                os.kill(pid, signal.SIGCONT)
        await newcomer.end(60)
        await talking.stop()
        await waiting.stop()
        await agent.stop()
        async with house.api() as api:

            async def written() -> bool:
                items = (await api.get("/api/v1/contacts")).json().get("items", [])
                return sorted(i["ani"] for i in items if i["final"]) == ["31", "32", "34"]

            await house.until(written, 30, "all three contacts, once each")
