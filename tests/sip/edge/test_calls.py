"""Calls through the edge, inbound and outbound: what each side gets, and that every message finds its way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media.control import edge as messages
from media.control import line
from media.control.envelope import ControlError
from sip.message import Request, TopVia
from sip.uri import NameAddress, split_host_port
from tests.sip.edge.peers import SDP, Dialog, FakeCard, Front, Phone, answer, edge_here

pytestmark = pytest.mark.layer


async def invited(edge: Front, phone: Phone, card: FakeCard, **how: object) -> tuple[Request, Request]:
    """An INVITE as sent and as it reached the card."""
    invite = phone.build("INVITE", f"sip:5000@{edge.uri}", body=SDP, **how)  # type: ignore[arg-type]
    phone.send(invite, edge.address)
    return invite, await card.sip.request("INVITE")


async def talking(edge: Front, phone: Phone, card: FakeCard) -> tuple[Dialog, Dialog]:
    """An answered call: the caller's and the card's view of the dialog."""
    _, got = await invited(edge, phone, card)
    card.arrived(got)
    ok = answer(got, 200, "OK", contact=card.sip.contact, tag="cardtag", body=SDP)
    card.sip.send(ok, inner(got))
    response = await phone.response(200)
    caller = Dialog.of_client(response)
    ack = caller.request(phone, "ACK", cseq=1)
    phone.send(ack, edge.address)
    assert (await card.sip.request("ACK")).target == target_of(card)
    return caller, Dialog.of_server(got, ok)


def inner(request: Request) -> tuple[str, int]:
    return TopVia.parse(request.headers["Via"]).reply_to


def target_of(card: FakeCard, user: str = "peer") -> str:
    return f"sip:{user}@{card.sip.address[0]}:{card.sip.address[1]}"


async def test_an_invite_reaches_the_card_with_what_it_needs(edge: Front, phone: Phone, card: FakeCard) -> None:
    extra = (
        ("X-Customer", "42"),
        ("Diversion", "<sip:1@x>"),
        ("X-Switchroom-Lease", "forged"),
        ("X-Switchroom-Source", "1.1.1.1:1"),
        ("Alert-Info", "<http://x>"),
    )
    sent, got = await invited(edge, phone, card, extra=extra)
    assert got.target == target_of(card, "5000")
    assert got.headers["X-Switchroom-Source"] == f"127.0.0.1:{phone.address[1]}"
    assert (got.headers["X-Customer"], got.headers["Diversion"]) == ("42", "<sip:1@x>")
    assert "Alert-Info" not in got.headers
    assert "X-Switchroom-Lease" not in got.headers
    assert got.headers["Max-Forwards"] == "69"
    top, outer = [NameAddress.parse(v).uri for v in got.headers.getlist("Record-Route")]
    assert (top.parameter("card"), top.parameter("gen")) == ("linecard0", card.control.generation)
    assert top.address == inner(got)
    assert top.parameter("lr") == outer.parameter("lr") == ""
    assert outer.address == edge.address
    assert [v.parameters.get("received") for v in got.via] == [None, "127.0.0.1"]
    assert got.via[1].parameters["rport"] == str(phone.address[1])
    assert (got.headers["From"], got.call_id, got.body) == (sent.headers["From"], sent.call_id, SDP)


async def test_a_call_both_ways(edge: Front, phone: Phone, card: FakeCard) -> None:
    caller, ours = await talking(edge, phone, card)
    assert caller.target == f"sip:peer@{edge.uri}"  # the card's Contact left as a public one
    for method in ("INVITE", "INFO", "UPDATE", "NOTIFY", "REFER", "PRACK", "OPTIONS"):
        request = caller.request(phone, method)
        phone.send(request, edge.address)
        got = await card.sip.request(method)
        assert got.target == target_of(card)
        assert "Route" not in got.headers
        card.sip.send(answer(got, 200, "OK", contact=card.sip.contact), inner(got))
        assert (await phone.response(200)).headers.getlist("Via") == [
            v + f"={phone.address[1]};received=127.0.0.1" for v in request.headers.getlist("Via")
        ]

        request = ours.request(card.sip, method)
        card.sip.send(request, inner(got))
        got = await phone.request(method)
        assert got.target == phone.contact.strip("<>")
        assert "Route" not in got.headers
        if method == "INVITE":
            assert NameAddress.parse(got.headers["Contact"]).uri.address == edge.address
        phone.send(answer(got, 200, "OK", contact=phone.contact), edge.address)
        assert len((await card.sip.response(200)).via) == 1
    phone.send(caller.request(phone, "BYE"), edge.address)
    bye = await card.sip.request("BYE")
    card.sip.send(answer(bye, 200, "OK"), inner(bye))
    await phone.response(200)


async def test_the_card_hangs_up(edge: Front, phone: Phone, card: FakeCard) -> None:
    _, ours = await talking(edge, phone, card)
    card.sip.send(ours.request(card.sip, "BYE"), NameAddress.parse(ours.routes[0]).uri.address)
    bye = await phone.request("BYE")
    phone.send(answer(bye, 200, "OK"), edge.address)
    await card.sip.response(200)


async def test_a_peer_that_lost_its_route_set_is_helped(edge: Front, phone: Phone, card: FakeCard) -> None:
    caller, _ = await talking(edge, phone, card)
    caller.routes = []
    phone.send(caller.request(phone, "BYE"), edge.address)
    assert (await card.sip.request("BYE")).target == target_of(card)


async def test_cancel_and_the_ack_of_a_refusal_take_the_branch_of_their_invite(
    edge: Front, phone: Phone, card: FakeCard
) -> None:
    sent, got = await invited(edge, phone, card)
    phone.send(phone.same_transaction(sent, "CANCEL"), edge.address)
    cancel = await card.sip.request("CANCEL")
    assert cancel.headers["Via"] == got.headers["Via"]
    assert cancel.target == got.target
    card.sip.send(answer(cancel, 200, "OK"), inner(got))
    await phone.response(200)
    card.sip.send(answer(got, 487, "Request Terminated", tag="t"), inner(got))
    refused = await phone.response(487)
    phone.send(phone.same_transaction(sent, "ACK", refused.headers["To"]), edge.address)
    assert (await card.sip.request("ACK")).headers["Via"] == got.headers["Via"]


async def test_a_retransmission_goes_to_the_same_card_and_takes_no_second_line(
    edge: Front, phone: Phone, card: FakeCard
) -> None:
    other = await FakeCard(card.run, "linecard1").open()
    try:
        await edge.cards(2)
        sent, got = await invited(edge, phone, card)
        for _ in range(5):
            phone.send(sent, edge.address)
            assert bytes(await card.sip.request("INVITE")) == bytes(got)
        assert other.sip.inbox.empty()
        assert [c.leased for c in (await edge.inventory()).cards if c.card == "linecard0"] == [1]
    finally:
        await other.die()


async def test_lines_are_counted_and_the_fifth_caller_gets_503(edge: Front, phone: Phone, card: FakeCard) -> None:
    got: list[Request] = []
    for number in range(4):
        got.append((await invited(edge, phone, card))[1])
        card.arrived(got[-1], f"c{number}")
    phone.send(phone.build("OPTIONS", f"sip:{edge.uri}"), edge.address)
    await edge.used(4)
    fifth = phone.build("INVITE", f"sip:5000@{edge.uri}")
    phone.send(fifth, edge.address)
    codes = [await phone.response() for _ in range(2)]
    refused = next(r for r in codes if r.cseq.method == "INVITE")
    assert refused.code == 503
    assert "Retry-After" not in refused.headers
    phone.send(phone.same_transaction(fifth, "ACK", refused.headers["To"]), edge.address)
    phone.send(phone.build("OPTIONS", f"sip:{edge.uri}"), edge.address)
    await phone.response(503)
    card.ended("c0")
    await edge.used(3)
    phone.send(fifth, edge.address)  # a late retransmission of what was refused stays refused
    await phone.response(503)
    phone.send(phone.build("OPTIONS", f"sip:{edge.uri}"), edge.address)
    assert "INVITE" in (await phone.response(200)).headers["Allow"]
    assert card.sip.inbox.empty()


async def test_a_card_that_refuses_gives_the_line_back(edge: Front, phone: Phone, card: FakeCard) -> None:
    for _ in range(6):
        _, got = await invited(edge, phone, card)
        card.sip.send(answer(got, 486, "Busy Here", tag="t"), inner(got))
        await phone.response(486)


async def test_the_running_card_is_filled_first(edge: Front, phone: Phone, card: FakeCard) -> None:
    idle = await FakeCard(card.run, "linecard1").open()
    await edge.cards(2)
    idle.control.emit(line.CallArrived("x", "p", "i", "t", "1", "2"))
    await edge.used(1)
    for _ in range(3):
        phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
        await idle.sip.request("INVITE")
    phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
    await card.sip.request("INVITE")
    await idle.die()


# --- outbound ---------------------------------------------------------------------------------------------------------


async def leased(edge: Front, lease: str = "l1") -> tuple[messages.Lease, tuple[str, int]]:
    held = await edge.client.command(messages.LeaseLine(lease), messages.Lease)
    return held, NameAddress.parse(f"<{held.proxy}>").uri.address


def leg(card: FakeCard, held: messages.Lease, target: str, lease: str = "l1") -> Request:
    return card.sip.build("INVITE", target, routes=[f"<{held.proxy}>"], extra=(("X-Switchroom-Lease", lease),), body=SDP)


async def test_an_outbound_call_both_ways(edge: Front, phone: Phone, card: FakeCard) -> None:
    held, door = await leased(edge)
    assert held.card == "linecard0"
    invite = leg(card, held, phone.contact.strip("<>"))
    card.sip.send(invite, door)
    got = await phone.request("INVITE")
    assert "X-Switchroom-Lease" not in got.headers
    assert "Route" not in got.headers
    assert NameAddress.parse(got.headers["Contact"]).uri.address == edge.address
    outer, inside = [NameAddress.parse(v).uri for v in got.headers.getlist("Record-Route")]
    assert outer.address == edge.address
    assert inside.parameter("card") == "linecard0"
    phone.send(answer(got, 180, "Ringing", tag="far"), edge.address)
    await card.sip.response(180)
    ok = answer(got, 200, "OK", contact=phone.contact, tag="far", body=SDP)
    phone.send(ok, edge.address)
    ours = Dialog.of_client(await card.sip.response(200))
    card.sip.send(ours.request(card.sip, "ACK", cseq=1), door)
    assert (await phone.request("ACK")).target == phone.contact.strip("<>")
    theirs = Dialog.of_server(got, ok)
    for method in ("INVITE", "BYE"):
        phone.send(theirs.request(phone, method), edge.address)
        request = await card.sip.request(method)
        assert request.target == target_of(card)
        card.sip.send(answer(request, 200, "OK", contact=card.sip.contact), door)
        await phone.response(200)
    card.sip.send(ours.request(card.sip, "BYE"), door)
    await phone.request("BYE")


async def test_a_challenge_and_the_second_invite_use_one_lease(edge: Front, phone: Phone, card: FakeCard) -> None:
    held, door = await leased(edge)
    invite = leg(card, held, phone.contact.strip("<>"))
    card.sip.send(invite, door)
    got = await phone.request("INVITE")
    challenge = answer(got, 401, "Unauthorized", tag="x")
    challenge.headers.add("WWW-Authenticate", 'Digest realm="r", nonce="n"')
    phone.send(challenge, edge.address)
    refused = await card.sip.response(401)
    assert refused.headers["WWW-Authenticate"] == 'Digest realm="r", nonce="n"'
    card.sip.send(card.sip.same_transaction(invite, "ACK", refused.headers["To"]), door)
    assert (await phone.request("ACK")).headers["Via"] == got.headers["Via"]
    again = card.sip.build(
        "INVITE",
        invite.target,
        call_id=invite.call_id,
        from_tag=invite.from_address.parameters["tag"] or "",
        cseq=2,
        routes=[f"<{held.proxy}>"],
        extra=(("Authorization", 'Digest username="u"'), ("X-Switchroom-Lease", "l1")),
    )
    card.sip.send(again, door)
    assert (await phone.request("INVITE")).headers["Authorization"] == 'Digest username="u"'


async def test_a_leg_needs_a_living_lease_of_its_own(edge: Front, phone: Phone, card: FakeCard) -> None:
    held, door = await leased(edge)
    target = phone.contact.strip("<>")
    card.sip.send(leg(card, held, target, "unknown"), door)
    await card.sip.response(403)
    card.sip.send(leg(card, held, target), door)
    await phone.request("INVITE")
    card.sip.send(leg(card, held, target), door)  # another Call-ID on the same lease
    await card.sip.response(403)
    brief = await edge.client.command(messages.LeaseLine("brief", seconds=0.0), messages.Lease)
    card.sip.send(leg(card, brief, target, "brief"), door)
    await card.sip.response(403)
    assert phone.inbox.empty()


async def test_leases_hold_lines_and_expire(edge: Front, card: FakeCard) -> None:
    for number in range(4):
        await edge.client.command(messages.LeaseLine(f"l{number}", seconds=0.05 if number else 30.0), messages.Lease)
    with pytest.raises(ControlError, match="Every line"):
        await edge.client.command(messages.LeaseLine("l4"), messages.Lease)
    again = await edge.client.command(messages.LeaseLine("l0"), messages.Lease)
    assert again.lease == "l0"
    async with asyncio.timeout(3):
        while [c.leased for c in (await edge.inventory()).cards] != [1]:
            await asyncio.sleep(0.01)
    await edge.client.command(messages.ReleaseLine("l0"))
    assert [c.leased for c in (await edge.inventory()).cards] == [0]


async def test_a_leg_goes_to_its_trunk_and_nowhere_else(edge: Front, phone: Phone, card: FakeCard) -> None:
    control = str(card.run / "linecard0.ctl")
    host, port = phone.address
    trunk = messages.Trunk("carrier", [f"{host}/32"], f"{host}:{port}")
    await edge.client.command(messages.Configure([messages.CardAddress("linecard0", control)], [trunk], []))
    held, door = await leased(edge)
    invite = leg(card, held, "sip:+4930123@carrier")
    card.sip.send(invite, door)
    got = await phone.request("INVITE")
    assert got.target == f"sip:+4930123@{host}:{port}"
    phone.send(answer(got, 180, "Ringing", tag="far"), edge.address)
    await card.sip.response(180)
    card.sip.send(card.sip.same_transaction(invite, "CANCEL"), door)
    cancel = await phone.request("CANCEL")
    assert (cancel.target, cancel.headers["Via"]) == (got.target, got.headers["Via"])
    held, door = await leased(edge, "l2")
    card.sip.send(leg(card, held, "sip:1@192.0.2.7", "l2"), door)
    await card.sip.response(403)
    held, door = await leased(edge, "l3")
    card.sip.send(leg(card, held, "sip:1@no-such-host.invalid", "l3"), door)
    await card.sip.response(502)


async def test_a_stranger_on_the_inner_socket_is_no_card(edge: Front, phone: Phone, card: FakeCard) -> None:
    held, door = await leased(edge)
    phone.send(leg(card, held, phone.contact.strip("<>")), door)
    await edge.until("dropped.not-a-card")
    assert phone.inbox.empty()


# --- sips and transports ----------------------------------------------------------------------------------------------


# --- sockets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["0.0.0.0", "::1", "::"])
async def test_wildcard_and_ipv6_sockets(run: Path, card: FakeCard, own: str) -> None:
    phone = Phone()
    await phone.open("::1" if ":" in own else "127.0.0.1")
    async with edge_here(run, sip=((own, 0),)) as edge:
        await edge.cards(1)
        edge.address = (phone.address[0], edge.address[1])
        caller, ours = await talking(edge, phone, card)
        assert NameAddress.parse(ours.routes[1]).uri.address == edge.address
        card.sip.send(ours.request(card.sip, "INFO"), NameAddress.parse(ours.routes[0]).uri.address)
        phone.send(answer(await phone.request("INFO"), 200), edge.address)
        await card.sip.response(200)
        phone.send(caller.request(phone, "BYE"), edge.address)
        bye = await card.sip.request("BYE")
        card.sip.send(answer(bye, 200), inner(bye))
        await phone.response(200)
    phone.close()


async def test_two_public_sockets_each_keep_their_calls(run: Path, card: FakeCard, phone: Phone) -> None:
    async with edge_here(run, sip=(("127.0.0.1", 0), ("127.0.0.1", 0))) as edge:
        await edge.cards(1)
        for listed in (await edge.inventory()).sip.split(","):
            edge.address = split_host_port(listed)
            _, ours = await talking(edge, phone, card)
            card.sip.send(ours.request(card.sip, "BYE"), NameAddress.parse(ours.routes[0]).uri.address)
            bye = await phone.request("BYE")
            assert (bye.via[0].host, bye.via[0].port) == edge.address
