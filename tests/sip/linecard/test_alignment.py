"""A recording's time line is the call's: tone bursts of both sides are where they were heard, whatever happened between."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.control import line
from media.wav import read_wav
from tests.sip.linecard.agent import FRAME, RATE, Agent, between
from tests.sip.linecard.agent import hum as agent_hum
from tests.sip.linecard.conftest import CardProcess, Starter
from tests.sip.linecard.phone import Phone, bursts, connected
from tests.tools import tones

pytestmark = [pytest.mark.interop, pytest.mark.realtime]

EVERY = 20
"""Frames from one burst to the next: 0.4 s."""
LENGTH = 4


def onsets(samples: Any, rate: int, hz: float) -> list[float]:
    """Where bursts of this frequency begin, in seconds, to a millisecond or two."""
    array = tones.mono(samples)
    times = np.arange(len(array)) / rate
    window = round(0.004 * rate)
    kernel = np.ones(window) / window
    mixed = array * np.exp(-2j * np.pi * hz * times)
    loud = np.abs(np.convolve(mixed, kernel, mode="same")) > 0.06
    starts = np.flatnonzero(loud[1:] & ~loud[:-1]) / rate
    found: list[float] = []
    for start in starts:
        if not found or start - found[-1] > 0.2:
            found.append(float(start))
    return found


def agent_bursts(hz: float) -> Any:
    tone = agent_hum(hz)
    return lambda frame: tone(frame) if frame % EVERY < LENGTH else bytes(2 * FRAME)


async def test_bursts_of_both_sides_are_where_they_were_heard(card: CardProcess, run_dir: Path) -> None:
    """Over a re-INVITE with another codec, a pause and a hold.

    A third party hears both by a patch of its own, each frame of which is one tick of the bridge's clock: what it heard is in
    the files, and all of it, left and right, by one offset.
    """
    source = bursts(1000, every=EVERY, length=LENGTH)
    async with Phone() as phone:
        talk = await connected(card, phone)
        talk.media.talk(source)
        async with (
            Agent(card, talk.call, "agent", 0, source=agent_bursts(1500)) as agent,
            Agent(card, talk.call, "ear", 0, source=lambda _frame: bytes(2 * FRAME)) as ear,
        ):
            heard = [line.Link(talk.party, "ear"), line.Link("agent", "ear")]
            await card.do(line.SetLinks(talk.call, [*between(talk.party, "agent"), *heard]))
            await ear.listen(0.3)
            begun = len(ear.times)
            await card.do(line.Record(talk.call, "r", talk.party, str(run_dir / "rec")))
            await agent.listen(1.0)
            await talk.leg.change(talk.media.sdp((0,), version=2))
            talk.media.talk(source, 0)
            await agent.listen(1.0)
            await card.do(line.PauseRecord(talk.call, "r", True))
            await agent.listen(0.8)
            await card.do(line.PauseRecord(talk.call, "r", False))
            await agent.listen(0.8)
            await talk.leg.change(talk.media.sdp((0,), version=3, direction="inactive"))
            await agent.listen(0.8)
            await talk.leg.change(talk.media.sdp((0,), version=4))
            await agent.listen(1.0)
            await card.do(line.StopRecord(talk.call, "r"))
            over = await card.until(line.RecordingEnded)
            await card.do(line.EndCall(talk.call))
    assert {*np.diff(ear.times)} == {FRAME}  # its clock has missed nothing, so it can judge
    (left, rate), (right, _), (pause,) = tones.load(over.left), tones.load(over.right), over.paused
    assert abs(len(left) - len(right)) <= FRAME
    assert over.seconds == pytest.approx(len(left) / rate, abs=0.02)
    gaps: list[float] = []
    for samples, hz in ((left, 1000), (right, 1500)):
        found = onsets(samples, rate, hz)
        told = [at - begun / 50 for at in onsets(np.frombuffer(bytes(ear.heard), np.int16), RATE, hz)]
        due = [at for at in told if 0.05 < at < over.seconds - 0.1 and not pause.start - 0.1 < at < pause.end + 0.05]
        assert len(found) >= len(due) > 6
        assert not [at for at in found if pause.start < at < pause.end - 0.01]
        gaps += [min((at - other for other in told), key=abs) for at in found if not pause.end - 0.03 < at < pause.end + 0.03]
    assert max(gaps) - min(gaps) < 0.02
    assert abs(np.median(gaps)) < 0.06  # the recording began a tick or two after it was ordered


async def test_a_killed_card_leaves_all_but_the_last_half_second(start_card: Starter) -> None:
    """Its files say that they are empty; who reads on finds both sides, aligned."""
    async with asyncio.TaskGroup() as group:
        for rate in (16000, 8000):
            group.create_task(killed(await start_card(f"linecard{rate}", rate=rate), rate))


async def killed(card: CardProcess, rate: int) -> None:
    """Record with a card, kill it, look at what it wrote."""
    directory = card.run / f"rec-{rate}"
    async with Phone() as phone:
        talk = await connected(card, phone)
        talk.media.talk(bursts(1000, every=EVERY, length=LENGTH))
        await card.do(line.Record(talk.call, "r", talk.party, str(directory)))
        begun = time.monotonic()
        await talk.media.until_received(110)
        assert card.process is not None
        ran = time.monotonic() - begun
        card.process.kill()
        await card.process.wait()
    sides = []
    for side in ("left", "right"):
        path = directory / f"r.{side}.wav"
        assert path.read_bytes()[40:44] == bytes(4)
        samples, found = read_wav(path)
        assert found == rate
        assert ran - 0.55 < len(samples) / rate < ran + 0.2
        sides.append(samples)
    assert abs(len(sides[0]) - len(sides[1])) <= 0.3 * rate
    heard = onsets(sides[0], rate, 1000)
    assert len(heard) >= 3
    assert all(abs((at - heard[1] + 0.2) % 0.4 - 0.2) < 0.1 for at in heard[1:])  # as the jitter buffer had it
