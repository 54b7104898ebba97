"""Session descriptions with one WebRTC audio stream (RFC 8829, RFC 8866): read the other side's, write ours."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from media.deskcard.errors import SdpError

LONGEST = 65536
"""Characters of a description that is looked at."""
MOST_CANDIDATES = 64
CLOCKS = {"opus": 48000, "PCMU": 8000, "PCMA": 8000}
STATIC = {0: "PCMU", 8: "PCMA"}
OPUS_PARAMETERS = "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0;maxaveragebitrate=24000"

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_ICE_TEXT = re.compile(r"[A-Za-z0-9+/]{4,256}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+")
_MEDIA = re.compile(r"([a-z]+) (\d{1,5}) ([A-Za-z/]+) ([\x21-\x7e ]+)")
_TOKEN = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(frozen=True)
class CodecChoice:
    """A codec and the payload type it travels under."""

    name: str
    payload_type: int

    @property
    def clock(self) -> int:
        """RTP clock rate."""
        return CLOCKS[self.name]


@dataclass(frozen=True)
class Transport:
    """One side's ICE credentials, candidates (text after `candidate:`), and DTLS fingerprints; `setup` as in RFC 8842."""

    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    candidates: tuple[str, ...] = ()
    lite: bool = False


@dataclass(frozen=True)
class Section:
    """An m-line that is not our audio stream: it is refused in the answer."""

    head: str
    mid: str


@dataclass(frozen=True)
class Description:
    """What the other side says: its first audio stream, and the m-lines around it in order (None is that stream)."""

    mid: str
    codecs: tuple[CodecChoice, ...]
    direction: str
    transport: Transport
    ssrcs: tuple[int, ...]
    sections: tuple[Section | None, ...]

    def choose(self, preferred: tuple[str, ...]) -> CodecChoice:
        """The first codec of `preferred` that is offered; raises SdpError."""
        for name in preferred:
            for codec in self.codecs:
                if codec.name.lower() == name.lower():
                    return codec
        offered = ", ".join(codec.name for codec in self.codecs) or "nothing that we know"
        raise SdpError(f"no codec in common: offered {offered}, allowed {', '.join(preferred)}")

    @classmethod
    def parse(cls, text: str) -> Description:
        """Read a description; raises SdpError."""
        if len(text) > LONGEST:
            raise SdpError("the session description is too long")
        session, media = _split(text)
        audio = next((number for number, lines in enumerate(media) if _usable(lines)), None)
        if audio is None:
            raise SdpError("no audio stream for WebRTC in the session description")
        attributes = _Attributes(session, media[audio])
        sections = tuple(
            None if number == audio else Section(lines[0], _token(_Attributes([], lines).one("mid", str(number))))
            for number, lines in enumerate(media)
        )
        return cls(
            mid=_token(attributes.one("mid", "0")),
            codecs=_codecs(media[audio][0], attributes),
            direction=next((name for name in _DIRECTIONS if attributes.has(name)), "sendrecv"),
            transport=_transport(attributes),
            ssrcs=_ssrcs(attributes),
            sections=sections,
        )


@dataclass
class OwnSide:
    """What we say: either an offer, or the answer to `sections`."""

    transport: Transport
    codecs: tuple[CodecChoice, ...]
    ssrc: int
    cname: str
    session: int
    mid: str = "0"
    direction: str = "sendrecv"
    sections: tuple[Section | None, ...] = field(default=(None,))

    def __str__(self) -> str:
        lines = [
            "v=0",
            f"o=- {self.session} 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {self.mid}",
            "a=msid-semantic:WMS *",
        ]
        for section in self.sections:
            lines += self._audio() if section is None else _refused(section)
        return "\r\n".join(lines) + "\r\n"

    def _audio(self) -> list[str]:
        transport = self.transport
        formats = " ".join(str(codec.payload_type) for codec in self.codecs)
        host, port = _default_address(transport.candidates)
        lines = [
            f"m=audio {port} UDP/TLS/RTP/SAVPF {formats}",
            f"c=IN IP{ipaddress.ip_address(host).version} {host}",
            f"a=mid:{self.mid}",
            f"a={self.direction}",
            "a=rtcp-mux",
            "a=ptime:20",
        ]
        for codec in self.codecs:
            channels = "/2" if codec.name == "opus" else ""
            lines.append(f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock}{channels}")
            if codec.name == "opus":
                lines.append(f"a=fmtp:{codec.payload_type} {OPUS_PARAMETERS}")
        lines += [
            f"a=msid:{self.cname} audio",
            f"a=ssrc:{self.ssrc} cname:{self.cname}",
            f"a=ice-ufrag:{transport.ufrag}",
            f"a=ice-pwd:{transport.password}",
            *(f"a=fingerprint:{algorithm} {value}" for algorithm, value in transport.fingerprints),
            f"a=setup:{transport.setup}",
            *(f"a=candidate:{candidate}" for candidate in transport.candidates),
            "a=end-of-candidates",
        ]
        return lines


