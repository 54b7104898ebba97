"""Messages on a stream end where Content-Length says, however the bytes come; what cannot be framed is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.edge.framing import PING, Framer, FramingError
from sip.message import MAX_MESSAGE
from tests.sip.edge.test_messages import requests

pytestmark = pytest.mark.unit


def pulled(framer: Framer) -> list[bytes]:
    found = []
    while (message := framer.pull()) is not None:
        found.append(message)
    return found


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(1, 400), max_size=30), st.booleans())
def test_any_cut_gives_the_same_messages(many: list[object], cuts: list[int], pings: bool) -> None:
    texts = []
    for request in many:
        request.headers.set("Content-Length", str(len(request.body)))  # type: ignore[attr-defined]
        texts.append(bytes(request))  # type: ignore[call-overload]
    data = (PING if pings else b"").join(texts)
    framer, found = Framer(), []
    for cut in cuts:
        framer.feed(data[:cut])
        data = data[cut:]
        found += pulled(framer)
    framer.feed(data)
    found += pulled(framer)
    assert [m for m in found if m != PING] == texts
    assert not framer.partial


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_garbage_is_framed_or_refused_and_never_kept_for_ever(chunks: list[bytes]) -> None:
    framer = Framer()
    try:
        for chunk in chunks:
            framer.feed(chunk)
            pulled(framer)
    except FramingError:
        pass


@pytest.mark.parametrize(
    "lines",
    [b"", b"Content-Length: 5\r\nl: 6\r\n", b"Content-Length: x\r\n", b"Content-Length: -1\r\n", b"l: 1 1\r\n",
     b"Content-Length: 99999999999\r\n", b"Content-Length: 16384\r\n", b"Content-Length:\r\n"],
)  # fmt: skip
def test_a_length_that_is_none(lines: bytes) -> None:
    framer = Framer()
    framer.feed(b"OPTIONS sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n" + lines + b"\r\nrest")
    with pytest.raises(FramingError) as caught:
        framer.pull()
    assert caught.value.head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "line", [b"Content-Length: 4", b"l:4", b"CONTENT-LENGTH \t:\r\n 4", b"Content-Length: 4\r\nL: 4", b"Content-Length: 0004"]
)
def test_a_length_in_every_spelling(line: bytes) -> None:
    framer = Framer()
    framer.feed(b"OPTIONS sip:a@b SIP/2.0\r\n" + line + b"\r\n\r\nbody\r\n\r\n")
    found = pulled(framer)
    assert found[0].endswith(b"\r\n\r\nbody")
    assert found[1:] == [PING]


def test_a_header_without_end_is_refused_at_the_limit() -> None:
    framer = Framer()
    framer.feed(b"x" * (MAX_MESSAGE - 1))
    assert framer.pull() is None
    framer.feed(b"x")
    with pytest.raises(FramingError) as caught:
        framer.pull()
    assert not caught.value.head


def test_line_ends_alone_are_no_message() -> None:
    framer = Framer()
    for piece in (b"\r", b"\n", b"\r", b"\n"):
        assert framer.pull() is None
        framer.feed(piece)
        assert not framer.partial
    assert framer.pull() == PING
    framer.feed(b"\r\nOPTIONS")
    assert framer.pull() is None
    assert framer.partial
