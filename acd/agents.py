"""Agents' states: what they choose, what is deferred, what ends by itself.

Every state has an exit: logged-out by logging in; idle and not-responding by choice (a pause after a failed connection also by
time); available by an offer; reserved by its deadline; engaged by the contact's end or the agent's loss; wrap-up by its limit.
"""

from __future__ import annotations

from acd.effects import SegmentEnded, WithdrawnWhy
from acd.errors import Refused
from acd.events import AgentLoggedIn, AgentLoggedOut, AgentReachable, AgentStateChosen, WrapUpDone, WrapUpExtended
from acd.matching import seek_agent, seek_contact
from acd.offers import close_offer
from acd.state import Agent, Contact, Floor, Segment

FADE = 0.98
"""How much of a queue's history stays when something new is seen: the last fifty or so count."""


def log_in(floor: Floor, event: AgentLoggedIn) -> None:
    """Idle without a code."""
    agent = floor.agent(event.agent)
    if agent.state != "logged-out":
        raise Refused("already-logged-in", f"{agent.id} is logged in")
    floor.change_agent(agent, "idle")


def log_out(floor: Floor, event: AgentLoggedOut) -> None:
    """At once, or after the present contact while engaged."""
    agent = floor.agent(event.agent)
    if agent.state == "logged-out":
        raise Refused("not-logged-in", f"{agent.id} is not logged in")
    if agent.state == "engaged":
        agent.next_state, agent.next_code = "logged-out", ""
        floor.tell_agent(agent)
        return
    leave(floor, agent)


def choose_state(floor: Floor, event: AgentStateChosen) -> None:
    """Take the chosen state at once, or keep it for when offer, talk and wrap-up are over."""
    agent = floor.agent(event.agent)
    if agent.state == "logged-out":
        raise Refused("not-logged-in", f"{agent.id} is not logged in")
    if event.state == "idle" and floor.idle_codes and event.code not in floor.idle_codes:
        raise Refused("unknown-code", f"there is no idle code {event.code or '(none)'}")
    if agent.state in ("reserved", "engaged", "wrap-up"):
        agent.next_state, agent.next_code = ("idle", event.code) if event.state == "idle" else ("", "")
        floor.tell_agent(agent)
    elif event.state == "idle":
        if agent.state != "idle" or agent.code != event.code or agent.until is not None:
            floor.change_agent(agent, "idle", event.code)
    elif agent.state != "available":
        become_available(floor, agent)


def change_reachable(floor: Floor, event: AgentReachable) -> None:
    """The softphone came or went; a pending offer goes back without blame."""
    agent = floor.agent(event.agent)
    if agent.reachable == event.reachable:
        return
    floor.change_reachable(agent, event.reachable)
    if event.reachable:
        seek_contact(floor, agent)
    elif agent.state == "reserved":
        contact = withdraw(floor, agent, "unreachable")
        spare(floor, agent)
        back_to_place(floor, contact)


def leave(floor: Floor, agent: Agent) -> None:
    """Logged out now, whatever held the agent (but a talk, which its own file ends first)."""
    contact = withdraw(floor, agent, "agent-left") if agent.state == "reserved" else None
    if agent.state == "wrap-up":
        end_segment(floor, agent, "")
    agent.next_state = agent.next_code = ""
    floor.change_agent(agent, "logged-out")
    if contact is not None:
        back_to_place(floor, contact)


def finish_wrap_up(floor: Floor, event: WrapUpDone) -> None:
    """The agent is done with the contact."""
    agent, segment = _in_wrap_up(floor, event.agent, event.contact)
    if event.code and event.code not in floor.queues[segment.queue].wrap_up_codes:
        raise Refused("unknown-code", f"queue {segment.queue} has no wrap-up code {event.code}")
    end_segment(floor, agent, event.code)
    rest(floor, agent)


def extend_wrap_up(floor: Floor, event: WrapUpExtended) -> None:
    """The queue's wrap-up time once more, as often as the queue allows."""
    agent, segment = _in_wrap_up(floor, event.agent, event.contact)
    config = floor.queues[segment.queue].config
    if segment.extensions >= config.wrap_up_extensions or agent.until is None:
        raise Refused("no-more-extensions", f"queue {segment.queue} allows {config.wrap_up_extensions} extensions")
    segment.extensions += 1
    set_until(floor, agent, agent.until + config.wrap_up_seconds)
    floor.tell_agent(agent)


