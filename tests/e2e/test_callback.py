"""Callbacks through the whole system: taken by keys, dialled over a carrier, heard both ways; or the customer calls again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from bench.tools.agent import BenchAgent
from bench.tools.caller import Call, Switchboard
from bench.tools.clock import Clock
from tests.tools import sipp
from tests.tools.crowd import Hearing
from tests.tools.switchroom import PASSWORD, Switchroom, switchroom

pytestmark = [
    pytest.mark.interop,
    pytest.mark.realtime,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="no sipp"),
]

AGENT_HZ = 1200
RETRY_SECONDS = 2
"""Long enough for another carrier to be there."""
PATIENCE = 60.0


def reply(code: str, ending: str = "Content-Length: 0", *, retrans: bool = False) -> str:
    return sipp.send(
        f"""SIP/2.0 {code}
        [last_Via:]
        [last_Record-Route:]
        [last_From:]
        [last_To:];tag=[call_number]
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:[local_ip]:[local_port]>
        {ending}""",
        retrans=retrans,
    )


INVITE = sipp.expect("INVITE").replace(">", ' rrs="true">', 1)
BUSY = INVITE + reply("486 Busy Here") + sipp.expect("ACK")
ANSWERS = INVITE + reply("180 Ringing") + sipp.pause(300) + reply("200 OK", sipp.body(sipp.sdp(("8",))), retrans=True)
ANSWERS += sipp.expect("ACK") + sipp.expect("BYE") + sipp.ok()


class Office:
    """A system with a carrier, one agent at the desk, and callers."""

    def __init__(self, house: Switchroom, carrier: int, api: httpx2.AsyncClient, board: Switchboard, agent: BenchAgent) -> None:
        self.house = house
        self.carrier = carrier
        self.agent = agent
        self.hearing = Hearing(agent.rate)
        agent.on_frame = self.hearing.frame
        self._api = api
        self._board = board

    async def contacts(self, number: str) -> list[dict[str, Any]]:
        """Of a caller, the newest first."""
        found = await self._api.get("/api/v1/contacts", params={"number": number})
        return list(found.json()["items"])

    async def now(self, number: str) -> dict[str, Any]:
        """The newest contact of a caller, as it is; empty when it is over."""
        items = await self.contacts(number)
        found = await self._api.get(f"/api/v1/contacts/{items[0]['id']}/now") if items else None
        return dict(found.json()) if found is not None and found.status_code == 200 else {}

    async def waits(self, number: str = "") -> Call:
        """A caller (again, with this number) who has chosen Sales and waits."""
        call = self._board.prepare("5000", quiet=False)
        call.ani = number or call.ani
        await call.dial()
        call.press("1")

        async def waiting() -> bool:
            return (await self.now(call.ani)).get("state") == "waiting"

        await self.house.until(waiting, PATIENCE, "a caller who waits")
        return call

    async def to_be_called_back(self) -> str:
        """A caller who has waited, takes a callback and hangs up; the number."""
        call = await self.waits()
        call.press("9")

        async def taken() -> bool:
            call.press("1")
            return bool((await self.now(call.ani)).get("callback"))

        await self.house.until(taken, PATIENCE, "a callback")
        await call.hang_up()
        return call.ani

    async def engaged(self, number: str) -> None:
        """The agent has this customer."""
        await self.house.until(lambda: self.agent.in_contact.is_set() and self.agent.customer == number, PATIENCE, number)

    async def served(self) -> None:
        """The agent ends the talk, and is ready for the next."""
        await self.agent.hang_up()
        await self.house.until(lambda: not self.agent.in_contact.is_set(), PATIENCE, "the end of a talk")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    carrier = sipp.free_port()
    trunk = {"name": "carrier", "sources": ["192.0.2.0/24"], "target": f"127.0.0.1:{carrier}"}
    environment = {"SWITCHROOM_TRUNKS": json.dumps([trunk]), "SWITCHROOM_DESK_CARDS": "1", "SWITCHROOM_WEB_CARDS": "0"}
    async with AsyncExitStack() as stack:
        data = tmp_path_factory.mktemp("callback")
        house = await stack.enter_async_context(switchroom(data, "--public", "127.0.0.1", lines=4, environment=environment))
        api = await stack.enter_async_context(house.api("admin"))
        codes = [{"code": "sold", "name": "Sold"}]
        rules = {"name": "Sales", "wrap_up_codes": codes, "callback": {"retry_seconds": RETRY_SECONDS}}
        changed = await api.put("/api/v1/queues/sales", json=rules)
        assert changed.status_code == 200, changed.text
        clock = await stack.enter_async_context(Clock())
        board = await stack.enter_async_context(Switchboard(("127.0.0.1", house.sip), clock))
        agent = BenchAgent("agent1", house.url, PASSWORD, clock, codec="PCMU", hertz=AGENT_HZ, ears=False)
        await stack.enter_async_context(agent)
        yield Office(house, carrier, api, board, agent)


async def test_busy_then_called_back_and_heard(office: Office, tmp_path: Path) -> None:
    """The carrier echoes: what the agent hears of their own tone has gone both ways."""
    await office.agent.idle()
    number = await office.to_be_called_back()
    async with sipp.Sipp(BUSY, tmp_path / "busy", port=office.carrier) as busy:
        await office.agent.available()
        assert await busy.finished(PATIENCE) == 0, busy.errors()
        assert f"INVITE sip:{number}@127.0.0.1:{office.carrier}" in busy.messages()
        assert "From: <sip:5000@" in busy.messages()
    async with sipp.Sipp(ANSWERS, tmp_path / "answers", port=office.carrier, options=("-rtp_echo",)) as answers:

        def echoed() -> bool:
            now = time.monotonic()
            return office.hearing.share(AGENT_HZ, now - 0.6, now - 0.1) > 0.8

        await office.house.until(echoed, PATIENCE, "the customer who is heard")
        await office.served()
        assert await answers.finished(PATIENCE) == 0, answers.errors()

    async def handled() -> bool:
        (contact,) = await office.contacts(number)
        return bool(contact["final"] == "handled")

    await office.house.until(handled, PATIENCE, "one contact, handled")


async def test_who_calls_in_meanwhile_has_the_place_of_the_callback(office: Office) -> None:
    """The callback is over, nobody is dialled, and who came later comes later."""
    await office.agent.idle()
    number = await office.to_be_called_back()
    later = await office.waits()
    again = await office.waits(number)
    called, *before = await office.contacts(number)
    assert [contact["final"] for contact in before] == ["flowed-out"]
    places = [(await office.now(ani))["wait"]["position"] for ani in (number, later.ani)]
    assert places == [1, 2]
    await office.agent.available()
    await office.engaged(number)
    await office.served()
    await office.house.until(again.ended.is_set, PATIENCE, "the end of their call")
    await office.engaged(later.ani)
    await office.served()
    assert [contact["id"] for contact in await office.contacts(number)] == [called["id"], before[0]["id"]], "no third one"
