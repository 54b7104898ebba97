"""The desk card with a real control socket, real ICE, DTLS and SRTP on loopback, and a bridge's end of the patch."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from pathlib import Path

import pytest
from aioice import ice

from media.control import desk
from media.control.envelope import ControlError
from media.control.line import Quality
from media.deskcard import connection, peer
from media.deskcard.contact_surface import IceSettings
from tests.media.deskcard.far_ends import Browser, level_of, purity
from tests.media.deskcard.room import Room

pytestmark = pytest.mark.layer


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA"])
@pytest.mark.parametrize("rate", [8000, 16000])
async def test_a_tone_is_heard_at_each_end(room: Room, codec: str, rate: int) -> None:
    browser = await room.browser("c1", codec, rate=rate)
    bridge = await room.patch(rate=rate)
    await bridge.run(1.6)
    quality = await room.control.command(desk.Unpatch("c1", "p1"), Quality)
    for heard, hertz in ((bytes(bridge.heard), 880), (bytes(browser.heard), 440)):
        steady = heard[-rate:]
        assert level_of(steady, rate, hertz) == pytest.approx(8000, rel=0.25)
        assert purity(steady, rate, hertz) > 0.95
    assert quality.codec == codec
    assert quality.sent == pytest.approx(80, abs=8)
    assert quality.received == pytest.approx(80, abs=8)
    assert (quality.lost, quality.discarded) == (0, 0)
    told = await room.events.wait(lambda body: isinstance(body, desk.LegQuality))
    assert (told.patch, told.quality, told.owner) == ("p1", quality, "agent1")
    assert told.seconds == pytest.approx(1.6, abs=0.3)


@pytest.mark.parametrize("codec", ["opus", "PCMU"])
async def test_lost_packets_are_counted_and_the_tone_goes_on(room: Room, codec: str) -> None:
    await room.browser("c1", codec, drop=10)
    bridge = await room.patch()
    await bridge.run(2.0)
    quality = await room.control.command(desk.Unpatch("c1", "p1"), Quality)
    assert quality.lost == pytest.approx(10, abs=2)
    # The best second: a busy machine's late packets move the tone's phase, which spoils those in which it happens.
    heard = bytes(bridge.heard)
    seconds = [heard[first : first + 32000] for first in range(0, len(heard) - 31999, 8000)]
    assert any(level_of(second, 16000, 880) > 6500 and purity(second, 16000, 880) > 0.9 for second in seconds)
    told = await room.events.wait(lambda body: isinstance(body, desk.LegQuality))
    if codec == "opus":
        assert told.concealed == pytest.approx(10, abs=2)
    else:
        assert bridge.receiver.statistics().concealed == pytest.approx(10, abs=3)


async def test_reports_bring_round_trip_and_the_other_sides_losses(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "REPORT_INTERVALS", (0.2, 0.2, 0.2))
    browser = await room.browser()
    bridge = await room.patch()
    # Of what the card sends two packets do not reach the browser's statistics: it never gets them.
    assert browser.peer.inbound is not None
    dropping = browser.peer.inbound.receive
    seen = 0

    def receive(data: bytes, now: float) -> None:
        nonlocal seen
        seen += 1
        if seen not in (20, 21):
            dropping(data, now)

    monkeypatch.setattr(browser.peer.inbound, "receive", receive)
    await bridge.run(2.6)
    quality = await room.control.command(desk.Unpatch("c1", "p1"), Quality)
    assert quality.remote_lost == 2
    assert quality.round_trip_ms < 50
    assert browser.peer.statistics().remote_lost == 0
    assert browser.peer._last_sender_report[0]
    assert room.card._connections["c1"]._peer._last_sender_report[0]


async def test_an_agent_without_a_call_gets_no_audio(room: Room) -> None:
    browser = await room.browser()
    await asyncio.sleep(0.3)
    assert browser.peer.statistics().received == 0
    bridge = await room.patch()
    await bridge.run(0.4)
    await room.control.command(desk.Unpatch("c1", "p1"), Quality)
    before = browser.peer.statistics().received
    assert before > 10
    await bridge.run(0.3)
    assert browser.peer.statistics().received == before


async def test_a_second_patch_replaces_the_first_and_its_figures_are_told(room: Room) -> None:
    await room.browser()
    first = await room.patch("c1", "p1")
    await first.run(0.4)
    second = await room.patch("c1", "p2", 8000)
    await second.run(0.8)
    told = await room.events.wait(lambda body: isinstance(body, desk.LegQuality) and body.patch == "p1")
    assert told.quality.received > 10
    assert level_of(bytes(second.heard)[-8000:], 8000, 880) > 6000
    assert not (room.run / "p1-d").exists()
    # What is gone already is no error.
    assert await room.control.command(desk.Unpatch("c1", "p1"), Quality) == Quality()
    assert (await room.inventory()).connections[0].patch == "p2"


async def test_a_browser_that_falls_silent_is_lost_and_found(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOST_AFTER", 0.6)
    browser = await room.browser()
    await browser.quiet()
    assert (await room.changed("c1", "lost")).reason == "no-rtp"
    room.events.seen.clear()
    browser._clock = asyncio.create_task(browser._run())
    assert (await room.changed("c1", "connected")).reason == "rtp-again"


async def test_leaving_browsers_leave_nothing_behind(room: Room) -> None:
    def open_files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    await (await room.browser("warm-up")).close()
    await room.until_empty()
    files = open_files()
    for number in range(5):
        browser = await room.browser(f"c{number}")
        await room.patch(f"c{number}", f"p{number}")
        if number % 2:
            await browser.close()
        else:
            await room.control.command(desk.Disconnect(f"c{number}", "logged-out"))
        assert (await room.changed(f"c{number}", "closed")).reason == ("closed-by-peer" if number % 2 else "logged-out")
        await browser.close()
        room.bridges.pop().close()
    await room.until_empty()
    assert open_files() == files
    inventory = await room.inventory()
    assert (inventory.connections, inventory.counters["accepted"], inventory.counters["ended"]) == ([], 6, 6)
    assert not list(room.run.glob("p*"))


async def test_the_same_owner_may_connect_again(room: Room) -> None:
    await room.browser("old")
    await room.browser("new")
    assert {record.connection: record.state for record in (await room.inventory()).connections} == {
        "old": "connected",
        "new": "connected",
    }


async def test_a_browser_that_never_comes_is_given_up(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "HANDSHAKE_TIMEOUT", 0.5)
    browser = Browser()
    room.browsers.append(browser)
    await room.control.command(desk.Connect("c1", "agent1", await browser.peer.offer()), desk.Connected)
    assert (await room.inventory()).connections[0].state == "connecting"
    assert (await room.changed("c1", "failed")).reason == "handshake-timeout"
    await room.until_empty()


async def test_a_browser_that_vanishes_without_a_word_is_noticed(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.05)
    browser = await room.browser()
    await browser.peer._link._ice.close()
    assert (await room.changed("c1", "failed")).reason == "consent-lost"
    await room.until_empty()


async def test_a_connection_closed_while_servers_are_asked_leaves_no_socket(room: Room) -> None:
    """The STUN server does not answer; the browser leaves meanwhile."""
    browser = Browser()
    room.browsers.append(browser)
    offer = await browser.peer.offer()
    files = len(os.listdir("/proc/self/fd"))
    servers = [desk.IceServer(["stun:127.0.0.1:9"])]
    joining = asyncio.create_task(room.control.command(desk.Connect("c1", "agent1", offer, servers), desk.Connected))
    async with asyncio.timeout(2):
        while "c1" not in room.card._connections or not room.card._connections["c1"]._peer._link._ice._protocols:
            await asyncio.sleep(0.01)
    await room.control.command(desk.Disconnect("c1"))
    with pytest.raises(ControlError) as caught:
        await joining
    assert caught.value.code == "link"
    await room.until_empty()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files


async def test_a_false_fingerprint_is_refused(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser()
    room.browsers.append(browser)
    offer = await browser.peer.offer()
    line = next(line for line in offer.split("\r\n") if line.startswith("a=fingerprint"))
    forged = offer.replace(line, line[:-5] + ("00:00" if not line.endswith("00:00") else "11:11"))
    answer = await room.control.command(desk.Connect("c1", "agent1", forged), desk.Connected)
    browser.peer.accept(answer.sdp)
    joining = asyncio.create_task(browser.peer.connect())
    assert (await room.changed("c1", "failed")).reason == "dtls-failed"
    joining.cancel()
    await asyncio.wait([joining])


async def test_errors_are_said_in_the_reply(room: Room) -> None:
    async def refused(body: object) -> str:
        with pytest.raises(ControlError) as caught:
            await room.control.command(body)
        return caught.value.code

    assert await refused(desk.Connect("c1", "agent1", "v=0\r\n")) == "bad-sdp"
    assert await refused(desk.Patch("c1", "p1", "a", "b", 16000)) == "unknown"
    browser = Browser()
    room.browsers.append(browser)
    offer = await browser.peer.offer(("PCMU",))
    assert await refused(desk.Connect("c2", "agent1", offer, codecs=("opus",))) == "bad-sdp"
    servers = [desk.IceServer(["http://nonsense"])]
    assert await refused(desk.Connect("c3", "agent1", offer, servers)) == "bad-ice-server"
    await room.until_empty()
    await room.browser("c4", "PCMU")
    assert await refused(desk.Connect("c4", "agent1", offer)) == "known"
    far = str(room.run / "p-d")
    assert await refused(desk.Patch("c4", "p1", far, "b", 48000)) == "bad-rate"
    assert await refused(desk.Patch("c4", "p1", far, "b", 11025)) == "bad-patch"
    assert await refused(desk.Patch("c4", "p1", str(room.run / "nowhere" / "p"), "b", 8000)) == "bad-patch"
    assert list(room.run.glob("p-d")) == []


async def test_draining_takes_no_one_and_waits_for_the_talks(room: Room) -> None:
    await room.browser("c1")
    await room.browser("c2")
    await room.patch("c1")
    await room.control.command(desk.Drain())
    assert (await room.inventory()).draining
    with pytest.raises(ControlError) as caught:
        await room.control.command(desk.Connect("c3", "agent1", await Browser().peer.offer()))
    assert (caught.value.code, caught.value.retryable) == ("draining", True)
    assert not room.card.leaving.is_set()
    await room.control.command(desk.Unpatch("c1", "p1"), Quality)
    assert room.card.leaving.is_set()


async def test_garbage_on_the_media_port_harms_nobody(room: Room) -> None:
    browser = await room.browser()
    bridge = await room.patch()
    candidate = browser.peer._remote.transport.candidates[0].split(" ")  # type: ignore[union-attr]
    with socket.socket(type=socket.SOCK_DGRAM) as attacker:
        for number in range(2000):
            junk = (b"", b"\x80" * 40, b"\x80\xc8" + b"\0" * 30, b"\x16\xfe\xfd" + os.urandom(60), os.urandom(100))[number % 5]
            attacker.sendto(junk, (candidate[4], int(candidate[5])))
            if number % 50 == 0:
                await asyncio.sleep(0)
        await bridge.run(1.5)
    assert level_of(bytes(bridge.heard)[-16000:], 16000, 880) > 6000
    assert room.card._connections["c1"].state == "connected"
    assert room.card._connections["c1"]._peer.undecrypted > 100


async def test_media_ports_stay_in_their_range(tmp_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        first = probe.getsockname()[1]
    ports = range(first, first + 3)
    settings = IceSettings(ports=ports, public="127.0.0.1")
    browsers = [Browser(settings=settings) for _ in range(3)]
    taken = []
    for browser in browsers:
        offer = await browser.peer.offer()
        taken.append(int(offer.split("m=audio ")[1].split(" ")[0]))
    assert sorted(taken) == list(ports)
    with pytest.raises(Exception, match="no address or port"):
        await Browser(settings=settings).peer.offer()
    for browser in browsers:
        await browser.close()


async def test_a_public_address_is_announced_first(tmp_path: Path) -> None:
    browser = Browser(settings=IceSettings(public="203.0.113.9"))
    offer = await browser.peer.offer()
    candidates = [line for line in offer.split("\r\n") if line.startswith("a=candidate")]
    assert " 203.0.113.9 " in candidates[0]
    assert "typ srflx raddr" in candidates[0]
    assert any("typ host" in line and "203.0.113.9" not in line for line in candidates)
    assert "stun" not in offer
    await browser.close()
