"""What the edge understands: it alone hands out lines, and it sends the BYEs of a dead card."""

from __future__ import annotations

from typing import Literal

import msgspec


class Trunk(msgspec.Struct, frozen=True):
    """A carrier or PBX: where its requests come from and where ours go. Addresses are CIDR or host.

    `username` and `password` are ours at the carrier (for calls and for REGISTER), `peer_username` and `peer_password` what
    we ask of it. `numbers_in` and `numbers_out` replace the longest fitting beginning of a number. 0 is no limit.
    """

    name: str
    sources: list[str]
    target: str = ""
    username: str = ""
    password: str = ""
    transport: Literal["udp", "tcp", "tls", "auto"] = "udp"
    tls_required: bool = False
    tls_verify: bool = True
    tls_ca: str = ""
    srtp: Literal["optional", "required"] = "optional"
    peer_username: str = ""
    peer_password: str = ""
    numbers_in: dict[str, str] = {}
    numbers_out: dict[str, str] = {}
    max_calls: int = 0
    max_calls_per_second: float = 0.0
    register: bool = False
    domain: str = ""


class CardAddress(msgspec.Struct, frozen=True):
    """A line card's control socket, by its number."""

    card: str
    control: str


class Configure(msgspec.Struct, frozen=True, tag="configure"):
    """The cards to use and the sources to serve; replaces what was known."""

    cards: list[CardAddress]
    trunks: list[Trunk] = []
    allow: list[str] = []


class LeaseLine(msgspec.Struct, frozen=True, tag="lease_line"):
    """Reserve a line for a leg that will be placed within `seconds`; returns a Lease. `prefer` names a card."""

    lease: str
    prefer: str = ""
    seconds: float = 10.0


class Lease(msgspec.Struct, frozen=True):
    """A reserved line. `proxy` is the edge's SIP URI for the card's outbound route set."""

    lease: str
    card: str
    proxy: str
    expires: float


class ReleaseLine(msgspec.Struct, frozen=True, tag="release_line"):
    lease: str


class Dialog(msgspec.Struct, frozen=True):
    """One dialog of a card, as its file in the run directory holds it (JSON); enough to send a BYE in its place."""

    card: str
    generation: str
    call: str
    party: str
    sip_call_id: str
    local_uri: str
    local_tag: str
    remote_uri: str
    remote_tag: str
    remote_target: str
    route_set: list[str]
    cseq: int


class SendByes(msgspec.Struct, frozen=True, tag="send_byes"):
    """End these dialogs on behalf of a dead card; the edge also fails that card's pending INVITEs."""

    card: str
    generation: str
    dialogs: list[Dialog]


class TakeInventory(msgspec.Struct, frozen=True, tag="inventory"):
    """Returns an Inventory."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """New INVITEs get 503; what is in a dialog passes."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Leave now."""


EdgeCommand = Configure | LeaseLine | ReleaseLine | SendByes | TakeInventory | Drain | Shutdown


class CardLost(msgspec.Struct, frozen=True, tag="card_lost"):
    """The edge can reach this card no more."""

    card: str


class CardFound(msgspec.Struct, frozen=True, tag="card_found"):
    card: str
    generation: str
    lines: int


EdgeEvent = CardLost | CardFound


class CardLines(msgspec.Struct, frozen=True):
    card: str
    generation: str
    lines: int
    used: int
    leased: int
    reachable: bool


class TrunkState(msgspec.Struct, frozen=True):
    """A trunk now. `registration` is empty (none wanted), registering, registered, refused or unreachable.

    `code` and `detail` are what the registrar said last; `since` is when the registration came into its state (in this edge's
    life). `options_at` is their last OPTIONS to us, `failed_*` the last of our calls that a target refused with 5xx or did not
    answer. `targets` are the target's servers as DNS says, in no order; those of `benched` have just failed. Moments are wall
    clock times, 0 for never.
    """

    name: str
    calls: int
    max_calls: int = 0
    refused: int = 0
    registration: str = ""
    registered_until: float = 0.0
    code: int = 0
    detail: str = ""
    since: float = 0.0
    options_at: float = 0.0
    failed_at: float = 0.0
    failed_code: int = 0
    failed_detail: str = ""
    targets: list[str] = []
    benched: list[str] = []


class Inventory(msgspec.Struct, frozen=True):
    """`sip` has the public UDP sockets, `listening` every public socket as KIND HOST:PORT."""

    card: str
    generation: str
    seq: int
    sip: str
    cards: list[CardLines]
    draining: bool = False
    counters: dict[str, float] = {}
    listening: list[str] = []
    trunks: list[TrunkState] = []
