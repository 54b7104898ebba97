"""Names of connections in our Record-Routes, so that a call's requests find the one its caller opened (RFC 5626 §5.2).

A phone behind NAT can be reached by no other. The name is signed: what a far end makes up leads nowhere.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from sip.edge.secret import Signer
from sip.edge.transport import Address

_TOKEN = re.compile(r"f([0-9a-f]{8}|[0-9a-f]{32})-([0-9a-f]{1,4})-([ts][0-9]{1,3})-([0-9a-f]{16})")


@dataclass(frozen=True)
class Flow:
    """A connection: its wire's label and its peer."""

    wire: str
    peer: Address


class Flows:
    """Writes and reads the names."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def token(self, flow: Flow) -> str:
        """The user part of a Record-Route; empty for a peer that cannot be written (a scoped IPv6 address)."""
        try:
            packed = ipaddress.ip_address(flow.peer[0]).packed.hex()
        except ValueError:
            return ""
        text = f"{packed}-{flow.peer[1]:x}-{flow.wire}"
        return f"f{text}-{self._signer.sign('flow ' + text)}"

    def read(self, token: str | None) -> Flow | None:
        match = _TOKEN.fullmatch(token or "")
        if match is None:
            return None
        text = f"{match[1]}-{match[2]}-{match[3]}"
        if not self._signer.verify("flow " + text, match[4]):
            return None
        return Flow(match[3], (str(ipaddress.ip_address(bytes.fromhex(match[1]))), int(match[2], 16)))
