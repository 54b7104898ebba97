"""Raids on the SIP port: RFC 4475's messages and mutants of them, floods of calls, and a real scanner."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sip.message import BadMessage, Request, Response, parse
from tests.adversity.pacing import paced
from tests.sip.edge.peers import SDP, Dialog, Phone

Address = tuple[str, int]
Kind = Literal["talked", "cancelled", "deaf"]
"""What the caller of a flood does: answers and hangs up; takes the call back at once; never says anything again."""


def mutants(messages: Sequence[bytes], chance: random.Random) -> Iterator[bytes]:
    """Messages with a line doubled, taken away, joined or spoiled, with other bytes, or cut off; for ever."""
    while True:
        data = bytearray(chance.choice(messages))
        for _ in range(chance.randint(1, 3)):
            lines = bytes(data).split(b"\r\n")
            at = chance.randrange(len(lines))
            match chance.randrange(6):
                case 0:
                    lines.insert(at, lines[chance.randrange(len(lines))])
                case 1 if len(lines) > 1:
                    del lines[at]
                case 2:
                    lines[at] = lines[at].replace(
                        chance.choice((b" ", b";", b":", b"=", b"<")), chance.choice((b"", b",", b"\0", b">"))
                    )
                case 3:
                    lines[at] += chance.choice((b";" * 200, b"%00%ff", b'"', b"\xc3\x28", b" 99999999999999999999", b",,,"))
                case 4:
                    lines = lines[: at + 1]
                case _:
                    lines[at] = bytes(b if chance.random() < 0.97 else chance.randrange(256) for b in lines[at])
            data = bytearray(b"\r\n".join(lines))
        yield bytes(data) or b"\0"


async def by_udp(to: Address, messages: Iterator[bytes], count: int, rate: float) -> int:
    """Send; the number of answers."""
    sender = _Ear()
    await sender.open()
    try:
        async for _ in paced(count, rate):
            sender.send(next(messages), to)
        return sender.heard
    finally:
        sender.close()


async def by_tcp(to: Address, messages: Iterator[bytes], count: int, rate: float, *, together: int = 4) -> int:
    """The same, a few messages on each connection; the number of bytes that came back."""
    heard = 0
    async for _ in paced(count // together, rate / together):
        reader, writer = await asyncio.open_connection(*to)
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write(b"".join(itertools.islice(messages, together)))
            async with asyncio.timeout(0.02):
                heard += len(await reader.read(65536))
        writer.close()
    return heard


class _Ear(Phone):
    """Counts what comes and keeps nothing."""

    heard = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard += 1


@dataclass
class CallFlood:
    """New calls from one source; each of a kind, and what came of them."""

    to: Address
    kinds: Sequence[Kind]
    source: str = "127.0.0.1"
    number: str = "5000"
    sent: int = 0
    finals: Counter[int] = field(default_factory=Counter)
    _out: dict[str, tuple[Kind, Request]] = field(default_factory=dict)
    _phone: _Caller | None = None

    async def __aenter__(self) -> CallFlood:
        self._phone = _Caller(self)
        await self._phone.open(self.source)
        self._phone.widen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._phone is not None
        self._phone.close()

    async def call(self, count: int, rate: float) -> None:
        """Place calls."""
        assert self._phone is not None
        async for number in paced(count, rate):
            kind = self.kinds[number % len(self.kinds)]
            invite = self._phone.build("INVITE", f"sip:{self.number}@{self.to[0]}", body=SDP)
            self._out[invite.call_id] = kind, invite
            self.sent += 1
            self._phone.send(invite, self.to)

    @property
    def unanswered(self) -> int:
        """Calls without a final answer."""
        return len(self._out)

    def answered(self, phone: Phone, response: Response) -> None:
        """Go on as the kind says."""
        kind, invite = self._out.get(response.headers["Call-ID"], ("", None))
        if invite is None or response.headers["CSeq"].split()[1] != "INVITE":
            return
        if response.code < 200:
            if kind == "cancelled":
                phone.send(phone.same_transaction(invite, "CANCEL"), self.to)
            return
        del self._out[invite.call_id]
        self.finals[response.code] += 1
        if kind == "deaf":
            return
        if response.code >= 300:
            phone.send(phone.same_transaction(invite, "ACK", response.headers["To"]), self.to)
            return
        dialog = Dialog.of_client(response)
        phone.send(dialog.request(phone, "ACK", invite.cseq.sequence), self.to)
        phone.send(dialog.request(phone, "BYE"), self.to)


class _Caller(Phone):
    def __init__(self, flood: CallFlood) -> None:
        super().__init__()
        self._flood = flood

    def widen(self) -> None:
        """Room for answers that come in a burst: nobody sends them again."""
        assert self._transport is not None
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(BadMessage):
            message = parse(data)
            if isinstance(message, Response):
                self._flood.answered(self, message)


async def scan(tool: str, *words: str, folder: Path, timeout: float) -> str:
    """Run one of sipvicious's tools to its end; what it printed."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name(f"sipvicious_{tool}")),
        *words,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), timeout)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode(errors="replace")
