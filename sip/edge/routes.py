"""Which Route entries are ours, and what they say (RFC 3261 §16.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sip.edge.transport import Wire
from sip.uri import NameAddress, SipUri, revived


@dataclass(frozen=True)
class Taken:
    """What was taken off a route set: `rest` goes on; `card` and `generation` stood in our inner entry, if it was there."""

    rest: list[str]
    card: str = ""
    generation: str = ""
    public: tuple[str, int] | None = None
    kind: str = ""
    """The transport of our public entry, if it was there: UDP, TCP, TLS."""
    secure: bool = False
    flow: str = ""
    """The name of a connection in our public entry."""


class OwnRoutes:
    """Knows our own addresses, also those of a wildcard socket."""

    def __init__(self, public: list[Wire], inside: Wire, hosts: Iterable[str]) -> None:
        self._inside = inside.local
        self._hosts = frozenset((*hosts, *(wire.local[0] for wire in public)))
        self._ports = frozenset(wire.local[1] for wire in public)

    def is_public(self, address: tuple[str, int]) -> bool:
        return address[1] in self._ports and address[0] in self._hosts

    def is_inside(self, address: tuple[str, int]) -> bool:
        return address == self._inside

    def from_outside(self, routes: list[str]) -> Taken:
        """Our public entry and the inner one below it."""
        rest, public = self._take(routes, inside=False)
        rest, inner = self._take(rest, inside=True)
        return self._taken(rest, inner, public)

    def from_card(self, routes: list[str]) -> Taken:
        """Our inner entry and the public one below it; more of ours may follow, where a call came in through us again."""
        rest, inner = self._take(routes, inside=True)
        rest, public = self._take(rest, inside=False)
        return self._taken(rest, inner, public)

    def _take(self, routes: list[str], *, inside: bool) -> tuple[list[str], SipUri | None]:
        if not routes:
            return routes, None
        try:
            uri = NameAddress.parse(routes[0]).uri
        except ValueError:
            return routes, None
        ours = self.is_inside(uri.address) if inside else self.is_public(uri.address)
        return (routes[1:], uri) if ours else (routes, None)

    def _taken(self, rest: list[str], inner: SipUri | None, public: SipUri | None) -> Taken:
        card = (inner.parameter("card") if inner is not None else None) or ""
        generation = (inner.parameter("gen") if inner is not None else None) or ""
        if public is None:
            return Taken(rest, card, generation)
        public = revived(public)
        return Taken(rest, card, generation, public.address, transport(public), public.scheme == "sips", public.user or "")


def transport(uri: SipUri, default: str = "UDP") -> str:
    """The transport that a URI asks for; "" if neither it nor the default says one (RFC 3263 §4.1)."""
    if uri.scheme.lower() == "sips":
        return "TLS"
    return (uri.parameter("transport") or default).upper()
