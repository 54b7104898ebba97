"""STUN and TURN servers for whoever asks, with TURN credentials of their own that end by themselves.

The name is the end (seconds since 1970), a colon and the user; the word is the HMAC-SHA1 of the name under the secret shared
with the server, in base64: draft-uberti-behave-turn-rest, which coturn calls `use-auth-secret`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

from exchange.settings import Settings
from media.control import desk


def credentials(secret: str, user: str, expires: int) -> tuple[str, str]:
    """Name and word for a TURN server."""
    name = f"{expires}:{user}"
    return name, base64.b64encode(hmac.digest(secret.encode(), name.encode(), hashlib.sha1)).decode()


class IceServers:
    """Who gets which servers."""

    def __init__(self, settings: Settings, wall: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._stun = [url for url in settings.ice_servers if url.startswith("stun")]
        self._turn = [url for url in settings.ice_servers if url.startswith("turn")]
        self._wall = wall

    def of(self, user: str) -> list[desk.IceServer]:
        """The servers for a person or a card; `user` is what the TURN server logs."""
        found = [desk.IceServer(self._stun)] if self._stun else []
        if self._turn:
            found.append(desk.IceServer(self._turn, *self._credentials(user)))
        return found

    def _credentials(self, user: str) -> tuple[str, str]:
        chosen = self._settings
        secret = chosen.turn_secret.get_secret_value()
        if not secret:
            return chosen.ice_username, chosen.ice_credential.get_secret_value()
        return credentials(secret, user, int(self._wall() + chosen.turn_hours * 3600))
