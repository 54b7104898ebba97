"""What stands between the network and pjsua: a pjsip module that reads every request before pjsua does.

pjsua2 answers MESSAGE, SUBSCRIBE and REFER in its own way (200, 202 and a call to anywhere) and offers no other hook. pjsip
does: a module with a priority above the transaction layer sees each request first and may answer it. The wheel exports
pjsip's C functions; the two offsets that we need are found by a message sent to ourselves at start, and checked by it.
"""

from __future__ import annotations

import ctypes
import secrets
import socket
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from pjsua2 import _pjsua2

from sip.linecard.guard import guarded
from sip.linecard.wire import Message, info_digit

log = structlog.get_logger()

BEFORE_TRANSACTIONS = 12
"""Between the transport layer (8) and the transaction layer (16) of pjsip."""
MAX_PACKET = 4000
"""PJSIP_MAX_PKT_LEN of the wheel."""
ALLOW = "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, REFER, NOTIFY, OPTIONS"
PASSED = frozenset({"ACK", "BYE", "CANCEL", "PRACK", "OPTIONS"})
REMEMBERED = 64

_Receive = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class GateError(RuntimeError):
    """The build of pjsua2 is not one that the gate fits."""


class Keeper(Protocol):
    """Who decides about the requests that the gate stops; all in the pjsip thread."""

    def knows(self, sip_call_id: str) -> bool:
        """Whether a leg with this Call-ID is on the card."""

    def refuse_invite(self, message: Message) -> int:
        """The status that a new INVITE gets at once; 0 lets it in."""

    def digit_by_info(self, sip_call_id: str, digit: str) -> None: ...

    def transfer_asked(self, sip_call_id: str, message: Message, answer: Callable[[int], None]) -> None:
        """A REFER came; `answer` must be called once, within 4 s."""

    def target_refreshed(self, sip_call_id: str, message: Message) -> None:
        """A re-INVITE or UPDATE came, which may move the remote target."""


class _Text(ctypes.Structure):
    _fields_ = (("ptr", ctypes.c_char_p), ("slen", ctypes.c_ssize_t))


