"""A running system for a bench: demo data, more agents, and entry points that lead straight to what is measured."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from acd.document import EntryPointConfig
from acd.model import AgentConfig, Code, Membership, QueueConfig
from api.auth import hash_password
from exchange import rundir
from exchange.brain.flows import KIND_FLOW
from storage.database import Database
from storage.queries import Queries
from tests.tools.postgres import PostgresServer
from tests.tools.switchroom import PASSWORD, Switchroom

QUEUE = "bench"
PROMPT = "7001"
"""Entry point: a prompt of minutes."""
WAIT = "7002"
"""Entry point: straight into the queue."""

_TEXT = (
    "This is a long announcement for measuring. It tells callers about opening hours, "
    "about the many ways to reach us, and about everything else that they might like to know while nobody has time for them. "
    "When it has come to its end, it begins anew."
)
_PROMPT_FLOW = f"""
flow: bench-prompt
version: 1
name: A prompt of minutes
entry: answer
activities:
  answer:
    type: answer
    exits: {{done: one}}
  one:
    type: menu
    prompt: ["{_TEXT}", "{_TEXT}", "{_TEXT}"]
    choices: {{"9": bye}}
    no_input: {{retries: 10}}
    exits: {{bye: bye, invalid: bye, no_input: bye}}
  bye:
    type: hangup
"""
_WAIT_FLOW = f"""
flow: bench-wait
version: 1
name: Straight into the queue
entry: answer
activities:
  answer:
    type: answer
    exits: {{done: wait}}
  wait:
    type: queue
    queue: {QUEUE}
    exits: {{nobody: bye, closed: bye, full: bye}}
  bye:
    type: hangup
"""


def agent_names(count: int) -> list[str]:
    """The first accounts."""
    return [f"bench{number}" for number in range(count)]


async def seed(data: Path, agents: int, flows: Mapping[str, str] | None = None) -> None:
    """Write accounts, queue and flows (more of them by their entry points) into a data directory on which nothing runs."""
    server = PostgresServer(data, rundir.prepare(data))
    await server.start()
    try:
        async with Database(server.embedded.dsn) as database:
            await _write(Queries(database), agents, flows or {})
    finally:
        server.stop()


async def _write(queries: Queries, agents: int, flows: Mapping[str, str]) -> None:
    def encoded(value: object) -> str:
        return msgspec.json.encode(value).decode()

    secret = hash_password(PASSWORD)
    for name in agent_names(agents):
        await queries.put_user(name, name, name.capitalize(), "agent", secret)
        await queries.put_document("agent", name, encoded(AgentConfig(name, name, (Membership(QUEUE),))))
    queue = QueueConfig(QUEUE, "Bench", wrap_up_codes=(Code("done", "Done"),))
    await queries.put_document("queue", QUEUE, encoded(queue))
    more = [(number, f"bench-{number}", text) for number, text in flows.items()]
    for number, flow, text in ((PROMPT, "bench-prompt", _PROMPT_FLOW), (WAIT, "bench-wait", _WAIT_FLOW), *more):
        await queries.put_document(KIND_FLOW, flow, text)
        await queries.put_document("entry-point", number, encoded(EntryPointConfig(number, number, flow)))


@asynccontextmanager
async def running(
    data: Path, *, lines: int, rate: int = 16000, environment: dict[str, str] | None = None
) -> AsyncIterator[Switchroom]:
    """The system on a seeded directory; ended whatever happens."""
    environment = {"SWITCHROOM_BRIDGE_RATE": str(rate), **(environment or {})}
    system = Switchroom(data, "--public", "127.0.0.1", lines=lines, environment=environment)
    try:
        await system.start()
        yield system
    except BaseException:
        for path in sorted((system.data / "logs").glob("*.log")):
            told = [text for text in path.read_text(errors="replace").splitlines() if '"level": "info"' not in text]
            print(f"--- {path.name}", *told[-20:], sep="\n", file=sys.stderr, flush=True)
        raise
    finally:
        await system.stop()