def reverse(direction: str) -> str:
    """The direction as the other side says it."""
    return {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)


class _Attributes:
    """`a=` lines of a media section, with the session's behind them."""

    def __init__(self, session: list[str], media: list[str]) -> None:
        self._media = [_attribute(line) for line in media if line.startswith("a=")]
        self._session = [_attribute(line) for line in session if line.startswith("a=")]

    def all(self, name: str) -> list[str]:
        """Values in the section, or the session's when it has none."""
        own = [value for key, value in self._media if key == name]
        return own or [value for key, value in self._session if key == name]

    def one(self, name: str, default: str) -> str:
        return next(iter(self.all(name)), default)

    def has(self, name: str) -> bool:
        return bool(self.all(name))


def _attribute(line: str) -> tuple[str, str]:
    name, _, value = line[2:].partition(":")
    return name.strip(), value.strip()


def _split(text: str) -> tuple[list[str], list[list[str]]]:
    session: list[str] = []
    media: list[list[str]] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith("m="):
            media.append([line[2:].strip()])
        elif media:
            media[-1].append(line)
        else:
            session.append(line)
    if not session or session[0].strip() != "v=0":
        raise SdpError("not a session description")
    if len(media) > 32:
        raise SdpError("too many streams in the session description")
    for lines in media:
        if _MEDIA.fullmatch(lines[0]) is None:
            raise SdpError("a stream of the session description cannot be read")
    return session, media


def _usable(lines: list[str]) -> bool:
    kind, port, protocol, _ = lines[0].split(" ", 3)
    return kind == "audio" and port != "0" and protocol == "UDP/TLS/RTP/SAVPF"


def _token(value: str) -> str:
    if _TOKEN.fullmatch(value) is None:
        raise SdpError("a stream's mid cannot be read")
    return value


def _codecs(head: str, attributes: _Attributes) -> tuple[CodecChoice, ...]:
    maps: dict[int, str] = {}
    for value in attributes.all("rtpmap"):
        number, _, encoding = value.partition(" ")
        name, _, clock = encoding.partition("/")
        known = next((own for own in CLOCKS if own.lower() == name.lower()), None)
        if number.isascii() and number.isdigit() and known and clock.split("/")[0] == str(CLOCKS[known]):
            maps[int(number)] = known
    found = []
    for text in head.split(" ")[3:]:
        if not (text.isascii() and text.isdigit()) or int(text) > 127:
            continue
        name = maps.get(int(text)) or STATIC.get(int(text), "")
        if name:
            found.append(CodecChoice(name, int(text)))
    return tuple(found)


def _transport(attributes: _Attributes) -> Transport:
    ufrag, password = attributes.one("ice-ufrag", ""), attributes.one("ice-pwd", "")
    if _ICE_TEXT.fullmatch(ufrag) is None or _ICE_TEXT.fullmatch(password) is None or len(password) < 22:
        raise SdpError("ICE credentials are missing or cannot be read")
    fingerprints = []
    for value in attributes.all("fingerprint"):
        algorithm, _, digest = value.partition(" ")
        if _FINGERPRINT.fullmatch(digest.strip()):
            fingerprints.append((algorithm.lower(), digest.strip().upper()))
    if not any(algorithm in ("sha-256", "sha-384", "sha-512") for algorithm, _ in fingerprints):
        raise SdpError("a DTLS fingerprint of SHA-256 or better is missing")
    setup = attributes.one("setup", "actpass")
    if setup not in ("active", "passive", "actpass"):
        raise SdpError("the DTLS role cannot be read")
    if not attributes.has("rtcp-mux"):
        raise SdpError("RTCP on a port of its own is not supported")
    return Transport(
        ufrag,
        password,
        tuple(fingerprints),
        setup,
        tuple(attributes.all("candidate")[:MOST_CANDIDATES]),
        attributes.has("ice-lite"),
    )


def _ssrcs(attributes: _Attributes) -> tuple[int, ...]:
    found: list[int] = []
    for value in attributes.all("ssrc"):
        number = value.split(" ")[0]
        if number.isascii() and number.isdigit() and int(number) < 1 << 32 and int(number) not in found:
            found.append(int(number))
    return tuple(found[:8])


def _refused(section: Section) -> list[str]:
    kind, _, rest = section.head.split(" ", 2)
    lines = [f"m={kind} 0 {rest}", "c=IN IP4 0.0.0.0", "a=inactive"]
    return [*lines, f"a=mid:{section.mid}"] if section.mid else lines


def _default_address(candidates: tuple[str, ...]) -> tuple[str, str]:
    parts = candidates[0].split(" ") if candidates else []
    return (parts[4], parts[5]) if len(parts) > 5 else ("0.0.0.0", "9")  # noqa: S104  the text of RFC 8829 §4.1.20
