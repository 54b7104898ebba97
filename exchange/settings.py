"""Every setting of Switchroom in one frozen object: environment variables `SWITCHROOM_*`, overridden by command-line flags.

Each field says what it does in its description; docs/operators.md repeats them, and a test fails on one that it misses.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LINES_PER_CORE = 8
"""Default size of the pool: 16 lines on 2 cores carry the load of docs/performance.md with room to spare."""

LINE_CARD_PORTS = 32
"""Least RTP ports of a line card: 4 lines, RTP and RTCP, and as many again while a re-INVITE makes media anew, doubled."""

DESK_CARD_PORTS = 16
"""Least RTP ports of a desk card; every peer connection takes one for each local address."""

ICE_URL = re.compile(
    r"(stuns?:{0}|turns?:{0}(\?transport=(udp|tcp))?)".format(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
)
"""RFC 7064 and RFC 7065."""

PREFIX = "SWITCHROOM_"

HOST_NAME = re.compile(r"[A-Za-z0-9._:-]{1,253}")
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  compared, not bound

PATHS = ("data", "https_certificate", "https_key", "sips_certificate", "sips_key")

LOOPBACK = ("127.0.0.0/8", "::1/128")


class SettingsError(ValueError):
    """A setting that cannot be used; the text is a sentence for the operator."""


@dataclass(frozen=True)
class HostPort:
    """An address to listen on, written HOST:PORT; an IPv6 host in brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, value: object) -> HostPort:
        """From `HOST:PORT`; raises ValueError."""
        if isinstance(value, HostPort):
            return value
        host, colon, port = str(value).rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{value!r} is not HOST:PORT (an IPv6 address goes in brackets)")
        if not colon or not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise ValueError(f"{value!r} is not HOST:PORT")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class PortRange:
    """UDP ports FIRST to LAST, both included."""

    first: int
    last: int

    @classmethod
    def parse(cls, value: object) -> PortRange:
        """From `FIRST-LAST`; raises ValueError."""
        if isinstance(value, PortRange):
            return value
        first, dash, last = str(value).partition("-")
        if not (dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
            raise ValueError(f"{value!r} is not FIRST-LAST")
        if not 1024 <= int(first) < int(last) <= 65535:
            raise ValueError(f"{value!r} is not a range of ports between 1024 and 65535")
        return cls(int(first), int(last))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return self.last - self.first + 1

    def split(self, parts: int) -> list[PortRange]:
        """Equal parts that begin at even ports (RTP is even, RTCP odd) and do not overlap."""
        start = self.first + self.first % 2
        size = (self.last + 1 - start) // parts // 2 * 2
        return [PortRange(start + i * size, start + (i + 1) * size - 1) for i in range(parts)]


def _words(value: object) -> object:
    """A list written with commas or spaces (environment) or given as one (flags)."""
    if isinstance(value, str):
        return tuple(word for word in value.replace(",", " ").split() if word)
    return value


def _networks(value: object) -> tuple[str, ...]:
    words = _words(value)
    if not isinstance(words, Iterable):
        raise TypeError(f"{value!r} is not a list of CIDRs")
    found = []
    for word in words:
        try:
            found.append(str(ipaddress.ip_network(str(word), strict=False)))
        except ValueError as error:
            raise ValueError(f"{word!r} is not an address or CIDR") from error
    return tuple(found)


def _public(value: object) -> object:
    try:
        return str(ipaddress.ip_address(str(value))) if value else ""
    except ValueError as error:
        raise ValueError(f"{value!r} is not an IP address (media and SIP need one; a host name will not do)") from error


def _dns_servers(value: object) -> object:
    words = _words(value)
    if not isinstance(words, Iterable):
        raise TypeError(f"{value!r} is not a list of addresses")
    found = []
    for word in words:
        text = str(word)
        server = HostPort.parse(word if isinstance(word, HostPort) or ":" in text.rpartition("]")[2] else f"{text}:53")
        try:
            ipaddress.ip_address(server.host)
        except ValueError as error:
            raise ValueError(f"{text!r} is not an IP address (a DNS server cannot be looked up)") from error
        found.append(server)
    return tuple(found)


def _ice_urls(value: object) -> object:
    words = _words(value)
    for word in words if isinstance(words, Iterable) else ():
        if not ICE_URL.fullmatch(str(word)):
            raise ValueError(f"{word!r} is not stun:HOST[:PORT] or turn:HOST[:PORT][?transport=udp|tcp] (or stuns:, turns:)")
    return words


def _json(value: object) -> object:
    return (json.loads(value) if value else ()) if isinstance(value, str) else value


def _address_or_none(value: object) -> HostPort | None:
    return None if value in (None, "") else HostPort.parse(value)


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


Rate = Annotated[Literal[8000, 16000], BeforeValidator(_number)]
Address = Annotated[HostPort, NoDecode, BeforeValidator(HostPort.parse), PlainSerializer(str)]
Ports = Annotated[PortRange, NoDecode, BeforeValidator(PortRange.parse), PlainSerializer(str)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
IceUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_ice_urls)]
Public = Annotated[str, BeforeValidator(_public)]


