"""Opus (RFC 6716, RFC 7587) by libopus itself: mono, at the patch's rate, with in-band FEC and packet loss concealment.

The library is the one that PyAV's wheel brings. PyAV's own interface hides what we need: complexity, FEC and PLC.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
from pathlib import Path

OPUS_RATES = frozenset({8000, 12000, 16000, 24000, 48000})
CLOCK = 48000
"""RTP clock of Opus, whatever its sampling rate (RFC 7587 §4.1)."""
COMPLEXITY = 0
"""Chosen by bench/deskcard.py: more costs two to four times the CPU for little at 24 kbit/s of speech in mono."""
BITRATE = 24_000
EXPECTED_LOSS = 20
"""Percent that the encoder is told. At 24 kbit/s and complexity 0 libopus puts no FEC at all into packets below this:
a lost packet then comes back with 41 % of its power wrong (as made up), with it 5 to 9 %, for 5 bytes a packet more."""
LONGEST = 120
"""Milliseconds in one packet at most (RFC 6716 §3.2.5)."""

_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS = 4002, 4010, 4012, 4014
_MAX_PACKET = 1275


class OpusMissing(RuntimeError):
    """No libopus where PyAV's wheel has it, and none in the system."""


class OpusError(ValueError):
    """libopus refused what it was given."""


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(find_library()))
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.opus_encoder_create.restype = pointer
    library.opus_encoder_create.argtypes = [integer, integer, integer, ctypes.POINTER(integer)]
    library.opus_encoder_destroy.restype = None
    library.opus_encoder_destroy.argtypes = [pointer]
    library.opus_encode.restype = integer
    library.opus_encode.argtypes = [pointer, ctypes.c_char_p, integer, pointer, integer]
    library.opus_encoder_ctl.restype = integer
    library.opus_decoder_create.restype = pointer
    library.opus_decoder_create.argtypes = [integer, integer, ctypes.POINTER(integer)]
    library.opus_decoder_destroy.restype = None
    library.opus_decoder_destroy.argtypes = [pointer]
    library.opus_decode.restype = integer
    library.opus_decode.argtypes = [pointer, ctypes.c_char_p, integer, pointer, integer, integer]
    library.opus_packet_get_nb_samples.restype = integer
    library.opus_packet_get_nb_samples.argtypes = [ctypes.c_char_p, integer, integer]
    library.opus_strerror.restype = ctypes.c_char_p
    library.opus_strerror.argtypes = [integer]
    return library


def find_library() -> Path:
    """Where libopus is; raises OpusMissing."""
    # Found, not imported: PyAV loads all of FFmpeg.
    wheel = importlib.util.find_spec("av")
    beside = Path((wheel.origin if wheel is not None else None) or ".").resolve().parent.parent / "av.libs"
    found = sorted(beside.glob("libopus-*.so*"))
    if found:
        return found[0]
    system = ctypes.util.find_library("opus")
    if system is not None:
        return Path(system)
    raise OpusMissing(f"no libopus in {beside} (of the wheel `av`) and none in the system")


def _checked(code: int) -> int:
    if code < 0:
        raise OpusError(f"libopus: {_library().opus_strerror(code).decode()}")
    return code


def _check_rate(rate: int) -> None:
    if rate not in OPUS_RATES:
        raise OpusError(f"Opus has no {rate} samples a second")


def _present(packet: bytes) -> bytes:
    if not packet:
        raise OpusError("not an Opus packet")  # libopus takes it for a lost one
    return packet


class OpusEncoder:
    """One stream's encoder: 20 ms of mono s16le PCM to one packet; use it for one stream only, it has memory."""

    def __init__(
        self, rate: int, *, bitrate: int = BITRATE, complexity: int = COMPLEXITY, loss_percent: int = EXPECTED_LOSS
    ) -> None:
        _check_rate(rate)
        self._library = _library()
        self._frame = rate // 50
        error = ctypes.c_int()
        self._state = self._library.opus_encoder_create(rate, 1, _VOIP, ctypes.byref(error))
        _checked(error.value)
        self._out = ctypes.create_string_buffer(_MAX_PACKET)
        self._address = ctypes.addressof(self._out)
        for request, value in (
            (_SET_BITRATE, bitrate),
            (_SET_COMPLEXITY, complexity),
            (_SET_FEC, 1),
            (_SET_LOSS, loss_percent),
        ):
            _checked(self._library.opus_encoder_ctl(ctypes.c_void_p(self._state), ctypes.c_int(request), ctypes.c_int(value)))

    def encode(self, pcm: bytes) -> bytes:
        """The packet for one frame."""
        if len(pcm) != self._frame * 2:
            raise OpusError(f"{len(pcm)} bytes are not 20 ms")
        size = self._library.opus_encode(self._state, pcm, self._frame, self._address, _MAX_PACKET)
        return ctypes.string_at(self._address, _checked(size))

    def __del__(self) -> None:
        state, self._state = getattr(self, "_state", None), None
        if state:
            self._library.opus_encoder_destroy(state)


class OpusDecoder:
    """One stream's decoder: packets to mono s16le PCM; what was lost is asked for before the packet that follows."""

    def __init__(self, rate: int) -> None:
        _check_rate(rate)
        self._library = _library()
        self._rate = rate
        self._most = rate * LONGEST // 1000
        error = ctypes.c_int()
        self._state = self._library.opus_decoder_create(rate, 1, ctypes.byref(error))
        _checked(error.value)
        self._out = ctypes.create_string_buffer(self._most * 2)
        self._address = ctypes.addressof(self._out)

    def samples(self, packet: bytes) -> int:
        """How many samples a packet decodes to; raises OpusError (a ValueError) when it is none."""
        count = _checked(self._library.opus_packet_get_nb_samples(packet, len(packet), self._rate)) if packet else 0
        if not 0 < count <= self._most:
            raise OpusError("not an Opus packet")
        return count

    def decode(self, packet: bytes) -> bytes:
        """The sound of a packet; raises OpusError (a ValueError)."""
        return self._decode(_present(packet), self._most, 0)

    def recover(self, follower: bytes, samples: int) -> bytes:
        """The lost sound just before `follower`, from the FEC in it, or made up when it has none."""
        return self._decode(_present(follower), samples, 1)

    def conceal(self, samples: int) -> bytes:
        """Made-up sound for a loss."""
        return self._decode(b"", samples, 0)

    def _decode(self, packet: bytes, samples: int, fec: int) -> bytes:
        count = self._library.opus_decode(self._state, packet or None, len(packet), self._address, samples, fec)
        return ctypes.string_at(self._address, _checked(count) * 2)

    def __del__(self) -> None:
        state, self._state = getattr(self, "_state", None), None
        if state:
            self._library.opus_decoder_destroy(state)
