"""Offers with mistakes in them, in new calls and in one that stands: each gets an answer, and the card lives."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from media.control import line
from media.control.envelope import ControlError
from sip.linecard.pace import GIVEN_BACK
from tests.sip.linecard.conftest import CardProcess
from tests.sip.linecard.phone import Phone, connected, hum

pytestmark = [pytest.mark.adversity, pytest.mark.realtime]

WORDS = (
    *("", "0", "-1", "99999", "4294967296", "9" * 30, "\x00", "é", "x" * 300, "*", "::1", "IP6", "0.0.0.0", "nohost"),
    *("RTP/SAVP", "RTP/AVP", "UDP/TLS/RTP/SAVP", "audio", "video", "8 " * 40, "inline:AAAA", "telephone-event/8000"),
)
LINES = (
    *("a=rtcp:1", "a=rtcp:99999 IN IP4 nohost", "a=ptime:0", "a=ptime:-5", "a=maxptime:0", "a=rtpmap:8 PCMA/0"),
    *("a=rtpmap:101 telephone-event/0", "a=fmtp:101 0-999999", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:", "a=rtcp-mux"),
    *("a=crypto:99999999999 X inline:x|2^20|1:4", "a=ice-ufrag:x", "a=candidate:1 1 UDP 1 1.2.3.4 5 typ host", "a=ssrc:x"),
    *("b=AS:-1", "m=audio 0 RTP/AVP 8", "m=video 5000 RTP/AVP 96", "m=audio 7000 RTP/AVP 0 8 9", "m=image 5 udptl t38"),
    *("c=IN IP6 ::1", "a=fingerprint:sha-256 AA", "a=setup:actpass", "v=1", "o=", "s=", "t=1 2 3", "k=clear:x", "a=group:X"),
)


def spoiled(sdp: str, chance: random.Random) -> str:
    """The same with one to three mistakes."""
    lines = sdp.split("\r\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                lines.insert(at, chance.choice(LINES))
            case 1:
                words = lines[at].split(" ")
                words[chance.randrange(len(words))] = chance.choice(WORDS)
                lines[at] = " ".join(words)
            case 2:
                lines.insert(at, lines[chance.randrange(len(lines))])
            case _:
                lines[at : at + 1] = []
                lines = lines or ["v=0"]
    return "\r\n".join(lines)


@pytest.mark.parametrize("seed", [4])
async def test_every_offer_gets_an_answer(card: CardProcess, seed: int) -> None:
    chance = random.Random(seed)
    async with Phone() as phone:
        media, secure = await phone.open_media(), await phone.open_media(secure=True)
        standing = await connected(card, phone, media=media)
        media.talk(hum(440))

        async def new_call() -> int:
            offer = spoiled(chance.choice((media, secure)).sdp(), chance)
            leg = phone.call(card.sip, offer, f"X-Switchroom-Srtp: {chance.choice(('off', 'optional', 'required'))}")
            answer = asyncio.create_task(leg.response())
            arrival = asyncio.create_task(card.until(line.CallArrived, sip_call_id=leg.call_id))
            await asyncio.wait((answer, arrival), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                call = arrival.result()
                with contextlib.suppress(ControlError):  # pjsua has refused it meanwhile
                    await card.do(line.Reject(call.call, call.party, 404))
            arrival.cancel()
            status = (await answer).status
            leg.send("ACK", cseq=1)
            return status

        async def change(number: int) -> int:
            method = chance.choice(("INVITE", "UPDATE"))
            offer = spoiled(media.sdp((8, 0), version=number), chance)
            while offer.count("m=") > 1:  # once accepted, they could not be left out again (RFC 3264 §8)
                offer = spoiled(media.sdp((8, 0), version=number), chance)
            standing.leg.send(method, offer)
            answer = await standing.leg.response(method)
            if method == "INVITE":
                standing.leg.send("ACK", cseq=answer.cseq)
            return answer.status

        statuses = set()
        for number in range(60):
            statuses |= {await new_call(), await change(number + 2)}
            await asyncio.sleep(GIVEN_BACK / 22)
        assert {404, 488} <= statuses
        assert 503 not in statuses
        answer = await standing.leg.change(media.sdp(version=99))
        assert answer.status == 200
        await media.until_received(10)
        await standing.leg.bye()
        async with asyncio.timeout(5):
            while (await card.inventory()).counters["lines_held"]:
                await asyncio.sleep(0.02)
        assert all(call.ended for call in (await card.inventory()).calls)
        last = await connected(card, phone)
        await last.leg.bye()
    assert (await card.inventory()).counters["callback_failures"] == 0
