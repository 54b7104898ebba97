"""Running sipp as a caller or as a callee, with small scenarios written in Python."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

HEAD = '<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="test">\n'
TAIL = "</scenario>\n"


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port of 127.0.0.1 that nobody has just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_range(count: int) -> tuple[int, int]:
    """An even port and the end of a range of `count` UDP ports from it that are all free just now."""
    for _ in range(200):
        first = free_port() & ~1
        if first + count > 65535:
            continue
        probes: list[socket.socket] = []
        try:
            for port in range(first, first + count):
                probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                probes.append(probe)
                probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        return first, first + count - 1
    raise RuntimeError("no free range of ports")


# --- pieces of scenarios ------------------------------------------------------------------------------------------

SDP = """v=0
o=sipp 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio {port} RTP/AVP {formats}
{maps}a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a={direction}
"""
MAPS = {"8": "a=rtpmap:8 PCMA/8000\n", "0": "a=rtpmap:0 PCMU/8000\n", "9": "a=rtpmap:9 G722/8000\n"}


def sdp(
    codecs: Sequence[str] = ("8", "0"), *, direction: str = "sendrecv", version: int = 1, port: str = "[media_port]"
) -> str:
    """An offer or answer."""
    maps = "".join(MAPS[codec] for codec in codecs)
    return SDP.format(version=version, port=port, formats=" ".join([*codecs, "101"]), maps=maps, direction=direction)


def send(text: str, *, retrans: bool = True) -> str:
    """A `send` of this message; its lines may be indented."""
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    attribute = ' retrans="500"' if retrans else ""
    return f"<send{attribute}><![CDATA[\n{lines}\n\n]]></send>\n"


def body(text: str, kind: str = "application/sdp") -> str:
    """The end of a message with a body."""
    return f"Content-Type: {kind}\nContent-Length: [len]\n\n{text.strip()}"


def receive(code: int, *, optional: bool = False, rrs: bool = False) -> str:
    flags = (' optional="true"' if optional else "") + (' rrs="true"' if rrs else "")
    return f'<recv response="{code}"{flags}></recv>\n'


def expect(method: str, action: str = "") -> str:
    """Wait for a request."""
    return f'<recv request="{method}">{action}</recv>\n'


def pause(milliseconds: int) -> str:
    return f'<pause milliseconds="{milliseconds}"/>\n'


def play(path: Path, payload: int = 8, codec: str = "PCMA/8000") -> str:
    """Stream a raw G.711 file for ever."""
    return f'<nop><action><exec rtp_stream="{path},-1,{payload},{codec}"/></action></nop>\n'


def play_pcap(path: str) -> str:
    return f'<nop><action><exec play_pcap_audio="{path}"/></action></nop>\n'


def request(method: str, cseq: int, ending: str = "Content-Length: 0", headers: str = "") -> str:
    """A request of the caller inside its dialog."""
    return send(
        f"""{method} [next_url] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: "Tester" <sip:1234@[local_ip]:[local_port]>;tag=[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
        [routes]
        Call-ID: [call_id]
        CSeq: {cseq} {method}
        Contact: <sip:1234@[local_ip]:[local_port]>
        Max-Forwards: 70
        {headers.strip()}
        {ending}""".replace("\n        \n", "\n"),
        retrans=method != "ACK",
    )


def invite(*, headers: str = "", offer: str | None = None) -> str:
    """The first INVITE."""
    extra = headers.strip() + "\n" if headers.strip() else ""
    return send(
        """INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: "Tester" <sip:1234@[local_ip]:[local_port]>;tag=[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>
        Call-ID: [call_id]
        CSeq: 1 INVITE
        Contact: <sip:1234@[local_ip]:[local_port]>
        Max-Forwards: 70
        """
        + extra
        + body(sdp() if offer is None else offer)
    )


def answered() -> str:
    """Wait for the 200 of the INVITE and send the ACK."""
    return (
        receive(100, optional=True)
        + receive(180, optional=True)
        + receive(183, optional=True)
        + receive(200, rrs=True)
        + request("ACK", 1)
    )


def ok(ending: str = "Content-Length: 0") -> str:
    """Answer the request that came last."""
    return send(
        """SIP/2.0 200 OK
        [last_Via:]
        [last_From:]
        [last_To:]
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:[local_ip]:[local_port]>
        """
        + ending,
        retrans=False,
    )


# --- running ------------------------------------------------------------------------------------------------------


@dataclass
class Sipp:
    """One sipp process; `async with`, then `finished()`."""

    scenario: str
    folder: Path
    target: str = ""
    service: str = "5000"
    calls: int = 1
    rate: float = 10.0
    media: bool = False
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"scenario-{self.port}.xml"
        path.write_text(HEAD + self.scenario + TAIL)
        media_port = free_range(8)[0]
        arguments = ["-sf", str(path), "-i", "127.0.0.1", "-p", str(self.port), "-mi", "127.0.0.1", "-mp", str(media_port)]
        arguments += [
            "-m",
            str(self.calls),
            "-r",
            str(self.rate),
            "-s",
            self.service,
            "-nostdin",
            "-timeout",
            "60s",
            "-timeout_error",
        ]
        arguments += ["-trace_err", "-error_file", str(self.folder / f"errors-{self.port}.log"), "-trace_msg"]
        arguments += ["-message_file", str(self.folder / f"messages-{self.port}.log"), *self.options]
        if self.target:
            arguments.append(self.target)
        self.process = await asyncio.create_subprocess_exec(
            "sipp", *arguments, cwd=self.folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        return self

    async def finished(self, seconds: float = 30.0) -> int:
        """Wait for its end; 0 when every call went by the scenario."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), seconds)

    def messages(self) -> str:
        """Everything sent and received so far."""
        path = self.folder / f"messages-{self.port}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def statuses(self) -> list[int]:
        """Codes of the responses received, in order."""
        return [int(code) for code in re.findall(r"message received[^\n]*\n\nSIP/2.0 (\d+)", self.messages())]

    def errors(self) -> str:
        path = self.folder / f"errors-{self.port}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def __aexit__(self, *exc: object) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
