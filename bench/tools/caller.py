"""SIP callers over UDP with real G.711 audio: no SIP stack, so that many cost little and every instant is known."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from bench.tools.clock import Clock
from bench.tools.sound import Ears, silence, voice
from media.g711 import G711
from media.patch import PatchFrame
from media.rtp import RtpPacket

RATE = 8000
FRAME = RATE // 50
REPEAT = 0.5
"""Seconds before an unanswered request is sent again (T1, RFC 3261 §17.1.1.1)."""
ANSWER_TIMEOUT = 15.0
EVENT_FRAMES = 5
EVENT_PACKETS = EVENT_FRAMES + 3
"""Of one key; the end is said three times."""

_REQUEST = (
    "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n{routes}"
    'From: "Bench" <sip:{ani}@{own}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n'
    "Contact: <sip:{ani}@{own}>\r\n{rest}"
)
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=rtcp:{rtcp}\r\na=sendrecv\r\n"
)


class CallFailedError(Exception):
    """A call was refused with this status, or nobody answered it (0)."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class Switchboard(asyncio.DatagramProtocol):
    """The SIP socket of all callers of this process."""

    def __init__(self, target: tuple[str, int], clock: Clock) -> None:
        self.target = target
        self.clock = clock
        self.own = ""
        self.rtcp = 0
        self.calls: dict[str, Call] = {}
        self.numbers = itertools.count(1)
        self._transport: Any = None
        self._sink: Any = None

    async def __aenter__(self) -> Switchboard:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._sink, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        self.rtcp = self._sink.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*(call.hang_up() for call in list(self.calls.values())), return_exceptions=True)
        self._transport.close()
        self._sink.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        self.own = f"{host}:{port}"

    def send(self, text: str) -> None:
        self._transport.sendto(text.encode(), self.target)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        now, text = time.monotonic(), data.decode(errors="replace")
        call = self.calls.get(_header(text, "Call-ID"))
        if text.startswith("SIP/2.0"):
            if call is not None:
                call.response(text, now)
            return
        method = text.split(" ", 1)[0]
        if method == "ACK":
            return
        code = "200 OK" if call is not None and method in ("BYE", "OPTIONS") else "481 No Such Call"
        copied = "".join(re.findall(r"^(?:Via|From|To|Call-ID|CSeq|Record-Route): .*\r\n", text, re.MULTILINE))
        self._transport.sendto(f"SIP/2.0 {code}\r\n{copied}Content-Length: 0\r\n\r\n".encode(), addr)
        if call is not None and method == "BYE":
            call.over("remote")

    async def call(self, number: str, *, hertz: float = 440.0, ears: bool = True, slot: int | None = None) -> Call:
        """Dial; the answered call, whose audio runs (in that slot of the clock). Raises CallFailedError."""
        call = Call(self, number, hertz, ears, slot)
        await call.dial()
        return call

    def prepare(self, number: str, *, quiet: bool) -> Call:
        """A call that is not dialled yet; a quiet one sends no RTP and looks at none."""
        call = Call(self, number, 440.0, False, None)
        call.quiet = quiet
        return call


