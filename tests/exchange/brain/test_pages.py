"""Memory in big pages: which of it, and that it is there afterwards."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from exchange.brain import pages

SMAPS = """\
5601a000-5604b000 r-xp 00000000 08:01 1234                               /usr/bin/python3
Size:                196 kB
Rss:                 196 kB
AnonHugePages:         0 kB
5700000000-5701000000 rw-p 00000000 00:00 0                              [heap]
Size:              16384 kB
Rss:               16000 kB
AnonHugePages:      4096 kB
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                  16 kB
AnonHugePages:         0 kB
7f1000000000-7f1000800000 rw-p 00000000 08:01 99                         /var/lib/shared.db
Size:               8192 kB
Rss:                8192 kB
AnonHugePages:         0 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
Rss:                  40 kB
AnonHugePages:         0 kB
"""


@pytest.mark.unit
def test_only_private_memory_is_looked_at() -> None:
    heap, arena = pages.mappings(SMAPS)
    assert heap == pages.Mapping(0x5700000000, 0x5701000000, 16000 * 1024, 4096 * 1024)
    assert arena == pages.Mapping(0x7F0000000000, 0x7F0000800000, 16 * 1024, 0)


@pytest.mark.unit
def test_a_small_process_is_left_alone() -> None:
    assert pages.gather(smallest=1 << 50) == 0


@pytest.mark.interop
def test_full_memory_comes_into_big_pages_and_keeps_its_contents() -> None:
    if "[never]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text():
        pytest.skip("the kernel gives no big pages here")
    script = f"""
import mmap, sys
from exchange.brain import pages
kept = [mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2)]
memory = mmap.mmap(-1, {32 * pages.BIG}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise({mmap.MADV_NOHUGEPAGE})
memory[:] = bytes(range(256)) * ({32 * pages.BIG} // 256)
memory.madvise({mmap.MADV_HUGEPAGE})
moved = pages.gather(smallest=0)
if moved is None:
    print("none"); sys.exit()
big = sum(each.big for each in pages.mappings(open("/proc/self/smaps").read()))
assert memory[:] == bytes(range(256)) * ({32 * pages.BIG} // 256)
print(moved, big)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout.split()
    if said == ["none"]:
        pytest.skip("the kernel has no MADV_COLLAPSE")
    moved, big = map(int, said)
    assert moved >= 30 * pages.BIG
    assert big >= 30 * pages.BIG
