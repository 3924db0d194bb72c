"""Every test here fails when an internal error is logged, memory grows by 64 MiB, or a thread or descriptor is left."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

GROWTH = 64 << 20
"""Bytes."""


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watch(logging.Handler):
    """Keeps what must never be logged: tracebacks, and errors that are said to be internal."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.bad: list[str] = []
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        text = record.getMessage()
        if record.exc_info or "internal error" in text or "unexpected" in text:
            self.bad.append(f"{record.name}: {text}: {record.exc_info}")


@pytest.fixture(autouse=True)
def nothing_internal() -> Iterator[Watch]:
    logger = logging.getLogger("activeclient")
    before = logger.level
    watch = Watch()
    logger.addHandler(watch)
    logger.setLevel(logging.DEBUG)
    yield watch
    logger.removeHandler(watch)
    logger.setLevel(before)
    assert not watch.bad


@pytest.fixture(autouse=True)
def bounded_and_clean(nothing_internal: Watch) -> Iterator[None]:
    memory = resident()
    threads = set(threading.enumerate())
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        left = [each.name for each in threading.enumerate() if each not in threads]
        more = len(os.listdir("/proc/self/fd")) - descriptors
        if not left and more <= 0:
            break
        time.sleep(0.01)
    assert not left
    assert more <= 0
    assert resident() - memory < GROWTH
