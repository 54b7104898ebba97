"""Bring waiting contacts and free agents together: when a contact begins to wait, and when an agent becomes free."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from acd import explanations
from acd.cases import Contact, Visit
from acd.effects import NobodyFor, NobodyWhy
from acd.explanations import RUNNERS_UP
from acd.lanes import Lane, lane_of
from acd.model import Trigger
from acd.offers import make_offer
from acd.people import Agent
from acd.ranking import agents_in_order, contacts_in_order
from acd.state import Floor

MATCHES_AT_ONCE = 256
"""Work on many contacts does so many in one event and goes on in the next."""


def seek_agent(floor: Floor, contact: Contact, trigger: Trigger = "contact") -> bool:
    """Offer a waiting contact to the best free agent of its queues, in the order in which it was queued; False: there is none.

    While everybody is matched anew it takes part in that, with those who came before it.
    """
    if floor.sweeps and any(not work.queue for work in floor.sweeps):
        return True
    return any(_seek(floor, visit, trigger) for visit in contact.visits)


def _seek(floor: Floor, visit: Visit, trigger: Trigger) -> bool:
    lane = lane_of(floor, visit)
    ranked = agents_in_order(floor, lane, RUNNERS_UP + 1)
    if not ranked:
        return False
    decision = explanations.of_agents(floor, trigger, visit, lane, ranked)
    make_offer(floor, visit, ranked[0][1].agent, decision)
    return True


def tell_nobody(floor: Floor, visit: Visit) -> None:
    """Say why a newly queued contact found no agent."""
    lane = lane_of(floor, visit)
    decision = explanations.of_agents(floor, "contact", visit, lane, [])
    floor.out.append(NobodyFor(visit.contact, visit.queue, nobody_why(floor, lane), decision))


def nobody_why(floor: Floor, lane: Lane) -> NobodyWhy:
    """Which kind of nobody: no agent of the queue there, none of them able, or all busy."""
    there = floor.roster.logged_in
    if there & lane.mask:
        return "nobody-available"
    return "nobody-with-the-skill" if there & lane.queue.members[-1] else "nobody-logged-in"


def seek_contact(floor: Floor, agent: Agent) -> None:
    """Offer a free agent the contact that comes first over their queues."""
    seat = floor.roster.by_id[agent.id]
    if not seat.open:
        return
    ranked = contacts_in_order(floor, seat, RUNNERS_UP + 1)
    if not ranked:
        return
    visit = ranked[0][1]
    lane = lane_of(floor, visit)
    agents = agents_in_order(floor, lane, RUNNERS_UP + 1)
    make_offer(floor, visit, agent, explanations.of_contacts(floor, visit, lane, seat, ranked, agents))


def rematch(floor: Floor, most: int) -> int:
    """Match everybody after a change of who serves what, in the order of places over all queues; how many (at most so many)."""
    lanes = (lane for queue in floor.queues.values() for lane in queue.lanes.values())
    heads = [(lane.head, lane) for lane in lanes if lane.head is not None]
    heapify(heads)
    matched = 0
    while heads and matched < most:
        key, lane = heappop(heads)
        if key == lane.head:
            if not _seek(floor, key[2], "configuration"):
                continue  # nobody is left for this lane
            matched += 1
        if lane.head is not None:
            heappush(heads, (lane.head, lane))
    return matched
