"""Lines, drain, RTP that stops, callers without an exchange, and no growth."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from media.control import line
from media.control.client import ControlClient
from tests.sip.linecard.conftest import ROOT, CardProcess, Starter, dialogs
from tests.sip.linecard.phone import Phone, connected
from tests.tools import sipp

pytestmark = pytest.mark.interop

WAIT_FOR_BYE = sipp.invite() + sipp.answered() + sipp.expect("BYE") + sipp.ok()


async def answer_all(card: CardProcess, count: int) -> list[line.CallArrived]:
    calls = []
    for number in range(count):
        arrived = await card.until(line.CallArrived, skip=number)
        await card.do(line.Answer(arrived.call, arrived.party))
        await card.until(line.PartyChanged, state="connected", party=arrived.party)
        calls.append(arrived)
    return calls


async def test_more_calls_than_lines_are_refused(card: CardProcess, run_dir: Path) -> None:
    lines = (await card.inventory()).lines
    async with sipp.Sipp(WAIT_FOR_BYE, run_dir / "a", card.sip, calls=lines) as callers:
        calls = await answer_all(card, lines)
        refused = sipp.invite() + sipp.receive(503) + sipp.request("ACK", 1)
        async with sipp.Sipp(refused, run_dir / "b", card.sip) as late:
            assert await late.finished() == 0, late.errors()
        assert len(dialogs(run_dir)) == lines
        for arrived in calls:
            await card.do(line.EndCall(arrived.call))
        assert await callers.finished() == 0, callers.errors()
    assert not dialogs(run_dir)


async def test_a_draining_card_refuses_and_leaves_after_its_last_call(card: CardProcess, run_dir: Path) -> None:
    async with sipp.Sipp(WAIT_FOR_BYE, run_dir / "a", card.sip) as caller:
        (arrived,) = await answer_all(card, 1)
        assert card.process is not None
        card.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(3):
            while not (await card.inventory()).draining:
                await asyncio.sleep(0.02)
        refused = sipp.invite() + sipp.receive(503) + sipp.request("ACK", 1)
        async with sipp.Sipp(refused, run_dir / "b", card.sip) as late:
            assert await late.finished() == 0, late.errors()
        await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()
        assert await asyncio.wait_for(card.process.wait(), 5) == 0


async def test_a_card_that_cannot_keep_time_refuses_calls_until_it_can(card: CardProcess) -> None:
    """The process is held up again and again, as by a machine that has no time for it; the talk that is up goes on."""
    assert card.process is not None
    process = card.process

    async def starve() -> None:
        try:
            while True:
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(0.7)
                process.send_signal(signal.SIGCONT)
                await asyncio.sleep(0.15)
        finally:
            process.send_signal(signal.SIGCONT)

    async with Phone() as phone:
        talk = await connected(card, phone)
        starving = asyncio.create_task(starve())
        try:
            overload = await card.until(line.Overload, 10.0)
        finally:
            starving.cancel()
        assert overload.on
        assert overload.ticks < 47 < overload.expected == 50
        refused = phone.call(card.sip, talk.media.sdp())
        assert (await refused.response()).status == 503
        refused.send("ACK", cseq=1)
        assert (await card.inventory()).overloaded
        await talk.leg.bye()
        await card.until(line.Overload, 10.0, on=False)  # with the last call the clock stops
        other = await connected(card, phone)
        await other.leg.bye()


async def test_rtp_that_stops_ends_the_leg_but_not_on_hold(card: CardProcess, run_dir: Path) -> None:
    await card.do(line.Configure(media_timeout=1.5))
    hold = sipp.request("INVITE", 2, sipp.body(sipp.sdp(direction="sendonly", version=2)))
    hold += sipp.receive(100, optional=True) + sipp.receive(200) + sipp.request("ACK", 2)
    held = sipp.invite() + sipp.answered() + hold + sipp.expect("BYE") + sipp.ok()
    async with (
        sipp.Sipp(held, run_dir / "a", card.sip) as holding,
        sipp.Sipp(WAIT_FOR_BYE, run_dir / "b", card.sip) as silent,
    ):
        first, second = await answer_all(card, 2)
        assert await silent.finished() == 0, silent.errors()
        timeout = await card.until(line.MediaTimeout)
        ended = await card.until(line.PartyChanged, state="ended", party=timeout.party)
        assert ended.termination is not None
        assert ended.termination.reason == "media-timeout"
        await asyncio.sleep(1.5)
        (left,) = [call for call in (await card.inventory()).calls if call.ended is None]
        assert left.call in (first.call, second.call)
        await card.do(line.EndCall(left.call))
        assert await holding.finished() == 0, holding.errors()


async def test_without_an_exchange_a_caller_rings_then_hears_the_apology(
    start_card: Starter, run_dir: Path, prompt: Callable[[float, float], str]
) -> None:
    card = await start_card(more=("--ring", "1.5"))
    await card.do(line.Configure(apology=prompt(500, 0.5)))
    await card.disconnect()
    scenario = sipp.invite() + sipp.receive(100, optional=True) + sipp.receive(180) + sipp.receive(200, rrs=True)
    scenario += sipp.request("ACK", 1) + sipp.expect("BYE") + sipp.ok()
    async with sipp.Sipp(scenario, run_dir / "a", card.sip) as caller:
        assert await caller.finished() == 0, caller.errors()
    await card.connect()
    (kept,) = (await card.inventory()).calls
    assert kept.ended is not None
    assert kept.ended.reason == "apology"


async def test_without_an_exchange_waiting_callers_go_and_talks_stay(
    start_card: Starter, run_dir: Path, prompt: Callable[[float, float], str]
) -> None:
    card = await start_card(more=("--patience", "1"))
    await card.do(line.Configure(apology=prompt(500, 0.3), music=prompt(600, 1.0)))
    async with (
        sipp.Sipp(WAIT_FOR_BYE, run_dir / "a", card.sip) as first,
        sipp.Sipp(WAIT_FOR_BYE, run_dir / "b", card.sip) as second,
    ):
        talking, waiting = await answer_all(card, 2)
        await card.do(line.OpenPatch(talking.call, "agent", str(run_dir / "p1-l"), str(run_dir / "p1-d")))
        await card.do(line.Music(waiting.call, waiting.party, True))
        await card.disconnect()
        done, _ = await asyncio.wait(
            [asyncio.create_task(first.finished()), asyncio.create_task(second.finished())],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert [task.result() for task in done] == [0]
        await card.connect()
        calls = {call.call: call.ended for call in (await card.inventory()).calls}
        ended = calls[waiting.call]
        assert ended is not None
        assert ended.reason == "apology"
        assert calls[talking.call] is None
        await card.do(line.EndCall(talking.call))


async def test_forty_calls_leave_nothing_behind(
    card: CardProcess, run_dir: Path, prompt: Callable[[float, float], str]
) -> None:
    assert card.process is not None
    process = psutil.Process(card.process.pid)
    scenario = sipp.invite() + sipp.answered() + sipp.pause(60) + sipp.request("BYE", 2) + sipp.receive(200)
    file = prompt(600, 0.3)
    marks: list[tuple[int, int]] = []
    states: set[float] = set()

    async def calls(first: int, count: int) -> None:
        async with sipp.Sipp(scenario, run_dir / f"s{first}", card.sip, calls=count, options=("-l", "1")) as callers:
            for number in range(first, first + count):
                arrived = await card.until(line.CallArrived, skip=number)
                await card.do(line.Answer(arrived.call, arrived.party))
                await card.do(line.Record(arrived.call, f"r{number}", arrived.party, str(run_dir / "rec")))
                await card.do(line.Play(arrived.call, arrived.party, "p", [file], loop=True))
                await card.do(
                    line.OpenPatch(arrived.call, "agent", str(run_dir / f"p{number}-l"), str(run_dir / f"p{number}-d"))
                )
                await card.do(
                    line.SetLinks(arrived.call, [line.Link(arrived.party, "agent"), line.Link("agent", arrived.party)])
                )
                await card.until(line.PartyChanged, state="ended", party=arrived.party)
                states.add((await card.inventory()).counters["clock_states"])
                await card.do(line.EndCall(arrived.call))
                await card.until(line.CallEnded, call=arrived.call)
                await card.do(line.ForgetCall(arrived.call))
            assert await callers.finished() == 0, callers.errors()
        async with asyncio.timeout(5):
            while (await card.inventory()).counters["clock"]:
                await asyncio.sleep(0.1)
        marks.append((process.num_fds(), process.memory_info().rss))

    await calls(0, 10)
    await calls(10, 30)
    assert marks[1][0] == marks[0][0]
    assert marks[1][1] - marks[0][1] < 4_000_000
    inventory = await card.inventory()
    assert not inventory.calls
    assert inventory.counters["lines_held"] == 0
    assert inventory.counters["callback_failures"] == 0
    # The clock's thread keeps its state for Python while it runs, and only one runs at a time.
    assert states == {1.0}
    assert inventory.counters["clock_states"] == 0
    # One port serves one patch after the other: freeing it under the running clock would end the process now and then.
    assert inventory.counters["patch_ports"] <= 4


async def test_the_zygote_forks_cards_that_outlive_it(run_dir: Path) -> None:
    zygote = await asyncio.create_subprocess_exec(sys.executable, "-m", "sip.linecard.zygote", "--run", str(run_dir), cwd=ROOT)
    path = run_dir / "linecards.zyg"
    async with asyncio.timeout(10):
        while not path.exists():
            await asyncio.sleep(0.02)
    reader, writer = await asyncio.open_unix_connection(str(path))
    pids = []
    for name in ("linecard0", "linecard1"):
        arguments = ["--run", str(run_dir), "--name", name, "--proxy", "127.0.0.1:5999", "--public", "127.0.0.1"]
        request = {"fork": {"name": name, "args": arguments, "log": str(run_dir / f"{name}.log")}}
        writer.write(json.dumps(request).encode() + b"\n")
        pids.append(json.loads(await reader.readline())["pid"])
    writer.write(b"nonsense\n")
    assert "error" in json.loads(await reader.readline())
    writer.close()
    for name in ("linecard0", "linecard1"):
        async with ControlClient(run_dir / f"{name}.ctl", role="commander") as client:
            await asyncio.wait_for(client.connected(), 10)
            assert (await client.command(line.TakeInventory(), line.Inventory)).lines >= 1
    os.kill(pids[0], signal.SIGTERM)
    async with asyncio.timeout(5):
        while psutil.pid_exists(pids[0]):
            await asyncio.sleep(0.02)
    zygote.terminate()
    await asyncio.wait_for(zygote.wait(), 5)
    assert psutil.Process(pids[1]).status() != psutil.STATUS_ZOMBIE
    os.kill(pids[1], signal.SIGTERM)
    async with asyncio.timeout(5):
        while psutil.pid_exists(pids[1]) and psutil.Process(pids[1]).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)
