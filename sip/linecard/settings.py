"""Everything that pjsua2 is told, in one place, each with its reason, and the card's own settings."""

from __future__ import annotations

import ctypes
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pjsua2 as pj
from pjsua2 import _pjsua2

from media.control.line import Srtp

FRAME_MS = 20
TICKS_PER_SECOND = 1000 // FRAME_MS

MAX_ACCOUNTS = 8
"""PJSUA_MAX_ACC of the wheel; it cannot be read at run time."""

CARD_USER = "linecard"
"""User part of the Contact; the edge puts a public one in its place."""
LINE_USER = f"line-{secrets.token_hex(8)}"
"""User part of the lines' accounts, which nobody can dial: pjsua gives an INVITE to the account whose user it names, and an
account that bears the caller's number of a leg would take the calls to that number away from the arrivals."""

SRTP_USE: dict[Srtp, int] = {
    "off": pj.PJMEDIA_SRTP_DISABLED,
    "optional": pj.PJMEDIA_SRTP_OPTIONAL,
    "required": pj.PJMEDIA_SRTP_MANDATORY,
}


@dataclass(frozen=True, slots=True)
class CardSettings:
    """One line card's settings, made once from the command line."""

    run: Path
    """Run directory: control socket, dialog files, patch sockets."""
    name: str
    """`linecard0` and so on; the control socket is `<name>.ctl`."""
    proxy: tuple[str, int] | None = None
    """The edge's address for cards, for legs whose lease names none; every leg that we place goes through the edge."""
    rate: int = 16000
    """The bridge's samples a second: 16000 keeps G.722 and browsers wideband, 8000 is cheaper for sites that are all G.711."""
    rtp_first: int = 0
    rtp_last: int = 0
    """Our share of `--rtp`, both ends included; 0: any port (tests only)."""
    sip: tuple[str, int] = ("127.0.0.1", 0)
    """Where we listen; port 0 takes a free one, which the inventory tells the edge."""
    public: str = ""
    """The address in our SDP; empty: the one of the interface that has the default route."""
    lines: int = 0
    """Calls at most; 0: as many as the build of pjsua2 allows."""
    ring: float = 10.0
    """Seconds that an INVITE rings when no exchange claims it; then it hears the apology."""
    patience: float = 60.0
    """Seconds without an exchange after which callers who wait hear the apology."""
    pj_log: int = 2
    """pjsua2's own log level; 4 and more print SIP messages, which hold personal data."""

    @property
    def control(self) -> Path:
        return self.run / f"{self.name}.ctl"

    @property
    def dialogs(self) -> Path:
        return self.run / "dialogs"

    @property
    def proxy_uri(self) -> str:
        return f"sip:{self.proxy[0]}:{self.proxy[1]};lr" if self.proxy is not None else ""


def own_address() -> str:
    """The address of the interface with the default route, without sending anything; loopback if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def endpoint_config(settings: CardSettings) -> Any:
    """The endpoint's configuration."""
    config = pj.EpConfig()
    agent = config.uaConfig
    agent.threadCnt = 0  # one thread of ours runs libHandleEvents: every SIP callback runs there, nothing needs a lock
    agent.mainThreadOnly = False  # else DTMF would wait in a queue until that thread wakes up by chance
    agent.userAgent = "Switchroom"
    agent.mwiUnsolicitedEnabled = False  # we have no use for message-waiting NOTIFYs: refuse them
    agent.natTypeInSdp = 0  # tells the world about our network and helps nobody
    if settings.lines:
        agent.maxCalls = min(agent.maxCalls, settings.lines)

    media = config.medConfig
    media.clockRate = settings.rate
    media.sndClockRate = settings.rate  # else the null sound device would resample for nobody
    media.channelCount = 1
    media.audioFramePtime = FRAME_MS  # a patch frame is one tick of the bridge
    media.ptime = FRAME_MS
    media.noVad = True  # a silent caller still gets RTP: carriers and firewalls cut streams that stop
    media.ecTailLen = 0  # there is no loudspeaker here
    media.quality = 4  # small resampling filter: each G.711 leg on a 16 kHz bridge is resampled twice
    media.jbInit = 20  # start with one frame: the prototype's 23 to 40 ms from RTP to RTP
    media.jbMinPre = 20
    media.jbMaxPre = 100  # grows to this when the network needs it
    media.jbMax = 240
    media.hasIoqueue = True  # RTP is received in a C thread of its own, away from Python
    media.threadCnt = 1
    media.sndAutoCloseTime = -1  # the clock is started and stopped by us, with the first and after the last call

    config.logConfig.level = settings.pj_log
    config.logConfig.consoleLevel = settings.pj_log
    config.logConfig.msgLogging = 1 if settings.pj_log >= 4 else 0
    return config


