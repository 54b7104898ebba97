"""Who a customer is, for the log: a keyed hash, the same each time they come."""

from __future__ import annotations

import hmac
import re

from acd.model import Channel

TELEPHONE: frozenset[Channel] = frozenset({"voice", "sms", "whatsapp"})
"""Channels whose addresses are telephone numbers: the same number is the same customer on all of them."""
NOBODY = frozenset({"anonymous", "unknown", "unavailable", "restricted", "private", "withheld"})
"""What carriers say of a number that is not shown: all of them would be one customer."""
PURPOSE = b"customers in the log"


class Customers:
    """Hashes addresses with a key of this installation, so that nobody finds a number by hashing them all."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, channel: Channel, address: str) -> str:
        """128 bits as text; empty for nobody."""
        kind, known = _plain(channel, address)
        if not known:
            return ""
        return hmac.digest(self._key, f"{kind}:{known}".encode(), "sha256").hex()[:32]


def _plain(channel: Channel, address: str) -> tuple[str, str]:
    """Kind and address without what does not tell one from another."""
    known = address.strip().casefold()
    if channel not in TELEPHONE:
        return channel, known
    if re.fullmatch(r"\+?[0-9 ()./-]*[0-9][0-9 ()./-]*", known):
        return "tel", re.sub("[^0-9]", "", known).removeprefix("00")
    return "sip", "" if known in NOBODY else known
