"""Where spoken prompts are kept: a file's name is a digest of what it says, so that anybody can see whether it is there."""

from __future__ import annotations

import hashlib
import os
import time
import unicodedata
from pathlib import Path

import msgspec
import structlog

from media.speech.errors import SpeechError
from media.wav import Samples, WavError, WavReader, write_wav

log = structlog.get_logger()

FORMAT = "1"
"""Changes when the same text would sound otherwise (levels, trimming): older files then die of age."""

DEFAULT_VOICE = "en_US-joe-medium"
MAX_TEXT = 2_000
RATES = (8_000, 16_000, 48_000)
LIMIT = 512 * 1024 * 1024
"""Bytes of prompts kept; about nine hours of speech at 8 kHz."""

YOUNG = 3_600.0
"""Seconds; what was used so lately is never removed: a card may be about to open it."""


def clean_text(text: str) -> str:
    """The text as it is spoken and told apart: composed, blanks joined; raises SpeechError(`bad-text`)."""
    if len(text) > MAX_TEXT:
        raise SpeechError("bad-text", f"A prompt has at most {MAX_TEXT} characters, this one {len(text)}.")
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\r\n" for character in text):
        raise SpeechError("bad-text", "The prompt has control characters.")
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if not text:
        raise SpeechError("bad-text", "The prompt is empty.")
    return text


def prompt_path(cache: Path, text: str, voice: str, rate: int) -> Path:
    """The file of this prompt, there or not; raises SpeechError(`bad-text`, `bad-rate`)."""
    if rate not in RATES:
        raise SpeechError("bad-rate", f"A prompt's rate is one of {RATES}, not {rate}.")
    words = "\0".join((FORMAT, voice or DEFAULT_VOICE, str(rate), clean_text(text)))
    digest = hashlib.sha256(words.encode()).hexdigest()[:40]
    return cache / digest[:2] / f"{digest}.wav"


def find_prompt(cache: Path, text: str, voice: str, rate: int) -> Path | None:
    """The file of this prompt if it has been spoken already; marks it as used."""
    path = prompt_path(cache, text, voice, rate)
    try:
        os.utime(path)
    except FileNotFoundError:
        return None
    return path


class CacheStatistics(msgspec.Struct, frozen=True):
    """What the cache holds, and what it has dropped since the start."""

    files: int
    bytes: int
    dropped: int


class PromptCache:
    """The writer's side: keeps the directory below a limit, dropping what was not used for longest. Used by one thread."""

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        self.directory = directory
        self._limit = limit
        self._files = self._bytes = self._dropped = 0

    def prepare(self) -> None:
        """Make the directory, clear half-written files, count the rest."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half in self.directory.glob("??/.*"):
            half.unlink(missing_ok=True)
        self._shrink()

    def seconds(self, path: Path) -> float | None:
        """How long this prompt is; None when it is not there or broken (`write` replaces it). For any thread."""
        try:
            os.utime(path)
            with WavReader(path) as reader:
                if reader.frames and not reader.repaired:
                    return reader.seconds
        except FileNotFoundError:
            return None
        except WavError as error:
            log.warning("broken prompt", prompt=path.stem, error=str(error))
        return None

    def write(self, path: Path, samples: Samples, rate: int) -> None:
        """Put a prompt into its place."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_wav(path, samples, rate)
        self._files += 1
        self._bytes += path.stat().st_size
        if self._bytes > self._limit:
            self._shrink()

    def statistics(self) -> CacheStatistics:
        """Figures for the inventory."""
        return CacheStatistics(self._files, self._bytes, self._dropped)

    def _shrink(self) -> None:
        """Count afresh; over the limit, drop down to nine tenths of it, oldest use first."""
        found = []
        for path in self.directory.glob("??/*.wav"):
            entry = path.stat()
            found.append((entry.st_mtime, entry.st_size, path))
        self._files, self._bytes = len(found), sum(size for _, size, _ in found)
        if self._bytes <= self._limit:
            return
        young = time.time() - YOUNG
        for used, size, path in sorted(found):
            if self._bytes <= self._limit * 0.9 or used > young:
                break
            path.unlink(missing_ok=True)
            self._files -= 1
            self._bytes -= size
            self._dropped += 1
        log.info("prompt cache shrunk", files=self._files, bytes=self._bytes, dropped=self._dropped)
