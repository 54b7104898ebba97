"""The edge's sockets together: which one a message leaves through."""

from __future__ import annotations

import ipaddress

from sip.edge.rewrite import PublicSide
from sip.edge.transport import Wire, is_wildcard


class Wires:
    """The public sockets and the one towards the cards."""

    def __init__(self, public: list[Wire], inside: Wire) -> None:
        self.public = public
        self.inside = inside
        self._labels = {wire.label: wire for wire in public}
        self._kinds = {kind: [wire for wire in public if wire.kind == kind] for kind in ("UDP", "TCP", "TLS")}

    def labelled(self, label: str) -> Wire | None:
        return self._labels.get(label)

    def towards(self, host: str, known: tuple[str, int] | None = None, kind: str = "UDP") -> Wire | None:
        """The public socket for a peer: the one its dialog names, else one whose family and reach fit; None: no such kind."""
        wires = self._kinds.get(kind)
        if not wires:
            return None
        if known is not None:
            for wire in wires:
                if wire.local[1] == known[1] and (wire.local[0] == known[0] or is_wildcard(wire.local[0]) or len(wires) == 1):
                    return wire
        peer = ipaddress.ip_address(host.partition("%")[0])

        def unfit(wire: Wire) -> tuple[bool, bool]:
            own = ipaddress.ip_address(wire.local[0].partition("%")[0])
            return own.version != peer.version, not own.is_unspecified and own.is_loopback != peer.is_loopback

        return min(wires, key=unfit)


def public_side(wire: Wire, peer: str, *, flow: str = "", secure: bool = False) -> PublicSide:
    """`secure` holds on TLS only."""
    return PublicSide(wire.advertised(peer), wire.kind, flow, secure and wire.kind == "TLS")
