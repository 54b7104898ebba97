"""SRTP with keys in the SDP: taken, asked for, insisted on, refused; with a phone on libsrtp and with baresip (libre)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from baresip import Account, AudioNotActive, Config, Runtime, UserAgent

from media.control import line
from sip.linecard.pace import GIVEN_BACK
from tests.sip.linecard.conftest import CardProcess, Starter
from tests.sip.linecard.phone import RATE, Media, Phone, connected, hum, sdp_of
from tests.tools import tones

pytestmark = [pytest.mark.interop, pytest.mark.realtime]


def policy(word: str) -> str:
    return f"X-Switchroom-Srtp: {word}"


async def both_ways(card: CardProcess, call: str, party: str, media: Media, run_dir: Path) -> None:
    """A tone each way: ours in the phone's ear, the phone's in the recording; then the call's end is told."""
    await card.do(line.PlayTone(call, party, "t", 500))
    await card.do(line.Record(call, "r", party, str(run_dir / "rec")))
    media.talk(hum(440))
    await asyncio.sleep(0.2)
    assert tones.dominant(await media.listen(0.4), RATE) == pytest.approx(500, abs=4)
    await card.do(line.EndCall(call))
    left, rate = tones.load((await card.until(line.RecordingEnded)).left)
    assert tones.heard(left, rate, 440) > 0.2
    assert media.bad == 0


@pytest.mark.parametrize(("header", "profile"), [("", ""), (policy("optional"), "RTP/AVP"), (policy("required"), "RTP/SAVP")])
async def test_a_caller_who_offers_keys_gets_some(card: CardProcess, run_dir: Path, header: str, profile: str) -> None:
    async with Phone() as phone:
        media = await phone.open_media(secure=True)
        offer = media.sdp(profile=profile) if profile else ""
        talk = await connected(card, phone, *([header] if header else []), media=media, offer=offer)
        assert (profile or "RTP/SAVP") + " 8" in talk.answer
        assert talk.answer.count("a=crypto:") == 1
        await both_ways(card, talk.call, talk.party, media, run_dir)
        await talk.leg.hung_up()
    ended = await card.until(line.PartyChanged, state="ended")
    assert ended.quality is not None
    assert ended.quality.srtp
    assert "X-Switchroom-Srtp" not in card.events[0].headers


async def test_a_caller_without_keys_is_answered_without(card: CardProcess, run_dir: Path) -> None:
    async with Phone() as phone:
        talk = await connected(card, phone)
        assert "crypto" not in talk.answer
        await both_ways(card, talk.call, talk.party, talk.media, run_dir)
        await talk.leg.hung_up()
    ended = await card.until(line.PartyChanged, state="ended")
    assert ended.quality is not None
    assert not ended.quality.srtp


async def test_what_a_trunk_forbids_gets_488_and_no_call(card: CardProcess) -> None:
    """Required: no plain offer, no keys by DTLS, none too weak. Off: no secure offer; keys with RTP/AVP stay unanswered."""
    async with Phone() as phone:
        media = await phone.open_media(secure=True)
        plain, dtls = media.sdp(profile="RTP/AVP", crypto=""), media.sdp(profile="UDP/TLS/RTP/SAVP", crypto="")
        for word, offer in (("required", plain), ("required", dtls), ("off", media.sdp()), ("optional", dtls)):
            leg = phone.call(card.sip, offer, policy(word))
            refused = await leg.response()
            assert refused.status == 488, word
            leg.send("ACK", cseq=1)
        assert not card.events
        talk = await connected(card, phone, policy("off"), media=media, offer=media.sdp(profile="RTP/AVP"))
        assert "crypto" not in talk.answer
        await talk.leg.bye()


async def test_an_offer_that_pjsua_cannot_answer_leaves_nothing(card: CardProcess) -> None:
    """pjsua refuses these after it has told us of the call, and tells us no more: such legs once stayed, until a crash."""
    assert card.process is not None
    process = psutil.Process(card.process.pid)
    async with Phone() as phone:
        media = await phone.open_media(secure=True)
        descriptors = 0
        for number in range(24):
            await asyncio.sleep(GIVEN_BACK / 20)
            leg = phone.call(card.sip, media.sdp(crypto="1 NULL_NULL inline:AAAA" if number % 2 else ""))
            refused = await leg.response()
            assert refused.status >= 400
            leg.send("ACK", cseq=1)
            ended = await card.until(line.CallEnded, skip=number)
            assert ended.termination.result == "cancelled" or ended.termination.sip_code == refused.status, ended
            descriptors = process.num_fds() if number == 3 else descriptors
        assert process.num_fds() <= descriptors
        inventory = await card.inventory()
        assert inventory.counters["lines_held"] == 0
        talks = [await connected(card, phone) for _ in range(inventory.lines)]
        for talk in talks:
            await talk.leg.bye()


