"""A message ends by itself when the caller has fallen silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.control import line
from tests.sip.linecard.conftest import CardProcess
from tests.tools import sipp

pytestmark = [pytest.mark.interop, pytest.mark.realtime]


async def test_silence_ends_a_recording_and_is_told(card: CardProcess, run_dir: Path) -> None:
    speech = run_dir / "speech.al"
    samples = np.zeros(8000 * 12, np.int16)
    samples[:12000] = 9000 * np.sin(2 * np.pi * 440 * np.arange(12000) / 8000)
    soundfile.write(str(speech), samples, 8000, format="RAW", subtype="ALAW", endian="FILE")
    scenario = sipp.invite() + sipp.answered() + sipp.play(speech) + sipp.expect("BYE") + sipp.ok()
    async with sipp.Sipp(scenario, run_dir / "a", card.sip) as caller:
        arrived = await card.until(line.CallArrived)
        await card.do(line.Answer(arrived.call, arrived.party))
        await card.until(line.PartyChanged, state="connected", party=arrived.party)
        await card.do(line.Record(arrived.call, "m1", arrived.party, str(run_dir / "rec"), right=False, silence=2.0))
        over = await card.until(line.RecordingEnded)
        await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()
    assert over.failed == ""
    assert over.quiet == pytest.approx(2.0, abs=0.5)
    assert over.seconds - over.quiet == pytest.approx(1.5, abs=0.6)