def _in_wrap_up(floor: Floor, id: str, contact: str) -> tuple[Agent, Segment]:
    agent = floor.agent(id)
    if agent.state != "wrap-up" or agent.segment is None or agent.segment.contact != contact:
        raise Refused("not-in-wrap-up", f"{id} is not in wrap-up of contact {contact}")
    return agent, agent.segment


def start_wrap_up(floor: Floor, agent: Agent) -> None:
    """Wrap-up with the queue's limit, or none of it where there was no proper talk or the queue has none."""
    segment = agent.segment
    seconds = floor.queues[segment.queue].config.wrap_up_seconds if segment is not None and segment.how == "handled" else 0.0
    if seconds <= 0:
        end_segment(floor, agent, "")
        rest(floor, agent)
        return
    until = floor.at + seconds
    floor.change_agent(agent, "wrap-up", until=until)
    floor.timers.add(until, "agent", agent.id)


def end_segment(floor: Floor, agent: Agent, code: str) -> None:
    """Close the agent's part of the contact, wrap-up included."""
    segment = agent.segment
    if segment is None:
        return
    agent.segment, agent.contact = None, ""
    wrap_up = max(0.0, floor.at - segment.started - segment.talk) if segment.how == "handled" else 0.0
    if segment.how == "handled":
        history = floor.queues[segment.queue].history
        history.handled = history.handled * FADE + 1
        history.handling = history.handling * FADE + segment.talk + wrap_up
    floor.out.append(
        SegmentEnded(
            segment.contact,
            segment.number,
            agent.id,
            segment.queue,
            segment.visit,
            segment.how,
            segment.started,
            floor.at,
            segment.talk,
            wrap_up,
            code,
        )
    )


def pause(floor: Floor, agent: Agent, code: str, seconds: float) -> None:
    """Keep the agent idle for a moment; what they chose for after goes before it."""
    if agent.next_state:
        rest(floor, agent)
        return
    until = floor.at + seconds
    floor.change_agent(agent, "idle", code, until=until)
    floor.timers.add(until, "agent", agent.id)


def rest(floor: Floor, agent: Agent) -> None:
    """Nothing holds the agent any more: what they chose while they were held, else available."""
    if not take_choice(floor, agent):
        become_available(floor, agent)


def spare(floor: Floor, agent: Agent) -> None:
    """An offer went away without the agent's doing: what they chose meanwhile, else available in their old place."""
    if not take_choice(floor, agent):
        floor.change_agent(agent, "available", since=agent.free_since)
        seek_contact(floor, agent)


def take_choice(floor: Floor, agent: Agent) -> bool:
    """Give the agent the state they chose while they were held, if any."""
    state, code = agent.next_state, agent.next_code
    if not state:
        return False
    agent.next_state = agent.next_code = ""
    floor.change_agent(agent, state, code)
    return True


def become_available(floor: Floor, agent: Agent) -> None:
    """Available from now on, and on to the first contact that waits."""
    floor.stamp_free(agent)
    floor.change_agent(agent, "available")
    seek_contact(floor, agent)


def set_until(floor: Floor, agent: Agent, until: float) -> None:
    """Move the end of a timed state; the old deadline no longer counts."""
    agent.until = until
    floor.timers.add(until, "agent", agent.id)


def withdraw(floor: Floor, agent: Agent, why: WithdrawnWhy) -> Contact:
    """End the offer that is out to the agent; gives the contact, which has no place yet."""
    contact, _ = close_offer(floor, floor.offers[agent.offer], why)
    return contact


def back_to_place(floor: Floor, contact: Contact) -> None:
    """The contact waits again at the place it has kept, and looks for another agent."""
    contact.agent = ""
    if contact.waiting_since is None:
        contact.waiting_since = floor.at
    floor.change_contact(contact, "waiting")
    seek_agent(floor, contact)
