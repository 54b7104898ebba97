"""What a desk card understands and reports: WebRTC connections, each of which can be patched to one call."""

from __future__ import annotations

from typing import Literal

import msgspec

from media.control.line import Quality

ConnectionState = Literal["connecting", "connected", "lost", "closed", "failed"]


class IceServer(msgspec.Struct, frozen=True):
    urls: list[str]
    username: str = ""
    credential: str = ""


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """Make a peer connection from a browser's offer; returns a Connected with the answer."""

    connection: str
    owner: str
    sdp: str
    ice_servers: list[IceServer] = []
    codecs: tuple[str, ...] = ("opus", "PCMU", "PCMA")


class Connected(msgspec.Struct, frozen=True):
    sdp: str


class Disconnect(msgspec.Struct, frozen=True, tag="disconnect"):
    connection: str
    reason: str = "closed"


class Patch(msgspec.Struct, frozen=True, tag="patch"):
    """Join the connection to a call: frames at `rate` over unix datagram sockets; replaces an earlier patch."""

    connection: str
    patch: str
    own: str
    peer: str
    rate: int


class Unpatch(msgspec.Struct, frozen=True, tag="unpatch"):
    """Returns the Quality of the stretch; a patch that is gone already is no error."""

    connection: str
    patch: str


class TakeInventory(msgspec.Struct, frozen=True, tag="inventory"):
    """Returns an Inventory."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Take no new connections; leave when no connection is patched."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Close everything now and leave."""


DeskCommand = Connect | Disconnect | Patch | Unpatch | TakeInventory | Drain | Shutdown


class ConnectionChanged(msgspec.Struct, frozen=True, tag="connection_changed"):
    """`lost`: no RTP for 2 s (a muted browser still sends); `connected` again when it is back."""

    connection: str
    owner: str
    state: ConnectionState
    reason: str = ""


class LegQuality(msgspec.Struct, frozen=True, tag="leg_quality"):
    """Figures of a patched stretch, sent when it ends."""

    connection: str
    owner: str
    patch: str
    quality: Quality
    concealed: int = 0
    late: int = 0
    seconds: float = 0.0


DeskEvent = ConnectionChanged | LegQuality


class ConnectionRecord(msgspec.Struct, frozen=True):
    connection: str
    owner: str
    state: ConnectionState
    codec: str = ""
    patch: str = ""
    since: float = 0.0


class Inventory(msgspec.Struct, frozen=True):
    card: str
    generation: str
    seq: int
    connections: list[ConnectionRecord]
    draining: bool = False
    counters: dict[str, float] = {}
