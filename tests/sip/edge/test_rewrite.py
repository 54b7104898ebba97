"""The rewriting between outside and card, as pure functions: on the way back it is undone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.edge import rewrite
from sip.edge.branch import Branch, derive, is_client, tag
from sip.edge.rewrite import CardSide, PublicSide
from sip.message import Request, Response, TopVia, parse, read_head, response_to
from sip.uri import NameAddress, SipUri, each_address, revived
from tests.sip.edge.test_messages import requests, uris, words

pytestmark = pytest.mark.unit

SIDE = CardSide("linecard3", "abc", ("127.0.0.1", 40003), ("127.0.0.1", 5070))
PUBLIC = PublicSide(("198.51.100.7", 5060))
VIA = "z9hG4bKsr000000000000000000000000.000000000000.0"


@given(requests(), uris, uris)
def test_the_routes_of_a_dialog_come_back_as_they_were(request: Request, contact: SipUri, hop: SipUri) -> None:
    request.method = "INVITE"
    request.headers.set("Contact", f"<{contact}>")
    request.headers.set("Record-Route", f"<{hop}>")
    went = rewrite.request_to_card(request, SIDE, PUBLIC, VIA)
    answer = response_to(went.headers, 200, "OK", "t")
    answer.headers.setlist("Record-Route", went.headers.getlist("Record-Route"))
    answer.headers.add("Contact", "<sip:5000@127.0.0.1:40003;ob>")
    back = rewrite.response_from_card(answer, SIDE, PUBLIC)
    assert back.headers.getlist("Via") == request.headers.getlist("Via")
    assert back.headers["From"] == request.headers["From"]
    assert back.headers["Contact"] == "<sip:5000@198.51.100.7:5060>"
    own = [SIDE.record_route, PUBLIC.record_route]
    assert back.headers.getlist("Record-Route")[:2] == own
    assert _same(back.headers.getlist("Record-Route")[2], f"<{hop}>")
    bye = Request("BYE", went.headers["Contact"].strip("<>"))
    bye.headers.setlist("Route", went.headers.getlist("Record-Route")[2:])
    target = SipUri.parse(each_address([f"<{bye.target}>"], revived)[0].strip("<>"))
    left = rewrite.request_from_card(bye, SIDE, PUBLIC, VIA, target)
    assert _same(f"<{left.target}>", f"<{contact}>")
    assert _same(left.headers["Route"], f"<{hop}>")


def _same(one: str, other: str) -> bool:
    """`transport` may come back in small letters; it is case-insensitive (RFC 3261 §19.1.4)."""
    return one.lower() == other.lower()


@given(requests(), st.text("0123456789+*", min_size=1, max_size=15))
def test_the_number_dialled_survives(request: Request, number: str) -> None:
    for target in (f"sip:{number}@example.com", f"sips:{number}@example.com:5061;transport=tls;user=phone"):
        request.target = target
        went = rewrite.request_to_card(request, SIDE, PUBLIC, VIA)
        assert went.target == f"sip:{number}@127.0.0.1:40003"
        assert isinstance(parse(bytes(went)), Request)


@given(requests(), words)
def test_only_known_headers_reach_a_card(request: Request, word: str) -> None:
    request.headers.add("X-Switchroom-" + word, "1")
    request.headers.add("Q-" + word, "1")
    request.headers.add("x-kept", "1")
    went = rewrite.request_to_card(request, SIDE, PUBLIC, VIA, ((rewrite.SOURCE, "192.0.2.1:5060"),))
    names = {name.lower() for name in went.headers.keys()}  # noqa: SIM118
    assert {n for n in names if n.startswith("x-switchroom-")} == {"x-switchroom-source"}
    assert all(n in rewrite.PASSED or n.startswith("x-") for n in names)
    assert "x-kept" in names
    assert went.headers["X-Switchroom-Source"] == "192.0.2.1:5060"


def test_the_request_itself_is_not_touched() -> None:
    request = Request("INVITE", "sip:5000@h")
    for name, value in (
        ("Via", "SIP/2.0/UDP a"),
        ("Contact", "<sips:a@b>"),
        ("Alert-Info", "x"),
        ("Record-Route", "<sip:r;lr>"),
    ):
        request.headers.add(name, value)
    before = bytes(request)
    rewrite.request_to_card(request, SIDE, PUBLIC, VIA)
    assert bytes(request) == before


def test_a_redirect_of_a_card_keeps_other_peoples_contacts() -> None:
    response = Response(302, "Moved")
    response.headers.setlist("Via", [VIA, "SIP/2.0/UDP a"])
    response.headers.add("Contact", "<sip:x@elsewhere;x-sr-transport=tcp>, <sip:y@127.0.0.1:40003>")
    back = rewrite.response_from_card(response, SIDE, PUBLIC)
    assert back.headers.getlist("Contact") == ["<sip:x@elsewhere;transport=tcp>", "<sip:y@198.51.100.7:5060>"]


def test_other_transports_say_so() -> None:
    tls = PublicSide(("2001:db8::1", 5061), "TLS")
    assert tls.record_route == "<sip:[2001:db8::1]:5061;lr;transport=tls>"
    assert str(tls.contact(SipUri.parse("sip:a@127.0.0.1:4;ob"))) == "sip:a@[2001:db8::1]:5061;transport=tls"
    assert NameAddress.parse(rewrite.plain_route(tls.record_route)).uri.parameter("transport") is None
    secure = PublicSide(("192.0.2.1", 5061), "TLS", "f00", True)
    assert secure.record_route == "<sips:f00@192.0.2.1:5061;lr>"
    assert str(secure.contact(SipUri.parse("sip:a@127.0.0.1:4"))) == "sips:a@192.0.2.1:5061"
    back = NameAddress.parse(each_address([rewrite.plain_route(secure.record_route)], revived)[0])
    assert (back.uri.scheme, back.uri.user) == ("sips", "f00")


@given(requests(), words)
def test_branches_follow_the_transaction(request: Request, word: str) -> None:
    head = read_head(request)
    branch = derive(head, request.target, "0")
    assert Branch.parse(str(branch)) == branch
    assert not is_client(str(branch))
    request.headers.set("CSeq", f"{head.cseq} CANCEL")
    request.headers.set("To", request.headers["To"] + ";tag=" + word)
    request.method = "CANCEL"
    cancel = read_head(request)
    assert derive(cancel, request.target, "0") == branch
    request.headers.set("Via", f"SIP/2.0/UDP other;branch=z9hG4bK{head.via.branch[7:]}{word}")
    other = read_head(request)
    assert derive(other, request.target, "0").transaction != branch.transaction
    assert derive(other, request.target, "0").loop == branch.loop
    assert derive(head, request.target, "1") != branch


def test_old_clients_have_branches_too() -> None:
    request = Request("INVITE", "sip:a@b")
    for name, value in (("Via", "SIP/2.0/UDP old"), ("From", "<sip:a@b>"), ("To", "<sip:a@b>"), ("Call-ID", "1")):
        request.headers.add(name, value)
    request.headers.add("CSeq", "1 INVITE")
    head = read_head(request)
    assert derive(head, "sip:a@b", "0") != derive(head, "sip:c@b", "0")
    assert tag(head) == tag(head)
    assert TopVia.parse("SIP/2.0/UDP old").branch == ""
