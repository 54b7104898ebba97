"""`kill -9` of the exchange and of a line card while callers are in the menu, in the queue and in a talk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import websockets

from tests.tools import tones
from tests.tools.switchroom import PASSWORD, Switchroom, switchroom

pytestmark = [pytest.mark.adversity, pytest.mark.realtime, pytest.mark.timeout(240)]

AGENT_HZ = 880


@contextlib.asynccontextmanager
async def desk(house: Switchroom, token: str) -> AsyncIterator[websockets.ClientConnection]:
    """A page of an agent, without a softphone."""
    url = house.url.replace("http", "ws") + "/api/v1/desk"
    async with websockets.connect(url, additional_headers={"authorization": f"Bearer {token}"}) as socket:
        yield socket


async def ask(socket: websockets.ClientConnection, **message: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"id": 1, **message}))
    while True:
        answer: dict[str, Any] = json.loads(await socket.recv())
        if answer["type"] == "reply":
            return answer


async def command_as_soon_as_possible(house: Switchroom, token: str, **message: Any) -> dict[str, Any]:
    """What an agent's page does after a break: connect again until it works, then send the command."""
    while True:
        try:
            async with desk(house, token) as socket:
                return await ask(socket, **message)
        except (OSError, websockets.WebSocketException):
            await asyncio.sleep(0.05)


def longest(samples: tones.Samples, rate: int, hz: float) -> float:
    """Seconds of the longest stretch in which the tone never pauses (windows of 60 ms)."""
    size = int(rate * 0.06)
    windows = [samples[i : i + size] for i in range(0, len(samples) - size, size)]
    best = run = 0
    for window in windows:
        run = run + 1 if tones.level(window, rate, hz) > -40 else 0
        best = max(best, run)
    return best * 0.06


async def token_of(house: Switchroom, name: str) -> str:
    async with httpx2.AsyncClient(base_url=house.url) as client:
        answer = await client.post("/api/v1/login", json={"name": name, "password": PASSWORD})
        found: str = answer.json()["token"]
        return found


async def test_the_exchange_is_killed_and_nobody_notices(tmp_path: Path) -> None:
    async with switchroom(tmp_path / "data") as house:
        agent = await house.agent("agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ), "--contacts", "2")
        await agent.event("available")
        token = await token_of(house, "agent1")
        talking = await house.call(
            *("--digits", "1", "--seconds", "40", "--caller", "1001", "--save", str(tmp_path / "talking.wav"))
        )
        await agent.event("audio-in")
        waiting = await house.call(
            *("--digits", "1", "--seconds", "55", "--caller", "1002", "--save", str(tmp_path / "waiting.wav"))
        )
        sent = await waiting.event("digits-sent")
        menu = await house.call("--digits", "1", "--digits-at", "5", "--seconds", "45", "--caller", "1003")
        answered = await menu.event("answered")
        await asyncio.sleep(max(0.0, answered["t"] + 4.7 - time.monotonic()))
        started = await house.pid("exchange")
        await asyncio.sleep(max(0.0, answered["t"] + 4.8 - time.monotonic()))
        await house.kill("exchange")
        killed = time.monotonic()

        reply = await command_as_soon_as_possible(house, token, type="hold", on=True)
        took = time.monotonic() - killed
        assert reply["ok"], reply
        assert took < 3.0, f"the agent's command took effect after {took:.1f} s"
        pressed = await menu.event("digits-sent")
        assert await house.pid("exchange") != started

        async def in_queue() -> bool:
            contacts = (await house.status())["contacts"]
            return sorted(c["activity"] for c in contacts) == ["sales_queue"] * 3

        await house.until(in_queue, 10, "all three in the sales queue's activity")
        assert all(not t.process.returncode for t in (talking, waiting, menu))
        async with desk(house, token) as socket:
            assert (await ask(socket, type="hold", on=False))["ok"]
            assert (await ask(socket, type="hang_up"))["ok"]
        await talking.event("ended")
        second = await agent.event("offer", count=2, timeout=60)
        assert second["ani"] == "1002", "who waited longer comes first, also after a kill"
        await menu.stop()
        await waiting.stop()
        print(json.dumps({"kill_to_command_s": round(took, 2), "digit_after_kill_s": round(pressed["t"] - killed, 2)}))

    samples, rate = tones.load(tmp_path / "talking.wav")
    heard = longest(samples[:, 0], rate, AGENT_HZ)
    assert heard > killed - sent["t"], "the talk went on while there was no exchange"
    samples, rate = tones.load(tmp_path / "waiting.wav")
    begin = int((killed - sent["t"] + 3) * rate)
    assert tones.power(samples[begin : begin + 3 * rate]) > -50, "music played on"


async def test_a_line_card_is_killed_and_only_its_calls_end(tmp_path: Path) -> None:
    async with switchroom(tmp_path / "data", lines=8) as house:
        agent = await house.agent("agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ), "--contacts", "2")
        await agent.event("available")
        calls = []
        for n in range(5):
            call = await house.call("--digits", "1", "--seconds", "60", "--caller", f"200{n}")
            await call.event("answered")
            calls.append(call)
        await agent.event("audio-in")
        cards = {c["card"]: c["used"] for c in (await house.status())["cards"]}
        assert sorted(cards.values()) == [1, 4], "four calls fill one card, the fifth is on the other"
        doomed = max(cards, key=lambda c: cards[c])
        await calls[4].event("digits-sent")
        await house.kill("linecard", doomed)
        killed = time.monotonic()
        for call in calls[:4]:
            ended = await call.event("ended", timeout=6)
            assert ended["t"] - killed < 5, "its customers get a BYE"

        async def free() -> bool:
            agents = {a["id"]: a["state"] for a in (await house.status())["agents"]}
            return agents["agent1"] in {"available", "reserved", "engaged"}

        second = await agent.event("offer", count=2, timeout=10)
        assert second["ani"] == "2004", "the agent is free for the caller on the other card"
        assert second["t"] - killed < 5
        await house.until(free, 5, "free agent")
        assert calls[4].process.returncode is None

        async def back() -> bool:
            return bool((await house.status())["lines"]["total"] == 8)

        await house.until(back, 10, "the card's lines again")
        async with house.api() as api:

            async def marked() -> bool:
                items = (await api.get("/api/v1/contacts")).json()["items"]
                return sorted(str(i["final"]) for i in items if i["ani"] != "2004") == ["failed"] * 4

            await house.until(marked, 5, "contacts marked failed")

            async def salvaged() -> bool:
                items = (await api.get("/api/v1/recordings", params={"number": "2000"})).json()["items"]
                return bool(items and items[0]["state"] == "stored" and items[0]["seconds"] > 1)

            await house.until(salvaged, 30, "salvaged recording")
        await calls[4].stop()


def test_longest_finds_a_gap() -> None:
    rate = 16000
    tone = 0.3 * np.sin(2 * np.pi * AGENT_HZ * np.arange(2 * rate) / rate)
    tone[rate : rate + rate // 5] = 0
    assert 0.9 < longest(tone, rate, AGENT_HZ) < 1.1
