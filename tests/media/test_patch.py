"""Patch frames on the wire and patch sockets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.patch import RATES, PatchFrame, PatchSocket

pytestmark = pytest.mark.unit


@st.composite
def frames(draw: st.DrawFn) -> PatchFrame:
    size = draw(st.sampled_from(sorted(RATES))) // 50 * 2
    word = st.integers(0, 0xFFFFFFFF)
    pcm = draw(st.binary(min_size=4, max_size=4)) * (size // 4)
    return PatchFrame(draw(word), draw(word), draw(st.integers(0, 255)), pcm)


@given(frames())
def test_a_frame_survives_the_wire(frame: PatchFrame) -> None:
    assert PatchFrame.parse(bytes(frame)) == frame


@given(frames(), st.data())
def test_every_truncation_and_every_addition_is_refused(frame: PatchFrame, data: st.DataObject) -> None:
    wire = bytes(frame)
    cut = data.draw(st.integers(0, len(wire) - 1))
    with pytest.raises(ValueError, match=r"patch|bytes"):
        PatchFrame.parse(wire[:cut])
    with pytest.raises(ValueError, match="bytes"):
        PatchFrame.parse(wire + b"\0")


@given(st.binary(max_size=2000))
def test_garbage_is_refused_or_a_frame(data: bytes) -> None:
    try:
        frame = PatchFrame.parse(data)
    except ValueError:
        return
    assert bytes(frame) == data


def test_frames_cross_both_ways(tmp_path: Path) -> None:
    with PatchSocket(tmp_path / "l", tmp_path / "d", 8000) as line, PatchSocket(tmp_path / "d", tmp_path / "l", 8000) as desk:
        assert line.send(b"\1\0" * 160, 0xFFFFFFFF)
        assert line.send(b"\2\0" * 160, 0x100000000 + 159, 1)
        assert desk.send(b"\3\0" * 160, 7)
        assert desk.receive() == PatchFrame(0, 0xFFFFFFFF, 0, b"\1\0" * 160)
        assert desk.receive() == PatchFrame(1, 159, 1, b"\2\0" * 160)
        assert desk.receive() is None
        assert line.receive() == PatchFrame(0, 7, 0, b"\3\0" * 160)
        assert (line.statistics().sent, line.statistics().received) == (2, 1)


def test_a_peer_that_is_not_there_or_does_not_read_costs_a_count(tmp_path: Path) -> None:
    with PatchSocket(tmp_path / "l", tmp_path / "d", 8000) as line:
        assert not line.send(bytes(320), 0)
        with PatchSocket(tmp_path / "d", tmp_path / "l", 8000):
            taken = sum(line.send(bytes(320), number) for number in range(5000))
            assert 0 < taken < 5000
        assert not line.send(bytes(320), 0)
        assert line.statistics().dropped == 5002 - taken
        # The same address, bound anew by another process.
        with PatchSocket(tmp_path / "d", tmp_path / "l", 8000) as again:
            assert line.send(bytes(320), 0)
            assert again.receive() is not None


def test_what_is_not_a_frame_of_this_patch_is_skipped(tmp_path: Path) -> None:
    with PatchSocket(tmp_path / "l", tmp_path / "d", 16000) as wide, PatchSocket(tmp_path / "d", tmp_path / "l", 8000) as desk:
        assert wide.send(bytes(640), 0)
        assert desk.receive() is None
        assert desk.statistics().bad == 1
        with pytest.raises(ValueError, match="20 ms"):
            wide.send(bytes(320), 0)


def test_the_socket_is_private_and_goes_with_its_owner(tmp_path: Path) -> None:
    own = tmp_path / "l"
    own.write_text("what a dead process left")
    end = PatchSocket(own, tmp_path / "d", 8000)
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    end.close()
    end.close()
    assert not own.exists()
    assert end.fileno() == -1
