"""What a line card understands and reports: the call model. A call has parties and links; everything else is a set of links.

Times are seconds, audio files are mono 16-bit WAV (any rate; the bridge resamples), paths are absolute.
"""

from __future__ import annotations

from typing import Literal

import msgspec

PartyKind = Literal["sip", "patch"]
PartyState = Literal["arrived", "dialling", "ringing", "early", "connected", "ended"]
Result = Literal["answered", "unanswered", "cancelled", "refused", "failed"]
Srtp = Literal["off", "optional", "required"]
"""SDES keys (RFC 4568): never; where the other side wants them; or no call without."""


class Termination(msgspec.Struct, frozen=True):
    """How a leg ended: CDR, metric, log and screen text derive from it.

    `reason` is a stable word: remote-hangup, local-hangup, cancelled, rejected, busy, no-answer, not-found, unavailable,
    media-timeout, card-died, apology, transferred, overload, error.
    """

    result: Result
    reason: str
    by: Literal["remote", "local", "system"] = "system"
    sip_code: int = 0


class Link(msgspec.Struct, frozen=True, order=True):
    """`listener` hears `source`; both are party ids of one call."""

    source: str
    listener: str


# --- commands -----------------------------------------------------------------------------------------------------


class Configure(msgspec.Struct, frozen=True, tag="configure"):
    """Files the card needs when nobody commands it. Sent by the exchange at each connect."""

    apology: str = ""
    music: str = ""
    media_timeout: float = 20.0


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Answer an arrived party: 180 rings, 183 opens early media, 200 connects."""

    call: str
    party: str
    code: int = 200


class Reject(msgspec.Struct, frozen=True, tag="reject"):
    call: str
    party: str
    code: int = 603
    reason: str = "rejected"


class HangUp(msgspec.Struct, frozen=True, tag="hang_up"):
    """End one party; a party that is gone already is no error."""

    call: str
    party: str
    reason: str = "local-hangup"


class EndCall(msgspec.Struct, frozen=True, tag="end_call"):
    """End every party of the call."""

    call: str
    reason: str = "local-hangup"


class Play(msgspec.Struct, frozen=True, tag="play"):
    """Play files in order to one party; `player` is the caller's id for it. Ends with PlayEnded.

    `barge_in`: any digit of the party stops it. A new Play to the same party stops the one before.
    """

    call: str
    party: str
    player: str
    files: list[str]
    loop: bool = False
    barge_in: bool = False


class PlayTone(msgspec.Struct, frozen=True, tag="play_tone"):
    """Play one or two frequencies (Hz) with a cadence in ms (off 0: steady) for `seconds` (0: until stopped)."""

    call: str
    party: str
    player: str
    frequency: int
    frequency2: int = 0
    on_ms: int = 1000
    off_ms: int = 0
    seconds: float = 0.0


class StopPlay(msgspec.Struct, frozen=True, tag="stop_play"):
    """Stop one player (or, with an empty id, whatever plays to the party); PlayEnded(stopped) follows if it was playing."""

    call: str
    party: str
    player: str = ""


class Collect(msgspec.Struct, frozen=True, tag="collect"):
    """Play `files`, then wait for digits; ends with Collected. The digits dialled ahead (type-ahead) count.

    `first_timeout` runs from the prompt's end (or from the start, without a prompt), `digit_timeout` between digits.
    `secret`: the digits appear in no log, no Digit event and no recording; they are only in Collected.
    """

    call: str
    party: str
    collect: str
    files: list[str] = []
    min_digits: int = 1
    max_digits: int = 1
    terminators: str = "#"
    first_timeout: float = 5.0
    digit_timeout: float = 3.0
    barge_in: bool = True
    secret: bool = False


class StopCollect(msgspec.Struct, frozen=True, tag="stop_collect"):
    call: str
    party: str
    collect: str


class Music(msgspec.Struct, frozen=True, tag="music"):
    """Music to one party on or off; `file` empty: the card's default. Independent of links and players."""

    call: str
    party: str
    on: bool
    file: str = ""


class SetLinks(msgspec.Struct, frozen=True, tag="set_links"):
    """The whole set of links of a call, replacing the one before; parties that do not exist yet are linked when they come."""

    call: str
    links: list[Link]


