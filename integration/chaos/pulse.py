"""A message every few milliseconds, by our client and by Java's at once: how long after a kill does each go on?

Law: both do the same with the same retry series, and are measured by the same function from what they noted.
"""

from __future__ import annotations

import math
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import activeclient
from activeclient.errors import ActiveClientError
from integration.interchange.java_peer import SOURCES
from integration.javaprogram import java_command

PAUSE = 0.02
"""Seconds between two messages."""
PATIENCE = 180.0
SERIES: dict[str, object] = {
    "reconnectAttempts": -1,
    "retryInterval": 50,
    "retryIntervalMultiplier": 2.0,
    "maxRetryInterval": 1000,
    "confirmationWindowSize": 1048576,
}
"""What the profile `reliable` sets, for Java's client."""


@dataclass
class Notes:
    """What a pulse did, in seconds since the epoch."""

    sent: list[tuple[int, float, float]] = field(default_factory=list)
    """Number, when its send began, when it returned."""
    received: list[tuple[int, float]] = field(default_factory=list)
    """Number, and when it came."""

    @property
    def lost(self) -> int:
        """Messages that were sent and not received."""
        return len({number for number, _, _ in self.sent} - {number for number, _ in self.received})

    @property
    def duplicated(self) -> int:
        """Receptions beyond the first of each message."""
        return len(self.received) - len({number for number, _ in self.received})

    def continued(self, kills: Sequence[tuple[float, float]]) -> list[float]:
        """Seconds from each kill until a message that was sent after it was confirmed, and had come: the later of both.

        Args:
            kills: When each was ordered, and when it was done.
        """
        came: dict[int, float] = {}
        for number, at in self.received:
            came.setdefault(number, at)
        found = []
        for ordered, done in kills:
            after = [(number, end) for number, begin, end in self.sent if begin >= done]
            # One that was under way at the last kill, and returned when the pulse was to end, is followed by none.
            number, end = after[0] if after else (self.sent[-1][0], self.sent[-1][2])
            found.append(max(end, came.get(number, math.inf)) - ordered)
        return found


class OurPulse:
    """A thread for each direction, on one connection."""

    def __init__(self, url: str, queue: str) -> None:
        self.notes = Notes()
        self.errors: list[str] = []
        self._end = threading.Event()
        self._sent = threading.Event()
        self._connection = activeclient.connect(url)
        self._queue = queue
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        try:
            with self._connection.create_session() as session:
                producer = session.create_producer(session.create_queue(self._queue))
                number = 0
                while not self._end.wait(PAUSE):
                    begin = time.time()
                    producer.send(None, properties={"n": number})
                    self.notes.sent.append((number, begin, time.time()))
                    number += 1
        except ActiveClientError as error:
            self.errors.append(f"sending: {error!r}")
        finally:
            self._sent.set()

    def _receive(self) -> None:
        try:
            with self._connection.create_session() as session:
                consumer = session.create_consumer(session.create_queue(self._queue))
                while True:
                    message = consumer.receive(timeout=1.0)
                    if message is not None:
                        number = message.properties["n"]
                        assert isinstance(number, int)
                        self.notes.received.append((number, time.time()))
                    elif self._sent.is_set():
                        return
        except ActiveClientError as error:
            self.errors.append(f"receiving: {error!r}")

    def stop(self) -> Notes:
        """End it and return what it noted."""
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        self.kill()
        assert not self.errors, self.errors
        return self.notes

    def kill(self) -> None:
        """End it at once, if it runs."""
        self._end.set()
        self._sent.set()
        self._connection.close()


class JavaPulse:
    """Artemis' JMS client, a process of its own. UnavailableError: it cannot be had here."""

    def __init__(self, url: str, queue: str) -> None:
        command, self.version = java_command("jms-peer", SOURCES, "Pulse")
        self.errors = ""
        """What it wrote to its standard error, once it was stopped."""
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        options = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")
        self._process = subprocess.Popen(
            [command[0], *options, *command[1:], url, queue, str(int(PAUSE * 1000))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        try:
            assert self._process.stdout is not None
            ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
            line = self._process.stdout.readline() if ready else ""
            assert line == "ready\n", f"Java's client did not get ready: {line!r} {self._said()}"
        except BaseException:
            self.kill()
            raise

    def _said(self) -> str:
        """The end of what it wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read()[-2000:]

    def stop(self) -> Notes:
        """End it and return what it noted."""
        try:
            out, _ = self._process.communicate(timeout=PATIENCE)
            self.errors = self._said()
        finally:
            self.kill()
        notes = Notes()
        for line in out.splitlines():
            what, number, *times = line.split()
            seconds = [int(time) / 1000 for time in times]
            if what == "sent":
                notes.sent.append((int(number), seconds[0], seconds[1]))
            else:
                notes.received.append((int(number), seconds[0]))
        return notes

    def kill(self) -> None:
        """End it at once, if it runs."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()
