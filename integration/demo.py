"""`python -m integration.demo`: a producer and a consumer on a real Artemis while their connection is cut.

Law of this file: the producer and the consumer are plain user code: no retry, no reconnection, no error handling. The
verdict looks only at what was confirmed to the one and handed to the other.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from activeclient.client.locator import ServerLocator
from activeclient.client.session import ClientSession
from activeclient.errors import ActiveClientError
from activeclient.events import Detached, Event, GaveUp, Reconnected, SendFailed, SessionReattached
from activeclient.wire.message import CoreMessage
from integration.artemis import GENERATIONS, BrokerError, LocalBroker
from integration.configuration import BrokerSettings
from integration.cutter import Cutter, Direction, How
from integration.toolchain import UnavailableError

BODY = 1024
AHEAD = 5000
"""Messages that the producer may be ahead of the consumer: what waits in the queue at the end."""
LONGEST_REACH = 60_000
"""Bytes from arming a cut to the cut itself, at most."""
TTL = "connectionTTL=10000&clientFailureCheckPeriod=2000"
"""So that a broker that does not notice a cut, and cannot reattach, gives its messages back soon."""
PATIENCE = 30.0
"""Seconds without any message after which the consumer calls the rest lost."""


@dataclass
class Tally:
    """What became of the messages."""

    sent: int = 0
    confirmed: int = 0
    first: list[int] = field(default_factory=list)
    """Numbers in the order of their first reception."""
    seen: set[int] = field(default_factory=set)
    again: int = 0
    """Received before and marked as redelivered: what a session that was made anew had not acknowledged."""
    duplicated: int = 0
    """Received before and not marked."""
    errors: list[str] = field(default_factory=list)
    reattached: list[float] = field(default_factory=list)
    """Seconds of each session's reattachment."""
    outages: list[float] = field(default_factory=list)
    """Seconds from each loss to the connection's return."""
    replayed: int = 0
    recreated: int = 0

    @property
    def lost(self) -> int:
        return self.sent - len(self.seen)

    @property
    def in_order(self) -> bool:
        return self.first == sorted(self.first)

    @property
    def passed(self) -> bool:
        exact = self.recreated > 0 or self.again == 0
        return (
            self.confirmed == self.sent
            and not (self.lost or self.duplicated or self.errors)
            and self.in_order
            and exact
        )


