"""What the media tests share: real speech, spoken once for the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from media.speech.voices import Voices
    from media.wav import Samples


@pytest.fixture(scope="session")
def voices() -> Voices:
    """Piper with its voice loaded."""
    from media.speech.voices import Voices  # half a second, for the tests that speak only

    voices = Voices()
    voices.load("")
    return voices


@pytest.fixture(scope="session")
def speech(voices: Voices) -> Samples:
    """Four seconds and more of speech without a pause, at 16 kHz."""
    return np.asarray(
        voices.speak("your parcel was handed to our driver this morning and will reach you before noon", "", 16000)
    )
