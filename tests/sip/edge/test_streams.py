"""Calls over TCP and TLS: the same as over UDP, on connections that both sides use, and what peers may cost."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from exchange.certificates import ensure_certificate
from media.control import edge as messages
from sip.edge.certificate import CertificateError, TlsSecurity
from sip.edge.limits import StreamLimits
from sip.message import Request, Response
from sip.uri import NameAddress, host_port, split_host_port
from tests.sip.edge.peers import SDP, Dialog, FakeCard, Front, Phone, StreamPhone, answer, edge_here, edge_process, free_port
from tests.sip.edge.test_calls import inner, invited, leased, leg, talking, target_of

pytestmark = pytest.mark.layer
KINDS = ("UDP", "TCP", "TLS")
STREAMS = ("TCP", "TLS")


def contexts(run: Path, name: str = "phone.example") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A phone's own certificate; as a client it asks for the edge's and checks nothing, as phones do."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*ensure_certificate(run / "phone", [name, "127.0.0.1"]))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client


def tls(run: Path, port: int = 0) -> dict[str, Any]:
    """What an edge with a TLS socket is told."""
    certificate, key = ensure_certificate(run / "keys", ["127.0.0.1"])
    return {"sips": (("127.0.0.1", port),), "certificate": certificate, "key": key}


async def phone_of(kind: str, run: Path) -> Phone:
    phone = Phone() if kind == "UDP" else StreamPhone(*(contexts(run) if kind == "TLS" else ()))
    await phone.open()
    return phone


async def reach(phone: Phone, edge: Front) -> None:
    """Point the front at the phone's transport, and connect."""
    listening = dict(text.split(" ") for text in (await edge.inventory()).listening)
    edge.address = split_host_port(listening[phone.kind])
    if isinstance(phone, StreamPhone):
        await phone.dial(edge.address)


@pytest_asyncio.fixture
async def front(run: Path, card: FakeCard) -> AsyncIterator[Front]:
    async with edge_here(run, **tls(run)) as front:
        await front.cards(1)
        yield front


@pytest_asyncio.fixture(params=KINDS)
async def caller(request: pytest.FixtureRequest, run: Path, front: Front) -> AsyncIterator[Phone]:
    phone = await phone_of(request.param, run)
    await reach(phone, front)
    yield phone
    phone.close()


@pytest_asyncio.fixture(params=STREAMS)
async def stream(request: pytest.FixtureRequest, run: Path, front: Front) -> AsyncIterator[StreamPhone]:
    phone = await phone_of(request.param, run)
    assert isinstance(phone, StreamPhone)
    await reach(phone, front)
    yield phone
    phone.close()


# --- one call on each transport ---------------------------------------------------------------------------------------


async def test_invite_reinvite_both_ways_and_bye_by_the_caller(front: Front, caller: Phone, card: FakeCard) -> None:
    theirs, ours = await talking(front, caller, card)
    word = "" if caller.kind == "UDP" else f";transport={caller.kind.lower()}"
    assert theirs.target == f"sip:peer@{front.uri}{word}"
    outer = NameAddress.parse(theirs.routes[0]).uri
    assert (outer.address, outer.parameter("transport")) == (front.address, word.partition("=")[2] or None)
    assert "transport" not in NameAddress.parse(theirs.routes[1]).uri.parameters
    assert ";transport=" not in ours.target + "".join(ours.routes)  # the card sees plain SIP
    for method in ("INVITE", "INFO"):
        caller.send(theirs.request(caller, method), front.address)
        got = await card.sip.request(method)
        assert got.target == target_of(card)
        card.sip.send(answer(got, 200, "OK", contact=card.sip.contact), inner(got))
        await caller.response(200)
        card.sip.send(ours.request(card.sip, method), inner(got))
        got = await caller.request(method)
        assert got.target == caller.contact.strip("<>")
        assert got.headers["Via"].startswith(f"SIP/2.0/{caller.kind} {front.uri};")
        caller.send(answer(got, 200, "OK", contact=caller.contact), front.address)
        assert len((await card.sip.response(200)).via) == 1
    caller.send(theirs.request(caller, "BYE"), front.address)
    bye = await card.sip.request("BYE")
    card.sip.send(answer(bye, 200, "OK"), inner(bye))
    await caller.response(200)
    if isinstance(caller, StreamPhone):
        assert caller.taken == 0, "the caller's own connection was there"


