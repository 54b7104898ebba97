"""Who has a line: the cards' calls, the INVITEs on their way to them, and leases. Pure: time comes with each question."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from media.control import line

PENDING_SECONDS = 32.0
"""How long an INVITE on its way holds a line: as long as its sender repeats it (64·T1)."""

BOUND_SECONDS = 2.0
"""How long a lease whose INVITE has come still holds its line if the card's event about the leg is late."""

REMEMBERED_LEASE_SECONDS = 64.0
"""How long a lease lets further INVITEs of the same Call-ID pass: retransmissions, and the answer to a digest challenge."""

MAX_LEASES = 4_096


@dataclass
class Pending:
    """An INVITE that went to a card and that the card has not reported yet."""

    call_id: str
    from_tag: str
    expires: float


@dataclass
class Card:
    """One life of a line card, as far as lines matter."""

    name: str
    generation: str
    address: tuple[str, int]
    lines: int
    parties: set[tuple[str, str]] = field(default_factory=set)
    lingering: int = 0
    """Lines whose leg has ended, but not the transaction that ends it."""
    pending: dict[str, Pending] = field(default_factory=dict)
    reachable: bool = True
    draining: bool = False
    overloaded: bool = False
    heard: float = 0.0
    """When a SIP message of it came last."""


@dataclass
class HeldLease:
    """A lease and what has become of it."""

    lease: str
    card: str
    generation: str
    expires: float
    counts_until: float
    call_id: str = ""


class NoLineError(Exception):
    """Every line is taken, or no card can be reached."""


