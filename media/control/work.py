"""What the workers understand: the speech worker speaks texts into files, the vault worker files recordings."""

from __future__ import annotations

import msgspec

from media.control.line import Mark


class Speak(msgspec.Struct, frozen=True, tag="speak"):
    """Make (or find in the cache) a WAV of this text; returns a Spoken."""

    text: str
    rate: int
    voice: str = ""


class Spoken(msgspec.Struct, frozen=True):
    path: str
    seconds: float
    cached: bool


class TakeInventory(msgspec.Struct, frozen=True, tag="inventory"):
    """Returns an Inventory."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Finish the job in hand and leave."""


SpeechCommand = Speak | TakeInventory | Shutdown


class StoreRecording(msgspec.Struct, frozen=True, tag="store_recording"):
    """Merge two mono WAVs into one stereo Ogg Opus, analyse, encrypt into the vault; returns Stored, removes the WAVs."""

    recording: str
    left: str
    right: str
    started: float
    paused: list[Mark] = []


class Activity(msgspec.Struct, frozen=True):
    """Speech of one channel: seconds of talk and silence; `overlap` is both at once."""

    talk: float
    silence: float


class Stored(msgspec.Struct, frozen=True):
    """A filed recording: `file` is its name in the vault, `key` its wrapped key, `peaks` the waveform (base64, 2 channels)."""

    recording: str
    file: str
    key: str
    media_type: str
    seconds: float
    size: int
    left: Activity
    right: Activity
    overlap: float
    peaks_left: list[int]
    peaks_right: list[int]
    peaks_per_second: float
    sha256: str


class SalvageRecordings(msgspec.Struct, frozen=True, tag="salvage"):
    """File what a killed card left: repair the WAV headers, then as StoreRecording; returns a Salvaged."""

    recordings: list[str]
    directory: str


class Salvaged(msgspec.Struct, frozen=True):
    """What was filed, and for each other recording why not: a code such as `not-found`, `empty`, `bad-audio`."""

    stored: list[Stored]
    failed: dict[str, str]


VaultCommand = StoreRecording | SalvageRecordings | TakeInventory | Shutdown


class Nothing(msgspec.Struct, frozen=True, tag="nothing"):
    """Workers report nothing of their own."""


class Inventory(msgspec.Struct, frozen=True):
    card: str
    generation: str
    seq: int
    busy: int
    done: int
    failed: int
    counters: dict[str, float] = {}
