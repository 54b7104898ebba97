"""The speech worker as a process: spoken once, cached for ever, refused by code."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from media.control.envelope import ControlError
from media.control.work import Inventory, Shutdown, Speak, Spoken, TakeInventory
from media.speech.prompts import find_prompt, prompt_path
from media.wav import WavReader
from tests.media.workers import started

pytestmark = [pytest.mark.layer, pytest.mark.realtime]


def content_of(path: Path) -> bytes:
    return path.read_bytes()


async def test_spoken_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    async with started("media.speech", tmp_path / "run", "speech", "--cache", str(cache)) as worker:
        command = Speak("You are number three in the queue.", 8000)
        together = await asyncio.gather(*(worker.client.command(command, Spoken, timeout=20) for _ in range(5)))
        assert len({spoken.path for spoken in together}) == 1
        spoken = together[0]
        assert not spoken.cached
        path = Path(spoken.path)
        assert path == prompt_path(cache, command.text, "", 8000) == find_prompt(cache, command.text, "", 8000)
        with WavReader(path) as reader:
            assert reader.rate == 8000
            assert reader.seconds == pytest.approx(spoken.seconds, abs=0.001)
            assert 1 < reader.seconds < 4
        content = content_of(path)

        again = await worker.client.command(command, Spoken)
        assert again.cached
        assert (again.path, again.seconds) == (spoken.path, spoken.seconds)
        wide = await worker.client.command(Speak(command.text, 16000), Spoken, timeout=20)
        assert wide.path != spoken.path
        assert content_of(path) == content

        inventory = await worker.client.command(TakeInventory(), Inventory)
        assert inventory.card == "speech"
        assert inventory.counters["hits"] == 1
        assert inventory.counters["shared"] == 4
        assert inventory.counters["cached_files"] == 2
        assert os.getpriority(os.PRIO_PROCESS, worker.process.pid) >= 5
        await worker.client.command(Shutdown())
        assert await asyncio.wait_for(worker.process.wait(), 10) == 0
        assert {"opening the prompt cache", "listening", "loading voice", "voice loaded", "speaking", "spoken"} <= set(
            worker.events()
        )
        assert "number three" not in (tmp_path / "run" / "speech.log").read_text(), "a prompt may name a person"
    async with started("media.speech", tmp_path / "run", "speech", "--cache", str(cache)) as worker:
        assert (await worker.client.command(command, Spoken)).cached
        assert content_of(path) == content


REFUSED = [
    (Speak("", 8000), "bad-text"),
    (Speak("x" * 2001, 8000), "bad-text"),
    (Speak("bell\x07", 8000), "bad-text"),
    (Speak("hello", 44100), "bad-rate"),
    (Speak("hello", 8000, "nobody"), "unknown-voice"),
    (Speak("...", 8000), "unspeakable"),
]


async def test_refused(tmp_path: Path) -> None:
    async with started("media.speech", tmp_path / "run", "speech", "--cache", str(tmp_path / "cache")) as worker:
        for command, code in REFUSED:
            with pytest.raises(ControlError) as caught:
                await worker.client.command(command, Spoken, timeout=20)
            assert caught.value.code == code
        assert not list((tmp_path / "cache").rglob("*.wav"))


@pytest.mark.adversity
async def test_killed_while_speaking(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = Speak("This sentence is spoken again and again. " * 15, 16000)
    async with started("media.speech", tmp_path / "run", "speech", "--cache", str(cache)) as worker:
        asking = asyncio.ensure_future(worker.client.command(command, Spoken, timeout=60))
        async with asyncio.timeout(20):
            while "speaking" not in worker.events():
                await asyncio.sleep(0.005)
        await worker.end(signal.SIGKILL)
        with pytest.raises(ControlError):
            await asking
        assert find_prompt(cache, command.text, "", 16000) is None
    async with started("media.speech", tmp_path / "run", "speech", "--cache", str(cache)) as worker:
        spoken = await worker.client.command(command, Spoken, timeout=60)
        assert not spoken.cached
        assert spoken.seconds > 15
