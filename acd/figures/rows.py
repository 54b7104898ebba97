"""Which rows of the records are behind a count: the same conditions by which the fold counts, as plain values."""

from __future__ import annotations

from typing import Literal

import msgspec

Table = Literal["visits", "segments", "offers"]
Moment = Literal["began", "ended", "open"]


class Rows(msgspec.Struct, frozen=True):
    """Rows of a table that began or ended in an interval, or were open at its end, and ended in one of these ways."""

    table: Table
    moment: Moment
    how: tuple[str, ...] = ()
    """Empty: in any."""
    within: bool | None = None
    """Waited no longer than the queue's service level time, or longer."""


ABANDONED = ("abandoned", "short-abandoned")
DONE = ("handled", "transferred")

BEHIND: dict[str, Rows] = {
    "offered": Rows("visits", "began"),
    "handled": Rows("visits", "ended", ("handled",)),
    "abandoned": Rows("visits", "ended", ("abandoned",)),
    "short_abandoned": Rows("visits", "ended", ("short-abandoned",)),
    "flowed_out": Rows("visits", "ended", ("flowed-out",)),
    "rejected": Rows("visits", "ended", ("rejected",)),
    "failed": Rows("visits", "ended", ("failed",)),
    "open": Rows("visits", "open"),
    "handled_within": Rows("visits", "ended", ("handled",), within=True),
    "abandoned_within": Rows("visits", "ended", ABANDONED, within=True),
    "work_offers": Rows("offers", "began"),
    "work_accepted": Rows("offers", "ended", ("accepted",)),
    "work_rona": Rows("offers", "ended", ("rona",)),
    "work_declined": Rows("offers", "ended", ("declined",)),
    "work_withdrawn": Rows("offers", "ended", ("withdrawn",)),
    "work_handled": Rows("segments", "ended", ("handled",)),
    "work_transferred": Rows("segments", "ended", ("transferred",)),
    "work_failed": Rows("segments", "ended", ("failed",)),
    "work_connect_failed": Rows("segments", "ended", ("connect-failed",)),
    "work_agent_lost": Rows("segments", "ended", ("agent-lost",)),
    "work_not_reached": Rows("segments", "ended", ("not-reached",)),
}
"""By measure: a field of VisitFigures, or `work_` and a field of WorkFigures. Lengths of time have no rows of their own."""
