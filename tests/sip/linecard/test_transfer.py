"""A transfer that joins two callers of one card: REFER with Replaces, and what becomes of both legs."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from media.control import line
from sip.linecard.wire import Address
from tests.sip.linecard.conftest import CardProcess
from tests.sip.linecard.phone import Phone, Talk, connected

pytestmark = pytest.mark.interop

NOTIFIED = "Event: refer"


async def referred(card: CardProcess, first: Talk, second: Talk) -> str:
    """Have the card send the first caller to the second one; returns the Replaces of its REFER, which is accepted."""
    await card.do(line.Transfer(first.call, first.party, replaces=second.party))
    refer = await first.leg.request("REFER")
    first.leg.reply(refer, 202)
    target, _, headers = Address.parse(refer.get("refer-to")).uri.partition("?")
    assert target == f"sip:phone@{second.leg.phone.text}"
    found = re.match(r"Replaces=([^&]+)&Require=replaces$", headers)
    assert found is not None, headers
    return unquote(found[1])


async def test_two_callers_are_joined_and_both_leave(card: CardProcess) -> None:
    async with Phone() as ann, Phone() as ben:
        first, second = await connected(card, ann), await connected(card, ben)
        replaces = await referred(card, first, second)
        # The second caller matches it with its own dialog (RFC 3891 §3): to-tag is its own, from-tag is the card's.
        call_id, *parameters = replaces.split(";")
        tags = dict(part.split("=", 1) for part in parameters)
        assert call_id == second.leg.call_id
        assert tags["to-tag"] == second.leg.local.rpartition(";tag=")[2]
        assert tags["from-tag"] == second.leg.remote.rpartition(";tag=")[2]
        # As RFC 5589 §7.3 has it: the callers talk to each other now, the second one leaves, the first one tells of success.
        first.leg.send(
            "NOTIFY", "SIP/2.0 100 Trying", NOTIFIED, "Subscription-State: active;expires=60", kind="message/sipfrag"
        )
        assert (await first.leg.response("NOTIFY")).status == 200
        await second.leg.bye()
        gone = await card.until(line.CallEnded, call=second.call)
        assert gone.termination.reason == "remote-hangup"
        done = "Subscription-State: terminated;reason=noresource"
        first.leg.send("NOTIFY", "SIP/2.0 200 OK", NOTIFIED, done, kind="message/sipfrag")
        assert (await first.leg.response("NOTIFY")).status == 200
        await first.leg.hung_up()
        assert (await card.until(line.TransferEnded, party=first.party)).code == 200
        ended = await card.until(line.CallEnded, call=first.call)
        assert ended.termination == line.Termination("answered", "transferred", "local", 200)


async def test_a_transfer_that_fails_leaves_both_as_they_were(card: CardProcess) -> None:
    async with Phone() as ann, Phone() as ben:
        first, second = await connected(card, ann), await connected(card, ben)
        await referred(card, first, second)
        done = "Subscription-State: terminated;reason=noresource"
        first.leg.send("NOTIFY", "SIP/2.0 486 Busy Here", NOTIFIED, done, kind="message/sipfrag")
        assert (await first.leg.response("NOTIFY")).status == 200
        assert (await card.until(line.TransferEnded, party=first.party)).code == 486
        assert [call.ended for call in (await card.inventory()).calls] == [None, None]
        for talk in (first, second):
            await talk.leg.bye()
