"""Cards for the exchange to command: real control servers, with the state of a card and no sound behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from media.control import desk, edge, line, work
from media.control.envelope import ControlError
from media.control.server import ControlServer

NO_OFFER = "no offer"
"""An SDP that desk cards refuse."""
QUESTIONS = (line.Configure, line.TakeInventory, desk.TakeInventory, edge.Configure, edge.TakeInventory)


class Card:
    """What all fakes have: commands in their order, refusals and pauses by order, cuts and deaths."""

    kind = ""
    language: Any = None

    def __init__(self, run: Path, name: str, changed: asyncio.Event) -> None:
        self.run = run
        self.name = name
        self.done: list[Any] = []
        """Commands that were carried out (not the repeated ones, not the questions)."""
        self.refuse: dict[type, ControlError] = {}
        self.hold: dict[type, asyncio.Event] = {}
        self.server: ControlServer | None = None
        self.changed = changed
        self._generations = 0

    async def start(self) -> None:
        """A new process of this card."""
        self._generations += 1
        self.server = ControlServer(
            self.run / f"{self.name}.ctl",
            card=self.name,
            kind=self.kind,
            commands=self.language,
            handler=self._handle,
            generation=f"{self.name}-{self._generations}",
        )
        await self.server.__aenter__()

    async def die(self) -> None:
        """With all it held."""
        if self.server is not None:
            await self.server.__aexit__()
            self.server = None

    def cut(self) -> None:
        """The control connections break; the card lives on."""
        assert self.server is not None
        for client in list(self.server._clients):
            client.close()

    def emit(self, body: Any) -> None:
        assert self.server is not None
        self.server.emit(body)

    async def _handle(self, body: Any) -> Any:
        if not isinstance(body, QUESTIONS):
            self.done.append(body)
        self.changed.set()
        if type(body) in self.hold:
            await self.hold[type(body)].wait()
        if type(body) in self.refuse:
            raise self.refuse[type(body)]
        return self.do(body)

    def do(self, body: Any) -> Any:
        raise NotImplementedError

    def of(self, *kinds: type) -> list[Any]:
        """Commands of these kinds that were carried out."""
        return [command for command in self.done if isinstance(command, kinds)]


@dataclass
class FakeCall:
    """A call of the fake line card."""

    name: str
    customer: str
    arrived: line.CallArrived | None = None
    """None: a web caller's, whose customer is a patch, or one that was dialled."""
    dialled: bool = False
    started: float = field(default_factory=time.time)
    answered: float = 0.0
    patches: dict[str, bool] = field(default_factory=dict)
    """Party and whether it is muted."""
    links: list[line.Link] = field(default_factory=list)
    music: bool = False
    player: str = ""
    collect: str = ""
    recording: str = ""
    paused: bool = False
    ended: line.Termination | None = None

    def record(self) -> line.CallRecord:
        state: line.PartyState = (
            "ended" if self.ended else "connected" if self.answered else "dialling" if self.dialled else "arrived"
        )
        parties = [line.PartyRecord(self.customer, "sip" if self.arrived or self.dialled else "patch", state, music=self.music)]
        parties += [line.PartyRecord(p, "patch", "connected", muted=muted) for p, muted in self.patches.items()]
        return line.CallRecord(
            self.name,
            self.arrived,
            self.started,
            self.answered,
            parties,
            self.links,
            self.recording,
            self.paused,
            self.ended,
        )


