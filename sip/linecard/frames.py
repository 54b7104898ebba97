"""Reading and writing a bridge frame through pointers: SWIG walks the vector byte by byte and takes a hundred times longer.

A `MediaFrame` is its type, a `std::vector<unsigned char>` (whose first two pointers are its begin and its end) and a size. A
check at start proves that for this build, else the slow way is taken. These run a hundred times a second for each patch, on the
bridge's clock: every attribute of a SWIG object that they do without counts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pjsua2 as pj
import structlog
from pjsua2 import _pjsua2

log = structlog.get_logger()

AUDIO: int = pj.PJMEDIA_FRAME_TYPE_AUDIO
NONE: int = pj.PJMEDIA_FRAME_TYPE_NONE


class _Frame(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("begin", ctypes.c_void_p), ("end", ctypes.c_void_p))


class _Vector(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_void_p), ("end", ctypes.c_void_p))


Reader = Callable[[Any], bytes]
"""The sound in a frame; empty when it has none."""
Writer = Callable[[Any, bytes], None]
"""Makes a frame one with this sound."""


def read_fast(frame: Any) -> bytes:
    known = _Frame.from_address(int(frame.this))
    begin = known.begin
    if known.type != AUDIO or not begin:
        return b""
    return ctypes.string_at(begin, known.end - begin)


class FastWriter:
    """Writes into a vector of its own, which the frame's is made a copy of: one of the right size is kept."""

    def __init__(self) -> None:
        self._vector = pj.ByteVector()
        self._size = 0
        self._begin = 0

    def __call__(self, frame: Any, data: bytes) -> None:
        size = len(data)
        if size != self._size:
            self._vector.resize(size)
            self._begin = _Vector.from_address(int(self._vector.this)).begin or 0
            self._size = size
        if size:
            ctypes.memmove(self._begin, data, size)
        _pjsua2.MediaFrame_buf_set(frame, self._vector)
        _pjsua2.MediaFrame_type_set(frame, AUDIO)


def read_slow(frame: Any) -> bytes:
    return bytes(list(frame.buf)) if frame.type == AUDIO else b""


def write_slow(frame: Any, data: bytes) -> None:
    frame.buf = pj.ByteVector(data)
    frame.type = AUDIO


def choose() -> tuple[Reader, Writer]:
    """The fast way if it reads back what the slow way wrote, and the other way round."""
    sample = bytes(range(256)) + b"\x00\xff" * 192
    try:
        frame, write_fast = pj.MediaFrame(), FastWriter()
        frame.type = NONE
        good = read_fast(frame) == b""
        write_slow(frame, sample)
        good = good and read_fast(frame) == sample
        write_fast(frame, sample[::-1][:320])
        good = good and read_slow(frame) == sample[::-1][:320]
        write_fast(frame, sample)
        good = good and read_slow(frame) == sample and read_fast(frame) == sample
        frame.type = NONE
        good = good and read_fast(frame) == b""
    except (TypeError, ValueError, AttributeError, ctypes.ArgumentError) as error:
        log.warning("no pointer access to frames", error=str(error))
        good = False
    if good:
        return read_fast, write_fast
    log.warning("frames are copied the slow way")
    return read_slow, write_slow
