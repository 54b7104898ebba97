"""A DNS server on loopback whose zone the test writes, line by line as in a zone file."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class DnsServer(asyncio.DatagramProtocol):
    """Answers by UDP; `async with` opens and closes it."""

    def __init__(self, *lines: str) -> None:
        self.address: tuple[str, int] = ("", 0)
        self.asked: Counter[str] = Counter()
        """Questions, as `NAME TYPE`."""
        self.silent = False
        self._zone: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._transport: Any = None
        self.write(*lines)

    def write(self, *lines: str) -> None:
        """The whole zone: each line is NAME TTL TYPE DATA."""
        self._zone = {}
        for line in lines:
            name, ttl, kind, data = line.split(None, 3)
            self._zone.setdefault((name.lower(), kind), []).append((int(ttl), data))

    async def __aenter__(self) -> DnsServer:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.address = self._transport.get_extra_info("sockname")[:2]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[f"{name} {kind}"] += 1
        if self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        while (alias := self._zone.get((name, "CNAME"))) is not None and kind != "CNAME":
            response.answer.append(_rrset(name, "CNAME", alias))
            name = alias[0][1].rstrip(".").lower()
        records = self._zone.get((name, kind))
        if records:
            response.answer.append(_rrset(name, kind, records))
        else:
            response.authority.append(_rrset("example", "SOA", [(7, "ns.example. root.example. 1 1 1 1 7")]))
            if not any(known == name for known, _ in self._zone):
                response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)


def _rrset(name: str, kind: str, records: list[tuple[int, str]]) -> dns.rrset.RRset:
    return dns.rrset.from_text(dns.name.from_text(name), records[0][0], dns.rdataclass.IN, kind, *(data for _, data in records))
