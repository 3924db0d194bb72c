"""`activeclient perf`: how fast broker, network and client are together, with one producer and one consumer.

Law of this file: a rate counts what was confirmed and what was received and acknowledged, nothing that was only
handed over; the queue is its own and is deleted afterwards.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.options import JsonOption, PasswordFileOption, UrlOption, UserOption, target
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.client.locator import ServerLocator
from activeclient.client.session import ClientSession
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import ActiveClientError
from activeclient.wire.message import CoreMessage

STAMP = struct.Struct(">d")
SAMPLES = 1_000_000
"""Latencies that are kept; of longer runs the first ones."""
REST = 10.0
"""Seconds without a message after which the rest is not waited for."""
EVERY = 1.0
"""Seconds between two lines of progress."""
BACKLOG = 20_000
"""Messages that the producer may be ahead of the consumer."""


@dataclass(slots=True)
class Measured:
    """What a run counted."""

    size: int
    sent: int = 0
    confirmed: int = 0
    received: int = 0
    sending_seconds: float = 0.0
    receiving_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Seconds from send to receive."""
    error: ActiveClientError | None = None

    def record(self) -> dict[str, object]:
        """The result; rates per second, latencies in milliseconds."""
        sent_rate = self.confirmed / self.sending_seconds if self.sending_seconds else 0.0
        received_rate = self.received / self.receiving_seconds if self.receiving_seconds else 0.0
        times = sorted(self.latencies)
        return {
            "size_bytes": self.size,
            "sent": self.sent,
            "confirmed": self.confirmed,
            "received": self.received,
            "confirmed_per_second": round(sent_rate, 1),
            "received_per_second": round(received_rate, 1),
            "received_mib_per_second": round(received_rate * self.size / 2**20, 3),
            "latency_ms": {
                name: round(times[min(len(times) - 1, int(len(times) * part))] * 1000, 3) if times else None
                for name, part in (("median", 0.5), ("p99", 0.99), ("longest", 1.0))
            },
        }


@command
def perf(
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600, help="How long it sends.")] = 5.0,
    size: Annotated[int, typer.Option("--size", min=8, max=50_000_000, help="Bytes of each body.")] = 1024,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.1, help="Messages a second at most.", show_default="as fast as it goes"),
    ] = None,
    non_persistent: Annotated[
        bool, typer.Option("--non-persistent", help="The broker need not write them to disk.")
    ] = False,
    as_json: JsonOption = False,
) -> Exit:
    """Send and receive at once for some seconds, and say how fast it went.

    At full speed messages wait in the queue, and the latency says how long; give a --rate to see the way alone.
    """
    output = Output(as_json)
    named = target(url, user, password_file)
    queue = f"activeclient.perf.{uuid.uuid4()}"
    measured = Measured(size)
    with (
        ServerLocator.reliable(named.url, **named.settings) as locator,
        locator.create_session_factory() as connection,
        connection.create_session() as producing,
        connection.create_session() as consuming,
    ):
        producing.create_queue(queue, durable=not non_persistent)
        try:
            _Run(measured, connection, producing, consuming, queue, output, durable=not non_persistent).go(
                seconds, rate
            )
        finally:
            with contextlib.suppress(ActiveClientError):
                if connection.is_connected:  # else it would be waited for
                    producing.delete_queue(queue)
    if measured.error is not None:
        raise measured.error.again()
    result = measured.record()
    if as_json:
        output.record(result)
    else:
        for line in lines(result):
            output.line(line)
    return Exit.OK if measured.received == measured.sent else Exit.NO


def lines(result: dict[str, object]) -> list[str]:
    """For people."""
    latency = result["latency_ms"]
    assert isinstance(latency, dict)
    return [
        f"confirmed  {result['confirmed']} of {result['sent']} messages of {result['size_bytes']} bytes,"
        f" {result['confirmed_per_second']:,} a second",
        f"received   {result['received']}, {result['received_per_second']:,} a second,"
        f" {result['received_mib_per_second']:,} MiB a second",
        "latency    " + ", ".join(f"{name} {value} ms" for name, value in latency.items()),
    ]


