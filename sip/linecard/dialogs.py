"""One small file for each confirmed dialog, so that the edge can send the BYE of a card that died."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from media.control.edge import Dialog
from sip.linecard.wire import Address, Message

CSEQ_ROOM = 100_000
"""pjsip counts its CSeq from a random 15-bit number; a BYE in its name needs one that is certainly higher."""


@dataclass(frozen=True, slots=True)
class DialogState:
    """What RFC 3261 §12.1 says a dialog is, seen from the card."""

    sip_call_id: str
    local: Address
    remote: Address
    remote_target: str
    route_set: tuple[str, ...]
    cseq: int

    @classmethod
    def as_server(cls, invite: Message, answer: Message) -> DialogState:
        """We answered `invite` with `answer` (2xx)."""
        return cls(
            answer.get("call-id"),
            answer.recipient,
            answer.sender,
            _contact(invite),
            tuple(invite.all("record-route")),
            CSEQ_ROOM,
        )

    @classmethod
    def as_client(cls, answer: Message) -> DialogState:
        """Our INVITE was answered with `answer` (2xx)."""
        return cls(
            answer.get("call-id"),
            answer.sender,
            answer.recipient,
            _contact(answer),
            tuple(reversed(answer.all("record-route"))),
            answer.cseq + CSEQ_ROOM,
        )

    def retargeted(self, message: Message) -> DialogState:
        """The same dialog after a re-INVITE or UPDATE that carried a Contact (§12.2.2)."""
        target = _contact(message)
        if not target or target == self.remote_target:
            return self
        return DialogState(self.sip_call_id, self.local, self.remote, target, self.route_set, self.cseq)

    def replaces_uri(self) -> str:
        """The Refer-To by which somebody else can take the other side over (RFC 3891 §3, RFC 5589 §7.3).

        pjsua's own names the From of the other side, which need not be where it can be reached: its Contact is.
        """
        replaces = f"{self.sip_call_id};to-tag={self.remote.tag};from-tag={self.local.tag}"
        return f"<{self.remote_target}?Replaces={quote(replaces, safe='')}&Require=replaces>"


class DialogFile:
    """The file of one dialog; written whole, removed at the dialog's end."""

    def __init__(self, path: Path, *, card: str, generation: str, call: str, party: str) -> None:
        self.path = path
        self._owner = (card, generation, call, party)

    def write(self, state: DialogState) -> None:
        card, generation, call, party = self._owner
        dialog = Dialog(
            card=card,
            generation=generation,
            call=call,
            party=party,
            sip_call_id=state.sip_call_id,
            local_uri=state.local.uri,
            local_tag=state.local.tag,
            remote_uri=state.remote.uri,
            remote_tag=state.remote.tag,
            remote_target=state.remote_target,
            route_set=list(state.route_set),
            cseq=state.cseq,
        )
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(dialog))
        temporary.replace(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _contact(message: Message) -> str:
    found = message.all("contact")
    return Address.parse(found[0]).uri if found else ""
