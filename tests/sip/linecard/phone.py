"""A phone that does what a test says: SIP over UDP message by message, RTP in exact frames, SRTP with SDES keys."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import re
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from media.control import line
from media.g711 import G711
from media.rtp import RtpPacket
from sip.linecard.wire import Address, Message
from tests.sip.linecard.conftest import CardProcess

RATE = 8000
FRAME = RATE // 50
WAIT = 5.0
SUITE = "AES_CM_128_HMAC_SHA1_80"
CODECS = {8: "PCMA", 0: "PCMU", 9: "G722"}

Pcm = np.ndarray[Any, np.dtype[np.int16]]
Source = Callable[[int], bytes]
"""PCM (160 samples, s16le) of the frame with that number; an empty one is not sent."""


def silence(_frame: int) -> bytes:
    return bytes(2 * FRAME)


def hum(hz: float, dbfs: float = -12.0) -> Source:
    """A steady tone; whole periods in a second, so that frames join."""
    times = np.arange(RATE) / RATE
    wave = np.round(np.sin(2 * np.pi * hz * times) * 10 ** (dbfs / 20) * np.sqrt(2) * 32767).astype("<i2").tobytes()
    return lambda frame: wave[frame % 50 * 2 * FRAME :][: 2 * FRAME]


def bursts(hz: float, *, every: int = 25, length: int = 5) -> Source:
    """Tone for `length` frames in each `every`, silence in between."""
    tone = hum(hz)
    return lambda frame: tone(frame) if frame % every < length else silence(frame)


@dataclass
class Received:
    """One RTP packet that came, when (loop time) and from where."""

    at: float
    packet: RtpPacket
    source: tuple[str, int]


class Media(asyncio.DatagramProtocol):
    """One RTP socket. `key` makes it SRTP (ours: what we send with; the peer's is set from its SDP)."""

    def __init__(self, host: str = "127.0.0.1", *, secure: bool = False) -> None:
        self.host = host
        self.key = os.urandom(30) if secure else b""
        self.received: list[Received] = []
        self.bad = 0
        self.sent = 0
        self.begun = 0.0
        """When the first frame of `talk` went out, by the loop's clock."""
        self.target: tuple[str, int] | None = None
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._pace: asyncio.Task[None] | None = None
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)
        self._ssrc = secrets.randbits(32)
        self._tag = "1"
        self._out: Any = None
        self._in: Any = None

    async def open(self) -> Self:
        loop = asyncio.get_running_loop()
        while not self.port:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((self.host, 0))
                port = probe.getsockname()[1] & ~1
            with contextlib.suppress(OSError):  # the even one is somebody else's
                self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, port))
                self.port = port
        return self

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            if self._in is not None:
                data = self._in.unprotect(data)
            packet = RtpPacket.parse(data)
        except Exception:  # whatever libsrtp raises: counted, and asserted on by the test
            self.bad += 1
            return
        self.received.append(Received(asyncio.get_running_loop().time(), packet, addr))

    def error_received(self, exc: Exception) -> None:
        """ICMP for what we sent: the card's port is closed already."""

    def sdp(
        self,
        formats: Sequence[int] = (8, 0),
        *,
        direction: str = "sendrecv",
        version: int = 1,
        host: str = "",
        port: int | None = None,
        profile: str = "",
        crypto: str | None = None,
    ) -> str:
        """An offer or answer with this socket (`host`, `port`: what it says instead)."""
        where = host or self.host
        kind = profile or ("RTP/SAVP" if self.key else "RTP/AVP")
        lines = ["v=0", f"o=phone 1 {version} IN IP4 {where}", "s=-", f"c=IN IP4 {where}", "t=0 0"]
        numbers = " ".join(str(each) for each in formats)
        lines.append(f"m=audio {self.port if port is None else port} {kind} {numbers} 101")
        lines += [f"a=rtpmap:{each} {CODECS[each]}/8000" for each in formats]
        lines += ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", f"a={direction}"]
        if crypto is None and self.key:
            crypto = f"{self._tag} {SUITE} inline:{base64.b64encode(self.key).decode()}"
        if crypto:
            lines.append(f"a=crypto:{crypto}")
        return "\r\n".join(lines) + "\r\n"

    def follow(self, sdp: str) -> None:
        """Send to where the peer's SDP says, with its keys."""
        host = re.search(r"^c=IN IP4 (\S+)", sdp, re.M)
        port = re.search(r"^m=audio (\d+)", sdp, re.M)
        assert host is not None, sdp
        assert port is not None, sdp
        self.target = (host[1], int(port[1]))
        crypto = re.search(rf"^a=crypto:(\d+) {SUITE} inline:([A-Za-z0-9+/=]+)", sdp, re.M)
        if self.key and crypto is not None:
            from pylibsrtp import Policy, Session

            self._tag = crypto[1]
            self._in = Session(Policy(key=base64.b64decode(crypto[2]), ssrc_type=Policy.SSRC_ANY_INBOUND))
            self._out = Session(Policy(key=self.key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))

    def send(self, payload: bytes, payload_type: int = 8) -> None:
        """One packet; the next one has the next number and media time."""
        assert self._transport is not None
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF
        data = bytes(RtpPacket(payload_type, self._sequence, self._timestamp, self._ssrc, payload))
        if self._out is not None:
            data = self._out.protect(data)
        if self.target is not None:
            self._transport.sendto(data, self.target)
        self.sent += 1

    def talk(self, source: Source, payload_type: int = 8) -> None:
        """Send a frame every 20 ms from now on, by the loop's clock; replaces what was sent before."""
        self.hush()
        self._pace = asyncio.get_running_loop().create_task(self._talk(source, payload_type))

    def hush(self) -> None:
        """Send no more."""
        if self._pace is not None:
            self._pace.cancel()
            self._pace = None

    async def _talk(self, source: Source, payload_type: int) -> None:
        codec = G711(CODECS[payload_type])
        loop = asyncio.get_running_loop()
        begun = self.begun = loop.time()
        for frame in itertools.count():
            pcm = source(frame)
            if pcm:
                self.send(codec.encode(pcm), payload_type)
            await asyncio.sleep(begun + (frame + 1) * 0.02 - loop.time())

    def heard(self, since: float = 0.0) -> Pcm:
        """What came since that loop time, packet after packet."""
        names = {number: G711(name) for number, name in CODECS.items() if number != 9}
        parts = [
            names[r.packet.payload_type].decode(r.packet.payload) for r in self.received if self._sound(r) and r.at >= since
        ]
        return np.frombuffer(b"".join(parts), "<i2").astype(np.int16)

    def timeline(self) -> tuple[int, Pcm]:
        """(first timestamp, what came placed by its timestamps), until the timestamps jump by more than 10 s."""
        packets = [r.packet for r in self.received if self._sound(r)]
        first = packets[0].timestamp
        at = {(p.timestamp - first) & 0xFFFFFFFF: p for p in packets}
        line = np.zeros(max(at) + FRAME, dtype=np.int16)
        for offset, packet in at.items():
            line[offset : offset + FRAME] = np.frombuffer(G711(CODECS[packet.payload_type]).decode(packet.payload), "<i2")
        return first, line

    async def listen(self, seconds: float) -> Pcm:
        """What is heard in the next seconds."""
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        return self.heard(start)

    async def until_received(self, packets: int = 1, seconds: float = WAIT) -> None:
        """Wait for that many more packets."""
        want = len(self.received) + packets
        async with asyncio.timeout(seconds):
            while len(self.received) < want:
                await asyncio.sleep(0.01)

    def close(self) -> None:
        self.hush()
        if self._transport is not None:
            self._transport.close()

    @staticmethod
    def _sound(received: Received) -> bool:
        return received.packet.payload_type in (0, 8) and len(received.packet.payload) == FRAME


