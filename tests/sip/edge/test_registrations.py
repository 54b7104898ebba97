"""Registering with a carrier: the request, digest, refresh, back-off, and what a broken connection does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from media.control import edge as messages
from sip.digest import Challenge, Credentials
from sip.message import Request, Response, response_to
from sip.registration import Account, Registration, granted_seconds
from tests.sip.edge.peers import FakeCard, Front, Phone, StreamPhone, answer, edge_here

CONTACT = "sip:acct@192.0.2.1:5060"
VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"

# --- the pure part ----------------------------------------------------------------------------------------------------


def registration(password: str = "secret") -> Registration:  # noqa: S107
    return Registration(Account("carrier.example", "acct", password), random=random.Random(1))


def replied(request: Request, code: int, *extra: tuple[str, str]) -> Response:
    return response_to(request.headers, code, "Word", "t", extra)


@pytest.mark.unit
def test_the_request() -> None:
    own = registration()
    first, second = own.request(VIA, CONTACT), own.request(VIA, CONTACT, leave=True)
    assert (first.target, first.headers["To"]) == ("sip:carrier.example", "<sip:acct@carrier.example>")
    assert first.headers["From"] == second.headers["From"]
    assert (first.headers["CSeq"], second.headers["CSeq"]) == ("1 REGISTER", "2 REGISTER")
    assert (first.headers["Expires"], second.headers["Expires"]) == ("600", "0")
    assert first.headers["Contact"] == f"<{CONTACT}>"
    assert first.call_id == second.call_id


@pytest.mark.unit
@pytest.mark.parametrize(("code", "asks", "says"), [(401, "WWW-Authenticate", "Authorization"),
                                                    (407, "Proxy-Authenticate", "Proxy-Authorization")])  # fmt: skip
def test_a_challenge_is_answered_and_its_nonce_used_again(code: int, asks: str, says: str) -> None:
    own = registration()
    challenge = (asks, str(Challenge("carrier.example", "n1")))
    assert own.answered(replied(own.request(VIA, CONTACT), code, challenge), CONTACT, 0.0) == 0.0
    for count in (1, 2):
        request = own.request(VIA, CONTACT)
        sent = Credentials.parse(request.headers[says])
        assert sent.proves("REGISTER", "acct", "secret")
        assert (sent.nonce, sent.count, sent.uri) == ("n1", f"{count:08x}", "sip:carrier.example")
        delay = own.answered(replied(request, 200, ("Contact", f"<{CONTACT}>;expires=100")), CONTACT, 50.0)
        assert 75 <= delay <= 90
        assert (own.state, own.until) == ("registered", 150.0)
    stale = (asks, str(Challenge("carrier.example", "n2", stale=True)))
    assert own.answered(replied(own.request(VIA, CONTACT), code, stale), CONTACT, 140.0) == 0.0
    assert Credentials.parse(own.request(VIA, CONTACT).headers[says]).nonce == "n2"
    assert own.state == "registered"


@pytest.mark.unit
def test_a_wrong_password_is_tried_once_a_minute_and_then_less() -> None:
    own = registration()
    delays = []
    for number in range(12):
        challenge = ("WWW-Authenticate", str(Challenge("r", f"n{number}")))
        delays.append(own.answered(replied(own.request(VIA, CONTACT), 401, challenge), CONTACT, 0.0))
    assert delays[::2] == [0.0] * 6
    assert all(30.0 <= delay <= 300.0 for delay in delays[1::2])
    assert delays[-1] >= 150.0
    assert (own.state, own.until, own.detail) == ("refused", 0.0, "user name or password is wrong")
    assert registration("").answered(replied(own.request(VIA, CONTACT), 401), CONTACT, 0.0) >= 30.0


@pytest.mark.unit
def test_silence_backs_off_and_what_was_granted_holds() -> None:
    own = registration()
    delays = [own.silent(float(n)) for n in range(12)]
    assert own.state == "unreachable"
    assert all(earlier < 2.1 * 2**n for n, earlier in enumerate(delays))
    assert delays[0] <= 2.0
    assert 150 <= delays[-1] <= 300
    own.answered(replied(own.request(VIA, CONTACT), 200), CONTACT, 100.0)
    own.silent(150.0)
    assert (own.state, own.until) == ("registered", 700.0)
    own.answered(replied(own.request(VIA, CONTACT), 503), CONTACT, 701.0)
    assert (own.state, own.until, own.code) == ("unreachable", 0.0, 503)
    own.answered(replied(own.request(VIA, CONTACT), 403), CONTACT, 701.0)
    assert own.state == "refused"


@pytest.mark.unit
def test_too_brief_and_foreign_contacts() -> None:
    own = registration()
    assert own.answered(replied(own.request(VIA, CONTACT), 423, ("Min-Expires", "1800")), CONTACT, 0.0) == 0.0
    request = own.request(VIA, CONTACT)
    assert request.headers["Expires"] == "1800"
    assert own.answered(replied(request, 423, ("Min-Expires", "1800")), CONTACT, 0.0) > 0
    for contact, granted in (
        ("<sip:else@x>;expires=9, <sip:ACCT@192.0.2.1>;expires=70", 0),
        ("<sip:else@x>;expires=9, <sip:acct@192.0.2.1;ob>;expires=70", 70),
        (f"<{CONTACT}>", 44),
        (f"<{CONTACT}>;expires=0", 0),
        ("<sip:acct@[", 0),
    ):
        response = replied(request, 200, ("Expires", "44"), ("Contact", contact))
        assert granted_seconds(response, CONTACT, 600) == granted, contact


# --- through an edge --------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def registrar(request: pytest.FixtureRequest) -> AsyncIterator[Phone]:
    peer = StreamPhone() if request.param == "TCP" else Phone()
    await peer.open()
    yield peer
    peer.close()


async def register_there(edge: Front, card: FakeCard, peer: Phone, **how: Any) -> None:
    host, port = peer.address
    more: dict[str, Any] = {"username": "acct", "password": "secret", "transport": peer.kind.lower(), "register": True} | how
    trunk = messages.Trunk("carrier", [f"{host}/32"], f"{host}:{port}", **more)
    control = messages.CardAddress("linecard0", str(card.run / "linecard0.ctl"))
    await edge.client.command(messages.Configure([control], [trunk], []))


async def state(edge: Front, wanted: str) -> messages.TrunkState:
    async with asyncio.timeout(3):
        while (found := (await edge.inventory()).trunks[0]).registration != wanted:
            await asyncio.sleep(0.01)
    return found


def granted(request: Request, seconds: int) -> Response:
    response = answer(request, 200, "OK", contact=request.headers["Contact"] + f";expires={seconds}", tag="reg")
    return response


@pytest.mark.layer
@pytest.mark.parametrize("registrar", ["UDP", "TCP"], indirect=True)
async def test_a_trunk_registers_refreshes_and_leaves(run: Path, card: FakeCard, registrar: Phone) -> None:
    async with edge_here(run) as edge:
        await edge.cards(1)
        await register_there(edge, card, registrar, domain="carrier.example")
        request = await registrar.request("REGISTER")
        assert request.target == "sip:carrier.example"
        contact = request.headers["Contact"]
        assert contact.startswith(f"<sip:acct@{edge.uri}")
        assert (";transport=tcp" in contact) == (registrar.kind == "TCP")
        assert (await edge.inventory()).trunks[0].registration == "registering"
        challenge = answer(request, 401, tag="reg")
        challenge.headers.add("WWW-Authenticate", str(Challenge("carrier.example", "n")))
        registrar.send(challenge, edge.address)
        request = await registrar.request("REGISTER")
        assert Credentials.parse(request.headers["Authorization"]).proves("REGISTER", "acct", "secret")
        registrar.send(granted(request, 1), edge.address)
        found = await state(edge, "registered")
        assert (found.code, found.registered_until > 0) == (200, True)
        request = await registrar.request("REGISTER")  # a refresh, in time
        registrar.send(granted(request, 600), edge.address)
        await state(edge, "registered")
        leaving = asyncio.create_task(edge.client.command(messages.Configure([], [], [])))
        request = await registrar.request("REGISTER")
        assert request.headers["Expires"] == "0"
        registrar.send(granted(request, 0), edge.address)
        await leaving
        assert (await edge.inventory()).trunks == []


@pytest.mark.layer
@pytest.mark.parametrize("registrar", ["UDP"], indirect=True)
async def test_a_refusal_is_seen_and_a_new_edge_registers_by_itself(run: Path, card: FakeCard, registrar: Phone) -> None:
    async with edge_here(run) as edge:
        await edge.cards(1)
        await register_there(edge, card, registrar)
        registrar.send(answer(await registrar.request("REGISTER"), 403, "Go away", tag="r"), edge.address)
        found = await state(edge, "refused")
        assert (found.code, found.detail, found.registered_until) == (403, "Go away", 0.0)
    async with edge_here(run) as edge:
        request = await registrar.request("REGISTER")
        registrar.send(granted(request, 600), edge.address)
        await state(edge, "registered")


@pytest.mark.layer
@pytest.mark.parametrize("registrar", ["TCP"], indirect=True)
async def test_a_broken_connection_registers_anew_at_once(run: Path, card: FakeCard, registrar: Phone) -> None:
    assert isinstance(registrar, StreamPhone)
    async with edge_here(run) as edge:
        await edge.cards(1)
        await register_there(edge, card, registrar)
        registrar.send(granted(await registrar.request("REGISTER"), 600), edge.address)
        await state(edge, "registered")
        registrar.cut()
        request = await registrar.request("REGISTER")
        registrar.send(granted(request, 600), edge.address)
        await state(edge, "registered")
        assert registrar.taken == 2
        # The carrier's calls come by the connection that we opened.
        invite = registrar.build("INVITE", request.headers["Contact"].strip("<>"))
        invite.headers.set("To", "<sip:+4930777@carrier.example>")
        registrar.send(invite, edge.address)
        assert (await card.sip.request("INVITE")).target.startswith("sip:+4930777@")


@pytest.mark.layer
async def test_a_registrar_that_is_not_there(run: Path, card: FakeCard) -> None:
    gone = StreamPhone()
    await gone.open()
    gone.close()
    async with edge_here(run) as edge:
        await edge.cards(1)
        await register_there(edge, card, gone)
        found = await state(edge, "unreachable")
        assert (found.code, found.detail) == (0, "no answer")
