"""What the other side changes in a call that stands: hold in every form, codec, port, offers without SDP; early media."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from media.control import line
from tests.sip.linecard.agent import RATE, Agent, between
from tests.sip.linecard.conftest import CardProcess, Starter
from tests.sip.linecard.phone import RATE as PHONE_RATE
from tests.sip.linecard.phone import Phone, Talk, connected, direction, hum, rtp_port, sdp_of
from tests.tools import tones

pytestmark = [pytest.mark.interop, pytest.mark.realtime]


async def hears(talk: Talk, hz: float) -> None:
    """The phone hears this tone (0: nothing) soon."""
    await until_heard(talk.media.listen, PHONE_RATE, hz)


async def agent_hears(agent: Agent, hz: float) -> None:
    """The agent hears this tone (0: nothing) soon."""
    await until_heard(agent.listen, RATE, hz)


async def until_heard(listen: Callable[[float], Awaitable[Any]], rate: int, hz: float) -> None:
    heard: Any = ()
    for _ in range(15):
        heard = await listen(0.2)
        if abs(tones.dominant(heard, rate) - hz) <= 8 if hz else tones.power(heard) < -60:
            return
    raise AssertionError(f"{tones.dominant(heard, rate)} Hz is heard, not {hz}")


async def test_a_caller_holds_and_comes_back(card: CardProcess) -> None:
    """While it holds it hears nothing of us and may be silent for longer than the time-out; afterwards all is as before."""
    await card.do(line.Configure(media_timeout=1.0))
    async with asyncio.TaskGroup() as group:
        for form in ("sendonly", "inactive", "0.0.0.0"):
            group.create_task(held_and_resumed(card, form))
    assert len([event for event in card.events if isinstance(event, line.MediaTimeout)]) == 1


async def held_and_resumed(card: CardProcess, form: str) -> None:
    """One caller who holds by this form of SDP; the first kind is silent in the end, and hung up."""
    async with Phone() as phone:
        talk = await connected(card, phone)
        talk.media.talk(hum(440))
        async with Agent(card, talk.call, "agent", 880) as agent:
            await card.do(line.SetLinks(talk.call, between(talk.party, "agent")))
            await hears(talk, 880)
            hold = talk.media.sdp(version=2, host=form) if form == "0.0.0.0" else talk.media.sdp(version=2, direction=form)
            answer = await talk.leg.change(hold)
            assert (await card.until(line.PartyHeld, party=talk.party)).on
            records = {call.call: call for call in (await card.inventory()).calls}
            assert records[talk.call].parties[0].held
            if form == "sendonly":
                assert direction(sdp_of(answer)) == "recvonly"
                talk.media.talk(hum(620))  # the music of its own exchange
                await agent_hears(agent, 620)
            else:
                await agent_hears(agent, 0)
            talk.media.hush()
            await asyncio.sleep(0.1)
            assert len(await talk.media.listen(1.8)) == 0
            await talk.leg.change(talk.media.sdp(version=3))
            await card.until(line.PartyHeld, party=talk.party, on=False)
            talk.media.talk(hum(440))
            await hears(talk, 880)
            await agent_hears(agent, 440)
            if form == "sendonly":
                talk.media.hush()
                await card.until(line.MediaTimeout, 4.0, party=talk.party)
                await talk.leg.hung_up()
            else:
                await talk.leg.bye()


async def test_music_waits_for_a_caller_who_comes_back(card: CardProcess, prompt: Callable[[float, float], str]) -> None:
    """Music and links that were ordered while the caller held the call are there when it comes back."""
    async with Phone() as phone:
        talk = await connected(card, phone)
        talk.media.talk(hum(440))
        await talk.leg.change(talk.media.sdp(version=2, direction="inactive"))
        await card.do(line.Music(talk.call, talk.party, True, prompt(600, 1.0)))
        await asyncio.sleep(0.2)
        assert not len(await talk.media.listen(0.3))
        await talk.leg.change(talk.media.sdp(version=3))
        await hears(talk, 600)
        await talk.leg.bye()


async def test_codec_and_port_change_and_audio_goes_on(card: CardProcess) -> None:
    """By re-INVITE and by UPDATE; where RTP comes from and goes to follows."""
    async with Phone() as phone:
        talk = await connected(card, phone)
        talk.media.talk(hum(440))
        async with Agent(card, talk.call, "agent", 880) as agent:
            await card.do(line.SetLinks(talk.call, between(talk.party, "agent")))
            await hears(talk, 880)
            old, talk.media = talk.media, await phone.open_media()
            answer = sdp_of(await talk.leg.change(talk.media.sdp((0,), version=2)))
            talk.media.follow(answer)
            old.hush()
            talk.media.talk(hum(460), 0)
            await hears(talk, 880)
            await agent_hears(agent, 460)
            assert {r.packet.payload_type for r in talk.media.received} == {0}
            last, talk.media = talk.media, await phone.open_media()
            talk.leg.send("UPDATE", talk.media.sdp((8,), version=3))
            updated = await talk.leg.response("UPDATE")
            assert updated.status == 200
            talk.media.follow(sdp_of(updated))
            last.hush()
            talk.media.talk(hum(480))
            await hears(talk, 880)
            await agent_hears(agent, 480)
            talk.leg.send("UPDATE")  # no SDP: only the session is refreshed
            assert (await talk.leg.response("UPDATE")).status == 200
            await hears(talk, 880)
            assert old.received
            count = len(old.received)
            await asyncio.sleep(0.1)
            assert len(old.received) == count
        await talk.leg.bye()


async def test_a_reinvite_without_sdp_gets_our_offer(card: CardProcess) -> None:
    """From a caller who held the call: our offer takes it back; its answer chooses the codec."""
    async with Phone() as phone:
        talk = await connected(card, phone)
        async with Agent(card, talk.call, "agent", 880) as agent:
            await card.do(line.SetLinks(talk.call, between(talk.party, "agent")))
            await talk.leg.change(talk.media.sdp(version=2, direction="sendonly"))
            await card.until(line.PartyHeld, on=True)
            talk.leg.send("INVITE")
            answer = await talk.leg.response()
            offer = sdp_of(answer)
            assert direction(offer) == "sendrecv"
            assert "a=crypto" not in offer
            assert f"m=audio {rtp_port(talk.answer)} RTP/AVP 9 0 8 " in offer
            talk.leg.send("ACK", talk.media.sdp((0,), version=3), cseq=answer.cseq)
            await card.until(line.PartyHeld, on=False)
            talk.media.talk(hum(440), 0)
            await hears(talk, 880)
            await agent_hears(agent, 440)
        await talk.leg.bye()


async def test_an_invite_without_sdp_gets_our_offer(card: CardProcess) -> None:
    async with Phone() as phone:
        media = await phone.open_media()
        leg = phone.call(card.sip, "")
        arrived = await card.until(line.CallArrived)
        await card.do(line.PlayTone(arrived.call, arrived.party, "t", 500))
        await card.do(line.Answer(arrived.call, arrived.party))
        answer = await leg.response(code=200)
        offer = sdp_of(answer)
        assert "RTP/AVP 9 0 8 " in offer
        media.follow(offer)
        leg.send("ACK", media.sdp((8,)), cseq=answer.cseq)
        media.talk(hum(440))
        await hears(Talk(arrived.call, arrived.party, leg, media, offer), 500)
        await leg.bye()


async def test_early_media_is_heard_before_the_answer(card: CardProcess) -> None:
    """What a caller sends before the answer is heard too; the answer changes nothing in the media."""
    async with Phone() as phone:
        media = await phone.open_media()
        leg = phone.call(card.sip, media.sdp())
        arrived = await card.until(line.CallArrived)
        async with Agent(card, arrived.call, "agent", 880) as agent:
            await card.do(line.SetLinks(arrived.call, between(arrived.party, "agent")))
            await card.do(line.Answer(arrived.call, arrived.party, 183))
            progress = await leg.response(code=183)
            media.follow(sdp_of(progress))
            media.talk(hum(440))
            talk = Talk(arrived.call, arrived.party, leg, media, sdp_of(progress))
            await hears(talk, 880)
            await agent_hears(agent, 440)
            await card.do(line.Answer(arrived.call, arrived.party))
            answer = await leg.established()
            assert rtp_port(sdp_of(answer)) == rtp_port(sdp_of(progress))
            await card.until(line.PartyChanged, state="connected", party=arrived.party)
            await hears(talk, 880)
            await agent_hears(agent, 440)
        await leg.bye()
    ssrcs = {received.packet.ssrc for received in media.received}
    assert len(ssrcs) == 1


async def test_early_media_of_a_leg_is_heard_before_its_answer(start_card: Starter) -> None:
    """A carrier's announcement; the answer then comes from another port, with other audio."""
    async with Phone() as phone:
        card = await start_card(proxy=phone.port)
        await card.do(line.PlaceLeg("call", "trunk", "lease", "sip:1@carrier.example", ""))
        leg = await phone.invited()
        assert leg.invite is not None
        early, late = await phone.open_media(), await phone.open_media()
        async with Agent(card, "call", "agent", 880) as agent:
            await card.do(line.SetLinks("call", between("trunk", "agent")))
            early.follow(sdp_of(leg.invite))
            leg.reply(leg.invite, 183, early.sdp((8,)))
            await card.until(line.PartyChanged, state="early")
            early.talk(hum(620))
            await agent_hears(agent, 620)
            early.hush()
            late.follow(sdp_of(leg.invite))
            leg.reply(leg.invite, 200, late.sdp((8,), version=2))
            await leg.request("ACK")
            late.talk(hum(440))
            await agent_hears(agent, 440)
            await hears(Talk("call", "trunk", leg, late, ""), 880)
            await card.do(line.EndCall("call"))
            await leg.hung_up()


async def test_a_caller_who_changes_its_mind_twice_gets_491_or_an_answer(card: CardProcess) -> None:
    """A second offer while the first one is under way; the call lives on."""
    async with Phone() as phone:
        talk = await connected(card, phone)
        first = talk.leg.send("INVITE", talk.media.sdp(version=2, direction="sendonly"))
        talk.leg.send("INVITE", talk.media.sdp(version=3))
        statuses = []
        for _ in range(2):
            response = await talk.leg.response()
            statuses.append(response.status)
            talk.leg.send("ACK", cseq=response.cseq)
        assert 200 in statuses
        assert set(statuses) <= {200, 491, 500}, (first, statuses)
        await talk.leg.change(talk.media.sdp(version=4))
        await hears(talk, 0)
        await talk.leg.bye()
