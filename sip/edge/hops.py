"""Where a message goes next: by a Route or the target, on the transport they ask for, or on the connection it is known by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from media.control.edge import Trunk
from sip.edge.flows import Flows
from sip.edge.routes import Taken, transport
from sip.edge.sources import Sources, trunk_target
from sip.edge.targets import Hop
from sip.edge.transport import Address, Wire
from sip.edge.wires import Wires
from sip.uri import NameAddress, SipUri, bare, revived


@dataclass(frozen=True)
class Way:
    """A wire and an address to send to; `name` is what a TLS peer there must prove to be."""

    wire: Wire
    address: Address
    name: str = ""

    def send(self, data: bytes, failed: Callable[[], None] | None = None) -> None:
        self.wire.send(data, self.address, name=self.name, failed=failed)


def next_hop(target: SipUri, routes: list[str], default: str = "") -> Hop:
    """The first Route that is not ours, else the target; raises ValueError.

    One that names no transport is asked for on the dialog's own (`default`): who called by TLS and writes a plain Contact
    means the same connection, not UDP.
    """
    uri = revived(NameAddress.parse(routes[0]).uri) if routes else target
    return Hop(bare(uri.host), uri.port or 0, transport(uri, default))


def trunk_hop(trunk: Trunk) -> Hop:
    """Raises ValueError."""
    host, port = trunk_target(trunk)
    return Hop(host, port, "" if trunk.transport == "auto" else trunk.transport.upper())


class Ways:
    """Finds the wire for a hop."""

    def __init__(self, wires: Wires, flows: Flows, sources: Sources) -> None:
        self._wires = wires
        self._flows = flows
        self._sources = sources

    def by_flow(self, taken: Taken) -> Way | None:
        """The connection that the dialog's Record-Route names, if it is up."""
        flow = self._flows.read(taken.flow) if taken.flow else None
        wire = self._wires.labelled(flow.wire) if flow is not None else None
        if flow is None or wire is None or not wire.connected(flow.peer):
            return None
        return Way(wire, flow.peer)

    def to(self, address: Address, kind: str, known: Address | None = None, trunk: Trunk | None = None) -> Way | None:
        """The wire towards an address (of that trunk, if it is known whose), or None if there is none of that transport."""
        wire = self._wires.towards(address[0], known, kind)
        if wire is None:
            return None
        if kind == "TLS" and trunk is None:
            trunk = self._sources.trunk_of(address[0])
        name = verified_name(trunk) if kind == "TLS" and trunk is not None else ""
        return Way(wire, address, name)


def verified_name(trunk: Trunk) -> str:
    """What the trunk's certificate must be for, whatever SRV leads to (RFC 5922 §4); empty: it is not asked."""
    return trunk_target(trunk)[0] if trunk.target and trunk.transport in ("tls", "auto") and trunk.tls_verify else ""
