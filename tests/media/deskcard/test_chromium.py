"""A real browser against the desk card: its microphone heard at the patch, the patch's tone heard in the page."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from media.control import desk
from media.control.client import ControlClient
from media.control.line import Quality
from media.deskcard.card import CardSettings, DeskCard
from tests.media.deskcard.far_ends import Bridge, Events, level_of, loudest, tone

pytestmark = pytest.mark.interop

CHROMIUM = "/usr/bin/chromium"
PAGE = b"<!doctype html><title>softphone</title><audio id=ear autoplay></audio>"
OFFER = """async () => {
    const stream = await navigator.mediaDevices.getUserMedia({audio: {echoCancellation: false, noiseSuppression: false,
        autoGainControl: false}});
    const peer = window.peer = new RTCPeerConnection({iceServers: []});
    peer.addTrack(stream.getAudioTracks()[0], stream);
    peer.ontrack = event => {
        document.getElementById('ear').srcObject = event.streams[0];
        const audio = window.audio = new AudioContext();
        const analyser = window.analyser = audio.createAnalyser();
        analyser.fftSize = 8192;
        analyser.smoothingTimeConstant = 0;
        audio.createMediaStreamSource(event.streams[0]).connect(analyser);
    };
    await peer.setLocalDescription(await peer.createOffer());
    await new Promise(done => {
        if (peer.iceGatheringState === 'complete') done();
        peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && done();
    });
    return peer.localDescription.sdp;
}"""
HEARD = """() => {
    const bins = new Float32Array(window.analyser.frequencyBinCount);
    window.analyser.getFloatFrequencyData(bins);
    const best = bins.indexOf(Math.max(...bins));
    return [best * window.audio.sampleRate / window.analyser.fftSize, bins[best]];
}"""
STATS = """async () => {
    const found = {};
    for (const report of (await window.peer.getStats()).values())
        if (['inbound-rtp', 'outbound-rtp', 'remote-inbound-rtp', 'remote-outbound-rtp'].includes(report.type))
            found[report.type] = report;
    return found;
}"""


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A page of a secure context (localhost) whose microphone hums at 880 Hz."""
    microphone = tmp_path / "microphone.wav"
    with wave.open(str(microphone), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        file.writeframes(tone(880, 48000, 0, 48000 * 5))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
                "--autoplay-policy=no-user-gesture-required",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        yield page
        await browser.close()


@pytest.mark.parametrize("codec", ["opus", "PCMU"])
async def test_chromium_and_a_bridge_hear_each_other(page: Page, tmp_path: Path, codec: str) -> None:
    events = Events()
    async with (
        DeskCard(CardSettings(tmp_path)) as card,
        ControlClient(tmp_path / "deskcard0.ctl", events=desk.DeskEvent, on_event=events.take) as control,
    ):
        await control.connected()
        offer = await page.evaluate(OFFER)
        answer = await control.command(desk.Connect("c1", "agent1", offer, codecs=(codec,)), desk.Connected)
        await page.evaluate("sdp => window.peer.setRemoteDescription({type: 'answer', sdp})", answer.sdp)
        await events.wait(lambda body: isinstance(body, desk.ConnectionChanged) and body.state == "connected")
        bridge = Bridge(tmp_path / "p1-l", tmp_path / "p1-d", 16000, 440)
        await control.command(desk.Patch("c1", "p1", str(bridge.socket.peer), str(bridge.socket.own), 16000))
        await bridge.run(7.0)
        hertz, level = await page.evaluate(HEARD)
        stats = await page.evaluate(STATS)
        quality = await control.command(desk.Unpatch("c1", "p1"), Quality)
        bridge.close()

        heard = bytes(bridge.heard)[-32000:]
        assert loudest(heard, 16000) == pytest.approx(880, abs=5)
        assert level_of(heard, 16000, 880) > 2000
        assert hertz == pytest.approx(440, abs=10)
        assert level > -35
        assert quality.codec == codec
        assert quality.received == pytest.approx(350, abs=40)
        assert quality.lost == 0
        assert 0 < quality.round_trip_ms < 200
        # The browser believes our reports: it has taken the sender's and the receiver's.
        assert stats["remote-outbound-rtp"]["packetsSent"] > 0
        assert stats["remote-inbound-rtp"]["packetsLost"] == 0
        assert stats["inbound-rtp"]["packetsReceived"] == pytest.approx(350, abs=40)

        await page.evaluate("window.peer.close()")
        closed = await events.wait(lambda body: isinstance(body, desk.ConnectionChanged) and body.state != "connected")
        assert (closed.state, closed.reason) == ("closed", "closed-by-peer")
        assert card.inventory().counters["packets_discarded"] == 0
