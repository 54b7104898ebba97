"""Python's state of a thread that C made: kept from its first callback on.

CPython makes and frees the state of such a thread around every callback, and with it the first piece of its stack: an mmap, a
page fault and an munmap, a hundred times a second for each patch. One `PyGILState_Ensure` without its release keeps the state;
who stops the thread gives it back.
"""

from __future__ import annotations

import ctypes
from _thread import get_ident

_python = ctypes.pythonapi
_python.PyGILState_Ensure.restype = ctypes.c_int
_python.PyThreadState_Get.restype = ctypes.c_void_p
_python.PyThreadState_Clear.argtypes = [ctypes.c_void_p]
_python.PyThreadState_Delete.argtypes = [ctypes.c_void_p]

_kept: dict[int, int] = {}
"""State of each thread, by its identity."""


def keep() -> bool:
    """Keep the state of this very thread; True, for whoever asks once only."""
    if get_ident() not in _kept:
        _python.PyGILState_Ensure()
        _kept[get_ident()] = _python.PyThreadState_Get()
    return True


def give_back() -> None:
    """Free what was kept: every thread that called `keep` has ended."""
    while _kept:
        _, state = _kept.popitem()
        _python.PyThreadState_Clear(state)
        _python.PyThreadState_Delete(state)


def kept() -> int:
    """How many threads' states are kept."""
    return len(_kept)
