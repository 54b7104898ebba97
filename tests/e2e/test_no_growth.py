"""Calls in a row leave nothing behind: no descriptor, no thread, no task, no memory that grows with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.tools.growth import growth
from bench.tools.house import running, seed
from bench.tools.load import floor

pytestmark = [pytest.mark.interop, pytest.mark.realtime, pytest.mark.timeout(240)]

WARM, CALLS, AT_ONCE = 30, 40, 3
MOST_GROWTH = 4 * 2**20
"""Bytes that a process may gain over 40 calls: heaps are still filling up, a leak of 100 KiB a call is seen."""
SPEAKERS = frozenset({"speech"})
"""Their library's arenas grow with the longest text, not with calls."""


async def test_calls_in_a_row_leave_nothing_behind(tmp_path: Path) -> None:
    await seed(tmp_path, AT_ONCE)
    async with running(tmp_path, lines=8) as system, floor(system) as at:
        grown = await growth(at, warm=WARM, calls=CALLS, at_once=AT_ONCE)
        assert not grown.failed, grown.section()
        assert grown.talked >= CALLS // 2 - AT_ONCE, grown.section()
        assert grown.after.keys() == grown.before.keys()
        assert not grown.kept(), grown.section()
        for name, was in grown.before.items():
            now = grown.after[name]
            if name not in SPEAKERS:
                assert now.own - was.own < MOST_GROWTH, f"{name}\n{grown.section()}"
        assert grown.tasks[1] <= grown.tasks[0], grown.section()
        async with system.api() as api:
            final = [item["final"] for item in (await api.get("/api/v1/contacts", params={"limit": 100})).json()["items"]]
        assert len(final) == WARM + CALLS
        assert None not in final, final
