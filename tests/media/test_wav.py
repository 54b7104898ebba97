"""WAV files: what is written is read, what a killed process left is read, garbage is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.wav import WavError, WavReader, header, read_wav, write_wav

pytestmark = pytest.mark.unit


def test_written_is_read(tmp_path: Path) -> None:
    samples = np.arange(-500, 500, dtype=np.int16)
    write_wav(tmp_path / "a.wav", samples, 8000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    got, rate = read_wav(tmp_path / "a.wav")
    assert rate == 8000
    assert np.array_equal(got, samples)
    with WavReader(tmp_path / "a.wav") as reader:
        assert (reader.frames, reader.repaired, reader.seconds) == (1000, False, 0.125)
        assert [len(reader.read(400)) for _ in range(4)] == [400, 400, 200, 0]


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF, 10_000])
def test_length_of_a_killed_writer_comes_from_the_file(tmp_path: Path, declared: int) -> None:
    samples = np.arange(777, dtype=np.int16)
    (tmp_path / "a.wav").write_bytes(header(16000, 0)[:-4] + declared.to_bytes(4, "little") + samples.tobytes() + b"\x01")
    with WavReader(tmp_path / "a.wav") as reader:
        assert reader.repaired
        assert np.array_equal(reader.read(10_000), samples)


def test_what_follows_the_samples_is_not_read(tmp_path: Path) -> None:
    extra = b"LIST" + (4).to_bytes(4, "little") + b"abcd"
    data = header(8000, 6)
    (tmp_path / "a.wav").write_bytes(data[:12] + extra + data[12:] + b"\1\0\2\0\3\0" + extra)
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, b"JUNK"),
        (8, b"AVI "),
        (20, b"\x03\x00"),
        (22, b"\x02\x00"),
        (24, b"\x00\x00\x00\x00"),
        (34, b"\x08\x00"),
        (36, b"none"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, offset: int, value: bytes) -> None:
    data = bytearray(header(8000, 4) + b"\1\0\2\0")
    data[offset : offset + len(value)] = value
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(WavError):
        WavReader(tmp_path / "a.wav")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(data=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda rest: header(8000, 0)[:12] + rest)))
def test_garbage_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    try:
        with WavReader(tmp_path / "a.wav") as reader:
            assert len(reader.read(reader.frames)) == reader.frames <= len(data)
    except WavError:
        pass


def test_each_truncation_of_the_header_is_refused(tmp_path: Path) -> None:
    data = header(8000, 4)
    for size in range(len(data)):
        (tmp_path / "a.wav").write_bytes(data[:size])
        with pytest.raises(WavError):
            WavReader(tmp_path / "a.wav")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.ones(10, dtype=np.int16), 8000)
    with pytest.raises(AttributeError):
        write_wav(tmp_path / "a.wav", "no samples", 8000)  # type: ignore[arg-type]
    (tmp_path / "full").mkdir()
    with pytest.raises(OSError, match="full"):
        write_wav(tmp_path / "full", np.ones(10, dtype=np.int16), 8000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "full"]
