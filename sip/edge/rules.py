"""What a request must be to be served, whoever sends it (RFC 3261 §16.3, §8.2)."""

from __future__ import annotations

from dataclasses import dataclass

from sip.edge.branch import Branch
from sip.message import Head, Request, TopVia

OUTSIDE_DIALOG = ("INVITE", "ACK", "CANCEL", "OPTIONS")
IN_DIALOG = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY")
MAX_FORWARDS = 70

ALLOW_OUTSIDE = ("Allow", ", ".join((*OUTSIDE_DIALOG, "BYE")))
ALLOW_IN_DIALOG = ("Allow", ", ".join(IN_DIALOG))

PHRASES = {
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    420: "Bad Extension",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    502: "Bad Gateway",
    503: "Service Unavailable",
    513: "Message Too Large",
}


@dataclass(frozen=True)
class Refusal:
    """The answer to a request that is not served."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def phrase(self) -> str:
        return PHRASES[self.code]


def check(request: Request, head: Head) -> Refusal | None:
    """Why this request is refused, or None."""
    if any("\0" in value for name in request.headers.keys() for value in request.headers.getlist(name)):  # noqa: SIM118
        return Refusal(400)  # a card's C strings end there
    if head.to_tag:
        if request.method not in IN_DIALOG:
            return Refusal(405, (ALLOW_IN_DIALOG,))
    elif request.method == "BYE":
        return Refusal(481)
    elif request.method not in OUTSIDE_DIALOG:
        return Refusal(405, (ALLOW_OUTSIDE,))
    try:
        hops = max_forwards(request)
    except ValueError:
        return Refusal(400)
    if hops == 0 and not (request.method == "OPTIONS" and not head.to_tag):
        return Refusal(483)
    needed = [token.strip() for value in request.headers.getlist("Proxy-Require") for token in value.split(",")]
    if needed and request.method not in ("ACK", "CANCEL"):
        return Refusal(420, (("Unsupported", ", ".join(needed)),))
    return None


def max_forwards(request: Request) -> int:
    """The hops left; raises ValueError for what is no number from 0 to 255."""
    values = request.headers.getlist("Max-Forwards")
    if not values:
        return MAX_FORWARDS
    if len(values) > 1 or not (values[0].isascii() and values[0].isdigit()) or len(values[0]) > 4 or int(values[0]) > 255:
        raise ValueError("not a number of hops")
    return int(values[0])


def loops(request: Request, branch: Branch) -> bool:
    """Whether the request came through here before, unchanged in what routes it."""
    for text in request.headers.getlist("Via"):
        try:
            before = Branch.parse(TopVia.parse(text).branch)
        except ValueError:
            continue
        if (before.loop, before.ingress) == (branch.loop, branch.ingress):
            return True
    return False
