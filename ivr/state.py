"""Where one caller is in a flow: a frozen value that survives a restart as msgpack."""

from __future__ import annotations

from typing import Literal

import msgspec

from ivr.effects import Command
from ivr.inputs import Value

Outcome = Literal["", "released", "talk-ended", "caller-left", "error"]
"""How a flow ended; empty while it runs."""

NEW = "new"
ENDED = "ended"
TALKING = "talking"


class FlowState(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the runner knows about one contact.

    `phase` is the activity's own word, or `new`, `talking`, `ended`; `outstanding` are the commands whose end is awaited;
    `deadlines` are by name; `memory` is what the activity counts. Variables may be personal (the caller's number): keep the
    state with the contact, out of the event log; its repr shows none of it.
    """

    contact: str
    flow: str
    version: int
    activity: str = ""
    phase: str = NEW
    variables: dict[str, Value] = {}
    counter: int = 0
    outstanding: tuple[Command, ...] = ()
    deadlines: dict[str, float] = {}
    memory: dict[str, int] = {}
    music: str | None = None
    agent: str = ""
    failures: int = 0
    outcome: Outcome = ""
    queued: str = ""
    """The queue in which the contact goes on waiting although it left the activity `queue`."""

    def __repr__(self) -> str:
        ids = ", ".join(command.id for command in self.outstanding)
        return (
            f"FlowState({self.contact!r}, {self.flow} v{self.version}, {self.activity or '-'}/{self.phase}, "
            f"outstanding=[{ids}], outcome={self.outcome!r})"
        )

    @property
    def ended(self) -> bool:
        """Nothing more will come of this flow."""
        return self.phase == ENDED

    @property
    def wake_at(self) -> float | None:
        """The earliest deadline."""
        return min(self.deadlines.values(), default=None)

    def encode(self) -> bytes:
        """As msgpack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> FlowState:
        """Raises ValueError for anything else than an encoded state."""
        try:
            return _decoder.decode(data)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a flow state: {error}") from error


_decoder = msgspec.msgpack.Decoder(FlowState)
