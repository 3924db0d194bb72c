"""SIGTERM and SIGINT of a worker: the first one asks it to end, the second one ends it.

Law of this file: a handler only puts a value into a queue whose `put` may interrupt anything, or writes to the file
descriptor of stderr and raises SystemExit; it takes no lock and logs nothing.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

STOPPING = (signal.SIGTERM, signal.SIGINT)


class Asked(BaseException):
    """The first signal came before the application had started: raised in the main thread."""


class StopSignals:
    """While the block runs, the first SIGTERM or SIGINT is put into `inbox`, and a second one ends the process.

    Outside of the main thread, where no handler can be set, it does nothing.

    Args:
        inbox: Gets the number of the signal.
        in_doubt: What the process leaves unfinished, in lines for stderr, when the second signal comes.
    """

    def __init__(self, inbox: queue.SimpleQueue[int | BaseException | None], in_doubt: Callable[[], str]) -> None:
        self._inbox = inbox
        self._in_doubt = in_doubt
        self._before: dict[int, object] = {}
        self.raises = True
        """Does the first signal raise `Asked`, instead of being put into the inbox?"""
        self.came: int | None = None
        """The first signal, if one came."""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.came is None:
            self.came = number
            if self.raises:
                raise Asked
            self._inbox.put(number)
            return
        text = f"activeclient: ended by a second signal ({signal.Signals(number).name})\n{self._in_doubt()}"
        os.write(2, text.encode("utf-8", "backslashreplace"))
        raise SystemExit(128 + number)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