async def test_bye_by_the_card(front: Front, caller: Phone, card: FakeCard) -> None:
    _, ours = await talking(front, caller, card)
    card.sip.send(ours.request(card.sip, "BYE"), NameAddress.parse(ours.routes[0]).uri.address)
    bye = await caller.request("BYE")
    caller.send(answer(bye, 200, "OK"), front.address)
    await card.sip.response(200)


async def test_cancel(front: Front, caller: Phone, card: FakeCard) -> None:
    sent, got = await invited(front, caller, card)
    caller.send(caller.same_transaction(sent, "CANCEL"), front.address)
    cancel = await card.sip.request("CANCEL")
    assert (cancel.headers["Via"], cancel.target) == (got.headers["Via"], got.target)
    card.sip.send(answer(cancel, 200, "OK"), inner(got))
    await caller.response(200)
    card.sip.send(answer(got, 487, tag="t"), inner(got))
    refused = await caller.response(487)
    caller.send(caller.same_transaction(sent, "ACK", refused.headers["To"]), front.address)
    assert (await card.sip.request("ACK")).headers["Via"] == got.headers["Via"]


async def test_a_leg_goes_out_on_the_transport_of_its_target(front: Front, caller: Phone, card: FakeCard) -> None:
    held, door = await leased(front)
    invite = leg(card, held, caller.contact.strip("<>").replace(";", ";x-sr-"))
    card.sip.send(invite, door)
    got = await caller.request("INVITE")
    assert got.headers["Via"].startswith(f"SIP/2.0/{caller.kind} ")
    ok = answer(got, 200, "OK", contact=caller.contact, tag="far", body=SDP)
    caller.send(ok, front.address)
    ours = Dialog.of_client(await card.sip.response(200))
    card.sip.send(ours.request(card.sip, "ACK", cseq=1), door)
    assert (await caller.request("ACK")).target == caller.contact.strip("<>")
    theirs = Dialog.of_server(got, ok)
    for method in ("INVITE", "BYE"):
        caller.send(theirs.request(caller, method), front.address)
        request = await card.sip.request(method)
        card.sip.send(answer(request, 200, "OK", contact=card.sip.contact), door)
        await caller.response(200)


async def test_an_edge_that_dies_between_invite_and_what_follows(
    run: Path, card: FakeCard, request: pytest.FixtureRequest
) -> None:
    for kind in KINDS:
        phone = await phone_of(kind, run)
        port, secure = free_port(), free_port()
        card.calls = []
        async with edge_process(run, port, *tls_options(run, secure)) as (edge, process):
            await edge.cards(1)
            await reach(phone, edge)
            sent, got = await invited(edge, phone, card)
            card.calls = [card.record(got)]
            card.arrived(got)
            process.kill()
            await process.wait()
        async with edge_process(run, port, *tls_options(run, secure)) as (edge, _):
            await reach(phone, edge)
            phone.send(phone.same_transaction(sent, "CANCEL"), edge.address)
            cancel = await card.sip.request("CANCEL")
            assert _branches(cancel) == _branches(got)
            card.sip.send(answer(cancel, 200), inner(cancel))
            await phone.response(200)
            phone.send(sent, edge.address)
            again = await card.sip.request("INVITE")
            assert _branches(again) == _branches(got)
            card.sip.send(answer(got, 487, tag="t"), inner(got))  # by the Via that the first edge wrote
            refused = await phone.response(487)
            phone.send(phone.same_transaction(sent, "ACK", refused.headers["To"]), edge.address)
            assert _branches(await card.sip.request("ACK")) == _branches(got)
            if isinstance(phone, StreamPhone):
                assert phone.taken == 0
        phone.close()


def tls_options(run: Path, port: int) -> list[str]:
    how = tls(run, port)
    return ["--sips", f"127.0.0.1:{port}", "--certificate", str(how["certificate"]), "--key", str(how["key"])]


def _branches(request: Request) -> list[str | None]:
    return [via.parameters["branch"] for via in request.via]