async def test_a_caller_may_turn_to_srtp_and_an_offer_asked_for_keeps_to_the_policy(card: CardProcess) -> None:
    async with Phone() as phone:
        secure = await phone.open_media(secure=True)
        talk = await connected(card, phone)
        await card.do(line.PlayTone(talk.call, talk.party, "t", 500))
        secure.follow(sdp_of(await talk.leg.change(secure.sdp(version=2))))
        secure.talk(hum(440))
        await asyncio.sleep(0.2)
        assert tones.dominant(await secure.listen(0.4), RATE) == pytest.approx(500, abs=4)
        await talk.leg.bye()
        required = phone.call(card.sip, "", policy("required"))
        arrived = await card.until(line.CallArrived, sip_call_id=required.call_id)
        await card.do(line.Answer(arrived.call, arrived.party))
        answer = await required.response(code=200)
        assert "RTP/SAVP 9 0 8 " in sdp_of(answer), sdp_of(answer)
        required.send("ACK", secure.sdp(), cseq=answer.cseq)
        await required.bye()


async def test_a_call_with_another_policy_changes_nothing_for_the_others(card: CardProcess) -> None:
    """pjsua keeps the policy with the account, which all arrivals share."""
    async with Phone() as phone:
        plain = await connected(card, phone)
        secure = await phone.open_media(secure=True)
        strict = await connected(card, phone, policy("required"), media=secure)
        assert "crypto" not in sdp_of(await plain.leg.change(plain.media.sdp(version=2, direction="sendonly")))
        assert "a=crypto" in sdp_of(await strict.leg.change(secure.sdp(version=2, direction="sendonly")))
        for talk in (plain, strict):
            talk.leg.send("UPDATE", talk.media.sdp(version=3))
            assert (await talk.leg.response("UPDATE")).status == 200
            await talk.leg.bye()


@pytest.mark.parametrize(
    ("srtp", "profile", "keys"), [("off", "RTP/AVP", False), ("optional", "RTP/AVP", True), ("required", "RTP/SAVP", True)]
)
async def test_a_leg_offers_what_its_trunk_wants(
    start_card: Starter, run_dir: Path, srtp: line.Srtp, profile: str, keys: bool
) -> None:
    async with Phone() as phone:
        card = await start_card(proxy=phone.port)
        await card.do(line.PlaceLeg("call", "trunk", "lease", "sip:1@carrier.example", "", caller="5000", srtp=srtp))
        leg = await phone.invited()
        assert leg.invite is not None
        offer = sdp_of(leg.invite)
        assert f"{profile} 9 0 8 " in offer
        assert ("a=crypto:" in offer) == keys
        media = await phone.open_media(secure=keys)
        media.follow(offer)
        leg.reply(leg.invite, 200, media.sdp((8,), profile=profile))
        await leg.request("ACK")
        await card.until(line.PartyChanged, state="connected")
        await both_ways(card, "call", "trunk", media, run_dir)
        await leg.hung_up()
        if srtp == "required":
            await card.do(line.PlaceLeg("second", "trunk", "lease", "sip:1@carrier.example", "", srtp=srtp))
            leg = await phone.invited()
            assert leg.invite is not None
            leg.reply(leg.invite, 200, media.sdp((8,), profile="RTP/AVP", crypto=""))
            await leg.hung_up()  # answered without keys: no call


async def test_baresip_insists_on_srtp_and_talks(card: CardProcess, run_dir: Path) -> None:
    """An independent stack: both hear the other's tone; nothing on the wire is plain (the answer is RTP/SAVP)."""
    runtime = Runtime()
    await runtime.start(Config(net_interface="127.0.0.1"))
    try:
        account = Account("4930", "127.0.0.1", "", reg_interval=0, audio_codecs=("pcma",), extra_params=("mediaenc=srtp-mand",))
        agent = await UserAgent.create(runtime, account)
        dialling = asyncio.create_task(agent.dial(f"sip:5000@{card.sip}"))
        arrived = await card.until(line.CallArrived)
        await card.do(line.Answer(arrived.call, arrived.party))
        call = await dialling
        await call.wait_established(10)
        await card.do(line.PlayTone(arrived.call, arrived.party, "t", 500))
        await card.do(line.Record(arrived.call, "r", arrived.party, str(run_dir / "rec")))
        heard = bytearray()
        with contextlib.suppress(AudioNotActive):
            async with asyncio.timeout(10):
                while len(heard) < 8000 * 2:
                    info = call.audio.info()
                    if info.rx_ready:
                        heard += call.audio.read(8000)
                    if info.tx_ready and info.tx_buffered < 1600:
                        call.audio.write(tones.sine(440, 0.1, info.tx_sample_rate).tobytes())
                    await asyncio.sleep(0.01)
        assert tones.dominant(np.frombuffer(bytes(heard[-8000:]), np.int16), 8000) == pytest.approx(500, abs=4)
        await card.do(line.EndCall(arrived.call))
        left, rate = tones.load((await card.until(line.RecordingEnded)).left)
        assert tones.heard(left, rate, 440) > 0.4
        ended = await card.until(line.PartyChanged, state="ended")
        assert ended.quality is not None
        assert ended.quality.srtp
    finally:
        await runtime.close()
