"""The sealed format: any range is the slice, any change or cut is noticed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.vault.errors import VaultError
from media.vault.keys import new_key
from media.vault.seal import HEADER, MAX_CHUNK, TAG, ReadAt, Unsealed, seal, sealed_size

pytestmark = pytest.mark.unit


def sealed(data: bytes, key: bytes, chunk: int = 64) -> bytes:
    target = io.BytesIO()
    seal(io.BytesIO(data), len(data), target, key, chunk=chunk)
    return target.getvalue()


def reader(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def unsealed(data: bytes, key: bytes) -> Unsealed:
    return Unsealed(reader(data), len(data), key)


@settings(deadline=None, max_examples=300)
@given(
    data=st.binary(max_size=2000),
    chunk=st.integers(1, 700),
    ranges=st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 2500)), min_size=1, max_size=8),
)
def test_any_range_is_the_slice(data: bytes, chunk: int, ranges: list[tuple[int, int]]) -> None:
    key = new_key()
    file = sealed(data, key, chunk)
    assert len(file) == sealed_size(len(data), chunk)
    plain = unsealed(file, key)
    assert plain.size == len(data)
    for offset, length in ranges:
        assert plain.read(offset, length) == data[offset : offset + length]


def test_a_range_reads_its_chunks_only() -> None:
    key = new_key()
    file = sealed(bytes(range(256)) * 100, key, 256)
    asked: list[tuple[int, int]] = []

    def read_at(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return file[offset : offset + length]

    plain = Unsealed(read_at, len(file), key)
    asked.clear()
    assert plain.read(256 * 50 + 10, 256) == bytes(range(10, 256)) + bytes(range(10))
    assert asked == [(HEADER + n * (256 + TAG), 256 + TAG) for n in (50, 51)]


def test_every_changed_byte_is_noticed() -> None:
    key, data = new_key(), bytes(200)
    file = sealed(data, key)
    for position in range(len(file)):
        damaged = bytearray(file)
        damaged[position] ^= 0x01
        with pytest.raises(VaultError) as caught:
            unsealed(bytes(damaged), key).read(0, len(data))
        assert caught.value.code in ("tampered", "truncated", "not-a-recording"), position


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 200])
def test_every_cut_and_every_addition_is_noticed(size: int) -> None:
    key = new_key()
    file = sealed(bytes(size), key)
    for length in range(len(file)):
        with pytest.raises(VaultError) as caught:
            unsealed(file[:length], key)
        assert caught.value.code == "truncated"
    with pytest.raises(VaultError) as caught:
        unsealed(file + b"\0", key)
    assert caught.value.code == "tampered"


def test_a_cut_with_a_header_that_agrees_is_noticed() -> None:
    """Whoever cuts at a chunk's edge and corrects the size has still changed what every chunk is bound to."""
    key = new_key()
    file = sealed(bytes(192), key)
    cut = bytearray(file[: HEADER + 2 * (64 + TAG)])
    cut[16:24] = (128).to_bytes(8, "big")
    with pytest.raises(VaultError) as caught:
        unsealed(bytes(cut), key)
    assert caught.value.code == "tampered"


def test_chunks_cannot_be_swapped_nor_come_from_another_file() -> None:
    key = new_key()
    one, two = (bytearray(sealed(bytes(192), key)) for _ in range(2))
    first, second = slice(HEADER, HEADER + 80), slice(HEADER + 80, HEADER + 160)
    swapped = bytearray(one)
    swapped[first], swapped[second] = one[second], one[first]
    foreign = bytearray(one)
    foreign[first] = two[first]
    for file in (swapped, foreign):
        plain = unsealed(bytes(file), key)  # the last chunk is right
        with pytest.raises(VaultError) as caught:
            plain.read(0, 10)
        assert caught.value.code == "tampered"


def test_another_key_opens_nothing() -> None:
    file = sealed(b"hello", new_key())
    with pytest.raises(VaultError) as caught:
        unsealed(file, new_key())
    assert caught.value.code == "tampered"
    assert b"hello" not in file


def test_a_header_cannot_ask_for_much_memory() -> None:
    file = bytearray(sealed(b"hello", new_key()))
    file[12:16] = (MAX_CHUNK + 1).to_bytes(4, "big")
    with pytest.raises(VaultError) as caught:
        unsealed(bytes(file), new_key())
    assert caught.value.code == "tampered"


def test_a_source_that_is_too_short() -> None:
    with pytest.raises(VaultError) as caught:
        seal(io.BytesIO(b"abc"), 4, io.BytesIO(), new_key())
    assert caught.value.code == "encoding"


def test_negative_ranges_are_a_mistake_of_the_caller() -> None:
    key = new_key()
    plain = unsealed(sealed(b"hello", key), key)
    for offset, length in ((-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="range"):
            plain.read(offset, length)


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(VaultError):
        unsealed(data, new_key())
