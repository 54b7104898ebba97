"""What the edge costs: INVITEs that pass it a second, and the CPU time of each message.

    python -m bench.edge [--seconds S] [--json]

A real edge process stands between two UDP sockets of this one: a caller and a card with lines without end. Each call is INVITE,
200, ACK, BYE, 200: five messages through the edge. The edge's own CPU time is read from the kernel, so this process's
share does not count; the rate is that of both together on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import uvloop

from media.control import line
from media.control.client import ControlClient
from media.control.server import ControlServer

MESSAGES_A_CALL = 5
WINDOW = 32
"""Calls under way at a time."""

INVITE = (
    "INVITE sip:5000@{edge} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n"
    'From: "Bench" <sip:bench@{own}>;tag=f{id}\r\nTo: <sip:5000@{edge}>\r\nCall-ID: {id}@bench\r\nCSeq: 1 INVITE\r\n'
    "Contact: <sip:bench@{own}>\r\nUser-Agent: bench\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nSupported: timer\r\n"
    "Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
COPIED = re.compile(r"^(?:Via|From|To|Call-ID|CSeq|Record-Route): .*\r\n", re.MULTILINE)


class Card(asyncio.DatagramProtocol):
    """Answers INVITE and BYE at once, by copying lines, and reports calls as a card does."""

    def __init__(self) -> None:
        self.own = ""
        self.control: ControlServer | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        self.own = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"ACK"):
            return
        text = data.decode()
        lines, call = "".join(COPIED.findall(text)), _header(text, "Call-ID")
        assert self.control is not None
        if data.startswith(b"BYE"):
            self.control.emit(line.PartyChanged(call, "p", "ended"))
            self.control.emit(line.CallEnded(call, line.Termination("answered", "remote-hangup")))
        else:
            tag = _header(text, "From").partition(";tag=")[2]
            self.control.emit(line.CallArrived(call, "p", call, tag, "bench", "5000"))
            lines = (
                re.sub(r"^(To: [^\r]*)", r"\1;tag=c", lines, count=1, flags=re.MULTILINE)
                + f"Contact: <sip:5000@{self.own}>\r\n"
            )
        self._transport.sendto(f"SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n".encode(), addr)


class Caller(asyncio.DatagramProtocol):
    """Keeps WINDOW calls under way."""

    def __init__(self, edge: str) -> None:
        self.done = 0
        self.failed = 0
        self.set_up: list[float] = []
        self.running = True
        self._edge = edge
        self._address = ("127.0.0.1", int(edge.split(":")[1]))
        self._began: dict[str, float] = {}
        self._number = 0
        self._own = ""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        self._own = f"{host}:{port}"

    def begin(self) -> None:
        self._number += 1
        text = INVITE.format(edge=self._edge, own=self._own, id=f"b{self._number}", length=len(SDP), sdp=SDP)
        self._began[f"b{self._number}@bench"] = time.perf_counter()
        self._transport.sendto(text.encode(), self._address)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode()
        call = _header(text, "Call-ID")
        if "CSeq: 1 INVITE" not in text:
            self.done += 1
        elif not text.startswith("SIP/2.0 200"):
            self.failed += 1
        else:
            self.set_up.append(time.perf_counter() - self._began.pop(call))
            self._follow(text, call, "ACK", 1)
            self._follow(text, call, "BYE", 2)
            return
        if self.running:
            self.begin()

    def _follow(self, text: str, call: str, method: str, cseq: int) -> None:
        routes = re.findall(r"^Record-Route: (.*)\r\n", text, re.MULTILINE)[::-1]
        self._transport.sendto(
            (
                f"{method} {_header(text, 'Contact').strip('<>')} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {self._own};branch=z9hG4bK{method}{call};rport\r\nMax-Forwards: 70\r\n"
                + "".join(f"Route: {route}\r\n" for route in routes)
                + f"From: {_header(text, 'From')}\r\nTo: {_header(text, 'To')}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n"
                "Content-Length: 0\r\n\r\n"
            ).encode(),
            self._address,
        )


class Result(msgspec.Struct, frozen=True):
    """Figures of one run: a second, seconds, microseconds, bytes."""

    calls: int
    calls_a_second: float
    messages_a_second: float
    cpu_us_a_message: float
    cores: float
    set_up_p50_ms: float
    set_up_p95_ms: float
    failed: int
    resident_mb: float


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)\r\n", text, re.MULTILINE)
    assert found is not None, name
    return found[1]


async def measure(seconds: float) -> Result:
    """Run calls for so long."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory(prefix="sr") as directory:
        run = Path(directory)
        _, card = await loop.create_datagram_endpoint(Card, local_addr=("127.0.0.1", 0))

        async def command(body: Any) -> line.Inventory:
            return line.Inventory("linecard0", control.generation, control.seq, card.own, 10_000_000, 16_000, [])

        control = ControlServer(
            run / "linecard0.ctl", card="linecard0", kind="linecard", commands=line.LineCommand, handler=command
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        card.control = control
        async with control:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sip.edge",
                "--run",
                directory,
                "--sip",
                f"127.0.0.1:{port}",
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                async with ControlClient(run / "edge.ctl", role="observer") as client:
                    await asyncio.wait_for(client.connected(), 10)
                    return await _calls(seconds, f"127.0.0.1:{port}", psutil.Process(process.pid))
            finally:
                process.kill()
                await process.wait()


async def _calls(seconds: float, edge: str, process: psutil.Process) -> Result:
    _, caller = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Caller(edge), local_addr=("127.0.0.1", 0))
    for _ in range(WINDOW):
        caller.begin()
    await asyncio.sleep(0.5)  # warm
    done, began, before = caller.done, time.perf_counter(), process.cpu_times()
    caller.set_up.clear()
    await asyncio.sleep(seconds)
    caller.running = False
    took, after = time.perf_counter() - began, process.cpu_times()
    calls = caller.done - done
    cpu = after.user + after.system - before.user - before.system
    times = sorted(caller.set_up)
    return Result(
        calls,
        calls / took,
        calls * MESSAGES_A_CALL / took,
        cpu / (calls * MESSAGES_A_CALL) * 1e6,
        cpu / took,
        times[len(times) // 2] * 1e3,
        times[len(times) * 95 // 100] * 1e3,
        caller.failed,
        process.memory_info().rss / 2**20,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = uvloop.run(measure(arguments.seconds))
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(result)))
        return
    for name, value in msgspec.to_builtins(result).items():
        print(f"{name.replace('_', ' '):<20} {value:>12,.1f}" if isinstance(value, float) else f"{name:<20} {value:>12,}")


if __name__ == "__main__":
    main()
