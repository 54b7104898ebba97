"""The vault worker as a process: commands, kills at any moment, bounded memory, an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import pytest

from media.control.envelope import ControlError
from media.control.work import Inventory, Salvaged, SalvageRecordings, Shutdown, Stored, StoreRecording, TakeInventory
from media.vault.keys import load_master_key, make_or_load_master_key
from media.vault.store import Vault
from media.wav import header, write_wav
from tests.media.workers import Worker, started
from tests.tools import tones

pytestmark = [pytest.mark.layer, pytest.mark.realtime]

NOON = 1_795_348_800.0
RATE = 8000


class House:
    """Where a vault worker of a test lives."""

    def __init__(self, directory: Path) -> None:
        self.run = directory / "run"
        self.vault = directory / "vault"
        self.key = directory / "master.key"

    def worker(self) -> AbstractAsyncContextManager[Worker]:
        return started("media.vault", self.run, "vault", "--vault", str(self.vault), "--key-file", str(self.key))

    def job(self, name: str, seconds: float) -> StoreRecording:
        """WAVs of noise: encoders take their time over it."""
        self.run.mkdir(exist_ok=True)
        rng = np.random.default_rng(7)
        paths = [self.run / f"{name}.{side}.wav" for side in ("left", "right")]
        for path in paths:
            write_wav(path, rng.integers(-8000, 8000, int(seconds * RATE), dtype=np.int16), RATE)
        return StoreRecording(name, str(paths[0]), str(paths[1]), NOON)

    def wavs(self) -> list[str]:
        return sorted(path.name for path in self.run.glob("*.wav"))

    def files(self) -> list[str]:
        return sorted(path.name for path in self.vault.rglob("*.swv"))

    def half_done(self) -> list[Path]:
        return [*(self.vault / ".incoming").iterdir(), *(self.run / "vault.scratch").iterdir()]

    def plain(self, stored: Stored) -> bytes:
        with Vault(self.vault, load_master_key(self.key)).open(stored.file, stored.key) as file:
            return file.read(0, file.size)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def until(condition: Callable[[], bool], worker: Worker) -> None:
    async with asyncio.timeout(20):
        while not condition():
            assert worker.process.returncode is None
            await asyncio.sleep(0.001)


def strike(pid: int, condition: Callable[[], bool]) -> None:
    """Kill a process as soon as something is true: in a thread of its own, since a moment may be less than a turn of a loop."""
    end = time.monotonic() + 20
    while not _true(condition):
        assert time.monotonic() < end, "the moment never came"
    os.kill(pid, signal.SIGKILL)


def _true(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except FileNotFoundError:  # came and went while we looked
        return False


async def test_commands(house: House) -> None:
    async with house.worker() as worker:
        write_wav(house.run / "r1.left.wav", tones.sine(440, 2.0, RATE), RATE)
        write_wav(house.run / "r1.right.wav", tones.sine(880, 2.0, RATE), RATE)
        job = StoreRecording("r1", str(house.run / "r1.left.wav"), str(house.run / "r1.right.wav"), NOON)
        first, second = await asyncio.gather(worker.client.command(job, Stored), worker.client.command(job, Stored))
        assert first == second
        assert house.plain(first)[:4] == b"OggS"
        assert await worker.client.command(job, Stored) == first

        (house.run / "r2.left.wav").write_bytes(header(RATE, 0) + bytes(16000))
        (house.run / "r3.left.wav").write_bytes(b"garbage")
        salvage = SalvageRecordings(["r1", "r2", "r3", "r4", "../r5"], str(house.run))
        salvaged = await worker.client.command(salvage, Salvaged)
        assert [stored.recording for stored in salvaged.stored] == ["r1", "r2"]
        assert salvaged.failed == {"r3": "bad-audio", "r4": "not-found", "../r5": "bad-name"}

        inventory = await worker.client.command(TakeInventory(), Inventory)
        assert (inventory.card, inventory.busy) == ("vault", 0)
        assert inventory.done >= 4
        assert inventory.failed == 3
        assert inventory.counters["seconds"] == 3.0
        assert os.getpriority(os.PRIO_PROCESS, worker.process.pid) >= 10

        await worker.client.command(Shutdown())
        assert await asyncio.wait_for(worker.process.wait(), 10) == 0
        assert {"opening the vault", "vault ready", "listening", "recording filed", "stopped"} <= set(worker.events())


async def test_failures_are_codes_and_leave_the_wavs(house: House) -> None:
    async with house.worker() as worker:
        job = house.job("r1", 0.5)
        house.vault.joinpath("2026").write_text("in the way")
        with pytest.raises(ControlError) as caught:
            await worker.client.command(job, Stored)
        assert (caught.value.code, caught.value.retryable) == ("disk", True)
        assert house.wavs() == ["r1.left.wav", "r1.right.wav"]
        house.vault.joinpath("2026").unlink()
        assert (await worker.client.command(job, Stored)).seconds == 0.5


@pytest.mark.adversity
@pytest.mark.parametrize("moment", ["merging", "merged half", "sealing", "named"])
async def test_killed_in_the_middle(house: House, moment: str) -> None:
    moments: dict[str, Callable[[], bool]] = {
        "merging": lambda: any((house.run / "vault.scratch").iterdir()),
        "merged half": lambda: any(path.stat().st_size > 100_000 for path in (house.run / "vault.scratch").iterdir()),
        "sealing": lambda: any((house.vault / ".incoming").iterdir()),
        "named": lambda: bool(house.files()),
    }
    for attempt in range(5):
        job = house.job(f"r{attempt}", 40)
        async with house.worker() as worker:
            asking = asyncio.ensure_future(worker.client.command(job, Stored, timeout=30))
            await asyncio.to_thread(strike, worker.process.pid, moments[moment])
            assert await worker.end(signal.SIGKILL) == -signal.SIGKILL
            (answer,) = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(answer, ControlError):
            break
        shutil.rmtree(house.vault)  # the worker was quicker than the kill
    else:
        pytest.fail("the worker was quicker than the kill five times")
    assert answer.code == "card-gone"
    if moment in ("merging", "merged half"):
        assert house.files() == []
        assert house.half_done()
    async with house.worker() as worker:
        assert house.half_done() == []
        stored = await worker.client.command(job, Stored, timeout=30)
        assert stored.seconds == 40
        assert len(house.plain(stored)) == stored.size
        assert house.files() == [f"{job.recording}.swv"]
        assert house.wavs() == []


async def test_sigterm_finishes_the_job_in_hand_and_refuses_the_next(house: House) -> None:
    first, second = house.job("r1", 20), house.job("r2", 1)
    async with house.worker() as worker:
        one = asyncio.ensure_future(worker.client.command(first, Stored, timeout=30))
        two = asyncio.ensure_future(worker.client.command(second, Stored, timeout=30))
        await until(lambda: any((house.run / "vault.scratch").iterdir()), worker)
        assert await worker.end() == 0
        assert (await one).seconds == 20
        with pytest.raises(ControlError) as caught:
            await two
        assert (caught.value.code, caught.value.retryable) == ("stopping", True)
        assert house.wavs() == ["r2.left.wav", "r2.right.wav"]
        assert not (house.run / "vault.ctl").exists()


async def test_a_second_sigterm_ends_at_once(house: House) -> None:
    job = house.job("r1", 60)
    async with house.worker() as worker:
        asking = asyncio.ensure_future(worker.client.command(job, Stored, timeout=30))
        await until(lambda: any((house.run / "vault.scratch").iterdir()), worker)
        worker.process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in worker.events(), worker)
        await worker.end()
        with pytest.raises(ControlError):
            await asking
        assert house.files() == []
        assert "stopping at once" in worker.events()
        assert house.wavs() == ["r1.left.wav", "r1.right.wav"]


async def test_a_long_recording_in_bounded_memory(house: House) -> None:
    """Twelve minutes; as plain stereo samples they would be 23 MB at 8 kHz."""
    house.run.mkdir()
    tone = tones.sine(440, 720, RATE)
    tone[RATE : -2 * RATE] = 0  # silence costs the encoder little, and memory as much
    for side in ("left", "right"):
        write_wav(house.run / f"r1.{side}.wav", tone, RATE)
    async with house.worker() as worker:
        small = house.job("r0", 1)
        await worker.client.command(small, Stored)
        before = worker.peak_memory()
        job = StoreRecording("r1", str(house.run / "r1.left.wav"), str(house.run / "r1.right.wav"), NOON)
        stored = await worker.client.command(job, Stored, timeout=60)
        assert stored.seconds == 720
        assert len(stored.peaks_left) <= 2000
        assert worker.peak_memory() - before < 8 * 1024 * 1024


async def test_a_key_file_that_is_open_to_others_is_refused(house: House) -> None:
    make_or_load_master_key(house.key)
    house.key.chmod(0o644)
    flags = ("--run", str(house.run), "--name", "vault", "--vault", str(house.vault), "--key-file", str(house.key))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media.vault", *flags, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    last = json.loads(out.splitlines()[-1])
    assert (last["level"], last["code"]) == ("error", "key-file")
    assert "0600" in last["error"]
    assert err == b""
