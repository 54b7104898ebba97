"""Trunks: who they are, what they must prove, how much they may have, how numbers are written, and after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from media.control import edge as messages
from media.control import line
from media.control.envelope import ControlError
from sip.digest import Challenge
from sip.edge.admission import Admission
from sip.edge.counters import Counters
from sip.edge.rates import Rates
from sip.edge.secret import Signer
from sip.edge.settings import LOOPBACK
from sip.edge.sources import Sources
from sip.edge.trunks import TrunkCalls, rewritten
from sip.message import Request, Response
from sip.uri import split_host_port
from tests.sip.edge.peers import SDP, FakeCard, Front, Phone, StreamPhone, answer, edge_here
from tests.sip.edge.test_calls import inner, invited, leased, leg, talking
from tests.sip.edge.test_streams import contexts, reach, tls

pytestmark = pytest.mark.layer


async def configure(edge: Front, card: FakeCard, *trunks: messages.Trunk) -> None:
    control = messages.CardAddress("linecard0", str(card.run / "linecard0.ctl"))
    await edge.client.command(messages.Configure([control], list(trunks), []))


def trunk(phone: Phone, **how: Any) -> messages.Trunk:
    host, port = phone.address
    return messages.Trunk("carrier", [f"{host}/32"], f"{host}:{port}", **how)


@pytest_asyncio.fixture
async def other() -> AsyncIterator[Phone]:
    """Somebody who is allowed and no trunk."""
    peer = Phone()
    await peer.open("127.0.0.2")
    yield peer
    peer.close()


# --- digest -----------------------------------------------------------------------------------------------------------


def authorised(phone: Phone, invite: Request, challenge: Response, password: str) -> Request:
    text = Challenge.parse(challenge.headers["Proxy-Authenticate"]).answered("INVITE", invite.target, "them", password)
    again = phone.build(
        "INVITE",
        invite.target,
        call_id=invite.call_id,
        from_tag=invite.from_address.parameters["tag"] or "",
        cseq=2,
        extra=(("Proxy-Authorization", text),),
    )
    phone.send(phone.same_transaction(invite, "ACK", challenge.headers["To"]), ("127.0.0.1", 9))
    return again


async def test_a_trunk_must_prove_who_it_is(edge: Front, phone: Phone, card: FakeCard, other: Phone) -> None:
    await configure(edge, card, trunk(phone, peer_username="them", peer_password="secret"))
    invite = phone.build("INVITE", f"sip:5000@{edge.uri}")
    phone.send(invite, edge.address)
    challenge = await phone.response(407)
    phone.send(invite, edge.address)
    assert bytes(await phone.response(407)) == bytes(challenge), "a retransmission has the same answer"
    phone.send(authorised(phone, invite, challenge, "wrong"), edge.address)
    again = await phone.response(407)
    assert Challenge.parse(again.headers["Proxy-Authenticate"]).stale is False
    good = authorised(phone, invite, again, "secret")
    phone.send(good, edge.address)
    got = await card.sip.request("INVITE")
    assert "Proxy-Authorization" not in got.headers
    assert got.headers["X-Switchroom-Trunk"] == "carrier"
    stolen = phone.build("INVITE", invite.target, extra=(("Proxy-Authorization", good.headers["Proxy-Authorization"]),))
    phone.send(stolen, edge.address)
    challenge = await phone.response(407)
    assert Challenge.parse(challenge.headers["Proxy-Authenticate"]).stale is True, "good for its own call only"
    assert (await invited(edge, other, card))[1].headers.get("X-Switchroom-Trunk") is None
    assert card.sip.inbox.empty()


async def test_a_nonce_is_honoured_by_the_next_edge_and_by_no_later_time(
    run: Path, phone: Phone, card: FakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = 0
    async with edge_here(run) as edge:
        await edge.cards(1)
        port = edge.address[1]
        await configure(edge, card, trunk(phone, peer_username="them", peer_password="secret"))
        invite = phone.build("INVITE", f"sip:5000@{edge.uri}")
        phone.send(invite, edge.address)
        challenge = await phone.response(407)
    async with edge_here(run, port) as edge:  # nobody configured this one: it remembers its trunks
        await edge.cards(1)
        phone.send(authorised(phone, invite, challenge, "secret"), edge.address)
        await card.sip.request("INVITE")
    monkeypatch.setattr("sip.edge.admission.NONCE_SECONDS", -1)
    async with edge_here(run, port) as edge:
        await edge.cards(1)
        phone.send(authorised(phone, invite, challenge, "secret"), edge.address)
        assert Challenge.parse((await phone.response(407)).headers["Proxy-Authenticate"]).stale


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_concurrent_calls_both_ways_and_after_a_restart(run: Path, card: FakeCard, phone: Phone, other: Phone) -> None:
    async with edge_here(run) as edge:
        await edge.cards(1)
        port = edge.address[1]
        await configure(edge, card, trunk(phone, max_calls=2))
        _, ours = await talking(edge, phone, card)
        inbound = line.CallArrived("c1", "p1", ours.call_id, "x", "1", "5000", source=f"127.0.0.1:{phone.address[1]}")
        party = line.PartyRecord("p1", "sip", "connected", sip_call_id=ours.call_id)
        first = line.CallRecord("c1", inbound, 0.0, 0.0, [party], [])
        card.calls = [first]
        held, door = await leased(edge)
        outbound = leg(card, held, "sip:1@carrier")
        card.sip.send(outbound, door)
        went = await phone.request("INVITE")
        phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
        await phone.response(503)
        await edge.client.command(messages.LeaseLine("l2"), messages.Lease)
        card.sip.send(leg(card, held, "sip:2@carrier", "l2"), door)
        await card.sip.response(503)
        (state,) = (await edge.inventory()).trunks
        assert (state.name, state.calls, state.max_calls, state.refused, state.registration) == ("carrier", 2, 2, 2, "")
        assert len(await invited(edge, other, card)) == 2, "others are not held up"
        sent = line.PartyRecord("p2", "sip", "dialling", sip_call_id=went.call_id, peer="sip:1@carrier")
        card.calls = [first, line.CallRecord("c2", None, 0.0, 0.0, [sent], [])]
    async with edge_here(run, port) as edge:
        await edge.cards(1)
        phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
        await phone.response(503)
        assert (await edge.inventory()).trunks[0].calls == 2
        card.sip.send(outbound, door)  # what passed the edge before passes again
        assert (await phone.request("INVITE")).call_id == went.call_id
        card.control.emit(line.PartyChanged("c2", "p2", "ended"))
        await edge.used(1)
        await invited(edge, phone, card)


async def test_the_card_that_refuses_gives_the_trunks_call_back(edge: Front, phone: Phone, card: FakeCard) -> None:
    await configure(edge, card, trunk(phone, max_calls=1))
    for _ in range(3):
        _, got = await invited(edge, phone, card)
        card.sip.send(answer(got, 486, tag="t"), inner(got))
        await phone.response(486)
    held, door = await leased(edge)
    invite = leg(card, held, "sip:1@carrier")
    card.sip.send(invite, door)
    got = await phone.request("INVITE")
    challenge = answer(got, 407, tag="x")
    phone.send(challenge, edge.address)
    await card.sip.response(407)
    again = card.sip.build(
        "INVITE",
        invite.target,
        call_id=invite.call_id,
        from_tag=invite.from_address.parameters["tag"] or "",
        cseq=2,
        routes=[f"<{held.proxy}>"],
        extra=(("X-Switchroom-Lease", "l1"),),
    )
    card.sip.send(again, door)
    got = await phone.request("INVITE")
    phone.send(answer(got, 486, tag="x"), edge.address)
    await card.sip.response(486)
    assert (await edge.inventory()).trunks[0].calls == 0


async def test_calls_a_second(edge: Front, phone: Phone, card: FakeCard) -> None:
    await configure(edge, card, trunk(phone, max_calls_per_second=2.0))
    sent = [phone.build("INVITE", f"sip:5000@{edge.uri}") for _ in range(3)]
    for invite in sent:  # in one moment, however slow the machine is
        phone.send(invite, edge.address)
    got = {(await card.sip.request("INVITE")).call_id for _ in range(2)}
    refused = sent[2]
    assert (await phone.response(503)).headers["Call-ID"] == refused.call_id
    await asyncio.sleep(0.6)  # a token comes back
    phone.send(refused, edge.address)
    await phone.response(503)  # but what was refused stays refused
    await invited(edge, phone, card)
    assert got == {invite.call_id for invite in sent[:2]}


async def test_a_flood_of_one_source_is_refused_and_leaves_the_others_alone(
    run: Path, card: FakeCard, phone: Phone, other: Phone
) -> None:
    async with edge_here(run, flood=2.0, flood_loopback=True) as edge:
        await edge.cards(1)
        sent = [phone.build("INVITE", f"sip:5000@{edge.uri}") for _ in range(6)]
        for invite in sent:
            phone.send(invite, edge.address)
        for _ in range(2):
            await card.sip.request("INVITE")
        for _ in range(4):
            assert "Retry-After" not in (await phone.response(503)).headers
        await asyncio.sleep(0.6)
        phone.send(sent[5], edge.address)
        await phone.response(503)
        await invited(edge, other, card)
        assert (await edge.inventory()).counters["invites.flood"] == 4


def test_rates_are_bounded_and_refill() -> None:
    rates = Rates(2)
    assert [rates.take("a", 2.0, 0.0) for _ in range(3)] == [True, True, False]
    assert rates.take("a", 2.0, 0.5)
    assert not rates.take("a", 2.0, 0.5)
    assert rates.take("slow", 0.1, 0.0)
    assert not rates.take("slow", 0.1, 9.0)
    assert rates.take("slow", 0.1, 10.1)
    assert rates.take("b", 1.0, 1.0)
    assert len(rates) == 2


# --- TLS required, SRTP -----------------------------------------------------------------------------------------------


async def test_a_trunk_that_must_use_tls(run: Path, card: FakeCard, phone: Phone) -> None:
    secure = StreamPhone(*contexts(run))
    await secure.open()
    async with edge_here(run, **tls(run)) as edge:
        await edge.cards(1)
        how: dict[str, Any] = {"transport": "tls", "tls_required": True, "srtp": "required"}
        await configure(edge, card, trunk(secure, **how, tls_verify=False))
        for method in ("INVITE", "OPTIONS"):
            phone.send(phone.build(method, f"sip:5000@{edge.uri}"), edge.address)
            await phone.response(403)
        await reach(secure, edge)
        _, got = await invited(edge, secure, card)
        assert got.headers["X-Switchroom-Srtp"] == "required"
        held, door = await leased(edge)
        card.sip.send(leg(card, held, "sip:1@carrier"), door)
        went = await secure.request("INVITE")
        assert went.target == f"sip:1@127.0.0.1:{secure.address[1]};transport=tls"
        await configure(edge, card, trunk(secure, **how))  # now its certificate must be one that we trust
        await edge.client.command(messages.LeaseLine("l2"), messages.Lease)
        card.sip.send(leg(card, held, "sip:1@carrier", "l2"), door)
        await card.sip.response(503)
        authority = str(run / "phone" / "switchroom.crt")
        await configure(edge, card, trunk(secure, **how, tls_ca=authority))
        await edge.client.command(messages.LeaseLine("l3"), messages.Lease)
        card.sip.send(leg(card, held, "sip:1@carrier", "l3"), door)
        await secure.request("INVITE")
        with pytest.raises(ControlError, match="CA file"):
            await configure(edge, card, trunk(secure, **how, tls_ca="/nowhere"))
    secure.close()


async def test_without_a_tls_socket_a_tls_trunk_cannot_be_called(edge: Front, phone: Phone, card: FakeCard) -> None:
    await configure(edge, card, trunk(phone, transport="tls"))
    held, door = await leased(edge)
    card.sip.send(leg(card, held, "sip:1@carrier"), door)
    await card.sip.response(502)


# --- numbers ----------------------------------------------------------------------------------------------------------


async def test_numbers_are_ours_inside_and_theirs_outside(edge: Front, phone: Phone, card: FakeCard) -> None:
    rules: dict[str, Any] = {"numbers_in": {"00": "+", "0": "+49", "": ""}, "numbers_out": {"+49": "0", "+": "00"}}
    await configure(edge, card, trunk(phone, **rules))
    invite = phone.build("INVITE", f"sip:030123@{edge.uri}", body=SDP)
    invite.headers.set("P-Asserted-Identity", "<sip:0043199@x>, <tel:+1>")
    phone.send(invite, edge.address)
    got = await card.sip.request("INVITE")
    assert got.target.startswith("sip:+4930123@")
    assert got.headers["X-Switchroom-Caller"] == "+43199"
    assert got.headers["From"] == invite.headers["From"], "it names the dialog"
    phone.send(phone.same_transaction(invite, "CANCEL"), edge.address)
    assert (await card.sip.request("CANCEL")).target == got.target
    held, door = await leased(edge)
    for lease, number, wanted in (("l1", "+4930123", "030123"), ("l2", "+43199", "0043199"), ("l3", "110", "110")):
        await edge.client.command(messages.LeaseLine(lease), messages.Lease)
        out = leg(card, held, f"sip:{number}@carrier", lease)
        card.sip.send(out, door)
        went = await phone.request("INVITE")
        assert went.target == f"sip:{wanted}@127.0.0.1:{phone.address[1]}"
        phone.send(answer(went, 180, tag="t"), edge.address)
        await card.sip.response(180)
        card.sip.send(card.sip.same_transaction(out, "CANCEL"), door)
        assert (await phone.request("CANCEL")).target == went.target


@given(st.text("0123456789+", max_size=12), st.dictionaries(st.text("0+", max_size=3), st.text("1+", max_size=3), max_size=4))
def test_the_longest_beginning_wins(number: str, rules: dict[str, str]) -> None:
    fits = sorted((start for start in rules if number.startswith(start)), key=len)
    expected = rules[fits[-1]] + number[len(fits[-1]) :] if fits else number
    assert rewritten(number, rules) == expected


async def test_a_dialled_contact_means_the_number_in_to(edge: Front, phone: Phone, card: FakeCard) -> None:
    """A carrier that we register with calls our Contact."""
    host, port = phone.address
    registering = messages.Trunk("carrier", [f"{host}/32"], f"{host}:{port}", username="acct", password="x", register=True)
    await configure(edge, card, registering)
    invite = phone.build("INVITE", f"sip:acct@{edge.uri}")
    invite.headers.set("To", "<sip:+4930777@carrier.example>")
    while True:
        phone.send(invite, edge.address)
        if not card.sip.inbox.empty():
            break
        await asyncio.sleep(0.01)
    assert (await card.sip.request("INVITE")).target.startswith("sip:+4930777@")
    assert split_host_port(edge.uri)


def test_a_trunk_at_its_limit_is_told_once_a_minute_and_how_often_it_was() -> None:
    """A line for each refused call would fill the disk in the night in which a carrier goes mad."""
    calls = TrunkCalls(Sources(LOOPBACK))
    admission = Admission(calls, Signer(b"key"), Counters(), 0.0, loopback=False, wall=lambda: 0.0)
    mad = messages.Trunk("mad", ["192.0.2.1"], "", max_calls_per_second=1)
    with capture_logs() as lines:
        for number in range(1, 1001):
            admission.limit(mad, number * 0.0001)
        admission.limit(mad, 60.5)
        admission.limit(mad, 60.6)
    assert [line["refused"] for line in lines] == [1, 1000]
