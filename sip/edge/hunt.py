"""One outgoing INVITE and the servers that may take it: who has it, who had it, who is next (RFC 3263 §4.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from media.control.edge import Trunk
from sip.edge.hops import Way
from sip.edge.lines import Card
from sip.edge.routes import Taken
from sip.edge.softmap import Entry
from sip.edge.targets import Bench, Place
from sip.uri import SipUri

if TYPE_CHECKING:
    from sip.edge.proxy import Arrival

MOST = 9
"""Servers that are tried for one call: the number of a try is a digit in its branch."""


@dataclass(frozen=True)
class Passing:
    """A card's request on its way out, and what was read of where it goes."""

    arrival: Arrival
    card: Card
    taken: Taken
    target: SipUri
    trunk: Trunk | None
    first: bool
    """Whether it is no part of a dialog that names our public socket: it goes to a trunk, or where anybody may be called."""

    @property
    def new(self) -> bool:
        """Whether it begins a call."""
        return self.arrival.method == "INVITE" and not self.arrival.head.to_tag

    def branch(self, number: int) -> str:
        """The branch of that try."""
        return str(self.arrival.branch.tried(number))


@dataclass
class Hunt:
    """The tries of one INVITE; a try's number is its server's place in the order that the Call-ID gives."""

    passing: Passing
    ways: list[Way]
    left: list[int]
    """Tries to come."""
    number: int = 0
    """The try under way."""
    since: float = 0.0
    given_up: dict[int, Entry] = field(default_factory=dict)
    """Earlier tries: what comes of them after all is ended in the card's place."""

    @property
    def way(self) -> Way:
        return self.ways[self.number]

    def next(self, entry: Entry) -> bool:
        """Give the present server up for the next one; False: there is none."""
        if not self.left or entry.state != "pending":
            return False
        old = Entry(self.passing.branch(self.number), entry.call_id, entry.from_tag, False, entry.card, entry.generation)
        old.state, old.request, old.wire, old.peer = "orphaned", entry.request, entry.wire, entry.peer
        self.given_up[self.number] = old
        self.number = self.left.pop(0)
        return True


def hunting(passing: Passing, ways: list[Way], bench: Bench, now: float) -> Hunt:
    """The hunt for a new INVITE: who has just failed comes last."""
    order = sorted(range(len(ways)), key=lambda number: bench.benched(place(ways[number]), now))
    return Hunt(passing, ways, order[1:], order[0], now)


def place(way: Way) -> Place:
    return Place(way.address, way.wire.kind)
