"""Branches computed from the message alone, so that CANCEL and ACK follow their INVITE even after a restart.

RFC 3261 §16.11 (stateless proxies), §16.3 step 4 (loop check).
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
from dataclasses import dataclass

from sip.message import MAGIC, Head

CARDS = "c"
"""The ingress of what comes from cards; public sockets are numbered, `t` and `s` before it for TCP and TLS."""

_OURS = re.compile(re.escape(MAGIC) + r"sr([0-9a-f]{24})\.([0-9a-f]{12})\.(c|[ts]?[0-9]{1,3})(x?)(?:\.([1-9]))?")
_CLIENT = MAGIC + "se"


@dataclass(frozen=True)
class Branch:
    """A branch of ours: the transaction, the loop check's part, and the socket through which the request came."""

    transaction: str
    loop: str
    ingress: str
    secure: bool = False
    """Whether the request was for a `sips:` URI: its answers must say so, too."""
    number: int = 0
    """Which of several servers was tried: each is a transaction of its own."""

    @classmethod
    def parse(cls, text: str) -> Branch:
        """Raises ValueError."""
        match = _OURS.fullmatch(text)
        if match is None:
            raise ValueError("not a branch of ours")
        return cls(match[1], match[2], match[3], bool(match[4]), int(match[5] or 0))

    def tried(self, number: int) -> Branch:
        """The branch towards another server."""
        return dataclasses.replace(self, number=number)

    def __str__(self) -> str:
        number = f".{self.number}" if self.number else ""
        return f"{MAGIC}sr{self.transaction}.{self.loop}.{self.ingress}{'x' if self.secure else ''}{number}"


def derive(head: Head, target: str, ingress: str) -> Branch:
    """The branch under which a request goes on. `head.via` is the Via as it came, `target` the Request-URI as it came."""
    branch = head.via.branch
    if branch.startswith(MAGIC) and len(branch) > len(MAGIC):
        client = f"{head.via.host}:{head.via.port}:{branch}"
    else:  # RFC 2543: the whole Via and the Request-URI tell the transaction
        client = f"{head.via.text}\0{target}"
    dialog = f"{head.call_id}\0{head.from_tag}\0{head.cseq}"
    secure = target[:5].lower() == "sips:"
    return Branch(_hash(f"{client}\0{dialog}", 12), _hash(f"{target}\0{dialog}", 6), ingress, secure)


def tag(head: Head) -> str:
    """The To tag of our own answers: the same for each retransmission."""
    return "sr" + _hash(f"{head.via.host}\0{head.via.branch}\0{head.call_id}\0{head.from_tag}\0{head.cseq}", 8)


def client_branch() -> str:
    """A branch for a request that the edge itself sends."""
    return _CLIENT + secrets.token_hex(12)


def is_client(branch: str) -> bool:
    return branch.startswith(_CLIENT)


def _hash(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=size).hexdigest()
