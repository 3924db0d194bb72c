"""TLS over a connected socket: the handshake, then bytes without ever blocking.

Law of this file: as in `transport`; and it is imported only where TLS is used, since importing ssl takes long.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time

from activeclient.drivers.ports import CancelToken
from activeclient.drivers.transport import SocketTransport, shut_down
from activeclient.errors import ConnectFailed, ConnectionLost, TLSFailed
from activeclient.events import Endpoint

_SILENT = (
    "the peer does not answer the TLS handshake in time: it most likely speaks no TLS (a plain acceptor waits for"
    " more); without TLS write sslEnabled=false"
)
TLS_WRITE_BYTES = 64 * 1024
"""TLS takes one piece at a time, so small frames are joined up to this size."""


def secured(
    sock: socket.socket,
    endpoint: Endpoint,
    tls: ssl.SSLContext,
    server_hostname: str,
    identity: bool | None,
    timeout: float,
    cancel: CancelToken,
) -> TLSTransport:
    """Negotiate TLS on a connected socket within `timeout` seconds; a socket that fails is closed.

    Raises:
        TLSFailed: The text names endpoint and cause.
        ConnectFailed: Cancelled.
    """
    name = str(endpoint)
    wrapped: ssl.SSLSocket | None = None
    try:
        wrapped = tls.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)
        cancel.on_cancel(lambda: shut_down(wrapped))
        _shake_hands(wrapped, name, timeout)
    except TLSFailed:
        (wrapped or sock).close()
        raise
    except (OSError, ValueError) as exc:
        (wrapped or sock).close()
        if cancel.cancelled:
            raise ConnectFailed(f"{name}: given up while TLS was negotiated") from exc
        raise _tls_failed(name, exc, identity) from exc
    except BaseException:
        (wrapped or sock).close()
        raise
    return TLSTransport(wrapped, name, identity)


def _shake_hands(sock: ssl.SSLSocket, name: str, timeout: float) -> None:
    """The handshake, and at its time-out whether the peer has said anything at all."""
    deadline = time.monotonic() + timeout
    sock.setblocking(False)
    heard = False
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            wanted = select.POLLIN
        except ssl.SSLWantWriteError:
            wanted = select.POLLOUT
        else:
            return
        poller = select.poll()
        poller.register(sock, wanted)
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            text = "the peer did not finish the TLS handshake in time" if heard else _SILENT
            raise TLSFailed(f"{name}: {text}; waited {timeout:.3g} s (handshakeTimeout)")
        heard = heard or wanted == select.POLLIN


class TLSTransport(SocketTransport):
    """The same through TLS: records hide bytes from poll, and reading may need to write."""

    __slots__ = ("_identity", "_read_wants_write", "_tls")
    stuck: int

    def __init__(self, sock: ssl.SSLSocket, name: str, identity: bool | None) -> None:
        super().__init__(sock, name)
        self._tls = sock
        self._identity = identity
        self._read_wants_write = False

    def _lost(self, exc: OSError) -> ConnectionLost:
        if self._virgin:
            return self._refused(exc)
        if isinstance(exc, ssl.SSLError):  # its numbers are OpenSSL's
            return ConnectionLost(f"{self._name}: {exc.strerror or exc or type(exc).__name__}")
        return super()._lost(exc)

    def _refused(self, exc: OSError) -> TLSFailed:
        """What ended a connection on which the peer has said nothing since the handshake.

        In TLS 1.3 the server judges our certificate after our side of the handshake is done, and what it says of it may
        still lie unread when a write fails.
        """
        if not _is_alert(exc):
            try:
                self._tls.recv(1)
            except OSError as last:
                exc = last if _is_alert(last) else exc
            except ValueError:
                pass
        return _tls_failed(self._name, exc, self._identity, after=True)

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
                if self._virgin:
                    raise self._refused(exc) from exc
                raise ConnectionLost(f"{self._name}: the peer ended the connection without ending TLS") from exc
            except OSError as exc:
                if filled:
                    break
                raise self._lost(exc) from exc
            if not count:
                if self._virgin and not filled:
                    raise _tls_failed(self._name, ssl.SSLZeroReturnError(), self._identity, after=True)
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


_ABOUT_OUR_CERTIFICATE = {
    "BAD_CERTIFICATE": "it does not accept it, or asks for one",
    "UNSUPPORTED_CERTIFICATE": "it does not take one of this kind",
    "CERTIFICATE_REVOKED": "it was revoked",
    "CERTIFICATE_EXPIRED": "it has expired",
    "CERTIFICATE_UNKNOWN": "it does not accept it",
    "UNKNOWN_CA": "it comes from an authority that the server does not trust",
    "CERTIFICATE_REQUIRED": "the server asks for one and got none",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the server asks for one and got none",
    "NO_CERTIFICATE": "the server asks for one and got none",
}
"""By the end of the alert's name (RFC 8446, 6.2): what servers say of a client's certificate, and of nothing else."""
_MISSING = "ours is missing: name its file in keyStorePath"


def _reason(exc: Exception) -> str:
    """OpenSSL's name of what went wrong; "" when it has none."""
    return getattr(exc, "reason", None) or "" if isinstance(exc, ssl.SSLError) else ""


