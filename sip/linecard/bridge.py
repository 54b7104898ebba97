"""The conference bridge: its clock, the ports on it, and connections that are declared, not made one by one."""

from __future__ import annotations

import os
import time
import wave
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pjsua2 as pj
import structlog

from sip.linecard import threadstate
from sip.linecard.engine import Engine, Timer
from sip.linecard.guard import guarded
from sip.linecard.settings import TICKS_PER_SECOND, CardSettings

log = structlog.get_logger()

SILENCE_SECONDS = 10
SETTLE = 0.06
"""Seconds (three ticks) between taking a port off the bridge and freeing it: connections change only at a tick."""
IDLE = 1.0
"""Seconds after the last call until the clock stops; the next call of a busy hour finds it running."""
WATCH = 0.25
"""Seconds between two looks at the tick rate."""
WINDOW = 1.0
"""Seconds that each look looks back on, or more when it comes late."""
OVERLOADED = 0.94 * TICKS_PER_SECOND
RECOVERED = 0.98 * TICKS_PER_SECOND
LATE = 1.25
"""Seconds of a low rate that are overload: one hiccup of the machine, which leaves the window after a second, is none."""
CALM = 2.5


class Port:
    """A place on the bridge. `media` must not be touched when the port is no longer `alive`: pjsua2 has freed it."""

    __slots__ = ("alive", "media", "name")

    def __init__(self, media: Any, name: str) -> None:
        self.media = media
        self.name = name
        self.alive = True

    def __repr__(self) -> str:
        return f"<Port {self.name}{'' if self.alive else ' gone'}>"


Connection = tuple[Port, Port]
"""(source, listener)"""


