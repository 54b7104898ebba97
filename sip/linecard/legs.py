"""pjsua2's call and account objects, as thin as can be: each callback becomes one plain call to whoever owns the leg."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import pjsua2 as pj
import structlog

from media.control.line import Quality, Srtp
from sip.linecard.engine import Engine
from sip.linecard.guard import guarded
from sip.linecard.settings import SRTP_USE
from sip.linecard.wire import Message

log = structlog.get_logger()


class LegOwner(Protocol):
    """What happens to a leg, in the engine's thread."""

    def leg_state(self, state: int, code: int) -> None: ...

    def leg_message(self, message: Message) -> None:
        """A 2xx to an INVITE was sent or received."""

    def leg_media(self) -> None:
        """Media was made anew or changed direction."""

    def leg_stream_gone(self, quality: Quality | None) -> None:
        """The stream is about to be freed; these are its last figures."""

    def leg_digit(self, digit: str, method: Literal["rfc4733", "info"]) -> None: ...

    def leg_transfer_progress(self, code: int, *, final: bool) -> None: ...


class Arriving(Protocol):
    """Who takes incoming calls."""

    def leg_arrived(self, account: Arrivals, pj_call: int, message: Message) -> None: ...


class Arrivals(pj.Account):  # type: ignore[misc]  # untyped library
    """The account that incoming calls land on."""

    def __init__(self, taker: Arriving, config: Any) -> None:
        super().__init__()
        self._taker = taker
        self._config = config
        self.create(config, True)

    def expect(self, srtp: Srtp) -> None:
        """Set what the next media will do about SRTP."""
        media = self._config.mediaConfig
        if media.srtpUse != SRTP_USE[srtp]:
            media.srtpUse = SRTP_USE[srtp]
            self.modify(self._config)

    @guarded
    def onIncomingCall(self, prm: Any) -> None:
        self._taker.leg_arrived(self, prm.callId, Message.parse(prm.rdata.wholeMsg.encode("utf-8", "surrogateescape")))


class Endpoint(pj.Endpoint):  # type: ignore[misc]  # untyped library
    """Tells of arrivals that came to nothing: pjsua says so nowhere else, once the call's object has been made."""

    def __init__(self, rejected: Callable[[int, int], None]) -> None:
        super().__init__()
        self._rejected = rejected

    @guarded
    def onRejectedIncomingCall(self, prm: Any) -> None:
        self._rejected(int(prm.callId), int(prm.statusCode))