class _Module(ctypes.Structure):
    """`struct pjsip_module`."""

    _fields_ = (
        ("prev", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("name", _Text),
        ("id", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("load", ctypes.c_void_p),
        ("start", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("unload", ctypes.c_void_p),
        ("on_rx_request", ctypes.c_void_p),
        ("on_rx_response", ctypes.c_void_p),
        ("on_tx_request", ctypes.c_void_p),
        ("on_tx_response", ctypes.c_void_p),
        ("on_tsx_state", ctypes.c_void_p),
    )


class _Links(ctypes.Structure):
    """The first two fields of every pjsip header: a list's links."""

    _fields_ = (("prev", ctypes.c_void_p), ("next", ctypes.c_void_p))


class Gate:
    """Reads each request first; answers what pjsua must not see."""

    def __init__(self, keeper: Keeper) -> None:
        self.refused = 0
        self._keeper = keeper
        self._library = _library()
        self._endpoint: int = self._library.pjsua_get_pjsip_endpt()
        self._calls = (ctypes.c_int * REMEMBERED)()
        self._packet = 0
        self._probe = b""
        self._seen: list[tuple[str, int]] = []
        self._receive = _Receive(self._received)  # kept: pjsip holds the pointer
        name = b"mod-switchroom-gate"
        self._module = _Module(name=_Text(name, len(name)), id=-1, priority=BEFORE_TRANSACTIONS)
        self._module.on_rx_request = ctypes.cast(self._receive, ctypes.c_void_p)
        self._allow = self._header_list("Allow", ALLOW)

    def install(self, address: tuple[str, int], handle_events: Callable[[int], Any]) -> None:
        """Register with pjsip and check by a message to ourselves at `address`; raises GateError."""
        status = self._library.pjsip_endpt_register_module(self._endpoint, ctypes.byref(self._module))
        if status:
            raise GateError(f"pjsip refuses the module: {status}")
        token = secrets.token_hex(8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((address[0], 0))
            host, port = sender.getsockname()
            self._probe = (
                f"OPTIONS sip:{token}@{address[0]} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{token}\r\n"
                f"From: <sip:gate@{host}>;tag={token}\r\nTo: <sip:gate@{host}>\r\nCall-ID: {token}\r\nCSeq: 1 OPTIONS\r\n"
                "Max-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
            ).encode()
            sender.sendto(self._probe, address)
            for _ in range(50):
                handle_events(20)
                if self._packet:
                    break
        self._probe = b""
        if not self._packet:
            raise GateError("the message to ourselves was not found where pjsip keeps it")

    # --- in the pjsip thread --------------------------------------------------------------------------------------

    def _received(self, rdata: int) -> int:
        verdict = self._judge(rdata)
        return 1 if verdict is None else verdict  # what made us raise is dropped, not handed on

    @guarded
    def _judge(self, rdata: int) -> int:
        if self._probe:
            self._calibrate(rdata)
            return 0
        if not self._packet:
            return 0
        raw = ctypes.string_at(rdata + self._packet, self._length(rdata))
        method = raw.lstrip(b"\r\n").split(b" ", 1)[0].decode("ascii", "replace")
        if method in PASSED:
            return 0
        message = Message.parse(raw)
        code = self._decide(method, message, rdata)
        if code < 0:
            return 1  # answered later
        if not code:
            return 0
        if code >= 300:
            self.refused += 1
        self.respond(rdata, code)
        return 1

    def _decide(self, method: str, message: Message, rdata: int) -> int:
        call = message.get("call-id")
        within = bool(message.recipient.tag)
        known = self._keeper.knows(call)
        match method:
            case "INVITE" if not within:
                if known:
                    return 0  # sent again
                return 603 if message.get("replaces") else self._keeper.refuse_invite(message)
            case "INVITE" | "UPDATE":
                if known:
                    self._keeper.target_refreshed(call, message)
                return 0
            case "NOTIFY" if within:
                return 0 if known else 481
            case "INFO" if within:
                return self._info(call, message) if known else 481
            case "REFER" if within and known:
                self._refer(call, message, rdata)
                return -1
            case "REFER":
                return 481 if within else 603
            case _:
                return 405

    def _info(self, call: str, message: Message) -> int:
        if not message.body.strip():
            return 200  # RFC 2976 §2.2: an empty INFO asks whether the call is there
        try:
            digit = info_digit(message.get("content-type"), message.body)
        except ValueError:
            return 415
        if self._first_time(call, message.cseq):
            self._keeper.digit_by_info(call, digit)
        return 200

    def _refer(self, call: str, message: Message, rdata: int) -> None:
        if not self._first_time(call, message.cseq):
            return
        copy = ctypes.c_void_p()
        if self._library.pjsip_rx_data_clone(rdata, 0, ctypes.byref(copy)) or not copy.value:
            self.respond(rdata, 500)
            return
        kept = copy.value

        def answer(code: int) -> None:
            self.respond(kept, code)
            self._library.pjsip_rx_data_free_cloned(kept)

        self._keeper.transfer_asked(call, message, answer)

    def _first_time(self, call: str, cseq: int) -> bool:
        """False for a request that was sent again: we answer without a transaction that would notice."""
        if (call, cseq) in self._seen:
            return False
        self._seen.append((call, cseq))
        del self._seen[:-REMEMBERED]
        return True

    def respond(self, rdata: int, code: int) -> None:
        """Answer without a transaction."""
        headers = ctypes.byref(self._allow) if code == 405 else None
        status = self._library.pjsip_endpt_respond_stateless(self._endpoint, rdata, code, None, headers, None)
        if status:
            log.warning("pjsip could not answer", code=code, status=status)

    def calls_held(self) -> int:
        """Calls that pjsua holds, also those whose BYE is not answered yet.

        Not `pjsua_call_get_count`: that one never forgets a call whose media could not be made.
        """
        count = ctypes.c_uint(REMEMBERED)
        if self._library.pjsua_enum_calls(self._calls, ctypes.byref(count)):
            return 0
        return int(count.value)

    # --- the layout of pjsip's structures -------------------------------------------------------------------------

    def _calibrate(self, rdata: int) -> None:
        at = ctypes.string_at(rdata, 1024).find(self._probe[:40])
        if at <= 0:
            return
        self._packet = at
        if ctypes.string_at(rdata + at, len(self._probe)) != self._probe or self._length(rdata) != len(self._probe):
            self._packet = 0

    def _length(self, rdata: int) -> int:
        """`pkt_info.len`, which follows the packet, a 32-bit zero and padding."""
        offset = (self._packet + MAX_PACKET + 4 + 7) & ~7
        length = ctypes.c_ssize_t.from_address(rdata + offset).value
        return max(0, min(MAX_PACKET, length))

    def _header_list(self, name: str, value: str) -> _Links:
        """A list of one header, as pjsip wants it: a head whose links go round."""
        pool = self._library.pjsua_pool_create(b"gate", 1000, 1000)
        self._texts = (name.encode(), value.encode())
        parts = [_Text(text, len(text)) for text in self._texts]
        header = self._library.pjsip_generic_string_hdr_create(pool, ctypes.byref(parts[0]), ctypes.byref(parts[1]))
        if not header:
            raise GateError("pjsip makes no header")
        head = _Links()
        links = _Links.from_address(header)
        head.prev = head.next = header
        links.prev = links.next = ctypes.addressof(head)
        return head


def _library() -> Any:
    library = ctypes.CDLL(_pjsua2.__file__)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "pjsua_get_pjsip_endpt": (pointer, []),
        "pjsua_pool_create": (pointer, [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t]),
        "pjsua_enum_calls": (number, [pointer, pointer]),
        "pjsip_endpt_register_module": (number, [pointer, pointer]),
        "pjsip_endpt_respond_stateless": (number, [pointer, pointer, number, pointer, pointer, pointer]),
        "pjsip_rx_data_clone": (number, [pointer, ctypes.c_uint, pointer]),
        "pjsip_rx_data_free_cloned": (number, [pointer]),
        "pjsip_generic_string_hdr_create": (pointer, [pointer, pointer, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name, None)
        if function is None:
            raise GateError(f"pjsua2 exports no {name}")
        function.restype, function.argtypes = result, arguments
    return library
