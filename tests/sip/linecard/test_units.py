"""The parts without pjsua2: reading messages, collecting digits, typed ends, ids."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.control.line import Termination
from sip.linecard.__main__ import parse
from sip.linecard.bridge import CALM, LATE, WATCH, WINDOW, TickRate
from sip.linecard.collecting import AHEAD_SECONDS, Collector, Rules, TypeAhead
from sip.linecard.dialogs import DialogState
from sip.linecard.identifiers import new_id
from sip.linecard.termination import by_status, local_end, remote_end
from sip.linecard.wire import Address, Message, info_digit, split_list, uri_user

pytestmark = pytest.mark.unit

INVITE = (
    b"INVITE sip:5000@card SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bKedge\r\nVia: SIP/2.0/UDP b;branch=z9hG4bKcaller\r\n"
    b'f: "Ann, \\"A\\"" <sip:ann@x;user=phone>;tag=f1\r\nTo: <sip:5000@y>\r\ni: id-1\r\nCSeq: 7 INVITE\r\n'
    b"Record-Route: <sip:edge1;lr>,\r\n <sip:edge2;lr>\r\nm: <sip:ann@10.0.0.9:5070;transport=udp>\r\n\r\nv=0\r\n"
)
OK = (
    b"SIP/2.0 200 OK\r\nFrom: <sip:ann@x>;tag=f1\r\nTo: <sip:5000@y>;tag=t1\r\nCall-ID: id-1\r\nCSeq: 7 INVITE\r\n"
    b"Record-Route: <sip:edge1;lr>, <sip:edge2;lr>\r\nContact: <sip:card@127.0.0.1:9>\r\n\r\n"
)


def test_compact_folded_and_quoted_headers_are_read() -> None:
    message = Message.parse(INVITE)
    assert (message.method, message.cseq, message.request_uri, message.status) == ("INVITE", 7, "sip:5000@card", 0)
    assert message.sender == Address('Ann, "A"', "sip:ann@x;user=phone", {"tag": "f1"})
    assert message.all("record-route") == ["<sip:edge1;lr>", "<sip:edge2;lr>"]
    assert [Address.parse(via).parameters["branch"] for via in message.all("via")] == ["z9hG4bKedge", "z9hG4bKcaller"]
    assert message.body == b"v=0\n"
    assert (Message.parse(OK).status, Message.parse(OK).method) == (200, "INVITE")


def test_a_dialog_is_seen_from_both_ends() -> None:
    server = DialogState.as_server(Message.parse(INVITE), Message.parse(OK))
    assert (server.local.tag, server.remote.tag) == ("t1", "f1")
    assert server.remote_target == "sip:ann@10.0.0.9:5070;transport=udp"
    assert server.route_set == ("<sip:edge1;lr>", "<sip:edge2;lr>")
    client = DialogState.as_client(Message.parse(OK))
    assert (client.local.tag, client.remote.tag, client.cseq) == ("f1", "t1", 100_007)
    assert client.route_set == ("<sip:edge2;lr>", "<sip:edge1;lr>")
    assert client.retargeted(Message.parse(INVITE)).remote_target == "sip:ann@10.0.0.9:5070;transport=udp"


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_value_error(raw: bytes) -> None:
    try:
        message = Message.parse(raw)
        _ = message.method, message.cseq, message.status, message.all("via"), message.sender, message.recipient
    except ValueError:
        pass


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    assert "".join(split_list(text)).count(",") <= text.count(",")
    with contextlib.suppress(ValueError):
        Address.parse(text)


@pytest.mark.parametrize(
    ("uri", "user"),
    [("sip:ann:pw@x", "ann"), ("sip:x", ""), ("tel:+4930;ext=1", "+4930"), ("sips:+49;isub=1@x", "+49"), ("", "")],
)
def test_the_user_of_a_uri(uri: str, user: str) -> None:
    assert uri_user(uri) == user


@pytest.mark.parametrize(
    ("kind", "text", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
        ("Application/DTMF-Relay; x=1", "Duration= 100\nSignal= *", "*"),
        ("application/dtmf-relay", "Signal: 11", "#"),
        ("application/dtmf", " d ", "D"),
    ],
)
def test_digits_in_info(kind: str, text: str, digit: str) -> None:
    assert info_digit(kind, text.encode()) == digit


@pytest.mark.parametrize(("kind", "text"), [("text/plain", "5"), ("application/dtmf", "55"), ("application/dtmf-relay", "x")])
def test_what_is_no_digit(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="digit"):
        info_digit(kind, text.encode())


def rules(low: int = 1, high: int = 4) -> Rules:
    return Rules(low, high, "#", 5.0, 2.0)


def test_a_collection_ends_by_number_terminator_or_time() -> None:
    full = Collector(rules(high=2))
    full.digit("1", 0)
    full.digit("2", 1)
    full.digit("3", 1)
    assert (full.digits, full.done) == ("12", "enough")
    ended = Collector(rules(low=1))
    ended.listen(0)
    assert ended.deadline == 5
    ended.digit("1", 1)
    assert ended.deadline == 3
    ended.digit("#", 2)
    assert (ended.digits, ended.done, ended.deadline) == ("1", "enough", None)
    slow = Collector(rules())
    slow.listen(0)
    slow.expire(4.9)
    assert slow.done is None
    slow.expire(5)
    assert slow.done == "no-input"
    partly = Collector(rules())
    partly.digit("1", 0)
    partly.expire(2)
    assert (partly.digits, partly.done) == ("1", "timeout")


@given(st.text(alphabet="0123456789*#", max_size=12), st.integers(1, 6))
def test_a_collection_never_holds_more_than_asked_for(digits: str, most: int) -> None:
    collector = Collector(rules(high=most))
    for digit in digits:
        collector.digit(digit, 0)
    assert len(collector.digits) <= most
    assert "#" not in collector.digits
    assert (collector.done is None) == (len(digits.partition("#")[0]) < most and "#" not in digits)


def test_digits_dialled_ahead_do_not_count_for_ever() -> None:
    ahead = TypeAhead()
    ahead.put("1", 0)
    ahead.put("2", AHEAD_SECONDS)
    assert ahead.take(AHEAD_SECONDS + 1) == "2"
    assert ahead.take(AHEAD_SECONDS + 1) is None


def test_ends_are_typed() -> None:
    assert by_status(486) == Termination("refused", "busy", "remote", 486)
    assert by_status(599).reason == "unavailable"
    assert by_status(699).result == "refused"
    assert remote_end(connected=False, incoming=True, code=487) == Termination("cancelled", "cancelled", "remote", 487)
    assert local_end("rejected", connected=False, incoming=True, code=486) == Termination("refused", "rejected", "local", 486)
    assert local_end("apology", connected=True, incoming=True) == Termination("answered", "apology", "system", 200)
    assert local_end("local-hangup", connected=False, incoming=False).result == "cancelled"


def test_ids_are_uuids_of_version_7_in_order() -> None:
    made = [uuid.UUID(new_id()) for _ in range(50)]
    assert {each.version for each in made} == {7}
    assert [each.int >> 80 for each in made] == sorted(each.int >> 80 for each in made)


def test_the_command_line_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--run", "/r", "--name", "linecard0", "--proxy", "127.0.0.1:5060"]
    settings = parse([*given, "--rtp", "20000-20100", "--rate", "8000"])
    assert (settings.rtp_first, settings.rtp_last, settings.rate, settings.proxy) == (20000, 20100, 8000, ("127.0.0.1", 5060))
    assert str(settings.control) == "/r/linecard0.ctl"
    for wrong in (["--rtp", "9-1"], ["--rtp", "x"], ["--rate", "11025"], ["--sip", "nowhere"]):
        with pytest.raises(SystemExit):
            parse([*given, *wrong])
    assert "FIRST-LAST" in capsys.readouterr().err


def test_overload_is_said_soon_and_taken_back_late() -> None:
    rate, now = TickRate(), 0.0

    def looks(ticks: float, seconds: float) -> list[bool]:
        """As many looks as come in this time."""
        nonlocal now
        found = []
        for _ in range(round(seconds / WATCH)):
            now += WATCH
            found.append(rate.look(ticks, now))
        return found

    assert not any(looks(50, 1) + looks(30, WINDOW) + looks(50, WATCH) + looks(46, LATE))  # a hiccup is none
    assert looks(46, WATCH) == [True]
    assert rate.overloaded
    assert not any(looks(50, CALM) + looks(48, WATCH) + looks(50, CALM))
    assert looks(50, WATCH) == [True]
    assert not rate.overloaded
