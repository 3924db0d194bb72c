"""TCP, and TLS on top of it: opening within a time limit, then bytes without ever blocking.

Law of this file: an error names the endpoint and the cause, and no two causes share a text; after opening, nothing here
waits. Methods of one transport are never called by two threads at a time (TLS could not bear it): the pump's lock sees
to that; only the opening can be cancelled from outside.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from activeclient.drivers.ports import CancelToken, Transport
from activeclient.errors import ConnectFailed, ConnectionLost, TLSFailed
from activeclient.events import Endpoint

if TYPE_CHECKING:
    import ssl

GATHER = 64
"""Most pieces of one gather write; the systems' own limit (IOV_MAX) is 1,024, and more than these gain nothing."""

_NOTHING_SAID = "it had not said anything yet (an acceptor for TLS, or for another protocol?)"

_TLS_ALERT = b"\x15\x03"
"""The first two bytes of a TLS alert; as a CORE frame it would be 352 MB long."""


class SocketTransport:
    """A connected, non-blocking stream socket."""

    __slots__ = ("_left", "_name", "_offset", "_sock", "_virgin", "stuck")

    def __init__(self, sock: socket.socket, name: str) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._name = name
        self._left: deque[bytes] = deque()
        self._offset = 0
        self._virgin = True
        self.stuck: int = 0

    @property
    def wants_write(self) -> bool:
        """Is there a rest to write?"""
        return self.stuck > 0

    @property
    def pending(self) -> bool:
        """A plain socket hides nothing."""
        return False

    def fileno(self) -> int:
        """The socket's descriptor; -1 when closed."""
        return self._sock.fileno()

    def recv(self, buffer: memoryview) -> bytes | None:
        """See `Transport.recv`."""
        try:
            count = self._sock.recv_into(buffer)
        except BlockingIOError:
            return None
        except OSError as exc:
            if self._virgin:
                raise ConnectFailed(f"{self._name}: {_cause(exc)}; {_NOTHING_SAID}") from exc
            raise self._lost(exc) from exc
        return self._first(bytes(buffer[:count])) if self._virgin else bytes(buffer[:count])

    def _first(self, data: bytes) -> bytes:
        self._virgin = False
        if data.startswith(_TLS_ALERT):
            raise TLSFailed(
                f"{self._name}: the peer speaks TLS and the connection is plain; sslEnabled=true is missing"
            )
        if not data:
            raise ConnectFailed(f"{self._name}: connection closed by the peer; {_NOTHING_SAID}")
        return data

    def send(self, chunks: list[bytes]) -> None:
        """See `Transport.send`."""
        if self.stuck:
            self._left.extend(chunks)
            self.stuck += sum(map(len, chunks))
            return
        if len(chunks) > GATHER:
            chunks = [b"".join(chunks)]
        total = sum(map(len, chunks))
        try:
            count = self._sock.send(chunks[0]) if len(chunks) == 1 else self._sock.sendmsg(chunks)
        except BlockingIOError:
            count = 0
        except OSError as exc:
            raise self._lost(exc) from exc
        if count < total:
            self._left.extend(chunks)
            self.stuck = total
            self._wrote(count)

    def on_writable(self) -> None:
        """See `Transport.on_writable`."""
        while self.stuck:
            pieces = [memoryview(self._left[0])[self._offset :]]
            pieces.extend(memoryview(self._left[i]) for i in range(1, min(GATHER, len(self._left))))
            try:
                count = self._sock.sendmsg(pieces)
            except BlockingIOError:
                return
            except OSError as exc:
                raise self._lost(exc) from exc
            self._wrote(count)

    def _wrote(self, count: int) -> None:
        self.stuck -= count
        left = self._left
        offset = self._offset + count
        while left and offset >= len(left[0]):
            offset -= len(left.popleft())
        self._offset = offset

    def _lost(self, exc: OSError) -> ConnectionLost:
        return ConnectionLost(f"{self._name}: {_cause(exc)}")

    def close(self) -> None:
        """See `Transport.close`."""
        # Shut down first: a child process may hold a copy of the descriptor.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._left.clear()

    def abandon(self) -> None:
        """See `Transport.abandon`."""
        fd = self._sock.detach()
        if fd >= 0:
            os.close(fd)


