"""A byte stream cut into frames.

Law of this file: a length is judged when its four bytes are here, before anything is kept for it; at most one
incomplete frame is held, and what is handed out are whole frames, length bytes included. Frames are immutable bytes:
they are kept for replay and sliced lazily.
"""

from __future__ import annotations

import struct
from typing import Final

from activeclient.errors import RemoteProtocolError

FRAME: Final = struct.Struct(">ibq")
"""Length of what follows these four bytes, packet type, channel id."""
HEADER_SIZE: Final = FRAME.size
MIN_LENGTH: Final = HEADER_SIZE - 4
"""The smallest value of the length field: a packet without fields."""
MAGIC: Final = b"ARTEMIS"
"""The client's first bytes, once; without length, never answered."""
MAX_FRAME_SIZE: Final = 100 * 1024 * 1024
"""Default limit of one frame, in bytes. The protocol has none below 2 GiB; a body beyond `minLargeMessageSize` (100 KiB
unless set otherwise) travels in pieces, so a length past this is a peer that does not speak CORE, not a message."""

CHANNEL_PING: Final = 0
"""Pings, topology, the server's goodbye."""
CHANNEL_SESSION: Final = 1
"""Session creation, reattachment, failover check."""
FIRST_SESSION_CHANNEL: Final = 10
"""Sessions count from here (ChannelImpl.CHANNEL_ID)."""

_LENGTH: Final = struct.Struct(">i")

_OTHERS: Final[tuple[tuple[bytes, int, str], ...]] = (
    (b"HTTP/", 0, "an HTTP server"),
    (b"SSH-", 0, "an SSH server"),
    (b"AMQP", 0, "an AMQP acceptor"),
    (b"ERROR", 0, "a STOMP acceptor"),
    (b"CONNECTED", 0, "a STOMP acceptor"),
    (b"ActiveMQ", 5, "an OpenWire acceptor (ActiveMQ Classic)"),
    (b"\x15\x03", 0, "a TLS acceptor"),
    (b"\x16\x03", 0, "a TLS acceptor"),
    (b"220 ", 0, "a mail or FTP server"),
    (b"-ERR", 0, "a Redis server"),
)
"""First bytes, where they stand, and who says so."""


def what_it_is(data: bytes) -> str:
    """What a peer that does not speak CORE seems to be, for the text of an error."""
    for mark, position, name in _OTHERS:
        if data.startswith(mark, position):
            return f"this is {name}, not CORE"
    return "this is not CORE, or it is damaged"


class FrameSplitter:
    """Collects bytes and gives frames.

    Args:
        limit: Largest whole frame that is accepted, in bytes.
        magic: Drop the client's greeting in front of the first frame, if it is there (a server's side).
    """

    __slots__ = ("_error", "_held", "_magic", "_missing", "limit")

    def __init__(self, limit: int = MAX_FRAME_SIZE, *, magic: bool = False) -> None:
        self.limit: int = limit
        self._held = bytearray()
        self._missing = 4
        """Bytes that must come before there is anything new to know."""
        self._magic = magic
        self._error: RemoteProtocolError | None = None

    @property
    def held(self) -> int:
        """Bytes of the incomplete frame at the end of what was fed."""
        return len(self._held)

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Add what the peer sent; return the frames that are complete now, in order.

        Raises:
            RemoteProtocolError: A length below 9 or beyond the limit. The stream is useless from there on, so every
                later call raises it again; frames in front of it in the same call are lost with it.
        """
        if self._error is not None:
            raise RemoteProtocolError(str(self._error))
        if len(data) < self._missing:
            self._held += data
            self._missing -= len(data)
            return []
        if self._held:
            self._held += data
            data = bytes(self._held)
            self._held = bytearray()
        elif not isinstance(data, bytes):
            data = bytes(data)
        pos, end = 0, len(data)
        if self._magic:
            if data[:4] == MAGIC[:4]:
                if end < len(MAGIC):
                    return self._keep(data, len(MAGIC))
                if data[: len(MAGIC)] != MAGIC:
                    raise self._refuse("a greeting that is not ARTEMIS", 0)
                pos = len(MAGIC)
            self._magic = False
        frames: list[bytes] = []
        while end - pos >= 4:
            (length,) = _LENGTH.unpack_from(data, pos)
            size = length + 4
            if length < MIN_LENGTH:
                raise self._refuse(f"frame length {length} is below {MIN_LENGTH}", pos)
            if size > self.limit:
                raise self._refuse(f"frame of {size} bytes is beyond the limit of {self.limit}", pos)
            if end - pos < size:
                self._keep(data[pos:], size)
                return frames
            frames.append(data[pos : pos + size])
            pos += size
        self._keep(data[pos:], 4)
        return frames

    def _keep(self, rest: bytes, needed: int) -> list[bytes]:
        self._held += rest
        self._missing = needed - len(self._held)
        return []

    def _refuse(self, why: str, offset: int) -> RemoteProtocolError:
        self._held = bytearray()
        self._error = RemoteProtocolError(why, offset=offset)
        return self._error
