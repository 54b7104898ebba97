"""Contacts that can be worked with: create, change, end, hand on, talk; over the internal API that channels use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from api.auth import needs
from api.channel import (
    LONGEST_KEY,
    Action,
    Assign,
    Callback,
    Change,
    ContactNow,
    Done,
    End,
    MessageList,
    NewContact,
    Park,
    Pick,
    Requeue,
    Resume,
    Said,
    Transfer,
)
from api.errors import ApiError, failures
from api.models import User
from api.ports import Contacts, Surface

router = APIRouter(prefix="/api/v1/contacts", tags=["contacts"], responses=failures(401, 403, 409, 422, 503))
Overseer = Annotated[User, Depends(needs("supervisor", "admin"))]
Anybody = Annotated[User, Depends(needs())]
Key = Annotated[str, Header(alias="idempotency-key", max_length=LONGEST_KEY, pattern=r"^[\x21-\x7e]*$")]


def contacts_of(request: Request) -> Contacts:
    surface: Surface = request.app.state.surface
    return surface.contacts


Port = Annotated[Contacts, Depends(contacts_of)]


@router.post("", status_code=201)
async def create(user: Overseer, contacts: Port, new: NewContact, key: Key = "") -> Done:
    """A contact of a digital channel begins and is queued, or somebody is to be called back."""
    return await contacts.create(user, new, key)


@router.get("/{id}/now", responses=failures(404))
async def now(user: Anybody, contacts: Port, id: str) -> ContactNow:
    """An open contact as it is: state, position, expected wait. Agents may ask about their own."""
    found = await contacts.now(user, id)
    if found is None:
        raise ApiError(404, "no-such-contact", "There is no such open contact.")
    return found


@router.patch("/{id}", responses=failures(404))
async def change(user: Overseer, contacts: Port, id: str, action: Change, key: Key = "") -> Done:
    """Priority, need or queue of a waiting contact anew; the time it has waited counts on."""
    return await contacts.act(user, id, action, key)


@router.delete("/{id}", responses=failures(404))
async def cancel(user: Overseer, contacts: Port, id: str, key: Key = "") -> Done:
    """The contact ends, whatever its state."""
    return await contacts.act(user, id, End(), key)


@router.get("/{id}/messages", responses=failures(404))
async def messages(
    user: Anybody, contacts: Port, id: str, after: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0
) -> MessageList:
    """A conversation's messages with greater numbers, at most 500; agents may read those of their own contacts."""
    return MessageList(items=await contacts.messages(user, id, after))


@router.post("/{id}/messages", status_code=201, responses=failures(404))
async def say(user: Anybody, contacts: Port, id: str, words: Said, key: Key = "") -> Done:
    """A message of the customer or the system (channels), or of the agent who has the contact; the answer is its number."""
    return await contacts.say(user, id, words, key)


@router.post("/{id}/park", responses=failures(404))
async def park(user: Anybody, contacts: Port, id: str, key: Key = "") -> Done:
    """The conversation rests with its agent, in none of their slots."""
    return await contacts.act(user, id, Park(), key)


def _action(name: str, kind: type[Action], words: str, who: object) -> None:
    """One request for each action, all alike; without a body where nothing must be said."""

    async def act(user: User, contacts: Port, id: str, action: Action, key: Key = "") -> Done:
        return await contacts.act(user, id, action, key)

    bare = not any(field.is_required() for field in kind.model_fields.values())
    act.__name__ = name
    act.__annotations__ |= {"user": who, "action": kind, "contacts": Port, "key": Key, "return": Done}
    act.__defaults__ = (kind.model_validate({}), "") if bare else ("",)
    router.post(f"/{{id}}/{name}", description=words, responses=failures(404))(act)


_action("end", End, "The contact is over, by the customer, the agent who has it, or the system.", Anybody)
_action("transfer", Transfer, "The agent's part ends; the contact goes to a queue, a team or an agent.", Anybody)
_action("resume", Resume, "A parked conversation goes on.", Anybody)
_action("callback", Callback, "The customer is called back instead of waiting; the place is kept.", Anybody)
_action("pick", Pick, "An agent takes a waiting contact out of its turn.", Anybody)
_action("assign", Assign, "A supervisor has a waiting contact offered to an agent, or with `force` makes it theirs.", Overseer)
_action("requeue", Requeue, "A supervisor moves a contact into a queue, also from its agent.", Overseer)
