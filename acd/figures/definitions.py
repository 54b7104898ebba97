"""What each figure is: its name, its formula as a sentence, what is divided by what, its unit, and the rows behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from acd.figures.rows import BEHIND, Rows

Report = Literal["queues", "agents"]
Unit = Literal["contacts", "offers", "seconds", "percent"]
Measures = Mapping[str, int | None]
"""Sums by name. What is not there is 0; None is not known: short abandons of a queue that tells none from the others."""


class Figure(msgspec.Struct, frozen=True):
    """One column of a report. Terms are measures: a field of VisitFigures, `work_` and a field of WorkFigures, `state_` and a
    state's milliseconds; one with a minus is taken away."""

    id: str
    report: Report
    name: str
    formula: str
    unit: Unit
    numerator: tuple[str, ...]
    denominator: tuple[str, ...] = ()
    """Empty: the numerator is the figure."""
    behind: tuple[str, ...] = ()
    """The counts whose rows are listed as the contacts behind it; empty: there are none."""

    def value(self, measures: Measures) -> float | int | None:
        """The figure of these sums; None where there is nothing to divide by, or a term to be taken away is not known."""
        top = total(self.numerator, measures)
        if self.unit == "seconds":
            top /= 1000
        if not self.denominator:
            return top
        for term in self.denominator:
            if term[0] == "-" and measures.get(term[1:], 0) is None:
                return None
        bottom = total(self.denominator, measures)
        if bottom <= 0:
            return None
        return 100 * top / bottom if self.unit == "percent" else top / bottom

    def count(self, measures: Measures) -> int:
        """How many rows are behind it."""
        return int(total(self.behind, measures))

    def rows(self) -> list[Rows]:
        """What to look for to list them; no row is under two of these."""
        return [BEHIND[term] for term in self.behind]


def total(terms: tuple[str, ...], measures: Measures) -> float:
    """The sum of terms; a plain loop, because live reports make tens of thousands of them."""
    found = 0
    for term in terms:
        if term[0] == "-":
            found -= measures.get(term[1:]) or 0
        else:
            found += measures.get(term) or 0
    return found


ANSWERED = ("handled",)
ABANDONED = ("abandoned", "short_abandoned")
HANDLING = ("work_talk_ms", "work_hold_ms", "work_wrap_up_ms")
PARTS = ("work_handled", "work_transferred")
BUSY = ("state_engaged", "state_wrap_up")
ENDED = ("handled", "abandoned", "short_abandoned", "flowed_out", "rejected", "failed")
STATES = ("available", "idle", "reserved", "engaged", "wrap-up", "not-responding")


def _count(report: Report, id: str, name: str, formula: str, *terms: str) -> Figure:
    unit: Unit = "offers" if terms[0] in OFFERS else "contacts"
    return Figure(id, report, name, formula, unit, terms, behind=terms)


OFFERS = ("work_offers", "work_accepted", "work_rona", "work_declined", "work_withdrawn")

_LEVELS = (
    ("service_level_answered", "answered only", "answered within T / answered", ("handled_within",), ANSWERED),
    (
        "service_level",
        "abandons count",
        "answered within T / (answered + abandoned)",
        ("handled_within",),
        (*ANSWERED, *ABANDONED),
    ),
    (
        "service_level_without_short",
        "short abandons left out",
        "answered within T / (answered + abandoned − short-abandoned)",
        ("handled_within",),
        (*ANSWERED, *ABANDONED, "-short_abandoned"),
    ),
    (
        "service_level_without_within",
        "abandons within T left out",
        "answered within T / (answered + abandoned − abandoned within T)",
        ("handled_within",),
        (*ANSWERED, *ABANDONED, "-abandoned_within"),
    ),
    (
        "service_level_abandons_good",
        "abandons within T good",
        "(answered within T + abandoned within T) / (answered + abandoned)",
        ("handled_within", "abandoned_within"),
        (*ANSWERED, *ABANDONED),
    ),
)