Rules = Annotated[dict[str, str], Field(max_length=100)]


class TrunkSetting(BaseModel):
    """A carrier or PBX that may call us, and that we can call through; docs/trunks.md explains each field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    sources: Networks = ()
    target: str = ""
    transport: Literal["udp", "tcp", "tls", "auto"] = "udp"
    tls_required: bool = False
    tls_verify: bool = True
    tls_ca: str = ""
    srtp: Literal["optional", "required"] = "optional"
    username: str = ""
    password: SecretStr = SecretStr("")
    register_there: bool = Field(False, alias="register")
    domain: str = ""
    peer_username: str = ""
    peer_password: SecretStr = SecretStr("")
    numbers_in: Rules = Field(default_factory=dict)
    numbers_out: Rules = Field(default_factory=dict)
    max_calls: int = Field(0, ge=0)
    max_calls_per_second: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> TrunkSetting:
        if self.target:
            HostPort.parse(self.target if ":" in self.target.rpartition("]")[2] else f"{self.target}:5060")
        elif self.register_there:
            raise ValueError(f"trunk {self.name} cannot register without target")
        if self.register_there and not self.username:
            raise ValueError(f"trunk {self.name} cannot register without username")
        if bool(self.peer_username) != bool(self.peer_password.get_secret_value()):
            raise ValueError(f"trunk {self.name} needs peer_username and peer_password, or none of them")
        if self.tls_required and self.target and self.transport != "tls":
            raise ValueError(f"trunk {self.name} requires TLS, so its transport must be tls")
        return self

    def plain(self) -> dict[str, Any]:
        """All fields with their secrets, as the edge and a child's environment take them."""
        words = {"password": self.password.get_secret_value(), "peer_password": self.peer_password.get_secret_value()}
        return {**self.model_dump(mode="json", by_alias=True), **words}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


