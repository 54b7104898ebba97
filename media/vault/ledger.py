"""What was filed lately: a command that is repeated (the exchange died before it read the reply) gets the same answer."""

from __future__ import annotations

import os
import secrets
import time

import msgspec

from media.control.work import Stored
from media.vault.errors import VaultError
from media.vault.keys import sync_directory
from media.vault.store import RESULTS, Vault

KEPT = 7 * 86_400.0
"""Seconds. Not for ever: an entry holds the wrapped key, and erasing a recording must not depend on finding it here."""


class Ledger:
    """One small file for each recording filed in the last days."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._directory = vault.directory / RESULTS

    def prepare(self) -> int:
        """Make the directory and drop old entries and half-written ones; returns how many are left."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        oldest = time.time() - KEPT
        left = 0
        for entry in self._directory.iterdir():
            if entry.name.startswith(".") or entry.stat().st_mtime < oldest:
                entry.unlink()
            else:
                left += 1
        return left

    def find(self, recording: str) -> Stored | None:
        """The answer given before, if its file is really in the vault."""
        try:
            stored = msgspec.json.decode((self._directory / recording).read_bytes(), type=Stored)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        try:
            # Opening checks key, length and last chunk: an entry written for a file that never got its name does not count.
            with self._vault.open(stored.file, stored.key):
                return stored
        except VaultError:
            return None

    def note(self, stored: Stored) -> None:
        """Keep an answer, durable."""
        entry = self._directory / stored.recording
        temporary = self._directory / f".{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(msgspec.json.encode(stored))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(entry)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(self._directory)
