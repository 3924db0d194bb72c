"""Brokers that `python -m integration up` runs, known to `down` in another terminal.

Law: a record is alive while its process holds the lock on it, which the kernel frees when the process ends; so a record
that was left behind is told from one that counts, and no other process is ever signalled.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from integration.cache import cache_folder

LIMIT = 120.0
"""Seconds in which brokers that are ended must have gone."""


def _folder() -> Path:
    folder = cache_folder() / "running"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def recorded(url: str) -> Iterator[None]:
    """Let `end_all` find this process, which runs what *url* names."""
    path = _folder() / f"{os.getpid()}.json"
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump({"pid": os.getpid(), "url": url}, file)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def end_all() -> list[str]:
    """End every process that runs brokers, and wait until it has; returns their URLs.

    TimeoutError: One has not ended within `LIMIT` seconds.
    """
    ended = []
    for path in sorted(_folder().glob("*.json")):
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
            if not _free(file):
                record = json.loads(file.read())
                os.kill(record["pid"], signal.SIGTERM)
                deadline = time.monotonic() + LIMIT
                while not _free(file):
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{record['url']} (process {record['pid']}) has not ended")
                    time.sleep(0.05)
                ended.append(str(record["url"]))
            path.unlink(missing_ok=True)
    return ended


def _free(file: IO[str]) -> bool:
    """Whether nobody holds the lock; it is not kept."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True
