"""Settings: read from the environment and flags, refused with a sentence, handed on whole, documented."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import certificates
from exchange.settings import HostPort, PortRange, Settings, SettingsError, load, variable
from media.control import edge

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_defaults_are_for_this_machine_alone() -> None:
    settings = load()
    assert settings.loopback
    assert settings.wants_demo
    assert settings.data.is_absolute()
    assert settings.web == "http://127.0.0.1:8080"


def test_flags_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHROOM_LINES", "8")
    monkeypatch.setenv("SWITCHROOM_SIP", "[::1]:5070")
    monkeypatch.setenv("SWITCHROOM_ALLOW", "10.0.0.0/8, 192.0.2.1")
    settings = load(lines=12, http=None)
    assert settings.lines == 12
    assert settings.sip == HostPort("::1", 5070)
    assert settings.allow == ("10.0.0.0/8", "192.0.2.1/32")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"http": "8080"}, "--http: '8080' is not HOST:PORT."),
        ({"sip": "::1:5060"}, "--sip: '::1:5060' is not HOST:PORT (an IPv6 address goes in brackets)."),
        ({"rtp": "50000-40000"}, "--rtp: '50000-40000' is not a range of ports between 1024 and 65535."),
        ({"lines": 0}, "--lines: Input should be greater than or equal to 1."),
        ({"allow": ("everybody",)}, "--allow: 'everybody' is not an address or CIDR."),
        (
            {"public": "pbx.example"},
            "--public: 'pbx.example' is not an IP address (media and SIP need one; a host name will not do).",
        ),
        (
            {"ice_servers": "turn.example:3478"},
            "--ice-servers: 'turn.example:3478' is not stun:HOST[:PORT] or turn:HOST[:PORT][?transport=udp|tcp] "
            "(or stuns:, turns:).",
        ),
        (
            {"ice_servers": "turn:turn.example"},
            "Setting ice_servers has a turn: URL, which needs turn_secret, or ice_username and ice_credential.",
        ),
        ({"turn_secret": "s"}, "Setting turn_secret is of use only with a turn: URL in ice_servers."),
        (
            {"ice_servers": "turn:a", "turn_secret": "s", "ice_username": "u"},
            "Setting turn_secret makes credentials for TURN, so ice_username and ice_credential must be empty.",
        ),
        (
            {"https_certificate": "a.pem"},
            "Setting https_certificate and https_key go together: give both, or none for our own certificate.",
        ),
        ({"dns": "ns.example"}, "--dns: 'ns.example' is not an IP address (a DNS server cannot be looked up)."),
        ({"rtp": "40000-40099", "lines": 16, "desk_cards": 2}, "Setting rtp: 40000-40099 is too small for 16 lines."),
    ],
)
def test_wrong_values_are_refused_with_a_sentence(flags: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**flags)
    assert str(caught.value) == said


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHROOM_BRIDGE_RATE", "44100")
    with pytest.raises(SettingsError, match=r"^SWITCHROOM_BRIDGE_RATE: Input should be 8000 or 16000"):
        load()


def test_the_environment_for_a_child_gives_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trunks = '[{"name": "carrier", "sources": ["198.51.100.0/24"], "target": "198.51.100.7:5060", "password": "p,x"}]'
    first = load(
        data=tmp_path,
        http="0.0.0.0:8443",
        rtp="30000-39999",
        lines=40,
        demo=False,
        demo_password="correct horse",
        database_url="postgresql://a:b@c/d",
        ice_servers=("stun:stun.example:3478", "turn:turn.example:3478?transport=udp"),
        turn_secret="between us",
        public="198.51.100.1",
        https_certificate=tmp_path / "chain.pem",
        https_key=tmp_path / "key.pem",
        https_names=("pbx.example",),
        dns="192.0.2.53, 127.0.0.1:5353 [::1]:54",
        trunks=trunks,
        recordings=False,
    )
    for name, value in first.environment().items():
        monkeypatch.setenv(name, value)
    assert load() == first
    assert [str(server) for server in first.dns] == ["192.0.2.53:53", "127.0.0.1:5353", "[::1]:54"]


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHROOM_DATABASE_URL", "postgresql://root:geheim@h/d")
    settings = load(demo_password="geheim", ice_credential="geheim", trunks='[{"name": "a", "password": "geheim"}]')
    assert "geheim" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        load(trunks='[{"name": "a", "secret": "geheim"}]')
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)]
)
def test_loopback_is_told(host: str, loopback: bool) -> None:
    assert HostPort(host, 80).loopback is loopback


@pytest.mark.parametrize(
    ("flags", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"http": "192.0.2.1:8443"}, "https://192.0.2.1:8443"),
        ({"http": "0.0.0.0:8443", "public": "198.51.100.1"}, "https://198.51.100.1:8443"),
        ({"https_certificate": "a", "https_key": "b"}, "https://127.0.0.1:8080"),
    ],
)
def test_pages_come_by_https_unless_on_loopback(flags: dict[str, object], url: str) -> None:
    assert load(**flags).web == url


def test_our_own_certificate_is_for_every_name_of_ours() -> None:
    settings = load(http="192.0.2.1:8443", sip="[2001:db8::1]:5060", public="198.51.100.1", https_names="pbx.example,a")
    assert {"192.0.2.1", "2001:db8::1", "198.51.100.1", "pbx.example", "localhost", "127.0.0.1", "::1"} <= set(
        settings.certificate_names()
    )
    everywhere = load(http="0.0.0.0:8443").certificate_names()
    assert "0.0.0.0" not in everywhere
    assert len(everywhere) == len(set(everywhere))


@given(st.integers(1024, 65000), st.integers(200, 500), st.integers(1, 40))
def test_port_ranges_split_evenly_inside_their_bounds(first: int, size: int, parts: int) -> None:
    whole = PortRange(first, first + size)
    pieces = whole.split(parts)
    assert len(pieces) == parts
    assert all(piece.first % 2 == 0 and piece.last % 2 == 1 for piece in pieces)
    assert all(a.last + 1 == b.first for a, b in itertools.pairwise(pieces))
    assert whole.first <= pieces[0].first
    assert pieces[-1].last <= whole.last
    assert len({len(piece) for piece in pieces}) == 1


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for kind in (HostPort, PortRange):
        try:
            parsed = kind.parse(text)
        except ValueError:
            continue
        assert kind.parse(str(parsed)) == parsed


def test_every_setting_is_described_and_documented() -> None:
    page = (ROOT / "docs" / "operators.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        row = next((row for row in page.splitlines() if row.startswith(f"| `{variable(name)}`")), None)
        assert row is not None, f"docs/operators.md does not list {variable(name)}"
        assert field.description in row, f"docs/operators.md describes {name} differently"


def test_a_trunk_goes_to_its_edge_with_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = {
        "name": "carrier",
        "sources": ["198.51.100.0/24"],
        "target": "sip.carrier.example",
        "transport": "tls",
        "tls_required": True,
        "tls_verify": True,
        "tls_ca": "/etc/ca.pem",
        "srtp": "required",
        "username": "acct",
        "password": "p,x",
        "register": True,
        "domain": "carrier.example",
        "peer_username": "them",
        "peer_password": "y",
        "numbers_in": {"00": "+", "0": "+49"},
        "numbers_out": {"+": "00"},
        "max_calls": 30,
        "max_calls_per_second": 5.0,
    }
    settings = load(trunks=json.dumps([trunk]), sips="127.0.0.1:5061")
    sent = edge.Trunk(**settings.trunks[0].plain())
    assert msgspec.to_builtins(sent) == trunk
    assert set(trunk) == {field.name for field in msgspec.structs.fields(edge.Trunk)}, (
        "the edge knows a field that nobody can set"
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load() == settings
    page = (ROOT / "docs" / "trunks.md").read_text()
    for name in trunk:
        assert f"| `{name}` |" in page, name


@pytest.mark.parametrize(
    ("trunk", "flags", "said"),
    [
        ({"transport": "tls", "target": "x:5061"}, {}, "trunk t needs TLS, so sips must say where (usually --sips HOST:5061)"),
        ({"tls_required": True, "target": "x"}, {"sips": "127.0.0.1:5061"}, "requires TLS, so its transport must be tls"),
        ({"register": True, "target": "x"}, {}, "trunk t cannot register without username"),
        ({"register": True, "username": "u"}, {}, "trunk t cannot register without target"),
        ({"peer_username": "u"}, {}, "needs peer_username and peer_password, or none of them"),
        ({"target": "x:y:z"}, {}, "is not HOST:PORT"),
        ({"max_calls": -1}, {}, "greater than or equal to 0"),
    ],
)
def test_a_trunk_that_cannot_be_is_refused(trunk: dict[str, object], flags: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(trunks=json.dumps([{"name": "t", **trunk}]), **flags)
    assert said in str(caught.value)


def test_tls_shows_the_certificate_for_sip_or_that_of_https(tmp_path: Path) -> None:
    own = load(data=tmp_path, sips="127.0.0.1:5061")
    assert certificates.sip_files(own) == certificates.own_paths(tmp_path / "keys")
    given = load(sips="127.0.0.1:5061", sips_certificate="/a.crt", sips_key="/a.key")
    assert certificates.sip_files(given) == (Path("/a.crt"), Path("/a.key"))
    assert not load(sips="192.0.2.1:5061").loopback
    with pytest.raises(SettingsError, match="go together"):
        load(sips_key="/a.key")
