"""One thread at a time, nothing forgotten, nobody delayed by a neighbour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from activeclient.drivers.dispatch import Dispatcher, Serial
from tests.drivers.fakes import PATIENCE, until


class Counting(Serial):
    """Runs `work`, and notes whether two threads ever did."""

    def __init__(self, work: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.work = work
        self.runs = 0
        self.inside = 0
        self.overlaps = 0

    def run(self) -> None:
        self.inside += 1
        self.overlaps += self.inside > 1
        self.runs += 1
        self.work()
        self.inside -= 1


@pytest.fixture
def pool() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher()
    dispatcher.enter(dispatcher)
    yield dispatcher
    dispatcher.leave(dispatcher)


def test_a_serial_never_runs_twice_at_a_time_and_sees_every_item(pool: Dispatcher) -> None:
    items: list[int] = []
    taken: list[int] = []

    def take() -> None:
        while items:
            taken.append(items.pop())

    serial = Counting(take)

    def feed(start: int) -> None:
        for number in range(start, start + 500):
            items.append(number)
            pool.schedule(serial)

    threads = [threading.Thread(target=feed, args=(n * 500,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.wait_idle(serial, PATIENCE)
    assert sorted(taken) == list(range(2000))
    assert serial.overlaps == 0


def test_a_wish_during_the_run_runs_it_once_more(pool: Dispatcher) -> None:
    entered, go = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        go.wait(PATIENCE)

    serial = Counting(work)
    pool.schedule(serial)
    assert entered.wait(PATIENCE)
    for _ in range(5):
        pool.schedule(serial)
    assert not pool.wait_idle(serial, 0.01)
    go.set()
    assert pool.wait_idle(serial, PATIENCE)
    assert serial.runs == 2


def test_a_serial_that_always_wants_more_neither_recurses_nor_starves_others() -> None:
    pool = Dispatcher(max_workers=1)
    pool.enter(pool)
    stop = threading.Event()
    greedy = Counting()
    greedy.work = lambda: None if stop.is_set() else pool.schedule(greedy)
    pool.schedule(greedy)
    until(lambda: greedy.runs > 5000)
    modest = Counting()
    pool.schedule(modest)
    assert pool.wait_idle(modest, PATIENCE)
    assert modest.runs == 1
    stop.set()
    assert pool.wait_idle(greedy, PATIENCE)
    pool.leave(pool)


def test_blocked_callbacks_delay_nobody(pool: Dispatcher) -> None:
    go = threading.Event()
    blocked = [Counting(lambda: go.wait(PATIENCE)) for _ in range(20)]
    for serial in blocked:
        pool.schedule(serial)
    until(lambda: all(serial.inside for serial in blocked))
    quick = Counting()
    pool.schedule(quick)
    assert pool.wait_idle(quick, PATIENCE)
    go.set()
    for serial in blocked:
        assert pool.wait_idle(serial, PATIENCE)


def test_threads_are_bounded_and_what_exceeds_them_waits_its_turn() -> None:
    pool = Dispatcher(max_workers=2)
    pool.enter(pool)
    go = threading.Event()
    serials = [Counting(lambda: go.wait(PATIENCE)) for _ in range(6)]
    for serial in serials:
        pool.schedule(serial)
    until(lambda: sum(serial.inside for serial in serials) == 2)
    assert pool.workers == 2
    go.set()
    assert all(pool.wait_idle(serial, PATIENCE) for serial in serials)
    assert [serial.runs for serial in serials] == [1] * 6
    pool.leave(pool)


def test_an_exception_is_logged_counted_told_and_ends_nothing(
    pool: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[Serial, str]] = []

    def handler(serial: Serial, exc: Exception) -> None:
        told.append((serial, str(exc)))
        raise RuntimeError("the handler too")

    pool.on_error = handler
    serial = Counting(lambda: 1 / 0)
    for _ in range(2):
        pool.schedule(serial)
        assert pool.wait_idle(serial, PATIENCE)
    assert pool.errors == 2
    assert told == [(serial, "division by zero")] * 2
    assert "ZeroDivisionError" in caplog.text
    assert {record.name for record in caplog.records} == {"activeclient.callbacks"}


def test_waiting_for_itself_does_not_deadlock(pool: Dispatcher) -> None:
    seen: list[bool] = []
    serial = Counting()

    def work() -> None:
        seen.append(pool.running_in_current_thread(serial))
        seen.append(pool.wait_idle(serial, None))

    serial.work = work
    pool.schedule(serial)
    until(lambda: len(seen) == 2)
    assert seen == [True, True]
    assert not pool.running_in_current_thread(serial)


def test_idle_threads_end_after_their_time_and_new_ones_come() -> None:
    pool = Dispatcher(idle_seconds=0.02)
    pool.enter(pool)
    for _ in range(3):
        serial = Counting()
        pool.schedule(serial)
        assert pool.wait_idle(serial, PATIENCE)
        until(lambda: pool.workers == 0)
    pool.leave(pool)


def test_without_users_no_thread_stays() -> None:
    pool = Dispatcher(idle_seconds=60)
    pool.enter(pool)
    serial = Counting()
    pool.schedule(serial)
    assert pool.wait_idle(serial, PATIENCE)
    until(lambda: pool.workers == 1)
    pool.leave(pool)
    until(lambda: pool.workers == 0)
