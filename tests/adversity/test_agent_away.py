"""An agent whose browser is gone for good gives the contact back; the customer hears music, then the next agent."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.tools import tones
from tests.tools.ears import EARLY
from tests.tools.switchroom import switchroom

pytestmark = [pytest.mark.adversity, pytest.mark.realtime, pytest.mark.timeout(150)]

HEARD = 2.5
"""Seconds that the second agent is listened to."""


def letter(window: tones.Samples, rate: int) -> str:
    """Who is heard: a the first agent, b the second, - anything else (the music has these notes, too, among others)."""
    for name, hz in (("a", 880), ("b", 990)):
        if tones.level(window, rate, hz) > tones.power(window) - 3 and tones.power(window) > -35:
            return name
    return "-"


async def test_a_lost_agent_s_customer_goes_to_the_next_one_with_its_place(tmp_path: Path) -> None:
    async with switchroom(tmp_path / "data", environment={"SWITCHROOM_AGENT_LOST_SECONDS": "4"}) as house:
        first = await house.agent("agent1", "--answer-after", "0.2", "--tone", "880", "--contacts", "1")
        await first.event("available")
        saved = tmp_path / "caller.wav"
        caller = await house.call("--digits", "1", *EARLY, "--seconds", "120", "--caller", "41", "--save", str(saved))
        await first.event("audio-in")
        behind = await house.call("--digits", "1", *EARLY, "--seconds", "120", "--caller", "42")
        await behind.event("digits-sent")

        async def waits() -> bool:
            return any(q["waiting"] == 1 for q in (await house.status())["queues"])

        await house.until(waits, 10, "a caller who waits")
        os.kill(first.process.pid, signal.SIGKILL)
        lost = time.monotonic()

        async def requeued() -> bool:
            return any(q["waiting"] == 2 for q in (await house.status())["queues"])

        await house.until(requeued, 15, "the contact back in its queue")
        assert time.monotonic() - lost > 3, "not before its time"
        second = await house.agent("agent2", "--answer-after", "0.2", "--tone", "990", "--contacts", "1")
        offer = await second.event("offer")
        assert offer["ani"] == "41", "whose talk broke off comes before who came later"
        await second.event("audio-in")
        heard = time.monotonic()
        await house.until(lambda: time.monotonic() - heard > HEARD, 10, "the second agent's tone")
        await caller.stop()
        await behind.stop()
        await second.stop()
        samples, rate = tones.load(saved)
        side = samples[:, 0]
        size = rate // 2
        found = [side[i : i + size] for i in range(0, len(side) - size, size)]
        story = "".join(letter(w, rate) for w in found)
        assert "a" in story
        assert "b" in story
        between = found[story.rindex("a") + 3 : story.index("b") - 1]
        assert between, story
        assert sum(tones.power(w) > -55 for w in between) > len(between) / 2, "music in between"
        async with house.api() as api:

            async def one_contact() -> bool:
                items = (await api.get("/api/v1/contacts", params={"number": "41"})).json()["items"]
                return len(items) == 1 and items[0]["final"] == "handled" and items[0]["agent"] == "agent2"

            await house.until(one_contact, 10, "one contact with two segments")
            items = (await api.get("/api/v1/contacts", params={"number": "41"})).json()["items"]
            detail = (await api.get(f"/api/v1/contacts/{items[0]['id']}")).json()
            assert [s["agent"] for s in detail["segments"]] == ["agent1", "agent2"]
