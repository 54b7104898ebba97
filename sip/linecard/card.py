"""The line card itself: the endpoint, the calls on it, and what happens to them when nobody commands it."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import pjsua2 as pj
import structlog

from media.control.line import (
    CallArrived,
    CallEnded,
    Configure,
    Digit,
    Inventory,
    LinesHeld,
    Overload,
    PartyChanged,
    PartyState,
    PlaceLeg,
    Quality,
    Termination,
)
from sip.linecard import frames, guard, threadstate
from sip.linecard.bridge import Bridge
from sip.linecard.calls import Call, Party, connections
from sip.linecard.dialogs import DialogFile
from sip.linecard.engine import Engine
from sip.linecard.gate import Gate, GateError
from sip.linecard.identifiers import new_id
from sip.linecard.legs import Arrivals, Endpoint, Leg
from sip.linecard.pace import Pace
from sip.linecard.parties import SipParty
from sip.linecard.patchport import PatchPorts
from sip.linecard.settings import (
    MAX_ACCOUNTS,
    TICKS_PER_SECOND,
    CardSettings,
    apply_codecs,
    arrivals_config,
    endpoint_config,
    from_address,
    line_config,
    line_count,
    quiet_start,
    sip_transport_config,
)
from sip.linecard.srtp import SRTP_HEADER, srtp_fits, srtp_policy
from sip.linecard.unattended import Unattended
from sip.linecard.wire import Address, Message

log = structlog.get_logger()

KEPT_ENDED = 1000
"""Ended calls kept for an exchange that has not said ForgetCall; the oldest goes first."""
WATCH = 1.0
"""Seconds between two looks at RTP and at the commander."""
HELD_LOOK = 0.04
"""Seconds between two looks at lines whose BYE is not answered yet."""
CALL_DATA = frozenset({"history-info", "diversion", "p-asserted-identity"})
SOURCE_HEADER = "x-switchroom-source"
TRUNK_HEADER = "x-switchroom-trunk"
CALLER_HEADER = "x-switchroom-caller"
"""The caller's number in the form that the trunk's settings make of it."""
LEASE_HEADER = "X-Switchroom-Lease"


class Card:
    """Everything runs in the engine's thread, apart from `begin`'s caller."""

    def __init__(
        self,
        settings: CardSettings,
        generation: str,
        engine: Engine,
        emit: Callable[[Any], None],
        commanded: Callable[[], bool],
    ) -> None:
        self.settings = settings
        self.generation = generation
        self.engine = engine
        self.emit = emit
        self.calls: dict[str, Call] = {}
        self.ended: OrderedDict[str, Call] = OrderedDict()
        self.configuration = Configure()
        self.draining = False
        self.sip = ""
        self.lines = 0
        self.counters: dict[str, float] = dict.fromkeys(("arrived", "placed", "refused", "ended", "unattended"), 0.0)
        self.bridge: Bridge
        self.patches: PatchPorts
        self.unattended = Unattended(self, commanded, ring=settings.ring, patience=settings.patience)
        self._endpoint: Any = None
        self._gate: Gate | None = None
        self._arrivals: Arrivals | None = None
        self._accounts: list[Any] = []
        self._account_count = 0
        self._numbers = itertools.count(1)
        self._legs: dict[str, SipParty] = {}
        self._pace = Pace(1)
        self._lines_held = 0
        self._counting = False
        self._on_empty: Callable[[], object] | None = None

    # --- the endpoint ---------------------------------------------------------------------------------------------

    def begin(self) -> tuple[Callable[[int], Any], tuple[str, int]]:
        """Make the endpoint; returns its event function and our SIP address."""
        settings = self.settings
        settings.dialogs.mkdir(mode=0o700, exist_ok=True)
        quiet_start()
        endpoint = self._endpoint = Endpoint(self._rejected)
        endpoint.libCreate()
        self.lines = line_count(settings)
        self._pace = Pace(self.lines)
        endpoint.libInit(endpoint_config(settings))
        transport = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, sip_transport_config(settings))
        endpoint.libStart()
        apply_codecs(endpoint, settings.rate)
        endpoint.audDevManager().setNoDev()
        host, _, port = str(endpoint.transportGetInfo(transport).localAddress).rpartition(":")
        address = (host, int(port))
        self.sip = f"sip:{host}:{port}"
        self.patches = PatchPorts(settings.rate, frames.choose())
        self.bridge = Bridge(endpoint, self.engine, settings, self._overload)
        self._arrivals = Arrivals(self, arrivals_config(settings))
        self._account_count = 1
        try:
            self._gate = Gate(self)
            self._gate.install(address, endpoint.libHandleEvents)
        except GateError as error:
            self._gate = None
            log.error("no gate before pjsua: REFER gets 603, MESSAGE is answered by pjsua", error=str(error))
        self.engine.later(WATCH, self._watch)
        return endpoint.libHandleEvents, address

    def when_empty(self, function: Callable[[], object]) -> None:
        """Call `function` once no call is left; at once, if there is none."""
        self._on_empty = function
        if not self.calls:
            function()

    def inventory(self) -> Inventory:
        """Everything, but for the seq, which the caller knows."""
        calls = [call.record() for call in (*self.calls.values(), *self.ended.values())]
        counters = {
            **self.counters,
            "ticks": round(self.bridge.ticks, 2),
            "callback_failures": float(guard.failures),
            "gate": float(self._gate is not None),
            "gate_refused": float(self._gate.refused if self._gate is not None else 0),
            "lines_held": float(self._gate.calls_held() if self._gate is not None else len(self._legs)),
            "clock": float(self.bridge.running),
            "patch_ports": float(self.patches.made),
            "clock_states": float(threadstate.kept()),
        }
        return Inventory(
            self.settings.name,
            self.generation,
            0,
            self.sip,
            self.lines,
            self.settings.rate,
            calls,
            self.draining,
            self.bridge.overloaded,
            counters,
        )

    # --- calls and parties ----------------------------------------------------------------------------------------

    def open_call(self, call_id: str, arrived: CallArrived | None = None) -> Call:
        """The call of that id, made if it is new."""
        call = self.calls.get(call_id)
        if call is None:
            call = self.calls[call_id] = Call(call_id, arrived)
            self.bridge.start()
        return call

    def new_sip_party(self, call: Call, party_id: str, *, incoming: bool) -> SipParty:
        file = DialogFile(
            self.settings.dialogs / f"{self.settings.name}-{self.generation}-{next(self._numbers)}.json",
            card=self.settings.name,
            generation=self.generation,
            call=call.call,
            party=party_id,
        )
        party = SipParty(self, call, party_id, incoming=incoming, dialog_file=file)
        call.parties[party_id] = party
        return party

    def place(self, party: SipParty, body: PlaceLeg) -> None:
        """Dial over a line account filled for it; raises pj.Error or RuntimeError when there is none free."""
        now = time.monotonic()
        if self._pace.too_fast(now):
            raise RuntimeError("too many legs began at once")
        self._pace.begun(now)
        user, _, host = body.caller.removeprefix("sip:").partition("@")
        sender = from_address(self.settings, caller=user, display=body.display, host=host)
        credentials = (body.realm, body.username, body.password) if body.username else None
        line = self._take_account(line_config(self.settings, proxy=body.proxy, credentials=credentials, srtp=body.srtp))
        leg = Leg(line, self.engine, party, body.srtp)
        try:
            party.dial(leg, body.target, sender, {LEASE_HEADER: body.lease, **body.headers}, body.timeout)
        except pj.Error:
            self._accounts.append(line)
            raise
        party.on_released = lambda: self._accounts.append(line)
        if not party.alive:
            party.on_released()
            return
        self._legs[party.sip_call_id] = party
        self.counters["placed"] += 1

    def relink(self, party: Party) -> None:
        """Make the bridge what the party's call says."""
        self.relink_call(party.call)

    def relink_call(self, call: Call) -> None:
        self.bridge.apply(call.call, connections(call, self.bridge.silence, self._tune) if call.ended is None else ())

    def party_state(self, party: Party, state: PartyState) -> None:
        party.state = state
        if state == "connected" and not party.call.answered:
            party.call.answered = time.time()
        self.emit(PartyChanged(party.call.call, party.party, state))

    def party_ended(self, party: Party, termination: Termination, quality: Quality | None) -> None:
        """The end of a party's life, in one place."""
        if not party.alive:
            return
        party.state = "ended"
        party.termination, party.quality = termination, quality
        if isinstance(party, SipParty):
            self._legs.pop(party.sip_call_id, None)
            if party.lingers:
                self._count_held()  # before the end is told: who hears of it must not take the line for free
        if party.collection is not None:
            party.collection.stop("ended")
        if party.playback is not None:
            party.playback.stop("stopped")
        self.relink(party)
        self.emit(PartyChanged(party.call.call, party.party, "ended", termination, quality))
        if not party.call.living:
            self._call_ended(party.call)

    def party_digit(self, party: Party, digit: str, method: Literal["rfc4733", "info", "web"]) -> None:
        """A digit: to the collection that runs, or kept for the next one."""
        if not party.alive:
            return
        if not party.private:
            self.emit(Digit(party.call.call, party.party, digit, method))
        if party.collection is not None:
            party.collection.digit(digit)
            return
        if party.playback is not None and party.playback.barge_in:
            party.playback.stop("barged")
        party.ahead.put(digit, time.monotonic())

    def stop_recording(self, call: Call) -> None:
        """Close the call's recording; RecordingEnded follows."""
        recording, call.recording = call.recording, None
        if recording is not None:
            recording.stop(self.emit)
            self.relink_call(call)

    def _call_ended(self, call: Call) -> None:
        self.stop_recording(call)
        first = call.parties[call.arrived.party] if call.arrived is not None else next(iter(call.parties.values()))
        call.ended = first.termination or Termination("failed", "error")
        self.bridge.apply(call.call, ())
        self.calls.pop(call.call, None)
        self.ended[call.call] = call
        while len(self.ended) > KEPT_ENDED:
            self.ended.popitem(last=False)
        self.counters["ended"] += 1
        self.emit(CallEnded(call.call, call.ended))
        if not self.calls:
            self.bridge.idle()
            if self._on_empty is not None:
                self._on_empty()

    # --- arrivals (Arriving) --------------------------------------------------------------------------------------

    def leg_arrived(self, account: Arrivals, pj_call: int, message: Message) -> None:
        """An INVITE that the gate let in."""
        arrived = _arrival(message)
        call = self.open_call(arrived.call, arrived)
        party = self.new_sip_party(call, arrived.party, incoming=True)
        leg = Leg(account, self.engine, party, srtp_policy(message), pj_call)
        party.arrived(leg, message)
        self._legs[party.sip_call_id] = party
        self._pace.begun(time.monotonic())
        self.counters["arrived"] += 1
        self.emit(arrived)
        if self._gate is None and (code := self.refuse_invite(message, held=1)):
            party.end("overload", code)
            return
        self.unattended.arrived(party)

    def _rejected(self, pj_call: int, code: int) -> None:
        """pjsua refused an INVITE; its leg is here already if that was for want of media."""
        for party in list(self._legs.values()):
            if party.incoming and party.leg is not None and party.leg.rejected(pj_call, code):
                log.warning("an arrival came to nothing", call=party.call.call, code=code)
                return

    # --- the gate's questions (Keeper) ----------------------------------------------------------------------------

    def knows(self, sip_call_id: str) -> bool:
        return sip_call_id in self._legs

    def refuse_invite(self, message: Message, *, held: int = 0) -> int:
        """503 when we leave, cannot keep up or have no line, 488 when the offer and our trunk disagree about SRTP."""
        code = 0
        taken = max(len(self._legs) - held, self._gate.calls_held() if self._gate is not None else 0)
        if self.draining or self.bridge.overloaded or taken >= self.lines or self._pace.too_fast(time.monotonic()):
            code = 503
        elif not srtp_fits(message):
            code = 488
        if code:
            self.counters["refused"] += 1
        elif self._arrivals is not None:
            self._arrivals.expect(srtp_policy(message))
        return code

    def digit_by_info(self, sip_call_id: str, digit: str) -> None:
        party = self._legs.get(sip_call_id)
        if party is not None:
            self.party_digit(party, digit, "info")

    def transfer_asked(self, sip_call_id: str, message: Message, answer: Callable[[int], None]) -> None:
        party = self._legs.get(sip_call_id)
        if party is None:
            answer(481)
        else:
            party.transfer_asked(message, answer)

    def target_refreshed(self, sip_call_id: str, message: Message) -> None:
        party = self._legs.get(sip_call_id)
        if party is not None:
            party.target_refreshed(message)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _take_account(self, config: Any) -> Any:
        if self._accounts:
            account = self._accounts.pop()
            account.modify(config)
            return account
        if self._account_count >= MAX_ACCOUNTS:
            raise RuntimeError("every line account of pjsua2 is taken")
        account = pj.Account()
        account.create(config)
        self._account_count += 1
        return account

    def _tune(self, path: str) -> Any:
        name = path or self.configuration.music
        return self.bridge.music(name) if name else None

    def _count_held(self) -> None:
        """Tell how many lines are taken by legs that have ended, and look again while there are any."""
        held = max(0, self._gate.calls_held() - len(self._legs)) if self._gate is not None else 0
        if held != self._lines_held:
            self._lines_held = held
            self.emit(LinesHeld(held))
        if held and not self._counting:
            self._counting = True
            self.engine.later(HELD_LOOK, self._count_again)

    def _count_again(self) -> None:
        self._counting = False
        self._count_held()

    def _overload(self, on: bool, ticks: float) -> None:
        self.emit(Overload(on, round(ticks, 1), float(TICKS_PER_SECOND)))

    def _watch(self) -> None:
        self.engine.later(WATCH, self._watch)
        now = time.monotonic()
        for party in list(self._legs.values()):
            party.watch_media(now, self.configuration.media_timeout)
        self.unattended.watch()


def _arrival(message: Message) -> CallArrived:
    """What an INVITE says of its caller; the edge has let through only what may count as call data."""
    data: dict[str, str] = {}
    own = {SOURCE_HEADER: "", TRUNK_HEADER: "", CALLER_HEADER: "", SRTP_HEADER: ""}
    for name, value in message.headers:
        lower = name.lower()
        if lower in own:
            own[lower] = value
        elif lower.startswith("x-") or lower in CALL_DATA:
            data[name] = f"{data[name]}, {value}" if name in data else value
    sender = message.sender
    asserted = message.all("p-asserted-identity")
    identity = Address.parse(asserted[0]) if asserted else sender
    return CallArrived(
        call=new_id(),
        party=new_id(),
        sip_call_id=message.get("call-id"),
        from_tag=sender.tag,
        ani=own[CALLER_HEADER] or identity.user or sender.user,
        dnis=Address.parse(f"<{message.request_uri}>").user,
        display=identity.display or sender.display,
        source=own[SOURCE_HEADER],
        headers=data,
        trunk=own[TRUNK_HEADER],
    )
