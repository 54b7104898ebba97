"""The speech worker's errors: `bad-text` `bad-rate` `unknown-voice` `unspeakable` (the asker's), `voice-broken` (ours)."""

from __future__ import annotations


class SpeechError(Exception):
    """Something that cannot be spoken; `code` is for machines, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
