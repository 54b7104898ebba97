"""What changes in a message between the outside and a card. Pure: every function returns a new message.

Towards a card: an allow-list of headers, `sips:` and `transport=` put away, two Record-Routes. Towards the outside: all of it
undone, the card's Contact made a public one. RFC 3261 §16.6, RFC 5658.
"""

from __future__ import annotations

from dataclasses import dataclass

from sip.edge.rules import max_forwards
from sip.message import Headers, Request, Response
from sip.uri import SipUri, bare, bracketed, each_address, host_port, plain, revived

OWN = "x-switchroom-"
SOURCE = "X-Switchroom-Source"
LEASE = "X-Switchroom-Lease"
TRUNK = "X-Switchroom-Trunk"
SRTP = "X-Switchroom-Srtp"
CALLER = "X-Switchroom-Caller"
"""What a card is told of a new call besides its source: the trunk's name, whether SRTP is `required`, the caller's number."""

PASSED = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "allow",
        "allow-events",
        "authentication-info",
        "call-id",
        "contact",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "cseq",
        "diversion",
        "event",
        "expires",
        "from",
        "history-info",
        "info-package",
        "max-forwards",
        "mime-version",
        "min-expires",
        "min-se",
        "p-asserted-identity",
        "p-early-media",
        "p-preferred-identity",
        "privacy",
        "proxy-authenticate",
        "rack",
        "reason",
        "record-route",
        "recv-info",
        "refer-sub",
        "refer-to",
        "referred-by",
        "remote-party-id",
        "replaces",
        "require",
        "retry-after",
        "rseq",
        "server",
        "session-expires",
        "subject",
        "subscription-state",
        "supported",
        "timestamp",
        "to",
        "unsupported",
        "user-agent",
        "user-to-user",
        "via",
        "warning",
        "www-authenticate",
    }
)
"""Headers a card gets; besides these `X-*`, except our own."""


@dataclass(frozen=True)
class CardSide:
    """A card's place in the routes: its name, its generation, where it listens, and our socket towards it."""

    card: str
    generation: str
    address: tuple[str, int]
    inside: tuple[str, int]

    @property
    def record_route(self) -> str:
        return f"<sip:{host_port(*self.inside)};lr;card={self.card};gen={self.generation}>"


@dataclass(frozen=True)
class PublicSide:
    """How the outside knows us: address and transport of the socket in use."""

    address: tuple[str, int]
    kind: str = "UDP"
    flow: str = ""
    """The name of the connection that the call came on."""
    secure: bool = False
    """Whether the call was asked for as `sips:`, which binds every hop (RFC 3261 §26.2.2)."""

    @property
    def scheme(self) -> str:
        return "sips" if self.secure else "sip"

    @property
    def _transport(self) -> tuple[str, ...]:
        return () if self.kind == "UDP" or self.secure else (f"transport={self.kind.lower()}",)

    @property
    def record_route(self) -> str:
        user = f"{self.flow}@" if self.flow else ""
        return f"<{self.scheme}:{user}{host_port(*self.address)};lr{''.join(';' + p for p in self._transport)}>"

    def contact(self, uri: SipUri) -> SipUri:
        host, port = self.address
        return SipUri(self.scheme, uri.user, bracketed(host), port, self._transport)


def via(address: tuple[str, int], kind: str, branch: str) -> str:
    return f"SIP/2.0/{kind} {host_port(*address)};branch={branch}"


def request_to_card(
    request: Request,
    side: CardSide,
    public: PublicSide,
    branch: str,
    told: tuple[tuple[str, str], ...] = (),
    number: str | None = None,
) -> Request:
    """A request for a card: the number dialled (or `number` for it) stays the user part; `told` are headers of our own."""
    headers = _allowed(request.headers)
    headers.remove("Route")
    _plain_addresses(headers)
    if request.method == "INVITE":
        headers.push("Record-Route", plain_route(public.record_route))
        headers.push("Record-Route", side.record_route)
    headers.push("Via", via(side.inside, "UDP", branch))
    headers.set("Max-Forwards", str(max_forwards(request) - 1))
    for name, value in told:
        headers.set(name, value)
    headers.set("Content-Length", str(len(request.body)))
    user = SipUri.parse(request.target).number if number is None else number
    return Request(request.method, str(SipUri("sip", user, bracketed(side.address[0]), side.address[1])), request.body, headers)


def request_from_card(request: Request, side: CardSide, public: PublicSide, branch: str, target: SipUri) -> Request:
    """A request of a card for the outside. Its `Route` must hold no entry of ours any more; `target` is revived already."""
    headers = _without_own(request.headers)
    headers.setlist("Route", each_address(headers.getlist("Route"), revived))
    headers.setlist("Contact", _public_contacts(headers.getlist("Contact"), side, public))
    if request.method == "INVITE":
        headers.push("Record-Route", side.record_route)
        headers.push("Record-Route", public.record_route)
    headers.push("Via", via(public.address, public.kind, branch))
    headers.set("Max-Forwards", str(max_forwards(request) - 1))
    headers.set("Content-Length", str(len(request.body)))
    return Request(request.method, str(target), request.body, headers)


def response_to_card(response: Response) -> Response:
    """A response from outside for a card: our Via taken off."""
    headers = _allowed(response.headers)
    headers.setlist("Via", response.headers.getlist("Via")[1:])
    _plain_addresses(headers)
    headers.set("Content-Length", str(len(response.body)))
    return Response(response.code, response.phrase, response.body, headers)


def response_from_card(response: Response, side: CardSide, public: PublicSide) -> Response:
    """A card's response for the outside: our Via taken off, what was put away is back."""
    headers = _without_own(response.headers)
    headers.setlist("Via", response.headers.getlist("Via")[1:])
    headers.setlist("Record-Route", each_address(headers.getlist("Record-Route"), revived))
    headers.setlist("Contact", _public_contacts(headers.getlist("Contact"), side, public))
    headers.set("Content-Length", str(len(response.body)))
    return Response(response.code, response.phrase, response.body, headers)


def plain_route(value: str) -> str:
    """One Record-Route of ours as cards see it."""
    return each_address([value], plain)[0]


def _allowed(headers: Headers) -> Headers:
    kept = Headers()
    for name in headers.keys():  # noqa: SIM118  not a mapping
        low = name.lower()
        if low in PASSED or low == "route" or (low.startswith("x-") and not low.startswith(OWN)):
            kept.setlist(name, headers.getlist(name))
    return kept


def _without_own(headers: Headers) -> Headers:
    kept = Headers()
    for name in headers.keys():  # noqa: SIM118
        if not name.lower().startswith(OWN):
            kept.setlist(name, headers.getlist(name))
    return kept


def _plain_addresses(headers: Headers) -> None:
    for name in ("Contact", "Record-Route"):
        values = headers.getlist(name)
        if values:
            headers.setlist(name, each_address(values, plain))


def _public_contacts(values: list[str], side: CardSide, public: PublicSide) -> list[str]:
    """The card's own Contact as a public one; other people's (in a 3xx) as they were written."""

    def change(uri: SipUri) -> SipUri:
        if (bare(uri.host), uri.port or 5060) == side.address:
            return public.contact(uri)
        return revived(uri)

    return each_address(values, change)
