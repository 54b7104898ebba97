"""How a leg ended, as a typed value: from a SIP status, who ended it, and how far it had come."""

from __future__ import annotations

from typing import Literal

from media.control.line import Result, Termination

OF_THE_SYSTEM = frozenset({"apology", "card-died", "error", "media-timeout", "no-answer", "overload", "unavailable"})
"""Reasons for which no command of a person or a flow ends a leg."""

REASONS: dict[int, tuple[Result, str]] = {
    403: ("refused", "rejected"),
    404: ("failed", "not-found"),
    408: ("unanswered", "no-answer"),
    410: ("failed", "not-found"),
    480: ("unanswered", "unavailable"),
    484: ("failed", "not-found"),
    486: ("refused", "busy"),
    487: ("cancelled", "cancelled"),
    488: ("failed", "error"),
    503: ("failed", "unavailable"),
    600: ("refused", "busy"),
    603: ("refused", "rejected"),
    604: ("failed", "not-found"),
    606: ("failed", "error"),
}


def by_status(code: int, by: Literal["remote", "local", "system"] = "remote") -> Termination:
    """The end of a leg that was never answered."""
    if code in REASONS:
        result, reason = REASONS[code]
    elif code >= 600:
        result, reason = "refused", "rejected"
    elif code >= 500:
        result, reason = "failed", "unavailable"
    else:
        result, reason = "failed", "error"
    return Termination(result, reason, by, code)


def remote_end(*, connected: bool, incoming: bool, code: int) -> Termination:
    """The other side (or the network) ended the leg."""
    if connected:
        if code in (408, 481):
            return Termination("answered", "error", "system", code)  # the session expired (RFC 4028), or is unknown there
        return Termination("answered", "remote-hangup", "remote", code)
    if incoming:
        return Termination("cancelled", "cancelled", "remote", code or 487)
    return by_status(code)


def local_end(reason: str, *, connected: bool, incoming: bool, code: int = 0) -> Termination:
    """We ended the leg, for `reason`."""
    by: Literal["local", "system"] = "system" if reason in OF_THE_SYSTEM else "local"
    if connected:
        return Termination("answered", reason, by, 200)
    if incoming:
        return Termination("refused", reason, by, code or 603)
    if reason == "no-answer":
        return Termination("unanswered", reason, "system", 487)
    return Termination("cancelled", "cancelled" if reason == "local-hangup" else reason, by, 487)
