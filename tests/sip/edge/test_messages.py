"""Reading and writing SIP: parse and serialise are inverse, what is cut is refused, nothing but ValueError comes out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.message import MAX_MESSAGE, BadMessage, Head, Headers, Request, Response, TopVia, parse, read_head
from sip.uri import NameAddress, SipUri, each_address, plain, revived, split_host_port, split_list

pytestmark = pytest.mark.unit

TORTURE = Path(__file__).parents[4] / "shared" / "rfc4475"


def torture(name: str) -> bytes:
    """One message of RFC 4475; the collection lies beside the project."""
    if not TORTURE.is_dir():
        pytest.skip(f"no RFC 4475 messages in {TORTURE}")
    return (TORTURE / f"{name}.dat").read_bytes()


words = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789", min_size=1, max_size=10)
users = st.text("abc123+-_.!~*'()&=$,;?/%23".replace("%", ""), min_size=1, max_size=12)
hosts = st.one_of(
    words.map(lambda w: f"a{w}.example.com"), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda a: f"[{a}]")
)
parameters = st.lists(
    st.one_of(st.sampled_from(["lr", "transport=tls", "transport=udp", "user=phone", "ob", "TRANSPORT=TCP"]), words), max_size=4
).map(tuple)
uris = st.builds(
    SipUri, st.sampled_from(["sip", "sips"]), st.none() | users, hosts, st.none() | st.integers(1, 65535), parameters
)
values = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30).map(lambda text: text.strip(" \t"))
headers = st.lists(st.tuples(words.map(lambda w: "X-" + w), values), max_size=6)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    uri = draw(uris.filter(lambda u: u.user is None or "?" not in u.user))
    request = Request(draw(st.sampled_from(["INVITE", "BYE", "OPTIONS", "XYZ"])), str(uri), draw(st.binary(max_size=50)))
    request.headers.add("Via", f"SIP/2.0/UDP {draw(hosts)}:{draw(st.integers(1, 65535))};branch=z9hG4bK{draw(words)};rport")
    request.headers.add("From", f'"A, <b>" <{draw(uris)}>;tag={draw(words)}')
    request.headers.add("To", f"<{draw(uris)}>")
    request.headers.add("Call-ID", draw(words))
    request.headers.add("CSeq", f"{draw(st.integers(0, 2**31 - 1))} {request.method}")
    for name, value in draw(headers):
        request.headers.add(name, value)
    request.headers.add("Content-Length", str(len(request.body)))
    return request


@given(requests())
def test_parse_undoes_serialise(request: Request) -> None:
    data = bytes(request)
    again = parse(data)
    assert isinstance(again, Request)
    assert bytes(again) == data
    assert read_head(again).method == request.method


@given(requests())
def test_every_truncation_is_a_value_error(request: Request) -> None:
    data = bytes(request)
    for size in range(len(data)):
        with pytest.raises(ValueError, match=r".+"):
            parse(data[:size])


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda b: b"INVITE sip:a@b SIP/2.0\r\n" + b + b"\r\n\r\n"))
def test_garbage_is_a_bad_message_or_a_message(data: bytes) -> None:
    try:
        read_head(parse(data))
    except BadMessage:
        return


@given(requests(), st.data())
def test_a_damaged_message_is_a_bad_message_or_a_message(request: Request, data: st.DataObject) -> None:
    raw = bytearray(bytes(request))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        head = read_head(parse(bytes(raw)))
    except BadMessage:
        return
    assert isinstance(head, Head)


def test_folded_lines_compact_forms_and_spaces_are_read() -> None:
    data = (
        b"INVITE sip:5000@h SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1 ,\r\n SIP/2.0/UDP b\r\n ;branch=z9hG4bK2\r\n"
        b"f  : <sip:a@b>\r\n\t;tag=1\r\nt:<sip:c@d>\r\ni: x\r\nCSEQ: 0009\r\n  INVITE\r\nm: <sip:a@b>\r\nl: 2\r\n\r\nhello"
    )
    message = parse(data)
    head = read_head(message)
    assert message.headers.getlist("Via") == ["SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/UDP b ;branch=z9hG4bK2"]
    assert (head.call_id, head.from_tag, head.to_tag, head.cseq) == ("x", "1", "", 9)
    assert message.headers["Contact"] == "<sip:a@b>"
    assert message.body == b"he"


def test_names_that_break_the_library_are_refused_all_the_same() -> None:
    with pytest.raises(ValueError, match="URI"):
        _ = Request("INVITE", "sip:a@b;self=1").uri
    assert TopVia.parse("SIP/2.0/UDP a;self=1;branch=z9hG4bKa/b+c==@x").branch == "z9hG4bKa/b+c==@x"


def test_bytes_that_are_no_utf8_pass_unchanged() -> None:
    data = b'INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: "M\xfcller" <sip:a@b>;tag=1\r\n\r\n'
    assert b'"M\xfcller"' in bytes(parse(data))


def test_a_message_is_bounded() -> None:
    with pytest.raises(BadMessage):
        parse(b"INVITE sip:a@b SIP/2.0\r\nX: " + b"x" * MAX_MESSAGE + b"\r\n\r\n")
    with pytest.raises(BadMessage):
        parse(b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 300 + b"\r\n")


@pytest.mark.parametrize(
    ("name", "code"),
    [("badvers", 505), ("unkscm", 416), ("novelsc", 416), ("ncl", 400), ("clerr", 400), ("mcl01", 400), ("mismatch01", 400),
     ("mismatch02", 400), ("multi01", 400), ("insuf", 400), ("scalar02", 400), ("ltgtruri", 400), ("lwsruri", 400),
     ("lwsstart", 400), ("trws", 400), ("escruri", 400), ("quotbal", 400), ("badinv01", 400)],
)  # fmt: skip
def test_bad_torture_requests_can_be_answered(name: str, code: int) -> None:
    data = torture(name)
    with pytest.raises(BadMessage) as caught:
        read_head(parse(data))
    assert caught.value.code == code
    assert caught.value.headers is not None


@pytest.mark.parametrize("name", ["wsinv", "intmeth", "esc01", "escnull", "esc02", "lwsdisp", "longreq", "dblreq", "semiuri",
                                  "transports", "mpart01", "unreason", "noreason"])  # fmt: skip
def test_valid_torture_messages_are_read(name: str) -> None:
    data = torture(name)
    message = parse(data)
    read_head(message)
    assert bytes(parse(bytes(message))) == bytes(message)


@given(uris)
def test_uris_are_kept_as_text(uri: SipUri) -> None:
    assert SipUri.parse(str(uri)) == uri


@given(uris)
def test_what_is_put_away_for_a_card_comes_back(uri: SipUri) -> None:
    safe = plain(uri)
    assert safe.scheme == "sip"
    assert safe.parameter("transport") is None
    expected = dataclasses.replace(uri, parameters=tuple(_small(p) for p in uri.parameters))
    assert revived(SipUri.parse(str(safe))) == expected


def _small(parameter: str) -> str:
    key, mark, value = parameter.partition("=")
    return f"transport{mark}{value}" if key.lower() == "transport" else parameter


def test_nobody_outside_can_put_things_away() -> None:
    assert str(plain(SipUri.parse("sip:a@b;x-sr-scheme=sips;x-sr-transport=tls"))) == "sip:a@b"


@given(st.lists(uris.filter(lambda u: u.scheme == "sips"), min_size=1, max_size=4))
def test_every_address_of_a_list_is_changed(many: list[SipUri]) -> None:
    header = ", ".join(f'"x,<y>" <{uri}>;q=1' for uri in many)
    changed = each_address([header], plain)
    assert [str(NameAddress.parse(v).uri) for v in changed] == [str(plain(u)) for u in many]
    assert all(v.startswith('"x,<y>" <') and v.endswith(">;q=1") for v in changed)


@given(st.lists(st.text('ab<>",;\\ ', max_size=8), max_size=5).map(",".join))
def test_lists_are_split_without_loss(text: str) -> None:
    assert "".join(split_list(text)).replace(" ", "").replace(",", "") == text.replace(" ", "").replace(",", "")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for reader in (SipUri.parse, NameAddress.parse, TopVia.parse, split_host_port):
        try:
            reader(text)
        except ValueError:
            continue


def test_via_stamp() -> None:
    via = TopVia.parse("SIP/2.0/UDP phone.local:5070;received=9.9.9.9;branch=z9hG4bKx;rport")
    stamped = TopVia.parse(via.stamped("192.0.2.1", 40000))
    assert (stamped.received, stamped.rport, stamped.branch) == ("192.0.2.1", "40000", "z9hG4bKx")
    assert stamped.reply_to == ("192.0.2.1", 40000)
    assert TopVia.parse("SIP/2.0/UDP 192.0.2.1;received=6.6.6.6").stamped("192.0.2.1", 1) == "SIP/2.0/UDP 192.0.2.1"
    assert TopVia.parse("SIP/2.0/TLS [2001:db8::1]").reply_to == ("2001:db8::1", 5061)


def test_headers_are_found_by_any_spelling() -> None:
    found = Headers()
    found.add("X-A", "1")
    found.push("x-a", "0")
    assert (found.getlist("X-a"), found["x-A"], "X-B" in found) == (["0", "1"], "0", False)
    found.setlist("X-A", [])
    assert str(found) == "\r\n"
    assert bytes(Response(200, "OK")) == b"SIP/2.0 200 OK\r\n\r\n"
