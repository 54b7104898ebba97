"""RTP from elsewhere: strangers are not heard and turn nothing towards them; callers behind NAT are heard."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from media.control import line
from media.g711 import G711
from media.rtp import RtpPacket
from sip.linecard.rtpfilter import program
from sip.linecard.rtpsource import UNHEARD, UNHEARD_AGAIN, Rule, Sources
from tests.sip.linecard.agent import RATE, Agent, between
from tests.sip.linecard.conftest import CardProcess
from tests.sip.linecard.phone import FRAME, Phone, connected, hum, rtp_port
from tests.tools import tones

HERE, PORT = "10.0.0.1", 4000


@asynccontextmanager
async def stranger(host: str, port: int) -> AsyncIterator[socket.socket]:
    """Somebody who sends 1,200 packets a second of a loud tone from `host` to an RTP port of the card, and its RTCP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        mouth.bind((host, 0))
        mouth.setblocking(False)
        tone, codec = hum(700), G711("PCMA")

        async def shout() -> None:
            for number in itertools.count():
                frame = codec.encode(tone(number))
                packet = RtpPacket(8, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, 7, frame)
                mouth.sendto(bytes(packet), ("127.0.0.1", port))
                mouth.sendto(b"\x81\xcb\x00\x01\x00\x00\x00\x07", ("127.0.0.1", port + 1))
                if number % 24 == 23:
                    await asyncio.sleep(0.02)

        shouting = asyncio.create_task(shout())
        try:
            yield mouth
        finally:
            shouting.cancel()


def nothing_came(mouth: socket.socket) -> bool:
    try:
        return not mouth.recv(2000)
    except BlockingIOError:
        return True


@pytest.mark.interop
@pytest.mark.realtime
async def test_a_stranger_is_not_heard_and_gets_nothing(card: CardProcess) -> None:
    """From another host at any time; from the caller's own host once the caller has been heard."""
    async with asyncio.TaskGroup() as group:
        for host in ("127.0.0.2", "127.0.0.1"):
            group.create_task(withstands(card, host))


async def withstands(card: CardProcess, host: str) -> None:
    """One call with a stranger at this host."""
    async with Phone() as phone:
        talk = await connected(card, phone)
        talk.media.talk(hum(440))
        await talk.media.until_received(35)
        async with (
            Agent(card, talk.call, "agent", 880) as agent,
            stranger(host, rtp_port(talk.answer)) as mouth,
        ):
            await card.do(line.SetLinks(talk.call, between(talk.party, "agent")))
            await agent.listen(0.3)
            heard = await agent.listen(0.6)
            assert tones.dominant(heard, RATE) == pytest.approx(440, abs=3)
            assert tones.level(heard, RATE, 700) < -50
            before = len(talk.media.received)
            await agent.listen(0.4)
            assert len(talk.media.received) - before == pytest.approx(20, abs=6)
            assert nothing_came(mouth)
        await talk.leg.bye()


@pytest.mark.interop
@pytest.mark.realtime
async def test_a_stranger_who_is_there_first_loses_to_the_caller(card: CardProcess) -> None:
    """Nothing has come from the caller yet, and the stranger sends all the time."""
    async with Phone() as phone:
        talk = await connected(card, phone)
        async with (
            Agent(card, talk.call, "agent", 880) as agent,
            stranger("127.0.0.2", rtp_port(talk.answer)) as mouth,
        ):
            await card.do(line.SetLinks(talk.call, between(talk.party, "agent")))
            assert tones.power(await agent.listen(0.5)) < -60
            talk.media.talk(hum(440))
            await agent.listen(0.3)
            assert tones.dominant(await agent.listen(0.4), RATE) == pytest.approx(440, abs=3)
            assert nothing_came(mouth)
        await talk.leg.bye()


