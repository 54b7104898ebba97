"""The speech worker's commands: find the prompt or speak it, one at a time, the same text only once."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog

from media.control.envelope import ControlError
from media.control.server import ControlServer
from media.control.work import Inventory, Shutdown, Speak, Spoken, TakeInventory
from media.speech.errors import SpeechError
from media.speech.prompts import PromptCache, clean_text, prompt_path
from media.speech.voices import Voices
from media.worker import Jobs

log = structlog.get_logger()


class SpeechWorker:
    """Answers from the cache at once; what must be spoken waits its turn."""

    def __init__(self, cache: PromptCache, voices: Voices) -> None:
        self.stopped = asyncio.Event()
        self._cache = cache
        self._voices = voices
        self._jobs = Jobs("speech")
        self._control: ControlServer | None = None
        self._warming: asyncio.Task[None] | None = None
        self._hits = 0
        self._spoken_seconds = self._spent_seconds = 0.0

    def start(self, control: ControlServer) -> None:
        """Load the default voice in the background: the first caller should not wait for it."""
        self._control = control
        self._warming = asyncio.get_running_loop().create_task(self._warm(), name="load the default voice")

    async def handle(self, command: Any) -> Any:
        """One command; raises ControlError with a SpeechError's code, `disk`, or `stopping`."""
        match command:
            case Speak():
                return await self._speak(command)
            case TakeInventory():
                return self._inventory()
            case Shutdown():
                self.stopped.set()
                return None
        raise ControlError("bad-command", f"{type(command).__name__} is not for the speech worker.")

    async def drain(self) -> None:
        """Finish the prompt in hand, refuse the waiting ones."""
        await self._jobs.drain()
        if self._warming is not None:
            await self._warming

    async def _speak(self, command: Speak) -> Spoken:
        try:
            voice = self._voices.check(command.voice)
            path = prompt_path(self._cache.directory, command.text, voice, command.rate)
            if (seconds := await asyncio.to_thread(self._cache.seconds, path)) is not None:
                self._hits += 1
                return Spoken(str(path), round(seconds, 3), cached=True)
            return await self._jobs.run(path.name, lambda: self._make(command, voice))
        except SpeechError as error:
            log.warning("prompt not spoken", code=error.code, error=error.message)
            raise ControlError(error.code, error.message) from error
        except OSError as error:
            log.error("prompt not kept", code="disk", error=str(error))
            raise ControlError("disk", f"The prompt could not be kept: {error.strerror}.", retryable=True) from error

    def _make(self, command: Speak, voice: str) -> Spoken:
        """In the worker's thread."""
        path = prompt_path(self._cache.directory, command.text, voice, command.rate)
        if (seconds := self._cache.seconds(path)) is not None:  # spoken by the job before this one
            return Spoken(str(path), round(seconds, 3), cached=True)
        began = time.monotonic()
        log.info("speaking", prompt=path.stem, characters=len(command.text), voice=voice, rate=command.rate)
        samples = self._voices.speak(clean_text(command.text), voice, command.rate)
        self._cache.write(path, samples, command.rate)
        seconds = len(samples) / command.rate
        spent = time.monotonic() - began
        self._spoken_seconds += seconds
        self._spent_seconds += spent
        log.info("spoken", prompt=path.stem, seconds=round(seconds, 2), spent=round(spent, 2))
        return Spoken(str(path), round(seconds, 3), cached=False)

    async def _warm(self) -> None:
        try:
            await self._jobs.run("default voice", lambda: self._voices.load(""))
        except SpeechError as error:
            log.error("the default voice cannot be loaded", code=error.code, error=error.message)
        except ControlError as error:
            log.info("the default voice was not loaded", code=error.code)

    def _inventory(self) -> Inventory:
        control, cache = self._control, self._cache.statistics()
        return Inventory(
            card=control.card if control is not None else "",
            generation=control.generation if control is not None else "",
            seq=control.seq if control is not None else 0,
            busy=self._jobs.busy,
            done=self._jobs.done,
            failed=self._jobs.failed,
            counters={
                "hits": float(self._hits),
                "shared": float(self._jobs.shared),
                "spoken_seconds": self._spoken_seconds,
                "spent_seconds": self._spent_seconds,
                "cached_files": float(cache.files),
                "cached_bytes": float(cache.bytes),
                "dropped_files": float(cache.dropped),
            },
        )
