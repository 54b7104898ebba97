"""Servers of a host name: what DNS says of them, in which order they are tried, and how long it is believed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from sip.edge import dns as edge_dns
from sip.edge.counters import Counters
from sip.edge.dns import Answer, Dns, DnsError
from sip.edge.locator import AT_ONCE, KEPT, Locator
from sip.edge.targets import BENCHED, Bench, Hop, Place, Target, arranged
from sip.edge.tasks import Tasks
from tests.tools.dns_server import DnsServer

ZONE = (
    "carrier.example 60 NAPTR 20 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.carrier.example.",
    "carrier.example 60 NAPTR 10 10 \"S\" \"SIPS+D2T\" \"\" _sips._tcp.carrier.example.",
    "carrier.example 60 NAPTR 5 10 \"U\" \"E2U+sip\" \"!^.*$!sip:x@y!\" .",
    "carrier.example 60 A 192.0.2.9",
    "_sip._udp.carrier.example 50 SRV 10 70 5070 one.example.",
    "_sip._udp.carrier.example 50 SRV 10 30 5071 two.example.",
    "_sip._udp.carrier.example 50 SRV 20 0 5072 spare.example.",
    "_sip._udp.carrier.example 50 SRV 30 0 5073 gone.example.",
    "_sips._tcp.carrier.example 40 SRV 1 1 5081 one.example.",
    "_sip._tcp.closed.example 40 SRV 0 0 0 .",
    "closed.example 40 A 192.0.2.8",
    "one.example 30 A 192.0.2.1",
    "two.example 45 A 192.0.2.2",
    "two.example 45 AAAA 2001:db8::2",
    "spare.example 45 CNAME one.example.",
    "plain.example 20 A 192.0.2.5",
    "plain.example 20 A 192.0.2.6",
)  # fmt: skip
EVERYWHERE = (4, 6)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer(*ZONE) as running:
        yield running


@pytest_asyncio.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with Tasks() as running:
        yield running


def locator(server: DnsServer, tasks: Tasks, *kinds: str, versions: tuple[int, ...] = (4,)) -> Locator:
    return Locator(tasks, Dns([server.address], Path("/nowhere")), Counters(), kinds or ("UDP", "TCP", "TLS"), versions)


# --- what DNS says ----------------------------------------------------------------------------------------------------


@pytest.mark.layer
@pytest.mark.parametrize(
    ("hop", "kinds", "found"),
    [
        (Hop("carrier.example", 0, ""), "UDP TCP TLS", {("192.0.2.1", 5081, "TLS", 1)}),
        (Hop("carrier.example", 0, ""), "UDP TCP",
         {("192.0.2.1", 5070, "UDP", 10), ("192.0.2.2", 5071, "UDP", 10), ("192.0.2.1", 5072, "UDP", 20)}),
        (Hop("Carrier.Example", 0, "TLS"), "UDP TCP TLS", {("192.0.2.1", 5081, "TLS", 1)}),
        (Hop("carrier.example", 0, "TCP"), "UDP TCP", {("192.0.2.9", 5060, "TCP", 0)}),
        (Hop("carrier.example", 5099, "UDP"), "UDP", {("192.0.2.9", 5099, "UDP", 0)}),
        (Hop("plain.example", 0, ""), "UDP TCP TLS", {("192.0.2.5", 5060, "UDP", 0), ("192.0.2.6", 5060, "UDP", 0)}),
        (Hop("plain.example", 0, "TLS"), "TLS", {("192.0.2.5", 5061, "TLS", 0), ("192.0.2.6", 5061, "TLS", 0)}),
        (Hop("closed.example", 0, "TCP"), "UDP TCP", set()),
        (Hop("nothing.example", 0, ""), "UDP TCP TLS", set()),
        (Hop("nothing.invalid", 0, ""), "UDP TCP TLS", set()),
        (Hop("192.0.2.77", 0, "TLS"), "UDP", {("192.0.2.77", 5061, "TLS", 0)}),
        (Hop("2001:db8::1", 5070, ""), "UDP", {("2001:db8::1", 5070, "UDP", 0)}),
    ],
)  # fmt: skip
async def test_servers_ports_and_transports(
    server: DnsServer, tasks: Tasks, hop: Hop, kinds: str, found: set[tuple[str, int, str, int]]
) -> None:
    targets = await locator(server, tasks, *kinds.split()).ask(hop)
    assert {(address, t.port, t.kind, t.priority) for t in targets for address in t.addresses} == found
    if hop.port or hop.host[0].isdigit():
        assert not [question for question in server.asked if "SRV" in question], "a port means: no SRV"
    assert not [question for question in server.asked if "invalid" in question]


@pytest.mark.layer
async def test_both_families_where_we_have_both(server: DnsServer, tasks: Tasks) -> None:
    found = await locator(server, tasks, versions=EVERYWHERE).ask(Hop("two.example", 5060, ""))
    assert set(found[0].addresses) == {"192.0.2.2", "2001:db8::2"}
    assert (await locator(server, tasks, versions=(6,)).ask(Hop("one.example", 5060, ""))) == ()


@pytest.mark.layer
async def test_the_hosts_file_comes_first(server: DnsServer, tasks: Tasks, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("nonsense x\n192.0.2.100 Plain.example pbx # ours\n::1 pbx\n")
    found = Locator(tasks, Dns([server.address], tmp_path / "hosts"), Counters(), ("UDP",), (4,))
    assert [t.addresses for t in await found.ask(Hop("plain.EXAMPLE", 5060, ""))] == [("192.0.2.100",)]
    assert [t.addresses for t in await found.ask(Hop("pbx", 5060, ""))] == [("192.0.2.100",)]
    assert not server.asked


@pytest.mark.layer
async def test_an_answer_is_good_for_its_time(server: DnsServer, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Dns([server.address], Path("/nowhere"))
    assert (await ask.addresses("plain.example")).ttl == 20
    assert (await ask.addresses("spare.example", (4,))).ttl == 30, "an alias lives no longer than what it stands for"
    assert await ask.addresses("nothing.example") == Answer((), 7), "how long it is missing, its zone says"
    found = locator(server, tasks)
    hop = Hop("carrier.example", 0, "UDP")
    now = asyncio.get_running_loop().time
    await found.ask(hop)
    assert found._known[hop].until - now() == pytest.approx(7, abs=1), (
        "gone.example is missing for 7 s, one.example there for 30"
    )
    asked = server.asked.total()
    first = await asyncio.gather(found.ask(hop), found.ask(hop))
    assert (server.asked.total(), len(first[0])) == (asked, 3), "kept"
    monkeypatch.setattr("sip.edge.locator.LONGEST_TTL", 0.0)
    monkeypatch.setattr("sip.edge.locator.LEAST_TTL", 0.0)
    found = locator(server, tasks)
    await asyncio.gather(*(found.ask(hop) for _ in range(5)))
    assert server.asked["_sip._udp.carrier.example SRV"] == 2, "asked once for all who wait"
    server.write("_sip._udp.carrier.example 50 SRV 10 70 5070 plain.example.", "plain.example 9 A 192.0.2.55")
    assert [t.addresses for t in await found.ask(hop)] == [("192.0.2.55",)], "its time is over: asked anew"


@pytest.mark.layer
async def test_while_dns_is_away_what_was_known_goes_on(
    server: DnsServer, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_dns, "LIFETIME", 0.2)
    monkeypatch.setattr("sip.edge.locator.LONGEST_TTL", 0.0)
    monkeypatch.setattr("sip.edge.locator.LEAST_TTL", 0.0)
    found = locator(server, tasks)
    hop = Hop("carrier.example", 0, "UDP")
    before = await found.ask(hop)
    server.silent = True
    assert await found.ask(hop) == before
    assert await found.ask(Hop("plain.example", 5060, "")) == ()
    asked = server.asked.total()
    assert (await found.ask(hop), server.asked.total()) == (before, asked), "not asked again with each call"
    with pytest.raises(DnsError):
        await Dns([server.address], Path("/nowhere")).srv("_sip._udp.carrier.example")
    monkeypatch.setattr("sip.edge.locator.STALE_SECONDS", 0.0)
    monkeypatch.setattr("sip.edge.locator.RETRY_SECONDS", 0.0)
    server.silent = False
    strict = locator(server, tasks)
    await strict.ask(hop)
    server.silent = True
    assert await strict.ask(hop) == (), "too old"


@pytest.mark.layer
async def test_a_flood_of_names_costs_bounded_memory(server: DnsServer, tasks: Tasks) -> None:
    server.silent = True
    found = locator(server, tasks)
    answered: list[object] = []
    for number in range(AT_ONCE + 5):
        found.locate(Hop(f"n{number}.example", 5060, ""), answered.append)
    assert answered == [()] * 5, "more than can be asked at once have none"
    for number in range(KEPT + 5):
        found._keep(Hop(f"k{number}", 1, ""), (), 9.0, 0.0)
    assert len(found._known) == KEPT


# --- the order --------------------------------------------------------------------------------------------------------


@pytest.mark.unit
def test_weights_share_the_calls_and_priorities_come_first() -> None:
    targets = [
        Target(("10.0.0.1",), 1, "UDP", 10, 70),
        Target(("10.0.0.2",), 2, "UDP", 10, 30),
        Target(("10.0.0.3",), 3, "UDP", 5, 0),
    ]
    firsts: Counter[int] = Counter()
    for number in range(2_000):
        places = arranged(targets, f"call{number}")
        assert places == arranged(targets[::-1], f"call{number}"), "the order that DNS gave means nothing"
        assert places[0].address[1] == 3
        firsts[places[1].address[1]] += 1
    assert 0.65 < firsts[1] / 2_000 < 0.75


@pytest.mark.unit
def test_addresses_of_a_name_share_the_calls() -> None:
    one = Target((*(f"10.0.0.{n}" for n in range(4)), "::1"), 5060, "TCP")
    firsts = Counter(arranged([one], f"call{number}")[0].address[0] for number in range(1_000))
    assert set(firsts) == {f"10.0.0.{n}" for n in range(4)}, "IPv6 is tried after IPv4"
    assert min(firsts.values()) > 180


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=8), st.text())
def test_every_server_is_tried_once(servers: list[tuple[int, int]], key: str) -> None:
    targets = [Target((f"10.0.0.{n}",), n, "UDP", *server) for n, server in enumerate(servers)]
    places = arranged(targets, key)
    assert sorted(place.address[1] for place in places) == list(range(len(servers)))
    priorities = [servers[place.address[1]][0] for place in places]
    assert priorities == sorted(priorities)


@pytest.mark.unit
def test_the_bench() -> None:
    bench, one = Bench(60.0), Place(("10.0.0.1", 1), "UDP")
    bench.failed(one, 100.0)
    assert (bench.benched(one, 159.0), bench.benched(one, 160.0)) == (True, False)
    bench.works(one)
    assert not bench.benched(one, 101.0)
    for number in range(BENCHED + 9):
        bench.failed(Place(("10.0.0.2", number), "TCP"), 1.0)
    assert len(bench._until) == BENCHED
