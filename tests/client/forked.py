"""Runs calls in a forked child and says what each of them did there."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping

SECONDS = 30.0


def in_child(calls: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """What became of each call in a child process: `returned`, or the name of the exception's class.

    A call that takes more than a second is marked by `late`; a child that does not end is killed.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        told: dict[str, str] = {}
        try:
            os.close(read)
            for name, call in calls.items():
                began = time.monotonic()
                try:
                    call()
                    told[name] = "returned"
                except BaseException as error:
                    told[name] = type(error).__name__
                if time.monotonic() - began > 1:
                    told[name] += " late"
            with os.fdopen(write, "w") as pipe:
                json.dump(told, pipe)
        finally:
            os._exit(0)
    os.close(write)
    text = b""
    deadline = time.monotonic() + SECONDS
    try:
        while select.select([read], [], [], max(0.0, deadline - time.monotonic()))[0]:
            piece = os.read(read, 65536)
            if not piece:
                found: dict[str, str] = json.loads(text)
                return found
            text += piece
        raise AssertionError("the child process hangs")
    finally:
        os.close(read)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
