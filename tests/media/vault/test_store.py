"""Master key, names, staging, streams of the vault directory."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from media.vault.errors import VaultError
from media.vault.keys import MasterKey, load_master_key, make_or_load_master_key, new_key
from media.vault.store import INCOMING, Vault, file_name

pytestmark = pytest.mark.unit

NOON = 1_795_348_800.0  # 2026-11-22 12:00 UTC


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    vault = Vault(tmp_path / "vault", MasterKey(new_key()))
    vault.prepare()
    return vault


def put(vault: Vault, name: str, data: bytes) -> tuple[str, str]:
    staged = vault.stage(file_name(name, NOON), io.BytesIO(data), len(data))
    vault.commit(staged)
    return staged.file, staged.key


def test_master_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: make_or_load_master_key(path), range(8)))
    assert len({key.name for key in keys}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]
    wrapped = keys[0].wrap(b"k" * 32)
    assert load_master_key(path).unwrap(wrapped) == b"k" * 32


def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    make_or_load_master_key(path)
    path.chmod(0o640)
    with pytest.raises(VaultError, match="0600"):
        load_master_key(path)


@pytest.mark.parametrize("content", [b"", b"not base64!", b"c2hvcnQ=\n"])
def test_a_damaged_master_key_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(VaultError) as caught:
        make_or_load_master_key(path)
    assert caught.value.code == "key-file"
    assert path.read_bytes() == content


def test_wrapped_keys_tell_another_master_key_from_damage() -> None:
    one, two = MasterKey(new_key()), MasterKey(new_key())
    wrapped = one.wrap(new_key())
    with pytest.raises(VaultError, match=f"master key {one.name}, ours is {two.name}"):
        two.unwrap(wrapped)
    head, tail = wrapped.rsplit(".", 1)
    for damaged in (
        head + "." + ("A" if tail[0] != "A" else "B") + tail[1:],
        head + ".AAAA",
        head + ".é",
        "",
        "k1",
        "k1..",
        head,
    ):
        with pytest.raises(VaultError) as caught:
            one.unwrap(damaged)
        assert caught.value.code == "wrong-key"


def test_stored_is_read(vault: Vault) -> None:
    data = os.urandom(300_000)
    file, key = put(vault, "r1", data)
    assert file == "2026/11/22/r1.swv"
    with vault.open(file, key) as stored:
        assert stored.size == len(data)
        assert stored.read(65_530, 20) == data[65_530:65_550]
        assert stored.read(0, 10**9) == data
    path = vault.path(file)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not list((vault.directory / INCOMING).iterdir())


def test_each_recording_has_its_own_key(vault: Vault) -> None:
    one, key_one = put(vault, "r1", b"one")
    two, key_two = put(vault, "r2", b"two")
    assert key_one != key_two
    with pytest.raises(VaultError) as caught:
        vault.open(one, key_two)
    assert caught.value.code == "tampered"
    with vault.open(two, key_two) as stored:
        assert stored.read(0, 9) == b"two"


def test_another_master_key_opens_nothing(vault: Vault) -> None:
    file, key = put(vault, "r1", b"one")
    with pytest.raises(VaultError) as caught:
        Vault(vault.directory, MasterKey(new_key())).open(file, key)
    assert caught.value.code == "wrong-key"


def test_staged_is_not_there_yet(vault: Vault) -> None:
    staged = vault.stage(file_name("r1", NOON), io.BytesIO(b"data"), 4)
    with pytest.raises(VaultError) as caught:
        vault.open(staged.file, staged.key)
    assert caught.value.code == "not-found"
    vault.prepare()  # the next writer, after a crash
    assert not staged.temporary.exists()


@pytest.mark.parametrize(
    "file", ["../../etc/passwd", "/etc/passwd", "2026/11/22/../x.swv", "2026/11/22/.x.swv", "2026/11/22/x.swv\n", "x.swv", ""]
)
def test_names_lead_nowhere_else(vault: Vault, file: str) -> None:
    with pytest.raises(VaultError) as caught:
        vault.open(file, "")
    assert caught.value.code == "bad-name"


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\0b", "x" * 101, "ä"])
def test_ids_that_are_no_file_names(name: str) -> None:
    with pytest.raises(VaultError) as caught:
        file_name(name, NOON)
    assert caught.value.code == "bad-name"


@pytest.mark.parametrize("started", [-1.0, float("nan"), float("inf"), 1e15])
def test_times_that_are_none(started: float) -> None:
    with pytest.raises(VaultError) as caught:
        file_name("r1", started)
    assert caught.value.code == "bad-name"


def test_deleted_is_gone(vault: Vault) -> None:
    file, key = put(vault, "r1", b"one")
    assert vault.delete(file)
    assert not vault.delete(file)
    with pytest.raises(VaultError) as caught:
        vault.open(file, key)
    assert caught.value.code == "not-found"


async def test_streams_of_ranges(vault: Vault) -> None:
    data = os.urandom(700_000)
    file, key = put(vault, "r1", data)
    for offset, length in ((0, None), (65_536, 300_001), (699_999, 5), (700_000, None), (0, 0)):
        stored = vault.open(file, key)
        blocks = [block async for block in stored.stream(offset, length)]
        assert b"".join(blocks) == data[offset : None if length is None else offset + length]


async def test_a_reader_that_leaves_in_the_middle_closes_the_file(vault: Vault) -> None:
    file, key = put(vault, "r1", os.urandom(700_000))
    before = len(os.listdir("/proc/self/fd"))
    stored = vault.open(file, key)
    stream = stored.stream()
    await anext(stream)
    await stream.aclose()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(VaultError):
        vault.open(file, vault._master.wrap(new_key()))
    assert len(os.listdir("/proc/self/fd")) == before


async def test_many_readers_at_once(vault: Vault) -> None:
    data = os.urandom(1_000_000)
    file, key = put(vault, "r1", data)
    with vault.open(file, key) as stored:
        offsets = [n * 37_003 % 999_000 for n in range(100)]
        got = await asyncio.gather(*(asyncio.to_thread(stored.read, offset, 1000) for offset in offsets))
    assert got == [data[offset : offset + 1000] for offset in offsets]
