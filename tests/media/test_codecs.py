"""Opus and G.711: tones go in and come out, losses are filled, garbage is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media import opus
from media.g711 import G711, Downsampler, Upsampler
from media.opus import OpusDecoder, OpusEncoder, OpusError, OpusMissing

pytestmark = pytest.mark.unit


def tone(hertz: float, rate: int, seconds: float, level: float = 8000) -> bytes:
    when = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * hertz * when)).astype("<i2").tobytes()


def frames(pcm: bytes, rate: int) -> list[bytes]:
    size = rate // 50 * 2
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def level(pcm: bytes, rate: int, hertz: float) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    window = np.hanning(len(samples))
    turn = np.exp(-2j * math.pi * hertz * np.arange(len(samples)) / rate)
    return float(abs((samples * window * turn).sum()) * 2 / window.sum())


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("hertz", [300, 440, 1500, 3000])
def test_opus_carries_a_tone(rate: int, hertz: int) -> None:
    encoder, decoder = OpusEncoder(rate), OpusDecoder(rate)
    packets = [encoder.encode(frame) for frame in frames(tone(hertz, rate, 2), rate)]
    heard = b"".join(decoder.decode(packet) for packet in packets)
    assert level(heard[rate:], rate, hertz) == pytest.approx(8000, rel=0.25)
    assert sum(map(len, packets)) * 8 / 2 < 40_000


def buzz(rate: int, seconds: float) -> bytes:
    """Something like a voice: a buzz of moving pitch and level."""
    when = np.arange(round(rate * seconds)) / rate
    turn = np.cumsum(2 * np.pi * (120 + 30 * np.sin(2 * np.pi * 1.7 * when)) / rate)
    sound = sum(np.sin(k * turn) / k for k in range(1, 20)) * (0.15 + np.abs(np.sin(2 * np.pi * 2.3 * when)))
    return (sound * 4000).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [8000, 16000])
def test_opus_rebuilds_a_lost_packet_from_the_one_that_follows(rate: int) -> None:
    """Every fifth packet is lost: as we set the encoder, FEC leaves less than a quarter of the error of making it up."""
    encoder = OpusEncoder(rate)
    packets = [encoder.encode(frame) for frame in frames(buzz(rate, 3), rate)]
    decoder = OpusDecoder(rate)
    whole = [np.frombuffer(decoder.decode(packet), "<i2").astype(float) for packet in packets]

    def error(fec: bool) -> float:
        decoder, wrong, power = OpusDecoder(rate), 0.0, 0.0
        for number, packet in enumerate(packets):
            if number % 5 == 3:
                continue
            if number % 5 == 4:
                pcm = decoder.recover(packet, rate // 50) if fec else decoder.conceal(rate // 50)
                wrong += float(((np.frombuffer(pcm, "<i2") - whole[number - 1]) ** 2).sum())
                power += float((whole[number - 1] ** 2).sum())
            decoder.decode(packet)
        return wrong / power

    assert error(fec=True) < 0.15
    assert error(fec=True) < error(fec=False) / 4


def test_opus_made_up_sound_fades() -> None:
    encoder, decoder = OpusEncoder(16000), OpusDecoder(16000)
    for frame in frames(tone(440, 16000, 0.5), 16000):
        decoder.decode(encoder.encode(frame))
    made_up = [decoder.conceal(320) for _ in range(30)]
    assert all(len(pcm) == 640 for pcm in made_up)
    assert level(made_up[0], 16000, 440) > 2000
    assert level(made_up[-1], 16000, 440) < 400


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_opus_refuses_garbage_with_a_value_error(data: bytes) -> None:
    decoder = OpusDecoder(16000)
    try:
        pcm = decoder.decode(data)
    except ValueError:
        return
    assert 0 < len(pcm) <= 16000 * 2 * opus.LONGEST // 1000


def test_opus_refuses_other_sizes_and_rates() -> None:
    with pytest.raises(OpusError, match="20 ms"):
        OpusEncoder(16000).encode(bytes(320))
    with pytest.raises(OpusError, match="samples a second"):
        OpusEncoder(32000)
    with pytest.raises(OpusError, match="not an Opus"):
        OpusDecoder(8000).decode(b"")


def test_a_missing_library_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    with pytest.raises(OpusMissing, match="wheel `av`"):
        opus.find_library()


# Values of ITU-T G.711's tables (and G.191's reference code): code to level in 16 bits.
MU_LAW = {0x00: -32124, 0x80: 32124, 0xFF: 0, 0x7F: 0, 0xFE: 8, 0x7E: -8, 0xF0: 120, 0x8F: 16764}
A_LAW = {0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256, 0xD4: 24, 0x80: 5504, 0x00: -5504}


def test_g711_levels_are_the_standard_ones() -> None:
    for name, table in (("PCMU", MU_LAW), ("PCMA", A_LAW)):
        for code, value in table.items():
            decoded = int(np.frombuffer(G711(name).decode(bytes([code])), "<i2")[0])
            assert decoded == value, (name, hex(code))


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_codes_come_back_and_errors_stay_small(name: str) -> None:
    codec = G711(name)
    every = bytes(range(256))
    again = codec.encode(codec.decode(every))
    assert codec.decode(again) == codec.decode(every)
    values = np.arange(-32768, 32768).astype("<i2")
    error = np.abs(np.frombuffer(codec.decode(codec.encode(values.tobytes())), "<i2").astype(int) - values)
    assert (error <= np.maximum(np.abs(values.astype(int)) // 28, 16)[: len(error)]).mean() > 0.98
    assert codec.encode(bytes(2)) == (b"\xff" if name == "PCMU" else b"\xd5")


def test_g711_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="G729"):
        G711("G729")


@pytest.mark.parametrize("hertz", [300, 1000, 3000, 3400])
def test_rate_conversion_keeps_the_band_and_has_no_seams(hertz: int) -> None:
    up, down = Upsampler(), Downsampler()
    wide = b"".join(up.convert(frame) for frame in frames(tone(hertz, 8000, 1), 8000))
    assert len(wide) == 32000
    assert level(wide[2000:], 16000, hertz) == pytest.approx(8000, rel=0.02)
    assert level(wide[2000:], 16000, 8000 - hertz) < 80
    narrow = b"".join(down.convert(frame) for frame in frames(wide, 16000))
    assert len(narrow) == 16000
    assert level(narrow[2000:], 8000, hertz) == pytest.approx(8000, rel=0.03)
    samples = np.frombuffer(narrow[2000:], "<i2").astype(float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    axis = np.fft.rfftfreq(len(samples), 1 / 8000)
    assert power[np.abs(axis - hertz) > 20].sum() / power.sum() < 1e-4


def test_what_would_alias_is_taken_out() -> None:
    down = Downsampler()
    narrow = b"".join(down.convert(frame) for frame in frames(tone(5000, 16000, 1), 16000))
    assert level(narrow[2000:], 8000, 3000) < 80