class FilePlayer(pj.AudioMediaPlayer):  # type: ignore[misc]  # untyped library
    """A WAV file on the bridge; `ended` is called in the engine's thread at its end."""

    def __init__(self, engine: Engine, path: str, *, loop: bool, ended: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._engine = engine
        self._ended = ended
        self.createPlayer(path, 0 if loop else pj.PJMEDIA_FILE_NO_LOOP)

    @guarded
    def onEof2(self) -> None:
        if self._ended is not None:
            self._engine.soon(self._ended)


class TickRate:
    """Decides from the tick rate whether the card is overloaded: quick to say so, slow to take it back."""

    def __init__(self) -> None:
        self.overloaded = False
        self._since: float | None = None

    def look(self, ticks: float, now: float) -> bool:
        """Whether this look changed the answer."""
        bad = ticks < (RECOVERED if self.overloaded else OVERLOADED)
        if bad == self.overloaded:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._since < (CALM if self.overloaded else LATE):
            return False
        self._since = None
        self.overloaded = not self.overloaded
        return True


class Bridge:
    """One for a card. Everything here runs in the engine's thread."""

    def __init__(
        self, endpoint: Any, engine: Engine, settings: CardSettings, on_overload: Callable[[bool, float], None]
    ) -> None:
        self.ticks = float(TICKS_PER_SECOND)
        self.running = False
        self._endpoint = endpoint
        self._engine = engine
        self._settings = settings
        self._on_overload = on_overload
        self._connections: dict[object, set[Connection]] = {}
        self._music: dict[str, Port] = {}
        self._silence: Port | None = None
        self._stopping: Timer | None = None
        self._counted = 0
        self._position = 0
        self._looks: deque[tuple[float, int]] = deque()
        self._rate = TickRate()
        self._watching: Timer | None = None

    # --- the clock ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run the clock: a call is there."""
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None
        if not self.running:
            self._endpoint.audDevManager().setNullDev()
            self.running = True
            self._watching = self._engine.later(WATCH, self._watch)
        self.silence()

    def idle(self) -> None:
        """No call is left: stop the clock in a while."""
        if self.running and self._stopping is None:
            self._stopping = self._engine.later(IDLE, self._stop)

    def _stop(self) -> None:
        self._stopping = None
        ports = [*self._music.values(), *([self._silence] if self._silence is not None else [])]
        self._music.clear()
        self._silence = None
        for port in ports:
            self.retire(port)
        self._engine.later(2 * SETTLE, self._halt)

    def _halt(self) -> None:
        if self._stopping is None and not self._connections and self._silence is None:
            self._endpoint.audDevManager().setNoDev()  # waits for the clock's thread to end
            threadstate.give_back()
            self.running = False
            self._looks.clear()
            if self._rate.overloaded:
                # Nothing tells any more whether it still is so; the next call's clock will.
                self._rate = TickRate()
                self._on_overload(False, self.ticks)
            if self._watching is not None:
                self._watching.cancel()

    # --- ports ----------------------------------------------------------------------------------------------------

    def silence(self) -> Port:
        """A source of silence: who hears it gets frames, whatever else there is."""
        if self._silence is None:
            path = self._settings.run / f"silence-{self._settings.rate}.wav"
            if not path.exists():
                _write_silence(path, self._settings.rate)
            self._silence = Port(FilePlayer(self._engine, str(path), loop=True), "silence")
            # The null device listens always, so that the player's position counts every tick of the clock.
            self._silence.media.startTransmit(self._endpoint.audDevManager().getPlaybackDevMedia())
            self._position = 0
            self._looks.clear()
        return self._silence

    def media_time(self) -> int:
        """Samples that the bridge's clock has counted; what is connected now takes part from the next frame on."""
        if self._silence is not None:
            position = int(self._silence.media.getPos())
            self._counted += (position - self._position) % (SILENCE_SECONDS * self._settings.rate)
            self._position = position
        return self._counted

    def music(self, path: str) -> Port | None:
        """The one looping player of a music file; None (and logged) when it cannot be played."""
        port = self._music.get(path)
        if port is None:
            try:
                port = Port(FilePlayer(self._engine, path, loop=True), "music")
            except pj.Error as error:
                log.error("music cannot be played", file=path, error=error.info())
                return None
            self._music[path] = port
        return port

    def retire(self, port: Port, then: Callable[[], None] | None = None) -> None:
        """Take a port of ours off the bridge and free it when the clock has seen that; `then` runs after."""
        self._disconnect_all(port)
        port.alive = False
        kept = [port.media]
        port.media = None

        def free() -> None:
            kept.clear()
            if then is not None:
                self._engine.later(SETTLE, then)  # the bridge holds the port, and its file open, until its next tick

        self._engine.later(SETTLE, free)

    def lost(self, port: Port) -> None:
        """pjsua2 has taken this port away (media made anew, leg ended): its connections went with it."""
        port.alive = False
        port.media = None
        self._keep({owner: {c for c in found if port not in c} for owner, found in self._connections.items()})

    # --- connections ----------------------------------------------------------------------------------------------

    def apply(self, owner: object, wanted: Iterable[Connection]) -> None:
        """Make the connections of `owner` exactly these."""
        target = {c for c in wanted if c[0].alive and c[1].alive}
        have = self._connections.get(owner, set())
        for connection in have - target:
            self._cut(connection)
        for source, listener in sorted(target - have, key=lambda c: (c[0].name, c[1].name)):
            try:
                source.media.startTransmit(listener.media)
            except pj.Error as error:
                log.error("ports cannot be connected", source=source.name, listener=listener.name, error=error.info())
                target.discard((source, listener))
        if target:
            self._connections[owner] = target
        else:
            self._connections.pop(owner, None)

    def connections(self, owner: object) -> set[Connection]:
        return set(self._connections.get(owner, set()))

    def _disconnect_all(self, port: Port) -> None:
        for connections in self._connections.values():
            for connection in connections:
                if port in connection:
                    self._cut(connection)
        self._keep({owner: {c for c in found if port not in c} for owner, found in self._connections.items()})

    def _keep(self, connections: dict[object, set[Connection]]) -> None:
        self._connections = {owner: found for owner, found in connections.items() if found}

    def _cut(self, connection: Connection) -> None:
        source, listener = connection
        if not (source.alive and listener.alive):
            return
        try:
            source.media.stopTransmit(listener.media)
        except pj.Error as error:
            log.warning("ports cannot be disconnected", source=source.name, listener=listener.name, error=error.info())

    # --- overload -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._watching = self._engine.later(WATCH, self._watch)
        if self._silence is None:
            return
        self._looks.append((time.monotonic(), self.media_time()))
        now, last = self._looks[-1]
        while len(self._looks) > 2 and self._looks[1][0] <= now - WINDOW:
            self._looks.popleft()
        begun, first = self._looks[0]
        if now - begun < WINDOW:
            return
        self.ticks = (last - first) / self._settings.rate * TICKS_PER_SECOND / (now - begun)
        if self._rate.look(self.ticks, now):
            log.warning("overload" if self._rate.overloaded else "overload is over", ticks=round(self.ticks, 1))
            self._on_overload(self._rate.overloaded, self.ticks)

    @property
    def overloaded(self) -> bool:
        """Whether the clock falls behind; new calls are refused then."""
        return self._rate.overloaded


def _write_silence(path: Path, rate: int) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")  # several cards may begin at once
    with wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * rate * SILENCE_SECONDS))
    temporary.replace(path)
