"""Who a contact is with, kept beside the log."""

from __future__ import annotations

import msgspec


class Details(msgspec.Struct):
    """What the log must not hold of a contact: who calls or writes."""

    ani: str
    dnis: str
    display: str = ""
    cad: dict[str, str] = {}
    callback: str = ""
    """The number to call back, where it is another than ani."""
    trunk: str = ""
    source: str = ""
    """By which trunk, and from which address, the call came."""
