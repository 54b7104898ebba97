"""What the edge is told at its start; built once, passed in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sip.edge.limits import StreamLimits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True)
class Settings:
    """The edge's settings."""

    run: Path
    """The run directory: our control socket, the cards' control sockets, and the port we keep across restarts."""
    name: str = "edge"
    """Our name; the control socket is `<name>.ctl`."""
    sip: tuple[tuple[str, int], ...] = (("127.0.0.1", 5060),)
    """Public sockets, each with its host and port, for UDP and TCP alike; port 0 takes a free one."""
    sips: tuple[tuple[str, int], ...] = ()
    """Public TLS sockets."""
    certificate: Path | None = None
    key: Path | None = None
    """What they show: a certificate (with its chain) and its key, PEM."""
    streams: StreamLimits = field(default_factory=StreamLimits)
    """What TCP and TLS peers may cost."""
    flood: float = 100.0
    """New calls a second that one source may offer; more get 503. 0: no limit."""
    flood_loopback: bool = False
    """Whether that holds for this machine itself, too."""
    public: str = ""
    """The address that Via, Record-Route and Contact say of us; empty: the socket's own."""
    allow: tuple[Network, ...] = LOOPBACK
    """Sources that are served besides those of Configure: loopback, and `--allow`."""
    inventory_timeout: float = 2.0
    """Seconds that a start waits for the living cards' inventories before the public sockets are read."""
    card_grace: float = 0.5
    """Seconds for which a card's control connection may be gone before the card counts as lost."""
    rescan: float = 1.0
    """Seconds between looks for new cards in the run directory, until Configure names the cards."""
    dns: tuple[tuple[str, int], ...] = ()
    """DNS servers for the names of trunks, each with its host and port; none: the system's."""
    patience: float = 3.0
    """Seconds without a word from a server of a name until the next one is tried; after that, at the card's next repetition."""
    remembered: int = 20_000
    """Entries of the soft map; the oldest go first, so that a flood costs bounded memory."""
    unread: float = 4.0
    """Seconds that a card has to say something to a new call: what its SIP stack cannot parse, it drops without a word."""
    card_limit: int = 3_800
    """Bytes that may go to a card: pjsip's PJSIP_MAX_PKT_LEN of 4,000 less room for what it adds."""
