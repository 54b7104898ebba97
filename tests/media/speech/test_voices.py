"""Real speech: length, level, band, silence around."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from media.activity import ActivityMeter
from media.speech.errors import SpeechError
from media.speech.voices import Voices
from tests.tools import tones

pytestmark = pytest.mark.layer

TEXT = "Hello, and welcome. For sales, press one. For support, press two."


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_sentence(voices: Voices, rate: int) -> None:
    samples = voices.speak(TEXT, "", rate)
    seconds = len(samples) / rate
    assert 3 < seconds < 7
    assert -6 <= 20 * np.log10(np.abs(samples).max() / 32768) <= -3
    assert -30 < tones.power(samples) < -15
    lead, tail = samples[: int(0.018 * rate)], samples[-int(0.14 * rate) :]
    assert not lead.any()
    assert not tail.any()
    assert np.abs(samples[: int(0.1 * rate)]).max() > 300, "speech begins at once"
    meter = ActivityMeter(rate)
    meter.feed(samples, np.zeros_like(samples))
    assert meter.finish().left_talk > 0.6 * seconds
    # Speech and not noise: most of its power lies below 1 kHz, little above 3.4 kHz.
    energy = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    bins = np.fft.rfftfreq(len(samples), 1 / rate)
    assert energy[bins < 1000].sum() > 0.5 * energy.sum()


def test_longer_texts_take_longer(voices: Voices) -> None:
    lengths = [len(voices.speak("seven " * count, "", 8000)) for count in (1, 3, 9)]
    assert lengths == sorted(lengths)
    assert lengths[2] > 3 * lengths[0]


@pytest.mark.parametrize("text", ["...", "- - -"])
def test_nothing_to_say(voices: Voices, text: str) -> None:
    with pytest.raises(SpeechError) as caught:
        voices.speak(text, "", 8000)
    assert caught.value.code == "unspeakable"


@pytest.mark.parametrize("text", ["[[x]] Bob", "[[", "]]", "👍", "漢字", "a" * 2000, "1234567890" * 20, "<speak>hi</speak>"])
def test_odd_texts_are_spoken_or_refused(voices: Voices, text: str) -> None:
    seconds = 0.0
    with contextlib.suppress(SpeechError):
        seconds = len(voices.speak(text, "", 8000)) / 8000
    assert seconds < 400
    # The voice is as good after it as before.
    assert 0.3 < len(voices.speak("hello", "", 8000)) / 8000 < 2


def test_voices_that_are_not_there_or_broken(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "broken.onnx.json").write_text("{}")
    voices = Voices(tmp_path)
    assert voices.names() == ["en_US-joe-medium", "broken"]
    for name, code in (("nobody", "unknown-voice"), ("broken", "voice-broken")):
        with pytest.raises(SpeechError) as caught:
            voices.speak("hello", name, 8000)
        assert caught.value.code == code


def test_a_broken_model_with_a_good_description(tmp_path: Path) -> None:
    voices = Voices()
    source = next(iter(voices._files.values()))
    (tmp_path / "broken.onnx").write_bytes(source.read_bytes()[:100_000])
    (tmp_path / "broken.onnx.json").write_bytes(source.with_name(f"{source.name}.json").read_bytes())
    with pytest.raises(SpeechError) as caught:
        Voices(tmp_path).load("broken")
    assert caught.value.code == "voice-broken"