@dataclass
class Leg:
    """One dialog of the phone; messages that concern it wait in `inbox`."""

    phone: Phone
    call_id: str
    local: str
    remote: str
    target: str
    to: tuple[str, int]
    cseq: int = 0
    routes: list[str] = field(default_factory=list)
    invite: Message | None = None
    """The INVITE that began it, when the other side sent it."""
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    def send(self, method: str, body: str = "", *headers: str, kind: str = "application/sdp", cseq: int = 0) -> int:
        """Send a request in the dialog (or the first one); returns its CSeq."""
        if not cseq:
            self.cseq += 1
            cseq = self.cseq
        self.phone.put(
            [
                f"{method} {self.target} SIP/2.0",
                f"Via: SIP/2.0/UDP {self.phone.text};branch=z9hG4bK{secrets.token_hex(6)};rport",
                f"From: {self.local}",
                f"To: {self.remote}",
                f"Call-ID: {self.call_id}",
                f"CSeq: {cseq} {method}",
                f"Contact: <sip:phone@{self.phone.text}>",
                "Max-Forwards: 70",
                *(f"Route: {route}" for route in self.routes),
                *headers,
            ],
            body,
            kind,
            self.to,
        )
        return cseq

    async def message(self, wanted: Callable[[Message], bool], what: str, seconds: float = WAIT) -> Message:
        """The next message that is wanted; the others are dropped."""
        seen: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await self.inbox.get()
                    if wanted(message):
                        return message
                    seen.append(message.start)
        except TimeoutError:
            raise AssertionError(f"{what} did not come in {seconds} s, but {seen}") from None

    async def response(self, method: str = "INVITE", *, final: bool = True, code: int = 0, seconds: float = WAIT) -> Message:
        """The next response to a method: the final one, or the one with that code; the remote tag and target are learned."""

        def fits(message: Message) -> bool:
            if message.is_request or message.method != method or message.status == 100:
                return False
            return message.status == code if code else not final or message.status >= 200

        message = await self.message(fits, f"a response {code or ''} to {method}", seconds)
        if message.recipient.tag and ";tag=" not in self.remote:
            self.remote = message.get("to")
        if message.all("contact") and method in ("INVITE", "UPDATE") and message.status < 300:
            self.target = Address.parse(message.all("contact")[0]).uri
        return message

    async def request(self, method: str, seconds: float = WAIT) -> Message:
        """The next request of the other side with this method."""
        return await self.message(lambda m: m.is_request and m.method == method, method, seconds)

    def reply(self, request: Message, code: int, body: str = "", *headers: str) -> None:
        """Answer a request of the other side."""
        tag = "" if request.recipient.tag else f";tag={self.local.rpartition(';tag=')[2]}"
        self.phone.put(
            [
                f"SIP/2.0 {code} Word",
                *(f"Via: {via}" for via in request.all("via")),
                *(f"Record-Route: {route}" for route in request.all("record-route")),
                f"From: {request.get('from')}",
                f"To: {request.get('to')}{tag}",
                f"Call-ID: {self.call_id}",
                f"CSeq: {request.get('cseq')}",
                f"Contact: <sip:phone@{self.phone.text}>",
                *headers,
            ],
            body,
            "application/sdp",
            self.to,
        )

    async def established(self) -> Message:
        """Wait for the 200 to our INVITE and acknowledge it."""
        answer = await self.response(code=200)
        self.send("ACK", cseq=answer.cseq)
        return answer

    async def change(self, body: str, *headers: str) -> Message:
        """A re-INVITE with this offer; returns the 200, acknowledged."""
        self.send("INVITE", body, *headers)
        answer = await self.response()
        assert answer.status == 200, answer.start
        self.send("ACK", cseq=answer.cseq)
        return answer

    async def bye(self) -> None:
        """Hang up and see it answered."""
        self.send("BYE")
        assert (await self.response("BYE")).status == 200

    async def hung_up(self, seconds: float = WAIT) -> Message:
        """Wait for the other side's BYE and answer it."""
        bye = await self.request("BYE", seconds)
        self.reply(bye, 200)
        return bye


