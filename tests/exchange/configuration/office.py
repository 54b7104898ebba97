"""A house with a configuration that can be changed: a ledger that is durable at once, people in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import acd.events as routing
from acd import document
from acd.document import Document
from exchange.brain import records
from exchange.brain.house import House, Outcome
from exchange.brain.records import Input, Record, Source
from exchange.configuration.border import Configurator
from exchange.configuration.keeper import Keeper
from exchange.configuration.kept import Kept, renewed
from ivr.document import packaged, parse
from ivr.runner import Runner
from storage.queries import Queries, User
from storage.rows import RowWrite

DEMO = parse(packaged("demo"))


class People:
    """The accounts (storage.queries.Queries)."""

    def __init__(self, fault: Callable[[], None] = lambda: None) -> None:
        self.known: dict[str, User] = {}
        self._fault = fault

    async def users(self, role: str | None = None) -> list[User]:
        self._fault()
        return [user for user in self.known.values() if role in (None, user.role)]

    async def user_by_name(self, name: str) -> User | None:
        self._fault()
        return next((user for user in self.known.values() if user.name == name), None)

    async def put_user(self, id: str, name: str, display: str, role: str, password_hash: str) -> None:
        self._fault()
        self.known[id] = User(id, name, display, role, password_hash)


class Office:
    """Everything that keeps a configuration; what was put, and the rows that went with it, are remembered."""

    def __init__(self, data: Any, people: People | None = None) -> None:
        self.house = House(Runner([DEMO]), recordings=False)
        self.at = 1000.0
        self.rows: list[RowWrite] = []
        self.inputs: list[Input] = []
        self.outcomes: list[Outcome] = []
        self.taken: list[Document] = []
        self.people = people or People()
        wanted = document.parse(data)
        self._tell(records.Routing(document.configured(wanted)))
        kept, _ = renewed(Kept(), wanted, "", 1.0)
        self.keeper = Keeper(kept, self.house, self.put, lambda: [DEMO], self.taken.append)
        self.configurator = Configurator(self.keeper, cast(Queries, self.people))

    def put(self, input: Input, source: Source | None = None, rows: Sequence[RowWrite] = ()) -> asyncio.Future[None]:
        """As the ledger does."""
        self._tell(input)
        self.rows += rows
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def _tell(self, input: Input) -> None:
        self.at += 1
        self.outcomes.append(self.house.apply(Record(self.at, input)))
        self.inputs.append(input)

    def says(self, *events: routing.Event) -> None:
        """The next events of the engine."""
        for event in events:
            self._tell(records.Routing(event))

    def agent_is_there(self, agent: str) -> None:
        """Logged in, reachable, available."""
        self.says(
            routing.AgentLoggedIn(0, agent),
            routing.AgentReachable(0, agent, True),
            routing.AgentStateChosen(0, agent, "available"),
        )

    def contact_waits(self, contact: str, queue: str) -> None:
        """A caller in a queue."""
        self.says(
            routing.ContactArrived(0, contact, "voice", "5000"), routing.ContactQueued(0, contact, queue, 5, f"{contact}:1")
        )
