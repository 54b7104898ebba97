"""`switchroom call` against a real card."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.control import line
from sip.caller import RATE, heard_tones, loud
from tests.sip.linecard.conftest import ROOT, CardProcess, Starter, alaw, card, prompt, run_dir, start_card, zygote
from tests.tools import tones

__all__ = ["alaw", "card", "prompt", "run_dir", "start_card", "zygote"]  # fixtures of the card's room

pytestmark = pytest.mark.interop

PROGRAM = "import sys, json, pathlib; from sip.caller import call; o = json.loads(sys.argv[2]); s = o.pop('save', None)\n"
PROGRAM += "sys.exit(call(sys.argv[1], save=pathlib.Path(s) if s else None, **o))"


async def start(target: str, **options: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, target, json.dumps(options)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


async def told(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return [json.loads(each) for each in output.splitlines()]


async def test_a_caller_presses_its_digits_after_the_prompt(
    card: CardProcess, run_dir: Path, prompt: Callable[[float, float], str]
) -> None:
    saved = run_dir / "heard.wav"
    process = await start(f"sip:5000@{card.sip}", digits="1", tone=440, seconds=3.0, save=str(saved), json=True, codec="g722")
    arrived = await card.until(line.CallArrived)
    assert (arrived.dnis, arrived.ani) == ("5000", "caller")
    await card.do(line.Answer(arrived.call, arrived.party, 180))
    await card.do(line.Answer(arrived.call, arrived.party))
    await card.until(line.PartyChanged, state="connected")
    await card.do(line.Record(arrived.call, "r", arrived.party, str(run_dir)))
    await card.do(line.Collect(arrived.call, arrived.party, "menu", [prompt(700, 0.6)]))
    assert (await card.until(line.Collected)).digits == "1"
    events = await told(process)
    names = [event["event"] for event in events]
    assert names == ["dialling", "ringing", "answered", "first-audio", "digits-sent", "ended", "summary"]
    at = {event["event"]: event["t"] for event in events}
    assert at["digits-sent"] - at["first-audio"] == pytest.approx(0.6 + 0.5, abs=0.25)
    assert at["ended"] - at["answered"] == pytest.approx(3.0, abs=0.2)
    summary = events[-1]
    assert summary["answered"] is True
    assert summary["code"] == 200
    assert summary["tones"]["700"] == pytest.approx(0.6, abs=0.15)
    assert summary["received"] == pytest.approx(150, abs=15)
    assert process.returncode == 0
    samples, rate = tones.load(saved)
    assert tones.heard(samples, rate, 700) == pytest.approx(0.6, abs=0.15)
    over = await card.until(line.RecordingEnded)
    left, rate = tones.load(over.left)
    assert tones.dominant(left[int(0.3 * rate) : int(0.9 * rate)], rate) == pytest.approx(440, abs=3)
    ended = await card.until(line.PartyChanged, state="ended")
    assert ended.quality is not None
    assert ended.quality.codec == "G722"


async def test_a_refused_call_is_said_to_people(start_card: Starter) -> None:
    card = await start_card()
    process = await start(f"sip:5000@{card.sip}", digits="1", digits_at=0.1, seconds=1.0)
    arrived = await card.until(line.CallArrived)
    await card.do(line.Reject(arrived.call, arrived.party, 486, "busy"))
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"ended: code 486, reason Busy Here" in output
    assert b"digits-sent" not in output
    final = await card.until(line.CallEnded)
    assert final.termination == line.Termination("refused", "busy", "local", 486)


def test_tones_are_told_by_the_time_they_were_heard() -> None:
    heard = np.concatenate([tones.sine(440, 1.0, RATE), np.zeros(RATE, dtype=np.int16), tones.sine(880, 0.5, RATE)])
    frames = [heard[at : at + 320].tobytes() for at in range(0, len(heard), 320)]
    assert heard_tones(frames) == {"440": 1.0, "880": 0.5}
    assert loud(frames[0])
    assert not loud(frames[60])
    assert not loud(b"")
