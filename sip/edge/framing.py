"""Where a message ends on a stream: by Content-Length, never by what one read happened to bring (RFC 3261 §18.3)."""

from __future__ import annotations

import re

from sip.message import MAX_MESSAGE

PING = b"\r\n\r\n"
PONG = b"\r\n"
"""Keep-alives of RFC 5626 §3.5.1."""

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE)


class FramingError(ValueError):
    """Where the next message begins cannot be known any more; `head` is what can still be answered, or empty."""

    def __init__(self, text: str, head: bytes = b"") -> None:
        super().__init__(text)
        self.head = head


class Framer:
    """Bytes in, messages out; holds no more than one message and what one read brought."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._wanted = 0

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def partial(self) -> bool:
        """Whether a message has begun; line ends alone are none."""
        return self._wanted > 0 or bool(self._buffer.strip(b"\r\n"))

    def pull(self) -> bytes | None:
        """The next message, or `PING`, or None: more must come first. Raises FramingError."""
        if not self._wanted:
            if self._buffer.startswith(PING):
                del self._buffer[: len(PING)]
                return PING
            if self._buffer.startswith(PONG) and len(self._buffer) > 2 and self._buffer[2:3] != b"\r":
                del self._buffer[: len(PONG)]
            if not self._find_end():
                return None
        if len(self._buffer) < self._wanted:
            return None
        message = bytes(self._buffer[: self._wanted])
        del self._buffer[: self._wanted]
        self._wanted = self._searched = 0
        return message

    def _find_end(self) -> bool:
        end = self._buffer.find(_END, self._searched, MAX_MESSAGE)
        if end < 0:
            if len(self._buffer) >= MAX_MESSAGE:
                raise FramingError("the header does not end")
            self._searched = max(0, len(self._buffer) - len(_END) + 1)
            return False
        head = bytes(self._buffer[: end + len(_END)])
        lengths = {value.strip() for value in _LENGTH.findall(head[:-2])}
        text = lengths.pop() if len(lengths) == 1 else b""
        if not text.isdigit() or len(text) > 9:
            raise FramingError("Content-Length is not one number", head)
        if len(head) + int(text) > MAX_MESSAGE:
            raise FramingError("longer than any message", head)
        self._wanted = len(head) + int(text)
        return True