def quiet_start() -> None:
    """Keep pjlib from printing before its log level can be set."""
    ctypes.CDLL(_pjsua2.__file__).pj_log_set_level(0)


def sip_transport_config(settings: CardSettings) -> Any:
    """UDP on loopback only: the edge speaks TCP and TLS, its own OpenSSL is not 1.0.2."""
    config = pj.TransportConfig()
    config.boundAddress, config.port = settings.sip
    return config


def account_config(settings: CardSettings, *, user: str, srtp: Srtp) -> Any:
    """An account; there is no registration. What it calls itself is seen by nobody."""
    config = pj.AccountConfig()
    config.idUri = f"sip:{user}@{settings.public or settings.sip[0]}"

    nat = config.natConfig
    # The edge alone knows our public side: a card that rewrites Contact, Via or SDP by what it sees of the edge breaks it.
    nat.contactRewriteUse = 0
    nat.viaRewriteUse = 0
    nat.sdpNatRewriteUse = 0
    nat.sipOutboundUse = 0  # RFC 5626 is between a phone and its registrar
    nat.udpKaIntervalSec = 0  # no NAT between us and the edge
    nat.iceEnabled = False

    media = config.mediaConfig
    media.srtpUse = SRTP_USE[srtp]
    media.srtpSecureSignaling = 0  # else SAVP over the edge's plain UDP gets 406
    keyings = pj.IntVector()
    keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)  # DTLS here would be OpenSSL 1.0.2's
    media.srtpOpt.keyings = keyings
    media.lockCodecEnabled = False  # else an answer with two codecs makes us send a re-INVITE
    media.streamKaEnabled = False
    media.rtcpMuxEnabled = False
    transport = media.transportConfig
    transport.publicAddress = settings.public or own_address()
    if settings.rtp_first:
        transport.port = settings.rtp_first
        transport.portRange = settings.rtp_last - settings.rtp_first  # 0 would climb for ever, into the next card's ports
    config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL  # answered when the other side wants session timers
    return config


def arrivals_config(settings: CardSettings) -> Any:
    """The account that incoming calls land on; it takes SRTP where a caller offers it, unless the leg says otherwise."""
    return account_config(settings, user=CARD_USER, srtp="optional")


def line_config(settings: CardSettings, *, proxy: str, credentials: tuple[str, str, str] | None, srtp: Srtp) -> Any:
    """The account of one line, filled when it dials: route through the edge, digest credentials (realm, user, word), SRTP."""
    config = account_config(settings, user=LINE_USER, srtp=srtp)
    route = pj.StringVector()
    through = (proxy or settings.proxy_uri).strip("<>")
    route.append(f"<{through}>" if ";lr" in through else f"<{through};lr>")
    config.sipConfig.proxies = route
    if credentials is not None:
        realm, username, password = credentials
        words = pj.AuthCredInfoVector()
        words.append(pj.AuthCredInfo("digest", realm, username, 0, password))
        config.sipConfig.authCreds = words
    return config


def codec_priorities(rate: int) -> dict[str, int]:
    """What we offer, best first. An answer follows the offerer's order, so this decides only calls that we place.

    A narrowband bridge gains nothing from G.722, which then comes last.
    """
    wideband_first = rate >= 16000
    return {"G722/16000": 250 if wideband_first else 210, "PCMU/8000": 240, "PCMA/8000": 230}


def apply_codecs(endpoint: Any, rate: int) -> None:
    """Enable what we want and nothing else: iLBC, GSM, Speex and L16 cost CPU and are asked for by nobody."""
    wanted = codec_priorities(rate)
    for codec in endpoint.codecEnum2():
        name = codec.codecId.rsplit("/", 1)[0]
        endpoint.codecSetPriority(codec.codecId, wanted.get(name, 0))


def from_address(settings: CardSettings, *, caller: str, display: str, host: str) -> str:
    """The From of a leg that we place."""
    shown = "".join(c for c in display if c.isprintable()).replace("\\", "\\\\").replace('"', '\\"')
    name = f'"{shown}" ' if display else ""
    return f"{name}<sip:{caller or CARD_USER}@{host or settings.public or settings.sip[0]}>"


def line_count(settings: CardSettings) -> int:
    """How many calls this card takes: what the build allows, or fewer when so asked."""
    config = pj.EpConfig()
    built = int(config.uaConfig.maxCalls)
    return min(built, settings.lines) if settings.lines else built
