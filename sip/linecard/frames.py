"""Reading and writing a bridge frame through pointers: SWIG walks the vector byte by byte and takes a hundred times longer.

A `MediaFrame.buf` is a `std::vector<unsigned char>`, whose first two pointers are its begin and its end. A check at start
proves that for this build, else the slow way is taken.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pjsua2 as pj
import structlog

log = structlog.get_logger()

_Pointers = ctypes.c_void_p * 2
Reader = Callable[[Any], bytes]
Writer = Callable[[Any, bytes], None]


def read_fast(frame: Any) -> bytes:
    begin, end = _Pointers.from_address(int(frame.buf.this))
    return ctypes.string_at(begin, end - begin) if begin and end else b""


def write_fast(frame: Any, data: bytes) -> None:
    buffer = frame.buf
    buffer.resize(len(data))
    begin = _Pointers.from_address(int(buffer.this))[0]
    if begin:
        ctypes.memmove(begin, data, len(data))


def read_slow(frame: Any) -> bytes:
    return bytes(list(frame.buf))


def write_slow(frame: Any, data: bytes) -> None:
    frame.buf = pj.ByteVector(data)


def choose() -> tuple[Reader, Writer]:
    """The fast way if it reads back what the slow way wrote, and the other way round."""
    sample = bytes(range(256)) + b"\x00\xff" * 192
    try:
        frame = pj.MediaFrame()
        write_slow(frame, sample)
        good = read_fast(frame) == sample
        write_fast(frame, sample[::-1][:320])
        good = good and read_slow(frame) == sample[::-1][:320]
        write_fast(frame, sample)
        good = good and read_slow(frame) == sample and read_fast(frame) == sample
    except (TypeError, ValueError, AttributeError, ctypes.ArgumentError) as error:
        log.warning("no pointer access to frames", error=str(error))
        good = False
    if good:
        return read_fast, write_fast
    log.warning("frames are copied the slow way")
    return read_slow, write_slow
