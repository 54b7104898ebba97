"""Which way a customer is called: by the trunk the call came by, else the first with a target, else to where it came from."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from exchange.brain.customers import NOBODY
from exchange.brain.details import Details
from exchange.brain.records import Reachable
from media.control import edge, line

_NUMBER = re.compile(r"\+?[0-9*#]{2,32}")
_USER = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
"""What a phone is called that is no number."""
_PUNCTUATION = re.compile(r"[\s()/-]")


class Way(msgspec.Struct, frozen=True):
    """Where the leg goes, and our credentials there."""

    target: str
    username: str = ""
    password: str = ""
    srtp: line.Srtp = "off"


def way_to(detail: Details, trunks: Sequence[edge.Trunk]) -> Way | None:
    """The way to the customer; None when there is none."""
    number = _PUNCTUATION.sub("", detail.callback or detail.ani)
    trunk = _trunk(detail, trunks)
    if number.lower() in NOBODY:
        return None
    if trunk is not None and _NUMBER.fullmatch(number):
        srtp: line.Srtp = "required" if trunk.srtp == "required" else "optional" if trunk.transport == "tls" else "off"
        return Way(f"sip:{number}@{trunk.name}", trunk.username, trunk.password, srtp)
    if trunk is None and detail.source and _USER.fullmatch(number):
        return Way(f"sip:{number}@{detail.source}")
    return None


def reachable(detail: Details, trunks: Sequence[edge.Trunk], *, web: bool) -> Reachable:
    """Whether the contact can be called back; a web caller's number is only what somebody typed."""
    if not web and way_to(detail, trunks) is not None:
        return "own"
    return "keyed" if _trunk(detail, trunks) is not None or detail.source else ""


def _trunk(detail: Details, trunks: Sequence[edge.Trunk]) -> edge.Trunk | None:
    able = [trunk for trunk in trunks if trunk.target]
    return next((trunk for trunk in able if trunk.name == detail.trunk), able[0] if able else None)