class Settings(BaseSettings):
    """What an operator can choose; built once, passed in."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    data: Path = Field(Path(".data"), description="Directory that holds everything: database, recordings, keys, logs.")
    http: Address = Field(
        HostPort("127.0.0.1", 8080),
        description="HOST:PORT of the pages and the API: HTTPS, or HTTP while it is loopback and no certificate is given.",
    )
    https_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) for HTTPS; default: our own, made on first run and renewed by itself."
    )
    https_key: Path | None = Field(None, description="Private key (PEM, without a passphrase) of the certificate given.")
    https_names: Words = Field(
        (), description="More host names and addresses for our own certificate than those that we know of, comma-separated."
    )
    sip: Address = Field(
        HostPort("127.0.0.1", 5060), description="HOST:PORT where carriers and SIP phones reach the edge (UDP and TCP)."
    )
    sips: Annotated[HostPort | None, NoDecode, BeforeValidator(_address_or_none), PlainSerializer(str)] = Field(
        None, description="HOST:PORT where they reach it by TLS (usually port 5061); empty: no TLS."
    )
    sips_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) for SIP over TLS; default: the one of HTTPS, given or our own."
    )
    sips_key: Path | None = Field(None, description="Private key (PEM, without a passphrase) of that certificate.")
    dns: Annotated[tuple[HostPort, ...], NoDecode, BeforeValidator(_dns_servers)] = Field(
        (), description="DNS servers (ADDRESS or ADDRESS:PORT) for the names of trunks, comma-separated; empty: the system's."
    )
    sip_flood: float = Field(
        100.0,
        ge=0,
        description="New calls a second that one source may offer before it gets 503; 0: any number. Loopback is free of it.",
    )
    rtp: Ports = Field(
        PortRange(40000, 44999),
        description="FIRST-LAST UDP ports of audio; the lower half is the line cards', the upper the desk cards'.",
    )
    public: Public = Field("", description="IP address that SIP, SDP and ICE say of us behind NAT; empty: the one we have.")
    lines: int = Field(
        default_factory=lambda: LINES_PER_CORE * cores(),
        ge=1,
        le=4000,
        description="Calls at the same time; default 8 for each core.",
    )
    desk_cards: int = Field(
        default_factory=lambda: max(2, cores()),
        ge=1,
        le=64,
        description="Processes that hold browsers' connections; default one for each core, at least 2.",
    )
    web_cards: int = Field(
        1, ge=0, le=16, description="Processes that hold the connections of callers from the web; 0: nobody calls from a page."
    )
    web_calls: int = Field(8, ge=1, le=1000, description="Callers from the web at the same time.")
    web_calls_a_minute: int = Field(
        6, ge=1, le=10_000, description="Calls from the web that one address (of IPv6: one /64) may begin in a minute."
    )
    bridge_rate: Rate = Field(
        16000,
        description="Sampling rate of the bridges: 16000 keeps G.722 and browsers wideband, 8000 is for all-G.711 sites.",
    )
    allow: Networks = Field(
        ("127.0.0.0/8", "::1/128"),
        description="CIDRs whose SIP requests get service besides the trunks' sources; comma-separated.",
    )
    trunks: Annotated[tuple[TrunkSetting, ...], NoDecode, BeforeValidator(_json)] = Field(
        (), description="JSON list of trunks (carriers and PBXs): see docs/trunks.md for their fields."
    )
    demo: bool | None = Field(
        None, description="Demo accounts, queues and entry point 5000; default: on while --http and --sip are loopback."
    )
    demo_password: SecretStr = Field(
        SecretStr(""), description="Password of all demo accounts; empty: random ones, printed once."
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL to use instead of the embedded one (postgresql://...)."
    )
    ice_servers: IceUrls = Field(
        (), description="STUN and TURN URLs for browsers and desk cards, comma-separated; none by default."
    )
    turn_secret: SecretStr = Field(
        SecretStr(""), description="Secret shared with the TURN servers, from which each user gets credentials for a while."
    )
    turn_hours: float = Field(
        13.0,
        ge=1,
        le=168,
        description="How long such credentials are good for; a session ends after 12 hours.",
    )
    ice_username: str = Field("", description="User name for TURN servers that share no secret with us.")
    ice_credential: SecretStr = Field(SecretStr(""), description="Password for TURN servers that share no secret with us.")
    recordings: bool = Field(True, description="Whether calls with agents are recorded.")
    agent_lost_seconds: float = Field(
        20.0,
        ge=3,
        le=3600,
        description="How long an agent may be away from a call before its customer goes back to the queue's front.",
    )
    media_timeout_seconds: float = Field(20.0, ge=5, le=600, description="A caller who sends no audio for so long is hung up.")
    drain_seconds: float = Field(
        300.0, ge=0, le=86400, description="How long a stop waits for running calls to end before it ends them."
    )
    log_retention_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="Days that the event log is kept for reports and replays; what a restart needs is kept in any case.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged.")
    log_personal: bool = Field(False, description="Whether logs show personal data (numbers, names) instead of a mask.")

    @model_validator(mode="after")
    def _ports_suffice(self) -> Settings:
        half = self.rtp.split(2)
        if len(half[0]) < LINE_CARD_PORTS * self.line_cards(1) // 4:
            raise ValueError(f"rtp: {self.rtp} is too small for {self.lines} lines")
        if len(half[1]) < DESK_CARD_PORTS * (self.desk_cards + self.web_cards):
            raise ValueError(f"rtp: {self.rtp} is too small for {self.desk_cards} desk cards and {self.web_cards} for the web")
        return self

    @model_validator(mode="after")
    def _belong_together(self) -> Settings:
        if (self.https_certificate is None) != (self.https_key is None):
            raise ValueError("https_certificate and https_key go together: give both, or none for our own certificate")
        if (self.sips_certificate is None) != (self.sips_key is None):
            raise ValueError("sips_certificate and sips_key go together: give both, or none for the certificate of HTTPS")
        for trunk in self.trunks:
            if self.sips is None and (trunk.tls_required or trunk.transport == "tls"):
                raise ValueError(f"trunk {trunk.name} needs TLS, so sips must say where (usually --sips HOST:5061)")
        if len({trunk.name.lower() for trunk in self.trunks}) < len(self.trunks):
            raise ValueError("trunks: two have the same name")
        if self.turn_secret.get_secret_value():
            if self.ice_username or self.ice_credential.get_secret_value():
                raise ValueError("turn_secret makes credentials for TURN, so ice_username and ice_credential must be empty")
            if not any(url.startswith("turn") for url in self.ice_servers):
                raise ValueError("turn_secret is of use only with a turn: URL in ice_servers")
        elif any(url.startswith("turn") for url in self.ice_servers) and not self.ice_username:
            raise ValueError("ice_servers has a turn: URL, which needs turn_secret, or ice_username and ice_credential")
        return self

    def line_cards(self, lines_each: int) -> int:
        """How many line cards make `lines` when one has `lines_each`."""
        return -(-self.lines // lines_each)

    @property
    def loopback(self) -> bool:
        """Whether nobody outside this machine can reach us."""
        return self.http.loopback and self.sip.loopback and (self.sips is None or self.sips.loopback)

    @property
    def wants_demo(self) -> bool:
        """Whether demo accounts and the demo flow are to exist."""
        return self.loopback if self.demo is None else self.demo

    @property
    def scheme(self) -> str:
        """How browsers reach the pages: they give no microphone to a page from elsewhere without HTTPS."""
        return "http" if self.http.loopback and self.https_certificate is None else "https"

    @property
    def web(self) -> str:
        """Base URL of the pages and the API, as a person on this machine opens it."""
        host = self.http.host
        if host in WILDCARDS:  # what a browser can open, not what we bind
            host = self.public or "127.0.0.1"
        return f"{self.scheme}://{HostPort(host, self.http.port)}"

    def certificate_names(self) -> list[str]:
        """What our own certificate has to be for: every name and address of ours that we know of."""
        found = [*self.https_names, self.public, socket.gethostname()]
        for listening in (self.http.host, self.sip.host, self.sip.host if self.sips is None else self.sips.host):
            if listening not in WILDCARDS:
                found.append(listening)
            else:
                # IPv6 addresses change by themselves, and each change would be a new certificate that nobody trusts yet.
                each = (address for addresses in psutil.net_if_addrs().values() for address in addresses)
                found += sorted(address.address for address in each if address.family == socket.AF_INET)
        found += ["localhost", "127.0.0.1", "::1"]
        return list(dict.fromkeys(name for name in found if HOST_NAME.fullmatch(name)))

    def environment(self, *, without: Iterable[str] = ()) -> dict[str, str]:
        """The same settings as environment variables, for a child process (never on a command line: there are secrets)."""
        skip = set(without)
        found: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name not in skip and value is not None:
                found[variable(name)] = _text(value)
        return found


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        if value and isinstance(value[0], TrunkSetting):
            return json.dumps([trunk.plain() for trunk in value])
        return ",".join(str(each) for each in value)
    return str(value)


def load(**flags: Any) -> Settings:
    """Settings from the environment, overridden by the flags that are not None; raises SettingsError."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(" ".join(_sentence(dict(problem), given) for problem in error.errors())) from None
    paths = {name: getattr(settings, name) for name in PATHS}
    return settings.model_copy(update={n: path and path.expanduser().absolute() for n, path in paths.items()})


def _sentence(problem: dict[str, Any], given: dict[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not problem["loc"]:
        return f"Setting {message}."
    name = str(problem["loc"][0])
    source = "--" + name.replace("_", "-") if name in given else variable(name)
    return f"{source}: {message}."
