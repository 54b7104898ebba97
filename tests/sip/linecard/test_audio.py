"""Who hears whom, measured by tones: patches, prompts, music, mute, hold, media made anew, recordings."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.control import line
from media.jitter import PatchReceiver
from media.patch import PatchSocket
from tests.sip.linecard.conftest import CardProcess
from tests.tools import sipp, tones

pytestmark = pytest.mark.interop

RATE = 16000
FRAME = RATE // 50


class Agent:
    """The other end of a patch: sends a tone, keeps what it hears, paced by what arrives."""

    def __init__(self, card: CardProcess, call: str, party: str, hz: float) -> None:
        stem = secrets.token_hex(4)
        self.card, self.call, self.party = card, call, party
        self.own, self.peer = card.run / f"p1-{stem}-d", card.run / f"p1-{stem}-l"
        self.tone = tones.sine(hz, 1.0, RATE).tobytes()
        self.heard = bytearray()
        self.frames = 0
        self._at = 0

    async def __aenter__(self) -> Agent:
        self.socket = PatchSocket(self.own, self.peer, RATE)
        self.receiver = PatchReceiver(RATE)
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self._readable)
        await self.card.do(line.OpenPatch(self.call, self.party, str(self.peer), str(self.own)))
        return self

    def _readable(self) -> None:
        while (frame := self.socket.receive()) is not None:
            self.heard += frame.pcm
            self.frames += 1
            self.socket.send(self.tone[self._at : self._at + 2 * FRAME], self.frames * FRAME)
            self._at = (self._at + 2 * FRAME) % len(self.tone)

    async def listen(self, seconds: float) -> Any:
        """What is heard in the next seconds, as int16."""
        start = len(self.heard)
        want = start + int(seconds * RATE) * 2
        async with asyncio.timeout(seconds * 3 + 2):
            while len(self.heard) < want:
                await asyncio.sleep(0.02)
        return np.frombuffer(bytes(self.heard[start:want]), dtype=np.int16)

    async def __aexit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        self.socket.close()


def talk(tone: Path, middle: str = "", seconds: float = 20) -> str:
    """A caller who sends a tone for ever, does `middle`, and waits for our BYE."""
    return sipp.invite() + sipp.answered() + sipp.play(tone) + middle + sipp.expect("BYE") + sipp.ok()


def between(one: str, other: str) -> list[line.Link]:
    return [line.Link(one, other), line.Link(other, one)]


async def answered(card: CardProcess) -> line.CallArrived:
    arrived = await card.until(line.CallArrived)
    await card.do(line.Answer(arrived.call, arrived.party))
    await card.until(line.PartyChanged, state="connected", party=arrived.party)
    return arrived


async def test_hold_music_mute_and_links_are_heard(
    card: CardProcess, run_dir: Path, alaw: Callable[[float], Path], prompt: Callable[[float, float], str]
) -> None:
    async with sipp.Sipp(talk(alaw(440)), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        async with Agent(card, arrived.call, "agent", 880) as agent:
            await card.do(line.SetLinks(arrived.call, between(arrived.party, "agent")))
            await agent.listen(0.3)
            heard = await agent.listen(0.5)
            assert tones.dominant(heard, RATE) == pytest.approx(440, abs=3)
            assert tones.level(heard, RATE, 440) == pytest.approx(-12, abs=2)
            await card.do(line.SetLinks(arrived.call, []))
            await card.do(line.Music(arrived.call, arrived.party, True, prompt(600, 1.0)))
            await agent.listen(0.2)
            assert tones.power(await agent.listen(0.4)) < -70
            await card.do(line.Music(arrived.call, arrived.party, False))
            await card.do(line.SetLinks(arrived.call, between(arrived.party, "agent")))
            await agent.listen(0.2)
            assert tones.level(await agent.listen(0.4), RATE, 440) > -20
            await card.do(line.Mute(arrived.call, arrived.party, True))
            await agent.listen(0.2)
            assert tones.power(await agent.listen(0.4)) < -70
            record = (await card.inventory()).calls[0]
            assert {p.party: p.muted for p in record.parties} == {arrived.party: True, "agent": False}
            assert sorted(record.links) == sorted(between(arrived.party, "agent"))
            await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()
    ended = await card.until(line.PartyChanged, state="ended", party=arrived.party)
    assert ended.quality is not None
    assert ended.quality.codec == "PCMA"
    assert ended.quality.received > 80
    assert ended.quality.lost <= 2


async def test_links_and_recording_live_through_media_made_anew(
    card: CardProcess, run_dir: Path, alaw: Callable[[float], Path]
) -> None:
    """A re-INVITE with another codec: pjsua2 makes a new port, and everything is linked to it again."""
    ulaw = sipp.sdp(("0",), version=2)
    middle = sipp.pause(1500) + sipp.request("INVITE", 2, sipp.body(ulaw)) + sipp.receive(100, optional=True)
    middle += sipp.receive(200) + sipp.request("ACK", 2)
    async with sipp.Sipp(talk(alaw(440), middle), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        async with Agent(card, arrived.call, "agent", 880) as agent:
            await card.do(line.SetLinks(arrived.call, between(arrived.party, "agent")))
            await card.do(line.Record(arrived.call, "r1", arrived.party, str(run_dir / "rec")))
            await agent.listen(1.2)
            async with asyncio.timeout(10):
                while "CSeq: 2 ACK" not in caller.messages():
                    await asyncio.sleep(0.05)
            await agent.listen(1.0)
            await card.do(line.EndCall(arrived.call))
            over = await card.until(line.RecordingEnded)
        assert await caller.finished() == 0, caller.errors()
    assert over.failed == ""
    right, rate = tones.load(over.right)
    assert rate == RATE
    tail = right[-int(0.8 * rate) : -int(0.2 * rate)]
    assert tones.dominant(tail, rate) == pytest.approx(880, abs=3)
    ended = await card.until(line.PartyChanged, state="ended", party=arrived.party)
    assert ended.quality is not None
    assert ended.quality.codec == "PCMU"


async def test_a_recording_keeps_the_calls_time_on_both_sides(
    card: CardProcess, run_dir: Path, alaw: Callable[[float], Path]
) -> None:
    async with sipp.Sipp(talk(alaw(440)), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        await card.do(line.Record(arrived.call, "r1", arrived.party, str(run_dir / "rec")))
        start = asyncio.get_running_loop().time()
        async with Agent(card, arrived.call, "agent", 880) as agent:
            await agent.listen(1.0)
            await card.do(line.PauseRecord(arrived.call, "r1", True))
            await agent.listen(1.0)
            await card.do(line.PauseRecord(arrived.call, "r1", False))
            await agent.listen(1.0)
            await card.do(line.StopRecord(arrived.call, "r1"))
            elapsed = asyncio.get_running_loop().time() - start
            over = await card.until(line.RecordingEnded)
            await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()
    left, rate = tones.load(over.left)
    right, _ = tones.load(over.right)
    assert over.failed == ""
    assert abs(len(left) - len(right)) <= 0.02 * rate
    assert over.seconds == pytest.approx(elapsed, abs=0.15)
    (mark,) = over.paused
    assert mark.end - mark.start == pytest.approx(1.0, abs=0.15)
    middle = slice(int((mark.start + 0.1) * rate), int((mark.end - 0.1) * rate))
    for side, hz, other in ((left, 440, 880), (right, 880, 440)):
        assert tones.power(side[middle]) < -70
        after = side[int((mark.end + 0.2) * rate) : int((mark.end + 0.8) * rate)]
        assert tones.dominant(after, rate) == pytest.approx(hz, abs=3)
        assert tones.level(after, rate, other) < -60


async def test_two_callers_hear_each_other_and_silence_is_sent(
    card: CardProcess, run_dir: Path, alaw: Callable[[float], Path]
) -> None:
    """A caller whom nobody talks to still gets RTP; it is counted at the end of the leg."""
    async with sipp.Sipp(talk(alaw(440)), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        await asyncio.sleep(1.0)
        await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()
    ended = await card.until(line.PartyChanged, state="ended")
    assert ended.quality is not None
    assert ended.quality.sent == pytest.approx(50, abs=12)
