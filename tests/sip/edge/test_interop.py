"""Real sipp, a real edge process, a real line card: calls in and out."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from media.control import edge as messages
from media.control import line
from media.control.client import ControlClient
from media.control.envelope import Event
from tests.sip.edge.peers import Front, edge_process, free_port

pytestmark = [pytest.mark.interop, pytest.mark.skipif(shutil.which("sipp") is None, reason="no sipp")]


class Commander:
    """Answers every call that arrives and keeps the events."""

    def __init__(self, run: Path) -> None:
        self.events: asyncio.Queue[line.LineEvent] = asyncio.Queue()
        self.answering: set[asyncio.Task[None]] = set()
        self.client = ControlClient(run / "linecard0.ctl", role="commander", events=line.LineEvent, on_event=self._event)

    def _event(self, _: Event, body: line.LineEvent) -> None:
        self.events.put_nowait(body)
        if isinstance(body, line.CallArrived):
            task = asyncio.get_running_loop().create_task(self.client.command(line.Answer(body.call, body.party)))
            self.answering.add(task)
            task.add_done_callback(self.answering.discard)

    async def ended(self) -> line.CallEnded:
        while not isinstance(event := await asyncio.wait_for(self.events.get(), 10), line.CallEnded):
            pass
        return event


async def sipp(*options: str) -> asyncio.subprocess.Process:
    quiet = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec("sipp", "-i", "127.0.0.1", *options, stdin=quiet, stdout=quiet, stderr=quiet)


@pytest_asyncio.fixture
async def site(run: Path) -> AsyncIterator[tuple[Front, Commander]]:
    """An edge and a line card, both real processes."""
    inside = free_port()
    (run / "edge.inside").write_text(f"127.0.0.1:{inside}")
    quiet = asyncio.subprocess.DEVNULL
    card = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sip.linecard", "--run", str(run), "--name", "linecard0", "--proxy", f"127.0.0.1:{inside}"),
        *("--rtp", "28000-28031", "--public", "127.0.0.1"),
        stdout=quiet,
        stderr=quiet,
    )
    commander = Commander(run)
    try:
        async with commander.client, edge_process(run, free_port()) as (edge, _):
            await asyncio.wait_for(commander.client.connected(), 10)
            await edge.cards(1)
            yield edge, commander
    finally:
        card.kill()
        await card.wait()


async def test_sipp_calls_through_the_edge(site: tuple[Front, Commander]) -> None:
    edge, commander = site
    caller = await sipp("-sn", "uac", edge.uri, "-s", "5000", "-m", "4", "-r", "10", "-d", "300", "-timeout", "15")
    assert await asyncio.wait_for(caller.wait(), 20) == 0
    arrived = await commander.events.get()
    assert isinstance(arrived, line.CallArrived)
    assert arrived.dnis == "5000"
    assert arrived.source.startswith("127.0.0.1:")
    for _ in range(4):
        assert (await commander.ended()).termination.reason == "remote-hangup"
    await edge.used(0)
    assert [c.leased for c in (await edge.inventory()).cards] == [0]


async def test_the_card_calls_out_through_the_edge(site: tuple[Front, Commander]) -> None:
    edge, commander = site
    port = free_port()
    carrier = await sipp("-sn", "uas", "-p", str(port), "-m", "1", "-timeout", "15")
    held = await edge.client.command(messages.LeaseLine("l1"), messages.Lease)
    target = f"sip:123@127.0.0.1:{port}"
    leg = line.PlaceLeg("c1", "p1", held.lease, target, held.proxy, caller="100", timeout=8.0)
    await commander.client.command(leg)
    while not (
        isinstance(event := await asyncio.wait_for(commander.events.get(), 10), line.PartyChanged)
        and event.state == "connected"
    ):
        assert not isinstance(event, line.CallEnded), event
    await edge.used(1)
    assert [c.leased for c in (await edge.inventory()).cards] == [0]
    await commander.client.command(line.HangUp("c1", "p1"))
    assert (await commander.ended()).termination.reason == "local-hangup"
    assert await asyncio.wait_for(carrier.wait(), 15) == 0
    await edge.used(0)
