"""How long the machine itself stood still: others use it, too, and a listener that is held up misses what it should hear."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

WATCH = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
longest = 0.0
before = time.monotonic()
while os.getppid() == int(sys.argv[2]):
    time.sleep(0.01)
    now = time.monotonic()
    if now - before - 0.01 > longest:
        longest = now - before - 0.01
        print(longest, flush=True)
    before = now
"""


class Stalls:
    """What the watches have seen, one on each core, which do nothing but look at the clock."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds; known when the block has ended."""


@contextlib.contextmanager
def stalls() -> Iterator[Stalls]:
    """Watch in this block."""
    found = Stalls()
    words = [sys.executable, "-ISc", WATCH]
    cores = os.sched_getaffinity(0)
    watches = [
        subprocess.Popen([*words, str(core), str(os.getpid())], stdout=subprocess.PIPE, text=True) for core in sorted(cores)
    ]
    try:
        yield found
    finally:
        for watch in watches:
            watch.terminate()
        said = [watch.communicate()[0].split() for watch in watches]
        found.longest = max(float(each[-1]) for each in said if each)
