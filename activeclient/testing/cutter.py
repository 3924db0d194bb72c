"""A TCP forwarder in this process that breaks connections at a chosen byte.

Law: exactly the bytes before a cut's position arrive at the other side, never one more. What lies behind the position
is not even read, so that the place of a cut does not depend on timing; the listener accepts the next connection
at once.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import selectors
import socket
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from activeclient.testing.cuts import Cut, Direction, Happened, How
from activeclient.testing.ports import free_port

_CHUNK = 256 * 1024
_DRAIN_LIMIT = 1.0  # seconds for the bytes before a cut to leave our send buffer
_FIN_LIMIT = 5.0  # seconds that both peers have to close after a FIN
_NO_LINGER = struct.pack("ii", 1, 0)
_Result = TypeVar("_Result")


class _Pipe:
    """One direction: reads *source*, writes *sink*, stops at *limit* bytes."""

    __slots__ = ("count", "ended", "limit", "pending", "silent", "sink", "source")

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.count = 0
        self.limit: int | None = None
        self.pending = memoryview(b"")
        self.ended = False
        self.silent = False

    @property
    def wants_read(self) -> bool:
        return not (self.ended or self.silent or self.pending or self.at_limit)

    @property
    def at_limit(self) -> bool:
        return self.limit is not None and self.count >= self.limit


class _Pair:
    """A client's connection and ours to the broker."""

    __slots__ = ("client", "cut", "deadline", "finishing", "number", "pipes", "server")

    def __init__(self, number: int, client: socket.socket, server: socket.socket) -> None:
        self.number, self.client, self.server = number, client, server
        self.pipes = {Direction.TO_BROKER: _Pipe(client, server), Direction.TO_CLIENT: _Pipe(server, client)}
        self.cut: Cut | None = None
        self.deadline: float | None = None  # of draining, then of finishing
        self.finishing = False


