"""ICE servers: who gets which, and that TURN credentials are what coturn computes."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from exchange.brain.ice import IceServers, credentials
from exchange.settings import load
from media.control.desk import IceServer

pytestmark = pytest.mark.unit

TURN = "turn:turn.example:3478?transport=udp"
STUN = "stun:turn.example:3478"


def test_none_by_default() -> None:
    assert IceServers(load()).of("agent1") == []


def test_credentials_end_by_themselves_and_are_each_user_s_own() -> None:
    servers = IceServers(load(ice_servers=(STUN, TURN), turn_secret="s3cret", turn_hours=2), wall=lambda: 1_800_000_000.5)
    stun, turn = servers.of("agent1")
    assert stun == IceServer([STUN])
    assert turn.urls == [TURN]
    assert turn.username == f"{1_800_000_000 + 7200}:agent1"
    expected = base64.b64encode(hmac.new(b"s3cret", turn.username.encode(), hashlib.sha1).digest()).decode()
    assert turn.credential == expected
    assert servers.of("deskcard0")[1].credential != turn.credential


def test_a_known_answer() -> None:
    # echo -n 1433895918:user | openssl dgst -sha1 -hmac north -binary | base64
    assert credentials("north", "user", 1433895918) == ("1433895918:user", "/gk4t5tUc08OpM3NjrVjHSFVNmY=")


def test_a_fixed_name_and_word_still_do() -> None:
    servers = IceServers(load(ice_servers=(TURN,), ice_username="u", ice_credential="w"))
    assert servers.of("agent1") == servers.of("deskcard0") == [IceServer([TURN], "u", "w")]
