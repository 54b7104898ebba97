"""What the exchange's own control socket understands."""

from __future__ import annotations

from typing import Any

import msgspec

from acd.errors import Problem
from exchange.configuration.changes import Change


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Returns a Standing."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Leave; calls go on."""


class ConfigExport(msgspec.Struct, frozen=True, tag="config-export"):
    """Returns a ConfigInForce."""


class ConfigPlan(msgspec.Struct, frozen=True, tag="config-plan"):
    """What a document (plain data, as of YAML) would change; returns a ConfigPlanned."""

    data: Any


class ConfigApply(msgspec.Struct, frozen=True, tag="config-apply"):
    """Take a document, all or nothing; returns a ConfigPlanned. `by` is who says so."""

    data: Any
    by: str


ExchangeCommand = Status | Shutdown | ConfigExport | ConfigPlan | ConfigApply


class Standing(msgspec.Struct, frozen=True):
    """Agents, queues and contacts now."""

    agents: list[dict[str, Any]]
    queues: list[dict[str, Any]]
    contacts: list[dict[str, Any]]


class ConfigInForce(msgspec.Struct, frozen=True):
    """The document in force, as plain data."""

    data: Any


class ConfigPlanned(msgspec.Struct, frozen=True):
    """What a document changes or would change; `refused` says why nothing was done."""

    changes: list[Change] = []
    problems: list[Problem] = []
    applied: bool = False
    refused: str = ""
