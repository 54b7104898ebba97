"""What the exchange's own control socket understands."""

from __future__ import annotations

from typing import Any

import msgspec


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Returns a Standing."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Leave; calls go on."""


ExchangeCommand = Status | Shutdown


class Standing(msgspec.Struct, frozen=True):
    """Agents, queues and contacts now."""

    agents: list[dict[str, Any]]
    queues: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
