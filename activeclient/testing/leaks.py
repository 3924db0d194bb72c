"""What was left behind: threads and open sockets.

Law of this file: it compares with the state before, and waits a moment: a thread that is about to end is no leak.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

PREFIX = "activeclient-"
"""How the names of the client's own threads begin."""
LOOK = 0.02
"""Seconds between two looks."""


class Leaks:
    """Remembers threads and TCP sockets of this process at its creation.

    Args:
        own_threads: Look at the threads of this client only, not at those of the program.
    """

    def __init__(self, *, own_threads: bool = False) -> None:
        self._own = own_threads
        self._threads = set(threading.enumerate())
        self._sockets = _sockets()

    def left(self, timeout: float) -> list[str]:
        """What is there now and was not then, in words; waits up to `timeout` seconds for it to go."""
        deadline = time.monotonic() + timeout
        while (left := self.now()) and time.monotonic() < deadline:
            time.sleep(LOOK)
        return left

    def now(self) -> list[str]:
        """What is there now and was not then."""
        threads = [
            f"thread {thread.name}"
            for thread in threading.enumerate()
            if thread not in self._threads and (thread.name.startswith(PREFIX) or not self._own)
        ]
        sockets = self._new_sockets()
        if sockets:
            gc.collect()  # sockets in a garbage cycle; one without owner warns by itself
            sockets = self._new_sockets()
        return threads + sockets

    def _new_sockets(self) -> list[str]:
        known = _sockets()
        return [f"socket {known[inode]}" for inode in sorted(known.keys() - self._sockets.keys())]


def _sockets() -> dict[str, str]:
    """TCP sockets of this process: inode to ends; pipes and the socket pairs of event loops are not counted.

    Empty where /proc does not tell.
    """
    tcp: dict[str, str] = {}
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            tcp[words[9]] = f"{_port(words[1])} -> {_port(words[2])}"
    found: dict[str, str] = {}
    try:
        descriptors = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for descriptor in descriptors:
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if target.startswith("socket:[") and target[8:-1] in tcp:
            found[target[8:-1]] = tcp[target[8:-1]]
    return found


def _port(text: str) -> str:
    """The port of an end in /proc/net/tcp; `*` of a listener's other end."""
    port = int(text.rpartition(":")[2], 16)
    return f"port {port}" if port else "*"
