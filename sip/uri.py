"""SIP URIs and name-addrs, opened but never normalised: what we do not change leaves as it came (RFC 3261 §19.1, §25)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

_URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):"
    r"(?:(?P<user>[^@<>\s\"\x00-\x20\x7f]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;?@<>\s\[\]\",\x00-\x20\x7f]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<parameters>(?:;[^;?<>\s\"\x00-\x20\x7f]*)*)"
    r"(?P<headers>\?[^<>\s\"\x00-\x20\x7f]*)?"
)

SCHEME_KEPT = "x-sr-scheme"
TRANSPORT_KEPT = "x-sr-transport"
"""URI parameters in which a `sips:` and a `transport=` travel through a card, which would act on the real ones."""


@dataclasses.dataclass(frozen=True)
class SipUri:
    """One URI in its parts, each as written; `str()` gives the same text again."""

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    parameters: tuple[str, ...] = ()
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Raises ValueError; `tel:` URIs have the number as host and no user."""
        match = _URI.fullmatch(text)
        if match is None:
            raise ValueError("not a URI")
        port = match["port"]
        if port is not None and not 0 < int(port) < 65536:
            raise ValueError("not a port")
        parameters = match["parameters"]
        return cls(
            match["scheme"],
            match["user"],
            match["host"],
            None if port is None else int(port),
            tuple(parameters[1:].split(";")) if parameters else (),
            match["headers"] or "",
        )

    def parameter(self, name: str) -> str | None:
        """The value of a parameter, "" if it has none, None if it is not there."""
        for text in self.parameters:
            key, _, value = text.partition("=")
            if key.lower() == name:
                return value
        return None

    @property
    def number(self) -> str | None:
        """What is dialled: the user part, or the number of a `tel:` URI."""
        return self.host if self.scheme.lower() == "tel" else self.user

    @property
    def address(self) -> tuple[str, int]:
        """Host without brackets, and the port or its default."""
        return bare(self.host), self.port or (5061 if self.scheme.lower() == "sips" else 5060)

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}:{user}{self.host}{port}{''.join(';' + p for p in self.parameters)}{self.headers}"


@dataclasses.dataclass(frozen=True)
class NameAddress:
    """A name-addr or addr-spec with its header parameters, as in From, Contact, Route."""

    display: str
    uri: SipUri
    parameters: str

    @classmethod
    def parse(cls, text: str) -> NameAddress:
        """Raises ValueError. Without brackets every parameter belongs to the header (RFC 3261 §20)."""
        start = _unquoted(text, "<")
        if start < 0:
            uri, semicolon, rest = text.partition(";")
            return cls("", SipUri.parse(uri.strip()), semicolon + rest)
        end = text.find(">", start)
        if end < 0:
            raise ValueError("a bracket is not closed")
        return cls(text[:start], SipUri.parse(text[start + 1 : end].strip()), text[end + 1 :])

    def parameter(self, name: str) -> str | None:
        """The value of a header parameter, "" if it has none, None if it is not there."""
        for part in split_list(self.parameters, ";"):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip()
        return None

    def __str__(self) -> str:
        return f"{self.display}<{self.uri}>{self.parameters}"


def _unquoted(text: str, wanted: str) -> int:
    """Where a character first stands outside quotes, or -1."""
    at, quoted = 0, False
    while at < len(text):
        char = text[at]
        if quoted and char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif char == wanted and not quoted:
            return at
        at += 1
    return -1


def split_list(text: str, separator: str = ",", *, empty: bool = False) -> list[str]:
    """The items of a header's list: commas in quotes and in brackets separate nothing. `empty` keeps empty items."""
    if separator not in text:
        return [text.strip()] if empty or text.strip() else []
    if '"' not in text and "<" not in text:  # nothing to hide a separator in: as most Vias are
        parts = [part.strip() for part in text.split(separator)]
        return parts if empty else [part for part in parts if part]
    items: list[str] = []
    start = at = 0
    quoted = bracketed = False
    while at < len(text):
        char = text[at]
        if quoted:
            if char == "\\":
                at += 1
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char == "<":
            bracketed = True
        elif char == ">":
            bracketed = False
        elif char == separator and not bracketed:
            items.append(text[start:at].strip())
            start = at + 1
        at += 1
    items.append(text[start:].strip())
    return items if empty else [item for item in items if item]


def bare(host: str) -> str:
    """The host without the brackets of an IPv6 reference."""
    return host[1:-1] if host.startswith("[") else host


def bracketed(host: str) -> str:
    """The host as a URI wants it."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def host_port(host: str, port: int) -> str:
    return f"{bracketed(host)}:{port}"


def split_host_port(text: str, default: int = 5060) -> tuple[str, int]:
    """`HOST:PORT`, `[V6]:PORT` or a host alone; raises ValueError."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+)(?::([0-9]{1,5}))?", text)
    if match is None or int(match[2] or 0) > 65535:
        raise ValueError(f"not HOST:PORT: {text!r}")
    return bare(match[1]), default if match[2] is None else int(match[2])


def plain(uri: SipUri) -> SipUri:
    """The URI for a card: `sips` and `transport` kept in parameters that a card does not act on; `revived` undoes it."""
    parameters = [p for p in uri.parameters if _key(p) not in (SCHEME_KEPT, TRANSPORT_KEPT)]
    parameters = [TRANSPORT_KEPT + p[len("transport") :] if _key(p) == "transport" else p for p in parameters]
    if uri.scheme.lower() == "sips":
        parameters.append(f"{SCHEME_KEPT}=sips")
        return dataclasses.replace(uri, scheme="sip", parameters=tuple(parameters))
    return dataclasses.replace(uri, parameters=tuple(parameters))


def revived(uri: SipUri) -> SipUri:
    """The URI as the outside wrote it, from what `plain` made of it."""
    scheme, parameters = uri.scheme, list[str]()
    for text in uri.parameters:
        key = _key(text)
        if key == SCHEME_KEPT:
            scheme = "sips"
        elif key == TRANSPORT_KEPT:
            parameters.append("transport" + text[len(TRANSPORT_KEPT) :])
        else:
            parameters.append(text)
    return dataclasses.replace(uri, scheme=scheme, parameters=tuple(parameters))


def _key(parameter: str) -> str:
    return parameter.partition("=")[0].lower()


def each_address(values: list[str], change: Callable[[SipUri], SipUri]) -> list[str]:
    """Header values with the URI of every address changed; what cannot be read (and `*`) stays as it is."""
    changed: list[str] = []
    for value in values:
        for item in split_list(value):
            try:
                address = NameAddress.parse(item)
            except ValueError:
                changed.append(item)
                continue
            uri = change(address.uri)
            changed.append(item if uri == address.uri else str(dataclasses.replace(address, uri=uri)))
    return changed
