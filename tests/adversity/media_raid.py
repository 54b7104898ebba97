"""Raids on media ports: RTP and RTCP of a stranger, and everything that a browser's port must not believe."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Iterator

import psutil
from aioice import stun
from OpenSSL import SSL

from media.g711 import G711
from media.rtp import RtpPacket
from tests.adversity.pacing import paced
from tests.tools import tones

STRANGER_HZ = 2500
WRONG_SIZES = (0, 1, 3, 5, 7, 13)
"""None of them is the size that a STUN attribute of numbers or an address has."""
Address = tuple[str, int]
PROPER = {"PRIORITY": 1, "ICE-CONTROLLING": 1, "USE-CANDIDATE": None}


def media_ports(pid: int, ports: range) -> list[Address]:
    """The UDP sockets within a range that a process has open."""
    found = [(str(c.laddr.ip), int(c.laddr.port)) for c in psutil.Process(pid).net_connections("udp4") if c.laddr]
    return sorted(address for address in found if address[1] in ports)


class Shower:
    """Throws datagrams at ports, from one socket for each; counts what comes back."""

    def __init__(self, ports: list[Address], rate: float) -> None:
        self.sent = 0
        self._ports = ports
        self._rate = rate

    async def throw(self, packets: Iterator[bytes], count: int) -> dict[Address, int]:
        """Datagrams that each port answered with."""
        sockets = {port: _socket(port) for port in self._ports}
        answers = dict.fromkeys(self._ports, 0)
        try:
            async for _ in paced(count, self._rate):
                packet = next(packets)
                for port, each in sockets.items():
                    answers[port] += _answers(each)
                    _send(each, packet)
                    self.sent += 1
        finally:
            for each in sockets.values():
                each.close()
        return answers


def _socket(address: Address) -> socket.socket:
    found = socket.socket(type=socket.SOCK_DGRAM)
    found.setblocking(False)
    found.connect(address)
    return found


def _send(to: socket.socket, packet: bytes) -> None:
    with contextlib.suppress(ConnectionError, BlockingIOError):  # nobody listens there any more, or the machine is busy
        to.send(packet)


def _answers(of: socket.socket) -> int:
    count = 0
    with contextlib.suppress(ConnectionError, BlockingIOError):
        while of.recv(2048):
            count += 1
    return count


def strangers_rtp(chance: random.Random) -> Iterator[bytes]:
    """Proper G.711 of a loud tone, with an SSRC of its own, between broken packets."""
    g711 = G711("PCMU")
    tone = g711.encode(tones.sine(STRANGER_HZ, 0.02, 8000, -6.0).tobytes())
    ssrc = chance.getrandbits(32)
    number = 0
    while True:
        number += 1
        proper = bytes(RtpPacket(0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc, tone))
        yield from (proper, proper, broken(proper, chance), chance.randbytes(chance.randrange(1, 1400)))


def strangers_rtcp(chance: random.Random) -> Iterator[bytes]:
    """Reports about nobody, goodbyes in other people's names, and lengths that are not true."""
    while True:
        ssrc = chance.randbytes(4)
        report = struct.pack("!BBH4s20s", 0x80, 200, 6, ssrc, chance.randbytes(20))
        about = struct.pack("!BBH4s24s", 0x81, 201, 7, ssrc, chance.randbytes(24))
        bye = struct.pack("!BBH4s", 0x81, 203, 1, ssrc)
        long = struct.pack("!BBH4s", 0x9F, chance.choice((200, 201, 202, 204, 205, 207)), 0xFFFF, ssrc)
        yield from (report, about, report + bye, long, broken(report + about, chance))


def broken(packet: bytes, chance: random.Random) -> bytes:
    """The same with a few other bytes, perhaps cut off."""
    raw = bytearray(packet)
    for _ in range(chance.randint(1, 4)):
        raw[chance.randrange(min(len(raw), 24))] = chance.randrange(256)
    return bytes(raw[: chance.randint(1, len(raw))]) if chance.random() < 0.3 else bytes(raw)


def strangers_stun(chance: random.Random) -> Iterator[bytes]:
    """Attributes of wrong sizes, credentials that are not ours, answers that nobody asked for."""
    while True:
        attributes = b""
        for _ in range(chance.randint(1, 3)):
            kind, size = chance.choice((*stun.ATTRIBUTES_BY_TYPE, 0x7777)), chance.choice(WRONG_SIZES)
            attributes += struct.pack("!HH", kind, size) + chance.randbytes(size + -size % 4)
        kind = chance.choice((0x0001, 0x0101, 0x0111, 0x0011, 0x0003, 0x3FFF))
        yield struct.pack("!HHI12s", kind, len(attributes), stun.COOKIE, chance.randbytes(12)) + attributes
        yield _binding(chance, stun.Class.REQUEST)
        yield _binding(chance, stun.Class.RESPONSE)
        yield broken(_binding(chance, stun.Class.REQUEST), chance)


def _binding(chance: random.Random, kind: stun.Class) -> bytes:
    message = stun.Message(stun.Method.BINDING, kind, chance.randbytes(12), {"USERNAME": "abcd:efgh", **PROPER})
    message.add_message_integrity(chance.randbytes(20))
    return bytes(message)


def strangers_dtls(chance: random.Random) -> Iterator[bytes]:
    """Hellos of new clients, goodbyes in clear, records of a later epoch, fragments whose length is not true."""
    hellos = [_hello() for _ in range(8)]
    alert = b"\x15\xfe\xfd\x00\x00" + chance.randbytes(6) + b"\x00\x02\x02\x28"
    goodbye = b"\x15\xfe\xfd\x00\x01" + chance.randbytes(6) + b"\x00\x02\x01\x00"
    while True:
        sealed = b"\x17\xfe\xfd\x00\x01" + chance.randbytes(6) + b"\x00\x40" + chance.randbytes(64)
        yield from (chance.choice(hellos), alert, goodbye, sealed, broken(chance.choice(hellos), chance))


def _hello() -> bytes:
    client = SSL.Connection(SSL.Context(SSL.DTLS_METHOD), None)
    client.set_connect_state()
    try:
        client.do_handshake()
    except SSL.WantReadError:
        return client.bio_read(4096)
    raise AssertionError("a handshake with nobody")


def strangers_srtp(chance: random.Random) -> Iterator[bytes]:
    """What looks like SRTP and SRTCP, and what looks like nothing."""
    while True:
        yield b"\x80" + chance.choice((b"\x00", b"\x6f", b"\xc8", b"\xc9")) + chance.randbytes(chance.randrange(1, 200))
        yield chance.randbytes(chance.randrange(1, 1400))
