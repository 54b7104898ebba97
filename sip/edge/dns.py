"""DNS as the edge asks it: addresses, SRV and NAPTR with the time they are good for, never stopping the loop (dnspython).

Servers are those of the setting, else those of /etc/resolv.conf; /etc/hosts comes before both, as everywhere on the machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

T = TypeVar("T")

LIFETIME = 3.0
"""Seconds for one question, with all its repetitions and servers."""

HOSTS = Path("/etc/hosts")
HOSTS_TTL = 30.0
NEGATIVE_TTL = 60.0
"""Longest that a name counts as missing; its zone may say less (RFC 2308)."""

NOBODY = ".invalid"
"""No server is asked for what is below (RFC 6761 §6.4)."""


class DnsError(Exception):
    """No server gave an answer; that a name has no such records is an answer."""


@dataclass(frozen=True)
class Answer(Generic[T]):
    """Records, perhaps none, and the seconds they are good for."""

    records: tuple[T, ...]
    ttl: float


@dataclass(frozen=True)
class Srv:
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    host: str
    """Empty: the service is decidedly not there (a target of `.`)."""


@dataclass(frozen=True)
class Naptr:
    """RFC 3403; as SIP uses it (RFC 3263 §4.1), the replacement is a name that has SRV records."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True)
class _Files:
    """What the machine's files say."""

    resolver: dns.asyncresolver.Resolver | None
    hosts: dict[str, list[str]]


class Dns:
    """Asks one question at a time; `servers` are HOST, PORT pairs, none of them means the system's."""

    def __init__(self, servers: Iterable[tuple[str, int]] = (), hosts: Path = HOSTS) -> None:
        self._servers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
        self._hosts = hosts
        self._backend = dns.asyncbackend.get_backend("asyncio")

    async def addresses(self, name: str, versions: Iterable[int] = (4, 6)) -> Answer[str]:
        """IP addresses of those versions; raises DnsError."""
        files = await asyncio.to_thread(self._files)
        known = [ip for ip in files.hosts.get(_key(name), []) if ipaddress.ip_address(ip).version in versions]
        if known:
            return Answer(tuple(known), HOSTS_TTL)
        kinds = [kind for version, kind in ((4, "A"), (6, "AAAA")) if version in versions]
        found = await asyncio.gather(*(self._ask(files, name, kind) for kind in kinds), return_exceptions=True)
        good = [answer for answer in found if not isinstance(answer, BaseException)]
        bad = [answer for answer in found if isinstance(answer, BaseException)]
        records = tuple(str(record.address) for answer in good for record in answer.records)
        if bad and not records:  # one family that cannot be asked for is no harm while the other is there
            raise bad[0]
        return Answer(records, min(answer.ttl for answer in good if bool(answer.records) == bool(records)))

    async def srv(self, name: str) -> Answer[Srv]:
        """Raises DnsError."""
        answer = await self._ask(await asyncio.to_thread(self._files), name, "SRV")
        return Answer(tuple(Srv(r.priority, r.weight, r.port, _host(r.target)) for r in answer.records), answer.ttl)

    async def naptr(self, name: str) -> Answer[Naptr]:
        """Raises DnsError."""
        answer = await self._ask(await asyncio.to_thread(self._files), name, "NAPTR")
        records = (
            Naptr(r.order, r.preference, _text(r.flags).upper(), _text(r.service).upper(), _host(r.replacement))
            for r in answer.records
        )
        return Answer(tuple(records), answer.ttl)

    # --------------------------------------------------------------------------------------------------------------

    def _files(self) -> _Files:
        """Read anew for each question: a lease or an operator may have changed them. Blocks; asked for in a thread."""
        if self._servers:
            resolver = dns.asyncresolver.Resolver(configure=False)
            resolver.nameservers = list(self._servers)
            return _Files(resolver, _hosts(self._hosts))
        try:
            return _Files(dns.asyncresolver.Resolver(), _hosts(self._hosts))
        except (dns.exception.DNSException, OSError):
            return _Files(None, _hosts(self._hosts))

    async def _ask(self, files: _Files, name: str, kind: str) -> Answer[Any]:
        if _key(name).endswith(NOBODY):
            return Answer((), NEGATIVE_TTL)
        if files.resolver is None:
            raise DnsError("no DNS server is known")
        try:
            answer = await files.resolver.resolve(
                name, kind, raise_on_no_answer=False, lifetime=LIFETIME, search=True, backend=self._backend
            )
        except dns.resolver.NXDOMAIN as error:
            responses = error.kwargs.get("responses") or {}
            return Answer((), min([NEGATIVE_TTL, *(_negative_ttl(response) for response in responses.values())]))
        except (dns.exception.DNSException, OSError, UnicodeError, ValueError) as error:
            raise DnsError(f"{name} {kind}: {error}") from error
        ttl = float(answer.chaining_result.minimum_ttl)
        if answer.rrset is None:
            return Answer((), min(NEGATIVE_TTL, ttl))
        return Answer(tuple(answer.rrset), ttl)


def _negative_ttl(response: Any) -> float:
    try:
        return float(response.resolve_chaining().minimum_ttl)
    except dns.exception.DNSException:
        return NEGATIVE_TTL


def _hosts(file: Path) -> dict[str, list[str]]:
    """Names of /etc/hosts and their addresses."""
    found: dict[str, list[str]] = {}
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        try:
            ipaddress.ip_address(address)
        except ValueError:
            continue
        for name in names:
            found.setdefault(_key(name), []).append(address)
    return found


def _key(name: str) -> str:
    return name.lower().rstrip(".")


def _host(name: Any) -> str:
    return str(name.to_text(omit_final_dot=True)) if len(name) > 1 else ""


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")
