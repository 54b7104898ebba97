"""The JSON of the reports, as pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

Report = Literal["queues", "agents"]
Interval = Literal["15", "30", "60", "day", "total"]
Values = dict[str, float | None]
"""By the figure's id; null where there is nothing to divide by."""


class FigureDefinition(BaseModel):
    """A column of a report: what it is and how it is computed."""

    id: str
    report: Report
    name: str
    formula: str
    unit: Literal["contacts", "offers", "seconds", "percent"]
    listed: bool = Field(description="Whether /reports/contacts can list the contacts behind it.")


class FigureDefinitions(BaseModel):
    items: list[FigureDefinition]


class Ends(BaseModel):
    """How many stays ended in one way for one reason; `overflowed` counts those that a rule took, by the rule."""

    how: str
    reason: str
    count: int


class QueueRow(BaseModel):
    """One interval of a queue, or of all queues; what the report is not split by is null."""

    start: datetime
    end: datetime
    queue: str | None
    queue_name: str | None
    channel: str | None
    kind: str | None
    figures: Values
    ends: list[Ends]


class ReportHead(BaseModel):
    """What the report is about. `complete_to`: the figures hold all that happened until then; null: nothing is there yet."""

    since: datetime
    until: datetime
    interval: Interval
    time_zone: str
    complete_to: datetime | None


class QueueReport(ReportHead):
    """Rows in which nothing happened are left out."""

    items: list[QueueRow]


class StateTime(BaseModel):
    """How long an agent was in a state, with a code."""

    state: str
    code: str
    seconds: float


class AgentRow(BaseModel):
    """One interval of an agent. Times in states are left out when the report is of, or split by, queue, channel or kind."""

    start: datetime
    end: datetime
    agent: str
    agent_name: str | None
    queue: str | None
    queue_name: str | None
    channel: str | None
    kind: str | None
    figures: Values
    states: list[StateTime]


class AgentReport(ReportHead):
    """Rows in which nothing happened are left out."""

    items: list[AgentRow]


class QueueLive(BaseModel):
    """A queue at this moment, with the figures of the running quarter of an hour and of today."""

    queue: str | None
    queue_name: str | None
    channel: str | None
    kind: str | None
    closed: bool
    waiting: int
    longest_wait: float
    with_agent: int
    scheduled: int
    interval: Values
    today: Values


class AgentLive(BaseModel):
    """An agent who is logged in, or was today."""

    agent: str
    agent_name: str | None
    state: str
    code: str
    since: datetime | None
    contacts: int
    interval: Values
    today: Values


class Realtime(BaseModel):
    """What is going on now; the server's time zone says when today began."""

    at: datetime
    interval_start: datetime
    day_start: datetime
    time_zone: str
    agents_by_state: dict[str, int]
    queues: list[QueueLive]
    agents: list[AgentLive]


class Behind(BaseModel):
    """A stay in a queue, an agent's part in a contact, or an offer."""

    id: str
    contact: str
    queue: str | None
    queue_name: str | None
    agent: str | None
    agent_name: str | None
    channel: str | None
    kind: str | None
    began: datetime
    ended: datetime | None
    how: str | None
    reason: str
    waited: float | None
    talked: float | None


class BehindPage(BaseModel):
    """The rows that were counted for a figure, newest first; `total` is how many there are on all pages."""

    figure: str
    since: datetime
    until: datetime
    total: int
    items: list[Behind]
    next: str | None = None