class Call(asyncio.DatagramProtocol):
    """One caller: signalling, and RTP both ways on the clock of the bench."""

    def __init__(self, board: Switchboard, number: str, hertz: float, ears: bool, slot: int | None) -> None:
        self.invited = self.answered = 0.0
        """Monotonic times of the INVITE sent and its 200 received."""
        self.ended = asyncio.Event()
        self.ani = f"49{next(board.numbers):06}"
        self.talking = True
        self.quiet = False
        self.sent = self.received = 0
        self.ears = Ears(RATE) if ears else None
        self.on_frame: Callable[[bytes, float], None] | None = None
        """Gets each frame that arrives, decoded, and when."""
        self._burst: deque[bytes] = deque()
        self._told: Callable[[float], None] | None = None
        self._digits: deque[bytes] = deque()
        self._board = board
        self._uri = f"sip:{number}@{board.target[0]}:{board.target[1]}"
        self._to = f"<{self._uri}>"
        self._tag, self._id = secrets.token_hex(4), f"{secrets.token_hex(8)}@bench"
        self._routes = ""
        self._cseq = 1
        self._waiting: asyncio.Future[int] | None = None
        self._provisional = False
        self._codec = G711("PCMU")
        self._voice = [self._codec.encode(frame) for frame in voice(RATE, hertz)]
        self._silence = self._codec.encode(silence(RATE))
        self._rtp: Any = None
        self._remote: tuple[str, int] | None = None
        self._tick = 0
        self._slot = slot
        self._sequence = secrets.randbits(15)
        self._ssrc = secrets.randbits(32)

    # --- signalling ------------------------------------------------------------------------------------------------

    async def dial(self) -> None:
        """Until the 200; raises CallFailedError."""
        loop = asyncio.get_running_loop()
        self._rtp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._board.calls[self._id] = self
        offer = _SDP.format(port=self._rtp.get_extra_info("sockname")[1], rtcp=self._board.rtcp)
        rest = (
            f"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nContent-Type: application/sdp\r\nContent-Length: {len(offer)}\r\n\r\n"
        )
        self.invited = time.monotonic()
        try:
            code = await self._transact("INVITE", rest + offer, ANSWER_TIMEOUT)
        except TimeoutError:
            self.over("unanswered")
            raise CallFailedError("no final answer to an INVITE") from None
        if code != 200:
            self.over("refused")
            raise CallFailedError(f"an INVITE got {code}", code)
        if not self.quiet:
            self._tick = self._board.clock.listen(self._speak, self._slot)

    async def hang_up(self) -> None:
        """BYE, unless it is over."""
        if self.ended.is_set():
            return
        self._cseq += 1
        try:
            await self._transact("BYE", "Content-Length: 0\r\n\r\n", 5.0)
        except TimeoutError:
            raise CallFailedError("no answer to a BYE") from None
        finally:
            self.over("local")

    def over(self, reason: str) -> None:
        """Release everything."""
        if self.ended.is_set():
            return
        self.ended.set()
        self._board.clock.leave(self._tick)
        self._board.calls.pop(self._id, None)
        if self._rtp is not None:
            self._rtp.close()

    def response(self, text: str, now: float) -> None:
        """A response to a request of ours."""
        code = int(text[8:11])
        if "INVITE" in _header(text, "CSeq"):
            if code < 200:
                self._provisional = True
                return
            if code == 200 and not self.answered:
                self.answered = now
                self._uri = _header(text, "Contact").split(";")[0].strip("<> ")
                self._routes = "".join(f"Route: {route}\r\n" for route in _all(text, "Record-Route")[::-1])
                host, port = re.search(r"^c=IN IP4 (\S+)", text, re.M), re.search(r"^m=audio (\d+)", text, re.M)
                if host is not None and port is not None:
                    self._remote = (host[1], int(port[1]))
            self._to = _header(text, "To")
            self._board.send(self._request("ACK", "Content-Length: 0\r\n\r\n", 1))
        if self._waiting is not None and not self._waiting.done() and code >= 200:
            self._waiting.set_result(code)

    async def _transact(self, method: str, rest: str, timeout: float) -> int:
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        text = self._request(method, rest, self._cseq)
        async with asyncio.timeout(timeout):
            while True:
                if method != "INVITE" or not self._provisional:
                    self._board.send(text)
                done, _ = await asyncio.wait([self._waiting], timeout=REPEAT)
                if done:
                    return self._waiting.result()

    def _request(self, method: str, rest: str, cseq: int) -> str:
        return _REQUEST.format(
            method=method,
            uri=self._uri,
            own=self._board.own,
            branch=secrets.token_hex(8),
            routes=self._routes,
            ani=self.ani,
            tag=self._tag,
            to=self._to,
            id=self._id,
            cseq=cseq,
            rest=rest,
        )

    # --- audio -----------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.quiet:
            return
        now = time.monotonic()
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return
        if packet.payload_type != 0:
            return
        self.received += 1
        if self.ears is None and self.on_frame is None:
            return
        pcm = self._codec.decode(packet.payload)
        if self.on_frame is not None:
            self.on_frame(pcm, now)
        if self.ears is not None and len(pcm) == 2 * FRAME:
            self.ears.receiver.push(PatchFrame(packet.sequence, packet.timestamp, 0, pcm))

    def burst(self, frames: list[bytes], told: Callable[[float], None]) -> None:
        """Say these frames instead of the next ones; `told` gets the moment in which the first leaves."""
        self._burst.extend(frames)
        self._told = told

    def press(self, digit: str) -> None:
        """A key, for 100 ms instead of sound (RFC 4733)."""
        event = "0123456789*#".index(digit)
        steps = [(FRAME * n, 0) for n in range(1, EVENT_FRAMES + 1)] + [(FRAME * EVENT_FRAMES, 0x80)] * 3
        self._digits.extend(struct.pack("!BBH", event, 10 | end, duration) for duration, end in steps)

    def _speak(self) -> None:
        if self.ears is not None:
            self.ears.pull()
        if self._remote is None:
            return
        if self._digits:
            self._say_digit(self._remote)
            return
        payload = self._voice[self.sent % 50] if self.talking else self._silence
        told = None
        if self._burst:
            payload = self._codec.encode(self._burst.popleft())
            told, self._told = self._told, None
        sequence = (self._sequence + self.sent) & 0xFFFF
        packet = RtpPacket(0, sequence, self.sent * FRAME & 0xFFFFFFFF, self._ssrc, payload, marker=self.sent == 0)
        if told is not None:
            told(time.monotonic())
        self._rtp.sendto(bytes(packet), self._remote)
        self.sent += 1

    def _say_digit(self, remote: tuple[str, int]) -> None:
        """All packets of an event have the time of its beginning."""
        payload = self._digits.popleft()
        at = EVENT_PACKETS - 1 - len(self._digits) % EVENT_PACKETS
        sequence, when = (self._sequence + self.sent) & 0xFFFF, (self.sent - at) * FRAME & 0xFFFFFFFF
        self._rtp.sendto(bytes(RtpPacket(101, sequence, when, self._ssrc, payload, marker=at == 0)), remote)
        self.sent += 1


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)\r\n", text, re.MULTILINE)
    return found[1] if found is not None else ""


def _all(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name}: (.*)\r\n", text, re.MULTILINE)
