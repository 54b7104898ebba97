"""What pjsua2 is told, each thing proved by its effect on the wire."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket

import psutil
import pytest

from media.control import line
from sip.linecard.pace import GIVEN_BACK
from tests.sip.linecard.conftest import CardProcess, Starter
from tests.sip.linecard.phone import FRAME, Leg, Phone, connected, hum, rtp_port, sdp_of

pytestmark = pytest.mark.interop


async def placed(card: CardProcess, phone: Phone, call: str = "call", **more: object) -> Leg:
    """A leg that the card places, as it rings at the phone."""
    await card.do(line.PlaceLeg(call, "trunk", "lease", "sip:4940@carrier.example", "", caller="5000", **more))  # type: ignore[arg-type]
    return await phone.invited()


async def test_ports_stay_in_range_over_a_hundred_calls(card: CardProcess) -> None:
    """Port after port, also when they are given back late; no descriptor is left."""
    assert card.process is not None
    process = psutil.Process(card.process.pid)
    used: set[int] = set()
    descriptors = 0
    async with Phone() as phone:
        media = await phone.open_media()
        for number in range(25):
            legs = [phone.call(card.sip, media.sdp()) for _ in range(4)]
            for leg in legs:
                arrived = await card.until(line.CallArrived, sip_call_id=leg.call_id)
                await card.do(line.Answer(arrived.call, arrived.party))
            for leg in legs:
                used.add(rtp_port(sdp_of(await leg.established())))
            for leg in legs:
                await leg.bye()
            for leg in legs:
                arrived = await card.until(line.CallArrived, sip_call_id=leg.call_id)
                await card.until(line.CallEnded, call=arrived.call)
            descriptors = process.num_fds() if number == 3 else descriptors
            await asyncio.sleep(4 * GIVEN_BACK / 24)  # as fast as a card takes calls
    assert min(used) >= card.rtp[0]
    assert max(used) < card.rtp[1]
    assert all(port % 2 == 0 for port in used)
    assert process.num_fds() <= descriptors


async def test_calls_that_come_too_fast_get_503_and_the_card_lives(card: CardProcess) -> None:
    """Calls that end as they begin take sockets that pjmedia gives back half a second later, and dies when it has none."""
    statuses = []
    async with Phone() as phone:
        media = await phone.open_media()
        for _ in range(80):
            leg = phone.call(card.sip, media.sdp())
            answer = asyncio.create_task(leg.response())
            arrival = asyncio.create_task(card.until(line.CallArrived, sip_call_id=leg.call_id))
            await asyncio.wait((answer, arrival), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                call = arrival.result()
                await card.do(line.Reject(call.call, call.party, 404, "not-found"))
                await card.until(line.CallEnded, call=call.call)
            arrival.cancel()
            statuses.append((await answer).status)
            leg.send("ACK", cseq=1)
        assert set(statuses) == {404, 503}, statuses
        await asyncio.sleep(GIVEN_BACK)
        talk = await connected(card, phone)
        await talk.leg.bye()


async def test_a_leg_with_a_number_leaves_the_calls_to_that_number_alone(start_card: Starter) -> None:
    """The caller's number of a leg is a number that callers dial; its account must not take their calls."""
    async with Phone() as phone:
        card = await start_card(proxy=phone.port)
        for number in range(10):  # more than pjsua has accounts
            leg = await placed(card, phone, f"call{number}", display='Ann "A"')
            assert leg.invite is not None
            assert leg.invite.get("from").startswith('"Ann \\"A\\"" <sip:5000@')
            leg.reply(leg.invite, 486)
            await leg.request("ACK")
            await card.until(line.CallEnded, call=f"call{number}")
        talk = await connected(card, phone, user="5000")
        assert (await card.until(line.CallArrived)).dnis == "5000"
        await talk.leg.bye()


async def test_contact_via_and_sdp_stay_ours_whatever_the_network_says_of_us(start_card: Starter) -> None:
    """Answers that name another address in Via (as behind NAT) change nothing in what follows."""
    async with Phone() as phone:
        card = await start_card(proxy=phone.port, more=("--public", "192.0.2.77"))
        leg = await placed(card, phone, username="u", password="p")
        assert leg.invite is not None
        seen = [leg.invite]
        via = re.sub(r";rport(=\d+)?", ";rport=9;received=203.0.113.5", leg.invite.all("via")[0])

        def answer(code: int, *headers: str) -> None:
            text = (
                f"SIP/2.0 {code} Word\r\nVia: {via}\r\nFrom: {seen[-1].get('from')}\r\nTo: {seen[-1].get('to')};tag=t\r\n"
                f"Call-ID: {leg.call_id}\r\nCSeq: {seen[-1].get('cseq')}\r\nContact: <sip:phone@{phone.text}>\r\n"
            )
            phone.put([*text.split("\r\n")[:-1], *headers], body if code == 200 else "", "application/sdp", leg.to)

        body = (await phone.open_media()).sdp((8, 0))
        answer(401, 'WWW-Authenticate: Digest realm="x", nonce="abc", algorithm=MD5')
        seen.append(await leg.request("ACK"))
        seen.append(await leg.request("INVITE"))
        via = re.sub(r";rport(=\d+)?", ";rport=9;received=203.0.113.5", seen[-1].all("via")[0])
        answer(200)
        seen.append(await leg.request("ACK"))
        leg.local, leg.remote = f"{seen[0].get('to')};tag=t", seen[0].get("from")
        leg.send("INVITE", body.replace("phone 1", "phone 2").replace("sendrecv", "sendonly"))
        changed = await leg.response()
        leg.send("ACK", cseq=changed.cseq)
        with pytest.raises(AssertionError):  # two codecs in the answer: no further offer of ours to settle on one
            await leg.request("INVITE", 0.5)
        await card.do(line.EndCall("call"))
        seen.append(await leg.hung_up())
        for message in (*seen, changed):
            text = message.get("contact")
            assert not text or f"@{card.sip}>" in text, text
            assert ";ob" not in text
            assert "203.0.113.5" not in message.body.decode()
            if message.body:
                assert "c=IN IP4 192.0.2.77" in sdp_of(message)
        assert all(f"UDP {card.sip}" in message.all("via")[0] for message in seen)
        assert all("outbound" not in message.get("supported") for message in seen)


