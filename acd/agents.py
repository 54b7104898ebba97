"""Agents' states: what they choose, what is deferred, what ends by itself.

Every state has an exit: logged-out by logging in; idle and not-responding by choice (a pause also by time); available by an
offer; reserved by its deadline; engaged by the contact's end or the agent's loss; wrap-up by the agent, its limit or a
supervisor, who may force any state.
"""

from __future__ import annotations

from acd.capacity import ALL, bits
from acd.cases import Contact
from acd.effects import WithdrawnWhy
from acd.entry import nobody_left, wait_on
from acd.errors import Refused
from acd.events import AgentLoggedIn, AgentLoggedOut, AgentReachable, AgentStateChosen
from acd.matching import seek_contact
from acd.offers import close_offer
from acd.people import Agent
from acd.segments import end_segment, end_talk
from acd.state import Floor
from acd.visits import advance, schedule


def log_in(floor: Floor, event: AgentLoggedIn) -> None:
    """Idle without a code, with a clean sheet."""
    agent = floor.agent(event.agent)
    if agent.presence != "logged-out":
        raise Refused("already-logged-in", f"{agent.id} is logged in")
    agent.presence, agent.code = "idle", ""
    agent.handled = agent.offered_order = 0
    agent.misses = {}
    floor.settle(agent)
    agent.busy = agent.ready = agent.occupancy = 0.0


def log_out(floor: Floor, event: AgentLoggedOut) -> None:
    """At once, or after the present contacts while engaged."""
    agent = floor.agent(event.agent)
    if agent.presence == "logged-out":
        raise Refused("not-logged-in", f"{agent.id} is not logged in")
    if any(work.state == "engaged" for work in agent.works):
        agent.next_state, agent.next_code = "logged-out", ""
        floor.settle(agent, by=event.by)
        return
    leave(floor, agent, event.by)


def choose_state(floor: Floor, event: AgentStateChosen) -> None:
    """Take the chosen state at once, or keep it for when offer, talk and wrap-up are over."""
    agent = floor.agent(event.agent)
    if agent.presence == "logged-out":
        raise Refused("not-logged-in", f"{agent.id} is not logged in")
    if event.state == "idle" and floor.idle_codes and event.code not in floor.idle_codes:
        raise Refused("unknown-code", f"there is no idle code {event.code or '(none)'}")
    if agent.held and agent.presence in ("available", "not-responding") and event.state == "idle":
        agent.next_state, agent.next_code = "idle", event.code
        floor.settle(agent, by=event.by)
    elif event.state == "idle":
        if agent.next_state or agent.presence != "idle" or agent.code != event.code or agent.pause_ends is not None:
            agent.next_state = agent.next_code = ""
            take_presence(floor, agent, "idle", event.code, by=event.by)
    elif agent.presence != "available":
        agent.misses = {}
        agent.next_state = agent.next_code = ""
        become_available(floor, agent, event.by)
    elif agent.next_state:
        agent.next_state = agent.next_code = ""
        floor.settle(agent, by=event.by)
        seek_contact(floor, agent)


def change_reachable(floor: Floor, event: AgentReachable) -> None:
    """The agent can be reached on these channels or no longer; a pending offer goes back without blame."""
    agent = floor.agent(event.agent)
    concerned = bits(event.channels) or ALL
    reach = agent.reach | concerned if event.reachable else agent.reach & ~concerned
    if reach == agent.reach:
        return
    came = not agent.reach
    agent.reach = reach
    if event.reachable:
        if came and agent.state == "available":
            floor.stamp_free(agent)  # behind those who were available meanwhile
        floor.settle(agent, tell=False)
        seek_contact(floor, agent)
        return
    contact: Contact | None = None
    if agent.offer and bits((floor.contacts[floor.offers[agent.offer].contact].channel,)) & ~reach:
        contact = withdraw(floor, agent, "unreachable")
    if contact is None:
        floor.settle(agent, tell=False)
    else:
        spare(floor, agent)
        back_to_place(floor, contact)


