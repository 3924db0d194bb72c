"""A pair of transports in memory: what one end writes the other reads.

Law of this file: it behaves to the pump as a socket does (bounded, never blocking, readable by poll), and takes no
system buffer: what is written is there at once. Both ends may be used by different threads.
"""

from __future__ import annotations

import threading
from collections import deque

from activeclient.drivers.wake import Waker
from activeclient.errors import ConnectionLost

CAPACITY = 1024 * 1024
"""Bytes in one direction; a writer keeps what exceeds it, as with a full socket."""


class _Stream:
    """One direction."""

    __slots__ = ("broken", "chunks", "closed", "filled", "readable", "wanted", "writable")

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.filled: int = 0
        self.closed: bool = False
        """The writer is gone: what is there can still be read."""
        self.broken: bool = False
        """The reader is gone."""
        self.wanted: bool = False
        """The writer waits for room."""
        self.readable: Waker | None = None
        self.writable: Waker | None = None


class TransportEnd:
    """One end of a `pipe`."""

    def __init__(self, lock: threading.Lock, source: _Stream, sink: _Stream, capacity: int) -> None:
        self._lock = lock
        self._source = source
        self._sink = sink
        self._capacity = capacity
        self._waker = Waker()
        # One descriptor serves both: it is readable when there is something to read or room to write.
        source.readable = self._waker
        sink.writable = self._waker
        self._left: deque[bytes] = deque()
        self._closed = False
        self.stuck: int = 0

    @property
    def wants_write(self) -> bool:
        """Never: room shows as readability, and `recv` goes on writing."""
        return False

    @property
    def pending(self) -> bool:
        """Everything shows at the descriptor."""
        return False

    def fileno(self) -> int:
        """Readable when bytes, the end, or room have come; -1 when closed."""
        return self._waker.fileno()

    def recv(self, buffer: memoryview) -> bytes | None:
        """See `Transport.recv`."""
        with self._lock:
            if self._closed:
                raise ConnectionLost("in-memory connection: closed")
            self._write()
            source = self._source
            size = len(buffer)
            taken: list[bytes] = []
            count = 0
            while source.chunks and count < size:
                chunk = source.chunks.popleft()
                if count + len(chunk) > size:
                    source.chunks.appendleft(chunk[size - count :])
                    chunk = chunk[: size - count]
                taken.append(chunk)
                count += len(chunk)
            source.filled -= count
            if count and source.wanted and source.writable is not None:
                source.wanted = False
                source.writable.wake()
            if not source.chunks and not source.closed:
                self._waker.drain()
            if taken:
                return taken[0] if len(taken) == 1 else b"".join(taken)
            return b"" if source.closed else None

    def send(self, chunks: list[bytes]) -> None:
        """See `Transport.send`."""
        with self._lock:
            if self._closed or self._sink.broken:
                raise ConnectionLost("in-memory connection: the other end was closed")
            self._left.extend(chunks)
            self.stuck += sum(map(len, chunks))
            self._write()

    def on_writable(self) -> None:
        """See `Transport.on_writable`."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        sink = self._sink
        if sink.broken:
            return
        wrote = False
        while self._left and sink.filled < self._capacity:
            chunk = self._left.popleft()
            room = self._capacity - sink.filled
            if len(chunk) > room:
                self._left.appendleft(chunk[room:])
                chunk = chunk[:room]
            sink.chunks.append(chunk)
            sink.filled += len(chunk)
            self.stuck -= len(chunk)
            wrote = True
        sink.wanted = bool(self._left)
        if wrote and sink.readable is not None:
            sink.readable.wake()

    def close(self) -> None:
        """See `Transport.close`; the other end reads what was written, then the end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._sink.closed = True
            self._source.broken = True
            self._source.readable = None
            self._sink.writable = None
            for waker in (self._sink.readable, self._source.writable):
                if waker is not None:
                    waker.wake()
            self._left.clear()
            self.stuck = 0
            self._waker.close()

    def abandon(self) -> None:
        """See `Transport.abandon`: the memory is a copy already."""
        self._closed = True
        self._waker.close()


def pipe(capacity: int = CAPACITY) -> tuple[TransportEnd, TransportEnd]:
    """Two connected ends with room for `capacity` bytes in each direction.

    Raises:
        OSError: The process has no file descriptor for them.
    """
    lock = threading.Lock()
    there, back = _Stream(), _Stream()
    one = TransportEnd(lock, back, there, capacity)
    try:
        return one, TransportEnd(lock, there, back, capacity)
    except OSError:
        one.close()
        raise
