"""Errors of the desk card.

DeskError
├── SdpError          the session description is not one that we can answer
└── LinkError         ICE or DTLS came to nothing, or broke
"""

from __future__ import annotations


class DeskError(Exception):
    """Root; `code` is for machines, the text for people."""

    code = "desk"


class SdpError(DeskError, ValueError):
    """The session description is not one that we can answer."""

    code = "bad-sdp"


class LinkError(DeskError):
    """ICE or DTLS came to nothing, or broke; the text is the reason that an event reports."""

    code = "link"
