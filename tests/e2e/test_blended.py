"""A call and chats with one agent at once, through the whole system, from another process; the exchange dies in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from api.channel import Happened
from api.client import RemoteContacts
from tests.tools.ears import EARLY
from tests.tools.switchroom import PASSWORD, Switchroom

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

SCRIPT = """
contact: {entry_point: chat, customer: jo@example.org, name: Jo}
patience: 60
steps:
  - wait: agent
  - say: Where is my parcel?
  - wait: answer
    patience: 60
  - wait: 2
  - say: And my other parcel?
  - wait: answer
    patience: 60
  - leave
"""


class Watcher:
    """Everything that the stream tells."""

    def __init__(self) -> None:
        self.had: list[Happened] = []

    async def run(self, contacts: RemoteContacts, user: Any) -> None:
        async with contextlib.aclosing(contacts.follow(user)) as items:
            async for item in items:
                self.had.append(item)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [item.fields for item in self.had if item.type == kind]


async def test_a_call_and_two_chats_at_once_and_the_exchange_is_killed(house: Switchroom, tmp_path: Path) -> None:
    script = tmp_path / "parcel.yaml"
    script.write_text(SCRIPT)
    async with RemoteContacts(house.url, patience=30) as contacts:
        user = await contacts.log_in("supervisor", PASSWORD)
        watcher = Watcher()
        watching = asyncio.create_task(watcher.run(contacts, user))
        try:
            await through(house, script, watcher)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        places = [item.place for item in watcher.had if item.type != "following"]
        assert places == sorted(set(places))
        assert len({place.epoch for place in places}) == 2
        finals = watcher.of("contact-final")
        assert [(final["channel"], final["final"]) for final in sorted(finals, key=lambda f: str(f["channel"]))] == [
            ("chat", "handled"),
            ("chat", "handled"),
            ("voice", "handled"),
        ]


async def through(system: Switchroom, script: Path, watcher: Watcher) -> None:
    agent = await system.agent("agent1", "--chat-answer", "It comes today.", "--contacts", "3")
    await agent.event("available")
    caller = await system.call("--digits", "1", *EARLY, "--tone", "440", "--seconds", "150")
    call = (await agent.event("audio-in"))["contact"]
    options = ("--server", system.url, "--password", PASSWORD, "--customers", "2", "--json")
    customers = await system.tool("loopback", str(script), *options)
    await customers.event("heard", count=2)
    async with system.api() as api:
        now = (await api.get("/api/v1/agents/agent1/state")).json()
        assert sorted((work["channel"], work["state"]) for work in now["works"]) == [
            ("chat", "engaged"),
            ("chat", "engaged"),
            ("voice", "engaged"),
        ]
        await system.kill("exchange")
        summary = await customers.end(90)
        assert (summary["finals"], summary["exit"]) == ({"handled": 2}, 0), summary
        await system.until(system.healthy, 60, "health")
        queue = (await api.get("/api/v1/queues/support/now")).json()
        assert queue["offered"] == queue["open"] + sum(queue["ended"].values())
        assert (await api.delete(f"/api/v1/contacts/{call}")).status_code == 200
        assert (await caller.end())["tones"].get("880", 0) > 1
        chat = (await customers.event("created"))["contact"]
        texts = [m["text"] for m in (await api.get(f"/api/v1/contacts/{chat}/messages")).json()["items"]]
        assert texts == ["Where is my parcel?", "It comes today.", "And my other parcel?", "It comes today."]
        detail = (await api.get(f"/api/v1/contacts/{chat}")).json()
        assert (detail["final"], detail["now"], [visit["how"] for visit in detail["visits"]]) == ("handled", None, ["handled"])
    ended = await agent.end()
    assert (ended["contacts"], ended["exit"]) == (3, 0), ended
    assert len(watcher.of("message-sent")) == 8
