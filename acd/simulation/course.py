"""Where a contact is in its plan, and a simulation at one moment."""

from __future__ import annotations

import msgspec

from acd.events import Event
from acd.simulation.plans import Plan

Due = tuple[float, int, int, str, int, Event | None]
"""When, order among equals, what, contact (or offer), number, engine event."""


class Course(msgspec.Struct):
    """A contact on its way through its plan."""

    plan: Plan
    stay: int = 0
    began: float = 0.0
    waiting: bool = False
    visits: int = 0
    agent: str = ""
    queue: str = ""
    """Answered from it."""
    since: float = 0.0
    talks: int = 0
    """Times it was answered: what was due in an earlier talk is no more."""
    ending: bool = False
    """The end of the present talk is known."""
    callback: bool = False


class Wrapping(msgspec.Struct):
    """An agent's work after a talk."""

    contact: str
    agent: str
    talk: int
    seconds: float
    code: str
    extended: float = 0.0
    """The limit that will be extended."""


class State(msgspec.Struct):
    """A simulation at one moment, for those that go on after a restart."""

    engine: bytes
    now: float
    wake: float | None
    order: int
    due: list[Due]
    courses: list[Course]
    offers: dict[str, str]
    wrapping: dict[str, Wrapping]
    refused: dict[str, int]
