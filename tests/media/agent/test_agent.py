"""`switchroom agent` against a small exchange with a real desk card: every event, the audio, and the ways to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from media.agent import REFUSED, UNDONE, UNREACHABLE, AgentOptions, run_agent, run_agents
from media.control import desk
from media.control.client import ControlClient
from media.deskcard.card import CardSettings, DeskCard
from tests.media.agent.fake_exchange import FakeExchange, Log, serving
from tests.media.deskcard.far_ends import Events, level_of, loudest

pytestmark = pytest.mark.layer


@pytest_asyncio.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[FakeExchange]:
    events = Events()
    async with (
        DeskCard(CardSettings(tmp_path, public="127.0.0.1")),
        ControlClient(tmp_path / "deskcard0.ctl", events=desk.DeskEvent, on_event=events.take) as control,
    ):
        await control.connected()
        async with serving(FakeExchange(tmp_path, control, events)) as made:
            yield made


def options(exchange: FakeExchange, **more: object) -> AgentOptions:
    return AgentOptions("agent1", exchange.url, "right", answer_after=0.05, **more)  # type: ignore[arg-type]


async def test_a_shift_of_two_contacts(exchange: FakeExchange, tmp_path: Path) -> None:
    log, save = Log(), tmp_path / "heard.wav"
    agent = asyncio.create_task(run_agent(options(exchange, contacts=2, save=save), log))
    await exchange.message("set_state")
    for number in (1, 2):
        await exchange.offer(f"k{number}")
        await exchange.message("accept", number)
        await exchange.bridges[-1].run(1.5)
        await exchange.end(wrap_up=number == 1)
        await log.wait(lambda event, number=number: event["event"] == "contact-ended" and event["contact"] == f"k{number}")
        if number == 1:
            assert (await exchange.message("wrap_up"))["code"] == "sold"
            await log.wait("wrapped-up")
    assert await asyncio.wait_for(agent, 10) == 0

    order = ["logged-in", "softphone-connected", "available"]
    order += ["offer", "contact", "accepted", "audio-in", "contact-ended", "wrapped-up"]
    assert [name for name in log.names()[:9] if name != "accepted"] == [name for name in order if name != "accepted"]
    assert "accepted" in log.names()[:9]
    assert log.names()[-2:] == ["bye", "summary"]
    assert [event["t"] for event in log.events] == sorted(event["t"] for event in log.events)
    ended = [event for event in log.events if event["event"] == "contact-ended"]
    assert [event["heard_hz"] for event in ended] == pytest.approx([440, 440], abs=3)
    for bridge in exchange.bridges:
        heard = bytes(bridge.heard)[-16000:]
        assert loudest(heard, 16000) == pytest.approx(880, abs=4)
        assert level_of(heard, 16000, 880) > 6000
    summary = log.events[-1]
    assert (summary["contacts"], summary["exit"]) == (2, 0)
    assert summary["frames"] == pytest.approx(150, abs=20)
    assert summary["lost"] == 0
    with wave.open(str(save)) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 16000)
        assert file.getnframes() / 16000 == pytest.approx(3.0, abs=1.0)
        assert loudest(file.readframes(file.getnframes()), 16000) == pytest.approx(440, abs=3)


async def test_hold_hang_up_and_decline(exchange: FakeExchange) -> None:
    log = Log()
    agent = asyncio.create_task(
        run_agent(options(exchange, contacts=1, decline=1, hold_at=0.2, hold_for=0.2, hang_up_after=0.8, codec="PCMU"), log)
    )
    await exchange.message("set_state")
    await exchange.offer("k1")
    assert (await exchange.message("decline"))["offer"] == "offer-k1"
    await exchange.offer("k2")
    await exchange.message("accept")
    clock = asyncio.create_task(exchange.bridges[-1].run(1.0))
    assert (await exchange.message("hold"))["on"] is True
    assert (await exchange.message("hold", 2))["on"] is False
    await exchange.message("hang_up")
    await clock
    await exchange.end()
    assert await asyncio.wait_for(agent, 10) == 0
    assert (await log.wait("softphone-connected"))["codec"] == "PCMU"
    assert {"declined", "held", "retrieved", "hung-up"} <= set(log.names())


async def test_a_broken_socket_comes_back_and_the_talk_goes_on(exchange: FakeExchange) -> None:
    log = Log()
    agent = asyncio.create_task(run_agent(options(exchange, contacts=1, hang_up_after=1.0), log))
    await exchange.message("set_state")
    await exchange.offer("k1")
    await exchange.message("accept")
    clock = asyncio.create_task(exchange.bridges[-1].run(2.0))
    await log.wait("audio-in")
    await exchange.cut()
    await log.wait("desk-lost")
    await log.wait("desk-back")
    await exchange.message("hang_up")
    await clock
    await exchange.end()
    assert await asyncio.wait_for(agent, 10) == 0
    assert log.names().count("contact") == 1
    assert log.names().count("softphone-connected") == 1


async def test_a_lost_softphone_is_connected_again(exchange: FakeExchange) -> None:
    """Its desk card dies in a call: another connection, without being asked twice."""
    log = Log()
    agent = asyncio.create_task(run_agent(options(exchange, seconds=8), log))
    await exchange.message("set_state")
    await exchange._control.command(desk.Disconnect("c1", "card-died"))
    await log.wait("softphone-lost")
    await exchange.message("softphone", 2)
    await log.wait(lambda event: event["event"] == "softphone-connected" and log.names().count("softphone-connected") == 2)
    await exchange.offer("k1")
    await exchange.message("accept")
    await exchange.bridges[-1].run(1.0)
    assert level_of(bytes(exchange.bridges[-1].heard)[-16000:], 16000, 880) > 6000
    await exchange.end()
    await exchange.message("wrap_up")
    agent.cancel()
    await asyncio.wait([agent])


async def test_an_agent_put_out_of_rotation_comes_back(exchange: FakeExchange) -> None:
    agent = asyncio.create_task(run_agent(options(exchange, seconds=3, media=False), Log()))
    await exchange.message("set_state")
    exchange.picture["agent"]["state"] = "not-responding"
    await exchange.show()
    assert (await exchange.message("set_state", 2))["state"] == "available"
    assert await asyncio.wait_for(agent, 10) == 0


async def test_a_second_tab_ends_the_first(exchange: FakeExchange) -> None:
    log = Log()
    agent = asyncio.create_task(run_agent(options(exchange), log))
    await exchange.message("set_state")
    exchange.picture["softphone"]["state"] = "replaced"
    await exchange.show()
    assert await asyncio.wait_for(agent, 10) == REFUSED
    assert "softphone-replaced" in log.names()


async def test_refusals_have_exit_codes_and_words(exchange: FakeExchange) -> None:
    log = Log()
    assert await run_agent(AgentOptions("agent1", exchange.url, "wrong"), log) == REFUSED
    assert log.events[0] == log.events[0] | {"event": "error", "code": "wrong-password", "message": "No."}
    assert await run_agent(AgentOptions("agent1", "http://127.0.0.1:9", "right"), Log()) == UNREACHABLE
    exchange.refuse["softphone"] = "no-desk-card"
    log = Log()
    assert await run_agent(options(exchange), log) == REFUSED
    assert log.events[-2]["code"] == "no-desk-card"
    exchange.refuse.clear()
    assert await run_agent(options(exchange, contacts=1, seconds=0.3), Log()) == UNDONE


async def test_many_agents_share_a_process(exchange: FakeExchange) -> None:
    log = Log()
    several = [options(exchange, seconds=1.0, media=False) for _ in range(5)]
    assert await run_agents(several, log) == 0
    assert log.names().count("bye") == 5


async def test_the_command_prints_json_and_stops_by_sigterm(exchange: FakeExchange) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "media.agent", "agent1", "--server", exchange.url, "--password", "right", "--json"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    await exchange.message("set_state", timeout=20)
    process.send_signal(signal.SIGTERM)
    out, _ = await asyncio.wait_for(process.communicate(), 10)
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == [
        "logged-in",
        "softphone-connected",
        "available",
        "bye",
        "summary",
    ]
    assert process.returncode == 0
    assert await exchange.message("log_out")