def _is_alert(exc: Exception) -> bool:
    return "ALERT" in _reason(exc)


def _tls_failed(name: str, exc: OSError | ValueError, identity: bool | None, *, after: bool = False) -> TLSFailed:
    """The error for a handshake that failed; `after`: our side of it was done, and nothing has come since."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        cause = _CERTIFICATE_CAUSES.get(exc.verify_code, "the server's certificate was refused")
        return TLSFailed(f"{name}: {cause} ({exc.verify_message})")
    if isinstance(exc, TimeoutError):
        return TLSFailed(f"{name}: the peer did not finish the TLS handshake in time (does it speak TLS?)")
    reason = _reason(exc)
    if _is_alert(exc):
        return TLSFailed(f"{name}: {_of_alert(reason, identity)}")
    if reason in _NOT_TLS:
        return TLSFailed(f"{name}: the peer does not speak TLS; is the acceptor a plain one? ({reason})")
    ended = isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or reason == "UNEXPECTED_EOF_WHILE_READING"
    if ended or isinstance(exc, (ConnectionResetError, BrokenPipeError)):
        how = "closed" if ended else "reset"
        if after:
            ours = {True: "does not accept ours", None: "has not got one, or does not accept it"}.get(
                identity, _MISSING
            )
            return TLSFailed(
                f"{name}: the peer {how} the connection right after the TLS handshake; if it asks for a client's"
                f" certificate, {'it ' if identity is not False else ''}{ours}"
            )
        return TLSFailed(f"{name}: the peer {how} the connection during the TLS handshake (does it speak TLS?)")
    if isinstance(exc, ssl.SSLError):
        return TLSFailed(f"{name}: TLS failed ({reason or exc})")
    return TLSFailed(f"{name}: TLS failed: {exc}")


def _of_alert(reason: str, identity: bool | None) -> str:
    """What a server's alert means: mostly something about our certificate, which depends on whether we have one."""
    cause = next((text for end, text in _ABOUT_OUR_CERTIFICATE.items() if reason.endswith(end)), None)
    if cause is not None and identity is False:
        return f"the server asks for a client's certificate, and {_MISSING} ({reason})"
    if cause is not None:
        return f"the server refused our certificate (keyStorePath): {cause} ({reason})"
    if reason.endswith("HANDSHAKE_FAILURE"):
        judged = {False: _MISSING, None: "ours is missing"}
        hint = f", or it asks for a client's certificate and {judged[identity]}" if identity is not True else ""
        return f"the peer refused the TLS handshake: no common version or cipher suite{hint} ({reason})"
    if reason.endswith("PROTOCOL_VERSION"):
        return f"the peer refused the TLS handshake: no common version; see enabledProtocols ({reason})"
    if reason.endswith("UNRECOGNIZED_NAME"):
        return f"the peer refused the TLS handshake: it has no certificate for this host; see sniHost ({reason})"
    return f"the peer refused the TLS handshake ({reason})"
