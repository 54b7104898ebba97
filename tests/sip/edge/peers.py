"""Scriptable SIP peers over real UDP: a phone or carrier, and a card with a control socket; and an edge to put between them."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.control import edge as messages
from media.control import line
from media.control.client import ControlClient
from media.control.server import ControlServer
from sip.edge.server import Edge
from sip.edge.settings import Settings
from sip.message import Request, Response, parse, response_to
from sip.uri import bracketed, host_port, split_host_port

WAIT = 3.0
_ids = itertools.count(1)

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Peer(asyncio.DatagramProtocol):
    """A UDP socket that speaks SIP as the test says."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[tuple[Request | Response, tuple[str, int]]] = asyncio.Queue()
        self.address: tuple[str, int] = ("", 0)
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, host: str = "127.0.0.1") -> Peer:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]
        return self

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.inbox.put_nowait((parse(data), addr))

    def send(self, message: Request | Response | bytes, address: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(bytes(message), address)

    async def request(self, method: str = "") -> Request:
        message, _ = await asyncio.wait_for(self.inbox.get(), WAIT)
        assert isinstance(message, Request), message
        assert not method or message.method == method, bytes(message)
        return message

    async def response(self, code: int = 0) -> Response:
        message, _ = await asyncio.wait_for(self.inbox.get(), WAIT)
        assert isinstance(message, Response), bytes(message)
        assert not code or message.code == code, bytes(message)
        return message

    @property
    def contact(self) -> str:
        return f"<sip:peer@{host_port(*self.address)}>"


class Phone(Peer):
    """The outside: builds requests as a user agent would, follows route sets."""

    kind = "UDP"

    def build(
        self,
        method: str,
        target: str,
        *,
        call_id: str = "",
        cseq: int = 1,
        to_tag: str = "",
        from_tag: str = "",
        branch: str = "",
        routes: list[str] | None = None,
        extra: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Request:
        number = next(_ids)
        request = Request(method, target, body)
        headers = request.headers
        host, port = bracketed(self.address[0]), self.address[1]
        headers.add("Via", f"SIP/2.0/{self.kind} {host}:{port};branch={branch or f'z9hG4bKt{number}'};rport")
        headers.setlist("Route", routes or [])
        headers.add("Max-Forwards", "70")
        headers.add("From", f'"Tester" <sip:caller@{host}>;tag={from_tag or f"f{number}"}')
        headers.add("To", f"<{target}>" + (f";tag={to_tag}" if to_tag else ""))
        headers.add("Call-ID", call_id or f"call{number}@test")
        headers.add("CSeq", f"{cseq} {method}")
        if method in ("INVITE", "UPDATE", "REFER"):
            headers.add("Contact", self.contact)
        if body:
            headers.add("Content-Type", "application/sdp")
        for name, value in extra:
            headers.add(name, value)
        headers.add("Content-Length", str(len(body)))
        return request

    def same_transaction(self, invite: Request, method: str, to: str = "") -> Request:
        """CANCEL, or the ACK to a refusal."""
        request = Request(method, invite.target)
        for name in ("Via", "Max-Forwards", "From", "To", "Call-ID", "Route"):
            request.headers.setlist(name, invite.headers.getlist(name))
        if to:
            request.headers.set("To", to)
        request.headers.add("CSeq", f"{invite.cseq.sequence} {method}")
        request.headers.add("Content-Length", "0")
        return request


def answer(
    request: Request, code: int, phrase: str = "Word", *, contact: str = "", tag: str = "", body: bytes = b""
) -> Response:
    """What a user agent answers."""
    response = response_to(request.headers, code, phrase, tag)
    for value in request.headers.getlist("Record-Route"):
        response.headers.add("Record-Route", value)
    if contact:
        response.headers.add("Contact", contact)
    response.body = body
    response.headers.set("Content-Length", str(len(body)))
    return response


@dataclass
class Dialog:
    """One side's view of a dialog."""

    call_id: str
    local: str
    remote: str
    target: str
    routes: list[str]
    cseq: int = 10

    @classmethod
    def of_client(cls, response: Response) -> Dialog:
        h = response.headers
        contact = h["Contact"].strip("<>")
        return cls(h["Call-ID"], h["From"], h["To"], contact, h.getlist("Record-Route")[::-1])

    @classmethod
    def of_server(cls, request: Request, response: Response) -> Dialog:
        h = request.headers
        contact = h["Contact"].strip("<>")
        return cls(h["Call-ID"], response.headers["To"], h["From"], contact, h.getlist("Record-Route"))

    def request(self, peer: Peer, method: str, cseq: int = 0) -> Request:
        self.cseq += 1
        request = Request(method, self.target)
        headers = request.headers
        host, port = bracketed(peer.address[0]), peer.address[1]
        kind = getattr(peer, "kind", "UDP")
        headers.add("Via", f"SIP/2.0/{kind} {host}:{port};branch=z9hG4bKd{next(_ids)};rport")
        headers.setlist("Route", self.routes)
        headers.add("Max-Forwards", "70")
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{cseq or self.cseq} {method}")
        if method == "INVITE":
            headers.add("Contact", peer.contact)
        headers.add("Content-Length", "0")
        return request


class StreamPhone(Phone):
    """The same over TCP, or over TLS when it has contexts; it listens, too. `lines` are connections it can be told to cut."""

    kind = "TCP"

    def __init__(self, server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.kind = "TCP" if server is None else "TLS"
        self.lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.taken = 0
        """Connections that others opened to us."""
        self.raw: asyncio.Queue[bytes] = asyncio.Queue()
        self._contexts = (server, client)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str = "127.0.0.1") -> StreamPhone:
        self._server = await asyncio.start_server(self._accepted, host, 0, ssl=self._contexts[0])
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def dial(self, address: tuple[str, int]) -> StreamPhone:
        """Connect; what is sent goes there from now on."""
        reader, writer = await asyncio.open_connection(*address, ssl=self._contexts[1])
        self.lines.append((reader, writer))
        self._listen(reader)
        return self

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        self.lines.append((reader, writer))
        self._listen(reader)

    def _listen(self, reader: asyncio.StreamReader) -> None:
        task = asyncio.get_running_loop().create_task(self._read(reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n")
                if head == b"\r\n":
                    self.raw.put_nowait(head)
                    continue
                head += await reader.readuntil(b"\r\n\r\n")
                length = int(re.findall(rb"\r\nContent-Length: (\d+)\r\n", head)[0])
                self.inbox.put_nowait((parse(head + await reader.readexactly(length)), self.address))
        self.raw.put_nowait(b"")

    def send(self, message: Request | Response | bytes, address: tuple[str, int]) -> None:
        self.lines[-1][1].write(bytes(message))

    def cut(self) -> None:
        """End every connection, but go on listening."""
        for _, writer in self.lines:
            writer.close()
        self.lines = []

    def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    @property
    def contact(self) -> str:
        return f"<sip:peer@{host_port(*self.address)};transport={self.kind.lower()}>"


@dataclass
class FakeCard:
    """A card's two faces: SIP on loopback, and the control socket with an inventory that the test writes."""

    run: Path
    name: str = "linecard0"
    lines: int = 4
    calls: list[line.CallRecord] = field(default_factory=list)
    sip: Phone = field(default_factory=Phone)

    async def open(self) -> FakeCard:
        await self.sip.open()
        await self.listen()
        return self

    async def listen(self) -> None:
        self.control = ControlServer(
            self.run / f"{self.name}.ctl", card=self.name, kind="linecard", commands=line.LineCommand, handler=self._command
        )
        await self.control.__aenter__()

    async def die(self) -> None:
        """As a killed process: both sockets are gone."""
        self.sip.close()
        await self.control.__aexit__()

    async def _command(self, body: Any) -> Any:
        assert isinstance(body, line.TakeInventory)
        host, port = self.sip.address
        control = self.control
        return line.Inventory(self.name, control.generation, control.seq, f"{host}:{port}", self.lines, 16000, self.calls)

    def arrived(self, invite: Request, call: str = "c1") -> None:
        """Report the call, as a card does."""
        tag = invite.from_address.parameters["tag"] or ""
        self.control.emit(line.CallArrived(call, "p1", invite.call_id, tag, "1", "5000"))

    def ended(self, call: str = "c1") -> None:
        self.control.emit(line.PartyChanged(call, "p1", "ended"))
        self.control.emit(line.CallEnded(call, line.Termination("answered", "remote-hangup")))

    def record(self, invite: Request, state: line.PartyState = "ringing") -> line.CallRecord:
        """The inventory's record of an INVITE that came through the edge."""
        tag = invite.from_address.parameters["tag"] or ""
        sender = invite.via[1].parameters["branch"] or ""
        arrived = line.CallArrived("c1", "p1", invite.call_id, tag, "1", "5000")
        party = line.PartyRecord("p1", "sip", state, sip_call_id=invite.call_id, from_tag=tag, branch=sender)
        return line.CallRecord("c1", arrived, 0.0, 0.0, [party], [])


@dataclass
class Front:
    """An edge under test: its addresses and a commander."""

    address: tuple[str, int]
    client: ControlClient
    events: asyncio.Queue[messages.EdgeEvent]
    run: Path

    @property
    def uri(self) -> str:
        return host_port(*self.address)

    async def inventory(self) -> messages.Inventory:
        return await self.client.command(messages.TakeInventory(), messages.Inventory)

    async def cards(self, count: int) -> None:
        """Wait until the edge knows so many cards."""
        async with asyncio.timeout(WAIT):
            while len((await self.inventory()).cards) != count:
                await asyncio.sleep(0.005)

    async def until(self, name: str, value: float = 1.0) -> None:
        """Wait until a counter has got there."""
        async with asyncio.timeout(WAIT):
            while (await self.inventory()).counters.get(name, 0.0) < value:
                await asyncio.sleep(0.005)

    async def used(self, count: int) -> None:
        """Wait until so many lines are used, none promised."""
        async with asyncio.timeout(WAIT):
            while sum(c.used for c in (await self.inventory()).cards) != count:
                await asyncio.sleep(0.005)


def free_port() -> int:
    """For UDP and TCP, below those that the kernel gives to whoever asks for any: free again after an edge's death."""
    for port in random.sample(range(11_000, 19_000), 100):
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket(type=socket.SOCK_STREAM) as tcp, suppress(OSError):
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


@asynccontextmanager
async def _front(run: Path, address: tuple[str, int]) -> AsyncIterator[Front]:
    events: asyncio.Queue[messages.EdgeEvent] = asyncio.Queue()
    client = ControlClient(
        run / "edge.ctl", role="commander", events=messages.EdgeEvent, on_event=lambda _, body: events.put_nowait(body)
    )
    async with client:
        await asyncio.wait_for(client.connected(), 10.0)
        yield Front(address, client, events, run)


@asynccontextmanager
async def edge_here(run: Path, port: int = 0, **changes: Any) -> AsyncIterator[Front]:
    """An edge in this process; it has seen the cards that were there before."""
    how: dict[str, Any] = {"run": run, "sip": (("127.0.0.1", port),), "rescan": 0.02, "card_grace": 0.05} | changes
    settings = Settings(**how)
    edge = Edge(settings)
    host, bound = split_host_port(edge.addresses[0])
    task = asyncio.create_task(edge.run())
    try:
        async with _front(run, ("127.0.0.1" if host == "0.0.0.0" else host, bound)) as front:
            yield front
    finally:
        edge.stop()
        await asyncio.wait_for(task, 5.0)


@asynccontextmanager
async def edge_process(run: Path, port: int, *options: str) -> AsyncIterator[tuple[Front, asyncio.subprocess.Process]]:
    """A real edge process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sip.edge",
        "--run",
        str(run),
        "--sip",
        f"127.0.0.1:{port}",
        *options,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with _front(run, ("127.0.0.1", port)) as front:
            yield front, process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