class Narrator:
    """Prints lines with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        with self._lock:
            print(f"{time.monotonic() - self._began:8.3f} s  {text}", flush=True)


class Demo:
    """One run: a producer's thread, a consumer's thread, and the thread that cuts."""

    def __init__(self, cutter: Cutter, parameters: str, cuts: int, seed: int, narrator: Narrator) -> None:
        self.tally = Tally()
        self._cutter = cutter
        self._url = f"{cutter.url()}?profile=reliable&{TTL}{'&' if parameters else ''}{parameters}"
        self._cuts = cuts
        self._rng = random.Random(seed)
        self._say = narrator.say
        self._all_cut = threading.Event()
        self._all_sent = threading.Event()
        self._consumed = threading.Event()
        self._ahead = threading.Semaphore(AHEAD)

    def run(self) -> Tally:
        """Send and receive until every cut has happened and every message has arrived."""
        with ServerLocator(self._url) as locator, locator.create_session_factory() as factory:
            factory.add_event_listener(self._heard)
            with factory.create_session() as producing, factory.create_session() as consuming:
                queue = f"activeclient.demo.{time.time_ns()}"
                producing.create_queue(queue)
                try:
                    self._run_threads(producing, consuming, queue)
                finally:
                    with contextlib.suppress(ActiveClientError):
                        producing.delete_queue(queue)
        return self.tally

    def _run_threads(self, producing: ClientSession, consuming: ClientSession, queue: str) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(self._produce, producing, queue), name="producer"),
            threading.Thread(target=self._guarded, args=(self._consume, consuming, queue), name="consumer"),
            threading.Thread(target=self._guarded, args=(self._cut,), name="cuts"),
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._consumed.wait(1.0):
                tally = self.tally
                self._say(f"sent {tally.sent}, confirmed {tally.confirmed}, received {len(tally.seen)}")
            self._await_confirmations()
        finally:
            self._all_cut.set()
            self._consumed.set()
            for thread in threads:
                thread.join(PATIENCE)

    # The user's code: not a word about connections.

    def _produce(self, session: ClientSession, queue: str) -> None:
        with session.create_producer(queue) as producer:
            while not self._all_cut.is_set():
                if not self._ahead.acquire(timeout=0.1):
                    continue
                body = self.tally.sent.to_bytes(8, "big") + bytes(BODY - 8)
                producer.send(session.create_message(durable=True, body=body), self._confirmed)
                self.tally.sent += 1
        self._all_sent.set()

    def _consume(self, session: ClientSession, queue: str) -> None:
        quiet_since = time.monotonic()
        with session.create_consumer(queue) as consumer:
            session.start()
            while not (self._all_sent.is_set() and len(self.tally.seen) >= self.tally.sent):
                message = consumer.receive(1.0)
                if message is not None:
                    self._take(message)
                    consumer.acknowledge(message)
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since > PATIENCE:
                    self.tally.errors.append(f"nothing came for {PATIENCE:g} s")
                    break
        self._consumed.set()

    def _take(self, message: CoreMessage) -> None:
        number = int.from_bytes(message.body[:8], "big")
        tally = self.tally
        if number not in tally.seen:
            tally.seen.add(number)
            tally.first.append(number)
            self._ahead.release()
        elif message.delivery_count > 1:
            tally.again += 1
        else:
            tally.duplicated += 1

    def _confirmed(self, message: CoreMessage, error: ActiveClientError | None) -> None:
        if error is None:
            self.tally.confirmed += 1
        else:
            self.tally.errors.append(f"a send failed: {error}")

    # What happens to the connection.

    def _cut(self) -> None:
        number = 0
        while number < self._cuts and not self._all_cut.wait(self._rng.uniform(0.05, 0.25)):
            how = self._rng.choice((How.RESET, How.RESET, How.FIN, How.ABANDON))
            before = self._cutter.cuts
            self._cutter.cut_after(self._rng.choice(list(Direction)), self._rng.randrange(1, LONGEST_REACH), how)
            deadline = time.monotonic() + 2.0
            while self._cutter.cuts == before and time.monotonic() < deadline and not self._all_cut.wait(0.001):
                pass  # the next bytes do it
            if self._cutter.cuts > before:
                number += 1
                cut = self._cutter.happened[-1]
                self._say(
                    f"cut {number} of {self._cuts}: {how.value}, after {cut.to_broker} bytes to the broker"
                    f" and {cut.to_client} to the client"
                )
        self._all_cut.set()

    def _heard(self, event: Event) -> None:
        tally = self.tally
        match event:
            case Detached():
                self._say(f"  lost: {event.reason}")
            case SessionReattached():
                tally.reattached.append(event.seconds)
                tally.replayed += event.replayed
            case Reconnected():
                tally.outages.append(event.seconds)
                tally.recreated += event.recreated
                how = "recreated" if event.recreated else "reattached"
                self._say(f"  {how} in {event.seconds * 1000:.1f} ms, after {event.attempts} attempt(s)")
            case GaveUp():
                tally.errors.append(f"gave up: {event.reason}")
            case SendFailed():
                tally.errors.append(f"a send failed: {event.error}")
            case _:
                pass

    # Around it.

    def _guarded(self, work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except Exception as error:
            self.tally.errors.append(f"{threading.current_thread().name}: {type(error).__name__}: {error}")
            self._all_cut.set()
            self._consumed.set()

    def _await_confirmations(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.tally.confirmed < self.tally.sent and not self.tally.errors and time.monotonic() < deadline:
            time.sleep(0.005)


def verdict(tally: Tally, cuts: int) -> list[str]:
    """The closing lines."""
    lines = [
        "",
        f"cuts        {cuts}",
        f"sent        {tally.sent} durable messages, {tally.confirmed} confirmed",
        f"received    {len(tally.seen)}, and {tally.again} again, marked as redelivered",
        f"lost        {tally.lost}",
        f"duplicated  {tally.duplicated}",
        f"order       {'kept' if tally.in_order else 'BROKEN'}",
    ]
    if tally.reattached:
        milliseconds = sorted(seconds * 1000 for seconds in tally.reattached)
        lines.append(
            f"reattached  {len(milliseconds)} sessions, median {statistics.median(milliseconds):.1f} ms,"
            f" longest {milliseconds[-1]:.1f} ms; {tally.replayed} commands replayed"
        )
    if tally.recreated:
        lines.append(
            f"recreated   {tally.recreated} sessions: this broker does not reattach, or did not have them any more"
        )
    lines += [f"error       {error}" for error in tally.errors[:10]]
    lines.append(
        "verdict     "
        + ("PASSED: nothing was lost, nothing was duplicated, the order was kept" if tally.passed else "FAILED")
    )
    return lines


@contextlib.contextmanager
def _broker(url: str | None, generation: str, say: Narrator) -> Iterator[tuple[str, int, str]]:
    """Host, port and URL parameters of the broker that was named, or of a new one of our own."""
    if url is not None:
        parts = urlsplit(url)
        yield parts.hostname or "localhost", parts.port or 61616, parts.query
        return
    say.say(f"provisioning Artemis {generation} (the first time it is fetched, which takes a while)")
    # A message that was only fetched ahead counts as delivered when its session is made anew.
    with LocalBroker(generation, BrokerSettings(max_delivery_attempts=-1)) as broker:
        broker.start()
        say.say(f"Artemis {generation} runs at {broker.url()}")
        yield broker.host, broker.port, ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0: nothing lost, nothing twice, order kept; 1: not so; 3: there is no broker."""
    parser = argparse.ArgumentParser(prog="python -m integration.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=25, help="default: 25")
    parser.add_argument("--url", help="a running broker: tcp://host:port?user=..; default: one of our own")
    parser.add_argument("--generation", choices=GENERATIONS, default=GENERATIONS[0], help="of a broker of our own")
    parser.add_argument("--seed", type=int, default=None, help="of the cuts' places; default: another each time")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    narrator = Narrator()
    try:
        with (
            _broker(options.url, options.generation, narrator) as (host, port, parameters),
            Cutter(host, port) as cutter,
        ):
            narrator.say(f"sending and receiving through cuts, seed {seed}")
            tally = Demo(cutter, parameters, options.cuts, seed, narrator).run()
            print("\n".join(verdict(tally, cutter.cuts)))
            return 0 if tally.passed and cutter.cuts >= options.cuts else 1
    except (UnavailableError, BrokerError) as failure:
        print(failure, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
