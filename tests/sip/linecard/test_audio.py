"""Who hears whom, measured by tones: patches, prompts, music, mute, hold, media made anew, recordings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from media.control import line
from tests.sip.linecard.agent import RATE, Agent, between
from tests.sip.linecard.conftest import CardProcess
from tests.tools import sipp, tones

pytestmark = pytest.mark.interop


def talk(tone: Path, middle: str = "", seconds: float = 20) -> str:
    """A caller who sends a tone for ever, does `middle`, and waits for our BYE."""
    return sipp.invite() + sipp.answered() + sipp.play(tone) + middle + sipp.expect("BYE") + sipp.ok()


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
    middle = slice(int((mark.start + 0.02) * rate), int((mark.end - 0.02) * rate))
    for side, hz, other in ((left, 440, 880), (right, 880, 440)):
        assert tones.power(side[middle]) < -70
        edges = side[int((mark.start - 0.04) * rate) : int(mark.start * rate)], side[int(mark.end * rate) :][: int(0.04 * rate)]
        assert min(tones.power(edge) for edge in edges) > -20
        after = side[int((mark.end + 0.2) * rate) : int((mark.end + 0.8) * rate)]
        assert tones.dominant(after, rate) == pytest.approx(hz, abs=3)
        assert tones.level(after, rate, other) < -40  # a packet that came late makes a click


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
