"""The smallest talk to a CORE acceptor: the magic word and a PING that the broker echoes.

Law: a broker is ready when it answers a frame, not when its port is open: a port opens before the broker can work, and
a proxy's port is open without any broker behind it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time

_PING = 10
_FRAME = struct.Struct(">ibqq")  # length of what follows, packet type, channel id, time to live
MAGIC = b"ARTEMIS"


def ping_frame(ttl_ms: int = 60_000) -> bytes:
    """One PING packet on channel 0; the broker sends the same bytes back."""
    return _FRAME.pack(_FRAME.size - 4, _PING, 0, ttl_ms)


class Handshake:
    """A bare CORE connection: `ping()` returns the round trip in seconds. OSError when the peer is not a broker."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 5.0,
        context: ssl.SSLContext | None = None,
        name: str | None = None,
    ) -> None:
        raw = socket.create_connection((host, port), timeout=timeout)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = context.wrap_socket(raw, server_hostname=name or host) if context else raw
            self.socket.sendall(MAGIC)
        except BaseException:
            raw.close()
            raise

    def ping(self) -> float:
        """Send a PING and read its echo; returns seconds. OSError: closed, reset, timed out, or not an echo."""
        frame = ping_frame()
        start = time.monotonic()
        self.socket.sendall(frame)
        answer = self.read(len(frame))
        if answer != frame:
            raise ConnectionError(f"the peer answered {answer!r} to a PING, not its echo")
        return time.monotonic() - start

    def read(self, count: int) -> bytes:
        """Exactly *count* bytes, or ConnectionError when the peer closes before."""
        data = bytearray()
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError(f"the peer closed after {len(data)} of {count} bytes")
            data += part
        return bytes(data)

    def close(self) -> None:
        """Close the socket; never raises."""
        with contextlib.suppress(OSError):
            self.socket.close()

    def __enter__(self) -> Handshake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answers(host: str, port: int, *, timeout: float = 1.0) -> bool:
    """Whether a CORE acceptor at host:port echoes a PING within *timeout* seconds."""
    try:
        with Handshake(host, port, timeout=timeout) as connection:
            connection.ping()
    except OSError:
        return False
    return True