async def test_a_call_outlives_the_edge(run: Path, card: FakeCard) -> None:
    for kind in KINDS:
        phone = await phone_of(kind, run)
        port, secure = free_port(), free_port()
        async with edge_here(run, port, **tls(run, secure)) as edge:
            await edge.cards(1)
            await reach(phone, edge)
            theirs, ours = await talking(edge, phone, card)
        async with edge_here(run, port, **tls(run, secure)) as edge:
            await edge.cards(1)
            card.sip.send(ours.request(card.sip, "INVITE"), NameAddress.parse(ours.routes[0]).uri.address)
            got = await phone.request("INVITE")  # the old connection is gone: a new one to the Contact
            phone.send(answer(got, 200, contact=phone.contact), edge.address)
            await card.sip.response(200)
            phone.send(theirs.request(phone, "ACK", cseq=1), (await _where(edge, kind)))  # the first one was lost with the edge
            await card.sip.request("ACK")
            phone.send(theirs.request(phone, "BYE"), (await _where(edge, kind)))
            bye = await card.sip.request("BYE")
            card.sip.send(answer(bye, 200), inner(bye))
            await phone.response(200)
        phone.close()


async def _where(edge: Front, kind: str) -> tuple[str, int]:
    listening = dict(text.split(" ") for text in (await edge.inventory()).listening)
    return split_host_port(listening[kind])


# --- sips -------------------------------------------------------------------------------------------------------------


async def test_sips_binds_every_address_of_ours(front: Front, run: Path, card: FakeCard) -> None:
    phone = await phone_of("TLS", run)
    await reach(phone, front)
    contact = f"<sips:peer@{host_port(*phone.address)}>"
    invite = phone.build("INVITE", f"sips:5000@{front.uri}")
    invite.headers.set("Contact", contact)
    phone.send(invite, front.address)
    got = await card.sip.request("INVITE")
    assert got.target == target_of(card, "5000")
    assert "sips:" not in got.headers["Contact"] + "".join(got.headers.getlist("Record-Route"))
    ok = answer(got, 200, "OK", contact=card.sip.contact, tag="ct")
    card.sip.send(ok, inner(got))
    response: Response = await phone.response(200)
    assert response.headers["Contact"] == f"<sips:peer@{front.uri}>"
    assert response.headers.getlist("Record-Route")[1].startswith("<sips:")
    theirs, ours = Dialog.of_client(response), Dialog.of_server(got, ok)
    phone.send(theirs.request(phone, "UPDATE"), front.address)
    update = await card.sip.request("UPDATE")
    card.sip.send(answer(update, 200, contact=card.sip.contact), inner(update))
    assert (await phone.response(200)).headers["Contact"].startswith("<sips:")
    card.sip.send(ours.request(card.sip, "INVITE"), inner(got))
    again = await phone.request("INVITE")
    assert f"<{again.target}>" == contact
    assert again.headers["Contact"].startswith("<sips:")
    phone.close()


async def test_a_proxy_in_front_has_its_record_route_followed(front: Front, run: Path, card: FakeCard) -> None:
    """The caller's requests come through a proxy: ours go back by its Record-Route, on the transport that this says."""
    proxy, far = await phone_of("TLS", run), await phone_of("TCP", run)
    assert isinstance(proxy, StreamPhone)
    assert isinstance(far, StreamPhone)
    await reach(proxy, front)
    upstream = f"<sip:{host_port(*far.address)};lr;transport=tcp>"
    invite = proxy.build("INVITE", f"sip:5000@{front.uri};transport=tls")
    invite.headers.setlist("Via", [invite.headers["Via"], "SIP/2.0/UDP far.example;branch=z9hG4bKfar"])
    invite.headers.set("Record-Route", upstream)
    proxy.send(invite, front.address)
    got = await card.sip.request("INVITE")
    ok = answer(got, 200, "OK", contact=card.sip.contact, tag="ct")
    card.sip.send(ok, inner(got))
    assert (await proxy.response(200)).headers.getlist("Record-Route")[-1] == upstream
    card.sip.send(Dialog.of_server(got, ok).request(card.sip, "BYE"), inner(got))
    bye = await far.request("BYE")
    assert (f"<{bye.target}>", bye.headers.getlist("Route")) == (proxy.contact, [upstream])
    assert far.taken == 1
    proxy.close()
    far.close()


# --- connections ------------------------------------------------------------------------------------------------------


