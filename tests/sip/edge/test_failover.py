"""Trunks whose target is a name: found by SRV and NAPTR; when a server is silent, busy or gone, the next one has the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from media.control import edge as messages
from sip.message import Request
from sip.uri import NameAddress
from tests.sip.edge.peers import SDP, Dialog, FakeCard, Front, Phone, StreamPhone, answer, edge_here
from tests.sip.edge.test_calls import leased, leg
from tests.sip.edge.test_registrations import granted, state
from tests.sip.edge.test_streams import contexts, tls
from tests.sip.edge.test_trunks import configure
from tests.tools.dns_server import DnsServer

pytestmark = pytest.mark.layer

PATIENCE = 0.1
NAME = "carrier.example"
Door = tuple[messages.Lease, tuple[str, int]]


@pytest_asyncio.fixture
async def spare() -> AsyncIterator[Phone]:
    peer = Phone()
    await peer.open("127.0.0.2")
    yield peer
    peer.close()


def srv(*servers: Phone, kind: str = "_sip._udp") -> list[str]:
    """The zone of a carrier with these servers, the first to be asked first."""
    lines = []
    for number, server in enumerate(servers):
        lines.append(f"{kind}.{NAME} 60 SRV {number} 1 {server.address[1]} s{number}.example.")
        lines.append(f"s{number}.example 60 A {server.address[0]}")
    return lines


@asynccontextmanager
async def carrier(
    run: Path, card: FakeCard, zone: list[str], port: int = 0, options: dict[str, Any] | None = None, **how: Any
) -> AsyncIterator[Front]:
    """An edge with one trunk, known by name."""
    async with DnsServer(*zone) as dns, edge_here(run, port, dns=(dns.address,), patience=PATIENCE, **(options or {})) as edge:
        await edge.cards(1)
        await configure(edge, card, messages.Trunk("carrier", [], NAME, **how))
        yield edge


async def dialled(edge: Front, card: FakeCard, lease: str = "l1") -> tuple[Request, Door]:
    """A leg to the trunk."""
    held, door = await leased(edge, lease)
    invite = leg(card, held, "sip:+4930@carrier", lease)
    card.sip.send(invite, door)
    return invite, (held, door)


async def trunk_state(edge: Front) -> messages.TrunkState:
    return (await edge.inventory()).trunks[0]


async def nothing_for(*peers: Phone) -> None:
    """Whatever was on its way to them would be there by now: loopback, and the edge has had its turn twice."""
    await asyncio.sleep(0.05)
    assert all(peer.inbox.empty() for peer in peers)


async def test_a_busy_server_has_the_next_one_asked(run: Path, card: FakeCard, phone: Phone, spare: Phone) -> None:
    async with carrier(run, card, srv(phone, spare)) as edge:
        invite, (_, door) = await dialled(edge, card)
        first = await phone.request("INVITE")
        assert first.target == f"sip:+4930@{NAME}", "the name stays, without a port"
        phone.send(answer(first, 503, "Full", tag="a"), edge.address)
        ack = await phone.request("ACK")
        assert (ack.headers["Via"], ack.to_address.parameters["tag"]) == (first.headers["Via"], "a")
        second = await spare.request("INVITE")
        assert (second.call_id, second.headers["CSeq"]) == (first.call_id, first.headers["CSeq"])
        assert second.via[0].parameters["branch"] != first.via[0].parameters["branch"], "a transaction of its own"
        phone.send(answer(first, 503, "Full", tag="a"), edge.address)  # our ACK was lost
        await phone.request("ACK")
        spare.send(answer(second, 180, tag="b"), edge.address)
        await card.sip.response(180)  # and never the 503
        card.sip.send(invite, door)
        assert bytes(await spare.request("INVITE")) == bytes(second)
        ok = answer(second, 200, "OK", contact=spare.contact, tag="b", body=SDP)
        spare.send(ok, edge.address)
        ours = Dialog.of_client(await card.sip.response(200))
        card.sip.send(ours.request(card.sip, "ACK", cseq=1), door)
        await spare.request("ACK")
        spare.send(Dialog.of_server(second, ok).request(spare, "BYE"), edge.address)
        card.sip.send(answer(await card.sip.request("BYE"), 200), door)
        await spare.response(200)
        shown = await trunk_state(edge)
        assert (shown.failed_code, shown.failed_detail, shown.failed_at > 0) == (503, "Full", True)
        assert (len(shown.targets), shown.benched) == (2, [f"udp 127.0.0.1:{phone.address[1]}"])
        await dialled(edge, card, "l2")  # the next call does not try it again at once
        spare.send(answer(await spare.request("INVITE"), 503, "Full, too", tag="c"), edge.address)
        await spare.request("ACK")
        last = await phone.request("INVITE")  # but when nobody else is left
        phone.send(answer(last, 503, "Full", tag="d"), edge.address)
        assert (await card.sip.response(503)).phrase == "Full"
        await nothing_for(phone, spare)


async def test_a_silent_server_has_the_next_one_asked_and_what_it_says_late_is_ended(
    run: Path, card: FakeCard, phone: Phone, spare: Phone
) -> None:
    async with carrier(run, card, srv(phone, spare)) as edge:
        invite, (_, door) = await dialled(edge, card)
        first = await phone.request("INVITE")
        card.sip.send(invite, door)
        assert bytes(await phone.request("INVITE")) == bytes(first), "it may have been lost"
        await asyncio.sleep(PATIENCE)
        card.sip.send(invite, door)
        second = await spare.request("INVITE")
        assert (await trunk_state(edge)).failed_detail == "no answer"
        phone.send(answer(first, 180, tag="late"), edge.address)
        cancel = await phone.request("CANCEL")
        assert cancel.headers["Via"] == first.headers["Via"]
        phone.send(answer(cancel, 200), edge.address)
        phone.send(answer(first, 200, contact=phone.contact, tag="late"), edge.address)  # it crossed the CANCEL
        assert {(await phone.request()).method, (await phone.request()).method} == {"ACK", "BYE"}
        spare.send(answer(second, 180, tag="b"), edge.address)
        assert (await card.sip.response(180)).headers["To"].endswith("tag=b")
        await asyncio.sleep(PATIENCE)
        card.sip.send(invite, door)
        await spare.request("INVITE")  # who rings is no failure
        card.sip.send(card.sip.same_transaction(invite, "CANCEL"), door)
        assert (await spare.request("CANCEL")).headers["Via"] == second.headers["Via"]
        spare.send(answer(second, 487, tag="b"), edge.address)
        refused = await card.sip.response(487)
        card.sip.send(card.sip.same_transaction(invite, "ACK", refused.headers["To"]), door)
        assert (await spare.request("ACK")).headers["Via"] == second.headers["Via"]
        assert card.sip.inbox.empty()


async def test_who_is_cancelled_is_tried_nowhere_else(run: Path, card: FakeCard, phone: Phone, spare: Phone) -> None:
    async with carrier(run, card, srv(phone, spare)) as edge:
        invite, (_, door) = await dialled(edge, card)
        first = await phone.request("INVITE")
        card.sip.send(card.sip.same_transaction(invite, "CANCEL"), door)
        await phone.request("CANCEL")
        phone.send(answer(first, 503, tag="a"), edge.address)
        await card.sip.response(503)
        await nothing_for(spare)


async def test_an_edge_that_dies_after_a_change_of_servers(run: Path, card: FakeCard, phone: Phone, spare: Phone) -> None:
    """The next edge knows not which server has the call: the CANCEL goes to each, in the transaction that it would have."""
    zone = srv(phone, spare)
    async with carrier(run, card, zone) as edge:
        invite, (_, door) = await dialled(edge, card)
        first = await phone.request("INVITE")
        phone.send(answer(first, 503, tag="a"), edge.address)
        await phone.request("ACK")
        second = await spare.request("INVITE")
        record = card.record(second)
        card.calls = [type(record)("c1", None, 0.0, 0.0, record.parties, [])]
        port = edge.address[1]
    async with carrier(run, card, zone, port) as edge:
        card.sip.send(card.sip.same_transaction(invite, "CANCEL"), door)
        assert (await phone.request("CANCEL")).headers["Via"] == first.headers["Via"]
        cancel = await spare.request("CANCEL")
        assert cancel.headers["Via"] == second.headers["Via"]
        spare.send(answer(cancel, 200), edge.address)
        assert (await card.sip.response(200)).cseq.method == "CANCEL"
        spare.send(answer(second, 487, tag="b"), edge.address)
        refused = await card.sip.response(487)
        card.sip.send(card.sip.same_transaction(invite, "ACK", refused.headers["To"]), door)
        assert (await spare.request("ACK")).headers["Via"] == second.headers["Via"]


async def test_no_connection_has_the_next_one_asked_at_once(run: Path, card: FakeCard) -> None:
    gone, there = StreamPhone(), StreamPhone()
    await gone.open("127.0.0.2")
    await there.open()
    gone.close()
    async with carrier(run, card, srv(gone, there, kind="_sip._tcp"), transport="tcp") as edge:
        await dialled(edge, card)
        got = await there.request("INVITE")
        assert got.target == f"sip:+4930@{NAME};transport=tcp"
        assert (await trunk_state(edge)).failed_detail == "no connection"
        there.send(answer(got, 486, tag="a"), edge.address)
        await card.sip.response(486)
        there.close()
        await dialled(edge, card, "l2")
        await card.sip.response(503)
    there.close()


async def test_naptr_chooses_the_transport_and_a_certificate_is_for_the_name_not_the_server(run: Path, card: FakeCard) -> None:
    secure = StreamPhone(*contexts(run, NAME))
    await secure.open()
    naptr = f'{NAME} 60 NAPTR 1 1 "S" "SIPS+D2T" "" _sips._tcp.{NAME}.'
    zone = [naptr, *srv(secure, kind="_sips._tcp")]
    authority = str(run / "phone" / "switchroom.crt")
    async with carrier(run, card, zone, transport="auto", tls_ca=authority, options=tls(run)) as edge:
        await dialled(edge, card)
        got = await secure.request("INVITE")
        assert got.headers["Via"].startswith("SIP/2.0/TLS ")
        assert NameAddress.parse(got.headers["Contact"]).uri.parameter("transport") == "tls"
    secure.close()
    impostor = StreamPhone(*contexts(run, "other.example"))
    await impostor.open()
    zone = [naptr, *srv(impostor, kind="_sips._tcp")]
    async with carrier(run, card, zone, transport="auto", tls_ca=authority, options=tls(run)) as edge:
        await dialled(edge, card)
        await card.sip.response(503)
        assert impostor.inbox.empty()
    impostor.close()


async def test_all_servers_of_the_target_are_sources(run: Path, card: FakeCard, phone: Phone, spare: Phone) -> None:
    async with carrier(run, card, srv(phone, spare)) as edge:
        async with asyncio.timeout(3):
            while len((await trunk_state(edge)).targets) < 2:
                await asyncio.sleep(0.01)
        for peer in (phone, spare):
            peer.send(peer.build("OPTIONS", f"sip:{edge.uri}"), edge.address)
            await peer.response(200)
            peer.send(peer.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
            assert (await card.sip.request("INVITE")).headers["X-Switchroom-Trunk"] == "carrier"
        shown = await trunk_state(edge)
        assert (shown.options_at > 0, shown.failed_at, shown.benched) == (True, 0.0, [])


async def test_a_registrar_that_is_busy_or_silent_has_the_next_one_asked(
    run: Path, card: FakeCard, phone: Phone, spare: Phone
) -> None:
    account: dict[str, Any] = {"username": "acct", "password": "secret", "register": True}
    async with carrier(run, card, srv(phone, spare), **account) as edge:
        request = await phone.request("REGISTER")
        assert request.target == f"sip:{NAME}"
        phone.send(answer(request, 503, tag="r"), edge.address)
        request = await spare.request("REGISTER")
        spare.send(granted(request, 1), edge.address)
        since = (await state(edge, "registered")).since
        assert since > 0
        await spare.request("REGISTER")  # the refresh goes where it works, and there is silence now
        request = await phone.request("REGISTER")
        phone.send(granted(request, 600), edge.address)
        async with asyncio.timeout(3):
            while (found := await trunk_state(edge)).registered_until < since + 100:
                await asyncio.sleep(0.01)
        assert (found.registration, found.since) == ("registered", since), "it was never lost"
