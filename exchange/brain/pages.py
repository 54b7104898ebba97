"""Big pages for a big floor: what the process keeps is gathered into pages of 2 MB, where the kernel has them.

Agents, contacts and lines lie all over the heap, each far from the one touched before: with pages of 4 KB, finding the
page costs as much as reading from it. The interpreter asks for memory in small pieces, to which the kernel gives small pages;
so the full ones are gathered now and then, in a thread, a page at a time.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import re
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger()

EVERY_SECONDS = 60.0
BIG = 2 << 20
"""Bytes of a big page."""
SMALLEST = 96 << 20
"""Memory of which it is worth it."""
FULL = 0.75
"""Of a mapping is in use; of others, such as the stacks of threads, big pages would be a waste."""

_COLLAPSE = 25  # MADV_COLLAPSE, Linux 6.1
_HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 *(\[heap\])?$")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Mapping(msgspec.Struct, frozen=True):
    """A piece of private memory: its addresses, bytes in use, and those of them in big pages."""

    start: int
    end: int
    used: int
    big: int


def mappings(smaps: str) -> list[Mapping]:
    """The private memory in the text of a `/proc/PID/smaps`."""
    found: list[Mapping] = []
    start = end = used = 0
    for line in smaps.splitlines():
        head = _HEAD.match(line)
        if head is not None:
            start, end, used = int(head[1], 16), int(head[2], 16), 0
        elif line[:1] in "0123456789abcdef":
            start = end = 0
        elif end and line.startswith("Rss:"):
            used = _bytes(line)
        elif end and line.startswith("AnonHugePages:"):
            found.append(Mapping(start, end, used, _bytes(line)))
    return found


def _bytes(line: str) -> int:
    return int(line.split()[1]) * 1024


def gather(smallest: int = SMALLEST) -> int | None:
    """Move what is in use into big pages; how many bytes were moved at most. None: this kernel does not do it."""
    known = mappings(Path("/proc/self/smaps").read_text(encoding="ascii", errors="replace"))
    if sum(each.used for each in known) < smallest:
        return 0
    moved = 0
    for each in known:
        first, last = -(-each.start // BIG) * BIG, each.end // BIG * BIG
        if last <= first or each.used < FULL * (each.end - each.start) or each.big >= last - first:
            continue
        for at in range(first, last, BIG):
            if _libc.madvise(at, BIG, _COLLAPSE):
                if ctypes.get_errno() in (errno.EINVAL, errno.ENOSYS) and not moved:
                    return None
                continue  # no memory for it now, or nothing there
            moved += BIG
    return moved


async def keep_gathered() -> None:
    """For ever, as long as the kernel does it."""
    while True:
        moved = await asyncio.to_thread(gather)
        if moved is None:
            log.info("no big pages for this process's memory: the kernel has no MADV_COLLAPSE")
            return
        if moved:
            log.debug("memory gathered into big pages", megabytes=moved >> 20)
        await asyncio.sleep(EVERY_SECONDS)
