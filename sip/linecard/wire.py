"""Reading SIP messages that pjsua2 hands over as text: headers, URIs, tags. pjsip has parsed them before us."""

from __future__ import annotations

from dataclasses import dataclass

COMPACT = {
    "i": "call-id",
    "m": "contact",
    "e": "content-encoding",
    "l": "content-length",
    "c": "content-type",
    "f": "from",
    "s": "subject",
    "k": "supported",
    "t": "to",
    "v": "via",
    "r": "refer-to",
    "b": "referred-by",
    "o": "event",
    "u": "allow-events",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A name-addr or addr-spec with its header parameters (RFC 3261 §20.10)."""

    display: str
    uri: str
    parameters: dict[str, str]

    @property
    def tag(self) -> str:
        return self.parameters.get("tag", "")

    @property
    def user(self) -> str:
        return uri_user(self.uri)

    @classmethod
    def parse(cls, value: str) -> Address:
        """Raises ValueError when a `<` is never closed."""
        value = value.strip()
        display, rest = _quoted_display(value)
        opening = rest.find("<")
        if opening >= 0:
            closing = rest.find(">", opening)
            if closing < 0:
                raise ValueError("an address has no closing bracket")
            display = display or rest[:opening].strip()
            return cls(display, rest[opening + 1 : closing].strip(), _parameters(rest[closing + 1 :]))
        uri, _, tail = rest.partition(";")
        return cls(display, uri.strip(), _parameters(";" + tail))


@dataclass(frozen=True, slots=True)
class Message:
    """A start line, the headers in their order (folded lines joined, compact names written out), and the body."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Message:
        """Raises ValueError when there is no start line."""
        head, _, body = raw.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
        lines = head.decode("utf-8", "replace").split("\n")
        if not lines[0].strip():
            raise ValueError("an empty SIP message")
        headers: list[tuple[str, str]] = []
        for line in lines[1:]:
            if line[:1] in (" ", "\t") and headers:
                name, value = headers[-1]
                headers[-1] = (name, f"{value} {line.strip()}".strip())
                continue
            name, colon, value = line.partition(":")
            if colon:
                headers.append((name.strip(), value.strip()))
        return cls(lines[0].strip(), tuple(headers), body)

    @property
    def is_request(self) -> bool:
        return not self.start.upper().startswith("SIP/2.0")

    @property
    def method(self) -> str:
        """The request's method, of a response that of its CSeq."""
        if self.is_request:
            return self.start.split(" ", 1)[0]
        return self.get("cseq").rpartition(" ")[2]

    @property
    def status(self) -> int:
        """The response's code; 0 for a request."""
        parts = self.start.split(" ")
        return int(parts[1]) if not self.is_request and len(parts) > 1 and parts[1].isdigit() else 0

    @property
    def request_uri(self) -> str:
        parts = self.start.split(" ")
        return parts[1] if self.is_request and len(parts) > 1 else ""

    @property
    def cseq(self) -> int:
        number = self.get("cseq").split(" ", 1)[0]
        return int(number) if number.isdigit() else 0

    @property
    def sender(self) -> Address:
        return Address.parse(self.get("from"))

    @property
    def recipient(self) -> Address:
        return Address.parse(self.get("to"))

    def get(self, name: str) -> str:
        """The first header of that name (lower case, long form); empty if there is none."""
        return next((value for found, value in self.headers if _long(found) == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of that header, comma-separated ones taken apart."""
        return [part for found, value in self.headers if _long(found) == name for part in split_list(value)]


def uri_user(uri: str) -> str:
    """The user part of a SIP URI or a tel URI's number; empty if there is none."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        return rest.partition(";")[0]
    user, at, _ = rest.partition("@")
    return user.partition(":")[0].partition(";")[0] if at else ""


def split_list(value: str) -> list[str]:
    """Comma-separated values; commas in quotes and angle brackets do not count."""
    parts: list[str] = []
    start = depth = 0
    quoted = escaped = False
    for at, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char == "<":
            depth += 1
        elif char == ">":
            depth = max(0, depth - 1)
        elif char == "," and not depth:
            parts.append(value[start:at].strip())
            start = at + 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


def info_digit(content_type: str, body: bytes) -> str:
    """The digit in an INFO's body (`application/dtmf-relay` or `application/dtmf`); raises ValueError."""
    kind = content_type.partition(";")[0].strip().lower()
    text = body.decode("utf-8", "replace").strip()
    if kind == "application/dtmf-relay":
        fields = dict(line.split("=", 1) for line in text.replace(": ", "=").splitlines() if "=" in line)
        signal = {name.strip().lower(): value.strip() for name, value in fields.items()}.get("signal", "")
    elif kind == "application/dtmf":
        signal = text
    else:
        raise ValueError(f"{kind or 'no content type'} holds no digit")
    named = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}.get(signal, signal).upper()
    if len(named) != 1 or named not in "0123456789*#ABCD":
        raise ValueError("not a digit")
    return named


def _long(name: str) -> str:
    lower = name.lower()
    return COMPACT.get(lower, lower)


def _quoted_display(value: str) -> tuple[str, str]:
    if not value.startswith('"'):
        return "", value
    escaped = False
    text: list[str] = []
    for at, char in enumerate(value[1:], 1):
        if escaped:
            text.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            return "".join(text), value[at + 1 :].strip()
        else:
            text.append(char)
    raise ValueError("a quoted name never ends")


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name:
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found
