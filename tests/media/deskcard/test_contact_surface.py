"""What we use of aioice and aiortc without their promise: this test fails first when a new version changes it."""

from __future__ import annotations

import asyncio
import inspect
import struct
from importlib.metadata import version

import pytest
from aioice import stun
from aioice.ice import Connection, StunProtocol
from aiortc.rtcdtlstransport import RTCDtlsTransport
from hypothesis import given
from hypothesis import strategies as st

from media.deskcard.contact_surface import IceServerUrl, IceSettings, SecureLink, make_certificate, server_options

pytestmark = pytest.mark.layer


def test_the_versions_are_those_that_were_read() -> None:
    assert (version("aiortc"), version("aioice")) == ("1.16.0", "0.13.0")


def test_the_names_are_there() -> None:
    connection = Connection(ice_controlling=False)
    for name in ("_queue", "_nominated", "_protocols", "_closing"):
        assert hasattr(connection, name)
    assert list(inspect.signature(Connection.data_received).parameters) == ["self", "data", "component"]
    assert list(inspect.signature(Connection.get_component_candidates).parameters) == [
        "self",
        "component",
        "addresses",
        "timeout",
    ]
    source = inspect.getsource(StunProtocol.datagram_received)
    assert "self.receiver.data_received(data, self.local_candidate.component)" in source
    source = inspect.getsource(RTCDtlsTransport)
    for name in ("self._rx_srtp = Session", "self._tx_srtp = Session", "self._task = asyncio", "def _set_role"):
        assert name in source
    assert "self.transport._recv()" in source
    assert "self.transport._send(data)" in source
    assert "self.transport.role" in source


async def test_media_goes_both_ways_without_tasks_of_its_own() -> None:
    arrived: dict[str, list[bytes]] = {"a": [], "b": []}
    lost: list[str] = []
    settings = IceSettings(public="127.0.0.1")

    def link(name: str, offering: bool) -> SecureLink:
        return SecureLink(
            settings,
            make_certificate(),
            offering=offering,
            on_rtp=arrived[name].append,
            on_rtcp=arrived[name].append,
            on_lost=lost.append,
        )

    a, b = link("a", True), link("b", False)
    assert not a.send_rtp(b"\x80" + bytes(30))
    of_a, of_b = await a.gather("actpass"), await b.gather("active")
    await asyncio.gather(a.connect(of_b, active=False), b.connect(of_a, active=True))
    rtp = b"\x80\x00\x00\x01" + bytes(8) + b"sound"
    report = b"\x80\xc9\x00\x01" + bytes(4)
    assert a.send_rtp(rtp)
    assert b.send_rtcp(report)
    async with asyncio.timeout(2):
        while not (arrived["a"] and arrived["b"]):
            await asyncio.sleep(0.005)
    assert arrived == {"a": [report], "b": [rtp]}
    await a.close()
    async with asyncio.timeout(2):
        while not lost:
            await asyncio.sleep(0.005)
    assert lost == ["closed-by-peer"]
    assert not b.send_rtp(rtp)
    await b.close()
    await b.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


def test_ice_servers_are_read_or_refused() -> None:
    servers = [IceServerUrl("stun:a.example"), IceServerUrl("turns:b.example?transport=tcp", "u", "p")]
    assert server_options(servers) == {
        "stun_server": ("a.example", 3478),
        "turn_server": ("b.example", 5349),
        "turn_ssl": True,
        "turn_transport": "tcp",
        "turn_username": "u",
        "turn_password": "p",
    }
    assert server_options([]) == {}
    with pytest.raises(ValueError, match="malformed"):
        server_options([IceServerUrl("https://example")])


@given(st.sampled_from([*stun.ATTRIBUTES_BY_TYPE, 0x7777]), st.binary(max_size=24), st.sampled_from([0x0001, 0x0101, 0x0111]))
def test_a_stun_attribute_of_any_size_is_read_or_a_value_error(kind: int, value: bytes, message: int) -> None:
    """All that aioice's sockets expect: anything else would be a traceback for each datagram that anybody sends."""
    body = struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
    data = struct.pack("!HHI12s", message, len(body), stun.COOKIE, bytes(12)) + body
    try:
        assert isinstance(stun.parse_message(data), stun.Message)
    except ValueError:
        return
