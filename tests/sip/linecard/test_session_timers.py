"""Session timers (RFC 4028): accepted, refreshed by either side, and the end of a session that nobody refreshes."""

from __future__ import annotations

from typing import Any

import pytest

from media.control import line
from tests.sip.linecard.conftest import CardProcess
from tests.sip.linecard.phone import Phone
from tests.sip.linecard.session_timers import EXPIRED, REFRESHED, expires

pytestmark = [pytest.mark.interop, pytest.mark.realtime]

Seen = dict[str, dict[str, Any]]


async def test_a_session_is_accepted_as_asked_and_one_too_short_is_not(card: CardProcess) -> None:
    async with Phone() as phone:
        media = await phone.open_media()
        short = phone.call(card.sip, media.sdp(), *expires(60))
        refused = await short.response()
        assert (refused.status, refused.get("min-se")) == (422, "90")
        short.send("ACK", cseq=1)
        leg = phone.call(card.sip, media.sdp(), *expires(1800))
        arrived = await card.until(line.CallArrived, sip_call_id=leg.call_id)
        await card.do(line.Answer(arrived.call, arrived.party))
        answer = await leg.established()
        assert answer.get("session-expires") == "1800;refresher=uac"
        assert "timer" in answer.get("require")
        await leg.bye()


def test_a_session_that_nobody_refreshes_ends(session_timers: Seen) -> None:
    seen = session_timers["nobody_refreshes"]
    assert EXPIRED - 1 < seen["over"] < EXPIRED + 10
    assert "408" in seen["header"]
    assert seen["reason"] == "error"


def test_a_session_that_the_caller_refreshes_lives(session_timers: Seen) -> None:
    assert session_timers["the_caller_refreshes"] == {"status": 200, "header": "90;refresher=uac", "alive": True}


def test_the_card_refreshes_when_that_is_its_part(session_timers: Seen) -> None:
    seen = session_timers["the_card_refreshes"]
    assert REFRESHED - 1 < seen["at"] < REFRESHED + 10
    assert (seen["method"], seen["alive"]) == ("UPDATE", True)
    assert seen["header"].startswith("90;refresher=")


def test_a_refresh_that_finds_nobody_ends_the_leg(session_timers: Seen) -> None:
    seen = session_timers["a_refresh_finds_nobody"]
    assert seen["asked"] == "1800"
    assert REFRESHED - 1 < seen["at"] < REFRESHED + 10
    assert seen["reason"] == "error"