class Leg(pj.Call):  # type: ignore[misc]  # untyped library
    """One SIP call of pjsua2. After the disconnected state the C++ object is gone and no method may be called."""

    def __init__(self, account: Any, engine: Engine, owner: LegOwner, srtp: Srtp, pj_call: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, pj_call)
        self._account = account
        self._engine = engine
        self._owner: LegOwner | None = owner
        self._srtp: Srtp = srtp
        self._incoming = pj_call != pj.PJSUA_INVALID_ID
        self._keys_asked = False

    @guarded
    def onCallState(self, prm: Any) -> None:
        owner = self._owner
        if owner is None:
            return
        info = self.getInfo()
        state, code = int(info.state), int(info.lastStatusCode)
        if state != pj.PJSIP_INV_STATE_DISCONNECTED:
            self._success(prm.e)  # here already, so that the dialog's file is there when the exchange hears of the answer
            owner.leg_state(state, code)
            return
        self._over(code)

    def _over(self, code: int) -> None:
        owner, self._owner = self._owner, None
        try:
            if owner is not None:
                owner.leg_state(pj.PJSIP_INV_STATE_DISCONNECTED, code)
        finally:
            # Now, not when the garbage collector likes: a late destructor would hang up the next call of this slot.
            pj.Call.__swig_destroy__(self)

    def rejected(self, pj_call: int, code: int) -> bool:
        """Whether this was the arrival `pj_call`, which pjsua itself has rejected; the leg is over then."""
        if self._owner is None or self.getId() != pj_call:
            return False
        self._over(code)
        return True

    @guarded
    def onCallSdpCreated(self, prm: Any) -> None:
        theirs, ours = prm.remSdp, prm.sdp
        asked = str(theirs.wholeSdp)
        self._keys_asked = self._keys_asked or "a=crypto:" in asked
        if self._incoming and self._srtp == "optional" and not self._keys_asked:
            # An offer to a caller who never spoke of SRTP: keys with RTP/AVP are no standard, not everybody passes them over.
            ours.wholeSdp = "".join(part for part in ours.wholeSdp.splitlines(True) if not part.startswith("a=crypto:"))

    @guarded
    def onCallMediaState(self, prm: Any) -> None:
        if self._owner is not None:
            self._owner.leg_media()

    @guarded
    def onCallTsxState(self, prm: Any) -> None:
        self._success(prm.e)

    @guarded
    def onStreamDestroyed(self, prm: Any) -> None:
        if self._owner is not None:
            self._owner.leg_stream_gone(self.quality(int(prm.streamIdx)))

    @guarded
    def onDtmfDigit(self, prm: Any) -> None:
        digit = str(prm.digit).upper()

        def tell() -> None:
            if self._owner is not None:
                self._owner.leg_digit(digit, "rfc4733")

        self._engine.soon(tell)

    @guarded
    def onCallTransferRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE  # the gate takes REFERs; one that got past it must not place a call

    @guarded
    def onCallReplaceRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE  # as above: nobody takes a call over by knowing its tags

    @guarded
    def onCallTransferStatus(self, prm: Any) -> None:
        if self._owner is not None:
            self._owner.leg_transfer_progress(int(prm.statusCode), final=bool(prm.finalNotify))

    def _success(self, event: Any) -> None:
        """Hand on a 2xx to an INVITE, if the event is one."""
        if event.type != pj.PJSIP_EVENT_TSX_STATE or self._owner is None:
            return
        change = event.body.tsxState
        transaction = change.tsx
        if transaction.method != "INVITE" or transaction.statusCode // 100 != 2:
            return
        match change.type:
            case pj.PJSIP_EVENT_TX_MSG:
                raw = change.src.tdata.wholeMsg
            case pj.PJSIP_EVENT_RX_MSG:
                raw = change.src.rdata.wholeMsg
            case _:
                return
        if raw:
            message = Message.parse(raw.encode("utf-8", "surrogateescape"))
            if message.status // 100 == 2:
                self._owner.leg_message(message)

    # --- asked by the owner ---------------------------------------------------------------------------------------

    def audio(self) -> tuple[int, int, Any] | None:
        """(media index, status, bridge media) of the audio stream, if it is on the bridge."""
        info = self.getInfo()  # held: its `media` points into it, as all of SWIG's members do
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.audioConfSlot != pj.PJSUA_INVALID_ID:
                return int(media.index), int(media.status), self.getAudioMedia(int(media.index))
        return None

    def received(self, index: int) -> int:
        """RTP packets received so far on this stream."""
        statistics = self.getStreamStat(index)
        rtcp = statistics.rtcp
        receive = rtcp.rxStat
        return int(receive.pkt)

    def media_target(self, index: int) -> tuple[str, int] | None:
        """Where the other side's SDP wants RTP; None when it wants none (RFC 2543's hold by address 0.0.0.0)."""
        try:
            return address(str(self.getStreamInfo(index).remoteRtpAddress))
        except pj.Error:
            return None

    def media_source(self, index: int) -> tuple[str, int] | None:
        """From where the last RTP packet came."""
        try:
            return address(str(self.getMedTransportInfo(index).srcRtpName))
        except pj.Error:
            return None

    def quality(self, index: int) -> Quality | None:
        """The stream's figures; None when there are none."""
        try:
            statistics = self.getStreamStat(index)
            codec = str(self.getStreamInfo(index).codecName)
            encrypted = self._srtp != "off" and "SRTP status: Active" in self.dump(True, "")
        except pj.Error as error:
            log.debug("no stream figures", error=error.info())
            return None
        rtcp = statistics.rtcp
        receive, transmit = rtcp.rxStat, rtcp.txStat
        return Quality(
            codec=codec,
            sent=int(transmit.pkt),
            received=int(receive.pkt),
            lost=int(receive.loss),
            discarded=int(receive.discard),
            jitter_ms=receive.jitterUsec.mean / 1000,
            round_trip_ms=rtcp.rttUsec.mean / 1000,
            remote_lost=int(transmit.loss),
            remote_jitter_ms=transmit.jitterUsec.mean / 1000,
            srtp=encrypted,
        )

    def prepare(self) -> None:
        """Set what the account says of SRTP for this leg: pjsua asks it at each offer, and all arrivals share one."""
        if self._incoming:
            self._account.expect(self._srtp)

    def reply(self, code: int) -> None:
        """Answer the INVITE: 180, 183 or 200."""
        self.prepare()  # without an offer, media is made only now
        parameters = pj.CallOpParam(True)
        parameters.statusCode = code
        parameters.opt.videoCount = 0
        self.answer(parameters)

    def end(self, code: int = 0) -> None:
        """Hang up, reject or cancel, whatever the state asks for."""
        parameters = pj.CallOpParam()
        if code:
            parameters.statusCode = code
        self.hangup(parameters)


def address(text: str) -> tuple[str, int] | None:
    """HOST:PORT of IPv4 as pjsua2 prints it; None for what names nobody."""
    host, _, port = text.rpartition(":")
    if host.count(".") != 3 or host == "0.0.0.0" or not port.isdigit() or port == "0":  # noqa: S104
        return None
    return host, int(port)


def added(before: Quality | None, now: Quality | None) -> Quality | None:
    """Figures of a leg whose media was made anew: counts add up, the rest is the latest."""
    if before is None or now is None:
        return now or before
    return Quality(
        codec=now.codec or before.codec,
        sent=before.sent + now.sent,
        received=before.received + now.received,
        lost=before.lost + now.lost,
        discarded=before.discarded + now.discarded,
        jitter_ms=max(before.jitter_ms, now.jitter_ms),
        round_trip_ms=now.round_trip_ms or before.round_trip_ms,
        remote_lost=before.remote_lost + now.remote_lost,
        remote_jitter_ms=max(before.remote_jitter_ms, now.remote_jitter_ms),
        srtp=now.srtp,
    )
