"""Real sipp, a real edge process, a real line card: calls in and out."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import psutil
import pytest
import pytest_asyncio
from baresip import Account, Config, Runtime, UserAgent

from media.control import edge as messages
from media.control import line
from media.control.client import ControlClient
from media.control.envelope import Event
from tests.sip.edge.peers import Front, edge_process, free_port
from tests.sip.edge.test_streams import tls_options
from tests.tools import sipp as tools

pytestmark = [pytest.mark.interop, pytest.mark.skipif(shutil.which("sipp") is None, reason="no sipp")]


CALLEE = (
    tools.expect("INVITE").replace(">", ' rrs="true">', 1)
    + tools.send(
        """SIP/2.0 200 OK
        [last_Via:]
        [last_Record-Route:]
        [last_From:]
        [last_To:];tag=[call_number]
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:[local_ip]:[local_port];transport=[transport]>
        """
        + tools.body(tools.sdp())
    )
    + tools.expect("ACK")
    + tools.expect("BYE")
    + tools.ok()
)


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


async def listens(port: int, transport: str) -> None:
    """Wait until sipp has its socket: a TCP call would be refused before."""
    kind = psutil.CONN_LISTEN if transport == "t1" else psutil.CONN_NONE
    async with asyncio.timeout(5):
        while not any(c.laddr.port == port and c.status == kind for c in psutil.net_connections("inet4") if c.laddr):
            await asyncio.sleep(0.02)


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
        secure = tls_options(run, free_port())
        async with commander.client, edge_process(run, free_port(), *secure) as (edge, _):
            await asyncio.wait_for(commander.client.connected(), 10)
            await edge.cards(1)
            yield edge, commander
    finally:
        card.kill()
        await card.wait()


@pytest.mark.parametrize("transport", ["u1", "t1", "tn"])
async def test_sipp_calls_through_the_edge(site: tuple[Front, Commander], transport: str) -> None:
    """By UDP, and by TCP with one connection for all calls or one for each; sipp's Contact does not say by what."""
    edge, commander = site
    how = ("-nostdin", "-t", transport, "-max_socket", "20", "-s", "5000", "-m", "4", "-r", "10", "-d", "300", "-timeout", "15")
    caller = await sipp("-sn", "uac", edge.uri, *how)
    assert await asyncio.wait_for(caller.wait(), 20) == 0
    arrived = await commander.events.get()
    assert isinstance(arrived, line.CallArrived)
    assert arrived.dnis == "5000"
    assert arrived.source.startswith("127.0.0.1:")
    for _ in range(4):
        assert (await commander.ended()).termination.reason == "remote-hangup"
    await edge.used(0)
    assert [c.leased for c in (await edge.inventory()).cards] == [0]


@pytest.mark.parametrize(("transport", "words"), [("u1", ""), ("t1", ";transport=tcp")])
async def test_the_card_calls_out_through_the_edge(site: tuple[Front, Commander], transport: str, words: str) -> None:
    edge, commander = site
    port = free_port()
    # sipp's own callee leaves Record-Route out of its answers, so that we could only guess where the dialog's requests go.
    scenario = edge.run / "uas.xml"
    scenario.write_text(tools.HEAD + CALLEE + tools.TAIL)
    carrier = await sipp("-nostdin", "-sf", str(scenario), "-t", transport, "-p", str(port), "-m", "1", "-timeout", "15")
    await listens(port, transport)
    address = f"127.0.0.1:{port}"
    trunk = messages.Trunk("carrier", [], address, transport="tcp" if words else "udp")
    control = messages.CardAddress("linecard0", str(edge.run / "linecard0.ctl"))
    await edge.client.command(messages.Configure([control], [trunk], []))
    held = await edge.client.command(messages.LeaseLine("l1"), messages.Lease)
    target = "sip:123@carrier"
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


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_libre_calls_by_tcp_and_tls(site: tuple[Front, Commander], transport: Literal["tcp", "tls"]) -> None:
    """A second stack: it calls, holds by a re-INVITE, goes on, and is hung up on."""
    edge, commander = site
    listening = dict(text.split(" ") for text in (await edge.inventory()).listening)
    runtime = Runtime()
    await runtime.start(Config(net_interface="127.0.0.1"))
    try:
        account = Account("4930", "127.0.0.1", "", reg_interval=0, transport=transport)
        agent = await UserAgent.create(runtime, account)
        call = await agent.dial(f"sip:5000@{listening[transport.upper()]};transport={transport}")
        await call.wait_established(10)
        counters = (await edge.inventory()).counters
        assert counters["connections.accepted"] == 1
        assert counters["requests.outside.ACK"] == 1
        await call.hold()
        await edge.until("requests.outside.ACK", 2)
        await call.resume()
        await edge.until("requests.outside.ACK", 3)
        arrived = commander.events.get_nowait()
        assert isinstance(arrived, line.CallArrived)
        await commander.client.command(line.HangUp(arrived.call, arrived.party))
        assert (await commander.ended()).termination.reason == "local-hangup"
        assert "connections.opened" not in (await edge.inventory()).counters, "its own connection was there"
    finally:
        await runtime.close()
