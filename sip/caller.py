"""`switchroom call`: an independent SIP caller that sends a tone, presses digits and tells what it heard."""

from __future__ import annotations

import argparse
import json as json_module
import signal
import socket
import sys
import time
import wave
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pjsua2 as pj

from sip.linecard import frames
from sip.linecard.guard import guarded
from sip.linecard.settings import quiet_start
from sip.linecard.wire import uri_user

RATE = 16000
FRAME_SECONDS = 0.02
AUDIBLE = 10 ** (-45 / 20) * 32768
"""RMS above which a frame is sound and not noise (-45 dBFS)."""
PROMPT_OVER = 0.5
"""Seconds of silence after the first sound that mean: the prompt is over, the digits may be sent."""
WINDOW = 0.1
RING_SECONDS = 60.0
SURE = 2
"""Windows in a row that must have the same tone before it is told."""
LAST_MESSAGES = 0.5
"""Seconds in which the BYE is sent and answered."""
CODECS = {"pcmu": "PCMU/8000", "pcma": "PCMA/8000", "g722": "G722/16000"}


class Report:
    """Prints what happens: JSON lines, or lines for people."""

    def __init__(self, *, json: bool, out: TextIO | None = None) -> None:
        self._json = json
        self._out = out or sys.stdout
        self._start = time.monotonic()

    def tell(self, event: str, **details: Any) -> None:
        now = time.monotonic()
        if self._json:
            line = json_module.dumps({"event": event, "t": round(now, 6), **details})
        else:
            told = ", ".join(
                f"{name.replace('_', ' ')} {value}" for name, value in details.items() if value not in (None, {}, "")
            )
            line = f"{now - self._start:7.3f} s  {event}" + (f": {told}" if told else "")
        print(line, file=self._out, flush=True)


class _Ear(pj.AudioMediaPort):  # type: ignore[misc]  # untyped library
    """Keeps every frame that the caller hears; the callback runs on the bridge's clock thread."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []
        self._read = frames.choose()[0]
        form = pj.MediaFormatAudio()
        form.init(pj.PJMEDIA_FORMAT_PCM, RATE, 1, int(FRAME_SECONDS * 1_000_000), 16)
        self.createPort("ear", form)

    @guarded
    def onFrameReceived(self, frame: Any) -> None:
        size = int(RATE * FRAME_SECONDS) * 2
        data = self._read(frame)
        self.heard.append(data if len(data) == size else bytes(size))


class _Call(pj.Call):  # type: ignore[misc]  # untyped library
    """Takes notes of its states; the caller's loop reads them."""

    def __init__(self, account: Any, ear: _Ear, mouth: Any) -> None:
        super().__init__(account)
        self.states: list[tuple[int, int, str]] = []
        self.digits: list[str] = []
        self.received = self.lost = 0
        self.over = False
        self._ear = ear
        self._mouth = mouth
        self._media: Any = None

    @guarded
    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        self.states.append((int(info.state), int(info.lastStatusCode), str(info.lastReason)))
        self.over = self.over or info.state == pj.PJSIP_INV_STATE_DISCONNECTED

    @guarded
    def onCallMediaState(self, prm: Any) -> None:
        info = self.getInfo()
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.audioConfSlot != pj.PJSUA_INVALID_ID:
                self._media = self.getAudioMedia(int(media.index))
                self._media.startTransmit(self._ear)
                self._mouth.startTransmit(self._media)

    @guarded
    def onDtmfDigit(self, prm: Any) -> None:
        self.digits.append(str(prm.digit))

    @guarded
    def onStreamDestroyed(self, prm: Any) -> None:
        statistics = self.getStreamStat(int(prm.streamIdx))
        rtcp = statistics.rtcp
        receive = rtcp.rxStat
        self.received += int(receive.pkt)
        self.lost += int(receive.loss)

    @guarded
    def onCallTransferRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE  # a caller that tries things goes nowhere else


