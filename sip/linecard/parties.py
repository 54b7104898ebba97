"""The two kinds of party: a SIP leg and a patch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import pjsua2 as pj
import structlog

from media.control.envelope import ControlError
from media.control.line import (
    CallArrived,
    MediaTimeout,
    PartyHeld,
    PartyRecord,
    PartyState,
    Quality,
    Termination,
    TransferEnded,
    TransferRequested,
)
from sip.linecard.bridge import Bridge, Port
from sip.linecard.calls import Call, Party
from sip.linecard.dialogs import DialogFile, DialogState
from sip.linecard.engine import Engine, Timer
from sip.linecard.legs import Leg, added
from sip.linecard.patchport import PatchPort, PatchPorts
from sip.linecard.reception import Reception
from sip.linecard.termination import local_end, remote_end
from sip.linecard.wire import Address, Message

log = structlog.get_logger()

TRANSFER_SECONDS = 4.0
"""How long a REFER waits for the exchange; its sender begins to repeat it after half a second."""

Method = Literal["rfc4733", "info"]


class Host(Protocol):
    """What a party needs of the card; all in the engine's thread."""

    bridge: Bridge
    engine: Engine
    patches: PatchPorts

    def emit(self, body: object) -> None: ...

    def relink(self, party: Party) -> None: ...

    def party_state(self, party: Party, state: PartyState) -> None: ...

    def party_ended(self, party: Party, termination: Termination, quality: Quality | None) -> None: ...

    def party_digit(self, party: Party, digit: str, method: Method) -> None: ...


class PatchParty(Party):
    """The other media process' end of a patch."""

    kind = "patch"

    def __init__(self, host: Host, call: Call, party: str, own: Path, peer: Path) -> None:
        super().__init__(call, party, "connected")
        self.peer = peer
        self._host = host
        self._media: PatchPort | None = host.patches.take(own, peer)
        self.port = Port(self._media, f"patch {party}")

    def end(self, reason: str, code: int = 0) -> None:
        if not self.alive:
            return
        media, port = self._media, self.port
        self._media = self.port = None
        quality = Quality("patch")
        if media is not None:
            quality = Quality("patch", *media.counters())
            media.mute()
            if port is not None:
                self._host.bridge.retire(port, lambda: self._host.patches.give_back(media))
        self._host.party_ended(self, local_end(reason, connected=True, incoming=False), quality)

    def record(self) -> PartyRecord:
        return _with(super().record(), peer=str(self.peer))


