"""The one background thread of a process that minds every connection nobody waits for.

Law of this file: the keeper never blocks but in its own poll; it knows of a connection only what `Kept` says, and a
thousand idle ones cost it nothing but their timers. It lives from the first connection to the last, and keeps none
alive: one that nobody else has can be collected.
"""

from __future__ import annotations

import _thread
import contextlib
import heapq
import logging
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Protocol

from activeclient.drivers.wake import Waker

logger: logging.Logger = logging.getLogger("activeclient.keeper")

IN = select.POLLIN
OUT = select.POLLOUT


class Kept(Protocol):
    """What the keeper minds. Both methods are called on the keeper's thread and return at once."""

    def on_ready(self, fd: int) -> None:
        """A watched descriptor is ready; it is not watched any more."""

    def on_due(self, due: float) -> None:
        """A time given to `Keeper.arm` has come."""


class _Epoll:
    """One-shot watches in the kernel: other threads change them without waking the keeper."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._known: set[int] = set()

    def add_waker(self, fd: int) -> None:
        self._epoll.register(fd, select.EPOLLIN)

    def watch(self, fd: int, mask: int) -> None:
        events = mask | select.EPOLLONESHOT
        if fd in self._known:
            with contextlib.suppress(FileNotFoundError):  # it was closed: an interrupt came before `forget`
                self._epoll.modify(fd, events)
                return
        with contextlib.suppress(FileExistsError):
            self._epoll.register(fd, events)
        self._known.add(fd)

    def pause(self, fd: int) -> None:
        if fd in self._known:
            with contextlib.suppress(FileNotFoundError):
                self._epoll.modify(fd, select.EPOLLONESHOT)

    def forget(self, fd: int) -> None:
        if fd in self._known:
            self._known.discard(fd)
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        return self._epoll.poll(timeout, 256)

    def close(self) -> None:
        self._epoll.close()


class _Poll:
    """The same with poll(2): the keeper is woken for each change."""

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}
        self._lock = threading.Lock()
        self._waker = -1

    def add_waker(self, fd: int) -> None:
        self._waker = fd

    def watch(self, fd: int, mask: int) -> None:
        with self._lock:
            self._masks[fd] = mask
        with contextlib.suppress(OSError):
            os.write(self._waker, b"\1\0\0\0\0\0\0\0")

    def pause(self, fd: int) -> None:
        with self._lock:
            self._masks.pop(fd, None)

    forget = pause

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        poller = select.poll()
        poller.register(self._waker, IN)
        with self._lock:
            for fd, mask in self._masks.items():
                poller.register(fd, mask)
        found = poller.poll(None if timeout is None else timeout * 1000)
        # What was paused since the poll began is not told.
        with self._lock:
            return [(fd, mask) for fd, mask in found if fd == self._waker or self._masks.pop(fd, None) is not None]

    def close(self) -> None:
        self._masks.clear()


class Keeper:
    """Watches descriptors and timers for those that were `add`ed; its thread runs while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: weakref.WeakSet[Kept] = weakref.WeakSet()
        self._heap: list[tuple[float, int, weakref.ref[Kept]]] = []
        self._count = 0
        self._owners: dict[int, weakref.ref[Kept]] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._poller: _Epoll | _Poll | None = None
        self._waker: Waker | None = None
        self._sleeps_until = -inf
        self._thread: threading.Thread | None = None

    @property
    def thread(self) -> threading.Thread | None:
        """The running thread, if there is one."""
        return self._thread

    def add(self, kept: Kept) -> None:
        """Begin to mind a connection."""
        with self._lock:
            self._kept.add(kept)
            if self._thread is None:
                poller = _Epoll() if hasattr(select, "epoll") else _Poll()
                self._waker = waker = Waker()
                poller.add_waker(waker.fileno())
                self._poller = poller
                self._sleeps_until = -inf
                self._thread = thread = threading.Thread(target=self._run, name="activeclient-keeper", daemon=True)
                try:
                    thread.start()
                finally:
                    if thread.ident is None:  # interrupted before, or there is no thread to be had
                        self._thread = None

    def minds(self, kept: Kept) -> bool:
        """True if `kept` was added, and not removed or collected since."""
        with self._lock:
            return kept in self._kept

    def remove(self, kept: Kept) -> None:
        """Mind it no more; with the last one the thread ends."""
        with self._lock:
            self._kept.discard(kept)
            # Rare, and O(n) then: a closed connection must not be held until its timers have passed.
            self._heap = [entry for entry in self._heap if entry[2]() not in (kept, None)]
            heapq.heapify(self._heap)
            if not self._kept and self._waker is not None:
                self._waker.wake()

    def watch(self, kept: Kept, fd: int, mask: int) -> None:
        """Call `kept.on_ready(fd)` once when `fd` is ready for `mask` (IN, OUT)."""
        with self._lock:
            if kept in self._kept and self._poller is not None:
                self._owners[fd] = weakref.ref(kept)
                self._poller.watch(fd, mask)

    def pause(self, fd: int) -> None:
        """Do not watch `fd` for now: somebody else reads it."""
        with self._lock:
            if self._poller is not None:
                self._poller.pause(fd)

    def forget(self, fd: int) -> None:
        """`fd` is about to be closed."""
        with self._lock:
            self._owners.pop(fd, None)
            if self._poller is not None:
                self._poller.forget(fd)

    def arm(self, kept: Kept, due: float) -> None:
        """Call `kept.on_due(due)` at `due` on the monotonic clock. The caller asks no more often than needed."""
        with self._lock:
            if kept not in self._kept:
                return
            self._count += 1
            heapq.heappush(self._heap, (due, self._count, weakref.ref(kept)))
            if due < self._sleeps_until and self._waker is not None:
                self._waker.wake()  # first: an interrupt must not leave a time that nobody was woken for
                self._sleeps_until = due

    def later(self, call: Callable[[], None]) -> None:
        """Have `call` called on the keeper's thread; it must return at once. Takes no lock: finalizers call this."""
        self._calls.append(call)
        waker = self._waker
        if waker is not None:
            with contextlib.suppress(OSError):  # the thread is ending
                waker.wake()
        if self._thread is None:
            _thread.start_new_thread(self._make_calls, ())

    def _make_calls(self) -> None:
        while True:
            try:
                call = self._calls.popleft()
            except IndexError:
                return
            try:
                call()
            except Exception:
                logger.exception("the keeper goes on after an error in a call")

    def _run(self) -> None:
        with self._lock:
            poller, waker = self._poller, self._waker
            if self._thread is not threading.current_thread() or poller is None or waker is None:
                return  # whoever started this thread was interrupted, and does not know of it
        wake_fd = waker.fileno()
        while True:
            with self._lock:
                if not self._kept and not self._calls:
                    self._thread = self._poller = self._waker = None
                    self._heap.clear()
                    self._owners.clear()
                    break
            if self._calls:
                self._make_calls()
                continue  # there may be nothing left to mind
            with self._lock:
                self._sleeps_until = self._heap[0][0] if self._heap else inf
                until = self._sleeps_until
            timeout = None if until == inf else max(0.0, until - time.monotonic())
            found = poller.wait(timeout)
            self._sleeps_until = -inf
            # First what came, then what is late: after a pause of the process, bytes that wait in the kernel prove the
            # peer alive before its silence is judged.
            for fd, _ in found:
                if fd == wake_fd:
                    waker.drain()
                    continue
                owner = self._owners.get(fd)
                if owner is not None:
                    self._call(owner, fd, None)
            now = time.monotonic()
            while True:
                with self._lock:
                    if not self._heap or self._heap[0][0] > now:
                        break
                    due, _, kept = heapq.heappop(self._heap)
                self._call(kept, -1, due)
        poller.close()
        waker.close()
        self._make_calls()

    def _call(self, of: weakref.ref[Kept], fd: int, due: float | None) -> None:
        kept = of()  # for the time of the call alone: the thread keeps no connection alive
        if kept is None:
            return
        try:
            if due is None:
                kept.on_ready(fd)
            else:
                kept.on_due(due)
        except BaseException:  # whatever it is: without the keeper no connection would be read again
            logger.exception("the keeper goes on after an error in one connection")

    def abandon(self) -> None:
        """In a child process: give back what the parent goes on using, without changing it."""
        # Never unregister here: the kernel's watch list is shared with the parent.
        if self._poller is not None:
            self._poller.close()
        if self._waker is not None:
            self._waker.close()


_current = Keeper()


def current() -> Keeper:
    """The keeper of this process."""
    return _current


def _after_fork_in_child() -> None:
    global _current
    _current.abandon()
    _current = Keeper()


os.register_at_fork(after_in_child=_after_fork_in_child)
