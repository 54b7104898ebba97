"""The configuration for those outside: the API's port, and the command line's questions over the control socket."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import msgspec

from acd import document
from acd.document import Item
from acd.errors import BadDocument, Problem, Refused
from acd.model import AgentConfig
from api.auth import hash_password
from api.errors import ApiError
from api.things import ITEMS, Agent, Thing
from exchange.brain import messages
from exchange.brain.ledger import BrokenHouse
from exchange.configuration.keeper import Changed, Keeper, Plan
from exchange.configuration.kept import Version
from storage.errors import DatabaseAway
from storage.queries import Queries, User

P = ParamSpec("P")
T = TypeVar("T")

LEAST_PASSWORD = 8


def at_the_border(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The configuration's errors become the API's."""

    @functools.wraps(method)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except BadDocument as error:
            sentences = " ".join(f"{'.'.join(problem.place)}: {problem.message}" for problem in error.problems[:5])
            raise ApiError(422, error.problems[0].code, sentences) from error
        except Changed as error:
            message = "Somebody has changed it since you read it. Please read it again."
            raise ApiError(412, "version-mismatch", message) from error
        except Refused as error:
            raise ApiError(503 if error.code == "restarting" else 409, error.code, error.message) from error
        except BrokenHouse as error:
            raise ApiError(503, "restarting", "The exchange is starting anew. Please try again in a moment.") from error
        except DatabaseAway as error:
            raise ApiError(503, "database-away", "The database does not answer. Please try again in a moment.") from error

    return wrapped


class Configurator:
    """api.ports.Configuration."""

    def __init__(self, keeper: Keeper, queries: Queries) -> None:
        self._keeper = keeper
        self._queries = queries

    @at_the_border
    async def things(self, section: str) -> list[Thing]:
        if section == "agents":
            return list(await self._agents())
        return [self._thing(section, item) for item in self._keeper.document.section(section)]

    @at_the_border
    async def thing(self, section: str, id: str) -> Thing | None:
        item = self._keeper.document.find(section, id)
        if item is None:
            return None
        if isinstance(item, AgentConfig):
            accounts = {user.id: user for user in await self._queries.users("agent")}
            return _agent(item, accounts.get(id), self._version(section, id))
        return self._thing(section, item)

    @at_the_border
    async def put(self, section: str, id: str, data: dict[str, Any], by: str, expected: int | None, *, new: bool) -> Thing:
        if section == "agents":
            return await self._put_agent(id, dict(data), by, expected, new=new)
        item = document.parse_item(section, id, data)
        await self._keeper.put(section, item, by, expected=expected, new=new)
        return self._thing(section, item)

    @at_the_border
    async def remove(self, section: str, id: str, by: str, expected: int | None) -> None:
        await self._keeper.remove(section, id, by, expected=expected)

    def _version(self, section: str, id: str) -> Version:
        return self._keeper.kept.version(section, id) or Version(0)

    def _thing(self, section: str, item: Item) -> Thing:
        version = self._version(section, item.id)
        kind: Any = ITEMS[section]
        thing: Thing = kind(**msgspec.structs.asdict(item), **_made(version))
        return thing

    # --- agents and their accounts --------------------------------------------------------------------------------

    async def _agents(self) -> list[Agent]:
        """Those of the document, and accounts of agents who are not in it (any more): their contacts are still searched for."""
        accounts = {user.id: user for user in await self._queries.users("agent")}
        known = [(config, self._version("agents", config.id)) for config in self._keeper.document.agents]
        found = [_agent(config, accounts.pop(config.id, None), version) for config, version in known]
        found += [Agent(user.id, user.name, user.display, account=True) for user in accounts.values()]
        return sorted(found, key=lambda agent: agent.name)

    async def _put_agent(self, id: str, data: dict[str, Any], by: str, expected: int | None, *, new: bool) -> Thing:
        password = data.pop("password", None)
        if password is not None and (not isinstance(password, str) or not LEAST_PASSWORD <= len(password) <= 500):
            raise ApiError(422, "invalid", f"body.password: A password has {LEAST_PASSWORD} to 500 characters.")
        login = data.pop("name", None) or id
        if not isinstance(login, str):
            raise ApiError(422, "invalid", "body.name: The name must be a text.")
        if "display" in data:
            data["name"] = data.pop("display")
        config = document.parse_item("agents", id, data)
        if not isinstance(config, AgentConfig):
            raise TypeError(type(config))
        known = await self._queries.user_by_name(login)
        if known is not None and (known.id != id or known.role != "agent"):
            raise ApiError(409, "name-taken", f"Somebody else logs in as '{login}'.")
        version = await self._keeper.put("agents", config, by, expected=expected, new=new)
        if password is not None or (known is not None and known.display != config.name):
            hashed = known.password_hash if known is not None else ""
            if password is not None:
                hashed = await asyncio.to_thread(hash_password, password)
            await self._queries.put_user(id, login, config.name, "agent", hashed)
            known = await self._queries.user_by_name(login)
        return _agent(config, known, version)


def _agent(config: AgentConfig, account: User | None, version: Version) -> Agent:
    return Agent(
        config.id,
        account.name if account is not None else config.id,
        config.name,
        config.queues,
        config.team,
        config.skills,
        config.attributes,
        config.profile,
        account is not None,
        **_made(version),
    )


def _made(version: Version) -> dict[str, Any]:
    at = datetime.fromtimestamp(version.at, UTC) if version.at else None
    return {"version": version.number, "changed_by": version.by, "changed": at}


# --- the command line ---------------------------------------------------------------------------------------------


async def told(keeper: Keeper, queries: Queries, command: Any) -> Any:
    """The answer to a command of `switchroom config`."""
    match command:
        case messages.ConfigExport():
            return messages.ConfigInForce(document.plain(keeper.document))
        case messages.ConfigPlan(data):
            return await _planned(queries, keeper.plan(data), apply=False)
        case messages.ConfigApply(data, by):
            return await _planned(queries, keeper.apply(data, by), apply=True)
    return None


async def _planned(queries: Queries, plan: Coroutine[Any, Any, Plan], *, apply: bool) -> messages.ConfigPlanned:
    try:
        found = await plan
    except BadDocument as error:
        return messages.ConfigPlanned([], error.problems, False, "The document cannot be read.")
    except (Refused, BrokenHouse) as error:
        return messages.ConfigPlanned([], [], False, str(error))
    problems = found.problems + await _without_account(queries, found)
    refused = "The document is not taken: see what is said about it." if apply and found.blocked else ""
    return messages.ConfigPlanned(found.changes, problems, apply and bool(found.changes) and not refused, refused)


async def _without_account(queries: Queries, plan: Plan) -> list[Problem]:
    """New agents as whom nobody can log in yet."""
    added = [change.id for change in plan.changes if change.section == "agents" and change.what == "added"]
    if not added:
        return []
    try:
        known = {user.id for user in await queries.users("agent")}
    except DatabaseAway:
        return []
    message = "Nobody can log in as this agent yet: give a password by PUT /api/v1/agents/ID."
    return [Problem("no-account", ("agents", id), message, blocks=False) for id in added if id not in known]