_QUEUES = (
    _count("queues", "offered", "Offered", "Stays in the queue that began in the interval.", "offered"),
    _count("queues", "handled", "Handled", "Stays that ended with an agent's talk; also called answered.", "handled"),
    _count("queues", "abandoned", "Abandoned", "Stays that the customer ended by leaving, short ones left out.", "abandoned"),
    _count(
        "queues",
        "short_abandoned",
        "Short-abandoned",
        "Stays that the customer ended within the queue's short-abandon time.",
        "short_abandoned",
    ),
    _count(
        "queues",
        "flowed_out",
        "Flowed out",
        "Stays that ended otherwise: overflow, callback taken, answered from another queue, moved, back to the flow.",
        "flowed_out",
    ),
    _count("queues", "rejected", "Rejected", "Stays that the system refused.", "rejected"),
    _count("queues", "failed", "Failed", "Stays that ended by a failure, also of callbacks that reached nobody.", "failed"),
    _count("queues", "open", "Open", "Stays that had not ended when the interval was over, or until now.", "open"),
    _count("queues", "answered_within", "Answered within T", "Handled with a wait of at most T.", "handled_within"),
    _count(
        "queues",
        "abandoned_within",
        "Abandoned within T",
        "Abandoned or short-abandoned with a wait of at most T.",
        "abandoned_within",
    ),
    *(
        Figure(id, "queues", f"Service level, {name}", f"{formula}, in percent.", "percent", top, bottom, top)
        for id, name, formula, top, bottom in _LEVELS
    ),
    Figure(
        "abandonment",
        "queues",
        "Abandonment",
        "(abandoned + short-abandoned) / offered, in percent.",
        "percent",
        ABANDONED,
        ("offered",),
        ABANDONED,
    ),
    Figure(
        "asa", "queues", "ASA", "Sum of the waits of answered / answered.", "seconds", ("handled_wait_ms",), ANSWERED, ANSWERED
    ),
    Figure(
        "mean_wait", "queues", "Mean wait", "Sum of the waits of all that ended / ended.", "seconds", ("wait_ms",), ENDED, ENDED
    ),
    Figure(
        "longest_wait", "queues", "Longest wait", "The longest wait of those that ended.", "seconds", ("longest_ms",), (), ENDED
    ),
    Figure(
        "mean_time_to_abandon",
        "queues",
        "Mean time to abandon",
        "Sum of the waits of abandoned and short-abandoned / their number.",
        "seconds",
        ("abandoned_wait_ms",),
        ABANDONED,
        ABANDONED,
    ),
    Figure("aht", "queues", "AHT", "Sum of (talk + hold + wrap-up) / handled.", "seconds", HANDLING, ANSWERED, ANSWERED),
    Figure("mean_talk", "queues", "Mean talk", "Talk / handled.", "seconds", ("work_talk_ms",), ANSWERED, ANSWERED),
    Figure("mean_hold", "queues", "Mean hold", "Hold / handled.", "seconds", ("work_hold_ms",), ANSWERED, ANSWERED),
    Figure("mean_wrap_up", "queues", "Mean wrap-up", "Wrap-up / handled.", "seconds", ("work_wrap_up_ms",), ANSWERED, ANSWERED),
)

_BOTH = (
    (
        "talk",
        "Talk",
        "Time that agents talked, hold left out, in parts that ended in the interval.",
        "seconds",
        ("work_talk_ms",),
    ),
    ("hold", "Hold", "Time that customers were on hold, in parts that ended in the interval.", "seconds", ("work_hold_ms",)),
    ("wrap_up", "Wrap-up", "After-contact work of parts that ended in the interval.", "seconds", ("work_wrap_up_ms",)),
    ("transferred", "Transferred", "Parts that ended with a transfer.", "contacts", ("work_transferred",)),
    ("offers", "Offers", "Offers made in the interval; a contact may be offered more than once.", "offers", ("work_offers",)),
    ("accepted", "Accepted", "Offers that the agent accepted.", "offers", ("work_accepted",)),
    ("rona", "RONA", "Offers that were not answered in time.", "offers", ("work_rona",)),
    ("declined", "Declined", "Offers that the agent declined.", "offers", ("work_declined",)),
    (
        "withdrawn",
        "Withdrawn",
        "Offers that were over without the agent: the customer left, another had it.",
        "offers",
        ("work_withdrawn",),
    ),
    (
        "connect_failed",
        "Not connected",
        "Accepted contacts that could not be joined to the agent.",
        "contacts",
        ("work_connect_failed",),
    ),
    ("not_reached", "Not reached", "Callbacks whose customer was dialled and not reached.", "contacts", ("work_not_reached",)),
)

_ALL_PARTS = ("work_handled", "work_transferred", "work_failed", "work_connect_failed", "work_agent_lost", "work_not_reached")


def _both(report: Report) -> tuple[Figure, ...]:
    return tuple(
        Figure(id, report, name, formula, unit, terms, behind=_ALL_PARTS if unit == "seconds" else terms)  # type: ignore[arg-type]
        for id, name, formula, unit, terms in _BOTH
    )


_AGENTS = (
    Figure(
        "logged_in",
        "agents",
        "Logged in",
        "Time in all states but logged out.",
        "seconds",
        tuple(f"state_{s.replace('-', '_')}" for s in STATES),
    ),
    *(
        Figure(
            f"time_{state.replace('-', '_')}",
            "agents",
            f"Time {state.replace('-', ' ')}",
            f"Time in the state {state}, divided at the interval's borders.",
            "seconds",
            (f"state_{state.replace('-', '_')}",),
        )
        for state in STATES
    ),
    _count("agents", "handled", "Handled", "Parts in contacts that the agent ended or transferred, wrap-up over.", *PARTS),
    *_both("agents"),
    Figure("aht", "agents", "AHT", "Sum of (talk + hold + wrap-up) / handled.", "seconds", HANDLING, PARTS, PARTS),
    Figure(
        "occupancy",
        "agents",
        "Occupancy",
        "(engaged + wrap-up) / (engaged + wrap-up + available), in percent.",
        "percent",
        BUSY,
        (*BUSY, "state_available"),
    ),
)

FIGURES: tuple[Figure, ...] = (*_QUEUES, *_both("queues"), *_AGENTS)
"""In the order of the columns."""


def figures_of(report: Report) -> list[Figure]:
    """The columns of a report."""
    return [figure for figure in FIGURES if figure.report == report]


def figure(report: Report, id: str) -> Figure | None:
    """One by its id."""
    return next((f for f in FIGURES if (f.report, f.id) == (report, id)), None)