@pytest.mark.parametrize(("rate", "formats"), [(16000, "9 0 8"), (8000, "0 8 9")])
async def test_the_offer_has_our_codecs_and_nothing_that_nobody_asked_for(start_card: Starter, rate: int, formats: str) -> None:
    async with Phone() as phone:
        card = await start_card(proxy=phone.port, rate=rate)
        leg = await placed(card, phone)
        assert leg.invite is not None
        offer = sdp_of(leg.invite)
        assert re.search(rf"^m=audio \d+ RTP/AVP {formats} \d+\s*$", offer, re.M), offer
        assert len(re.findall("^m=", offer, re.M)) == 1
        for unwanted in ("rtcp-mux", "candidate", "X-nat", "crypto", "GSM", "speex", "iLBC", "L16"):
            assert unwanted not in offer
        assert leg.invite.get("user-agent") == "Switchroom"
        leg.reply(leg.invite, 603)
        await leg.request("ACK")
        media = await phone.open_media()
        other = phone.call(card.sip, media.sdp().replace("RTP/AVP 8 0 101", "RTP/AVP 3 101"))
        assert (await other.response()).status == 488
        other.send("ACK", cseq=1)


async def test_packets_have_20_ms_and_a_silent_talk_sends_as_many(card: CardProcess) -> None:
    async with Phone() as phone:
        talk = await connected(card, phone)
        talk.media.talk(hum(440))
        await talk.media.until_received(40)
        packets = [received.packet for received in talk.media.received]
        assert {len(packet.payload) for packet in packets} == {FRAME}
        steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)}
        assert steps == {FRAME}
        await talk.leg.bye()


async def test_no_more_calls_than_lines_were_asked_for(start_card: Starter) -> None:
    card = await start_card(lines=2)
    async with Phone() as phone:
        talks = [await connected(card, phone) for _ in range(2)]
        late = phone.call(card.sip, talks[0].media.sdp())
        assert (await late.response()).status == 503
        late.send("ACK", cseq=1)
        for talk in talks:
            await talk.leg.bye()
    assert (await card.inventory()).counters["refused"] == 1


async def test_a_long_request_goes_by_udp_at_once(start_card: Starter) -> None:
    """pjsip would have it by TCP, which a card does not speak (RFC 3261 §18.1.1); the edge is on this machine."""
    async with Phone() as phone:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", phone.port))
            tcp.listen()
            tcp.setblocking(False)
            card = await start_card(proxy=phone.port)
            before = asyncio.get_running_loop().time()
            leg = await placed(card, phone, headers={"X-Long": "x" * 1500}, srtp="required")
            assert asyncio.get_running_loop().time() - before < 0.5
            with pytest.raises(BlockingIOError):
                tcp.accept()
            assert leg.invite is not None
            leg.reply(leg.invite, 486)
            await leg.request("ACK")


async def test_a_line_is_taken_until_the_goodbye_is_answered(card: CardProcess) -> None:
    """The end is told at once, and that the line is not free yet before it; a call for it gets 503."""
    async with Phone() as phone:
        talks = [await connected(card, phone) for _ in range((await card.inventory()).lines)]
        first = talks[0]
        await card.do(line.HangUp(first.call, first.party))
        await card.until(line.CallEnded, call=first.call)
        kinds = [type(event) for event in card.events if not isinstance(event, line.CallArrived)]
        assert kinds[-3:] == [line.LinesHeld, line.PartyChanged, line.CallEnded]
        late = phone.call(card.sip, first.media.sdp())
        assert (await late.response()).status == 503
        late.send("ACK", cseq=1)
        await first.leg.hung_up()
        await card.until(line.LinesHeld, lines=0)
        talks[0] = await connected(card, phone)
        for talk in talks:
            await talk.leg.bye()
    assert (await card.inventory()).counters["lines_held"] == 0


async def test_requests_in_a_call_that_are_none_of_ours_get_405(card: CardProcess) -> None:
    async with Phone() as phone:
        talk = await connected(card, phone)
        for method in ("MESSAGE", "SUBSCRIBE", "PUBLISH"):
            talk.leg.send(method, "", "Event: presence")
            refused = await talk.leg.response(method)
            assert refused.status == 405
            assert "INVITE" in refused.get("allow")
        talk.leg.send("NOTIFY", "", "Event: message-summary", "Subscription-State: active")
        assert (await talk.leg.response("NOTIFY")).status >= 400
        await talk.leg.bye()
