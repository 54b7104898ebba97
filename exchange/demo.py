"""The first accounts, and the demo: its configuration (demo.yaml) and its flow. Written once; what exists stays as it is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import structlog

from acd.document import Document
from api.auth import hash_password
from exchange.brain.flows import KIND_FLOW
from exchange.configuration import kept, text
from storage.queries import Queries

log = structlog.get_logger()

ORDER_VARIABLE = "SWITCHROOM_DEMO_PASSWORD_FILE"
"""Names the file with the order in the exchange's environment."""


FLOW = "demo"
DEMO_FLOW = Path(__file__).parents[1] / "ivr" / "demo.yaml"
DEMO_CONFIGURATION = Path(__file__).with_name("demo.yaml")


class Account(msgspec.Struct, frozen=True):
    """Somebody who can log in."""

    name: str
    display: str
    role: str


ADMIN = Account("admin", "Admin", "admin")
DEMO_ACCOUNTS = (
    Account("agent1", "Agent One", "agent"),
    Account("agent2", "Agent Two", "agent"),
    Account("supervisor", "Supervisor", "supervisor"),
    ADMIN,
)


def configuration() -> Document:
    """The demo's configuration."""
    return text.parse(DEMO_CONFIGURATION.read_text(encoding="utf-8"))[0]


class SeedOrder(msgspec.Struct, frozen=True):
    """What the supervisor asks for: accounts with passwords; `reset` sets the passwords of those that exist, too."""

    demo: bool
    reset: bool
    passwords: dict[str, str]


class SeedDone(msgspec.Struct, frozen=True):
    """The accounts whose passwords were taken from the order."""

    taken: list[str]


async def seed_as_ordered(queries: Queries) -> list[str]:
    """Carry out the order that the supervisor left for us, if any, and say so; called when the schema is there."""
    path = Path(os.environ.get(ORDER_VARIABLE, ""))
    try:
        order = msgspec.json.decode(path.read_bytes(), type=SeedOrder)  # noqa: ASYNC240  once, at start
    except (FileNotFoundError, IsADirectoryError):
        return []
    taken = await seed(queries, order)
    done = path.with_suffix(".done")
    done.write_bytes(msgspec.json.encode(SeedDone(taken)))
    path.unlink(missing_ok=True)  # noqa: ASYNC240
    return taken


async def seed(queries: Queries, order: SeedOrder) -> list[str]:
    """Make what is missing; the names of the accounts whose passwords were set."""
    taken = []
    accounts = {account.name: account for account in (*DEMO_ACCOUNTS, ADMIN)}
    for name, password in order.passwords.items():
        account = accounts[name]
        known = await queries.user_by_name(name)
        if known is None or order.reset:
            hashed = await asyncio.to_thread(hash_password, password)
            await queries.put_user(known.id if known is not None else name, name, account.display, account.role, hashed)
            taken.append(name)
    if order.demo:
        await _configure(queries)
    log.info("accounts and demo are there", accounts=taken, demo=order.demo)
    return taken


async def _configure(queries: Queries) -> None:
    documents = [(KIND_FLOW, FLOW, DEMO_FLOW.read_text(encoding="utf-8"))]
    for (section, id), thing in kept.things(configuration()).items():
        documents.append((kept.kind_of(section), id, msgspec.json.encode(thing).decode()))
    for kind, id, body in documents:
        if await queries.document(kind, id) is None:
            await queries.put_document(kind, id, body)
