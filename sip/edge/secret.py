"""What the edge signs: nonces of its challenges, and the names of connections in its Record-Routes.

The key stays in the run directory, so that an edge that was restarted honours what the one before signed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

SIZE = 32


@dataclass(frozen=True)
class Signer:
    """Short keyed hashes."""

    key: bytes

    def sign(self, text: str, size: int = 8) -> str:
        """Hex of `size` bytes."""
        return hmac.new(self.key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[: 2 * size]

    def verify(self, text: str, signature: str, size: int = 8) -> bool:
        return hmac.compare_digest(self.sign(text, size).encode(), signature.encode("utf-8", "surrogateescape"))


def signer(file: Path) -> Signer:
    """The key of this file; it is made if there is none."""
    with contextlib.suppress(FileExistsError):
        key = secrets.token_bytes(SIZE)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(key)
    found = file.read_bytes()
    return Signer(found if len(found) == SIZE else secrets.token_bytes(SIZE))
