"""The soft map: which card has a transaction and a dialog. Bounded, and to be had again from the cards' inventories."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sip.edge.transport import Address, Wire
from sip.message import Request

if TYPE_CHECKING:
    from sip.edge.hunt import Hunt

State = Literal["pending", "answered", "refused", "orphaned"]


@dataclass
class Entry:
    """One INVITE that came through: `inbound` from outside to a card, else from a card to outside.

    While it is pending it keeps what is needed to end it in a dead card's place: inbound the request as it came (with our
    stamp in its Via) and where answers go; outbound the request as it was sent.
    """

    branch: str
    call_id: str
    from_tag: str
    inbound: bool
    card: str
    generation: str
    state: State = "pending"
    request: Request | None = None
    wire: Wire | None = None
    peer: Address | None = None
    otherwise: Address | None = None
    """Where answers go by a new connection, when the one to `peer` is gone."""
    refusal: bytes = b""
    provisional: bool = False
    restored: bool = False
    """Read from an inventory, which knows the branch of who sent the INVITE to us (`sender`), not the one we made of it."""
    sender: str = ""
    hunt: Hunt | None = None
    """Outbound: the servers that the call may go to."""

    def unsettled(self, sender: str) -> bool:
        """Whether another INVITE of this Call-ID and From tag belongs to the same call attempt."""
        return self.state == "pending" or (self.restored and self.sender in ("", sender))


@dataclass
class SoftMap:
    """Entries by branch and by dialog, the least recently used forgotten first."""

    limit: int
    _branches: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    _dialogs: OrderedDict[tuple[bool, str, str], Entry] = field(default_factory=OrderedDict)

    def add(self, entry: Entry) -> None:
        self._branches[entry.branch] = entry
        self._branches.move_to_end(entry.branch)
        if entry.state != "refused":
            key = (entry.inbound, entry.call_id, entry.from_tag)
            self._dialogs[key] = entry
            self._dialogs.move_to_end(key)
        while len(self._branches) > self.limit:
            self._forget(self._branches.popitem(last=False)[1])
        while len(self._dialogs) > self.limit:
            self._dialogs.popitem(last=False)

    def branch(self, branch: str) -> Entry | None:
        """The entry of a transaction."""
        entry = self._branches.get(branch)
        if entry is not None:
            self._branches.move_to_end(branch)
        return entry

    def dialog(self, inbound: bool, call_id: str, from_tag: str) -> Entry | None:
        """The newest entry of the side that sent the INVITE; an inventory may leave the tag of a card's own leg out."""
        for key in ((inbound, call_id, from_tag), (inbound, call_id, "")):
            entry = self._dialogs.get(key)
            if entry is not None and (key[2] == from_tag or entry.restored):
                self._dialogs.move_to_end(key)
                return entry
        return None

    def of_card(self, card: str, generation: str) -> list[Entry]:
        """Every entry of one life of a card."""
        found = {id(e): e for e in (*self._branches.values(), *self._dialogs.values())}
        return [e for e in found.values() if e.card == card and e.generation == generation]

    def forget(self, entry: Entry) -> None:
        if self._branches.get(entry.branch) is entry:
            del self._branches[entry.branch]
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        key = (entry.inbound, entry.call_id, entry.from_tag)
        if self._dialogs.get(key) is entry:
            del self._dialogs[key]

    def __len__(self) -> int:
        return len(self._branches)
