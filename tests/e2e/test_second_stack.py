"""SIP stacks that are not ours as callers: libre (baresip) with both kinds of digits, sipp with SIP INFO."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from baresip import Account, AudioNotActive, Config, Runtime, UserAgent

from tests.tools import sipp, tones
from tests.tools.switchroom import Switchroom

pytestmark = [pytest.mark.interop, pytest.mark.realtime, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

DigitsBy = Literal["rtpevent", "info"]

CALLER_HZ = 440
AGENT_HZ = 880
PACE = 0.01
AHEAD = 0.1
"""Seconds of tone that are kept written."""


class Phone:
    """A call of baresip: hums, and keeps what it hears."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.rate = 0
        self.heard = bytearray()
        self._phase = 0

    async def live(self) -> None:
        """Hum and listen until the call is over."""
        with contextlib.suppress(AudioNotActive):
            while True:
                info = self.call.audio.info()
                if info.rx_ready:
                    self.rate = info.rx_sample_rate
                    self.heard += self.call.audio.read(self.rate)
                if info.tx_ready:
                    self._hum(info.tx_sample_rate, info.tx_buffered)
                await asyncio.sleep(PACE)

    def _hum(self, rate: int, buffered: int) -> None:
        count = int(AHEAD * rate) - buffered // 2
        if count > 0:
            times = (self._phase + np.arange(count)) / rate
            pcm = (np.sin(2 * np.pi * CALLER_HZ * times) * 8000).astype(np.int16).tobytes()
            self._phase += self.call.audio.write(pcm) // 2

    def last(self, seconds: float) -> tones.Samples:
        """What was heard most recently."""
        size = int(seconds * self.rate) * 2
        return tones.mono(np.frombuffer(bytes(self.heard[-size:]), dtype=np.int16)) if size else np.zeros(0)

    async def until(self, hears: Callable[[tones.Samples], bool], seconds: float, what: str, timeout: float = 20) -> None:
        """Wait until the last `seconds` of sound are like this."""
        end = time.monotonic() + timeout
        while len(self.last(seconds)) < seconds * (self.rate or 8000) * 0.9 or not hears(self.last(seconds)):
            assert time.monotonic() < end, f"no {what}: {tones.dominant(self.last(1), self.rate):.0f} Hz"
            await asyncio.sleep(PACE)


@contextlib.asynccontextmanager
async def phone(house: Switchroom, number: str, digits: DigitsBy, codec: str) -> AsyncIterator[Phone]:
    """Call 5000 with baresip; in the call when this is entered."""
    async with contextlib.AsyncExitStack() as stack:
        runtime = Runtime()
        await runtime.start(Config(net_interface="127.0.0.1"))
        stack.push_async_callback(runtime.close)
        account = Account(number, "127.0.0.1", "", reg_interval=0, audio_codecs=(codec,), dtmf_mode=digits)
        agent = await UserAgent.create(runtime, account)
        call = await agent.dial(f"sip:5000@127.0.0.1:{house.sip}")
        await call.wait_established(20)
        caller = Phone(call)
        living = asyncio.create_task(caller.live())
        stack.callback(living.cancel)
        yield caller


@pytest.mark.parametrize(
    ("digits", "codec", "number"),
    [("rtpevent", "pcmu", "4930701"), ("info", "pcma", "4930702"), ("rtpevent", "g722/16000/1", "4930703")],
)
async def test_baresip_chooses_talks_and_is_hung_up(
    house: Switchroom, tmp_path: Path, digits: DigitsBy, codec: str, number: str
) -> None:
    saved = tmp_path / "agent.wav"
    words = ["--answer-after", "0.2", "--tone", str(AGENT_HZ), "--save", str(saved), "--hang-up-after", "4", "--contacts", "1"]
    agent = await house.agent("agent1", *words)
    await agent.event("available")
    async with phone(house, number, digits, codec) as caller:
        # The menu speaks, and is quiet: it waits.
        await caller.until(lambda heard: tones.power(heard) > -40, 0.3, "greeting")
        await caller.until(lambda heard: tones.power(heard) < -60, 0.4, "end of a prompt")
        await caller.call.send_dtmf("2")
        offer = await agent.event("offer")
        assert offer["ani"] == number
        assert offer["queue"] == "support"
        await caller.until(lambda heard: tones.level(heard, caller.rate, AGENT_HZ) > -30, 0.5, "tone of the agent")
        assert caller.rate == (16000 if codec.startswith("g722") else 8000)
        summary = await agent.end(30)
        await house.until(lambda: caller.call.state.value == "closed", 5, "BYE")
    heard, rate = tones.load(saved)
    assert tones.heard(heard, rate, CALLER_HZ) > 2, summary
    async with house.api() as api:
        (contact,) = (await api.get("/api/v1/contacts", params={"number": number})).json()["items"]
    assert contact["queue"] == "support"


@pytest.mark.parametrize(
    ("kind", "text", "number"), [("application/dtmf-relay", "Signal=2\nDuration=160", "1"), ("application/dtmf", "2", "2")]
)
async def test_sipp_chooses_by_info(house: Switchroom, tmp_path: Path, kind: str, text: str, number: str) -> None:
    agent = await house.agent("agent2", "--answer-after", "0.2", "--hang-up-after", "1", "--contacts", "1")
    await agent.event("available")
    # sipp hears nothing, so it presses the key while the greeting is spoken, as callers do who know the menu.
    scenario = sipp.invite() + sipp.answered() + sipp.request("INFO", 2, sipp.body(text, kind)) + sipp.receive(200)
    scenario += sipp.expect("BYE") + sipp.ok()
    async with sipp.Sipp(scenario, tmp_path, f"127.0.0.1:{house.sip}") as caller:
        offer = await agent.event("offer")
        assert offer["queue"] == "support"
        assert await caller.finished() == 0, caller.errors() + caller.messages()
    await agent.end(30)
