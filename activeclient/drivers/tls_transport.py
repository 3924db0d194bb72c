"""TLS over a connected socket: the handshake, then bytes without ever blocking.

Law of this file: as in `transport`; and it is imported only where TLS is used, since importing ssl takes long.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

from activeclient.drivers.ports import CancelToken
from activeclient.drivers.transport import SocketTransport, shut_down
from activeclient.errors import ConnectFailed, ConnectionLost, TLSFailed
from activeclient.events import Endpoint

TLS_WRITE_BYTES = 64 * 1024
"""TLS takes one piece at a time, so small frames are joined up to this size."""


def secured(
    sock: socket.socket, endpoint: Endpoint, tls: ssl.SSLContext, server_hostname: str, cancel: CancelToken
) -> TLSTransport:
    """Negotiate TLS on a connected socket, within the time-out that it has; a socket that fails is closed.

    Raises:
        TLSFailed: The text names endpoint and cause.
        ConnectFailed: Cancelled.
    """
    wrapped: ssl.SSLSocket | None = None
    try:
        wrapped = tls.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)
        cancel.on_cancel(lambda: shut_down(wrapped))
        wrapped.do_handshake()
    except (OSError, ValueError) as exc:
        (wrapped or sock).close()
        if cancel.cancelled:
            raise ConnectFailed(f"{endpoint}: given up while TLS was negotiated") from exc
        raise _tls_failed(str(endpoint), exc) from exc
    return TLSTransport(wrapped, str(endpoint))


class TLSTransport(SocketTransport):
    """The same through TLS: records hide bytes from poll, and reading may need to write."""

    __slots__ = ("_read_wants_write", "_tls")

    def __init__(self, sock: ssl.SSLSocket, name: str) -> None:
        super().__init__(sock, name)
        self._tls = sock
        self._read_wants_write = False

    def _lost(self, exc: OSError) -> ConnectionLost:
        if isinstance(exc, ssl.SSLError):  # its numbers are OpenSSL's
            return ConnectionLost(f"{self._name}: {exc.strerror or exc or type(exc).__name__}")
        return super()._lost(exc)

    @property
    def wants_write(self) -> bool:
        """Is there a rest to write, or does reading wait for room?"""
        return self.stuck > 0 or self._read_wants_write

    @property
    def pending(self) -> bool:
        """Are decrypted bytes left from the last record?"""
        try:
            return self._tls.pending() > 0
        except (OSError, ValueError):
            return False

    def recv(self, buffer: memoryview) -> bytes | None:
        """See `Transport.recv`."""
        filled = 0
        size = len(buffer)
        self._read_wants_write = False
        while filled < size:
            try:
                count = self._tls.recv_into(buffer[filled:])
            except ssl.SSLWantReadError:
                break
            except ssl.SSLWantWriteError:
                self._read_wants_write = True
                break
            except ssl.SSLEOFError as exc:
                if filled:
                    break
                raise ConnectionLost(f"{self._name}: the peer ended the connection without ending TLS") from exc
            except OSError as exc:
                if filled:
                    break
                if self._virgin and isinstance(exc, ssl.SSLError):
                    # In TLS 1.3 the server judges our certificate after our side of the handshake is done.
                    raise _tls_failed(self._name, exc) from exc
                raise self._lost(exc) from exc
            if not count:
                return b"" if not filled else bytes(buffer[:filled])
            filled += count
        if not filled:
            return None
        self._virgin = False
        return bytes(buffer[:filled])

    def send(self, chunks: list[bytes]) -> None:
        """See `Transport.send`."""
        self._left.extend(chunks)
        waited = self.stuck
        self.stuck += sum(map(len, chunks))
        if not waited:
            self.on_writable()

    def on_writable(self) -> None:
        """See `Transport.on_writable`."""
        left = self._left
        while self.stuck:
            # A write that was refused must be repeated with the same bytes: the head of the queue stays as it is.
            if len(left) > 1 and len(left[0]) < TLS_WRITE_BYTES and not self._offset:
                joined = [left.popleft()]
                size = len(joined[0])
                while left and size + len(left[0]) <= TLS_WRITE_BYTES:
                    joined.append(left.popleft())
                    size += len(joined[-1])
                left.appendleft(b"".join(joined))
            try:
                count = self._tls.send(memoryview(left[0])[self._offset :] if self._offset else left[0])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as exc:
                raise self._lost(exc) from exc
            self._wrote(count)

    def close(self) -> None:
        """See `Transport.close`."""
        with contextlib.suppress(OSError, ValueError):
            self._tls.unwrap()  # sends our goodbye; that of the peer is not waited for
        super().close()


_CERTIFICATE_CAUSES: dict[int, str] = {
    9: "the server's certificate is not valid yet",
    10: "the server's certificate has expired",
    18: "the server's certificate is self-signed and not trusted",
    19: "the server's certificate comes from a CA that is not trusted (a self-signed one in its chain)",
    20: "the server's certificate comes from a CA that is not trusted",
    21: "the server's certificate comes from a CA that is not trusted (its chain is incomplete)",
    23: "the server's certificate was revoked",
    62: "the server's certificate is for another host name",
    64: "the server's certificate is for another IP address",
}
"""By the code of OpenSSL's verification (x509_vfy.h)."""

_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)


def _tls_failed(name: str, exc: OSError | ValueError) -> TLSFailed:
    if isinstance(exc, ssl.SSLCertVerificationError):
        cause = _CERTIFICATE_CAUSES.get(exc.verify_code, "the server's certificate was refused")
        return TLSFailed(f"{name}: {cause} ({exc.verify_message})")
    if isinstance(exc, TimeoutError):
        return TLSFailed(f"{name}: the peer did not finish the TLS handshake in time (does it speak TLS?)")
    if isinstance(exc, ssl.SSLError):
        reason = exc.reason or ""
        if reason in _NOT_TLS:
            return TLSFailed(f"{name}: the peer does not speak TLS; is the acceptor a plain one? ({reason})")
        if isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or reason == "UNEXPECTED_EOF_WHILE_READING":
            return TLSFailed(f"{name}: the peer closed the connection during the TLS handshake (does it speak TLS?)")
        if "ALERT" in reason:
            return TLSFailed(f"{name}: the peer refused the TLS handshake ({reason})")
        return TLSFailed(f"{name}: TLS failed ({reason or exc})")
    if isinstance(exc, ConnectionResetError):
        return TLSFailed(f"{name}: the peer reset the connection during the TLS handshake (does it speak TLS?)")
    return TLSFailed(f"{name}: TLS failed: {exc}")