def leave(floor: Floor, agent: Agent, by: str = "") -> None:
    """Logged out now, whatever held the agent (but talks, which their own file ends first)."""
    contact = withdraw(floor, agent, "agent-left") if agent.offer else None
    parked = [floor.contacts[work.contact] for work in agent.works if work.state == "parked"]
    for left in parked:
        end_talk(floor, left, "agent-lost", "agent-lost")
    for work in list(agent.works):
        end_segment(floor, agent, work, "")
    agent.next_state = agent.next_code = ""
    agent.pause_ends = None
    floor.timers.clear("agent", agent.id)
    agent.presence, agent.code = "logged-out", ""
    floor.settle(agent, by=by)
    for left in (*([contact] if contact is not None else []), *parked):
        back_to_place(floor, left)
    nobody_left(floor, floor.seat(agent))


def take_presence(
    floor: Floor, agent: Agent, presence: str, code: str = "", *, until: float | None = None, by: str = ""
) -> None:
    """Idle or not responding from now on, perhaps for a time."""
    agent.presence = "idle" if presence == "idle" else "not-responding"
    agent.code, agent.pause_ends = code, until
    if until is None:
        floor.timers.clear("agent", agent.id)
    else:
        floor.timers.set("agent", agent.id, until)
    if agent.state in ("idle", "not-responding"):
        floor.measure(agent)
        agent.since = floor.at
    floor.settle(agent, by=by)


def become_available(floor: Floor, agent: Agent, by: str = "") -> None:
    """Available from now on, and on to the first contact that waits."""
    agent.presence, agent.code, agent.pause_ends = "available", "", None
    floor.timers.clear("agent", agent.id)
    floor.stamp_free(agent)
    floor.settle(agent, by=by)
    seek_contact(floor, agent)


def pause_over(floor: Floor, id: str) -> None:
    """The time of a pause is over."""
    agent = floor.agents[id]
    agent.misses = {}
    if not agent.held:
        if not take_choice(floor, agent):
            become_available(floor, agent)
    else:
        agent.presence, agent.code, agent.pause_ends = "available", "", None
        floor.stamp_free(agent)
        floor.settle(agent)
        seek_contact(floor, agent)


def pause(floor: Floor, agent: Agent, code: str, seconds: float) -> None:
    """Keep the agent idle for a moment; what they chose before, or for after, goes before it."""
    if agent.next_state and not agent.held:
        take_choice(floor, agent)
        return
    if agent.presence != "available":
        floor.settle(agent)
        return
    take_presence(floor, agent, "idle", code, until=floor.at + seconds)


def rest(floor: Floor, agent: Agent) -> None:
    """A contact no longer holds the agent: what they chose while they were held, else free for more."""
    if not agent.held and take_choice(floor, agent):
        return
    if agent.presence == "available":
        floor.stamp_free(agent)
    floor.settle(agent)
    seek_contact(floor, agent)


def spare(floor: Floor, agent: Agent) -> None:
    """An offer went away without the agent's doing: what they chose meanwhile, else available in their old place."""
    if not agent.held and take_choice(floor, agent):
        return
    floor.settle(agent)
    seek_contact(floor, agent)


def take_choice(floor: Floor, agent: Agent) -> bool:
    """Give the agent the state they chose while they were held, if any."""
    state, code = agent.next_state, agent.next_code
    if not state:
        return False
    agent.next_state = agent.next_code = ""
    if state == "logged-out":
        leave(floor, agent)
    else:
        take_presence(floor, agent, "idle", code)
    return True


def withdraw(floor: Floor, agent: Agent, why: WithdrawnWhy, reason: str = "") -> Contact:
    """End the offer that is out to the agent; gives the contact, which has its old state yet."""
    return close_offer(floor, floor.offers[agent.offer], why, reason)[0]


def back_to_place(floor: Floor, contact: Contact) -> None:
    """The contact waits again at the place it has kept, and looks for another agent."""
    put_back(floor, contact)
    wait_on(floor, contact)


def put_back(floor: Floor, contact: Contact) -> None:
    """The contact stands at the place it has kept; who may have it is up to the caller."""
    contact.agent = ""
    floor.change_contact(contact, "waiting")
    for visit in contact.visits:
        if visit.waiting_since is None:
            visit.waiting_since = floor.at
        advance(floor, visit)
        schedule(floor, visit)
