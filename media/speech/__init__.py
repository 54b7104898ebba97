"""The speech worker: text to speech, cached as files, away from everything that has a clock.

Others import `media.speech.prompts` (`prompt_path`, `find_prompt`: is it spoken already?), which needs no voice.
"""

from __future__ import annotations

import os

# ONNX Runtime from 1.29 on reports every session to its maker over HTTPS, and keeps an identifier of the machine. Only this,
# set before it is loaded, prevents all of it; here is before any module of this package.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
