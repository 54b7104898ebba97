"""RFC 4475 through a real edge to a real line card: what is valid is a call, and afterwards the card lives and is idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from media.control import line
from media.control.client import ControlClient
from media.control.envelope import ControlError, Event
from sip.message import BadMessage, Request, Response, parse
from tests.adversity.pacing import paced
from tests.adversity.sip_raid import mutants
from tests.sip.edge.peers import SDP, Dialog, Front, Phone, edge_here, edge_process, free_port
from tests.sip.edge.test_messages import TORTURE
from tests.tools.switchroom import free_range

pytestmark = pytest.mark.adversity


REACH_A_CARD = {"baddate": 200, "esc01": 200, "longreq": 200, "sdp01": 200, "invut": 415, "inv2543": 400}
"""Calls that the edge hands to a card, and their final answer: one has a body of an unknown type, one no Contact."""
CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)


class Torturer(Phone):
    """Sends messages as they are, and does what a caller does with the answers; sits where they go without `rport`."""

    def __init__(self, edge: tuple[str, int]) -> None:
        super().__init__()
        self.finals: dict[str, int] = {}
        """The first final answer of each call."""
        self._edge = edge
        self._targets: dict[str, str] = {}
        self._news = asyncio.Event()

    async def __aenter__(self) -> Torturer:
        number = os.getpid()
        host = f"127.{100 + number % 100}.{number >> 8 & 255}.{number % 251 + 2}"
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 5060))
        self.address = (host, 5060)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def torture(self, data: bytes) -> str:
        """Send; the Call-ID, if it can be told."""
        self.send(data, self._edge)
        try:
            request = parse(data)
            call = request.headers["Call-ID"]
        except (BadMessage, KeyError):
            return ""
        if isinstance(request, Request):
            self._targets.setdefault(call, request.target)
        return call

    async def final(self, call: str) -> int:
        """The final answer to a call."""
        async with asyncio.timeout(10):
            while call not in self.finals:
                self._news.clear()
                await self._news.wait()
        return self.finals[call]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            message = parse(data)
            if isinstance(message, Response) and message.code >= 200 and message.headers["CSeq"].endswith("INVITE"):
                self._answered(message)
        except (BadMessage, KeyError, ValueError, IndexError):
            return  # an answer to a message that was broken in the same way

    def _answered(self, response: Response) -> None:
        headers = response.headers
        call, number = headers["Call-ID"], int(headers["CSeq"].split()[0])
        self.finals.setdefault(call, response.code)
        self._news.set()
        if response.code >= 300:
            ack = Request("ACK", self._targets[call])
            for name in ("Via", "From", "To", "Call-ID"):
                ack.headers.setlist(name, headers.getlist(name)[:1])
            ack.headers.add("CSeq", f"{number} ACK")
            ack.headers.add("Max-Forwards", "70")
            self.send(ack, self._edge)
            return
        dialog = Dialog.of_client(response)
        self.send(dialog.request(self, "ACK", number), self._edge)
        dialog.cseq = number
        self.send(dialog.request(self, "BYE"), self._edge)


class Taker:
    """The exchange's part: answers, or rejects, what arrives on the card."""

    def __init__(self, run: Path) -> None:
        self.arrived: list[line.CallArrived] = []
        self.answers = True
        self._tasks: set[asyncio.Task[None]] = set()
        self.client = ControlClient(run / "linecard0.ctl", role="commander", events=line.LineEvent, on_event=self._event)

    def _event(self, _: Event, body: line.LineEvent) -> None:
        if isinstance(body, line.CallArrived):
            self.arrived.append(body)
            task = asyncio.get_running_loop().create_task(self._take(body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, body: line.CallArrived) -> None:
        order = line.Answer(body.call, body.party) if self.answers else line.Reject(body.call, body.party, 404)
        with contextlib.suppress(ControlError):  # it has ended meanwhile
            await self.client.command(order)

    async def inventory(self) -> line.Inventory:
        return await self.client.command(line.TakeInventory(), line.Inventory)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: socket paths end at 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="sr") as folder:
        yield Path(folder)


@pytest_asyncio.fixture
async def card(short: Path) -> AsyncIterator[tuple[Taker, psutil.Process]]:
    """A line card, a real process, and who takes its calls."""
    inside = free_port()
    (short / "edge.inside").write_text(f"127.0.0.1:{inside}")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sip.linecard", "--run", str(short), "--name", "linecard0", "--proxy", f"127.0.0.1:{inside}"),
        *("--rtp", free_range(64), "--public", "127.0.0.1"),
        stdout=quiet,
        stderr=quiet,
    )
    taker = Taker(short)
    try:
        async with taker.client:
            await asyncio.wait_for(taker.client.connected(), 30)
            yield taker, psutil.Process(process.pid)
    finally:
        process.kill()
        await process.wait()


def messages() -> dict[str, bytes]:
    """All 49 and more; their SDP says an address of this machine, and is as long as before."""
    found = {file.stem: file.read_bytes() for file in sorted(TORTURE.glob("*.dat"))}
    if not found:
        pytest.skip(f"no RFC 4475 messages in {TORTURE}")
    here = re.compile(rb"c=IN IP4 192\.0\.2\.(\d+)")
    return {name: here.sub(lambda m: b"c=IN IP4 127.0.0." + b"1" * len(m[1]), data) for name, data in found.items()}


async def test_rfc_4475_through_to_a_card(short: Path, card: tuple[Taker, psutil.Process]) -> None:
    taker, process = card
    async with edge_process(short, free_port()) as (edge, _), Torturer(edge.address) as phone:
        await edge.cards(1)
        calls = {}
        for name, data in messages().items():
            calls[name] = phone.torture(data)
            if name in REACH_A_CARD:
                assert await phone.final(calls[name]) == REACH_A_CARD[name], name
        answered = sorted(name for name, code in REACH_A_CARD.items() if code == 200)
        assert sorted(arrival.sip_call_id for arrival in taker.arrived) == sorted(calls[name] for name in answered)
        assert taker.arrived[answered.index("esc01")].dnis == "sips%3Auser%40example.com"
        await idle(edge, taker)
    await mutants_to_the_card(short, taker)
    assert (await taker.inventory()).counters["callback_failures"] == 0
    assert process.is_running()


async def mutants_to_the_card(short: Path, taker: Taker) -> None:
    """What the edge passes and the card's stack cannot read holds a line for a moment only."""
    source = mutants([messages()[name] for name in REACH_A_CARD], random.Random(4475))
    async with edge_here(short, free_port(), unread=0.3) as edge, Torturer(edge.address) as phone:
        await edge.cards(1)
        before, taker.answers = len(taker.arrived), False
        async for number in paced(300, 100):
            phone.torture(CALL_ID.sub(rb"\g<0>%d-" % number, next(source)))  # else it would be the call from before, sent again
        assert len(taker.arrived) - before > 20
        await idle(edge, taker)
        assert {400, 404} <= set(phone.finals.values())
        assert (await edge.inventory()).counters["invites.unread"] > 0
        taker.answers = True
        call = phone.torture(bytes(phone.build("INVITE", f"sip:5000@{edge.uri}", body=SDP)))
        assert await phone.final(call) == 200
        await idle(edge, taker)


async def idle(edge: Front, taker: Taker) -> None:
    """Wait until the card holds nothing and the edge has promised nothing."""
    async with asyncio.timeout(40):
        while (
            (now := await taker.inventory()).counters["lines_held"]
            or any(not call.ended for call in now.calls)
            or any(one.used or one.leased for one in (await edge.inventory()).cards)
        ):
            await asyncio.sleep(0.05)
