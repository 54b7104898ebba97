"""The first accounts, and the demo: agents, queues, entry point 5000, idle codes. Written once; what exists stays as it is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import structlog

from acd.model import AgentConfig, Channel, ChannelCapacity, Code, Need, ProfileConfig, QueueConfig
from api.auth import hash_password
from exchange.brain.flows import KIND_FLOW as KIND_FLOW
from storage.queries import Queries

log = structlog.get_logger()

ORDER_VARIABLE = "SWITCHROOM_DEMO_PASSWORD_FILE"
"""Names the file with the order in the exchange's environment."""

KIND_QUEUE = "queue"
KIND_AGENT = "agent"
KIND_PROFILE = "profile"
KIND_IDLE_CODES = "idle-codes"
KIND_ENTRY_POINT = "entry-point"

DEMO_FLOW = Path(__file__).parents[1] / "ivr" / "demo.yaml"


class Account(msgspec.Struct, frozen=True):
    """Somebody who can log in."""

    name: str
    display: str
    role: str


class EntryPointConfig(msgspec.Struct, frozen=True):
    """A number that can be dialled, and the flow that it runs; or an address of a digital channel, and its queue."""

    id: str
    number: str
    flow: str = ""
    web: bool = False
    """Whether anybody with a browser may call it."""
    channel: Channel = "voice"
    queue: str = ""
    priority: int = 5
    need: Need = Need()
    """Of the contacts of a digital channel, which have no flow yet."""


ADMIN = Account("admin", "Admin", "admin")
DEMO_ACCOUNTS = (
    Account("agent1", "Agent One", "agent"),
    Account("agent2", "Agent Two", "agent"),
    Account("supervisor", "Supervisor", "supervisor"),
    ADMIN,
)
IDLE_CODES = [Code("break", "Break"), Code("training", "Training"), Code("admin", "Admin work")]
WRAP_UP_CODES = (Code("solved", "Solved"), Code("callback", "Call back"), Code("other", "Other"))
QUEUES = [
    QueueConfig("sales", "Sales", wrap_up_codes=(Code("sold", "Sold"), *WRAP_UP_CODES[1:])),
    QueueConfig("support", "Support", wrap_up_codes=WRAP_UP_CODES),
]
ENTRY_POINT = EntryPointConfig("5000", "5000", "demo", web=True)
CHAT = EntryPointConfig("chat", "chat", channel="chat", queue="support")
BLENDED = ProfileConfig(
    "blended",
    "A call and three chats",
    {"voice": ChannelCapacity(1, beside=("chat",)), "chat": ChannelCapacity(3, beside=("voice",))},
)


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
    documents: list[tuple[str, str, str]] = [
        (KIND_FLOW, ENTRY_POINT.flow, DEMO_FLOW.read_text(encoding="utf-8")),
        (KIND_IDLE_CODES, "all", _json(IDLE_CODES)),
        *((KIND_QUEUE, queue.id, _json(queue)) for queue in QUEUES),
        *(
            (KIND_AGENT, a.name, _json(AgentConfig(a.name, a.display, profile=BLENDED.id)))
            for a in DEMO_ACCOUNTS
            if a.role == "agent"
        ),
        *((KIND_ENTRY_POINT, entry.id, _json(entry)) for entry in (ENTRY_POINT, CHAT)),
        (KIND_PROFILE, BLENDED.id, _json(BLENDED)),
    ]
    for kind, id, body in documents:
        if await queries.document(kind, id) is None:
            await queries.put_document(kind, id, body)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