@pytest.mark.interop
@pytest.mark.realtime
async def test_a_caller_behind_nat_is_heard_and_hears(card: CardProcess) -> None:
    """Its SDP names an address that is not its own: at once by the host of its SIP, after a while from anywhere."""
    async with Phone() as phone:
        near, far = await phone.open_media(), await phone.open_media(host="127.0.0.3")
        talk = await connected(card, phone, "X-Switchroom-Source: 127.0.0.1:5060", media=near, offer=near.sdp(host="192.0.2.9"))
        async with Agent(card, talk.call, "agent", 880) as agent:
            await card.do(line.SetLinks(talk.call, between(talk.party, "agent")))
            near.talk(hum(440))
            await agent.listen(0.2)
            assert tones.dominant(await agent.listen(0.3), RATE) == pytest.approx(440, abs=3)
            await near.until_received(5)
        other = await connected(card, phone, media=far, offer=far.sdp(host="192.0.2.9"))
        far.talk(hum(460))
        await far.until_received(5, seconds=UNHEARD + 3)
        await talk.leg.bye()
        await other.leg.bye()


@pytest.mark.unit
def test_who_sends_from_where_the_sdp_says_is_the_only_one_soon() -> None:
    sources = Sources((HERE, PORT), "", 0.0)
    assert sources.rule == Rule((HERE,))
    assert not sources.look(0, None, 0.2, paused=False)
    assert sources.look(9, (HERE, PORT), 0.4, paused=False)
    assert (sources.rule, sources.settled) == (Rule((HERE,), PORT), True)
    assert not sources.look(10, (HERE, PORT), 0.6, paused=False)
    assert not sources.moved((HERE, PORT), 1.0)
    assert sources.moved(("10.0.0.2", PORT), 1.0)
    assert sources.rule == Rule(("10.0.0.2",))


@pytest.mark.unit
def test_another_port_counts_when_it_is_the_same_twice() -> None:
    sources = Sources((HERE, PORT), "10.9.9.9", 0.0)
    assert sources.rule == Rule((HERE, "10.9.9.9"))
    for received, source in ((1, (HERE, 5)), (2, (HERE, 5)), (3, (HERE, 6)), (4, ("10.9.9.9", 7))):
        assert not sources.look(received, source, 0.1, paused=False)  # what came before the first look is nobody's
    assert not sources.settled
    assert sources.look(5, ("10.9.9.9", 7), 0.2, paused=False)
    assert sources.rule == Rule(("10.9.9.9",), 7)


@pytest.mark.unit
def test_silence_lets_others_in_but_not_while_none_is_due() -> None:
    sources = Sources((HERE, PORT), "", 0.0)
    sources.look(0, None, 0.0, paused=False)
    assert not sources.look(0, None, UNHEARD + 9, paused=True)
    assert not sources.look(0, None, 2 * UNHEARD + 8.9, paused=False)
    assert sources.look(0, None, 2 * UNHEARD + 9.1, paused=False)
    assert sources.rule == Rule()
    for received, now in ((5, 20.0), (6, 20.2)):
        sources.look(received, ("10.7.7.7", 9), now, paused=False)
    assert sources.rule == Rule(("10.7.7.7",), 9)
    assert not sources.look(6, None, 20.2 + UNHEARD_AGAIN - 0.1, paused=False)
    assert sources.look(6, None, 20.2 + UNHEARD_AGAIN, paused=False)
    assert sources.rule == Rule()


@pytest.mark.unit
@pytest.mark.parametrize("rule", [Rule(("127.0.0.2",)), Rule(("127.0.0.2", "127.0.0.3")), Rule(("127.0.0.2",), 1)])
def test_the_kernel_does_what_the_filter_says(rule: Rule) -> None:
    """Every combination of two hosts and two ports, sent for real."""
    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        mouths = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(6)]
        for number, mouth in enumerate(mouths):
            mouth.bind((hosts[number // 2], 0))
        if rule.port:
            rule = Rule(rule.hosts, mouths[1].getsockname()[1])
        code = program(rule)
        kept = ctypes.create_string_buffer(code, len(code))
        ear.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(code) // 8, ctypes.addressof(kept)))
        wanted = set()
        for mouth in mouths:
            host, port = mouth.getsockname()
            mouth.sendto(b"x", ear.getsockname())
            if host in rule.hosts and rule.port in (0, port):
                wanted.add((host, port))
        came = set()
        while True:
            try:
                came.add(ear.recvfrom(10)[1])
            except BlockingIOError:
                break
        for mouth in mouths:
            mouth.close()
    assert came == wanted
    assert wanted
