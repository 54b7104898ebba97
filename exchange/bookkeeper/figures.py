"""The figures as the bookkeeper keeps them: a fold over the log's effects, stored with the rows that are behind each count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from acd import effects
from acd.effects import Effect
from acd.figures.fold import Fold
from acd.figures.measures import instant
from exchange.brain import records
from exchange.brain.records import Record
from storage.entries import Position
from storage.figures import OfferEnd, OfferRow, offer_rows, quarter_rows, watermark
from storage.rows import RowWrite

SETTLE_SECONDS = 60.0
"""How often the times of all agents who are logged in are brought up to now; each costs a row."""


def feed(fold: Fold, record: Record, decided: Sequence[Effect]) -> Iterator[Effect]:
    """Give the fold one record of the log and what was decided on it; yields each effect after it was taken."""
    match record.input:
        case records.Asked(contact, _, "hold", on):
            fold.hold(record.at, contact, on)
        case _:
            pass
    for effect in decided:
        fold.take(record.at, effect)
        yield effect


class Offers:
    """Offers that were made or ended since they were stored last; stays in queues and agents' parts are the exchange's rows."""

    def __init__(self) -> None:
        self.made: dict[str, OfferRow] = {}
        self.ends: dict[str, OfferEnd] = {}

    def take(self, at: float, fold: Fold, effect: Effect) -> None:
        """An effect that the fold has taken."""
        now = instant(at)
        match effect:
            case effects.OfferMade(offer, contact, agent, queue):
                kind = fold.kind(effect.visit, effect.callback)
                self.made[offer] = OfferRow(offer, contact, effect.visit, agent, queue, effect.channel, kind, now)
            case effects.OfferWithdrawn(offer, _, _, why):
                how = why if why in ("rona", "declined") else "withdrawn"
                self.ends[offer] = OfferEnd(offer, now, how, why, effect.reason)
            case effects.Assigned(_, _, _, offer) if offer:
                self.ends[offer] = OfferEnd(offer, now, "accepted")
            case _:
                pass

    def writes(self) -> list[RowWrite]:
        """What stores them."""
        return offer_rows(self.made.values(), self.ends.values())


class Figures:
    """One of the bookkeeper's folds (exchange.bookkeeper.folds.Fold).

    The version stays as long as it can: the state grows by fields with defaults. Begun anew, the fold would not know of what
    happened in days of the log that were dropped, and what it stores of the oldest day that is left would be incomplete.
    """

    name = "figures"
    version = 1
    begins: Literal["beginning", "end"] = "beginning"

    def __init__(self) -> None:
        self.fold = Fold()
        self._offers = Offers()
        self._settled = 0

    def take(self, position: Position, record: Record, decided: Sequence[Effect]) -> None:
        """The next record of the log, with its effects."""
        for effect in feed(self.fold, record, decided):
            self._offers.take(record.at, self.fold, effect)

    def save(self) -> tuple[bytes, Sequence[RowWrite]]:
        """The state, and everything that is new since the last time."""
        now = self.fold.state.now
        if now - self._settled >= SETTLE_SECONDS * 1000:
            self._settled = now
            self.fold.settle()
        offers, self._offers = self._offers, Offers()
        figures = quarter_rows([*self.fold.take_closed(), self.fold.take_changes()])
        return self.fold.freeze(), [*offers.writes(), *figures, watermark(now)]

    def restore(self, state: bytes) -> None:
        """Go on from there."""
        self.fold = Fold.thaw(state)
