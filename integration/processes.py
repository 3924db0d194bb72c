"""Server processes of the harness, which never outlive the test run.

Law: every started process group and every private folder is known to the reaper before anybody can wait for it. The
reaper is a small process that reads a pipe from us: however we end (also by SIGKILL), the pipe closes and the reaper
kills the groups and removes the folders. It does not depend on which thread started what, unlike a parent-death signal.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_REAPER = """
import os, shutil, signal, sys
groups, folders = set(), set()
for line in sys.stdin:
    word, _, value = line.rstrip("\\n").partition(" ")
    if word == "group": groups.add(int(value))
    elif word == "group-ended": groups.discard(int(value))
    elif word == "folder": folders.add(value)
    elif word == "folder-gone": folders.discard(value)
for group in groups:
    try: os.killpg(group, signal.SIGKILL)
    except OSError: pass
for folder in folders: shutil.rmtree(folder, ignore_errors=True)
"""


class _Reaper:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def tell(self, word: str, value: object) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _REAPER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,  # Ctrl-C in the terminal must not end it
                )
                atexit.register(self._end)
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{word} {value}\n")
                self._process.stdin.flush()

    def _end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)


_reaper = _Reaper()


def reaper_pid() -> int | None:
    """The reaper's process id (None before the first use), for those who look for leaked processes."""
    return _reaper.pid


def own_folder(folder: Path) -> None:
    """Have *folder* removed when this process ends."""
    _reaper.tell("folder", folder)


def disown_folder(folder: Path) -> None:
    """*folder* is gone or shall stay."""
    _reaper.tell("folder-gone", folder)


class Server:
    """One running server process with its own process group; its output goes to *log* (appended)."""

    def __init__(self, command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self.command = tuple(command)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        _reaper.tell("group", self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; a group that is gone is no error."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def freeze(self) -> None:
        """SIGSTOP, and wait until every thread has stopped: the signal arrives later than the call returns."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + 30.0
        while self._busy_threads() and time.monotonic() < deadline:
            time.sleep(0.002)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def _busy_threads(self) -> bool:
        for path in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            try:
                if path.read_text().rpartition(")")[2].split()[0] not in "TtZX":
                    return True
            except (OSError, IndexError):
                continue  # the thread ended
        return False

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM, then SIGKILL after *timeout* seconds; returns the exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()
        return self._ended()

    def kill(self) -> int:
        """SIGKILL at once and wait for the end; returns the exit code."""
        self.signal(signal.SIGKILL)
        self._process.wait(timeout=30)
        return self._ended()

    def _ended(self) -> int:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # helpers that the server left in its group
        _reaper.tell("group-ended", self.pid)
        return self._process.returncode
