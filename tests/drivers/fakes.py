"""An engine whose protocol is lines, and helpers to await conditions."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from activeclient.drivers import keeper
from activeclient.drivers.ports import CancelToken, Transport
from activeclient.drivers.threads import Pump
from activeclient.drivers.transport import SocketTransport
from activeclient.errors import ActiveClientError
from activeclient.events import Abort, Closed, Connect, Endpoint, Event

HERE = Endpoint(host="127.0.0.1", port=1)
PATIENCE = 30.0
"""Seconds after which what should have come is missing; a busy machine needs some."""


class LineEngine:
    """Input is split at newlines into `lines`; a loss is followed by the next attempt after `retry` seconds."""

    def __init__(self, retry: float = 0.0, endpoint: Endpoint = HERE) -> None:
        self.endpoint = endpoint
        self.retry = retry
        self.lines: deque[bytes] = deque()
        self.rest = b""
        self.events: deque[Event] = deque()
        self.out: list[bytes] = []
        self.pending_bytes = 0
        self.made = 0
        self.lost: list[ActiveClientError] = []
        self.due: float | None = None
        self.connect_at: float | None = None
        self.timeouts = 0
        self.closed = False
        self.attempt = 0
        self.made_at = 0.0
        self.lost_at = 0.0

    def open(self, now: float) -> None:
        self._connect()

    def _connect(self) -> None:
        self.attempt += 1
        self.connect_at = None
        self.events.append(Connect(self.endpoint, self.attempt, 2.0))

    def connection_made(self, now: float) -> None:
        self.made_at = now
        self.made += 1  # last: whoever waits for it looks at the time

    def receive_data(self, data: bytes, now: float) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines.extend(lines)

    def connection_lost(self, reason: ActiveClientError, now: float) -> None:
        self.lost.append(reason)
        self.lost_at = now
        self.rest = b""
        self.out, self.pending_bytes = [], 0
        if not self.closed:
            if self.retry:
                self.connect_at = now + self.retry
            else:
                self._connect()

    def send(self, data: bytes) -> None:
        self.out.append(data)
        self.pending_bytes += len(data)

    def data_to_send(self) -> list[bytes]:
        out, self.out = self.out, []
        self.pending_bytes = 0
        return out

    def next_event(self) -> Event | None:
        return self.events.popleft() if self.events else None

    def handle_timeout(self, now: float) -> None:
        if self.connect_at is not None and self.connect_at <= now:
            self._connect()
        if self.due is not None and self.due <= now:
            self.due = None
            self.timeouts += 1

    def next_timeout(self) -> float | None:
        return min((d for d in (self.due, self.connect_at) if d is not None), default=None)

    def close(self, now: float) -> None:
        self.closed = True
        self.due = self.connect_at = None
        self.events.append(Abort(None))
        self.events.append(Closed())


class Peers:
    """An opener that makes socket pairs and keeps the far ends."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []
        self.error: ActiveClientError | None = None
        self.gate: threading.Event | None = None
        self.entered = threading.Event()
        self.closed = False

    def open(self, endpoint: Endpoint, timeout: float, token: CancelToken) -> Transport:
        self.entered.set()
        if self.gate is not None:
            self.gate.wait(PATIENCE)
        error = self.error  # once: the test takes it away meanwhile
        if error is not None:
            raise error.again()
        near, far = socket.socketpair()
        far.settimeout(PATIENCE)
        self.ends.append(far)
        if self.closed:
            far.close()
        return SocketTransport(near, str(endpoint))

    @property
    def last(self) -> socket.socket:
        return self.ends[-1]

    def close(self) -> None:
        self.closed = True
        for end in self.ends:
            end.close()


def until(condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Return when `condition()` holds; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come"
        time.sleep(0.001)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def ours() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("activeclient-")]


def watched(pump: Pump) -> bool:
    return bool(pump._watched)


def no_keeper() -> bool:
    return keeper.current().thread is None