class LineCard(Card):
    """Takes calls and plays prompts at once; digits and hang-ups come from the test."""

    kind = "linecard"
    language = line.LineCommand

    def __init__(self, run: Path, name: str, changed: asyncio.Event) -> None:
        super().__init__(run, name, changed)
        self.calls: dict[str, FakeCall] = {}
        self.forgotten: list[str] = []
        self.plays = True

    async def die(self) -> None:
        await super().die()
        self.calls.clear()

    def call(self, number: int, *, dnis: str = "5000", silent: bool = False) -> str:
        """An INVITE comes; its call id."""
        call, party = f"{self.name}-call-{number}", f"{self.name}-party-{number}"
        arrived = line.CallArrived(call, party, f"sip-{number}", "tag", "+4930123", dnis, "Ann")
        self.calls[call] = FakeCall(call, party, arrived)
        if not silent:
            self.emit(arrived)
        return call

    def press(self, call: str, digits: str, why: str = "enough") -> None:
        """The running collector ends."""
        state = self.calls[call]
        assert state.collect, "nobody asks for digits"
        event = {"type": "collected", "call": call, "party": state.customer, "collect": state.collect}
        state.collect = ""
        self.emit(msgspec.convert({**event, "digits": digits, "why": why}, line.Collected))

    def answer(self, call: str) -> None:
        """The customer who was dialled is there."""
        self.calls[call].answered = time.time()
        self.emit(line.PartyChanged(call, self.calls[call].customer, "connected"))

    def refuse_leg(self, call: str, reason: str) -> None:
        """The customer who was dialled is not there."""
        state = self.calls[call]
        end = line.Termination("refused", reason, "remote", 486)
        self.emit(line.PartyChanged(call, state.customer, "ended", end))
        if not state.patches:
            state.ended = end
            self.emit(line.CallEnded(call, end))

    def hang_up(self, call: str, reason: str = "remote-hangup", by: str = "remote") -> None:
        """The customer's leg and the call end."""
        state = self.calls[call]
        if state.ended is not None:
            return
        for party in list(state.patches):
            self._part(state, party)
        end = msgspec.convert({"result": "answered", "reason": reason, "by": by}, line.Termination)
        state.ended = end
        self.emit(line.PartyChanged(call, state.customer, "ended", end, line.Quality("PCMU", 100, 99, 1)))
        recording, state.recording = state.recording, ""
        self.emit(line.CallEnded(call, end))
        if recording:
            self.recorded(call, recording)

    def recorded(self, call: str, recording: str, seconds: float = 5.0, **more: Any) -> None:
        """A recording's files are closed."""
        folder = self.run / "recordings"
        left, right = str(folder / f"{recording}.left.wav"), str(folder / f"{recording}.right.wav")
        if call in self.calls:
            self.calls[call].recording = ""
        self.emit(line.RecordingEnded(call, recording, left, right, time.time() - seconds, seconds, **more))

    def _part(self, state: FakeCall, party: str) -> None:
        if state.patches.pop(party, None) is not None:
            end = line.Termination("answered", "local-hangup", "local")
            self.emit(line.PartyChanged(state.name, party, "ended", end))

    def do(self, body: Any) -> Any:
        match body:
            case line.Configure():
                return None
            case line.TakeInventory():
                assert self.server is not None
                calls = [c.record() for c in self.calls.values()]
                return line.Inventory(self.name, self.server.generation, self.server.seq, "127.0.0.1:1", 4, 16000, calls)
            case line.ForgetCall(call):
                self.calls.pop(call, None)
                self.forgotten.append(call)
                return None
        state = self.calls.get(body.call)
        if isinstance(body, line.PlaceLeg):
            patches = self.calls[body.call].patches if body.call in self.calls else {}
            self.calls[body.call] = FakeCall(body.call, body.party, dialled=True, patches=patches)
            self.emit(line.PartyChanged(body.call, body.party, "dialling"))
            return None
        if state is None and isinstance(body, line.OpenPatch) and body.call.startswith("back"):
            state = self.calls[body.call] = FakeCall(body.call, "", dialled=True)
        if state is None and isinstance(body, line.OpenPatch):
            self.calls[body.call] = FakeCall(body.call, body.party, answered=time.time())
            self.emit(line.PartyChanged(body.call, body.party, "connected"))
            return None
        if state is None or state.ended is not None:
            raise ControlError("no-call", f"There is no call {body.call}.")
        self._do(state, body)
        return None

    def _do(self, state: FakeCall, body: Any) -> None:
        match body:
            case line.Answer():
                state.answered = time.time()
                self.emit(line.PartyChanged(body.call, body.party, "connected"))
            case line.Play(player=player):
                if self.plays:
                    self.emit(line.PlayEnded(body.call, body.party, player, "finished"))
                else:
                    state.player = player
            case line.Collect(collect=collect):
                state.collect = collect
            case line.StopPlay() if state.player:
                self.emit(line.PlayEnded(body.call, body.party, state.player, "stopped"))
                state.player = ""
            case line.PressDigits(call, digits=digits) if state.collect:
                self.press(call, digits)
            case line.Music(on=on):
                state.music = on
            case line.SetLinks(links=links):
                state.links = list(links)
            case line.Mute(party=party, on=on):
                state.patches[party] = on
            case line.OpenPatch(party=party):
                state.patches[party] = False
                self.emit(line.PartyChanged(body.call, party, "connected"))
            case line.HangUp(party=party) if party != state.customer:
                self._part(state, party)
            case line.Record(recording=recording):
                if state.recording:
                    raise ControlError("already-recording", "One recording a call.")
                state.recording, state.paused = recording, False
            case line.PauseRecord(on=on):
                state.paused = on
            case line.StopRecord(recording=recording) if state.recording == recording:
                self.recorded(body.call, recording)
            case line.EndCall() | line.Reject() | line.HangUp():
                self.hang_up(body.call, "local-hangup", "local")


