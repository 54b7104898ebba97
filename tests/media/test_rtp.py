"""RTP and RTCP on the wire, the receiver's figures, and the E-model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import rtcp
from media.quality import mos, rating
from media.rtcp import Description, Goodbye, Report, ReportBlock, SenderInfo
from media.rtp import Reception, RtpPacket, Unwrapper, is_rtcp

pytestmark = pytest.mark.unit

words = st.integers(0, 0xFFFFFFFF)
shorts = st.integers(0, 0xFFFF)
packets = st.builds(RtpPacket, st.integers(0, 127), shorts, words, words, st.binary(max_size=300), st.booleans())
blocks = st.builds(ReportBlock, words, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), words, words, words, words)
senders = st.builds(SenderInfo, st.integers(0, 2**64 - 1), words, words, words)
reports = st.builds(Report, words, st.none() | senders, st.lists(blocks, max_size=31).map(tuple))
goodbyes = st.builds(Goodbye, st.lists(words, max_size=31).map(tuple))


@given(packets)
def test_rtp_survives_the_wire(packet: RtpPacket) -> None:
    assert RtpPacket.parse(bytes(packet)) == packet


@given(
    packets,
    st.lists(words, max_size=15),
    st.none() | st.lists(words, max_size=5),
    st.integers(0, 255),
)
def test_rtp_sources_extension_and_padding_are_skipped(
    packet: RtpPacket, sources: list[int], extension: list[int] | None, padding: int
) -> None:
    plain = bytes(packet)
    first = 0x80 | len(sources) | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    wire = bytes([first]) + plain[1:12] + b"".join(word.to_bytes(4, "big") for word in sources)
    if extension is not None:
        wire += b"\xbe\xde" + len(extension).to_bytes(2, "big") + b"".join(word.to_bytes(4, "big") for word in extension)
    head = len(wire)
    wire += packet.payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")
    assert RtpPacket.parse(wire) == packet
    for cut in range(head):
        with pytest.raises(ValueError, match="RTP"):
            RtpPacket.parse(wire[:cut])


@given(st.binary(max_size=200))
def test_rtp_garbage_is_refused_or_a_packet(data: bytes) -> None:
    try:
        packet = RtpPacket.parse(data)
    except ValueError:
        return
    assert len(packet.payload) <= len(data) - 12


@given(reports)
def test_reports_survive_the_wire(report: Report) -> None:
    assert rtcp.parse(bytes(report)) == [report]


@given(st.lists(reports | goodbyes, min_size=1, max_size=3), words, st.text(max_size=40))
def test_compounds_are_read_in_order_and_others_skipped(told: list[Report | Goodbye], ssrc: int, cname: str) -> None:
    wire = b"".join(map(bytes, told)) + bytes(Description(ssrc, cname)) + b"\x81\xcd\0\2" + bytes(8)
    assert is_rtcp(wire)
    assert rtcp.parse(wire) == told


@given(reports | goodbyes, st.data())
def test_every_truncation_of_rtcp_is_refused(told: Report | Goodbye, data: st.DataObject) -> None:
    wire = bytes(told)
    with pytest.raises(ValueError, match="RTCP"):
        rtcp.parse(wire[: data.draw(st.integers(0, len(wire) - 1))])


@given(st.binary(max_size=200))
def test_rtcp_garbage_is_a_value_error_at_worst(data: bytes) -> None:
    try:
        rtcp.parse(data)
    except ValueError:
        return


def test_description_is_padded_to_words() -> None:
    for size in range(9):
        wire = bytes(Description(1, "x" * size))
        assert len(wire) % 4 == 0
        assert wire[-1] == 0
        assert int.from_bytes(wire[2:4], "big") * 4 + 4 == len(wire)


def test_round_trip_is_what_is_left_of_the_time() -> None:
    sent = rtcp.ntp(1_700_000_000.0)
    block = ReportBlock(1, 0, 0, 0, 0, rtcp.compact(sent), round(0.5 * 65536))
    assert rtcp.round_trip(block, rtcp.ntp(1_700_000_000.58)) == pytest.approx(0.08, abs=0.001)
    # Their clock runs fast: never negative.
    assert rtcp.round_trip(block, rtcp.ntp(1_700_000_000.4999)) == 0.0
    assert rtcp.round_trip(ReportBlock(1, 0, 0, 0, 0, 0, 0), sent) is None
    assert rtcp.round_trip(block, rtcp.ntp(1_700_000_200.0)) is None


@given(st.lists(st.integers(-100, 100), max_size=50), shorts)
def test_unwrapping_follows_small_steps(steps: list[int], start: int) -> None:
    unwrapper, value = Unwrapper(16), start
    assert unwrapper.unwrap(start) == start
    for step in steps:
        value += step
        assert unwrapper.unwrap(value & 0xFFFF) == value


def test_reception_counts_losses_across_the_wrap() -> None:
    reception = Reception(8000)
    for number in range(65500, 65600):
        if number % 10:
            reception.add(number & 0xFFFF, number * 160 & 0xFFFFFFFF, number * 0.02)
    assert (reception.received, reception.expected, reception.lost) == (90, 99, 9)
    assert reception.highest == 65599
    assert reception.fraction_lost() == 9 * 256 // 99
    assert reception.fraction_lost() == 0


def test_reception_measures_jitter_as_the_rfc_says() -> None:
    steady, shaken = Reception(48000), Reception(48000)
    for number in range(2000):
        steady.add(number, number * 960, number * 0.02)
        shaken.add(number, number * 960, number * 0.02 + (0.010 if number % 2 else 0.0))
    assert steady.jitter_ms == pytest.approx(0, abs=0.1)
    assert shaken.jitter_ms == pytest.approx(10, rel=0.05)


def test_reordered_and_doubled_packets_are_no_loss() -> None:
    reception = Reception(8000)
    for number in (5, 7, 6, 6, 8, 3):
        reception.add(number, number * 160, 0.0)
    assert reception.lost == 0
    assert reception.expected == 6


def test_mos_falls_with_loss_and_delay() -> None:
    assert mos("PCMU", loss=0, delay_ms=20) == pytest.approx(4.4, abs=0.05)
    assert rating("PCMU", loss=0, delay_ms=0) == pytest.approx(93.2)
    # G.107/G.113: G.711 with PLC at 5 % random loss has Ie,eff of 15.8.
    assert rating("PCMU", loss=0.05, delay_ms=0) == pytest.approx(93.2 - 15.8, abs=0.1)
    figures = [mos("opus", loss=loss, delay_ms=50) for loss in (0, 0.02, 0.05, 0.2, 0.6)]
    assert figures == sorted(figures, reverse=True)
    assert mos("opus", loss=1, delay_ms=1000) == 1.0
    assert mos("PCMU", loss=0, delay_ms=400) < mos("PCMU", loss=0, delay_ms=150) - 0.5
