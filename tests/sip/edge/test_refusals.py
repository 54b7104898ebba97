"""What the edge does not serve, and how it says so."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from media.control import edge as messages
from media.control import line
from media.control.envelope import ControlError
from sip.message import TopVia
from tests.sip.edge.peers import FakeCard, Front, Phone, answer, edge_here

pytestmark = pytest.mark.layer


@pytest.mark.parametrize(
    "method", ["REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH", "NOTIFY", "REFER", "INFO", "UPDATE", "XYZZY"]
)
async def test_other_methods_get_405(edge: Front, phone: Phone, card: FakeCard, method: str) -> None:
    phone.send(phone.build(method, f"sip:5000@{edge.uri}"), edge.address)
    refused = await phone.response(405)
    assert refused.headers["Allow"] == "INVITE, ACK, CANCEL, OPTIONS, BYE"
    assert refused.to_address.parameters["tag"]
    assert card.sip.inbox.empty()


async def test_in_a_dialog_more_is_allowed_but_not_all(edge: Front, phone: Phone) -> None:
    phone.send(phone.build("MESSAGE", f"sip:5000@{edge.uri}", to_tag="x"), edge.address)
    assert "REFER" in (await phone.response(405)).headers["Allow"]


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE", "REFER"])
async def test_a_dialog_that_nobody_has_gets_481(edge: Front, phone: Phone, method: str) -> None:
    phone.send(phone.build(method, f"sip:5000@{edge.uri}", to_tag="gone"), edge.address)
    await phone.response(481)
    phone.send(phone.build("CANCEL", f"sip:5000@{edge.uri}"), edge.address)
    await phone.response(481)


async def test_another_generation_of_the_card_gets_481(edge: Front, phone: Phone, card: FakeCard) -> None:
    route = f"<sip:127.0.0.1:{(card.run / 'edge.inside').read_text().split(':')[1]};lr;card=linecard0;gen=old>"
    phone.send(phone.build("BYE", f"sip:peer@{edge.uri}", to_tag="x", routes=[f"<sip:{edge.uri};lr>", route]), edge.address)
    await phone.response(481)
    assert card.sip.inbox.empty()


async def test_hops(edge: Front, phone: Phone, card: FakeCard) -> None:
    for value, code in (("0", 483), ("300", 400), ("-1", 400), ("seven", 400)):
        request = phone.build("INVITE", f"sip:5000@{edge.uri}")
        request.headers.set("Max-Forwards", value)
        phone.send(request, edge.address)
        await phone.response(code)
    request = phone.build("OPTIONS", f"sip:{edge.uri}")
    request.headers.set("Max-Forwards", "0")
    phone.send(request, edge.address)
    await phone.response(200)
    request = phone.build("INVITE", f"sip:5000@{edge.uri}")
    request.headers.remove("Max-Forwards")
    phone.send(request, edge.address)
    assert (await card.sip.request("INVITE")).headers["Max-Forwards"] == "69"


async def test_a_request_that_comes_round_again_gets_482(edge: Front, phone: Phone, card: FakeCard) -> None:
    request = phone.build("INVITE", f"sip:5000@{edge.uri}")
    phone.send(request, edge.address)
    went = await card.sip.request("INVITE")
    request.headers.setlist(
        "Via", [request.headers["Via"].replace("branch=z9hG4bKt", "branch=z9hG4bKround"), went.headers["Via"]]
    )
    phone.send(request, edge.address)
    await phone.response(482)
    request.target = f"sip:5001@{edge.uri}"  # a spiral: routed by something else this time
    request.headers.set("Call-ID", "spiral")
    phone.send(request, edge.address)
    await card.sip.request("INVITE")


async def test_what_is_too_long_for_a_card_gets_513_and_gives_the_line_back(edge: Front, phone: Phone, card: FakeCard) -> None:
    for _ in range(5):
        phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}", body=b"x" * 3800), edge.address)
        await phone.response(513)
    dropped = (("Alert-Info", "<http://example.com/" + "x" * 3000 + ">"),)
    phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}", extra=dropped, body=b"x" * 2000), edge.address)
    assert len(bytes(await card.sip.request("INVITE"))) < 3800


async def test_proxy_require_gets_420(edge: Front, phone: Phone) -> None:
    phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}", extra=(("Proxy-Require", "foo, bar"),)), edge.address)
    assert (await phone.response(420)).headers["Unsupported"] == "foo, bar"


async def test_a_source_that_nobody_configured_hears_nothing(run: Path, card: FakeCard, phone: Phone) -> None:
    stranger = Phone()
    await stranger.open("127.0.0.2")
    only = (ipaddress.ip_network("127.0.0.1/32"),)
    async with edge_here(run, allow=only) as edge:
        await edge.cards(1)
        for method in ("OPTIONS", "INVITE", "BYE"):
            stranger.send(stranger.build(method, f"sip:5000@{edge.uri}"), edge.address)
        await edge.until("dropped.source", 3)
        control = messages.CardAddress("linecard0", str(run / "linecard0.ctl"))
        with pytest.raises(ControlError, match="does not appear"):
            await edge.client.command(messages.Configure([control], [], ["nonsense"]))
        for words in (
            messages.Configure([control], [], ["127.0.0.2/32"]),
            messages.Configure([control], [messages.Trunk("t", ["127.0.0.2"])]),
        ):
            await edge.client.command(words)
            stranger.send(stranger.build("OPTIONS", f"sip:5000@{edge.uri}"), edge.address)
            await stranger.response(200)
        await edge.client.command(messages.Configure([control]))
        stranger.send(stranger.build("OPTIONS", f"sip:5000@{edge.uri}"), edge.address)
        await edge.until("dropped.source", 4)
        assert stranger.inbox.empty()
    stranger.close()


async def test_draining_takes_no_new_calls_and_serves_the_old(edge: Front, phone: Phone, card: FakeCard) -> None:
    phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
    got = await card.sip.request("INVITE")
    await edge.client.command(messages.Drain())
    card.sip.send(answer(got, 180, tag="x"), (got.via[0].host, got.via[0].port or 0))
    await phone.response(180)
    for method in ("INVITE", "OPTIONS"):
        phone.send(phone.build(method, f"sip:5000@{edge.uri}"), edge.address)
        await phone.response(503)
    assert (await edge.inventory()).draining


async def test_an_overloaded_card_gets_no_calls(edge: Front, phone: Phone, card: FakeCard) -> None:
    card.control.emit(line.Overload(True, 40.0, 50.0))
    await edge.until("softmap.entries", 0.0)
    phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
    await phone.response(503)


async def test_a_call_that_its_card_does_not_understand_gets_400_and_gives_the_line_back(
    run: Path, card: FakeCard, phone: Phone
) -> None:
    """pjsip drops what it cannot parse without a word; whether it only hangs, its other calls tell."""
    async with edge_here(run, unread=0.8) as edge:
        await edge.cards(1)
        odd = phone.build("INVITE", f"sip:5000@{edge.uri}")
        phone.send(odd, edge.address)
        await card.sip.request("INVITE")
        good = phone.build("INVITE", f"sip:5000@{edge.uri}")
        phone.send(good, edge.address)
        got = await card.sip.request("INVITE")
        card.sip.send(answer(got, 100), TopVia.parse(got.headers["Via"]).reply_to)
        assert (await phone.response(100)).headers["Call-ID"] == good.call_id
        assert (await phone.response(400)).headers["Call-ID"] == odd.call_id
        phone.send(odd, edge.address)
        await phone.response(400)
        assert sum(c.leased for c in (await edge.inventory()).cards) == 1, "the good one's"
        silent = phone.build("INVITE", f"sip:5000@{edge.uri}")
        phone.send(silent, edge.address)
        await card.sip.request("INVITE")
        assert (await phone.response(503)).headers["Call-ID"] == silent.call_id
        assert card.sip.inbox.empty()
        counters = (await edge.inventory()).counters
        assert counters["invites.unread"] == 2


async def test_without_any_card_there_is_503(run: Path, phone: Phone) -> None:
    async with edge_here(run) as edge:
        phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
        await phone.response(503)


async def test_keep_alives_and_stray_messages_are_silent(edge: Front, phone: Phone, card: FakeCard) -> None:
    phone.send(b"\r\n\r\n", edge.address)
    phone.send(phone.build("ACK", f"sip:5000@{edge.uri}", to_tag="x"), edge.address)
    phone.send(answer(phone.build("INVITE", "sip:a@b"), 200), edge.address)
    await edge.until("dropped.stray-ack")
    await edge.until("dropped.not-our-response")
    assert phone.inbox.empty()
    assert card.sip.inbox.empty()


async def test_the_public_address_is_what_we_say_of_us(run: Path, card: FakeCard, phone: Phone) -> None:
    async with edge_here(run, public="198.51.100.7") as edge:
        phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
        got = await card.sip.request("INVITE")
        assert got.headers.getlist("Record-Route")[1] == f"<sip:198.51.100.7:{edge.address[1]};lr>"
        card.sip.send(answer(got, 200, contact=card.sip.contact, tag="t"), (got.via[0].host, got.via[0].port or 0))
        assert (await phone.response(200)).headers["Contact"] == f"<sip:peer@198.51.100.7:{edge.address[1]}>"


async def test_the_soft_map_is_bounded(run: Path, card: FakeCard, phone: Phone) -> None:
    async with edge_here(run, remembered=50) as edge:
        await edge.cards(1)
        for _ in range(300):
            phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
            if phone.inbox.qsize() > 20:
                await phone.response(503)
        await edge.until("requests.outside.INVITE", 300)
        assert (await edge.inventory()).counters["softmap.entries"] <= 50
