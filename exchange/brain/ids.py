"""Ids: UUIDv7 (RFC 9562 §5.7), so that they sort by time and any node may make them."""

from __future__ import annotations

import secrets
import time
import uuid


def uuid7() -> str:
    """A new id; 48 bits of milliseconds, 74 random bits."""
    value = (int(time.time() * 1000) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def recording_id(contact: str, number: int) -> str:
    """The id of a contact's n-th recording, the same at every replay."""
    return str(uuid.uuid5(uuid.UUID(contact), f"recording-{number}"))
