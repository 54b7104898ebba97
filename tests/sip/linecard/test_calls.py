"""A caller's life on a card: arrival, answer, dialog file, inventory, end."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.control import line
from tests.sip.linecard.conftest import CardProcess, dialogs
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