@contextlib.contextmanager
def _progress(measured: Measured, output: Output) -> Iterator[None]:
    """While the block runs, say every second what was counted."""
    over = threading.Event()

    def tell() -> None:
        began = time.monotonic()
        confirmed = received = 0
        while not over.wait(EVERY):
            output.note(
                f"{time.monotonic() - began:6.0f} s  sent {measured.sent:,}, confirmed {measured.confirmed:,}"
                f" (+{measured.confirmed - confirmed:,}), received {measured.received:,}"
                f" (+{measured.received - received:,})"
            )
            confirmed, received = measured.confirmed, measured.received

    thread = threading.Thread(target=tell, name="perf-progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _Run:
    def __init__(
        self,
        measured: Measured,
        connection: ClientSessionFactory,
        producing: ClientSession,
        consuming: ClientSession,
        queue: str,
        output: Output,
        *,
        durable: bool,
    ) -> None:
        self._measured = measured
        self._output = output
        self._connection = connection
        self._producing, self._consuming = producing, consuming
        self._queue = queue
        self._durable = durable
        self._over = threading.Event()
        self._all_sent = threading.Event()
        self._ahead = threading.Semaphore(BACKLOG)
        self._answered = threading.Condition()

    def go(self, seconds: float, rate: float | None) -> None:
        """Send for so long, then wait for the rest; a line each second on stderr says how far it is."""
        with _progress(self._measured, self._output):
            self._go(seconds, rate)

    def _go(self, seconds: float, rate: float | None) -> None:
        consumer = threading.Thread(target=self._guarded, args=(self._consume,), name="perf-consumer")
        consumer.start()
        try:
            self._produce(seconds, rate)
            self._all_sent.set()
            while consumer.is_alive():
                consumer.join(0.1)  # in pieces, so that Ctrl-C is heard
        finally:
            self._over.set()
            consumer.join()

    def _produce(self, seconds: float, rate: float | None) -> None:
        measured = self._measured
        rest = bytes(measured.size - STAMP.size)
        began = time.monotonic()
        with self._producing.create_producer(self._queue) as producer:
            while (now := time.monotonic()) - began < seconds and not self._over.is_set():
                due = 0.0 if rate is None else began + measured.sent / rate
                if due > now:
                    self._over.wait(min(due - now, seconds))
                    continue
                if not self._ahead.acquire(timeout=0.1):
                    continue
                message = self._producing.create_message(durable=self._durable, body=STAMP.pack(now) + rest)
                producer.send(message, self._told)
                measured.sent += 1
            with self._answered:
                while measured.confirmed < measured.sent and measured.error is None:
                    self._answered.wait(0.1)
        measured.sending_seconds = time.monotonic() - began

    def _told(self, message: CoreMessage, error: ActiveClientError | None) -> None:
        with self._answered:
            if error is None:
                self._measured.confirmed += 1
            else:
                self._measured.error = error
                self._over.set()
            self._answered.notify()

    def _consume(self) -> None:
        measured = self._measured
        began = newest = time.monotonic()
        consumer = self._consuming.create_consumer(self._queue)
        self._consuming.start()
        try:
            while not self._over.is_set() and not (self._all_sent.is_set() and measured.received >= measured.sent):
                message = consumer.receive(0.2)
                now = time.monotonic()
                if message is None:
                    if self._all_sent.is_set() and now - newest > REST:
                        break
                    continue
                if len(measured.latencies) < SAMPLES:
                    measured.latencies.append(now - STAMP.unpack_from(message.body)[0])
                consumer.acknowledge(message)
                measured.received += 1
                newest = now
                self._ahead.release()
        finally:
            if self._connection.is_connected:  # else its closing would wait
                consumer.close()
        measured.receiving_seconds = newest - began

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ActiveClientError as error:
            self._measured.error = self._measured.error or error
            self._over.set()