async def test_a_phone_behind_nat_is_reached_by_its_own_connection(front: Front, stream: StreamPhone, card: FakeCard) -> None:
    """Its Contact leads nowhere."""
    invite = stream.build("INVITE", f"sip:5000@{front.uri}")
    invite.headers.set("Contact", "<sip:peer@127.0.0.1:9>")
    stream.send(invite, front.address)
    got = await card.sip.request("INVITE")
    ok = answer(got, 200, "OK", contact=card.sip.contact, tag="t")
    card.sip.send(ok, inner(got))
    await stream.response(200)
    ours = Dialog.of_server(got, ok)
    forged = [route.replace("f7f000001", "f7f000002") for route in ours.routes]
    assert forged != ours.routes
    for routes, finds in ((ours.routes, True), (forged, False)):
        ours.routes = routes
        card.sip.send(ours.request(card.sip, "BYE"), inner(got))
        if finds:
            assert (await stream.request("BYE")).target == "sip:peer@127.0.0.1:9"
        else:
            await card.sip.response(503)


async def test_answers_open_a_connection_when_the_callers_is_gone(front: Front, stream: StreamPhone, card: FakeCard) -> None:
    _, got = await invited(front, stream, card)
    stream.cut()
    await front.until("connections.accepted")
    async with asyncio.timeout(3):
        while await stream.raw.get() != b"":
            pass
    card.sip.send(answer(got, 180, tag="t"), inner(got))
    await stream.response(180)
    assert stream.taken == 1
    card.sip.send(answer(got, 200, tag="t", contact=card.sip.contact), inner(got))
    await stream.response(200)
    assert stream.taken == 1, "both on one"


async def test_several_messages_in_one_chunk_and_one_in_many(front: Front, stream: StreamPhone, card: FakeCard) -> None:
    many = [stream.build("OPTIONS", f"sip:{front.uri}") for _ in range(60)]
    stream.send(b"".join(bytes(m) for m in many), front.address)
    answered = {(await stream.response(200)).headers["Call-ID"] for _ in many}
    assert answered == {m.headers["Call-ID"] for m in many}
    data = bytes(stream.build("INVITE", f"sip:5000@{front.uri}", body=SDP))
    for at in range(0, len(data), 7):
        stream.send(data[at : at + 7], front.address)
        await asyncio.sleep(0)
    assert (await card.sip.request("INVITE")).body == SDP


async def test_keep_alives_are_answered(front: Front, stream: StreamPhone) -> None:
    stream.send(b"\r\n\r\n", front.address)
    assert await asyncio.wait_for(stream.raw.get(), 3) == b"\r\n"
    stream.send(b"\r\n\r\n" + bytes(stream.build("OPTIONS", f"sip:{front.uri}")), front.address)
    assert await asyncio.wait_for(stream.raw.get(), 3) == b"\r\n"
    await stream.response(200)


async def test_what_cannot_be_framed_is_answered_and_cut(front: Front, run: Path, card: FakeCard) -> None:
    for number, (old, new, code) in enumerate(
        (("Content-Length: 0\r\n", "", 400), ("Content-Length: 0", "Content-Length: 1\r\nl: 2", 400),
         ("Content-Length: 0", "Content-Length: 20000", 513)), 1
    ):  # fmt: skip
        phone = await phone_of("TCP", run)
        assert isinstance(phone, StreamPhone)
        await reach(phone, front)
        phone.send(bytes(phone.build("INVITE", f"sip:5000@{front.uri}")).replace(old.encode(), new.encode()), front.address)
        await phone.response(code)
        assert await asyncio.wait_for(phone.raw.get(), 3) == b""
        await front.until("connections.framing", number)
        phone.close()
    assert card.sip.inbox.empty()


async def test_slow_idle_and_too_many_connections(run: Path, card: FakeCard) -> None:
    limits = StreamLimits(of_source=3, message_seconds=0.3, idle_seconds=1.2, handshake_seconds=0.5)
    async with edge_here(run, streams=limits, **tls(run)) as edge:
        await edge.cards(1)
        phone = await phone_of("TCP", run)
        assert isinstance(phone, StreamPhone)
        await reach(phone, edge)
        phone.send(phone.build("OPTIONS", f"sip:{edge.uri}"), edge.address)
        await phone.response(200)
        slow = [await asyncio.open_connection(*edge.address) for _ in range(2)]
        slow[0][1].write(b"OPTIONS sip:a@b SIP/2.0\r\n")  # and no more; the second says nothing at all
        reader, writer = await asyncio.open_connection(*edge.address)
        assert await asyncio.wait_for(reader.read(), 3) == b"", "the fourth is not taken"
        writer.close()
        for reader, writer in slow:
            assert await asyncio.wait_for(reader.read(), 3) == b""
            writer.close()
        await edge.until("connections.slow", 2)
        await edge.until("connections.too-many")
        secure = await _where(edge, "TLS")
        reader, writer = await asyncio.open_connection(*secure)  # no handshake
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()
        await edge.until("connections.no-handshake")
        await edge.until("connections.idle")
        assert await asyncio.wait_for(phone.raw.get(), 3) == b""
        await phone.dial(edge.address)
        phone.send(phone.build("OPTIONS", f"sip:{edge.uri}"), edge.address)
        await phone.response(200)
        phone.close()


