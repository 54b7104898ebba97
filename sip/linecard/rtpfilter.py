"""Filters on the RTP and RTCP sockets of pjmedia: what may not come is dropped in the kernel (Linux socket filters)."""

from __future__ import annotations

import ctypes
import functools
import socket
import struct
from typing import Any

import structlog
from pjsua2 import _pjsua2

from sip.linecard.rtpsource import Rule

log = structlog.get_logger()

SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
INFO_SIZE = 16_384
"""More than `pjmedia_transport_info` has; we read its first member alone."""
_RTP, _RTCP = 0, 40
"""Offsets of `sock_info.rtp_sock` and `.rtcp_sock`, each a long with a `pj_sockaddr` of 28 bytes behind it."""

# Classic BPF (linux/bpf_common.h): load a word or half-word, compare, return.
_LOAD_WORD, _LOAD_HALF, _EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_SOURCE_HOST = 0xFFF00000 + 12  # SKF_NET_OFF: counted from the IP header
_SOURCE_PORT = 0  # a UDP socket's filter begins at the UDP header


class Sockets:
    """The sockets of one media stream, found in pjmedia; they stay pjmedia's."""

    def __init__(self, rtp: int, rtcp: int) -> None:
        self._rtp = rtp
        self._rtcp = rtcp

    @classmethod
    def of_call(cls, pj_call: int, index: int) -> Sockets | None:
        """None (and logged) when they are not where this build should have them."""
        info = ctypes.create_string_buffer(INFO_SIZE)
        if _library().pjsua_call_get_med_transport_info(pj_call, index, info):
            return None
        found = []
        for offset in (_RTP, _RTCP):
            (descriptor,) = struct.unpack_from("l", info, offset)
            (port,) = struct.unpack_from("!H", info, offset + 10)
            if not _is_bound(descriptor, port):
                log.warning("RTP sockets are not where they were expected; strangers' RTP is not kept out")
                return None
            found.append(descriptor)
        return cls(*found)

    def admit(self, rule: Rule) -> bool:
        """Have the kernel drop what the rule forbids; False (and logged) where it cannot."""
        try:
            _attach(self._rtp, rule)
            _attach(self._rtcp, Rule(rule.hosts))
        except OSError as error:
            log.warning("no filter on RTP", error=str(error))
            return False
        return True


def program(rule: Rule) -> bytes:
    """The filter for a rule with one host or more: accept the packet whole, or drop it."""
    hosts = [int.from_bytes(socket.inet_aton(host), "big") for host in rule.hosts]
    tail = [(_LOAD_HALF, 0, 0, _SOURCE_PORT), (_EQUAL, 0, 1, rule.port)] if rule.port else []
    steps = [(_LOAD_WORD, 0, 0, _SOURCE_HOST)]
    for left, host in zip(range(len(hosts) - 1, -1, -1), hosts, strict=True):
        steps.append((_EQUAL, left, 0 if left else len(tail) + 1, host))
    steps += [*tail, (_RETURN, 0, 0, 0xFFFFFFFF), (_RETURN, 0, 0, 0)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _attach(descriptor: int, rule: Rule) -> None:
    borrowed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, fileno=descriptor)
    try:
        if not rule.hosts:
            borrowed.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            return
        code = program(rule)
        kept = ctypes.create_string_buffer(code, len(code))
        count = len(code) // 8
        borrowed.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", count, ctypes.addressof(kept)))
    except FileNotFoundError:
        pass  # there was no filter to take away
    finally:
        borrowed.detach()


def _is_bound(descriptor: int, port: int) -> bool:
    """Whether this is a UDP socket on that port."""
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        return borrowed.type == socket.SOCK_DGRAM and port > 0 and borrowed.getsockname()[1] == port
    finally:
        borrowed.detach()


@functools.cache
def _library() -> Any:
    library = ctypes.CDLL(_pjsua2.__file__)
    library.pjsua_call_get_med_transport_info.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    return library
