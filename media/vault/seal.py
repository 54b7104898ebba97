"""The file format of the vault: AES-256-GCM in chunks, so that a range is read without the rest, and nothing can be cut off.

    header   48 bytes: magic, version, cipher, chunk size, plaintext size, 16 random bytes, 8 zero bytes
    chunk i  ciphertext (chunk size; the last one what is left) and 16 bytes of tag

Every file has a key of its own, so the nonce is the chunk's number. The associated data of a chunk are the whole header, the
chunk's number and whether it is the last: a chunk that was moved, a changed header, or a file cut at a chunk's edge fails.
Storage is anything that gives bytes at an offset: a file, or an object store's range request.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from collections.abc import Callable
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from media.vault.errors import VaultError

MAGIC = b"SWRVAULT"
VERSION = 1
AES_256_GCM = 1
CHUNK = 64 * 1024
MAX_CHUNK = 1024 * 1024
TAG = 16
_HEADER = struct.Struct(">8sHHIQ16s8x")
HEADER = _HEADER.size

ReadAt = Callable[[int, int], bytes]
"""`read_at(offset, length)` gives up to `length` bytes."""


def seal(source: BinaryIO, size: int, target: BinaryIO, key: bytes, *, chunk: int = CHUNK) -> str:
    """Encrypt `size` bytes of `source` into `target`; returns the plaintext's SHA-256 (hex)."""
    head = _HEADER.pack(MAGIC, VERSION, AES_256_GCM, chunk, size, secrets.token_bytes(16))
    cipher = AESGCM(key)
    digest = hashlib.sha256()
    target.write(head)
    last = _chunks(size, chunk) - 1
    for index in range(last + 1):
        wanted = min(chunk, size - index * chunk)
        plain = source.read(wanted)
        if len(plain) != wanted:
            raise VaultError("encoding", f"The source ended {size - index * chunk - len(plain)} bytes early.")
        digest.update(plain)
        target.write(cipher.encrypt(_nonce(index), plain, _associated(head, index, index == last)))
    return digest.hexdigest()


def sealed_size(size: int, chunk: int = CHUNK) -> int:
    """Bytes of a sealed file for so many of plaintext."""
    return HEADER + size + TAG * _chunks(size, chunk)


class Unsealed:
    """Reads ranges of a sealed file; opening checks the header, the length and the last chunk. Safe from several threads."""

    def __init__(self, read_at: ReadAt, length: int, key: bytes) -> None:
        self._read_at = read_at
        self._cipher = AESGCM(key)
        self._head = read_at(0, HEADER)
        if len(self._head) < HEADER:
            raise VaultError("truncated", f"The file has {length} bytes, less than its header.")
        magic, version, cipher, self._chunk, self.size, _ = _HEADER.unpack(self._head)
        if magic != MAGIC:
            raise VaultError("not-a-recording", "This is not a file of the vault.")
        if version != VERSION or cipher != AES_256_GCM:
            raise VaultError("not-a-recording", f"Version {version}, cipher {cipher}: not known to this program.")
        if not 1 <= self._chunk <= MAX_CHUNK:
            raise VaultError("tampered", "The header has been changed.")
        expected = sealed_size(self.size, self._chunk)
        if length < expected:
            raise VaultError("truncated", f"The file has {length} bytes instead of {expected}.")
        if length > expected:
            raise VaultError("tampered", f"The file has {length} bytes instead of {expected}.")
        self._last = _chunks(self.size, self._chunk) - 1
        self._recent: tuple[int, bytes] = (self._last, self._open(self._last))

    def read(self, offset: int, length: int) -> bytes:
        """`plaintext[offset : offset + length]`; raises VaultError(`tampered`, `truncated`)."""
        if offset < 0 or length < 0:
            raise ValueError(f"a range of {length} bytes at {offset}")
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        first, last = offset // self._chunk, (end - 1) // self._chunk
        parts = [self._plain(index) for index in range(first, last + 1)]
        skipped = first * self._chunk
        return b"".join(parts)[offset - skipped : end - skipped]

    def _plain(self, index: int) -> bytes:
        # One read and one assignment of a tuple: a reader in another thread sees the old or the new one, both are right.
        known, plain = self._recent
        if known != index:
            plain = self._open(index)
            self._recent = (index, plain)
        return plain

    def _open(self, index: int) -> bytes:
        wanted = min(self._chunk, self.size - index * self._chunk) + TAG
        sealed = self._read_at(HEADER + index * (self._chunk + TAG), wanted)
        if len(sealed) != wanted:
            raise VaultError("truncated", f"Chunk {index} is cut off.")
        try:
            return self._cipher.decrypt(_nonce(index), sealed, _associated(self._head, index, index == self._last))
        except InvalidTag as error:
            raise VaultError("tampered", f"Chunk {index} is damaged, or the key is another file's.") from error


def file_reader(descriptor: int) -> ReadAt:
    """Reads at offsets of a file without moving its position."""

    def read_at(offset: int, length: int) -> bytes:
        parts = []
        while length and (part := os.pread(descriptor, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    return read_at


def _chunks(size: int, chunk: int) -> int:
    return max(1, -(-size // chunk))


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")


def _associated(head: bytes, index: int, last: bool) -> bytes:
    return head + index.to_bytes(8, "big") + (b"\x01" if last else b"\x00")
