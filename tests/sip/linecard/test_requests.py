"""What the network asks of a card besides calls: digits, transfers, and things that it refuses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from media.control import line
from media.control.envelope import ControlError
from tests.sip.linecard.conftest import CardProcess, Starter
from tests.tools import sipp

pytestmark = pytest.mark.interop


def until_bye(middle: str) -> str:
    return sipp.invite() + sipp.answered() + middle + sipp.expect("BYE") + sipp.ok()


def info(cseq: int, kind: str, text: str) -> str:
    return sipp.request("INFO", cseq, sipp.body(text, kind))


async def answered(card: CardProcess) -> line.CallArrived:
    arrived = await card.until(line.CallArrived)
    await card.do(line.Answer(arrived.call, arrived.party))
    await card.until(line.PartyChanged, state="connected", party=arrived.party)
    return arrived


async def test_digits_by_info_in_both_forms(card: CardProcess, run_dir: Path) -> None:
    middle = info(2, "application/dtmf-relay", "Signal=5\nDuration=160") + sipp.receive(200)
    middle += info(3, "application/dtmf", "#") + sipp.receive(200)
    middle += info(4, "text/plain", "hello") + sipp.receive(415)
    async with sipp.Sipp(until_bye(middle), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        await card.until(line.Digit, digit="5", method="info")
        await card.until(line.Digit, digit="#", method="info")
        await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()
    assert len([event for event in card.events if isinstance(event, line.Digit)]) == 2


async def test_digits_by_rfc4733_are_collected_with_barge_in(
    card: CardProcess, run_dir: Path, prompt: Callable[[float, float], str]
) -> None:
    middle = sipp.pause(300) + sipp.play_pcap("/usr/share/sip-tester/dtmf_2833_1.pcap")
    async with sipp.Sipp(until_bye(middle), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        await card.do(line.Collect(arrived.call, arrived.party, "c1", [prompt(600, 20.0)]))
        collected = await card.until(line.Collected)
        assert (collected.digits, collected.why) == ("1", "enough")
        assert (await card.until(line.Digit)).method == "rfc4733"
        await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()


async def test_type_ahead_secret_digits_and_no_input(
    card: CardProcess, run_dir: Path, prompt: Callable[[float, float], str]
) -> None:
    middle = "".join(info(2 + at, "application/dtmf", digit) + sipp.receive(200) for at, digit in enumerate("12"))
    middle += sipp.pause(700)
    middle += "".join(info(4 + at, "application/dtmf", digit) + sipp.receive(200) for at, digit in enumerate("789#"))
    async with sipp.Sipp(until_bye(middle), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        await card.until(line.Digit, digit="2")
        await card.do(line.Collect(arrived.call, arrived.party, "ahead", [prompt(600, 20.0)], max_digits=2))
        assert (await card.until(line.Collected, 1.0, collect="ahead")).digits == "12"
        await card.do(line.Collect(arrived.call, arrived.party, "pin", [], max_digits=8, secret=True))
        pin = await card.until(line.Collected, collect="pin")
        assert (pin.digits, pin.why) == ("789", "enough")
        assert [event.digit for event in card.events if isinstance(event, line.Digit)] == ["1", "2"]
        await card.do(line.Collect(arrived.call, arrived.party, "none", [prompt(600, 0.2)], first_timeout=0.3))
        assert (await card.until(line.Collected, 2.0, collect="none")).why == "no-input"
        await card.do(line.Collect(arrived.call, arrived.party, "left", [prompt(600, 20.0)]))
        await card.do(line.EndCall(arrived.call))
        assert (await card.until(line.Collected, collect="left")).why == "ended"
        assert await caller.finished() == 0, caller.errors()
    assert "789" not in card.log.read_text()


@pytest.mark.parametrize(("accept", "code"), [(True, 202), (False, 603)])
async def test_a_refer_waits_for_the_exchange(card: CardProcess, run_dir: Path, accept: bool, code: int) -> None:
    target = "sip:+900123@premium.example"
    middle = sipp.request("REFER", 2, headers=f"Refer-To: <{target}>") + sipp.receive(code)
    if accept:
        middle += sipp.expect("NOTIFY") + sipp.ok()
    async with sipp.Sipp(until_bye(middle), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        asked = await card.until(line.TransferRequested)
        assert (asked.target, asked.replaces) == (target, "")
        await card.do(line.AnswerTransfer(arrived.call, arrived.party, accept))
        with pytest.raises(ControlError):
            await card.do(line.AnswerTransfer(arrived.call, arrived.party, accept))
        await asyncio.sleep(0.3)
        assert len((await card.inventory()).calls[0].parties) == 1
        await card.do(line.EndCall(arrived.call))
        assert await caller.finished() == 0, caller.errors()
    if accept:
        assert "SIP/2.0 200 OK" in caller.messages().split("message/sipfrag", 1)[1][:200]


async def test_a_refer_that_nobody_decides_gets_603_and_places_no_call(start_card: Starter, run_dir: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.setblocking(False)
        card = await start_card(proxy=proxy.getsockname()[1])
        middle = sipp.request("REFER", 2, headers=f"Refer-To: <sip:x@127.0.0.1:{proxy.getsockname()[1]}>") + sipp.receive(603)
        async with sipp.Sipp(until_bye(middle), run_dir / "a", card.sip) as caller:
            arrived = await answered(card)
            async with asyncio.timeout(8):
                while 603 not in caller.statuses():
                    await asyncio.sleep(0.1)
            assert len([event for event in card.events if isinstance(event, line.TransferRequested)]) == 1
            await card.do(line.EndCall(arrived.call))
            assert await caller.finished() == 0, caller.errors()
        with pytest.raises(BlockingIOError):
            proxy.recv(4000)


async def test_a_transferred_party_leaves_when_its_new_call_stands(card: CardProcess, run_dir: Path) -> None:
    accepted = sipp.ok("Expires: 60\n        Content-Length: 0").replace("200 OK", "202 Accepted")
    notify = sipp.request(
        "NOTIFY",
        2,
        sipp.body("SIP/2.0 200 OK", "message/sipfrag"),
        "Event: refer\n        Subscription-State: terminated;reason=noresource",
    )
    middle = sipp.expect("REFER") + accepted + notify + sipp.receive(200)
    async with sipp.Sipp(until_bye(middle), run_dir / "a", card.sip) as caller:
        arrived = await answered(card)
        await card.do(line.Transfer(arrived.call, arrived.party, "sip:4940@carrier.example"))
        ended = await card.until(line.CallEnded)
        assert ended.termination == line.Termination("answered", "transferred", "local", 200)
        assert await caller.finished() == 0, caller.errors()
        assert "Refer-To: <sip:4940@carrier.example>" in caller.messages() or (
            "Refer-To: sip:4940@carrier.example" in caller.messages()
        )


async def test_what_a_card_refuses_outside_calls(card: CardProcess) -> None:
    loop = asyncio.get_running_loop()
    host, port = card.sip.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.setblocking(False)
        phone.bind(("127.0.0.1", 0))
        own = phone.getsockname()[1]

        async def ask(method: str, extra: str = "", tag: str = "") -> str:
            text = (
                f"{method} sip:x@{card.sip} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{method}{len(extra)}\r\n"
                f"From: <sip:a@b>;tag=1\r\nTo: <sip:x@y>{tag}\r\nCall-ID: {method}{len(extra)}\r\nCSeq: 1 {method}\r\n"
                f"Contact: <sip:a@127.0.0.1:{own}>\r\nMax-Forwards: 70\r\n{extra}Content-Length: 0\r\n\r\n"
            )
            await loop.sock_sendto(phone, text.encode(), (host, int(port)))
            return (await asyncio.wait_for(loop.sock_recv(phone, 4000), 3)).decode()

        for method in ("MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REGISTER", "FOO"):
            answer = await ask(method)
            assert answer.startswith("SIP/2.0 405 "), answer
            assert "\r\nAllow: INVITE," in answer
        assert (await ask("REFER", "Refer-To: <sip:a@b>\r\n")).startswith("SIP/2.0 603 ")
        assert (await ask("INFO", tag=";tag=2")).startswith("SIP/2.0 481 ")
        assert (await ask("INVITE", "Replaces: x;to-tag=1;from-tag=2\r\n")).startswith("SIP/2.0 603 ")
        assert (await ask("OPTIONS")).startswith("SIP/2.0 200 ")
        phone.sendto(b"\x00\xff garbage\r\n\r\n", (host, int(port)))
        phone.sendto(b"INVITE\r\n\r\n", (host, int(port)))
    inventory = await card.inventory()
    assert not inventory.calls
    assert inventory.counters["gate"] == 1
    assert inventory.counters["gate_refused"] == 9
    assert inventory.counters["callback_failures"] == 0
    assert inventory.counters["clock"] == 0
