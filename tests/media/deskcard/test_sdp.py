"""Session descriptions: what browsers offer, what we answer, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.deskcard.errors import SdpError
from media.deskcard.sdp import CodecChoice, Description, OwnSide, Transport

pytestmark = pytest.mark.unit

PRINT = ":".join(["AB"] * 32)
CHROMIUM = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:0
a=rtpmap:96 VP8/90000
m=audio 53241 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.0.2.7
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 192.0.2.7 53241 typ host generation 0 network-cost 999
a=candidate:2 1 udp 2113939711 0b9a1a9e-4c55-4d5f-9b4e-9ee3d9b1c1b1.local 60000 typ host
a=ice-ufrag:Gv1x
a=ice-pwd:mk3Mi2pLwhH5kpTAB2Yv4rrb
a=ice-options:trickle
a=fingerprint:sha-256 {PRINT}
a=setup:actpass
a=mid:1
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=ssrc:3052312345 cname:ABC
a=ssrc:3052312345 msid:stream track
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
a=sctp-port:5000
"""
OURS = Transport("abcd", "x" * 22, (("sha-256", PRINT),), "active", ("1 1 udp 2130706431 192.0.2.1 40000 typ host",))


def test_chromiums_offer_is_read() -> None:
    offer = Description.parse(CHROMIUM)
    assert offer.codecs == (CodecChoice("opus", 111), CodecChoice("PCMU", 0), CodecChoice("PCMA", 8))
    assert offer.mid == "1"
    assert offer.direction == "sendrecv"
    assert offer.transport.ufrag == "Gv1x"
    assert offer.transport.setup == "actpass"
    assert offer.transport.fingerprints == (("sha-256", PRINT),)
    assert len(offer.transport.candidates) == 2
    assert offer.ssrcs == (3052312345,)


def test_codecs_are_chosen_by_our_preference() -> None:
    offer = Description.parse(CHROMIUM)
    assert offer.choose(("PCMU", "opus")) == CodecChoice("PCMU", 0)
    assert offer.choose(("OPUS", "PCMU")) == CodecChoice("opus", 111)
    with pytest.raises(SdpError, match="no codec in common"):
        offer.choose(("G722",))


def test_our_answer_refuses_what_is_not_the_audio_stream_and_is_read_back() -> None:
    offer = Description.parse(CHROMIUM)
    text = str(OwnSide(OURS, (CodecChoice("opus", 111),), 42, "us", 7, offer.mid, "sendrecv", offer.sections))
    streams = [line for line in text.split("\r\n") if line.startswith("m=")]
    assert streams == [
        "m=video 0 UDP/TLS/RTP/SAVPF 96 97",
        "m=audio 40000 UDP/TLS/RTP/SAVPF 111",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ]
    assert "a=group:BUNDLE 1\r\n" in text
    assert "useinbandfec=1;stereo=0" in text
    again = Description.parse(text)
    assert again.codecs == (CodecChoice("opus", 111),)
    assert again.transport == OURS
    assert again.ssrcs == (42,)


def test_attributes_of_the_session_count_for_the_stream() -> None:
    lines = CHROMIUM.splitlines()
    ice = [line for line in lines if line.startswith(("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"))]
    rest = [line for line in lines if line not in ice]
    text = "\r\n".join([*rest[:5], *ice, *rest[5:]]) + "\r\n"
    assert Description.parse(text).transport.ufrag == "Gv1x"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("v=0", "v=1", "not a session"),
        ("m=audio", "m=text", "no audio"),
        ("m=audio 53241", "m=audio 0", "no audio"),
        ("m=audio 53241 UDP/TLS/RTP/SAVPF", "m=audio 53241 RTP/AVP", "no audio"),
        ("a=ice-ufrag:Gv1x", "a=ice-ufrag:G", "ICE credentials"),
        ("a=ice-pwd:mk3Mi2pLwhH5kpTAB2Yv4rrb", "a=ice-pwd:short", "ICE credentials"),
        (f"a=fingerprint:sha-256 {PRINT}", "a=fingerprint:md5 AA:BB", "fingerprint"),
        ("a=setup:actpass", "a=setup:holdconn", "DTLS role"),
        ("a=rtcp-mux", "a=rtcp-fb", "RTCP"),
        ("a=mid:1", "a=mid:1 2", "mid"),
        ("m=audio 53241", "m=audio x", "cannot be read"),
        ("a=sendrecv", "a=" + "x" * 70000, "too long"),
    ],
)
def test_what_cannot_be_answered_says_why(old: str, new: str, reason: str) -> None:
    with pytest.raises(SdpError, match=reason):
        Description.parse(CHROMIUM.replace(old, new))


@given(st.text(max_size=300) | st.lists(st.sampled_from(CHROMIUM.splitlines()), max_size=60).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SdpError):
        Description.parse(text)


@given(st.integers(0, len(CHROMIUM)), st.binary(min_size=1, max_size=3))
def test_a_damaged_offer_is_read_or_refused(position: int, damage: bytes) -> None:
    text = CHROMIUM[:position] + damage.decode("latin-1") + CHROMIUM[position + len(damage) :]
    with contextlib.suppress(SdpError):
        Description.parse(text)


def test_everything_in_an_answer_is_ours_or_was_checked() -> None:
    """Text of the offer that is repeated in the answer cannot bring lines of its own."""
    with pytest.raises(SdpError, match="mid"):
        Description.parse(CHROMIUM.replace("a=mid:2", "a=mid:2\ra=ice-lite"))
