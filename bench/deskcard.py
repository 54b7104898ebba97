"""What a leg costs in the desk card: one process with N connections, all patched, tones both ways; percent of a core for each.

    python bench/deskcard.py [--legs N] [--seconds S]

Prints one line for each codec and bridge rate, then what libopus takes for each complexity (the choice in media/opus.py).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from media.control import desk
from media.control.client import ControlClient
from media.control.line import Quality
from media.deskcard.contact_surface import IceSettings, make_certificate
from media.deskcard.peer import Peer
from media.jitter import PatchReceiver
from media.opus import OpusDecoder, OpusEncoder
from media.patch import PatchFrame, PatchSocket
from media.softphone import FrameClock, tone_frames


class Leg:
    """A browser's and a bridge's end of one connection, both in this process."""

    def __init__(self, run: Path, number: int, rate: int) -> None:
        self.rate, self.size = rate, rate // 50
        self.name = f"c{number}"
        self.socket = PatchSocket(run / f"p{number}-l", run / f"p{number}-d", rate)
        self.receiver = PatchReceiver(rate)
        self.peer = Peer(IceSettings(public="127.0.0.1"), make_certificate(), offering=True, on_lost=lambda _: None)
        self.frames = tone_frames(440, rate)
        self.number = 0

    async def connect(self, control: ControlClient, codec: str) -> None:
        answer = await control.command(desk.Connect(self.name, "a", await self.peer.offer((codec,))), desk.Connected)
        self.peer.accept(answer.sdp)
        await self.peer.connect()
        assert self.peer.outbound is not None
        self.peer.outbound.begin(self.rate)
        own, far = str(self.socket.own), str(self.socket.peer)
        await control.command(desk.Patch(self.name, self.name, far, own, self.rate))

    def tick(self) -> None:
        pcm, time_now = self.frames[self.number % 50], self.number * self.size
        self.peer.send(PatchFrame(self.number, time_now, 0, pcm))
        self.socket.send(pcm, time_now)
        while (frame := self.socket.receive()) is not None:
            self.receiver.push(frame)
        self.receiver.pull()
        self.number += 1


async def measure(codec: str, rate: int, legs: int, seconds: float) -> None:
    """CPU of one desk card with so many talks, and what was lost."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        card = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "media.deskcard", "--run", folder, "--public", "127.0.0.1"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with ControlClient(run / "deskcard0.ctl") as control, FrameClock() as clock:
            await control.connected()
            made = [Leg(run, number, rate) for number in range(legs)]
            for leg in made:
                await leg.connect(control, codec)
                clock.listen(leg, leg.tick)
            process = psutil.Process(card.pid)
            await asyncio.sleep(1)
            before, start = process.cpu_times(), time.monotonic()
            await asyncio.sleep(seconds)
            after, took = process.cpu_times(), time.monotonic() - start
            used = (after.user + after.system - before.user - before.system) / took * 100
            figures = [await control.command(desk.Unpatch(leg.name, leg.name), Quality) for leg in made]
            packets = sum(figure.received + figure.sent for figure in figures) / (1 + seconds) / legs
            lost = sum(figure.lost for figure in figures) / max(1, sum(figure.received for figure in figures))
            print(
                f"{codec:5} bridge {rate:5}  {legs} legs  {used / legs:5.2f} % of a core a leg"
                f"  {packets:.0f} packets/s  {process.memory_info().rss / 1e6:.0f} MB  lost {lost:.2%}",
                flush=True,
            )
            for leg in made:
                await leg.peer.close()
                leg.socket.close()
            await control.command(desk.Shutdown())
        await card.wait()


def buzz(rate: int, seconds: float) -> bytes:
    """Something like a voice: a buzz of moving pitch and level."""
    when = np.arange(round(rate * seconds)) / rate
    turn = np.cumsum(2 * np.pi * (120 + 30 * np.sin(2 * np.pi * 1.7 * when)) / rate)
    sound = sum(np.sin(k * turn) / k for k in range(1, 20)) * (0.15 + np.abs(np.sin(2 * np.pi * 2.3 * when)))
    return (sound * 4000).astype("<i2").tobytes()


def opus_costs(rate: int, complexity: int) -> None:
    """Microseconds for each frame, bytes for each packet."""
    pcm, size = buzz(rate, 4), rate // 25
    frames = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    encoder, decoder = OpusEncoder(rate, complexity=complexity), OpusDecoder(rate)

    def each(work: Callable[[bytes], bytes], items: list[bytes]) -> tuple[list[bytes], float]:
        start = time.process_time()
        done = [work(item) for item in items]
        return done, (time.process_time() - start) / len(items) * 1e6

    packets, encoding = each(encoder.encode, frames)
    _, decoding = each(decoder.decode, packets)
    print(
        f"opus {rate:5} complexity {complexity}  encode {encoding:4.0f} µs  decode {decoding:3.0f} µs"
        f"  {sum(map(len, packets)) / len(packets):.0f} bytes",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    for codec in ("PCMU", "opus"):
        for rate in (8000, 16000):
            uvloop.run(measure(codec, rate, given.legs, given.seconds))
    for rate in (8000, 16000):
        for complexity in (0, 1, 2, 5, 9):
            opus_costs(rate, complexity)


if __name__ == "__main__":
    main()
