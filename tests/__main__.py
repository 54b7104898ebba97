"""The whole suite, `python -m tests`: the rooms first, a test on each core; then whole systems, one test at a time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

SYSTEMS = ("tests/e2e", "tests/adversity")
"""Whole systems: many processes each, and what they promise is measured by the clock."""
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")
OUTCOMES = {"failures": "failed", "errors": "errors", "skipped": "skipped"}
INTERRUPTED = 2


def pytest(report: Path, *words: str) -> int:
    """Run it to its end; its exit code."""
    process = subprocess.Popen([sys.executable, "-m", "pytest", f"--junitxml={report}", *words])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # pytest has it, too, and comes to its end


def counted(*reports: Path) -> str:
    """The outcomes of all runs together."""
    suites = [suite for report in reports if report.exists() for suite in ElementTree.parse(report).getroot().iter("testsuite")]  # noqa: S314  our own
    total, *others = (sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", *OUTCOMES))
    told = [f"{count} {word}" for word, count in zip(OUTCOMES.values(), others, strict=True) if count]
    return ", ".join([f"{total - sum(others)} passed", *told])


def main(options: list[str]) -> int:
    """Both runs, the second one also after a failure in the first; 0 if nothing failed in either."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder, "rooms.xml"), Path(folder, "systems.xml")]
        runs = (
            ("The rooms, side by side", (*SIDE_BY_SIDE, *(f"--ignore={path}" for path in SYSTEMS))),
            ("Whole systems, one after the other", SYSTEMS),
        )
        codes = []
        for report, (what, words) in zip(reports, runs, strict=True):
            print(f"==> {what}", flush=True)
            codes.append(pytest(report, *words, *options))
            if codes[-1] == INTERRUPTED:
                break
        minutes, seconds = divmod(round(time.monotonic() - begun), 60)
        print(f"==> {counted(*reports)} in {minutes} min {seconds} s", flush=True)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
