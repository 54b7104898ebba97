"""The master key, and the keys of recordings wrapped by it (AES key wrap, RFC 3394)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from media.vault.errors import VaultError

KEY_BYTES = 32
VERSION = "k1"


class MasterKey:
    """Wraps and unwraps keys of recordings; a wrapped key names its master key, so that a wrong one is told from damage."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise VaultError("key-file", f"A master key has {KEY_BYTES} bytes, this one {len(secret)}.")
        self._secret = secret
        self.name = hashlib.sha256(b"switchroom master key" + secret).hexdigest()[:8]

    def derive(self, purpose: bytes) -> bytes:
        """A key for something else, which tells nothing of this one."""
        return hmac.digest(self._secret, b"switchroom " + purpose, "sha256")

    def wrap(self, key: bytes) -> str:
        """The key as text for a database: version, master key's name, wrapped bytes."""
        wrapped = aes_key_wrap(self._secret, key)
        return f"{VERSION}.{self.name}.{base64.urlsafe_b64encode(wrapped).decode()}"

    def unwrap(self, text: str) -> bytes:
        """The key again; raises VaultError(`wrong-key`)."""
        version, _, rest = text.partition(".")
        name, _, wrapped = rest.partition(".")
        if version != VERSION or not name or not wrapped:
            raise VaultError("wrong-key", "This is not a wrapped key of the vault.")
        if name != self.name:
            raise VaultError("wrong-key", f"The recording's key is wrapped by master key {name}, ours is {self.name}.")
        try:
            key = aes_key_unwrap(self._secret, base64.b64decode(wrapped.encode(), altchars=b"-_", validate=True))
        except (InvalidUnwrap, binascii.Error, ValueError) as error:
            raise VaultError("wrong-key", "The recording's wrapped key is damaged.") from error
        if len(key) != KEY_BYTES:
            raise VaultError("wrong-key", f"The recording's key has {len(key)} bytes.")
        return key


def new_key() -> bytes:
    """A fresh key for one recording."""
    return secrets.token_bytes(KEY_BYTES)


def load_master_key(path: Path) -> MasterKey:
    """Read the key file; raises VaultError(`key-file`) when it is missing, damaged, or open to others."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read(1024)
    except OSError as error:
        raise VaultError("key-file", f"The master key {path} cannot be read: {error.strerror}.") from error
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise VaultError("key-file", f"The master key {path} is open to other users: set its mode to 0600.")
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise VaultError("key-file", f"The master key {path} is damaged: it must be {KEY_BYTES} bytes in base64.") from error
    return MasterKey(secret)


def make_or_load_master_key(path: Path) -> MasterKey:
    """The key file's key, made on first use; of several processes that make it at once, one wins and all read the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(descriptor)
            # A link, not a rename: it fails where a key is already, and a key must never be replaced.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
            sync_directory(path.parent)
        except OSError as error:
            raise VaultError("key-file", f"The master key {path} cannot be made: {error.strerror}.") from error
        finally:
            temporary.unlink(missing_ok=True)
    return load_master_key(path)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
