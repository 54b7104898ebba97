"""Speech stays on the machine: the inference library reports to its maker unless it is told not to before it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.layer

PROGRAM = """
from media.speech.voices import Voices
assert len(Voices().speak("hello", "", 8000)) > 1000
"""


def test_no_report_is_prepared(tmp_path: Path) -> None:
    """An identifier and a store of reports below the home directory are what it makes first."""
    kept = {"PATH", "LANG", "PYTHONPATH"}  # nothing that silences it by itself, such as CI
    environment = {name: value for name, value in os.environ.items() if name in kept} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, env=environment, timeout=60, cwd=Path(__file__).parents[3])
    assert [str(path) for path in tmp_path.rglob("*")] == []
