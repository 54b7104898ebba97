"""Whether a call may, must or must not be encrypted (SRTP with the keys in the SDP, RFC 4568), and what an offer asks for."""

from __future__ import annotations

from typing import cast, get_args

from media.control.line import Srtp
from sip.linecard.wire import Message

SRTP_HEADER = "x-switchroom-srtp"
"""How the edge tells us what its trunk wants; without it, a caller who offers keys gets some."""


def srtp_policy(message: Message) -> Srtp:
    """What the trunk of this INVITE wants."""
    word = message.get(SRTP_HEADER).strip().lower()
    return cast(Srtp, word) if word in get_args(Srtp) else "optional"


def srtp_fits(message: Message) -> bool:
    """Whether the offer of an INVITE can be answered as its trunk wants; an INVITE without one gets ours."""
    profiles = [line.split()[2].upper() for line in _lines(message) if line.startswith("m=audio ") and len(line.split()) > 2]
    if not profiles:
        return True
    profiles = [profile for profile in profiles if profile.startswith("RTP/")]  # not the ones with DTLS
    match srtp_policy(message):
        case "required":
            return any("SAVP" in profile for profile in profiles)
        case "off":
            return any("SAVP" not in profile for profile in profiles)
        case _:
            return bool(profiles)


def _lines(message: Message) -> list[str]:
    return message.body.decode("utf-8", "replace").splitlines()