class DeskCard(Card):
    """Takes connections; whether they have sound is the test's word."""

    kind = "deskcard"
    language = desk.DeskCommand

    def __init__(self, run: Path, name: str, changed: asyncio.Event) -> None:
        super().__init__(run, name, changed)
        self.connections: dict[str, desk.ConnectionRecord] = {}

    async def die(self) -> None:
        await super().die()
        self.connections.clear()

    def change(self, connection: str, state: desk.ConnectionState) -> None:
        """A connection comes or goes."""
        record = self.connections[connection]
        self.connections[connection] = msgspec.structs.replace(record, state=state)
        self.emit(desk.ConnectionChanged(connection, record.owner, state))

    def do(self, body: Any) -> Any:
        match body:
            case desk.TakeInventory():
                assert self.server is not None
                return desk.Inventory(self.name, self.server.generation, self.server.seq, list(self.connections.values()))
            case desk.Connect(sdp=sdp) if sdp == NO_OFFER:
                raise ControlError("bad-sdp", "That is no offer.")
            case desk.Connect(connection, owner):
                record = desk.ConnectionRecord(connection, owner, "connecting", since=time.time())
                self.connections[connection] = record
                return desk.Connected(f"answer to {owner}")
            case desk.Disconnect(connection):
                self.connections.pop(connection, None)
            case desk.Patch(connection, patch):
                if connection not in self.connections:
                    raise ControlError("no-connection", f"There is no connection {connection}.")
                self._patched(connection, patch)
            case desk.Unpatch(connection, patch):
                if connection in self.connections and self.connections[connection].patch == patch:
                    self._patched(connection, "")
                    owner = self.connections[connection].owner
                    self.emit(desk.LegQuality(connection, owner, patch, line.Quality("opus", 50, 50), seconds=1.0))
        return None

    def _patched(self, connection: str, patch: str) -> None:
        self.connections[connection] = msgspec.structs.replace(self.connections[connection], patch=patch)


class Edge(Card):
    """Hands out lines of `linecard0`."""

    kind = "edge"
    language = edge.EdgeCommand

    def do(self, body: Any) -> Any:
        if isinstance(body, edge.TakeInventory):
            return edge.Inventory("edge", "e", 0, "127.0.0.1:1", [edge.CardLines("linecard0", "g", 4, 0, 0, True)])
        if isinstance(body, edge.LeaseLine):
            return edge.Lease(body.lease, "linecard0", "sip:127.0.0.1:1;lr", time.time() + body.seconds)
        return None


class Speech(Card):
    """Speaks at once."""

    kind = "speech"
    language = work.SpeechCommand

    def do(self, body: Any) -> Any:
        if isinstance(body, work.Speak):
            return work.Spoken(f"/prompts/{body.text}.wav", 1.0, True)
        return None


class Vault(Card):
    """Files nothing."""

    kind = "vault"
    language = work.VaultCommand

    def do(self, body: Any) -> Any:
        return None


async def until(true: Callable[[], Any], changed: asyncio.Event, seconds: float = 5.0) -> Any:
    """Wait until something that happened makes it true; its truthy answer."""
    async with asyncio.timeout(seconds):
        while not (found := true()):
            changed.clear()
            waiting = asyncio.ensure_future(changed.wait())
            await asyncio.wait([waiting], timeout=0.02)
            waiting.cancel()
    return found
