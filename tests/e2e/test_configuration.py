"""The configuration of a running system: planned, applied and changed over the API while somebody waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from exchange.configuration import command, text
from tests.tools.ears import EARLY
from tests.tools.switchroom import Switchroom

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


async def test_rules_change_while_a_caller_waits(house: Switchroom, tmp_path: Path) -> None:
    before = await asyncio.to_thread(command.export, house.data)
    assert before.startswith("idle_codes:\n  break: Break\n")
    file = tmp_path / "rules.yaml"
    file.write_text(before.replace("    name: Sales\n", "    name: Sales\n    need: [german >= 10]\n"))
    code, out = await house.run("config", "plan", str(file), "--data", str(house.data))
    assert code == 2, out
    assert out.splitlines()[:2] == ["~ Queue 'sales' is changed.", "    need: its default becomes [german >= 10]"]
    assert "warning: queues.sales.need: Line " in out
    assert "Nobody who serves this queue has 'german' at 10 or more; the best has 9. [level-nobody-has]" in out
    code, out = await house.run("config", "apply", str(file), "--data", str(house.data))
    try:
        assert (code, out.splitlines()[-1]) == (0, "It is in force now."), out
        await _a_new_skill_counts_at_once(house, file.read_text())
    finally:
        await asyncio.to_thread(command.apply, house.data, text.read(before)[0])
    assert await asyncio.to_thread(command.export, house.data) == before


async def _a_new_skill_counts_at_once(house: Switchroom, rules: str) -> None:
    agent = await house.agent("agent1", "--answer-after", "0.1", "--contacts", "1", "--hang-up-after", "0.5")
    await agent.event("available")
    caller = await house.call("--digits", "1", *EARLY, "--seconds", "60")
    await caller.event("digits-sent")

    async def waits() -> bool:
        found = (await house.status())["queues"]
        return any(queue["id"] == "sales" and queue["waiting"] for queue in found)

    await house.until(waits, 30, "a caller who waits")
    assert not [event for event in agent.events if event["event"] == "offer"]
    without = text.read(rules.replace("  agent1:\n", "  agent9:\n"))[0]
    planned = await asyncio.to_thread(command.apply, house.data, without)
    assert [change.refused for change in planned.changes if change.id == "agent1"] == [
        "Agent 'agent1' is logged in (available) and cannot go: log them out first."
    ]
    assert not planned.applied
    async with house.api("admin") as api:
        known = (await api.get("/api/v1/agents/agent1")).json()
        await api.put("/api/v1/agents/agent1", json={**known, "skills": {"german": 10}})
        late = await api.put("/api/v1/agents/agent1", json=known)
        assert late.status_code == 412, "what was read is not in force any more"
        changed = (await api.get("/api/v1/agents/agent1")).json()
    assert (changed["skills"], changed["changed_by"], changed["version"]) == ({"german": 10}, "admin", known["version"] + 1)
    await agent.event("accepted")
    assert (await caller.end())["answered"]
    await agent.end()
