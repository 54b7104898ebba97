"""Offers, agents and queues as they are now, and what supervisors do with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.auth import needs
from api.channel import Done
from api.errors import failures
from api.models import User
from api.ports import Floor, Surface
from api.routes.contacts import Anybody, Key, Overseer
from api.work import AgentNow, Broadcast, Decline, OfferList, QueueNow, StateChange

router = APIRouter(prefix="/api/v1", tags=["floor"], responses=failures(401, 403, 422, 503))
Worker = Annotated[User, Depends(needs("agent"))]


def floor_of(request: Request) -> Floor:
    surface: Surface = request.app.state.surface
    return surface.floor


Port = Annotated[Floor, Depends(floor_of)]


@router.get("/offers")
async def offers(user: Anybody, floor: Port) -> OfferList:
    """Offers that are out; an agent sees their own."""
    return OfferList(items=floor.offers(user))


@router.post("/offers/{id}/accept", responses=failures(404, 409))
async def accept(user: Worker, floor: Port, id: str, key: Key = "") -> Done:
    """The agent takes the contact."""
    return await floor.accept(user, id, key)


@router.post("/offers/{id}/decline", responses=failures(404, 409))
async def decline(user: Worker, floor: Port, id: str, answer: Decline = Decline(), key: Key = "") -> Done:  # noqa: B008
    """The agent does not want the contact: it keeps its place."""
    return await floor.decline(user, id, answer.reason, key)


@router.get("/agents/{id}/state", responses=failures(404))
async def state(user: Overseer, floor: Port, id: str) -> AgentNow:
    """An agent as they are now: state, works, channels."""
    return floor.agent(user, id)


@router.post("/agents/{id}/state", responses=failures(404, 409))
async def set_state(user: Overseer, floor: Port, id: str, change: StateChange, key: Key = "") -> Done:
    """A supervisor sets an agent's state or logs them out: at once, or after the present contact."""
    return await floor.set_state(user, id, change, key)


@router.get("/queues/{id}/now", responses=failures(404))
async def queue(user: Overseer, floor: Port, id: str) -> QueueNow:
    """A queue with its figures of this moment."""
    return floor.queue(id)


@router.post("/queues/{id}/close", responses=failures(404, 409))
async def close(user: Overseer, floor: Port, id: str, key: Key = "") -> Done:
    """Close a queue, whatever its hours say."""
    return await floor.close_queue(user, id, True, key)


@router.post("/queues/{id}/open", responses=failures(404, 409))
async def open_again(user: Overseer, floor: Port, id: str, key: Key = "") -> Done:
    """A closed queue's hours count again."""
    return await floor.close_queue(user, id, False, key)


@router.post("/broadcasts", status_code=201)
async def broadcast(user: Overseer, floor: Port, words: Broadcast, key: Key = "") -> Done:
    """Something said to agents who are logged in; their desks show it."""
    return await floor.broadcast(user, words, key)
