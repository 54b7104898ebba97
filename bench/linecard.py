"""CPU of a line card for each call, full and with one line: prompts, and talks over a patch: `python -m bench linecard`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil

from bench.tools.caller import Switchboard
from bench.tools.clock import Clock
from media.control import line
from media.patch import PatchSocket
from tests.sip.linecard.conftest import CardProcess
from tests.tools import sipp, tones


async def measure(rate: int, calls: int, seconds: float, *, record: bool) -> tuple[float, float]:
    """(percent of a core for each call, ticks a second)."""
    with tempfile.TemporaryDirectory(prefix="sr-") as folder:
        run = Path(folder)
        prompt = tones.write(run / "prompt.wav", tones.sine(600, 3.0, rate), rate)
        alaw = run / "caller.al"
        import soundfile

        soundfile.write(str(alaw), tones.sine(440, 1.0, 8000), 8000, format="RAW", subtype="ALAW", endian="FILE")
        scenario = sipp.invite() + sipp.answered() + sipp.play(alaw) + sipp.expect("BYE") + sipp.ok()
        card = CardProcess(run, "linecard0")
        await card.start(proxy=sipp.free_port(), rate=rate)
        async with sipp.Sipp(scenario, run / "a", card.sip, calls=calls) as callers:
            arrivals = []
            for number in range(calls):
                arrived = await card.until(line.CallArrived, skip=number)
                await card.do(line.Answer(arrived.call, arrived.party))
                await card.do(line.Play(arrived.call, arrived.party, "p", [str(prompt)], loop=True))
                if record:
                    await card.do(line.Record(arrived.call, f"r{number}", arrived.party, str(run / "rec")))
                arrivals.append(arrived)
            used = await _used(card, seconds)
            ticks = (await card.inventory()).counters["ticks"]
            for arrived in arrivals:
                await card.do(line.EndCall(arrived.call))
            assert await callers.finished() == 0, callers.errors()
        await card.stop()
    return used / seconds / calls * 100, ticks


async def talk(rate: int, calls: int, seconds: float) -> float:
    """Per cent of a core for each call that is linked with a patch both ways; both ends send."""
    with tempfile.TemporaryDirectory(prefix="sr-") as folder:
        run = Path(folder)
        card = CardProcess(run, "linecard0")
        await card.start(proxy=sipp.free_port(), rate=rate)
        async with Clock() as clock, Switchboard(address(card), clock) as board, contextlib.AsyncExitStack() as stack:
            callers = []
            for number in range(calls):
                caller = board.prepare("5000", quiet=False)
                dialling = asyncio.ensure_future(caller.dial())
                arrived = await card.until(line.CallArrived, skip=number)
                await card.do(line.Answer(arrived.call, arrived.party))
                await dialling
                callers.append(caller)
                here, there = run / f"{number}-l", run / f"{number}-d"
                far = stack.enter_context(PatchSocket(there, here, rate))
                await card.do(line.OpenPatch(arrived.call, "agent", str(here), str(there)))
                both = [line.Link(arrived.party, "agent"), line.Link("agent", arrived.party)]
                await card.do(line.SetLinks(arrived.call, both))
                clock.listen(partial(_speak, far, itertools.count(), rate // 50))
            used = await _used(card, seconds)
            for caller in callers:
                await caller.hang_up()
        await card.stop()
    return used / seconds / calls * 100


async def _used(card: CardProcess, seconds: float) -> float:
    """Seconds of CPU that a card uses in so many, after one to settle."""
    assert card.process is not None
    process = psutil.Process(card.process.pid)
    await asyncio.sleep(1)
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(seconds)
    return float(sum(process.cpu_times()[:2]) - before)


def address(card: CardProcess) -> tuple[str, int]:
    """Where its SIP is."""
    host, port = card.sip.rsplit(":", 1)
    return host, int(port)


def _speak(far: PatchSocket, ticks: Iterator[int], samples: int) -> None:
    while far.receive() is not None:
        pass
    far.send(bytes(2 * samples), next(ticks) * samples)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    print("bridge  calls  recorded  % of a core for each call  ticks/s")
    for rate in (8000, 16000):
        for calls, record in ((1, False), (4, False), (4, True)):
            percent, ticks = await measure(rate, calls, seconds, record=record)
            print(f"{rate:6}  {calls:5}  {'yes' if record else 'no':>8}  {percent:25.2f}  {ticks:7.1f}", flush=True)
    print("\nbridge  calls over a patch  % of a core for each call")
    for rate in (8000, 16000):
        for calls in (1, 4):
            print(f"{rate:6}  {calls:18}  {await talk(rate, calls, seconds):25.2f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
