"""A caller's life on a card: arrival, answer, dialog file, inventory, end."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.control import line
from media.control.envelope import ControlError
from tests.sip.linecard.conftest import CardProcess, dialogs
from tests.sip.linecard.phone import Phone, connected
from tests.tools import sipp

pytestmark = pytest.mark.interop


async def test_a_call_arrives_is_answered_and_hung_up_by_the_caller(card: CardProcess, run_dir: Path) -> None:
    headers = 'X-Customer: 42\nX-Switchroom-Source: 192.0.2.7:5060\nSubject: no\nP-Asserted-Identity: "Ann" <sip:+4940123@x>'
    scenario = sipp.invite(headers=headers) + sipp.answered() + sipp.pause(400) + sipp.request("BYE", 2) + sipp.receive(200)
    async with sipp.Sipp(scenario, run_dir / "a", card.sip) as caller:
        arrived = await card.until(line.CallArrived)
        assert (arrived.ani, arrived.display, arrived.dnis) == ("+4940123", "Ann", "5000")
        assert arrived.source == "192.0.2.7:5060"
        assert arrived.headers == {"X-Customer": "42", "P-Asserted-Identity": '"Ann" <sip:+4940123@x>'}
        await card.do(line.Answer(arrived.call, arrived.party))
        await card.until(line.PartyChanged, state="connected")
        held = (await card.inventory()).calls[0]
        assert held.parties[0].sip_call_id == arrived.sip_call_id
        assert held.parties[0].branch.startswith("z9hG4bK")
        (dialog,) = dialogs(run_dir)
        assert dialog["sip_call_id"] == arrived.sip_call_id
        assert dialog["remote_tag"] == arrived.from_tag
        assert dialog["remote_target"] == f"sip:1234@127.0.0.1:{caller.port}"
        assert dialog["local_tag"]
        ended = await card.until(line.PartyChanged, state="ended")
        assert ended.termination == line.Termination("answered", "remote-hangup", "remote", 200)
        assert await caller.finished() == 0, caller.errors()
    final = await card.until(line.CallEnded)
    assert final.termination.reason == "remote-hangup"
    assert not dialogs(run_dir)
    (kept,) = (await card.inventory()).calls
    assert kept.ended == final.termination
    await card.do(line.ForgetCall(arrived.call))
    assert not (await card.inventory()).calls


async def test_what_the_edge_says_of_a_trunk_is_no_call_data(card: CardProcess) -> None:
    async with Phone() as phone:
        told = ("X-Switchroom-Trunk: carrier", "X-Switchroom-Caller: +49301", "X-Switchroom-Srtp: optional", "X-Customer: 7")
        talk = await connected(card, phone, "P-Asserted-Identity: <sip:0301@x>", *told)
        arrived = await card.until(line.CallArrived)
        assert (arrived.ani, arrived.trunk) == ("+49301", "carrier")
        assert set(arrived.headers) == {"P-Asserted-Identity", "X-Customer"}
        await talk.leg.bye()


async def test_early_media_comes_from_our_ports_and_the_contact_stays_ours(card: CardProcess, run_dir: Path) -> None:
    """183 carries SDP with a port of our range; a caller who gives up is `cancelled`."""
    cancel = sipp.send(
        """CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0
        [last_Via:]
        From: "Tester" <sip:1234@[local_ip]:[local_port]>;tag=[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>
        Call-ID: [call_id]
        CSeq: 1 CANCEL
        Max-Forwards: 70
        Content-Length: 0"""
    )
    scenario = sipp.invite() + sipp.receive(100, optional=True) + sipp.receive(183) + cancel + sipp.receive(200)
    scenario += sipp.receive(487) + sipp.request("ACK", 1)
    async with sipp.Sipp(scenario, run_dir / "a", card.sip) as caller:
        arrived = await card.until(line.CallArrived)
        await card.do(line.Answer(arrived.call, arrived.party, 183))
        ended = await card.until(line.CallEnded)
        assert ended.termination == line.Termination("cancelled", "cancelled", "remote", 487)
        assert await caller.finished() == 0, caller.errors()
        answer = caller.messages().split("SIP/2.0 183", 1)[1]
    port = int(answer.split("m=audio ", 1)[1].split(" ", 1)[0])
    assert card.rtp[0] <= port < card.rtp[1]
    assert f"@{card.sip}" in answer.split("Contact: ", 1)[1].split("\n", 1)[0]
    assert "telephone-event" in answer
    assert not dialogs(run_dir)


async def test_a_command_for_what_is_not_there_says_so(card: CardProcess) -> None:
    for body, code in (
        (line.Answer("none", "none"), "no-call"),
        (line.Play("none", "none", "p", []), "no-call"),
        (line.Transfer("none", "none"), "bad-target"),
        (line.Answer("none", "none", 302), "bad-code"),
        (line.PauseRecord("none", "r", True), "no-call"),
    ):
        with pytest.raises(ControlError) as caught:
            await card.do(body)
        assert caught.value.code == code
    for harmless in (line.HangUp("none", "none"), line.EndCall("none"), line.StopPlay("none", "none"), line.ForgetCall("none")):
        await card.do(harmless)
