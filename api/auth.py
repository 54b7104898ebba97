"""Who is asking: passwords (argon2), sessions (random tokens, kept as hashes), roles, and the guard against forged requests."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.requests import HTTPConnection, Request

from api.errors import ApiError
from api.models import Role, User
from api.ports import Store

COOKIE = "switchroom_session"
MOST_CACHED = 10_000
CACHE_SECONDS = 60.0
MOST_FAILURES = 10
FAILURE_WINDOW = 300.0

_hasher = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$E4fNgLPjaPi0iMVdBqWmrA$tiQ6nSuI7LrKlgvzkvSQiL60MLWNbD1gw8cHXZXkk4c"
"""Of 32 random bytes that nobody knows: a name that does not exist takes as long as one that does."""
HASHES_AT_ONCE = 2
"""Each takes 64 MiB and a core."""


def hash_password(password: str) -> str:
    """An argon2id hash, with its parameters and salt in it."""
    return _hasher.hash(password)


def _verify(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def token_hash(token: str) -> bytes:
    """What is stored of a token: SHA-256, enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


class Guard:
    """Logs people in and tells who a request is from.

    Sessions are remembered for a minute, and beyond that while the database is away: an agent's page can come back then.
    """

    def __init__(self, store: Store, hours: float) -> None:
        self._store = store
        self._hours = hours
        self._cache: OrderedDict[bytes, tuple[float, User]] = OrderedDict()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    async def log_in(self, name: str, password: str, client: str) -> tuple[str, User]:
        """A new token; raises ApiError 401 `bad-credentials`, 429 `too-many-attempts`."""
        key = f"{client} {name.casefold()}"
        self._check_rate(key)
        found = await self._store.user_by_name(name)
        async with self._hashing:
            self._check_rate(key)  # again: many attempts at once have all passed the first time
            good = await asyncio.to_thread(_verify, found[1] if found else _NOBODY, password)
            if found is None or not good:
                self._failed(key)
        if found is None or not good:
            raise ApiError(401, "bad-credentials", "The name or the password is wrong.")
        self._failures.pop(key, None)
        token = secrets.token_urlsafe(32)
        await self._store.open_session(token_hash(token), found[0].id, datetime.now(UTC) + timedelta(hours=self._hours))
        self._remember(token_hash(token), found[0])
        return token, found[0]

    async def log_out(self, connection: HTTPConnection) -> None:
        token = self._token(connection)
        if token:
            self._cache.pop(token_hash(token), None)
            await self._store.close_session(token_hash(token))

    async def user(self, connection: HTTPConnection) -> User:
        """Who this is; raises ApiError 401."""
        token = self._token(connection)
        if not token:
            raise ApiError(401, "not-logged-in", "Please log in.")
        hashed = token_hash(token)
        cached = self._cache.get(hashed)
        if cached is not None and time.monotonic() - cached[0] < CACHE_SECONDS:
            return cached[1]
        try:
            user = await self._store.user_by_session(hashed)
        except ApiError:
            if cached is not None:
                return cached[1]
            raise
        if user is None:
            self._cache.pop(hashed, None)
            raise ApiError(401, "not-logged-in", "The session has ended. Please log in again.")
        self._remember(hashed, user)
        return user

    def _token(self, connection: HTTPConnection) -> str:
        header = connection.headers.get("authorization", "")
        if header[:7].lower() == "bearer ":
            return header[7:].strip()
        return connection.cookies.get(COOKIE, "")

    def _remember(self, hashed: bytes, user: User) -> None:
        self._cache[hashed] = (time.monotonic(), user)
        while len(self._cache) > MOST_CACHED:
            self._cache.popitem(last=False)

    def _check_rate(self, key: str) -> None:
        times = self._failures.get(key)
        if times is None:
            return
        while times and time.monotonic() - times[0] > FAILURE_WINDOW:
            times.popleft()
        if len(times) >= MOST_FAILURES:
            raise ApiError(429, "too-many-attempts", "Too many failed attempts. Please wait five minutes and try again.")

    def _failed(self, key: str) -> None:
        self._failures.setdefault(key, deque()).append(time.monotonic())
        self._failures.move_to_end(key)
        while len(self._failures) > MOST_CACHED:
            self._failures.popitem(last=False)


def same_origin(connection: HTTPConnection) -> bool:
    """Whether a browser sent this from our own pages (or no browser sent it: no Origin header)."""
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    try:
        site = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(site) and site == connection.headers.get("host")


def check_forgery(request: Request) -> None:
    """Raises ApiError 403 for a changing request that another site made a browser send."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    if not same_origin(request) or request.headers.get("sec-fetch-site") not in {None, "same-origin", "none"}:
        raise ApiError(403, "foreign-origin", "This request comes from another site and is refused.")


def needs(*roles: Role) -> Callable[[Request], Awaitable[User]]:
    """A dependency: the user, who must have one of `roles` (none named: any)."""

    async def dependency(request: Request) -> User:
        check_forgery(request)
        guard: Guard = request.app.state.guard
        user = await guard.user(request)
        if roles and user.role not in roles:
            raise ApiError(403, "not-allowed", f"This needs the role {' or '.join(roles)}; you are {user.role}.")
        return user

    return dependency
