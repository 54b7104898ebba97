"""The JSON of the HTTP API, as pydantic models, from which OpenAPI and the pages' types are made."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.channel import ContactNow

Role = Literal["agent", "supervisor", "admin"]


class Problem(BaseModel):
    code: str
    message: str


class Failed(BaseModel):
    """Every error answer."""

    error: Problem


class User(BaseModel):
    id: str
    name: str
    display: str
    role: Role


class Credentials(BaseModel):
    name: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=500)


class LoggedIn(BaseModel):
    """The session: browsers get it as a cookie, programs use `token` as a bearer token."""

    token: str
    user: User


class IceServer(BaseModel):
    urls: list[str]
    username: str = ""
    credential: str = ""


class IceServers(BaseModel):
    ice_servers: list[IceServer]


class Contact(BaseModel):
    id: str
    channel: str
    ani: str
    dnis: str
    entry_point: str
    queue: str | None
    queue_name: str | None
    agent: str | None
    agent_name: str | None
    arrived: datetime
    answered: datetime | None
    ended: datetime | None
    final: str | None
    waited: float
    talked: float
    held: float
    wrap_up_code: str | None


class ContactPage(BaseModel):
    items: list[Contact]
    next: str | None = None


class Segment(BaseModel):
    agent: str
    agent_name: str | None
    queue: str | None
    started: datetime
    ended: datetime | None
    talked: float
    wrap_up: float
    wrap_up_code: str | None


class Leg(BaseModel):
    id: str
    kind: str
    started: datetime | None
    ended: datetime | None
    result: str | None
    reason: str | None
    by: str | None
    sip_code: int | None
    quality: dict[str, float | int | str] = {}


class Visit(BaseModel):
    """A stay in a queue that is over."""

    queue: str
    queued: datetime
    ended: datetime
    how: str
    waited: float
    talked: float


class ContactDetail(Contact):
    """A contact with everything kept of it."""

    now: ContactNow | None = None
    """While it is open: state, position, expected wait."""
    visits: list[Visit] = []
    segments: list[Segment]
    legs: list[Leg]
    recordings: list[str]


class Sentence(BaseModel):
    """One thing that happened to a contact, in words."""

    at: datetime
    kind: str
    """The effect in the event log, e.g. `offer-made`, `nobody-for`, `offer-withdrawn`."""
    text: str
    agent: str = ""
    queue: str = ""
    offer: str = ""
    decision: dict[str, Any] | None = None
    """Of an offer or a "nobody": winner, runners-up with the keys that ranked them, the others counted by reason."""


class ContactStory(BaseModel):
    """What happened to a contact and why."""

    contact: str
    sentences: list[Sentence]


class Activity(BaseModel):
    talk: float
    silence: float


class Gap(BaseModel):
    """A paused stretch, seconds from the recording's start."""

    start: float
    end: float


class Recording(BaseModel):
    id: str
    contact: str
    kind: Literal["call", "voicemail"]
    ani: str
    queue: str | None
    queue_name: str | None
    agent: str | None
    agent_name: str | None
    started: datetime
    seconds: float
    size: int
    media_type: str
    state: Literal["stored", "pending", "failed"]
    left: Activity
    right: Activity
    overlap: float
    paused: list[Gap]


class RecordingPage(BaseModel):
    items: list[Recording]
    next: str | None = None


class RecordingDetail(Recording):
    """A recording with its waveform: peaks 0..100 of each channel."""

    peaks_left: list[int]
    peaks_right: list[int]
    peaks_per_second: float


class Health(BaseModel):
    """`ok` when calls can be taken; `problems` says in sentences what is wrong."""

    ok: bool
    problems: list[str]
    lines_free: int
    lines: int
