"""Runs one peer as a process, with a limit of time, and takes its line of results.

Law of this file: `run` ends within its limit, whatever the peer does, and leaves no process behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO


class PeerError(Exception):
    """The peer could not be run, failed or wrote no result; the text is the reason for the table."""


class PeerTimeoutError(PeerError):
    """The peer was still running at its limit."""


def run(
    command: Sequence[str],
    task: Mapping[str, object],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    cut: Callable[[], tuple[int, int]] | None = None,
) -> dict[str, float]:
    """Run *command* with *task* as `key=value` arguments; returns its result. *timeout* in seconds.

    *cut* is called when the peer asks for a cut and returns the microseconds since the epoch before and after it.
    """
    arguments = [f"{key}={value}" for key, value in task.items()]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
            )
        except OSError as failure:
            raise PeerError(f"cannot be started: {failure}") from failure
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        timer.start()
        try:
            result = _result(process, cut)
        finally:
            timer.cancel()
            _kill(process)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if result is None or late.is_set():
            if late.is_set():
                raise PeerTimeoutError(f"no result in {timeout:.0f} s")
            raise PeerError(f"ended without a result: {_tail(errors)}")
    if "error" in result:
        raise PeerError(str(result["error"]))
    return result


def _result(process: subprocess.Popen[str], cut: Callable[[], tuple[int, int]] | None) -> dict[str, float] | None:
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if not isinstance(said, dict):
            continue
        if "cut" not in said:
            return said
        if cut is None:
            raise PeerError("the peer asked for a cut, which this task has not")
        with contextlib.suppress(OSError):
            before, after = cut()
            process.stdin.write(f"{before} {after}\n")
            process.stdin.flush()
    return None


def _kill(process: subprocess.Popen[str]) -> None:
    # A process that has ended is not reaped before `wait`, so its group id is still its own.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _tail(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = [line for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it wrote nothing"
