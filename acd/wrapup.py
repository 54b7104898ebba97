"""After-contact work: by the queue's rule, for as long as the rule or the agent says."""

from __future__ import annotations

from acd.errors import Refused
from acd.events import WrapUpAsked, WrapUpExtended
from acd.people import Agent, Work
from acd.segments import end_segment, set_timer
from acd.state import Floor


def find(floor: Floor, agent_id: str, contact: str) -> tuple[Agent, Work]:
    """The after-contact work that an agent is at; refused when there is none."""
    agent = floor.agent(agent_id)
    work = next((work for work in agent.works if work.contact == contact and work.state == "wrap-up"), None)
    if work is None:
        raise Refused("not-in-wrap-up", f"{agent_id} is not in wrap-up of contact {contact}")
    return agent, work


def ask(floor: Floor, event: WrapUpAsked) -> None:
    """The agent wants after-contact work, where it is up to them."""
    agent = floor.agent(event.agent)
    work = agent.work(event.contact)
    if work is None or work.state == "wrap-up":
        raise Refused("not-engaged", f"{event.agent} is not engaged with contact {event.contact}")
    if floor.queues[work.queue].config.wrap_up_of(work.channel).mode == "off":
        raise Refused("no-wrap-up", f"queue {work.queue} has no after-contact work")
    work.asked_wrap_up = event.on


def extend(floor: Floor, event: WrapUpExtended) -> None:
    """The queue's wrap-up time once more, as often as the queue allows."""
    agent, work = find(floor, event.agent, event.contact)
    rule = floor.queues[work.queue].config.wrap_up_of(work.channel)
    if work.extensions >= rule.extensions or work.until is None:
        raise Refused("no-more-extensions", f"queue {work.queue} allows {rule.extensions} extensions")
    work.extensions += 1
    work.until += rule.seconds
    set_timer(floor, agent)
    floor.tell_agent(agent)


def check_code(floor: Floor, work: Work, code: str) -> None:
    """Refuse a code that the queue does not have, or none where it wants one."""
    queue = floor.queues[work.queue]
    if code and code not in queue.wrap_up_codes:
        raise Refused("unknown-code", f"queue {work.queue} has no wrap-up code {code}")
    if not code and queue.config.wrap_up_of(work.channel).code_needed:
        raise Refused("code-needed", f"queue {work.queue} wants a wrap-up code")


def start(floor: Floor, agent: Agent, work: Work) -> bool:
    """After-contact work by the queue's rule; False where there is none: then the agent's part has ended."""
    rule = floor.queues[work.queue].config.wrap_up_of(work.channel)
    wanted = {"off": False, "optional": work.asked_wrap_up, "mandatory": True, "timed": rule.seconds > 0}[rule.mode]
    if work.how not in ("handled", "transferred") or not wanted:
        end_segment(floor, agent, work, "")
        return False
    work.state, work.since = "wrap-up", floor.at
    if rule.seconds > 0 and rule.mode != "mandatory":
        work.until = floor.at + rule.seconds
    set_timer(floor, agent)
    floor.settle(agent)
    return True