def open_transport(
    endpoint: Endpoint,
    timeout: float,
    *,
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    identity: bool | None = None,
    handshake_timeout: float = 10.0,
    no_delay: bool = True,
    send_buffer: int | None = None,
    receive_buffer: int | None = None,
    local_address: tuple[str, int] | None = None,
    cancel: CancelToken | None = None,
) -> Transport:
    """Connect to `endpoint`, with TLS on top if `tls` is given; blocks for at most `timeout` seconds.

    The resolution of a name is the exception: the system offers no limit for it, so its excess ends the attempt after
    the fact.

    Args:
        server_hostname: The name to verify and to send as SNI; the endpoint's host if None.
        identity: Has `tls` a certificate of ours? None: not known.
        handshake_timeout: Seconds that TLS may take, within those of `timeout`.
        no_delay: Set TCP_NODELAY: small packets leave at once.
        send_buffer: Bytes; the system's choice if None, which adapts.
        receive_buffer: As `send_buffer`.
        local_address: Host and port (0: any) to connect from.
        cancel: Ends the opening from another thread.

    Raises:
        ConnectFailed: TCP; the text names endpoint and cause.
        TLSFailed: TCP stands, TLS does not.
    """
    cancel = cancel or CancelToken()
    deadline = time.monotonic() + timeout
    sock = _connect(endpoint, deadline, no_delay, send_buffer, receive_buffer, local_address, cancel)
    try:
        if tls is None:
            return SocketTransport(sock, str(endpoint))
        from activeclient.drivers.tls_transport import secured  # nobody else pays for its import

        limit = max(0.001, min(handshake_timeout, deadline - time.monotonic()))
        return secured(sock, endpoint, tls, server_hostname or endpoint.host, identity, limit, cancel)
    finally:
        cancel.on_cancel(None)


def _connect(
    endpoint: Endpoint,
    deadline: float,
    no_delay: bool,
    send_buffer: int | None,
    receive_buffer: int | None,
    local_address: tuple[str, int] | None,
    cancel: CancelToken,
) -> socket.socket:
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except socket.gaierror as exc:
        raise ConnectFailed(f"{endpoint}: host name not found ({exc.strerror})") from exc
    except (OSError, ValueError, OverflowError) as exc:
        raise ConnectFailed(f"{endpoint}: not an address: {exc}") from exc
    last: OSError | None = None
    for position, (family, kind, protocol, _, address) in enumerate(found):
        left = deadline - time.monotonic()
        if cancel.cancelled:
            raise ConnectFailed(f"{endpoint}: given up before it stood")
        if left <= 0:
            last = last or TimeoutError()
            break
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, kind, protocol)
            opened = sock
            if no_delay and family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if send_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if local_address is not None:
                sock.bind(local_address)
            # A name with several addresses: a silent one leaves time for the others.
            sock.settimeout(left / (len(found) - position))
            cancel.on_cancel(lambda opened=opened: shut_down(opened))  # type: ignore[misc]
            if cancel.cancelled:
                raise ConnectionAbortedError(errno.ECONNABORTED, "given up")
            sock.connect(address)
            if cancel.cancelled:  # before there was a connection that could be shut down
                raise ConnectionAbortedError(errno.ECONNABORTED, "given up")
        except OSError as exc:
            cancel.on_cancel(None)
            if sock is not None:
                sock.close()
            last = exc
            continue
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        return sock
    if cancel.cancelled:
        raise ConnectFailed(f"{endpoint}: given up before it stood") from last
    raise ConnectFailed(f"{endpoint}: {_cause(last) if last is not None else 'the name has no address'}") from last


def addresses_of(host: str) -> frozenset[str]:
    """The network addresses of a host, by which two names of it can be told to be one; empty when it is not known.

    The resolution may take long: the system offers no limit for it.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError, OverflowError):
        return frozenset()
    return frozenset(str(address[0]).removeprefix("::ffff:") for *_, address in found)


def shut_down(sock: socket.socket | None) -> None:
    # Not close: the descriptor could be another's by the time the thread inside connect looks at it again.
    if sock is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


_CAUSES: dict[int, str] = {
    errno.ECONNREFUSED: "connection refused (nobody listens there)",
    errno.ECONNRESET: "connection reset by the peer",
    errno.EPIPE: "connection closed by the peer while writing",
    errno.EHOSTUNREACH: "host unreachable (no route to it)",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "timed out (the peer does not acknowledge)",
    errno.EADDRNOTAVAIL: "the local address is not available",
    errno.EADDRINUSE: "the local address is in use",
    errno.EMFILE: "too many open files in this process",
    errno.ENFILE: "too many open files in the system",
}


def _cause(exc: OSError) -> str:
    if exc.errno is not None and exc.errno in _CAUSES:
        return _CAUSES[exc.errno]
    if isinstance(exc, TimeoutError):
        return "timed out (no answer to the connection attempt)"
    return f"{exc.strerror or exc or type(exc).__name__}"
