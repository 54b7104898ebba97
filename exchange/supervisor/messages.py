"""What `supervisor.ctl` understands."""

from __future__ import annotations

import msgspec

from exchange.supervisor.child import ChildStatistics


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Returns a SupervisorStatus."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Stop everything: drain first, or with `now` at once. Returns when it has begun."""

    now: bool = False


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """Replace one process (a card when its last call has ended); raises `unknown-process`."""

    name: str


SupervisorCommand = Status | Stop | Restart


class SupervisorStatus(msgspec.Struct, frozen=True):
    phase: str
    children: list[ChildStatistics]
