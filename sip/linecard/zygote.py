"""`python -m sip.linecard.zygote`: imports pjsua2 once and forks line cards, which then share its memory.

Listens on `linecards.zyg` in the run directory. One JSON line for each request, `{"fork": {"name": …, "args": […],
"log": …}}`, is answered with one line: `{"pid": …}` or `{"error": …}`. It has one thread and no loop, because it forks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import structlog

from media.control import logs
from sip.linecard.__main__ import main as card_main

log = structlog.get_logger()

SOCKET = "linecards.zyg"
LONGEST_REQUEST = 65536


class Zygote:
    """Waits for requests, forks, reaps."""

    def __init__(self, run: Path) -> None:
        self._path = run / SOCKET
        self._selector = selectors.DefaultSelector()
        self._buffers: dict[socket.socket, bytearray] = {}
        self._leaving = False

    def serve(self) -> None:
        """Until SIGTERM or SIGINT; the cards live on."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        os.chmod(self._path, 0o600)
        listener.listen()
        listener.setblocking(False)
        wake, alarm = socket.socketpair()
        for end in (wake, alarm):
            end.setblocking(False)
        signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._leave)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(wake, selectors.EVENT_READ)
        log.info("zygote is up", socket=str(self._path), pid=os.getpid())
        while not self._leaving:
            for key, _ in self._selector.select():
                if key.fileobj is listener:
                    self._accept(listener)
                elif key.fileobj is wake:
                    with contextlib.suppress(BlockingIOError):
                        wake.recv(4096)
                    self._reap()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)
        self._path.unlink(missing_ok=True)
        log.info("zygote leaves")

    def _leave(self, *_: object) -> None:
        self._leaving = True

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = listener.accept()
            self._buffers[client] = bytearray()
            self._selector.register(client, selectors.EVENT_READ)

    def _read(self, client: socket.socket) -> None:
        try:
            data = client.recv(LONGEST_REQUEST)
        except OSError as error:
            log.warning("zygote lost a client", error=str(error))
            data = b""
        buffer = self._buffers[client]
        buffer += data
        if not data or len(buffer) > LONGEST_REQUEST:
            self._drop(client)
            return
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            answer = self._answer(line)
            try:
                client.sendall(json.dumps(answer).encode() + b"\n")
            except OSError as error:
                log.warning("zygote cannot answer", error=str(error))
                self._drop(client)
                return

    def _drop(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        del self._buffers[client]
        client.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            wanted = json.loads(line)["fork"]
            name, arguments, path = str(wanted["name"]), [str(each) for each in wanted["args"]], Path(wanted["log"])
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"not a request: {error}"}
        try:
            pid = self._fork(arguments, path)
        except OSError as error:
            log.error("cannot fork a card", card=name, error=str(error))
            return {"error": str(error)}
        log.info("forked a card", card=name, pid=pid)
        return {"pid": pid}

    def _fork(self, arguments: Sequence[str], path: Path) -> int:
        """The parent gets the pid; the child never comes back."""
        output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError:
            os.close(output)
            raise
        if not pid:
            _become_card(arguments, output)
        os.close(output)
        return pid

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                log.info("a card has left", pid=pid, status=os.waitstatus_to_exitcode(status))


def _become_card(arguments: Sequence[str], output: int) -> NoReturn:
    """In the child: a session, a log file and signals of its own, nothing open that was the zygote's."""
    status = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for own, standard in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(own, standard)
        os.closerange(3, max(int(name) for name in os.listdir("/proc/self/fd")) + 1 if os.path.isdir("/proc/self/fd") else 1024)
        status = card_main(arguments)
    except SystemExit as error:  # a wrong argument
        status = int(error.code) if isinstance(error.code, int) else 1
    finally:
        os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the zygote."""
    parser = argparse.ArgumentParser(prog="sip.linecard.zygote", description="Forks line cards.")
    parser.add_argument("--run", type=Path, required=True, help="run directory")
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    logs.configure_child()
    Zygote(given.run).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
