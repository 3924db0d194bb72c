"""What a test left behind: threads, open sockets, child processes.

Law: it compares with the state before, and waits a moment: a thread that is about to end is no leak.
"""

from __future__ import annotations

from pathlib import Path

from activeclient.testing import leaks
from integration.clusters import standing
from integration.processes import reaper_pid


class Leaks(leaks.Leaks):
    """Remembers threads, sockets and children of this process at its creation."""

    def __init__(self) -> None:
        super().__init__()
        self._children = _children()
        self._standing = standing()

    def now(self) -> list[str]:
        """What is there now and was not then. Members of pairs and clusters of then may be other processes now."""
        known = self._children | {member.pid for member in self._standing} | {reaper_pid()}
        children = [f"process {pid}" for pid in sorted(_children() - known)]
        return super().now() + children


def _children() -> set[int]:
    """Living children of this process; empty where /proc does not tell."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(int(pid) for pid in task.read_text().split())
        except OSError:
            continue  # the thread ended
    return found