class Tones:
    """Tells the strongest tone that is heard whenever it changes, and where in the saved file that was."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._window: list[bytes] = []
        self._windows = 0
        self._last: tuple[int, int] = (-1, 0)
        self._told = -1

    def take(self, frame: bytes) -> None:
        """The next frame; five of them are one look."""
        self._window.append(frame)
        if len(self._window) * FRAME_SECONDS < WINDOW - FRAME_SECONDS / 2:
            return
        pcm = np.frombuffer(b"".join(self._window), dtype=np.int16).astype(np.float64)
        self._window.clear()
        self._windows += 1
        hz, count = strongest(pcm), self._last[1]
        self._last = (hz, count + 1) if abs(hz - self._last[0]) <= RATE / len(pcm) else (hz, 1)
        if self._last[1] >= SURE and abs(hz - self._told) > RATE / len(pcm):
            self._told = hz
            level = 20 * float(np.log10(max(1.0, float(np.sqrt(np.mean(pcm * pcm)))) / 32768))
            self._report.tell("hears", hz=hz, level=round(level, 1), at=round((self._windows - SURE) * WINDOW, 2))


class Caller:
    """One call from dialling to the summary."""

    def __init__(
        self,
        report: Report,
        *,
        target: str,
        digits: str,
        digits_at: float | None,
        seconds: float,
        listen: bool = False,
    ) -> None:
        self._report = report
        self._tones = Tones(report) if listen else None
        self._target = target
        self._digits = digits
        self._digits_at = digits_at
        self._seconds = seconds
        self._answered_at: float | None = None
        self._answered_frame = 0
        self._told = 0
        self._digits_told = 0
        self._looked = 0
        self._first_sound: int | None = None
        self._quiet = 0
        self._cancelled = False
        self._ended: tuple[int, str, float] | None = None

    def run(self, handle: Callable[[int], Any], call: _Call, ear: _Ear, tone: Callable[[], None]) -> bool:
        """Dial, follow the call to its end; whether it was answered."""
        self._report.tell("dialling", target=self._target)
        begun = time.monotonic()
        parameters = pj.CallOpParam(True)
        parameters.opt.videoCount = 0
        call.makeCall(self._target, parameters)
        hung_up = False
        while not call.over:
            handle(10)
            self._states(call, ear, tone)
            self._listen(call, ear)
            now = time.monotonic()
            late = now - begun > RING_SECONDS if self._answered_at is None else now - self._answered_at >= self._seconds
            if (late or self._cancelled) and not hung_up:
                hung_up = True
                self._hang_up(call)
        self._states(call, ear, tone)
        until = time.monotonic() + LAST_MESSAGES
        while time.monotonic() < until:
            handle(10)
        return self._answered_at is not None

    def cancel(self, *_: object) -> None:
        """Hang up at the next turn (a signal handler)."""
        self._cancelled = True

    def summary(self, call: _Call, ear: _Ear) -> None:
        code, reason, at = self._ended or (0, "", time.monotonic())
        self._report.tell(
            "summary",
            answered=self._answered_at is not None,
            code=code,
            reason=reason,
            tones=heard_tones(ear.heard[self._answered_frame :]),
            received=call.received,
            lost=call.lost,
            seconds=round(at - self._answered_at, 3) if self._answered_at is not None else 0.0,
        )

    def _hang_up(self, call: _Call) -> None:
        try:
            call.hangup(pj.CallOpParam(True))
        except pj.Error as error:
            self._report.tell("error", message=error.info())
            call.over = True

    def _states(self, call: _Call, ear: _Ear, tone: Callable[[], None]) -> None:
        for state, code, reason in call.states[self._told :]:
            self._told += 1
            if state == pj.PJSIP_INV_STATE_EARLY:
                self._report.tell("ringing" if code == 180 else "early", code=code)
            elif state == pj.PJSIP_INV_STATE_CONFIRMED:
                self._answered_at = time.monotonic()
                self._answered_frame = len(ear.heard)
                self._report.tell("answered", code=code)
                tone()
            elif state == pj.PJSIP_INV_STATE_DISCONNECTED and self._ended is None:
                self._ended = (code, reason, time.monotonic())
                self._report.tell("ended", code=code, reason=reason)

    def _listen(self, call: _Call, ear: _Ear) -> None:
        """Look at the frames that came since; press the digits when it is time."""
        fresh = ear.heard[self._looked :]
        self._looked += len(fresh)
        for frame in fresh:
            if loud(frame):
                self._quiet = 0
                if self._first_sound is None:
                    self._first_sound = self._looked
                    self._report.tell("first-audio")
            else:
                self._quiet += 1
            if self._tones is not None:
                self._tones.take(frame)
        for digit in call.digits[self._digits_told :]:
            self._digits_told += 1
            self._report.tell("digit", digit=digit)
        if not self._digits or self._answered_at is None or call.over:
            return
        if self._digits_at is not None:
            due = time.monotonic() - self._answered_at >= self._digits_at
        else:
            due = self._first_sound is not None and self._quiet * FRAME_SECONDS >= PROMPT_OVER
        if due:
            digits, self._digits = self._digits, ""
            call.dialDtmf(digits)
            self._report.tell("digits-sent", digits=digits)


def loud(frame: bytes) -> bool:
    """Whether a frame of PCM is sound."""
    samples = np.frombuffer(frame, dtype=np.int16).astype(np.float64)
    return bool(len(samples)) and float(np.sqrt(np.mean(samples * samples))) > AUDIBLE


def strongest(pcm: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    """The strongest frequency in Hz, as exact as the window is long; 0 for silence."""
    if float(np.sqrt(np.mean(pcm * pcm))) <= AUDIBLE:
        return 0
    return round(int(np.argmax(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))))) * RATE / len(pcm))


def heard_tones(heard: list[bytes], *, most: int = 5) -> dict[str, float]:
    """Seconds for which each frequency (to 10 Hz) was the strongest, the longest first; windows of silence do not count."""
    pcm = np.frombuffer(b"".join(heard), dtype=np.int16).astype(np.float64)
    size = int(RATE * WINDOW)
    found = Counter(strongest(pcm[start : start + size]) for start in range(0, len(pcm) - size + 1, size))
    del found[0]
    return {str(hz): round(count * WINDOW, 1) for hz, count in found.most_common(most)}


def call(
    target: str,
    *,
    digits: str = "",
    digits_at: float | None = None,
    tone: int = 440,
    seconds: float = 8.0,
    save: Path | None = None,
    json: bool = False,
    caller: str = "caller",
    codec: str | None = None,
    listen: bool = False,
    out: TextIO | None = None,
) -> int:
    """Call `target`; exit status 0 if it was answered. Once for each process: pjsua2 cannot be started again."""
    report = Report(json=json, out=out)
    quiet_start()
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    follow = Caller(report, target=target, digits=digits, digits_at=digits_at, seconds=seconds, listen=listen)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, follow.cancel)
    try:
        endpoint.libInit(_endpoint_config())
        account = _account(endpoint, target, caller, codec)
        endpoint.libStart()
        endpoint.audDevManager().setNullDev()
        answered = _talk(endpoint, account, follow, tone, save)
    except pj.Error as error:
        report.tell("error", message=error.info())
        answered = False
    endpoint.libDestroy(pj.PJSUA_DESTROY_NO_NETWORK)
    return 0 if answered else 1


def _talk(endpoint: Any, account: Any, follow: Caller, tone: int, save: Path | None) -> bool:
    """The call itself; every pjsua2 object of it is gone when this returns."""
    mouth, ear = pj.ToneGenerator(), _Ear()
    mouth.createToneGenerator(RATE, 1)
    line = _Call(account, ear, mouth)
    answered = follow.run(endpoint.libHandleEvents, line, ear, lambda: _hum(mouth, tone))
    follow.summary(line, ear)
    if save is not None:
        _save(save, ear.heard)
    return answered


def _endpoint_config() -> Any:
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0  # the caller's own loop handles events
    config.uaConfig.userAgent = "Switchroom caller"
    config.uaConfig.maxCalls = 1
    config.medConfig.clockRate = config.medConfig.sndClockRate = RATE
    config.medConfig.noVad = True  # the tone's pauses are sent too, so that the other side can count
    config.medConfig.ecTailLen = 0
    config.logConfig.level = config.logConfig.consoleLevel = 0
    return config


def _account(endpoint: Any, target: str, caller: str, codec: str | None) -> Any:
    host = target.partition("@")[2].partition(";")[0].partition(":")[0] or target.partition(":")[2].partition(":")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
            own = str(probe.getsockname()[0])
        except OSError:
            own = "127.0.0.1"
    transport = pj.TransportConfig()
    transport.boundAddress, transport.port = own, 0
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    config = pj.AccountConfig()
    config.idUri = f"sip:{uri_user(caller) or caller}@{own}"
    nat = config.natConfig
    nat.contactRewriteUse = nat.viaRewriteUse = nat.sdpNatRewriteUse = nat.sipOutboundUse = 0
    config.mediaConfig.transportConfig.boundAddress = own
    config.mediaConfig.transportConfig.port = 0
    account = pj.Account()
    account.create(config, True)
    wanted = [CODECS.get(codec.lower(), codec)] if codec else list(CODECS.values())
    for known in endpoint.codecEnum2():
        name = known.codecId.rsplit("/", 1)[0]
        endpoint.codecSetPriority(known.codecId, 200 - wanted.index(name) if name in wanted else 0)
    return account


def _hum(mouth: Any, hz: int) -> None:
    if hz <= 0:
        return
    tone = pj.ToneDesc()
    tone.freq1, tone.freq2, tone.on_msec, tone.off_msec, tone.volume = hz, 0, 30_000, 0, 8192
    tones = pj.ToneDescVector()
    tones.append(tone)
    mouth.play(tones, True)


def _save(path: Path, heard: list[bytes]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(heard))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `switchroom call`."""
    parser = argparse.ArgumentParser(prog="switchroom call", description="Call as a SIP caller and tell what happens.")
    parser.add_argument("target", help="whom to call, for example sip:5000@127.0.0.1:5060")
    parser.add_argument("--digits", default="", help="digits to press, after 0.5 s of silence that follows the first prompt")
    parser.add_argument("--digits-at", type=float, metavar="S", help="press them S seconds after the answer instead")
    parser.add_argument("--tone", type=int, default=440, metavar="HZ", help="frequency that the caller hums (default 440)")
    parser.add_argument("--seconds", type=float, default=8.0, metavar="S", help="hang up so long after the answer (default 8)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write what the caller heard to this WAV file")
    parser.add_argument("--caller", default="caller", help="the caller's number")
    parser.add_argument("--codec", choices=sorted(CODECS), help="offer this codec alone")
    parser.add_argument("--listen", action="store_true", help="tell the strongest tone that is heard whenever it changes")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each event")
    options = parser.parse_args(argv)
    return call(**vars(options))