class Lines:
    """The edge's book of lines."""

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self._addresses: dict[tuple[str, int], Card] = {}
        self._leases: dict[str, HeldLease] = {}

    # --- what the cards say ---------------------------------------------------------------------------------------

    def found(self, inventory: line.Inventory, address: tuple[str, int]) -> Card:
        """A card's inventory: the truth about its lines, replacing what was counted; INVITEs on their way stay counted."""
        old = self.cards.get(inventory.card)
        card = Card(inventory.card, inventory.generation, address, inventory.lines)
        card.draining, card.overloaded = inventory.draining, inventory.overloaded
        known: set[tuple[str, str]] = set()
        for call in inventory.calls:
            for party in call.parties:
                if party.kind == "sip":
                    known.add((party.sip_call_id, party.from_tag))
                    self._counted_by_card(card, party.sip_call_id)
                    if party.state != "ended" and call.ended is None:
                        card.parties.add((call.call, party.party))
        card.lingering = max(0, int(inventory.counters.get("lines_held", 0)) - len(card.parties))
        if old is not None:
            self._addresses.pop(old.address, None)
            if old.generation == card.generation:
                card.heard = old.heard
                card.pending = {b: p for b, p in old.pending.items() if (p.call_id, p.from_tag) not in known}
        self.cards[card.name] = card
        self._addresses[address] = card
        return card

    def event(self, name: str, body: line.LineEvent) -> None:
        """Follow one event of a card."""
        card = self.cards.get(name)
        if card is None:
            return
        match body:
            case line.CallArrived():
                card.parties.add((body.call, body.party))
                self._arrived(card, body.sip_call_id, body.from_tag)
            case line.PartyChanged(state="ended"):
                card.parties.discard((body.call, body.party))
            case line.PartyChanged(
                state="dialling" | "ringing" | "early"
            ):  # patches are connected at once: this is a SIP party
                if (body.call, body.party) not in card.parties:
                    card.parties.add((body.call, body.party))
                    self._placed(card)
            case line.CallEnded():
                card.parties = {key for key in card.parties if key[0] != body.call}
            case line.LinesHeld():
                card.lingering = body.lines
            case line.Overload():
                card.overloaded = body.on

    def lost(self, name: str) -> None:
        """The card is gone for good; its lines with it."""
        card = self.cards.pop(name, None)
        if card is not None:
            self._addresses.pop(card.address, None)
            self._leases = {k: v for k, v in self._leases.items() if v.generation != card.generation}

    def at(self, address: tuple[str, int]) -> Card | None:
        """The card that sends from this address."""
        return self._addresses.get(address)

    # --- handing out ----------------------------------------------------------------------------------------------

    def used(self, card: Card) -> int:
        return len(card.parties) + card.lingering

    def held(self, card: Card, now: float) -> int:
        """Lines promised: leases and INVITEs on their way."""
        card.pending = {b: p for b, p in card.pending.items() if p.expires > now}
        leased = sum(1 for x in self._leases.values() if x.generation == card.generation and x.counts_until > now)
        return leased + len(card.pending)

    def free(self, card: Card, now: float) -> int:
        if not card.reachable or card.draining or card.overloaded:
            return 0
        return max(0, card.lines - self.used(card) - self.held(card, now))

    def any_free(self, now: float) -> bool:
        return any(self.free(card, now) > 0 for card in self.cards.values())

    def pick(self, now: float, prefer: str = "") -> Card:
        """The fullest card that has a line: an idle card's clock is stopped, and shall stay so. Raises NoLineError."""
        preferred = self.cards.get(prefer)
        if preferred is not None and self.free(preferred, now) > 0:
            return preferred
        choices = [card for card in self.cards.values() if self.free(card, now) > 0]
        if not choices:
            raise NoLineError
        return min(choices, key=lambda card: (-self.used(card) - self.held(card, now), *_natural(card.name)))

    def take(self, branch: str, call_id: str, from_tag: str, now: float) -> Card:
        """A line for an INVITE from outside. Raises NoLineError."""
        card = self.pick(now)
        card.pending[branch] = Pending(call_id, from_tag, now + PENDING_SECONDS)
        return card

    def settled(self, name: str, branch: str) -> None:
        """The INVITE got a final refusal: it holds no line."""
        card = self.cards.get(name)
        if card is not None:
            card.pending.pop(branch, None)

    def lease(self, lease: str, prefer: str, seconds: float, now: float) -> HeldLease:
        """Hold a line for a leg; the same id again gives the same lease. Raises NoLineError."""
        self._leases = {k: v for k, v in self._leases.items() if max(v.expires, v.counts_until) > now}
        held = self._leases.get(lease)
        if held is None:
            if len(self._leases) >= MAX_LEASES:
                raise NoLineError
            card = self.pick(now, prefer)
            held = HeldLease(lease, card.name, card.generation, now + seconds, now + seconds)
            self._leases[lease] = held
        return held

    def release(self, lease: str) -> None:
        self._leases.pop(lease, None)

    def redeem(self, lease: str, card: Card, call_id: str, now: float) -> bool:
        """Whether this card may send this INVITE; the first one binds the lease to its Call-ID."""
        held = self._leases.get(lease)
        if held is None or held.generation != card.generation or held.expires <= now:
            return False
        if held.call_id and held.call_id != call_id:
            return False
        if not held.call_id:
            held.call_id = call_id
            held.counts_until = min(held.counts_until, now + BOUND_SECONDS)
            held.expires = now + REMEMBERED_LEASE_SECONDS
        return True

    def _counted_by_card(self, card: Card, call_id: str) -> None:
        """The card holds the leg of this lease itself: the lease need not count any more."""
        for held in self._leases.values():
            if held.call_id and held.call_id == call_id and held.generation == card.generation:
                held.counts_until = 0.0

    def _arrived(self, card: Card, call_id: str, from_tag: str) -> None:
        for branch, pending in card.pending.items():
            if (pending.call_id, pending.from_tag) == (call_id, from_tag):
                del card.pending[branch]
                return

    def _placed(self, card: Card) -> None:
        """A leg is on the card now: the oldest lease of the card that still counts was its."""
        counting = [x for x in self._leases.values() if x.generation == card.generation and x.counts_until > 0]
        if counting:
            min(counting, key=lambda x: (not x.call_id, x.expires)).counts_until = 0.0


def _natural(name: str) -> Iterable[str | int]:
    """`linecard10` after `linecard9`."""
    return [(int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)]
