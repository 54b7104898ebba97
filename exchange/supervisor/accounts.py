"""First accounts: their passwords go to the exchange in a file that only we can read, and to the screen once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from exchange.demo import ADMIN, DEMO_ACCOUNTS, SeedDone, SeedOrder
from exchange.settings import Settings
from exchange.supervisor.errors import SupervisorError

CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiou"


class Unsafe(SupervisorError):
    """The settings would let others log in with a demo password."""

    code = 2


def check(settings: Settings) -> None:
    """Refuse demo accounts where others can reach them, unless they were asked for; raises Unsafe."""
    if settings.loopback or settings.demo is not None or settings.demo_password.get_secret_value():
        return
    where = "--http" if not settings.http.loopback else "--sip"
    address = settings.http if not settings.http.loopback else settings.sip
    raise Unsafe(
        f"{where} {address} can be reached from other machines. Say who may log in: --demo-password WORD for demo accounts "
        "with that password, --demo for demo accounts with random ones, or --no-demo for an admin account alone."
    )


def wants_demo(settings: Settings) -> bool:
    """Whether the demo is to be set up: asked for, or nobody else can reach it."""
    return settings.wants_demo or bool(settings.demo is None and settings.demo_password.get_secret_value())


def order(settings: Settings) -> SeedOrder:
    """Which accounts are to exist, with passwords for those that do not yet."""
    demo = wants_demo(settings)
    names = [account.name for account in DEMO_ACCOUNTS] if demo else [ADMIN.name]
    given = settings.demo_password.get_secret_value()
    return SeedOrder(demo=demo, reset=bool(given), passwords={name: given or invent() for name in names})


def invent() -> str:
    """A password that can be read aloud: three words of two syllables, 36 bits."""
    return "-".join("".join(secrets.choice(CONSONANTS) + secrets.choice(VOWELS) for _ in range(2)) for _ in range(3))


def hand_over(path: Path, wanted: SeedOrder) -> None:
    """Write the order for the exchange, 0600."""
    path.unlink(missing_ok=True)
    done_path(path).unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(msgspec.json.encode(wanted))


def collect(path: Path) -> list[str]:
    """The names of the accounts whose passwords the exchange took from the order; forgets both files."""
    try:
        done = msgspec.json.decode(done_path(path).read_bytes(), type=SeedDone)
    except FileNotFoundError:
        done = SeedDone([])
    path.unlink(missing_ok=True)
    done_path(path).unlink(missing_ok=True)
    return done.taken


def done_path(path: Path) -> Path:
    """Where the exchange says what it has done."""
    return path.with_suffix(".done")