class Phone(asyncio.DatagramProtocol):
    """`async with`; calls with `call`, takes calls with `invited`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self.media: list[Media] = []
        self._legs: dict[str, Leg] = {}
        self._invited: asyncio.Queue[Leg] = asyncio.Queue()
        self._seen: set[tuple[str, str, str]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def text(self) -> str:
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for each in self.media:
            each.close()
        if self._transport is not None:
            self._transport.close()

    async def open_media(self, *, secure: bool = False, host: str = "") -> Media:
        media = await Media(host or self.host, secure=secure).open()
        self.media.append(media)
        return media

    def call(self, card: str, offer: str, *headers: str, user: str = "5000") -> Leg:
        """Send an INVITE to a card at HOST:PORT."""
        host, port = card.split(":")
        tag, call_id = secrets.token_hex(4), secrets.token_hex(8)
        uri = f"sip:{user}@{card}"
        leg = Leg(self, call_id, f"<sip:1234@{self.text}>;tag={tag}", f"<{uri}>", uri, (host, int(port)))
        self._legs[call_id] = leg
        leg.send("INVITE", offer, *headers)
        return leg

    async def invited(self, seconds: float = WAIT) -> Leg:
        """The next INVITE that comes; its message is `leg.invite`."""
        return await asyncio.wait_for(self._invited.get(), seconds)

    def put(self, lines: list[str], body: str, kind: str, to: tuple[str, int]) -> None:
        assert self._transport is not None
        if body:
            lines.append(f"Content-Type: {kind}")
        lines.append(f"Content-Length: {len(body.encode())}")
        self._transport.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), to)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = Message.parse(data)
        vias = message.all("via")
        key = (message.start, vias[0] if vias else "", message.get("cseq"))
        if key in self._seen and message.is_request:
            return  # sent again
        self._seen.add(key)
        call_id = message.get("call-id")
        leg = self._legs.get(call_id)
        if leg is None and message.is_request and message.method == "INVITE":
            tag = secrets.token_hex(4)
            local, target = f"{message.get('to')};tag={tag}", Address.parse(message.all("contact")[0]).uri
            leg = Leg(self, call_id, local, message.get("from"), target, addr, 50, message.all("record-route"), message)
            self._legs[call_id] = leg
            self._invited.put_nowait(leg)
            return
        if leg is not None:
            leg.inbox.put_nowait(message)


@dataclass
class Talk:
    """A call of the phone that stands."""

    call: str
    party: str
    leg: Leg
    media: Media
    answer: str
    """The card's SDP."""


async def connected(
    card: CardProcess, phone: Phone, *headers: str, media: Media | None = None, offer: str = "", user: str = "5000"
) -> Talk:
    """Call the card, have the call answered, send RTP to where its answer says."""
    media = media or await phone.open_media()
    leg = phone.call(card.sip, offer or media.sdp(), *headers, user=user)
    arrived = await card.until(line.CallArrived, sip_call_id=leg.call_id)
    await card.do(line.Answer(arrived.call, arrived.party))
    answer = sdp_of(await leg.established())
    media.follow(answer)
    await card.until(line.PartyChanged, state="connected", party=arrived.party)
    return Talk(arrived.call, arrived.party, leg, media, answer)


def sdp_of(message: Message) -> str:
    """The body of a message as text."""
    return message.body.decode()


def rtp_port(sdp: str) -> int:
    found = re.search(r"^m=audio (\d+)", sdp, re.M)
    assert found is not None, sdp
    return int(found[1])


def direction(sdp: str) -> str:
    """The direction attribute; sendrecv when there is none."""
    found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", sdp, re.M)
    return found[1] if found is not None else "sendrecv"
