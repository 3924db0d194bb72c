"""Threads for whatever may block: user callbacks and the opening of transports.

Law of this file: a `Serial` runs on one thread at a time, and once more after every `schedule` that came while it ran;
one that blocks delays no other; an exception of a callback ends nothing, of whatever kind it is (SystemExit,
CancelledError). Threads are bounded by `MAX_WORKERS`, waiting tasks by the number of serials and connections, as each
waits at most once. An interrupt of a thread that submits strands no task: a task is in the queue before a thread is
looked for, and `rescue` finds the thread if the interrupt came in between.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

logger: logging.Logger = logging.getLogger("activeclient.callbacks")

MAX_WORKERS = 256
"""Threads; as many callbacks may block at the same time before others wait."""

IDLE_SECONDS = 5.0
"""A worker without work ends after this time, and at once when no connection is left."""

_IDLE, _QUEUED, _RUNNING, _AGAIN = range(4)


class Serial:
    """Work that must not run on two threads at a time: the listeners of a session, say. Override `run`."""

    __slots__ = ("_gates", "_state", "_thread")

    def __init__(self) -> None:
        self._state = _IDLE
        self._thread = 0
        self._gates: list[threading.Lock] | None = None

    def run(self) -> None:
        """Do all that is due; called again if `schedule` was called meanwhile."""
        raise NotImplementedError


class _Worker:
    __slots__ = ("dismissed", "gate")

    def __init__(self) -> None:
        self.dismissed = False
        self.gate = threading.Lock()
        self.gate.acquire()


class Dispatcher:
    """An elastic pool of daemon threads.

    Args:
        on_error: Told of every exception of a callback, after it was logged and counted; must not block.
        max_workers: Bound of the threads.
        idle_seconds: How long a thread without work stays.
    """

    def __init__(
        self,
        on_error: Callable[[Serial, BaseException], None] | None = None,
        *,
        max_workers: int = MAX_WORKERS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.on_error = on_error
        self.errors: int = 0
        """Exceptions of callbacks so far."""
        self._max = max_workers
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._tasks: deque[Callable[[], None]] = deque()
        self._idle: list[_Worker] = []
        self._threads: set[threading.Thread] = set()
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        """What uses the pool: weakly, so that a connection which is dropped without closing can end."""
        self._serial = 0

    @property
    def workers(self) -> int:
        """Threads that exist now."""
        return len(self._threads)

    def enter(self, user: object) -> None:
        """A connection, `user`, uses the pool: threads may wait for work."""
        with self._lock:
            self._users.add(user)

    def leave(self, user: object) -> None:
        """A connection is closed; after the last one idle threads end at once."""
        with self._lock:
            self._users.discard(user)
            if not self._users:
                while self._idle:
                    worker = self._idle[-1]
                    worker.dismissed = True
                    del self._idle[-1]
                    worker.gate.release()

    def submit(self, task: Callable[[], None]) -> None:
        """Run `task` on some thread, soon. It should not raise; if it does, that is logged.

        Raises:
            RuntimeError: The process can start no thread, and has none for this.
        """
        self._tasks.append(task)
        try:
            self.rescue()
        except RuntimeError:
            with self._lock:
                if task not in self._tasks:
                    return  # a thread that was just ending has taken it
                self._tasks.remove(task)
            raise

    def rescue(self) -> None:
        """See that there is a thread for the tasks in the queue, if there are any."""
        with self._lock:
            if not self._tasks:
                return
            if self._idle:
                worker = self._idle[-1]  # the latest: the others may time out
                del self._idle[-1]
                worker.gate.release()
                return
            if len(self._threads) >= self._max:
                return
            self._serial += 1
            name = f"activeclient-worker-{self._serial}"
            thread = threading.Thread(target=self._work, args=(_Worker(),), name=name, daemon=True)
            self._threads.add(thread)
        try:
            thread.start()
        except BaseException as exc:
            if thread.ident is None:  # interrupted before, or there is no thread to be had
                with self._lock:
                    self._threads.discard(thread)
                    if isinstance(exc, RuntimeError) and self._threads:
                        return  # a later one takes the task
            raise

    def _work(self, worker: _Worker) -> None:
        while True:
            task: Callable[[], None] | None = None
            with self._lock:
                if self._tasks:
                    task = self._tasks.popleft()
                elif not self._users or worker.dismissed:
                    self._threads.discard(threading.current_thread())
                    return
                else:
                    self._idle.append(worker)
            if task is not None:
                try:
                    task()
                except BaseException:
                    logger.exception("a background task failed")
                continue
            if not worker.gate.acquire(timeout=self._idle_seconds):
                with self._lock:
                    if worker in self._idle:
                        self._idle.remove(worker)
                        self._threads.discard(threading.current_thread())
                        return
                worker.gate.acquire()  # a task, or the end, came in the last moment: take its signal

    def schedule(self, serial: Serial) -> None:
        """Let `serial.run` be called: soon, and if it runs already, once more afterwards."""
        with self._lock:
            state = serial._state
            if state == _RUNNING:
                serial._state = _AGAIN
            if state != _IDLE:
                return
            self._tasks.append(lambda: self._run(serial))
            serial._state = _QUEUED
        self.rescue()

    def _run(self, serial: Serial) -> None:
        with self._lock:
            if serial._state >= _RUNNING:
                serial._state = _AGAIN  # queued twice, as an interrupt came between the queue and the state
                return
            serial._state = _RUNNING
        while True:
            serial._thread = threading.get_ident()
            try:
                serial.run()
            except BaseException as exc:
                self._failed(serial, exc)
            serial._thread = 0
            with self._lock:
                if serial._state != _AGAIN:
                    serial._state = _IDLE
                    gates, serial._gates = serial._gates, None
                    break
                if self._tasks:
                    # All threads are busy: others get their turn before this one goes on.
                    serial._state = _QUEUED
                    self._tasks.append(lambda: self._run(serial))
                    return
                serial._state = _RUNNING
        for gate in gates or ():
            gate.release()

    def _failed(self, serial: Serial, exc: BaseException) -> None:
        self.errors += 1
        logger.error("callback of %s failed", type(serial).__name__, exc_info=exc)
        if self.on_error is not None:
            try:
                self.on_error(serial, exc)
            except BaseException:
                logger.exception("the handler for failed callbacks failed itself")

    def running_in_current_thread(self, serial: Serial) -> bool:
        """Is the caller inside `serial.run`? Then it must not wait for its end."""
        return serial._thread == threading.get_ident()

    def wait_idle(self, serial: Serial, timeout: float | None) -> bool:
        """Wait until `serial` neither runs nor is due; False after `timeout` seconds. Inside `run`: True."""
        if self.running_in_current_thread(serial):
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                if serial._state == _IDLE:
                    return True
                gate = threading.Lock()
                gate.acquire()
                if serial._gates is None:
                    serial._gates = []
                serial._gates.append(gate)
            left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
            if not gate.acquire(timeout=left):
                with self._lock:
                    if serial._gates is not None and gate in serial._gates:
                        serial._gates.remove(gate)
                    return serial._state == _IDLE


_current = Dispatcher()


def current() -> Dispatcher:
    """The dispatcher of this process, shared by its connections."""
    return _current


def _after_fork_in_child() -> None:
    global _current
    _current = Dispatcher(_current.on_error)


os.register_at_fork(after_in_child=_after_fork_in_child)
