"""The report for a person: what it says of trunks."""

from __future__ import annotations

import time

import msgspec
import pytest

from exchange import status
from exchange.bookkeeper.messages import BookStanding
from exchange.status import LinesRow, ProcessRow, Report
from media.control.edge import TrunkState

pytestmark = pytest.mark.unit


def shown(*trunks: TrunkState) -> list[str]:
    """The lines below the heads, with single spaces between their cells."""
    edge = ProcessRow("edge", "edge", 7, "ready", 1.0, 0)
    report = Report("d", "r", "running", [edge], LinesRow(), [], list(trunks), [], [], [], [], [])
    assert [t["name"] for t in msgspec.to_builtins(report)["trunks"]] == [trunk.name for trunk in trunks]
    lines = status.text(report).splitlines()
    if not trunks:
        assert "Trunks:" not in lines
        return []
    return [" | ".join(filter(None, line.split("  "))).replace("|  ", "| ") for line in lines[lines.index("Trunks:") + 2 :]]


def test_trunks_in_words() -> None:
    now = time.time()
    assert shown() == []
    assert shown(
        TrunkState("plain", 0),
        TrunkState("up", 2, 30, 4, "registered", now + 300, 200, "OK", now - 7_300, options_at=now - 12),
        TrunkState("shaky", 1, 0, 0, "registered", now + 30, 0, "no answer", now - 65),
        TrunkState("wrong", 0, 5, 0, "refused", 0.0, 403, "Go away", now - 130),
        TrunkState("new", 0, 0, 0, "registering"),
        TrunkState("a", 0, failed_at=now - 61, failed_code=503, failed_detail="Full", benched=["udp 192.0.2.1:5060"]),
        TrunkState("b", 0, failed_at=now - 3, failed_detail="no answer"),
    ) == [
        "plain | 0 | 0 | - | - | -",
        "up | 2 of 30 | 4 | registered for 2 h 1 min | 12 s ago | -",
        "shaky | 1 | 0 | registered for 1 min 5 s, last answer: no answer | - | -",
        "wrong | 0 of 5 | 0 | refused for 2 min 10 s: 403 Go away | - | -",
        "new | 0 | 0 | registering | - | -",
        "a | 0 | 0 | - | - | 1 min 1 s ago: 503 Full | failing: udp 192.0.2.1:5060",
        "b | 0 | 0 | - | - | 3 s ago: no answer",
    ]


def test_the_event_log_in_words() -> None:
    books = BookStanding(
        7,
        400,
        log_bytes=12_340_000,
        log_days=3,
        log_oldest="2026-11-24",
        snapshot_epoch=7,
        snapshot_offset=12,
        held_by="x",
    )
    edge = ProcessRow("edge", "edge", 7, "ready", 1.0, 0)
    report = Report("d", "r", "running", [edge], LinesRow(), [], [], [], [], [], [], [], books)
    assert status.text(report).splitlines()[-1] == (
        "Event log: 12.3 MB in 3 days since 2026-11-24, at 7/400, snapshot at 7/12; old days are kept for x"
    )
