"""Legs that a card places through its proxy, and a call over two cards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from media.control import line
from tests.sip.linecard.conftest import CardProcess, Starter, dialogs
from tests.tools import sipp, tones

pytestmark = pytest.mark.interop

ANSWER = """SIP/2.0 {code} {text}
[last_Via:]
[last_From:]
[last_To:];tag=callee
[last_Call-ID:]
[last_CSeq:]
{extra}
"""
CONTACT = "Contact: <sip:callee@[local_ip]:[local_port]>"


def reply(code: int, text: str, extra: str = "", ending: str = "Content-Length: 0") -> str:
    head = "\n".join(part for part in ANSWER.format(code=code, text=text, extra=extra).strip().splitlines() if part)
    return sipp.send(head + "\n" + ending, retrans=False)


def leg(target: str, *, call: str = "call", party: str = "trunk", **more: object) -> line.PlaceLeg:
    return line.PlaceLeg(call, party, "lease-7", target, "", caller="4930", display='Ann "A"', **more)  # type: ignore[arg-type]


async def test_a_leg_rings_is_answered_challenged_and_hung_up(start_card: Starter, run_dir: Path) -> None:
    challenge = 'WWW-Authenticate: Digest realm="carrier", nonce="abc", algorithm=MD5, qop="auth"'
    scenario = sipp.expect("INVITE") + reply(401, "Unauthorized", challenge) + sipp.expect("ACK") + sipp.expect("INVITE")
    scenario += reply(180, "Ringing", CONTACT) + reply(200, "OK", CONTACT, sipp.body(sipp.sdp(("8",))))
    scenario += sipp.expect("ACK") + sipp.expect("BYE") + sipp.ok()
    async with sipp.Sipp(scenario, run_dir / "uas") as callee:
        card = await start_card(proxy=callee.port)
        await card.do(leg("sip:4940@carrier.example", username="ann", password="secret", headers={"X-Contact": "c1"}))
        await card.until(line.PartyChanged, state="ringing")
        await card.until(line.PartyChanged, state="connected")
        (dialog,) = dialogs(run_dir)
        assert dialog["remote_tag"] == "callee"
        assert dialog["remote_target"] == f"sip:callee@127.0.0.1:{callee.port}"
        assert dialog["cseq"] > 100_000
        await card.do(line.HangUp("call", "trunk"))
        ended = await card.until(line.CallEnded)
        assert ended.termination.reason == "local-hangup"
        assert await callee.finished() == 0, callee.errors()
        sent = callee.messages()
    assert "INVITE sip:4940@carrier.example SIP/2.0" in sent
    assert f"Route: <sip:127.0.0.1:{callee.port};lr>" in sent
    assert "X-Switchroom-Lease: lease-7" in sent
    assert "X-Contact: c1" in sent
    assert 'Authorization: Digest username="ann", realm="carrier"' in sent
    assert 'From: "Ann \\"A\\"" <sip:4930@127.0.0.1>' in sent
    assert "secret" not in sent + card.log.read_text()
    assert not dialogs(run_dir)


@pytest.mark.parametrize(
    ("code", "text", "result", "reason"),
    [(486, "Busy Here", "refused", "busy"), (404, "Not Found", "failed", "not-found"), (503, "No", "failed", "unavailable")],
)
async def test_how_a_leg_fails_is_said(
    start_card: Starter, run_dir: Path, code: int, text: str, result: str, reason: str
) -> None:
    async with sipp.Sipp(sipp.expect("INVITE") + reply(code, text) + sipp.expect("ACK"), run_dir / "uas") as callee:
        card = await start_card(proxy=callee.port)
        await card.do(leg("sip:1@carrier.example"))
        ended = await card.until(line.CallEnded)
        assert (ended.termination.result, ended.termination.reason, ended.termination.sip_code) == (result, reason, code)
        assert await callee.finished() == 0, callee.errors()


async def test_a_leg_that_nobody_answers_is_cancelled_and_its_account_used_again(start_card: Starter, run_dir: Path) -> None:
    scenario = sipp.expect("INVITE") + reply(180, "Ringing", CONTACT) + sipp.expect("CANCEL") + sipp.ok() + sipp.pause(300)
    async with sipp.Sipp(scenario, run_dir / "uas", calls=10, options=("-l", "1")) as callee:
        card = await start_card(proxy=callee.port)
        for number in range(10):
            await card.do(leg("sip:1@carrier.example", call=f"call{number}", timeout=0.15))
            ended = await card.until(line.CallEnded, call=f"call{number}")
            assert ended.termination == line.Termination("unanswered", "no-answer", "system", 487)
            if number >= 3:
                break  # more would wait for pjsua2's own time-out of CANCELs without a 487


async def test_two_cards_talk_and_digits_pass(
    start_card: Starter, run_dir: Path, prompt: Callable[[float, float], str]
) -> None:
    """The second card plays the callee; what the first one plays is found in the second's recording, and back."""
    second: CardProcess = await start_card("linecard1")
    first = await start_card("linecard0", proxy=int(second.sip.rpartition(":")[2]), rate=8000)
    await first.do(leg(f"sip:7000@{second.sip}", party="out"))
    arrived = await second.until(line.CallArrived)
    assert (arrived.ani, arrived.dnis, arrived.headers["X-Switchroom-Lease"]) == ("4930", "7000", "lease-7")
    await second.do(line.Answer(arrived.call, arrived.party, 183))
    await first.until(line.PartyChanged, state="early")
    await second.do(line.Answer(arrived.call, arrived.party))
    await first.until(line.PartyChanged, state="connected")
    await first.do(line.Record("call", "one", "out", str(run_dir / "rec")))
    await second.do(line.Record(arrived.call, "two", arrived.party, str(run_dir / "rec")))
    await first.do(line.PlayTone("call", "out", "t", 500))
    await second.do(line.Play(arrived.call, arrived.party, "p", [prompt(700, 0.4), prompt(700, 0.4)], loop=True))
    await asyncio.sleep(1.2)
    await first.do(line.StopPlay("call", "out", "t"))
    assert (await first.until(line.PlayEnded)).why == "stopped"
    await first.do(line.SendDigits("call", "out", "4#"))
    for digit in "4#":
        await second.until(line.Digit, digit=digit, method="rfc4733")
    await first.do(line.SendDigits("call", "out", "9", "info"))
    await second.until(line.Digit, digit="9", method="info")
    await first.do(line.EndCall("call"))
    for card, recording, hz in ((first, "one", 700), (second, "two", 500)):
        over = await card.until(line.RecordingEnded, recording=recording)
        left, rate = tones.load(over.left)
        assert tones.heard(left, rate, hz) > 0.8
    ended = await second.until(line.PartyChanged, state="ended")
    assert ended.quality is not None
    assert ended.quality.codec == "PCMU"
