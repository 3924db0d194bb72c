"""What a test left behind: threads, child processes, open sockets.

Law: it compares with the state before, and waits a moment: a thread that is about to end is no leak.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

from integration.processes import reaper_pid


class Leaks:
    """Remembers threads, children and sockets of this process at its creation."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._children = _children()
        self._sockets = _sockets()

    def left(self, timeout: float) -> list[str]:
        """What is there now and was not then; waits up to *timeout* seconds for it to go."""
        deadline = time.monotonic() + timeout
        while (left := self._now()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def _now(self) -> list[str]:
        threads = [f"thread {thread.name}" for thread in threading.enumerate() if thread not in self._threads]
        children = [f"process {pid}" for pid in sorted(_children() - self._children) if pid != reaper_pid()]
        sockets = [f"socket {inode}" for inode in sorted(_sockets() - self._sockets)]
        if sockets:
            gc.collect()  # sockets in a garbage cycle; one without owner warns by itself
            sockets = [f"socket {inode}" for inode in sorted(_sockets() - self._sockets)]
        return threads + children + sockets


def _children() -> set[int]:
    """Living children of this process; empty where /proc does not tell."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(int(pid) for pid in task.read_text().split())
        except OSError:
            continue  # the thread ended
    return found


def _sockets() -> set[str]:
    """TCP sockets of this process by inode; pipes and the socket pairs of event loops are not counted."""
    tcp: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        tcp.update(line.split()[9] for line in lines)
    found: set[str] = set()
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
            found.add(target[8:-1])
    return found
