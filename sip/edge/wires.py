"""The edge's sockets together: which one a message leaves through."""

from __future__ import annotations

import ipaddress

from sip.edge.rewrite import PublicSide
from sip.edge.transport import Wire

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


class Wires:
    """The public sockets and the one towards the cards."""

    def __init__(self, public: list[Wire], inside: Wire) -> None:
        self.public = public
        self.inside = inside
        self._labels = {wire.label: wire for wire in public}

    def labelled(self, label: str) -> Wire | None:
        return self._labels.get(label)

    def towards(self, host: str, known: tuple[str, int] | None = None) -> Wire:
        """The public socket for a peer: the one its dialog names, else one of the family whose reach fits."""
        if known is not None:
            for wire in self.public:
                if wire.local[1] == known[1] and (wire.local[0] in (known[0], *WILDCARDS) or len(self.public) == 1):
                    return wire
        peer = ipaddress.ip_address(host.partition("%")[0])

        def unfit(wire: Wire) -> tuple[bool, bool]:
            own = ipaddress.ip_address(wire.local[0].partition("%")[0])
            return own.version != peer.version, not own.is_unspecified and own.is_loopback != peer.is_loopback

        return min(self.public, key=unfit)


def public_side(wire: Wire, peer: str) -> PublicSide:
    return PublicSide(wire.advertised(peer), wire.kind)
