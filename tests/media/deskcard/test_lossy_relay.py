"""A desk card and a browser's end with a bad network between them, in real time: what is heard, and what is said of it."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

import numpy as np
import numpy.typing as npt
import pytest

from exchange.brain.tables import PLAYOUT_MS, desk_leg
from media.control import desk
from media.control.line import Quality
from media.deskcard import peer
from media.quality import mos
from tests.media.deskcard.room import Room
from tests.tools.relay import Relay

pytestmark = [pytest.mark.layer, pytest.mark.realtime]

LOSS, SPREAD = 0.03, 0.120
SECONDS = 6.0
LEVEL = 8000
RATE = 16000


def levels(pcm: bytes, hertz: float) -> npt.NDArray[np.float64]:
    """Amplitude of a tone in each quarter of a second, after the first one."""
    size = RATE // 4
    samples = np.frombuffer(pcm, "<i2")[RATE:].astype(float)
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    found: npt.NDArray[np.float64] = np.abs(windows @ np.exp(-2j * np.pi * hertz * np.arange(size) / RATE)) * 2 / size
    return found


async def test_tones_both_ways_through_loss_delay_and_wrong_order(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "REPORT_INTERVALS", (0.2, 0.2, 0.2))
    codecs = ("opus", "PCMU")
    async with AsyncExitStack() as stack:
        relays = [await stack.enter_async_context(Relay(loss=LOSS, spread=SPREAD, seed=n)) for n in (10, 20)]
        browsers = [await room.browser(codec, codec, via=relay) for codec, relay in zip(codecs, relays, strict=True)]
        bridges = [await room.patch(codec, f"p-{codec}") for codec in codecs]
        for relay in relays:
            relay.bad = True
        await asyncio.gather(*(bridge.run(SECONDS) for bridge in bridges))
        for codec, relay, browser, bridge in zip(codecs, relays, browsers, bridges, strict=True):
            quality = await room.control.command(desk.Unpatch(codec, f"p-{codec}"), Quality)
            check_sound(bytes(bridge.heard), 880)
            check_sound(bytes(browser.heard), 440)
            check_figures(quality, relay)
            patch = f"p-{codec}"
            told = await room.events.wait(lambda body, patch=patch: isinstance(body, desk.LegQuality) and body.patch == patch)
            # A clean leg has 4.4; 3 % of loss cost about 0.3.
            stored = json.loads(desk_leg("contact", told, 0.0).args[-1])["mos"]
            delay = quality.jitter_ms + quality.round_trip_ms / 2 + PLAYOUT_MS
            assert stored < 4.35
            assert stored == pytest.approx(mos(codec, loss=relay.answering.lost / relay.answering.rtp, delay_ms=delay), abs=0.5)
            assert told.late <= 0.1 * quality.received


def check_sound(heard: bytes, hertz: float) -> None:
    level = levels(heard, hertz)
    # A busy machine holds up the test's own clocks for a quarter of a second now and then. (A receiver that waits for no late
    # packet comes to 0.25.)
    assert np.mean(level > 0.45 * LEVEL) > 0.6, level
    assert np.median(level) > 0.5 * LEVEL, level


def check_figures(quality: Quality, relay: Relay) -> None:
    """The card's own count and the other side's reports, against what the relay did (some packets are still on their way)."""
    here, there = relay.answering, relay.offering
    assert here.lost >= 4
    assert there.lost >= 4
    assert quality.lost == pytest.approx(here.lost, abs=9)
    assert quality.received == pytest.approx(here.rtp - here.lost, abs=25)
    assert quality.remote_lost == pytest.approx(there.lost, abs=9)
    # Two delays that are spread evenly over 120 ms differ by 40 ms on average; a busy machine adds its own.
    assert 20 < quality.jitter_ms < 200
    assert 20 < quality.remote_jitter_ms < 200
    assert 0 < quality.round_trip_ms < 1000