async def test_a_peer_that_reads_nothing_is_cut(run: Path, card: FakeCard) -> None:
    limits = StreamLimits(unsent_bytes=10_000)
    async with edge_here(run, streams=limits) as edge:
        await edge.cards(1)
        address = await _where(edge, "TCP")
        reader, writer = await asyncio.open_connection(*address, limit=1024)
        phone = await phone_of("TCP", run)
        data = bytes(phone.build("OPTIONS", f"sip:{edge.uri}"))
        writer.transport.pause_reading()  # type: ignore[attr-defined]

        async def talk() -> None:
            while True:
                writer.write(data * 50)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(talk(), 20)
        await edge.until("connections.unread")
        writer.close()
        del reader
        phone.close()


async def test_a_stranger_is_cut_before_any_word(run: Path, card: FakeCard) -> None:
    async with edge_here(run, allow=(ipaddress.ip_network("127.0.0.9/32"),), **tls(run)) as edge:
        for number, kind in enumerate(STREAMS, 1):
            reader, writer = await asyncio.open_connection(*await _where(edge, kind))
            assert await asyncio.wait_for(reader.read(), 3) == b""
            writer.close()
            await edge.until("dropped.source", number)


async def test_a_leg_that_cannot_connect_is_refused_at_once(front: Front, card: FakeCard) -> None:
    held, door = await leased(front)
    card.sip.send(leg(card, held, f"sip:1@127.0.0.1:{free_port()};x-sr-transport=tcp"), door)
    await card.sip.response(503)
    await front.until("unsent.connect")


async def test_a_dead_cards_calls_are_ended_over_their_connection(front: Front, stream: StreamPhone, card: FakeCard) -> None:
    _, ours = await talking(front, stream, card)
    generation = card.control.generation
    sent, _ = await invited(front, stream, card)
    await card.die()
    assert (await stream.response(503)).headers["Call-ID"] == sent.headers["Call-ID"]
    local, local_tag = ours.local.split("<")[1].split(">;tag=")
    remote, remote_tag = ours.remote.split("<")[1].split(">;tag=")
    names = (local, local_tag, remote, remote_tag)
    dialog = messages.Dialog("linecard0", generation, "c1", "p1", ours.call_id, *names, ours.target, ours.routes, 3)
    await front.client.command(messages.SendByes("linecard0", generation, [dialog]))
    bye = await stream.request("BYE")
    stream.send(answer(bye, 200), front.address)
    await front.until("byes.answered")
    assert (stream.taken, stream.inbox.empty()) == (0, True)


async def test_a_renewed_certificate_is_shown_to_the_next_caller(
    run: Path, card: FakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sip.edge.server.NAMES_SECONDS", 0.05)
    certificate, key = ensure_certificate(run / "keys", ["127.0.0.1"])
    async with edge_here(run, **tls(run)) as edge:
        where = await _where(edge, "TLS")
        before = await asyncio.to_thread(ssl.get_server_certificate, where)
        assert before.strip() == certificate.read_text().strip()
        key.unlink()
        ensure_certificate(run / "keys", ["127.0.0.1"])
        async with asyncio.timeout(5):
            while (now := await asyncio.to_thread(ssl.get_server_certificate, where)) == before:
                await asyncio.sleep(0.02)
        assert now.strip() == certificate.read_text().strip()
        key.write_text("broken")
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(ssl.get_server_certificate, where) == now


def test_a_certificate_that_cannot_be_used_is_a_sentence(run: Path) -> None:
    (run / "x").write_text("x")
    with pytest.raises(CertificateError, match="cannot be used"):
        TlsSecurity(run / "x", run / "x")
