"""From two WAVs to one sealed stereo file: channels, time line, figures, and what happens when something is wrong."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.control.line import Mark
from media.control.work import Stored, StoreRecording
from media.vault.errors import VaultError
from media.vault.filing import Filing
from media.vault.keys import MasterKey, new_key
from media.vault.merge import Container, merge
from media.vault.store import Vault
from media.wav import Samples, header, write_wav
from tests.tools import tones

pytestmark = pytest.mark.unit

NOON = 1_795_348_800.0


class Desk:
    """A vault, its filing, and WAVs to file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.vault = Vault(directory / "vault", MasterKey(new_key()))
        self.filing = Filing(self.vault, directory / "scratch")
        self.filing.prepare()

    def job(self, left: Samples, right: Samples, rate: int, *, paused: list[Mark] | None = None) -> StoreRecording:
        paths = [self.directory / f"r1.{side}.wav" for side in ("left", "right")]
        for path, samples in zip(paths, (left, right), strict=True):
            write_wav(path, samples, rate)
        return StoreRecording("r1", str(paths[0]), str(paths[1]), NOON, paused or [])

    def plain(self, stored: Stored) -> bytes:
        with self.vault.open(stored.file, stored.key) as file:
            return file.read(0, file.size)

    def heard(self, stored: Stored) -> tuple[tones.Samples, int]:
        samples, rate = soundfile.read(io.BytesIO(self.plain(stored)), always_2d=True)
        return samples, int(rate)

    def wavs(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob("*.wav"))

    def left_over(self) -> list[Path]:
        hidden = [self.directory / "scratch", self.vault.directory / ".incoming"]
        return [path for place in hidden for path in place.iterdir()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def framed(hz: float, rate: int, seconds: float) -> Samples:
    """A tone with 100 ms of silence before and after."""
    quiet = np.zeros(rate // 10, dtype=np.int16)
    return np.concatenate((quiet, tones.sine(hz, seconds - 0.2, rate), quiet))


def edges(samples: tones.Samples, rate: int) -> tuple[float, float]:
    """Where sound begins and ends, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.05)
    return loud[0] / rate, (loud[-1] + 1) / rate


@pytest.mark.parametrize("rate", [8000, 16000])
def test_channels_levels_and_time_line_survive(desk: Desk, rate: int) -> None:
    left, right = framed(440, rate, 7.013), framed(880, rate, 7.013)
    stored = desk.filing.store(desk.job(left, right, rate))
    samples, heard_rate = desk.heard(stored)
    assert heard_rate == rate
    assert samples.shape == (len(left), 2)
    assert stored.seconds == pytest.approx(7.013, abs=0.001)
    assert stored.media_type == "audio/ogg; codecs=opus"
    middle = samples[rate : 6 * rate]
    for channel, own, other in ((0, 440, 880), (1, 880, 440)):
        assert tones.level(middle[:, channel], rate, own) == pytest.approx(-12, abs=0.5)
        assert tones.level(middle[:, channel], rate, other) < -60
        begin, end = edges(samples[:, channel], rate)
        assert begin == pytest.approx(0.1, abs=0.005)
        assert end == pytest.approx(6.913, abs=0.005)
    plain = desk.plain(stored)
    assert stored.size == len(plain) < 7.1 * 9_000
    assert stored.sha256 == hashlib.sha256(plain).hexdigest()
    assert desk.wavs() == desk.left_over() == []


def test_one_speaker_is_not_heard_on_the_other_channel(desk: Desk, speech: Samples) -> None:
    silent = np.zeros(len(speech), dtype=np.int16)
    samples, _ = desk.heard(
        desk.filing.store(desk.job(np.concatenate((speech, silent)), np.concatenate((silent, speech)), 16000))
    )
    first, second = samples[: len(speech)], samples[len(speech) :]
    assert tones.power(first[:, 0]) - tones.power(first[4000:, 1]) > 35
    assert tones.power(second[:, 1]) - tones.power(second[4000:, 0]) > 35


def test_figures_and_waveform(desk: Desk, speech: Samples) -> None:
    lead, rest = np.zeros(16000 * 5, dtype=np.int16), np.zeros(16000 * 3, dtype=np.int16)
    length = len(speech) / 16000 - 0.17
    left, right = np.concatenate((speech, lead, rest)), np.concatenate((lead, speech))
    stored = desk.filing.store(desk.job(left, right, 16000, paused=[Mark(0.0, 1.0)]))
    assert stored.left.talk == pytest.approx(length - 1, rel=0.1)
    assert stored.right.talk == pytest.approx(length, rel=0.1)
    assert stored.left.talk + stored.left.silence == pytest.approx(stored.seconds - 1, abs=0.05)
    assert stored.peaks_per_second == 10
    assert len(stored.peaks_left) == len(stored.peaks_right) == round(stored.seconds * 10 + 0.499)
    assert max(stored.peaks_left) == max(stored.peaks_right) == pytest.approx(60, abs=2)
    assert set(stored.peaks_left[-75:]) == {0}


def test_the_shorter_side_is_silent_at_its_end(desk: Desk) -> None:
    job = desk.job(tones.sine(440, 2.0, 8000), tones.sine(880, 5.0, 8000), 8000)
    samples, rate = desk.heard(desk.filing.store(job))
    assert len(samples) == 40_000
    assert tones.heard(samples[:, 0], rate, 440) == pytest.approx(2.0, abs=0.11)
    assert tones.power(samples[int(2.1 * rate) :, 0]) < -60
    assert tones.heard(samples[:, 1], rate, 880) == pytest.approx(5.0, abs=0.11)


def test_a_side_that_nobody_recorded(desk: Desk) -> None:
    path = desk.directory / "voicemail.wav"
    write_wav(path, tones.sine(440, 2.0, 8000), 8000)
    samples, _ = desk.heard(desk.filing.store(StoreRecording("r1", str(path), "", NOON)))
    assert tones.level(samples[:, 0], 8000, 440) == pytest.approx(-12, abs=0.5)
    assert tones.power(samples[:, 1]) < -80
    assert desk.wavs() == []


def test_what_a_killed_card_left(desk: Desk) -> None:
    """Header lengths of 0, one file with an odd byte, the other with nothing at all."""
    left = desk.directory / "r1.left.wav"
    left.write_bytes(header(8000, 0) + tones.sine(440, 3.0, 8000).tobytes() + b"\x01")
    (desk.directory / "r1.right.wav").touch()
    os.utime(left, (NOON + 3, NOON + 3))
    os.utime(desk.directory / "r1.right.wav", (NOON + 3, NOON + 3))
    stored = desk.filing.salvage("r1", desk.directory)
    assert stored.file == "2026/11/22/r1.swv"
    assert stored.seconds == 3.0
    samples, _ = desk.heard(stored)
    assert tones.level(samples[:, 0], 8000, 440) == pytest.approx(-12, abs=0.5)
    assert desk.filing.totals.repaired == 1
    assert desk.wavs() == []
    assert desk.filing.salvage("r1", desk.directory) == stored


def test_the_same_recording_again(desk: Desk) -> None:
    job = desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    stored = desk.filing.store(job)
    again = Filing(desk.vault, desk.directory / "scratch")
    again.prepare()
    assert again.store(job) == stored
    assert again.totals.repeated == 1


def test_killed_between_answer_and_name(desk: Desk) -> None:
    """The answer was noted, the file never got its name, the WAVs are there: done anew."""
    job = desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    first = desk.filing.store(job)
    desk.vault.path(first.file).unlink()
    desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    second = desk.filing.store(job)
    assert second.key != first.key
    assert len(desk.plain(second)) == second.size
    assert desk.wavs() == []


def test_killed_between_name_and_removal(desk: Desk) -> None:
    """File and answer are there, the WAVs as well: they only have to go."""
    job = desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    first = desk.filing.store(job)
    desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    assert desk.filing.store(job) == first
    assert desk.wavs() == []


def test_a_damaged_file_is_not_taken_for_filed(desk: Desk) -> None:
    job = desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    first = desk.filing.store(job)
    path = desk.vault.path(first.file)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VaultError) as caught:
        desk.filing.store(job)
    assert caught.value.code == "not-found"


def test_erasing_takes_the_noted_key_along(desk: Desk) -> None:
    stored = desk.filing.store(desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000))
    assert desk.vault.delete(stored.file)
    assert stored.key.encode() not in b"".join(p.read_bytes() for p in desk.vault.directory.rglob("*") if p.is_file())


def test_old_answers_are_forgotten(desk: Desk) -> None:
    job = desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    desk.filing.store(job)
    entry = desk.vault.directory / ".results" / "r1"
    os.utime(entry, (NOON - 1e8, NOON - 1e8))
    desk.filing.prepare()
    assert not entry.exists()


@pytest.mark.parametrize(
    ("left", "right", "code"),
    [
        (b"", b"", "empty"),
        (header(8000, 0), header(8000, 0), "empty"),
        (header(8000, 0) + bytes(100), header(16000, 0) + bytes(100), "bad-audio"),
        (header(11025, 0) + bytes(100), header(11025, 0) + bytes(100), "bad-audio"),
        (b"garbage" * 20, header(8000, 0) + bytes(100), "bad-audio"),
        (None, header(8000, 0) + bytes(100), "not-found"),
    ],
)
def test_what_cannot_be_filed_stays(desk: Desk, left: bytes | None, right: bytes | None, code: str) -> None:
    paths = [desk.directory / "r1.left.wav", desk.directory / "r1.right.wav"]
    for path, data in zip(paths, (left, right), strict=True):
        if data is not None:
            path.write_bytes(data)
    before = desk.wavs()
    with pytest.raises(VaultError) as caught:
        desk.filing.store(StoreRecording("r1", str(paths[0]), str(paths[1]), NOON))
    assert caught.value.code == code
    assert desk.wavs() == before
    assert desk.left_over() == []
    assert not list(desk.vault.directory.rglob("*.swv"))


def test_a_vault_that_cannot_be_written_leaves_the_wavs(desk: Desk) -> None:
    job = desk.job(tones.sine(440, 1.0, 8000), tones.sine(880, 1.0, 8000), 8000)
    (desk.vault.directory / "2026").write_text("in the way")
    with pytest.raises(OSError, match="2026"):
        desk.filing.store(job)
    assert desk.wavs() == ["r1.left.wav", "r1.right.wav"]
    assert desk.left_over() == []
    (desk.vault.directory / "2026").unlink()
    assert desk.filing.store(job).seconds == 1.0


@pytest.mark.parametrize("container", ["opus", "flac"])
def test_both_containers(tmp_path: Path, container: Container) -> None:
    write_wav(tmp_path / "a.wav", tones.sine(440, 6.0, 16000), 16000)
    merged = merge(tmp_path / "a.wav", None, tmp_path / "out", container=container)
    samples, rate = tones.load(tmp_path / "out")
    assert merged.seconds == 6.0
    assert samples.shape == (96_000, 2)
    assert tones.level(samples[:, 0], rate, 440) == pytest.approx(-12, abs=0.5)
