"""The vault: a directory of sealed recordings, `YYYY/MM/DD/<recording>.swv` (UTC).

It lives here and not in `storage`: the vault worker writes it and may import nothing outside `media`; the exchange reads
it, and may import everything. The wrapped keys are in the database and not in these files: a recording whose row is gone is
unreadable, also in every copy of them (the worker's ledger keeps a copy of a key for some days, `delete` drops it).
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from media.vault.errors import VaultError
from media.vault.keys import MasterKey, new_key, sync_directory
from media.vault.seal import Unsealed, file_reader, seal

INCOMING = ".incoming"
RESULTS = ".results"
SUFFIX = ".swv"
RECORDING = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
FILE = re.compile(r"\d{4}/\d\d/\d\d/[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.swv")
LATEST = 253_402_300_800.0
"""The end of the year 9999, the last that the names have room for."""

BLOCK = 256 * 1024
"""Bytes read and decrypted at a time by a stream."""


class Staged(msgspec.Struct, frozen=True):
    """A sealed file that is durable but has not got its name yet."""

    file: str
    key: str
    size: int
    sha256: str
    temporary: Path


class StoredFile:
    """One open recording: `size` bytes of plaintext, read by range."""

    def __init__(self, path: Path, key: bytes) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise VaultError("not-found", f"The vault has no {path.name}.") from error
        try:
            self._plain = Unsealed(file_reader(self._descriptor), os.fstat(self._descriptor).st_size, key)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes of plaintext."""
        size: int = self._plain.size
        return size

    def read(self, offset: int, length: int) -> bytes:
        """A range as a slice would give it; blocks for a disk read and some decryption."""
        return self._plain.read(offset, length)

    async def stream(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """A range in blocks, read in a thread; the file closes at the end of the stream, also of a broken one."""
        end = self.size if length is None else min(offset + length, self.size)
        try:
            while offset < end:
                block = await asyncio.to_thread(self.read, offset, min(BLOCK, end - offset))
                offset += len(block)
                yield block
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; once is enough."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)

    def __enter__(self) -> StoredFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Vault:
    """Reads and writes the directory. One process writes (the worker); any number read."""

    def __init__(self, directory: Path, master: MasterKey) -> None:
        self.directory = directory
        self._master = master

    def prepare(self) -> None:
        """For the writer: make the directory, mode 0700, and clear what an earlier writer left half done."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        incoming = self.directory / INCOMING
        incoming.mkdir(mode=0o700, exist_ok=True)
        for left in incoming.iterdir():
            left.unlink()

    def open(self, file: str, key: str) -> StoredFile:
        """Open a recording for reading, `key` wrapped; raises VaultError."""
        return StoredFile(self.path(file), self._master.unwrap(key))

    def path(self, file: str) -> Path:
        """Where a recording's file is; raises VaultError(`bad-name`) for what is no name of ours."""
        if FILE.fullmatch(file) is None:
            raise VaultError("bad-name", "This is not the name of a recording's file.")
        return self.directory / file

    def stage(self, file: str, source: BinaryIO, size: int) -> Staged:
        """Seal `size` bytes under a fresh key, durable, not yet visible; `commit` or `discard` follows."""
        self.path(file)
        key = new_key()
        temporary = self.directory / INCOMING / secrets.token_hex(8)
        try:
            with temporary.open("xb") as target:
                os.fchmod(target.fileno(), 0o600)
                digest = seal(source, size, target, key)
                target.flush()
                os.fsync(target.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return Staged(file, self._master.wrap(key), size, digest, temporary)

    def commit(self, staged: Staged) -> None:
        """Give a staged file its name, durable; an earlier file of the same recording is replaced."""
        path = self.path(staged.file)
        _make_directories(self.directory, path.parent)
        staged.temporary.replace(path)
        sync_directory(path.parent)

    def discard(self, staged: Staged) -> None:
        """Drop a staged file."""
        staged.temporary.unlink(missing_ok=True)

    def delete(self, file: str) -> bool:
        """Remove a recording's file and what the ledger says of it; says whether there was one."""
        path = self.path(file)
        (self.directory / RESULTS / path.stem).unlink(missing_ok=True)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        sync_directory(path.parent)
        return True


def file_name(recording: str, started: float) -> str:
    """The name of a recording that began at this wall-clock time; raises VaultError(`bad-name`)."""
    if RECORDING.fullmatch(recording) is None:
        raise VaultError("bad-name", "A recording's id has 1 to 100 letters, digits, - and _.")
    if not 0 <= started < LATEST:
        raise VaultError("bad-name", f"{started} is no time of day.")
    return f"{datetime.fromtimestamp(started, UTC):%Y/%m/%d}/{recording}{SUFFIX}"


def _make_directories(top: Path, wanted: Path) -> None:
    missing = []
    while wanted != top and not wanted.exists():
        missing.append(wanted)
        wanted = wanted.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)
