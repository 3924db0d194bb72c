"""A broker's model on disk, at work until it is killed; says on its output what it confirms. Run by `test_crash.py`.

Law of this file: a line is written when what it says is safe, never before; `acking`, `deciding` are written before
the deed, so that whoever reads knows what is in doubt when the lines end. Numbers are messages, also their duplicate
ids.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from activeclient.broker.chain import Reference
from activeclient.broker.configuration import BrokerConfiguration, QueueConfiguration
from activeclient.broker.large import LargeBody
from activeclient.broker.message import StoredMessage
from activeclient.broker.postoffice import PostOffice
from activeclient.broker.sqlite_store import SqliteStore
from activeclient.destination import ANYCAST
from activeclient.selector import compile_filter
from activeclient.wire.fields import Xid
from activeclient.wire.message import CoreMessage
from activeclient.wire.names import DUPLICATE_ID

QUEUE = "load"
UNCONFIRMED = 200
"""Messages that are sent ahead of their confirmation."""
LARGE = 200_000
SOON = 30.0


class WallClock:
    """The real one."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return int(time.time() * 1000)


class Taker:
    """A consumer that takes a few."""

    priority = 0
    filter = None

    def __init__(self) -> None:
        self.credits = 0
        self.taken: list[Reference] = []

    def handle(self, ref: Reference) -> bool:
        if self.credits <= 0:
            return False
        self.credits -= 1
        self.taken.append(ref)
        return True

    def queue_deleted(self) -> None:
        raise AssertionError("nobody deletes it")


def say(word: str, *values: object) -> None:
    """One line, written at once."""
    sys.stdout.write(" ".join(map(str, (word, *values))) + "\n")
    sys.stdout.flush()


def number_of(ref: Reference) -> int:
    value = ref.message.properties["n"]
    assert isinstance(value, int)
    large = ref.message.large
    if large is not None:
        assert large.read(0, LARGE) == bytes([value % 256]) * LARGE, f"the body of {value} is another one"
    return value


class Crashing:
    """The work.

    Args:
        again: Numbers that were sent and not confirmed before.
        following: The next number.
    """

    def __init__(self, folder: str, seed: int, again: list[int], following: int) -> None:
        self._rng = random.Random(seed)
        self._store = SqliteStore(folder)
        self._progress = threading.Event()
        self._store.on_progress = self._progress.set
        self._office = PostOffice(
            BrokerConfiguration(large_message_memory=1000), self._store, WallClock(), compile_filter
        )
        self._again = again
        self._following = following
        self._in_flight = 0
        self._taker = Taker()
        self._undecided: list[tuple[Xid, list[int]]] = []

    def start(self) -> None:
        """Say what is there; commit what is in doubt."""
        office = self._office
        queue = office.create_queue(QueueConfiguration(name=QUEUE, routing_type=ANYCAST), ignore_if_exists=True)
        say("held", json.dumps([number_of(ref) for ref in queue.waiting()]))
        say("prepared", json.dumps([xid.branch_qualifier.decode() for xid in office.xa.in_doubt()]))
        for xid in office.xa.in_doubt():
            office.xa.commit(xid, False)
        self._queue = queue
        queue.add_consumer(self._taker)
        while self._again:
            self._send([self._again.pop()])

    def _message(self, number: int) -> StoredMessage:
        core = CoreMessage(b"", 4, QUEUE, properties={"n": number, DUPLICATE_ID: str(number).encode()})
        if number % 40:
            return StoredMessage.from_core(core)
        large = LargeBody(1000)
        large.append(bytes([number % 256]) * LARGE)
        return StoredMessage.from_core(core, large)

    def _confirmed(self, numbers: list[int]) -> None:
        self._in_flight -= len(numbers)
        say("sent", *numbers)

    def _send(self, numbers: list[int]) -> None:
        self._in_flight += len(numbers)
        say("sending", *numbers)
        for number in numbers:
            self._office.route(self._message(number))
        self._store.when_complete(partial(self._confirmed, numbers))

    def _next(self, count: int) -> list[int]:
        first = self._following
        self._following += count
        return list(range(first, first + count))

    def work(self) -> None:
        """For ever."""
        steps: tuple[Callable[[], None], ...] = (
            lambda: self._send(self._next(1)),
            lambda: self._send(self._next(5)),
            self._transacted,
            self._acknowledge,
            self._acknowledge,
            self._give_back,
            self._branch,
            self._decide,
        )
        while True:
            while self._in_flight >= UNCONFIRMED:
                self._decide()
                self._wait()
            self._rng.choice(steps)()
            self._store.collect()

    def _wait(self) -> None:
        if self._store.busy and not self._progress.wait(SOON):
            raise TimeoutError("the store makes no progress")
        self._progress.clear()
        self._store.collect()

    def _take(self, count: int) -> tuple[list[Reference], list[int]]:
        self._taker.credits = count
        self._queue.deliver(self._taker)
        self._taker.credits = 0
        taken, self._taker.taken = self._taker.taken, []
        numbers = [number_of(ref) for ref in taken]
        if numbers:
            say("got", *numbers)
        return taken, numbers

    def _acknowledge(self) -> None:
        taken, numbers = self._take(self._rng.randint(1, 6))
        if taken:
            say("acking", *numbers)
            for ref, number in zip(taken, numbers, strict=True):
                self._queue.acknowledge(ref, done=partial(say, "acked", number))

    def _give_back(self) -> None:
        taken, _ = self._take(2)
        self._queue.cancel(taken, count_delivery=False)

    def _transacted(self) -> None:
        tx = self._office.begin()
        taken, acked = self._take(2)
        if acked:
            say("acking", *acked)
        for ref in taken:
            self._queue.acknowledge(ref, tx)
        numbers = self._next(3)
        say("sending", *numbers)
        self._in_flight += len(numbers)
        for number in numbers:
            self._office.route(self._message(number), tx)

        def done() -> None:
            self._confirmed(numbers)
            if acked:
                say("acked", *acked)

        tx.commit(done)

    def _branch(self) -> None:
        numbers = self._next(2)
        name = f"{numbers[0]}"
        xid = Xid(1, b"crash", name.encode())
        xa = self._office.xa
        tx = xa.start(xid)
        say("sending", *numbers)
        self._in_flight += len(numbers)
        for number in numbers:
            self._office.route(self._message(number), tx)
        xa.end(xid, tx)

        def prepared() -> None:
            say("prepared!", name)
            self._undecided.append((xid, numbers))

        xa.prepare(xid, done=prepared)

    def _decide(self) -> None:
        if not self._undecided:
            return
        xid, numbers = self._undecided.pop(self._rng.randrange(len(self._undecided)))
        say("deciding", xid.branch_qualifier.decode())
        if self._rng.random() < 0.8:
            self._office.xa.commit(xid, False, done=partial(self._confirmed, numbers))
        else:
            self._in_flight -= len(numbers)
            self._office.xa.rollback(xid, done=partial(self._send, numbers))

    def drain(self) -> None:
        """Confirm and acknowledge everything, and end."""
        while self._in_flight or self._store.busy:
            self._wait()
        while self._queue.message_count:
            self._acknowledge()
            self._store.wait(SOON)
        self._store.close()
        say("drained")


def main() -> None:
    """`python -m tests.broker.crashing FOLDER SEED work|drain`, and a line of JSON: numbers to send again, the next."""
    folder, seed, what = sys.argv[1:]
    again, following = json.loads(sys.stdin.readline())
    crashing = Crashing(folder, int(seed), again, following)
    crashing.start()
    if what == "drain":
        crashing.drain()
    else:
        crashing.work()


if __name__ == "__main__":
    main()