class SipParty(Party):
    """A SIP leg, arrived or placed."""

    kind = "sip"

    def __init__(self, host: Host, call: Call, party: str, *, incoming: bool, dialog_file: DialogFile) -> None:
        super().__init__(call, party, "arrived" if incoming else "dialling")
        self.incoming = incoming
        self.claimed = False
        self.sip_call_id = self.from_tag = self.branch = self.remote = ""
        self.on_released: Callable[[], None] | None = None
        self.leg: Leg | None = None
        self._host = host
        self._invite: Message | None = None
        self._file = dialog_file
        self._dialog: DialogState | None = None
        self._local: tuple[str, int] | None = None
        self._connected = False
        self.held = False
        self._reception = Reception(host.engine, call.call)
        self._lasting: Quality | None = None
        self._asked: tuple[Callable[[int], None], Timer] | None = None
        self._alarm: Timer | None = None

    @property
    def dialog(self) -> DialogState | None:
        """The leg's dialog, once it is confirmed."""
        return self._dialog if self._connected else None

    @property
    def lingers(self) -> bool:
        """Whether pjsua keeps the line after the end that we chose: a BYE or CANCEL has to be answered first."""
        return self._local is not None and (self._connected or not self.incoming)

    # --- what we do -----------------------------------------------------------------------------------------------

    def arrived(self, leg: Leg, invite: Message) -> None:
        """Take the leg of an INVITE that came."""
        self.leg = leg
        self._invite = invite
        self._reception.signalling = call_source(self.call.arrived)
        self.sip_call_id = invite.get("call-id")
        self.from_tag = invite.sender.tag
        vias = invite.all("via")
        # The caller's own branch is below the edge's; a CANCEL or a repetition reaches the edge with that one.
        self.branch = Address.parse(vias[min(1, len(vias) - 1)]).parameters.get("branch", "") if vias else ""
        self.remote = invite.sender.uri

    def dial(self, leg: Leg, target: str, sender: str, headers: dict[str, str], timeout: float) -> None:
        """Send an INVITE from `sender`; raises pj.Error when pjsua2 cannot."""
        self.leg = leg
        self.claimed = True
        self.remote = target
        parameters = pj.CallOpParam(True)
        parameters.opt.videoCount = 0
        lines = pj.SipHeaderVector()
        for name, value in headers.items():
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            lines.append(header)
        parameters.txOption.headers = lines
        parameters.txOption.localUri = sender
        try:
            leg.makeCall(target, parameters)
        except pj.Error:
            self.leg = None
            raise
        if self.alive and self.leg is not None:
            self.sip_call_id = str(leg.getInfo().callIdString)
            self._alarm = self._host.engine.later(timeout, self._not_answered)

    def answer(self, code: int) -> None:
        """180, 183 or 200."""
        self.claimed = True
        if self.leg is None:
            return
        self.leg.reply(code)
        if code == 180:
            self._advance("ringing")
        elif 180 < code < 200:
            self._advance("early")

    def end(self, reason: str, code: int = 0) -> None:
        if not self.alive or self._local is not None:
            return
        self._local = (reason, code)
        self.claimed = True
        if self.leg is None:
            self._finish(code)
            return
        try:
            self.leg.end(code)
        except pj.Error as error:
            log.warning("a leg cannot be hung up", call=self.call.call, error=error.info())
            self._finish(code)

    def send_digits(self, digits: str, method: Method) -> None:
        if self.leg is None:
            return
        if method == "rfc4733":
            self.leg.dialDtmf(digits)
            return
        parameters = pj.CallSendDtmfParam()
        parameters.method = pj.PJSUA_DTMF_METHOD_SIP_INFO
        parameters.digits = digits
        self.leg.sendDtmf(parameters)

    def transfer(self, target: str, replaced: SipParty | None) -> None:
        """REFER the party away; at success we hang up."""
        if self.leg is None:
            return
        if replaced is not None:
            if replaced.dialog is None:
                raise ControlError("not-connected", f"Party {replaced.party} is in no call that could be replaced.")
            target = replaced.dialog.replaces_uri()
        self.leg.xfer(target, pj.CallOpParam())

    # --- a REFER of the other side --------------------------------------------------------------------------------

    def transfer_asked(self, message: Message, answer: Callable[[int], None]) -> None:
        """Ask the exchange; without a word from it in 4 s the REFER gets 603."""
        value = message.get("refer-to")
        if not value:
            answer(400)
            return
        if self._asked is not None:
            answer(491)
            return
        target, _, headers = Address.parse(value).uri.partition("?")
        replaces = next((part[9:] for part in headers.split("&") if part.lower().startswith("replaces=")), "")
        self._asked = (answer, self._host.engine.later(TRANSFER_SECONDS, lambda: self.answer_transfer(accept=False)))
        self._host.emit(TransferRequested(self.call.call, self.party, target, replaces))

    def answer_transfer(self, *, accept: bool) -> bool:
        """Answer the REFER; False when none waits. What follows from it (legs, links) is the exchange's."""
        asked, self._asked = self._asked, None
        if asked is None:
            return False
        answer, timer = asked
        timer.cancel()
        answer(202 if accept else 603)
        if accept and self.leg is not None:
            self.leg.sendRequest(_notify_done())
        return True

    # --- what happens to the leg (LegOwner) -----------------------------------------------------------------------

    def leg_state(self, state: int, code: int) -> None:
        if state == pj.PJSIP_INV_STATE_EARLY and not self.incoming:
            self._advance("ringing" if code == 180 else "early")
        elif state == pj.PJSIP_INV_STATE_CONFIRMED:
            self._connected = True
            self._reception.answered()
            if self._alarm is not None:
                self._alarm.cancel()
            self._advance("connected")
        elif state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._finish(code)

    def leg_message(self, message: Message) -> None:
        if self._dialog is not None:
            self._retarget(message if not self.incoming and message.status else None)
            return
        if self.incoming and self._invite is not None:
            self._dialog = DialogState.as_server(self._invite, message)
            self._invite = None
        elif not self.incoming:
            self._dialog = DialogState.as_client(message)
            self.from_tag = message.sender.tag
        if self._dialog is not None:
            self._file.write(self._dialog)

    def target_refreshed(self, message: Message) -> None:
        """A re-INVITE or UPDATE came, which pjsua will see next."""
        if self.leg is not None:
            self.leg.prepare()
        self._retarget(message)

    def leg_media(self) -> None:
        found = self.leg.audio() if self.leg is not None else None
        old = self.port
        if found is None:
            if old is not None:
                self._host.bridge.lost(old)
            self.port = None
        else:
            index, status, media = found
            self._hold(on=status != pj.PJSUA_CALL_MEDIA_ACTIVE)
            if self.leg is not None:
                self._reception.media(self.leg, index)
            if old is None or not old.alive or old.media.getPortId() != media.getPortId():
                if old is not None and old.alive:
                    self._host.bridge.lost(old)
                self.port = Port(media, f"sip {self.party}")
        self._host.relink(self)

    def leg_stream_gone(self, quality: Quality | None) -> None:
        self._lasting = added(self._lasting, quality)
        self._reception.stream_gone()
        if self.port is not None:
            self._host.bridge.lost(self.port)
            self.port = None

    def leg_digit(self, digit: str, method: Method) -> None:
        self._host.party_digit(self, digit, method)

    def leg_transfer_progress(self, code: int, *, final: bool) -> None:
        log.info("transfer progress", call=self.call.call, party=self.party, code=code, final=final)
        if final:
            self._host.emit(TransferEnded(self.call.call, self.party, code))
        if final and code // 100 == 2:
            self._host.engine.soon(lambda: self.end("transferred"))

    # --- watching -------------------------------------------------------------------------------------------------

    def watch_media(self, now: float, limit: float) -> None:
        """Hang up when no RTP came for `limit` seconds though it should; 0 switches that off."""
        silent = self._reception.silent_for(now) if self.alive else 0.0
        if 0 < limit <= silent:
            self._host.emit(MediaTimeout(self.call.call, self.party, round(silent, 1)))
            self.end("media-timeout")

    def record(self) -> PartyRecord:
        return _with(
            super().record(),
            sip_call_id=self.sip_call_id,
            from_tag=self.from_tag,
            branch=self.branch,
            peer=self.remote,
            held=self.held,
        )

    # --- inside ---------------------------------------------------------------------------------------------------

    def _advance(self, state: PartyState) -> None:
        if self.advances(state):
            self._host.party_state(self, state)

    def _hold(self, *, on: bool) -> None:
        """The other side holds us while it wants no audio; what it sends (its music, say) is heard as its voice was."""
        if on != self.held:
            self.held = self._reception.held = on
            log.info("held by the other side" if on else "taken back from hold", call=self.call.call, party=self.party)
            self._host.emit(PartyHeld(self.call.call, self.party, on))

    def _not_answered(self) -> None:
        if not self._connected:
            self.end("no-answer")

    def _retarget(self, message: Message | None) -> None:
        if message is None or self._dialog is None:
            return
        moved = self._dialog.retargeted(message)
        if moved is not self._dialog:
            self._dialog = moved
            self._file.write(moved)

    def _finish(self, code: int) -> None:
        """The leg is over; called once, by the disconnected state or when there was no leg."""
        if not self.alive:
            return
        self.leg = None
        if self.port is not None:
            self._host.bridge.lost(self.port)
            self.port = None
        if self._alarm is not None:
            self._alarm.cancel()
        self._reception.close()
        self.answer_transfer(accept=False)
        self._file.remove()
        if self._local is not None:
            reason, own = self._local
            termination = local_end(reason, connected=self._connected, incoming=self.incoming, code=own or code)
        else:
            termination = remote_end(connected=self._connected, incoming=self.incoming, code=code)
        self._host.party_ended(self, termination, self._lasting)
        if self.on_released is not None:
            self.on_released()


def call_source(arrived: CallArrived | None) -> str:
    """The host that the edge heard an INVITE from; empty when it did not say."""
    return arrived.source.rpartition(":")[0].strip("[]") if arrived is not None else ""


def _notify_done() -> Any:
    """Tell the transferor that its REFER is dealt with (RFC 3515 §2.4.5); it then hangs up."""
    request = pj.CallSendRequestParam()
    request.method = "NOTIFY"
    lines = pj.SipHeaderVector()
    for name, value in (("Event", "refer"), ("Subscription-State", "terminated;reason=noresource")):
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        lines.append(header)
    request.txOption.headers = lines
    request.txOption.contentType = "message/sipfrag;version=2.0"
    request.txOption.msgBody = "SIP/2.0 200 OK"
    return request


def _with(record: PartyRecord, **fields: str | bool) -> PartyRecord:
    return msgspec.structs.replace(record, **fields)