class Mute(msgspec.Struct, frozen=True, tag="mute"):
    """Nobody hears the party while `on`; links stay as they are."""

    call: str
    party: str
    on: bool


class Record(msgspec.Struct, frozen=True, tag="record"):
    """Record the call: left is party `left`, right everybody else (also parties who come later).

    Writes `<directory>/<recording>.left.wav` and `.right.wav`; ends with RecordingEnded when stopped or when the call ends.
    With `silence`, it stops by itself when the left party has said nothing for so long.
    """

    call: str
    recording: str
    left: str
    directory: str
    right: bool = True
    silence: float = 0.0


class PauseRecord(msgspec.Struct, frozen=True, tag="pause_record"):
    """Silence goes into both channels while `on`; the gap is marked."""

    call: str
    recording: str
    on: bool


class StopRecord(msgspec.Struct, frozen=True, tag="stop_record"):
    call: str
    recording: str


class OpenPatch(msgspec.Struct, frozen=True, tag="open_patch"):
    """Add a patch party: PCM frames over unix datagram sockets, ours bound at `own`, the other end's at `peer`.

    The frames have the bridge's rate. Connected at once; ends by HangUp, EndCall, or ClosePatch of the other side.
    """

    call: str
    party: str
    own: str
    peer: str


class PlaceLeg(msgspec.Struct, frozen=True, tag="place_leg"):
    """Dial a SIP party into the call (a new call, if the id is new) over the line leased from the edge.

    `srtp` says what the offer holds: no keys, keys with RTP/AVP (who does not know them passes them over), RTP/SAVP.
    """

    call: str
    party: str
    lease: str
    target: str
    proxy: str
    caller: str = ""
    display: str = ""
    username: str = ""
    password: str = ""
    realm: str = "*"
    headers: dict[str, str] = {}
    timeout: float = 60.0
    srtp: Srtp = "off"


class SendDigits(msgspec.Struct, frozen=True, tag="send_digits"):
    call: str
    party: str
    digits: str
    method: Literal["rfc4733", "info"] = "rfc4733"


class PressDigits(msgspec.Struct, frozen=True, tag="press_digits"):
    """Digits that the party pressed where the card cannot hear them (a web caller's come over a WebSocket)."""

    call: str
    party: str
    digits: str


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """REFER the party to `target`; with `replaces`, to the dialog of that party of the same card."""

    call: str
    party: str
    target: str = ""
    replaces: str = ""


class AnswerTransfer(msgspec.Struct, frozen=True, tag="answer_transfer"):
    """Decide a REFER that a party sent (TransferRequested); unanswered within 4 s it gets 603."""

    call: str
    party: str
    accept: bool


class ForgetCall(msgspec.Struct, frozen=True, tag="forget_call"):
    """The end of the call is known: drop it from the inventory."""

    call: str


