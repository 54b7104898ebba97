"""`python -m media.speech --run DIR --name speech --cache DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import structlog

from media.control.work import SpeechCommand
from media.speech.prompts import LIMIT, PromptCache
from media.speech.voices import Voices
from media.speech.worker import SpeechWorker
from media.worker import arguments, main, serve

log = structlog.get_logger()
NICENESS = 5
"""Behind everything with a clock, before the vault: a caller waits for a prompt."""


async def begin(flags: argparse.Namespace) -> None:
    """Open the cache, then answer commands."""
    voices = Voices(flags.voices)
    log.info("opening the prompt cache", card=flags.name, directory=str(flags.cache), voices=voices.names())
    cache = PromptCache(flags.cache, flags.cache_bytes)
    try:
        cache.prepare()
    except OSError as error:
        log.error("the prompt cache cannot be opened", card=flags.name, error=str(error))
        sys.exit(1)
    await serve(flags.run, flags.name, "speech", SpeechCommand, SpeechWorker(cache, voices))


if __name__ == "__main__":
    parser = arguments("Switchroom's speech worker: text to speech, cached as files.")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="directory of the spoken prompts")
    parser.add_argument("--cache-bytes", type=int, default=LIMIT, metavar="N", help="how much of them to keep")
    parser.add_argument("--voices", type=Path, metavar="DIR", help="more Piper voices: NAME.onnx with NAME.onnx.json")
    main(parser, NICENESS, begin)
