"""A broker on disk that is killed again and again: what it confirmed is there, and there once.

`ACTIVECLIENT_KILLS` says how often; a release is tested with 50.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

KILLS = int(os.environ.get("ACTIVECLIENT_KILLS", "3"))
ROOT = Path(__file__).parent.parent.parent
SOON = 60.0


class Ledger:
    """What the broker has said, over all its lives."""

    def __init__(self) -> None:
        self.sent: set[int] = set()
        self.confirmed: set[int] = set()
        self.got: Counter[int] = Counter()
        self.acking: set[int] = set()
        self.acked: set[int] = set()
        self.prepared: set[str] = set()
        self.deciding: set[str] = set()
        self.drained = False
        self.lines = 0

    @property
    def unconfirmed(self) -> list[int]:
        return sorted(self.sent - self.confirmed)

    @property
    def following(self) -> int:
        return max(self.sent, default=0) + 1

    def hear(self, line: str) -> None:
        """One line of the broker."""
        self.lines += 1
        word, *rest = line.split(maxsplit=1)
        given = rest[0] if rest else ""
        match word:
            case "held":
                self._held(json.loads(given))
            case "prepared":
                missing = self.prepared - self.deciding - set(json.loads(given))
                assert not missing, f"prepared transactions lost: {missing}"
                self.deciding |= set(json.loads(given))
            case "sending":
                self.sent |= set(map(int, given.split()))
            case "sent":
                self.confirmed |= set(map(int, given.split()))
            case "got":
                numbers = list(map(int, given.split()))
                again = [number for number in numbers if number in self.acked]
                assert not again, f"delivered after their acknowledgement was confirmed: {again}"
                self.got.update(numbers)
            case "acking":
                self.acking |= set(map(int, given.split()))
            case "acked":
                self.acked |= set(map(int, given.split()))
            case "prepared!":
                self.prepared.add(given)
            case "deciding":
                self.deciding.add(given)
            case "drained":
                self.drained = True
            case _:
                raise AssertionError(f"unknown line: {line!r}")

    def _held(self, numbers: list[int]) -> None:
        twice = [number for number, count in Counter(numbers).items() if count > 1]
        assert not twice, f"twice in the queue: {twice}"
        held = set(numbers)
        assert not held & self.acked, f"in the queue again: {held & self.acked}"
        lost = self.confirmed - self.acking - held
        assert not lost, f"confirmed and lost: {lost}"


class Life:
    """The broker's process, from its start to its death."""

    def __init__(self, folder: Path, seed: int, what: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.broker.crashing", str(folder), str(seed), what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([ledger.unconfirmed, ledger.following]) + "\n")
        self._process.stdin.flush()

    def run(self, lines: int | None) -> None:
        """Hear it until it has said so many lines, and kill it; None: until it ends by itself."""
        process, ledger = self._process, self._ledger
        assert process.stdout is not None
        watchdog = threading.Timer(SOON, process.kill)
        watchdog.start()
        try:
            heard = 0
            for line in process.stdout:
                if line.endswith("\n"):  # half a line is none: it was killed while it wrote
                    ledger.hear(line.rstrip("\n"))
                heard += 1
                if heard == lines:
                    process.kill()
            status = process.wait(SOON)
        finally:
            watchdog.cancel()
            watchdog.join()
            process.kill()
            process.wait(SOON)
            errors = process.stderr.read() if process.stderr is not None else ""
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        if lines is None:
            assert status == 0, errors
        else:
            assert status == -9, errors
            assert heard >= lines, f"it ended before: {errors}"


@pytest.mark.soak
@pytest.mark.timeout(60 + 30 * KILLS)
def test_what_was_confirmed_outlives_kills_and_comes_once(tmp_path: Path) -> None:
    rng = random.Random(KILLS)
    ledger = Ledger()
    for _ in range(KILLS):
        Life(tmp_path / "store", rng.randrange(10**6), "work", ledger).run(rng.randint(1, 1500))
    Life(tmp_path / "store", 0, "drain", ledger).run(None)
    assert ledger.drained
    assert ledger.sent
    assert ledger.confirmed == ledger.sent
    assert ledger.acked | ledger.acking >= ledger.confirmed
    never = [number for number in ledger.confirmed if not ledger.got[number]]
    assert not never, f"confirmed and never delivered: {never}"