class Cutter:
    """Forwards 127.0.0.1:`port` to host:port. Every method may be called from any thread; `close` ends its thread."""

    def __init__(self, host: str, port: int, *, plan: Iterable[Cut] = ()) -> None:
        self._upstream = (host, port)
        self._plan: Iterator[Cut] = iter(plan)
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", free_port()), backlog=128)
        self.host: str = "127.0.0.1"
        self.port: int = int(self._listener.getsockname()[1])
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._pairs: dict[socket.socket, _Pair] = {}
        self._abandoned: list[_Pair] = []
        self._commands: deque[Callable[[], None]] = deque()
        self._closing = False
        self._buffer = memoryview(bytearray(_CHUNK))
        self.accepted: int = 0
        """Connections forwarded so far."""
        self.cuts: int = 0
        """Cuts so far."""
        self.happened: deque[Happened] = deque(maxlen=10_000)
        """The newest cuts, oldest first."""
        self._thread = threading.Thread(target=self._run, name=f"cutter-{self.port}", daemon=True)
        self._thread.start()

    def url(self) -> str:
        """`tcp://host:port` of the cutter."""
        return f"tcp://{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        """Connections that are forwarded now."""
        return self._call(lambda: len(set(self._pairs.values())))

    @property
    def forwarded(self) -> tuple[int, int]:
        """Bytes passed on the newest living connection: (to broker, to client); zeros when there is none."""

        def read() -> tuple[int, int]:
            pairs = sorted(set(self._pairs.values()), key=lambda pair: pair.number)
            if not pairs:
                return 0, 0
            pipes = pairs[-1].pipes
            return pipes[Direction.TO_BROKER].count, pipes[Direction.TO_CLIENT].count

        return self._call(read)

    def plan(self, cuts: Iterable[Cut]) -> None:
        """Each connection accepted from now on takes the next cut of *cuts*; when they are used up, none.

        The iterable may be endless (`random_cuts`). Replaces the former plan; living connections keep theirs.
        """
        iterator = iter(cuts)

        def replace() -> None:
            self._plan = iterator

        self._call(replace)

    def cut_after(self, direction: Direction, count: int, how: How = How.RESET) -> None:
        """Cut every living connection when *count* more bytes have passed in *direction*."""

        def arm() -> None:
            for pair in set(self._pairs.values()):
                if not pair.finishing:
                    self._arm(pair, Cut(direction, pair.pipes[direction].count + count, how))

        self._call(arm)

    def cut_now(self, how: How = How.RESET, direction: Direction = Direction.TO_BROKER) -> int:
        """Cut every living connection at once; returns how many. *direction* counts for HALF_OPEN only."""

        def cut() -> int:
            pairs = [pair for pair in set(self._pairs.values()) if not pair.finishing]
            for pair in pairs:
                self._perform(pair, how, direction)
            return len(pairs)

        return self._call(cut)

    def release(self) -> None:
        """Close (RST) the broker's connections that ABANDON left open, and what hangs in a black hole."""

        def close() -> None:
            for pair in self._abandoned:
                _reset(pair.server)
                _reset(pair.client)
            self._abandoned.clear()

        self._call(close)

    def down(self) -> None:
        """Refuse new connections (the port is closed); living ones stay."""

        def stop() -> None:
            if self._listener is not None:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None

        self._call(stop)

    def up(self) -> None:
        """Accept again after `down`, on the same port."""

        def listen() -> None:
            if self._listener is None:
                self._listener = socket.create_server((self.host, self.port), backlog=128)
                self._listener.setblocking(False)
                self._selector.register(self._listener, selectors.EVENT_READ)

        self._call(listen)

    def close(self) -> None:
        """Reset everything and end the thread; may be called twice."""
        if self._thread.is_alive():
            self._closing = True
            self._wake()
            self._thread.join(timeout=10)

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the calling thread -----------------------------------------------------------------------------------------

    def _call(self, function: Callable[[], _Result]) -> _Result:
        """Run *function* in the loop's thread and return what it returns; RuntimeError when the cutter is closed."""
        done = threading.Event()
        results: list[_Result] = []
        failures: list[BaseException] = []

        def run() -> None:
            try:
                results.append(function())
            except BaseException as failure:
                failures.append(failure)
            finally:
                done.set()

        self._commands.append(run)
        self._wake()
        while not done.wait(0.5):
            if not self._thread.is_alive():
                raise RuntimeError("the cutter is closed")
        if failures:
            raise failures[0]
        return results[0]

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_write.send(b"x")

    # -- the loop's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, events in self._selector.select(self._patience()):
                    if key.fileobj is self._wake_read:
                        with contextlib.suppress(BlockingIOError):
                            self._wake_read.recv(4096)
                    elif key.fileobj is self._listener:
                        self._accept()
                    else:
                        assert isinstance(key.fileobj, socket.socket)
                        pair = self._pairs.get(key.fileobj)
                        if pair is not None:  # else cut by an event before, in the same round
                            self._serve(pair, key.fileobj, events)
                while self._commands:
                    self._commands.popleft()()
                self._look_at_deadlines()
        finally:
            self._shut_down()

    def _patience(self) -> float | None:
        """Seconds that the selector may wait: short while a cut waits for bytes to leave."""
        return 0.001 if any(pair.deadline is not None for pair in self._pairs.values()) else None

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # the client gave up
        try:
            server = socket.create_connection(self._upstream, timeout=2.0)
        except OSError:
            _reset(client)
            return
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _Pair(self.accepted, client, server)
        self.accepted += 1
        self._pairs[client] = self._pairs[server] = pair
        cut = next(self._plan, None)
        if cut is not None:
            self._arm(pair, cut)
        self._watch(pair)

    def _arm(self, pair: _Pair, cut: Cut) -> None:
        for pipe in pair.pipes.values():
            pipe.limit = None
        pair.cut = cut
        pair.deadline = None
        pair.pipes[cut.direction].limit = cut.position
        self._watch(pair)
        self._check_limit(pair)

    def _serve(self, pair: _Pair, ready: socket.socket, events: int) -> None:
        for pipe in pair.pipes.values():
            if events & selectors.EVENT_WRITE and pipe.sink is ready and pipe.pending and not self._flush(pair, pipe):
                return
            if events & selectors.EVENT_READ and pipe.source is ready and not self._forward(pair, pipe):
                return
        self._check_limit(pair)
        if ready in self._pairs:
            self._watch(pair)

    def _forward(self, pair: _Pair, pipe: _Pipe) -> bool:
        """Read once and write; False when the pair is gone."""
        if pair.finishing:
            return self._discard(pair, pipe)
        if not pipe.wants_read:
            return True
        room = _CHUNK if pipe.limit is None else min(_CHUNK, pipe.limit - pipe.count)
        try:
            count = pipe.source.recv_into(self._buffer, room)
        except BlockingIOError:
            return True
        except OSError:
            self._drop(pair)  # a reset of one side is a reset of the other
            return False
        if count == 0:
            return self._end_of(pair, pipe)
        pipe.count += count
        pipe.pending = self._buffer[:count]
        if not self._flush(pair, pipe):
            return False
        if pipe.pending:
            pipe.pending = memoryview(bytes(pipe.pending))  # the buffer is everybody's
        return True

    def _flush(self, pair: _Pair, pipe: _Pipe) -> bool:
        try:
            sent = pipe.sink.send(pipe.pending)
        except BlockingIOError:
            return True
        except OSError:
            self._drop(pair)
            return False
        pipe.pending = pipe.pending[sent:]
        if pipe.ended and not pipe.pending:
            return self._end_of(pair, pipe)
        return True

    def _end_of(self, pair: _Pair, pipe: _Pipe) -> bool:
        pipe.ended = True
        if pipe.pending:
            return True
        with contextlib.suppress(OSError):
            pipe.sink.shutdown(socket.SHUT_WR)
        if all(one.ended for one in pair.pipes.values()):
            self._forget(pair)
            pair.client.close()
            pair.server.close()
            return False
        return True

    def _discard(self, pair: _Pair, pipe: _Pipe) -> bool:
        """After a FIN: unread bytes would turn our close into a reset."""
        try:
            if pipe.source.recv_into(self._buffer):
                return True
        except BlockingIOError:
            return True
        except OSError:
            self._drop(pair)
            return False
        return self._end_of(pair, pipe)

    def _check_limit(self, pair: _Pair) -> None:
        """Perform the pair's cut when its bytes have passed and left our send buffer."""
        if pair.cut is None or pair.finishing or pair.client not in self._pairs:
            return
        pipe = pair.pipes[pair.cut.direction]
        if not pipe.at_limit:
            return
        now = time.monotonic()
        if pair.deadline is None:
            pair.deadline = now + _DRAIN_LIMIT
        if now < pair.deadline and (pipe.pending or _unsent(pipe.sink)):
            return
        self._perform(pair, pair.cut.how, pair.cut.direction)

    def _perform(self, pair: _Pair, how: How, direction: Direction) -> None:
        counts = {side: pipe.count - len(pipe.pending) for side, pipe in pair.pipes.items()}
        self.cuts += 1
        self.happened.append(Happened(pair.number, how, counts[Direction.TO_BROKER], counts[Direction.TO_CLIENT]))
        pair.cut = pair.deadline = None
        if how is How.RESET:
            self._drop(pair)
        elif how is How.FIN:
            pair.finishing = True
            pair.deadline = time.monotonic() + _FIN_LIMIT
            for pipe in pair.pipes.values():
                pipe.pending, pipe.limit = memoryview(b""), None
                with contextlib.suppress(OSError):
                    pipe.sink.shutdown(socket.SHUT_WR)
            self._watch(pair)
        elif how is How.HALF_OPEN:
            pair.pipes[direction].silent = True
            pair.pipes[direction].pending = memoryview(b"")
            self._watch(pair)
        else:
            self._forget(pair)
            self._abandoned.append(pair)
            if how is How.ABANDON:
                _reset(pair.client)

    def _look_at_deadlines(self) -> None:
        for pair in set(self._pairs.values()):
            if pair.deadline is None:
                continue
            if not pair.finishing:
                self._check_limit(pair)
            elif time.monotonic() > pair.deadline:
                self._drop(pair)

    def _watch(self, pair: _Pair) -> None:
        """Tell the selector what this pair waits for."""
        if pair.client not in self._pairs:
            return  # cut meanwhile
        for end in (pair.client, pair.server):
            mask = 0
            for pipe in pair.pipes.values():
                if pipe.source is end and (pipe.wants_read or (pair.finishing and not pipe.ended)):
                    mask |= selectors.EVENT_READ
                if pipe.sink is end and pipe.pending:
                    mask |= selectors.EVENT_WRITE
            key = self._selector.get_map().get(end)
            if key is None and mask:
                self._selector.register(end, mask)
            elif key is not None and not mask:
                self._selector.unregister(end)
            elif key is not None and key.events != mask:
                self._selector.modify(end, mask)

    def _forget(self, pair: _Pair) -> None:
        for end in (pair.client, pair.server):
            self._pairs.pop(end, None)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)

    def _drop(self, pair: _Pair) -> None:
        self._forget(pair)
        _reset(pair.client)
        _reset(pair.server)

    def _shut_down(self) -> None:
        for pair in {*self._pairs.values(), *self._abandoned}:
            self._drop(pair)
        self._abandoned.clear()
        if self._listener is not None:
            self._listener.close()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()


def _reset(end: socket.socket) -> None:
    """Close with an RST instead of a FIN."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    end.close()


def _unsent(end: socket.socket) -> int:
    """Bytes in the send buffer that the peer's kernel has not confirmed; an RST would throw them away."""
    value = array.array("i", [0])
    try:
        fcntl.ioctl(end, termios.TIOCOUTQ, value)
    except OSError:
        return 0
    return value[0]
