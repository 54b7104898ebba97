"""What peers of TCP and TLS may cost us."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamLimits:
    """What peers may cost: connections, bytes, seconds."""

    connections: int = 1_024
    """Of one listening socket, and as many that we open ourselves."""
    of_source: int = 64
    """From one address."""
    backlog: int = 256
    unsent_bytes: int = 256 * 1024
    """Written and not read by the peer; then the connection ends."""
    waiting: int = 64
    """Messages that wait for a connection that is being opened."""
    handshake_seconds: float = 5.0
    connect_seconds: float = 5.0
    message_seconds: float = 10.0
    """From the first byte of a message to its last, and from accepting a connection to its first message."""
    idle_seconds: float = 3_600.0
    """Without a byte; a call may be silent for long, and both sides count on its connection."""
