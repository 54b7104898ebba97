"""SIP messages: sipmessage's types over a reader that unfolds lines, expands compact names and keeps all other text.

RFC 3261 §7; for Content-Length on datagrams §18.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sipmessage
from sipmessage.message import COMPACT_FORMS

from sip.uri import NameAddress, SipUri, bare, split_list

MAX_MESSAGE = 16_384
"""Bytes; no honest SIP message over UDP comes near, and reading a longer one costs time that a flood would buy."""

MAX_HEADERS = 256
MAGIC = "z9hG4bK"

_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_METHOD = _NAME
_BROKEN = re.compile(r"[\r\n]|(?<!\\)\0")
"""A NUL may stand in a value only as a quoted pair (RFC 4475 §3.1.1.2)."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_SENT_BY = re.compile(
    r"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?:[ \t]*:[ \t]*([0-9]{1,5}))?",
    re.IGNORECASE,
)
_LISTS = frozenset({"via", "route", "record-route"})
_ONCE = ("From", "To", "Call-ID", "CSeq")


class BadMessage(ValueError):
    """Not a message we can serve; `headers` are there when the sender of a request can be told so with `code`."""

    def __init__(self, text: str, *, code: int = 400, phrase: str = "Bad Request", headers: Headers | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.phrase = phrase
        self.headers = headers


class Headers(sipmessage.Headers):
    """sipmessage's storage with constant-time look-up; values are raw text, names keep their first spelling."""

    def __init__(self) -> None:
        super().__init__()
        self._named: dict[str, tuple[str, list[str]]] = {}

    def add(self, key: str, value: str) -> None:
        found = self._named.get(key.lower())
        if found is None:
            self._named[key.lower()] = (key, [value])
        else:
            found[1].append(value)

    def get(self, key: str, default: str | None = None) -> str | None:
        found = self._named.get(key.lower())
        return default if found is None else found[1][0]

    def getlist(self, key: str) -> list[str]:
        """All values, as a list of the caller's own."""
        found = self._named.get(key.lower())
        return [] if found is None else list(found[1])

    def keys(self) -> list[str]:
        return [name for name, _ in self._named.values()]

    def remove(self, key: str) -> None:
        self._named.pop(key.lower(), None)

    def set(self, key: str, value: str) -> None:
        self.setlist(key, [value])

    def setlist(self, key: str, values: list[str]) -> None:
        """Replace all values; an empty list removes the header."""
        if not values:
            self.remove(key)
            return
        found = self._named.get(key.lower())
        self._named[key.lower()] = (key if found is None else found[0], list(values))

    def push(self, key: str, value: str) -> None:
        """Add a value on top of those of the same name."""
        self.setlist(key, [value, *self.getlist(key)])

    def __getitem__(self, key: str) -> str:
        return self._named[key.lower()][1][0]

    def __contains__(self, key: str) -> bool:
        return key.lower() in self._named

    def copy(self) -> Headers:
        other = Headers()
        other._named = {key: (name, list(values)) for key, (name, values) in self._named.items()}
        return other

    def __str__(self) -> str:
        lines = [f"{name}: {value}\r\n" for name, values in self._named.values() for value in values]
        return "".join(lines) + "\r\n"


class Request(sipmessage.Request):
    """A request whose Request-URI is `target`, the text that came; `uri` is sipmessage's reading of it.

    sipmessage refuses URIs that people use (`_` in a host, `#` in a number), so it is asked only by those who want its type.
    """

    headers: Headers

    def __init__(self, method: str, target: str, body: bytes = b"", headers: Headers | None = None) -> None:
        self.method = method
        self.target = target
        self.body = body
        self.headers = headers if headers is not None else Headers()

    @property
    def uri(self) -> sipmessage.URI:
        """Raises ValueError."""
        try:
            return sipmessage.URI.parse(self.target)
        except TypeError as error:  # sipmessage hands parameters on as keywords: one called `self` breaks it
            raise ValueError("URI is not valid") from error

    @uri.setter
    def uri(self, value: sipmessage.URI) -> None:
        self.target = str(value)

    def __bytes__(self) -> bytes:
        return _bytes(f"{self.method} {self.target} SIP/2.0\r\n{self.headers}") + self.body


class Response(sipmessage.Response):
    """A response."""

    headers: Headers

    def __init__(self, code: int, phrase: str, body: bytes = b"", headers: Headers | None = None) -> None:
        super().__init__(code, phrase, body)
        self.headers = headers if headers is not None else Headers()

    def __bytes__(self) -> bytes:
        return _bytes(f"SIP/2.0 {self.code} {self.phrase}\r\n{self.headers}") + self.body


@dataclass(frozen=True)
class TopVia:
    """What routing needs of a Via: sent-by and three parameters, as written."""

    text: str
    transport: str
    host: str
    port: int | None
    branch: str
    received: str | None
    rport: str | None

    @classmethod
    def parse(cls, text: str) -> TopVia:
        """Raises ValueError. Read by ourselves: real branches hold `=`, `/` and `@`, which sipmessage (as the RFC) forbids."""
        first, *rest = split_list(text, ";", empty=True)
        match = _SENT_BY.fullmatch(first)
        if match is None or "" in rest:
            raise ValueError("Via is not valid")
        port = None if match[3] is None else int(match[3])
        if port is not None and not 0 < port < 65536:
            raise ValueError("not a port")
        found = {}
        for part in rest:
            key, mark, value = part.partition("=")
            found[key.strip().lower()] = value.strip() if mark else ""
        return cls(
            text,
            match[1].upper(),
            bare(match[2]),
            port,
            found.get("branch", ""),
            found.get("received"),
            found.get("rport"),
        )

    @property
    def reply_to(self) -> tuple[str, int]:
        """Where responses go (RFC 3261 §18.2.2, RFC 3581 §4); raises ValueError for a port that is none."""
        port = int(self.rport) if self.rport and self.rport.isascii() else self.reconnect[1]
        if not 0 < port < 65536:
            raise ValueError("not a port")
        return bare(self.received or self.host), port

    @property
    def reconnect(self) -> tuple[str, int]:
        """Where a new connection goes, when the one that brought the request is gone (RFC 3261 §18.2.2)."""
        return bare(self.received or self.host), self.port or (5061 if self.transport == "TLS" else 5060)

    def stamped(self, host: str, port: int, *, force: bool = False) -> str:
        """The same Via with `received` and `rport` as its sender was seen; `force`: also where nobody asked for it."""
        parts = [p for p in split_list(self.text, ";") if p.partition("=")[0].strip().lower() not in ("received", "rport")]
        force = force or self.rport is not None
        if force:
            parts.append(f"rport={port}")
        if force or self.host != host:
            parts.append(f"received={host}")
        return ";".join(parts)


@dataclass(frozen=True)
class Head:
    """The fields that name a message's transaction and dialog (RFC 3261 §8.1.1, §12)."""

    call_id: str
    from_tag: str
    to_tag: str
    cseq: int
    method: str
    via: TopVia


def parse(data: bytes) -> Request | Response:
    """One datagram as a message; raises BadMessage (a ValueError) and nothing else."""
    if len(data) > MAX_MESSAGE:
        raise BadMessage("longer than any message")
    text, gap, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not gap:
        raise BadMessage("the header does not end")
    first, _, rest = text.decode("utf-8", "surrogateescape").partition("\r\n")
    headers = _headers(rest)
    if first.startswith("SIP/"):
        return _response(first, headers, _body(body, headers, None))
    return _request(first, headers, body)


def _headers(text: str) -> Headers:
    lines = _FOLD.sub(" ", text).split("\r\n")
    if len(lines) > MAX_HEADERS:
        raise BadMessage("too many headers")
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or _NAME.fullmatch(name) is None or _BROKEN.search(value) is not None:
            raise BadMessage("not a header line")
        name = COMPACT_FORMS.get(name.lower(), name) if len(name) == 1 else name
        value = value.strip(" \t")
        if name.lower() in _LISTS:
            for item in split_list(value, empty=True):
                headers.add(name, item)
        else:
            headers.add(name, value)
    return headers


def _body(body: bytes, headers: Headers, refuse: Headers | None) -> bytes:
    lengths = set(headers.getlist("Content-Length"))
    if not lengths:
        return body
    text = lengths.pop()
    if lengths or not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadMessage("Content-Length is not one number", headers=refuse)
    if int(text) > MAX_MESSAGE:
        raise BadMessage("longer than any message", code=513, phrase="Message Too Large", headers=refuse)
    if int(text) > len(body):
        raise BadMessage("the body is cut off", headers=refuse)
    return body[: int(text)]


def _request(first: str, headers: Headers, body: bytes) -> Request:
    parts = first.split(" ")
    method = parts[0]
    if _METHOD.fullmatch(method) is None:
        raise BadMessage("not a start line")
    if len(parts) < 3 or not parts[-1].startswith("SIP/"):
        raise BadMessage("not a start line", headers=headers)
    if parts[-1] != "SIP/2.0":
        raise BadMessage("another version", code=505, phrase="Version Not Supported", headers=headers)
    if len(parts) != 3:
        raise BadMessage("a space too many in the start line", headers=headers)
    scheme = _SCHEME.match(parts[1])
    if scheme is not None and scheme[1].lower() not in ("sip", "sips", "tel"):
        raise BadMessage("another URI scheme", code=416, phrase="Unsupported URI Scheme", headers=headers)
    body = _body(body, headers, headers)
    try:
        if SipUri.parse(parts[1]).headers:
            raise ValueError("headers in a Request-URI")  # RFC 3261 §19.1.1
    except ValueError as error:
        raise BadMessage(str(error), headers=headers) from error
    return Request(method, parts[1], body, headers)


def _response(first: str, headers: Headers, body: bytes) -> Response:
    match = re.fullmatch(r"SIP/2\.0 ([1-6][0-9]{2}) ([^\r\n\0]*)", first)
    if match is None:
        raise BadMessage("not a status line")
    return Response(int(match[1]), match[2], body, headers)


def read_head(message: Request | Response) -> Head:
    """The fields every message must have, once each; raises BadMessage."""
    headers = message.headers
    refuse = headers if isinstance(message, Request) else None
    for name in _ONCE:
        if len(headers.getlist(name)) != 1:
            raise BadMessage(f"{name} must be there once", headers=refuse)
    try:
        number, method = headers["CSeq"].split()
        if not (number.isascii() and number.isdigit()) or len(number) > 10 or int(number) >= 2**31:
            raise ValueError("CSeq is no number")
        vias = headers.getlist("Via")
        if not vias:
            raise ValueError("no Via")
        via = TopVia.parse(vias[0])
        from_tag = NameAddress.parse(headers["From"]).parameter("tag") or ""
        to_tag = NameAddress.parse(headers["To"]).parameter("tag") or ""
    except ValueError as error:
        raise BadMessage(str(error), headers=refuse) from error
    if isinstance(message, Request) and method != message.method:
        raise BadMessage("CSeq names another method", headers=refuse)
    if not headers["Call-ID"]:
        raise BadMessage("Call-ID is empty", headers=refuse)
    return Head(headers["Call-ID"], from_tag, to_tag, int(number), method, via)


def response_to(
    headers: Headers, code: int, phrase: str, to_tag: str = "", extra: tuple[tuple[str, str], ...] = ()
) -> Response:
    """A response to the request of these headers (RFC 3261 §8.2.6); copies only what is there."""
    response = Response(code, phrase)
    for name in ("Via", "From", "To", "Call-ID", "CSeq", "Timestamp"):
        for value in headers.getlist(name):
            response.headers.add(name, value)
    to = headers.get("To")
    if to is not None and to_tag and ";tag" not in to.rpartition(">")[2].replace(" ", "").lower():
        response.headers.set("To", f"{to};tag={to_tag}")
    for name, value in extra:
        response.headers.add(name, value)
    response.headers.set("Content-Length", "0")
    return response


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
