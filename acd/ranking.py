"""Who comes first: the longest available agent, and the contact with the best priority and then the longest wait.

Keys do not change while somebody waits, so that order is kept by insertion and nothing is ever ranked anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

from acd.state import FreeKey, Pool, Queue, WaitingKey

AGENT_RULE = "longest-available"
CONTACT_RULE = "priority-then-longest-wait"


def first_agent(queue: Queue) -> FreeKey | None:
    """The longest available agent of those who serve the queue."""
    best: FreeKey | None = None
    for pool in queue.pools:
        key = pool.free.first()
        if key is not None and (best is None or key < best):
            best = key
    return best


def first_contact(pool: Pool) -> WaitingKey | None:
    """The contact that comes first over all queues of the pool."""
    best: WaitingKey | None = None
    for queue in pool.queues:
        key = queue.waiting.first()
        if key is not None and (best is None or key < best):
            best = key
    return best


def agents_in_order(queue: Queue) -> Iterator[FreeKey]:
    """All available agents of the queue, first one first."""
    return merge(*(pool.free for pool in queue.pools if len(pool.free)))


def contacts_in_order(pool: Pool) -> Iterator[WaitingKey]:
    """All contacts that wait in the pool's queues, first one first."""
    return merge(*(queue.waiting for queue in pool.queues if len(queue.waiting)))
