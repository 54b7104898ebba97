"""What each command of the control protocol does to a card; in the engine's thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pjsua2 as pj
import structlog

from media.control import line
from media.control.envelope import ControlError
from sip.linecard.calls import Call, Party
from sip.linecard.card import Card
from sip.linecard.collection import Collection
from sip.linecard.parties import PatchParty, SipParty
from sip.linecard.playing import FilesPlayback, Playback, TonePlayback, Why
from sip.linecard.recording import Recording

log = structlog.get_logger()


class Commands:
    """One method for each command that concerns calls; Drain, Shutdown and TakeInventory are the process'."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._does: dict[type, Callable[[Any], None]] = {
            line.Configure: self._configure,
            line.Answer: self._answer,
            line.Reject: self._reject,
            line.HangUp: self._hang_up,
            line.EndCall: self._end_call,
            line.Play: self._play,
            line.PlayTone: self._play_tone,
            line.StopPlay: self._stop_play,
            line.Collect: self._collect,
            line.StopCollect: self._stop_collect,
            line.Music: self._music,
            line.SetLinks: self._set_links,
            line.Mute: self._mute,
            line.Record: self._record,
            line.PauseRecord: self._pause_record,
            line.StopRecord: self._stop_record,
            line.OpenPatch: self._open_patch,
            line.PlaceLeg: self._place_leg,
            line.SendDigits: self._send_digits,
            line.PressDigits: self._press_digits,
            line.Transfer: self._transfer,
            line.AnswerTransfer: self._answer_transfer,
            line.ForgetCall: self._forget_call,
        }

    def do(self, body: Any) -> None:
        """Carry a command out; raises ControlError."""
        try:
            self._does[type(body)](body)
        except pj.Error as error:
            log.warning("pjsua2 refuses a command", command=type(body).__name__, error=error.info())
            raise ControlError("refused-by-pjsua2", f"{type(body).__name__}: {error.reason}") from error

    # --- who is meant ---------------------------------------------------------------------------------------------

    def _call(self, name: str) -> Call:
        call = self._card.calls.get(name)
        if call is None:
            raise ControlError("no-call", f"{self._card.settings.name} has no call {name}.")
        return call

    def _party(self, call: str, name: str) -> Party:
        party = self._call(call).parties.get(name)
        if party is None or not party.alive:
            raise ControlError("no-party", f"Call {call} has no party {name}.")
        return party

    def _sip_party(self, call: str, name: str) -> SipParty:
        party = self._party(call, name)
        if not isinstance(party, SipParty):
            raise ControlError("not-sip", f"Party {name} is no SIP leg.")
        return party

    def _living(self, call: str, name: str) -> Party | None:
        found = self._card.calls.get(call)
        party = found.parties.get(name) if found is not None else None
        return party if party is not None and party.alive else None

    def _new_party(self, call: str, party: str) -> None:
        """Check that the call may get this party."""
        if call in self._card.ended:
            raise ControlError("no-call", f"Call {call} has ended.")
        known = self._card.calls.get(call)
        if known is not None and party in known.parties:
            raise ControlError("party-exists", f"Call {call} has a party {party} already.")

    # --- legs -----------------------------------------------------------------------------------------------------

    def _configure(self, body: line.Configure) -> None:
        self._card.configuration = body

    def _answer(self, body: line.Answer) -> None:
        if body.code not in (180, 181, 182, 183, 200):
            raise ControlError("bad-code", f"{body.code} answers no call; Reject does.")
        self._sip_party(body.call, body.party).answer(body.code)

    def _reject(self, body: line.Reject) -> None:
        if not 300 <= body.code <= 699:
            raise ControlError("bad-code", f"{body.code} rejects no call.")
        self._sip_party(body.call, body.party).end(body.reason, body.code)

    def _hang_up(self, body: line.HangUp) -> None:
        party = self._living(body.call, body.party)
        if party is not None:
            party.end(body.reason)

    def _end_call(self, body: line.EndCall) -> None:
        call = self._card.calls.get(body.call)
        for party in call.living if call is not None else []:
            party.end(body.reason)

    def _place_leg(self, body: line.PlaceLeg) -> None:
        card = self._card
        if card.draining:
            raise ControlError("draining", f"{card.settings.name} takes no new calls.")
        if not (body.proxy or card.settings.proxy):
            raise ControlError("no-proxy", "A leg goes through the edge; neither the command nor the card knows its address.")
        self._new_party(body.call, body.party)
        call = card.open_call(body.call)
        party = card.new_sip_party(call, body.party, incoming=False)
        try:
            card.place(party, body)
        except (pj.Error, RuntimeError) as error:
            del call.parties[body.party]
            if not call.parties:
                del card.calls[body.call]
                if not card.calls:
                    card.bridge.idle()
            reason = error.reason if isinstance(error, pj.Error) else str(error)
            raise ControlError("no-line", f"{card.settings.name} cannot dial: {reason}", retryable=True) from error

    def _press_digits(self, body: line.PressDigits) -> None:
        party = self._party(body.call, body.party)
        for digit in body.digits:
            self._card.party_digit(party, digit, "web")

    def _send_digits(self, body: line.SendDigits) -> None:
        self._sip_party(body.call, body.party).send_digits(body.digits, body.method)

    def _transfer(self, body: line.Transfer) -> None:
        replaced: SipParty | None = None
        if body.replaces:
            replaced = next(
                (
                    party
                    for call in self._card.calls.values()
                    for party in call.living
                    if party.party == body.replaces and isinstance(party, SipParty)
                ),
                None,
            )
            if replaced is None:
                raise ControlError("no-party", f"No call here has a SIP party {body.replaces}.")
        elif not body.target:
            raise ControlError("bad-target", "A transfer needs a target or a party to replace.")
        self._sip_party(body.call, body.party).transfer(body.target, replaced)

    def _answer_transfer(self, body: line.AnswerTransfer) -> None:
        if not self._sip_party(body.call, body.party).answer_transfer(accept=body.accept):
            raise ControlError("no-transfer", "No transfer waits for an answer; it may have been refused already.")

    def _open_patch(self, body: line.OpenPatch) -> None:
        card = self._card
        self._new_party(body.call, body.party)
        call = card.open_call(body.call)
        try:
            party = PatchParty(card, call, body.party, Path(body.own), Path(body.peer))
        except OSError as error:
            if not call.parties:
                del card.calls[body.call]
            raise ControlError("no-patch", f"{body.own}: {error.strerror}") from error
        call.parties[body.party] = party
        card.relink(party)
        card.party_state(party, "connected")

    # --- what they hear -------------------------------------------------------------------------------------------

    def _begin(self, body: line.Play | line.PlayTone) -> tuple[Party, Callable[[Why], None]]:
        """Stop what plays to the party; returns it and what to do at the new player's end."""
        card, party = self._card, self._party(body.call, body.party)
        if party.collection is not None:
            party.collection.stop("stopped")
        if party.playback is not None:
            party.playback.stop("stopped")
        player = body.player

        def ended(why: Why) -> None:
            party.playback = None
            card.relink(party)
            card.emit(line.PlayEnded(party.call.call, party.party, player, why))

        return party, ended

    def _play(self, body: line.Play) -> None:
        card = self._card
        party, ended = self._begin(body)
        playback = FilesPlayback(
            card.bridge,
            card.engine,
            player=body.player,
            files=body.files,
            loop=body.loop,
            barge_in=body.barge_in,
            changed=lambda: card.relink(party),
            ended=ended,
        )
        party.playback = playback
        playback.start()

    def _play_tone(self, body: line.PlayTone) -> None:
        card = self._card
        party, ended = self._begin(body)
        party.playback = TonePlayback(
            card.bridge,
            card.engine,
            player=body.player,
            rate=card.settings.rate,
            frequencies=(body.frequency, body.frequency2),
            cadence_ms=(body.on_ms, body.off_ms),
            seconds=body.seconds,
            ended=ended,
        )
        card.relink(party)

    def _stop_play(self, body: line.StopPlay) -> None:
        party = self._living(body.call, body.party)
        playback: Playback | None = party.playback if party is not None else None
        if playback is not None and body.player in ("", playback.player):
            playback.stop("stopped")

    def _collect(self, body: line.Collect) -> None:
        card, party = self._card, self._party(body.call, body.party)
        if party.collection is not None:
            party.collection.stop("stopped")
        if body.files and party.playback is not None:
            party.playback.stop("stopped")

        def closed() -> None:
            party.collection = None
            card.relink(party)

        party.collection = Collection(card, party, body, closed)
        card.relink(party)
        party.collection.start()

    def _stop_collect(self, body: line.StopCollect) -> None:
        party = self._living(body.call, body.party)
        if party is not None and party.collection is not None and party.collection.collect == body.collect:
            party.collection.stop("stopped")

    def _music(self, body: line.Music) -> None:
        party = self._party(body.call, body.party)
        party.music = body.file if body.on else None
        self._card.relink(party)

    def _set_links(self, body: line.SetLinks) -> None:
        call = self._call(body.call)
        call.links = tuple(sorted(set(body.links)))
        self._card.relink_call(call)

    def _mute(self, body: line.Mute) -> None:
        party = self._party(body.call, body.party)
        party.muted = body.on
        self._card.relink(party)

    # --- recording ------------------------------------------------------------------------------------------------

    def _record(self, body: line.Record) -> None:
        card, call = self._card, self._call(body.call)
        if call.recording is not None:
            raise ControlError("already-recording", f"Call {body.call} is recorded as {call.recording.recording}.")
        directory = Path(body.directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ControlError("no-directory", f"{directory}: {error.strerror}") from error
        call.recording = Recording(
            card.bridge,
            call=call.call,
            recording=body.recording,
            left_party=body.left,
            with_right=body.right,
            directory=directory,
            rate=card.settings.rate,
        )
        if body.silence > 0:
            call.recording.end_in_silence(card.engine, body.silence, lambda: card.stop_recording(call))
        card.relink_call(call)

    def _pause_record(self, body: line.PauseRecord) -> None:
        call = self._call(body.call)
        if call.recording is None or call.recording.recording != body.recording:
            raise ControlError("no-recording", f"Call {body.call} has no recording {body.recording}.")
        call.recording.pause(body.on)
        self._card.relink_call(call)

    def _stop_record(self, body: line.StopRecord) -> None:
        call = self._card.calls.get(body.call)
        if call is not None and call.recording is not None and call.recording.recording == body.recording:
            self._card.stop_recording(call)

    def _forget_call(self, body: line.ForgetCall) -> None:
        self._card.ended.pop(body.call, None)
