"""The activities of the flow language, one file for each. `AnyActivity` is their union, told apart by `type`."""

from __future__ import annotations

from ivr.activities.answer import Answer
from ivr.activities.base import Activity, Exit
from ivr.activities.callback import Callback
from ivr.activities.goodbye import Goodbye
from ivr.activities.hangup import Hangup
from ivr.activities.menu import Menu
from ivr.activities.queue import Queue
from ivr.activities.say import Say
from ivr.activities.set import Set
from ivr.activities.voicemail import Voicemail

AnyActivity = Answer | Say | Menu | Queue | Callback | Voicemail | Set | Goodbye | Hangup

TYPES: dict[str, type[Activity]] = {
    "answer": Answer,
    "say": Say,
    "menu": Menu,
    "queue": Queue,
    "callback": Callback,
    "voicemail": Voicemail,
    "set": Set,
    "goodbye": Goodbye,
    "hangup": Hangup,
}

__all__ = ["TYPES", "Activity", "AnyActivity", "Exit"]