class TakeInventory(msgspec.Struct, frozen=True, tag="inventory"):
    """Returns an Inventory."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Take no new calls; leave when the last one has ended."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """End everything now and leave."""


LineCommand = (
    Configure
    | Answer
    | Reject
    | HangUp
    | EndCall
    | Play
    | PlayTone
    | StopPlay
    | Collect
    | StopCollect
    | Music
    | SetLinks
    | Mute
    | Record
    | PauseRecord
    | StopRecord
    | OpenPatch
    | PlaceLeg
    | SendDigits
    | PressDigits
    | Transfer
    | AnswerTransfer
    | ForgetCall
    | TakeInventory
    | Drain
    | Shutdown
)

# --- events -------------------------------------------------------------------------------------------------------


class CallArrived(msgspec.Struct, frozen=True, tag="call_arrived"):
    """An INVITE came. `headers` are those the edge let through as call data, `trunk` the one it came by, if any."""

    call: str
    party: str
    sip_call_id: str
    from_tag: str
    ani: str
    dnis: str
    display: str = ""
    source: str = ""
    headers: dict[str, str] = {}
    trunk: str = ""


class PartyChanged(msgspec.Struct, frozen=True, tag="party_changed"):
    call: str
    party: str
    state: PartyState
    termination: Termination | None = None
    quality: Quality | None = None


class Quality(msgspec.Struct, frozen=True):
    """Media figures of a leg: seconds, milliseconds and packets; `srtp`: whether they were encrypted in the end."""

    codec: str = ""
    sent: int = 0
    received: int = 0
    lost: int = 0
    discarded: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float = 0.0
    remote_lost: int = 0
    remote_jitter_ms: float = 0.0
    srtp: bool = False


class PartyHeld(msgspec.Struct, frozen=True, tag="party_held"):
    """The other side put the leg on hold (it does not want our audio), or took it back."""

    call: str
    party: str
    on: bool


class CallEnded(msgspec.Struct, frozen=True, tag="call_ended"):
    """The last party is gone; kept in the inventory until ForgetCall."""

    call: str
    termination: Termination


class Digit(msgspec.Struct, frozen=True, tag="digit"):
    call: str
    party: str
    digit: str
    method: Literal["rfc4733", "info", "web"]


class PlayEnded(msgspec.Struct, frozen=True, tag="play_ended"):
    call: str
    party: str
    player: str
    why: Literal["finished", "stopped", "barged", "failed"]


class Collected(msgspec.Struct, frozen=True, tag="collected"):
    """`why`: enough (max or terminator), timeout (some digits, then none), no-input, stopped, ended (the party left)."""

    call: str
    party: str
    collect: str
    digits: str
    why: Literal["enough", "timeout", "no-input", "stopped", "ended"]


class MediaTimeout(msgspec.Struct, frozen=True, tag="media_timeout"):
    """No RTP from the party for so long while it should send; the card hangs it up."""

    call: str
    party: str
    seconds: float


class TransferRequested(msgspec.Struct, frozen=True, tag="transfer_requested"):
    call: str
    party: str
    target: str
    replaces: str = ""


class TransferEnded(msgspec.Struct, frozen=True, tag="transfer_ended"):
    """What the party says became of its REFER (`Transfer`): a SIP status. With 2xx it is hung up now, else it stays."""

    call: str
    party: str
    code: int


class Mark(msgspec.Struct, frozen=True):
    """A paused stretch of a recording, seconds from its start; `end` is -1 while it lasts."""

    start: float
    end: float


class RecordingEnded(msgspec.Struct, frozen=True, tag="recording_ended"):
    """Both files are closed. `failed` says why there is nothing (or not all); `quiet` is the silence that ended it."""

    call: str
    recording: str
    left: str
    right: str
    started: float
    seconds: float
    paused: list[Mark] = []
    failed: str = ""
    quiet: float = 0.0


class LinesHeld(msgspec.Struct, frozen=True, tag="lines_held"):
    """So many lines are taken though their leg has ended: the other side has not answered our BYE or CANCEL yet.

    Comes before the leg's end, and again whenever the number changes.
    """

    lines: int


class Overload(msgspec.Struct, frozen=True, tag="overload"):
    """The bridge's clock runs at `ticks` of `expected` a second; the card refuses new calls while `on`."""

    on: bool
    ticks: float
    expected: float


LineEvent = (
    CallArrived
    | PartyChanged
    | PartyHeld
    | CallEnded
    | Digit
    | PlayEnded
    | Collected
    | MediaTimeout
    | TransferRequested
    | TransferEnded
    | RecordingEnded
    | LinesHeld
    | Overload
)

# --- inventory ----------------------------------------------------------------------------------------------------


class PartyRecord(msgspec.Struct, frozen=True):
    party: str
    kind: PartyKind
    state: PartyState
    muted: bool = False
    music: bool = False
    player: str = ""
    collect: str = ""
    sip_call_id: str = ""
    from_tag: str = ""
    branch: str = ""
    peer: str = ""
    termination: Termination | None = None
    held: bool = False


class CallRecord(msgspec.Struct, frozen=True):
    call: str
    arrived: CallArrived | None
    started: float
    answered: float
    parties: list[PartyRecord]
    links: list[Link]
    recording: str = ""
    recording_paused: bool = False
    ended: Termination | None = None


class Inventory(msgspec.Struct, frozen=True):
    """Everything a card holds, and the seq of the last event it includes."""

    card: str
    generation: str
    seq: int
    sip: str
    lines: int
    rate: int
    calls: list[CallRecord]
    draining: bool = False
    overloaded: bool = False
    counters: dict[str, float] = {}
