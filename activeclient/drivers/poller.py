"""Where the thread that reads a connection sleeps: until there is something to read, or somebody wakes it.

Law of this file: the lock is released while the thread sleeps, and is held again when `sleep` returns or raises,
whatever interrupts it; a wake-up is never lost, and is over with the sleep that it ended.
"""

from __future__ import annotations

import select
import threading
import time
from math import ceil

from activeclient.drivers import keeper
from activeclient.drivers.ports import Transport
from activeclient.drivers.wake import Waker

MAX_SECONDS = 3600.0
"""Of one sleep: the system's limit is some weeks."""
_ONCE = (True,)


class Poller:
    """The sleep of one connection's leader. All methods but the sleep itself are called with the pump's lock held."""

    __slots__ = ("_mask", "_poll", "_polling", "_waker", "_woken")

    def __init__(self) -> None:
        self._poll: select.poll | None = None
        self._mask = keeper.IN
        """What the transport is registered for."""
        self._polling = 0
        """What the sleeper waits for; 0 when nobody sleeps."""
        self._waker: Waker | None = None
        self._woken = False

    @property
    def asleep(self) -> bool:
        """Does somebody sleep whom nobody has woken?"""
        return self._polling != 0 and not self._woken

    def sleep(self, lock: threading.Lock, transport: Transport, left: float, patience: float) -> bool:
        """Sleep, `lock` released, until the transport is ready, somebody wakes us, or `left` seconds are over.

        Returns:
            Is there anything to do for the transport?
        """
        mask = keeper.IN | keeper.OUT if transport.wants_write else keeper.IN
        poll = self._poll
        if poll is None:
            if self._waker is None:
                self._waker = Waker()
            poll = select.poll()
            poll.register(self._waker.fileno(), keeper.IN)
            poll.register(transport.fileno(), mask)
            self._poll = poll  # when it is whole: an interrupt may come between any two of these lines
        elif mask != self._mask:
            poll.register(transport.fileno(), mask)
        self._mask = mask
        self._polling = mask
        got: list[bool] = []
        raised: BaseException | None = None
        found: list[tuple[int, int]] = []
        try:
            lock.release()
            found = poll.poll(ceil(min(left, MAX_SECONDS) * 1000))
            if patience and found:
                time.sleep(min(patience, left))
        finally:
            # An interrupt may come between any two lines; `extend` says truly whether the lock was taken.
            while not got:
                try:
                    got.extend(map(lock.acquire, _ONCE))
                except BaseException as exc:
                    raised = exc
            self._polling = 0
            if self._woken:
                self._woken = False
                if self._waker is not None:
                    self._waker.drain()
            if raised is not None:
                raise raised
        if not found or poll is not self._poll:
            return False
        if mask & keeper.OUT:
            return True
        return len(found) > 1 or found[0][0] == transport.fileno()

    def wake(self) -> None:
        """End the sleep, if there is one."""
        if self._polling and not self._woken and self._waker is not None:
            self._waker.wake()
            self._woken = True  # then: after an interrupt between the two it is woken once more

    def wake_unless_writing(self) -> None:
        """The transport wants to write: a sleeper that does not wait for that begins again."""
        if not self._polling & keeper.OUT:
            self.wake()

    def forget(self) -> None:
        """The transport is gone: nobody sleeps for it any longer."""
        self._poll = None
        self.wake()

    def close(self) -> None:
        """Give the descriptors back; also right in a child process."""
        waker, self._waker = self._waker, None
        self._poll = None
        if waker is not None:
            waker.close()
