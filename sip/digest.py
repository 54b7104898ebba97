"""Digest authentication, both sides: challenging and checking, and answering a challenge (RFC 3261 §22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_HASHES: dict[str, Callable[[bytes], str]] = {
    "md5": lambda data: hashlib.md5(data).hexdigest(),  # noqa: S324  what SIP carriers speak
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_STRONGER = ("sha-256", "md5")
_PARAMETER = re.compile(r'\s*([A-Za-z0-9\-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)\s*(?:,|$)')
_QUOTED_PAIR = re.compile(r"\\(.)")


def read(text: str) -> dict[str, str]:
    """The parameters of a Digest challenge or of credentials, quotes taken off; raises ValueError."""
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() != "digest":
        raise ValueError("not the Digest scheme")
    found: dict[str, str] = {}
    at = 0
    while at < len(rest):
        match = _PARAMETER.match(rest, at)
        if match is None or match[1].lower() in found:
            raise ValueError("not a list of parameters")
        value = match[2]
        found[match[1].lower()] = _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') else value
        at = match.end()
    return found


@dataclass(frozen=True)
class Credentials:
    """What a client sends in Authorization or Proxy-Authorization."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "md5"
    qop: str = ""
    count: str = ""
    cnonce: str = ""

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """Raises ValueError; an algorithm or quality that we do not know is one."""
        found = read(text)
        try:
            own = cls(
                found["username"],
                found["realm"],
                found["nonce"],
                found["uri"],
                found["response"].lower(),
                found.get("algorithm", "md5").lower(),
                found.get("qop", "").lower(),
                found.get("nc", ""),
                found.get("cnonce", ""),
            )
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is missing") from error
        if own.algorithm not in _HASHES or own.qop not in ("", "auth"):
            raise ValueError("an algorithm or quality of protection that nobody offered")
        return own

    def proves(self, method: str, username: str, password: str) -> bool:
        """Whether the sender knows the password; in constant time."""
        expected = _response(self.algorithm, self, method, password)
        good = hmac.compare_digest(expected.encode(), self.response.encode("utf-8", "surrogateescape"))
        return good and self.username == username

    def __str__(self) -> str:
        parts = [f'username="{_escaped(self.username)}"', f'realm="{_escaped(self.realm)}"', f'nonce="{_escaped(self.nonce)}"']
        parts += [f'uri="{self.uri}"', f'response="{self.response}"', f"algorithm={self.algorithm.upper()}"]
        if self.qop:
            parts += [f'cnonce="{self.cnonce}"', f"qop={self.qop}", f"nc={self.count}"]
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True)
class Challenge:
    """What a server sends in WWW-Authenticate or Proxy-Authenticate."""

    realm: str
    nonce: str
    algorithm: str = "md5"
    qop: str = "auth"
    opaque: str = ""
    stale: bool = False

    @classmethod
    def parse(cls, text: str) -> Challenge:
        """Raises ValueError; one that we cannot answer is one."""
        found = read(text)
        algorithm = found.get("algorithm", "md5").lower()
        offered = [word.strip().lower() for word in found.get("qop", "").split(",") if word.strip()]
        if algorithm not in _HASHES or (offered and "auth" not in offered):
            raise ValueError("a challenge that we cannot answer")
        if "realm" not in found or "nonce" not in found:
            raise ValueError("a challenge without realm or nonce")
        stale = found.get("stale", "").lower() == "true"
        return cls(found["realm"], found["nonce"], algorithm, "auth" if offered else "", found.get("opaque", ""), stale)

    def answered(self, method: str, uri: str, username: str, password: str, count: int = 1) -> str:
        """The value of Authorization (or Proxy-Authorization) for the `count`-th request with this nonce."""
        cnonce = secrets.token_hex(8) if self.qop else ""
        empty = Credentials(
            username, self.realm, self.nonce, uri, "", self.algorithm, self.qop, f"{count:08x}" if self.qop else "", cnonce
        )
        response = _response(self.algorithm, empty, method, password)
        text = str(Credentials(**{**empty.__dict__, "response": response}))
        return text + (f', opaque="{_escaped(self.opaque)}"' if self.opaque else "")

    def __str__(self) -> str:
        stale = ", stale=true" if self.stale else ""
        return (
            f'Digest realm="{_escaped(self.realm)}", nonce="{self.nonce}", algorithm={self.algorithm.upper()}, '
            f'qop="{self.qop}"{stale}'
        )


def strongest(values: Iterable[str]) -> Challenge:
    """The best of several challenges (RFC 8760 §2.4 lets the client choose); raises ValueError if none can be answered."""
    found: list[Challenge] = []
    for value in values:
        try:
            found.append(Challenge.parse(value))
        except ValueError:
            continue
    if not found:
        raise ValueError("no challenge that we can answer")
    return min(found, key=lambda challenge: _STRONGER.index(challenge.algorithm))


def _response(algorithm: str, sent: Credentials, method: str, password: str) -> str:
    def digest(text: str) -> str:
        return _HASHES[algorithm](text.encode("utf-8", "surrogateescape"))

    first = digest(f"{sent.username}:{sent.realm}:{password}")
    second = digest(f"{method}:{sent.uri}")
    if not sent.qop:
        return digest(f"{first}:{sent.nonce}:{second}")
    return digest(f"{first}:{sent.nonce}:{sent.count}:{sent.cnonce}:{sent.qop}:{second}")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
