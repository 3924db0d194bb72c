"""Waiting, waking, handing over, reconnecting, closing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from activeclient.drivers import keeper
from activeclient.drivers.memory import TransportEnd, pipe
from activeclient.drivers.outbox import CONGESTED_BYTES, FLUSH_BYTES
from activeclient.drivers.threads import Pump
from activeclient.errors import ClosedError, ConnectFailed, ForkedError
from activeclient.events import Abort, Closed, Connect, Event
from tests.drivers.conftest import Made
from tests.drivers.fakes import HERE, PATIENCE, LineEngine, Peers, ours, until, watched

Make = Callable[..., Made]


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_an_answer_ends_the_wait_of_the_one_who_asked(make: Make) -> None:
    pump, engine, peers = make()
    with pump.lock:
        engine.send(b"ping\n")
        echo = in_thread(lambda: peers.last.sendall(peers.last.recv(100)))
        assert pump.wait(lambda: bool(engine.lines), PATIENCE)
    echo.join()
    assert list(engine.lines) == [b"ping"]


def test_a_wait_without_input_ends_at_its_timeout_and_the_pump_goes_on(make: Make) -> None:
    pump, engine, peers = make()
    start = time.monotonic()
    with pump.lock:
        assert not pump.wait(lambda: bool(engine.lines), 0.05)
    assert 0.05 <= time.monotonic() - start < PATIENCE
    peers.last.sendall(b"late\n")
    with pump.lock:
        assert pump.wait(lambda: bool(engine.lines), PATIENCE)


def test_a_wait_of_no_time_takes_what_is_there(make: Make) -> None:
    pump, engine, peers = make()
    with pump.lock:
        pump._unwatch()
        peers.last.sendall(b"there\n")
        assert pump.wait(lambda: bool(engine.lines), 0)
        assert not pump.wait(lambda: len(engine.lines) > 1, 0)


def test_each_of_many_waiters_gets_its_own_answer_and_leaves(make: Make) -> None:
    pump, engine, peers = make()
    seen: set[bytes] = set()
    done: list[int] = []

    def wait_for(number: int) -> None:
        wanted = b"%d" % number

        def ready() -> bool:
            seen.update(engine.lines)
            return wanted in seen

        with pump.lock:
            if pump.wait(ready, PATIENCE):
                done.append(number)

    threads = [in_thread(lambda n=n: wait_for(n)) for n in range(32)]  # type: ignore[misc]
    until(lambda: len(pump._waiters) == 31)
    for number in range(31, -1, -1):
        peers.last.sendall(b"%d\n" % number)
        until(lambda number=number: number in done)  # type: ignore[misc]
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(done) == list(range(32))


def test_only_those_whose_condition_holds_are_released(make: Make) -> None:
    pump, engine, peers = make()
    evaluated_by: dict[str, set[int]] = {"a": set(), "b": set(), "c": set()}
    results: dict[str, bool] = {}

    def wait_for(name: str, timeout: float) -> None:
        def ready() -> bool:
            evaluated_by[name].add(threading.get_ident())
            return name.encode() in engine.lines

        with pump.lock:
            results[name] = pump.wait(ready, timeout)

    threads = [in_thread(lambda n=n: wait_for(n, PATIENCE)) for n in "abc"]  # type: ignore[misc]
    until(lambda: len(pump._waiters) == 2)
    peers.last.sendall(b"c\n")
    until(lambda: "c" in results)
    assert results == {"c": True}
    peers.last.sendall(b"a\nb\n")
    for thread in threads:
        thread.join(PATIENCE)
    assert results == {"a": True, "b": True, "c": True}


def test_a_leader_that_times_out_passes_the_lead_on(make: Make) -> None:
    pump, engine, peers = make()
    results: list[bool] = []
    led: list[bool] = []

    def follow() -> None:
        with pump.lock:
            results.append(pump.wait(lambda: bool(engine.lines), None))

    def lead() -> None:
        with pump.lock:
            led.append(pump.wait(lambda: False, 60))

    leader = in_thread(lead)
    until(lambda: pump._poller.asleep)
    follower = in_thread(follow)
    until(lambda: len(pump._waiters) == 1)
    with pump.lock:  # its time is over now, and not before the other one has parked
        pump._clock = lambda: time.monotonic() + 60
        pump._poller.wake()
    leader.join(PATIENCE)
    assert led == [False]
    pump._clock = time.monotonic
    until(lambda: pump._poller.asleep)
    peers.last.sendall(b"x\n")
    follower.join(PATIENCE)
    assert results == [True]


def test_what_another_thread_changes_wakes_the_leader_and_the_parked(make: Make) -> None:
    pump, _engine, _peers = make()
    state: list[int] = []
    results: list[bool] = []

    def work() -> None:
        with pump.lock:
            results.append(pump.wait(lambda: bool(state), None))

    threads = [in_thread(work) for _ in range(3)]
    until(lambda: pump._poller.asleep and len(pump._waiters) == 2)
    with pump.lock:
        state.append(1)
        pump.notify()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [True] * 3  # without a time-out: who is not woken waits for ever


def test_a_condition_that_raises_does_so_in_its_own_thread_and_harms_nobody_else(make: Make) -> None:
    pump, engine, peers = make()
    raised: list[str] = []

    def bad() -> bool:
        if engine.lines:
            raise ValueError("mine")
        return False

    def work() -> None:
        with pump.lock:
            try:
                pump.wait(bad, PATIENCE)
            except ValueError as exc:
                raised.append(str(exc))

    def leader() -> None:
        with pump.lock:
            pump.wait(lambda: len(engine.lines) > 1, PATIENCE)

    first = in_thread(leader)
    until(lambda: pump._poller.asleep)
    second = in_thread(work)
    until(lambda: len(pump._waiters) == 1)
    peers.last.sendall(b"x\n")
    second.join(PATIENCE)
    assert raised == ["mine"]
    peers.last.sendall(b"y\n")
    first.join(PATIENCE)
    assert not first.is_alive()


def test_close_ends_every_wait(make: Make) -> None:
    pump, _, _ = make()
    errors: list[str] = []

    def work() -> None:
        with pump.lock:
            try:
                pump.wait(lambda: False, None)
            except ClosedError as exc:
                errors.append(str(exc))

    threads = [in_thread(work) for _ in range(4)]
    until(lambda: pump._poller.asleep and len(pump._waiters) == 3)
    pump.close()
    pump.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(errors) == 4


def test_close_while_a_transport_is_opened_discards_it(make: Make) -> None:
    engine, peers = LineEngine(), Peers()
    peers.gate = threading.Event()
    pump = Pump(engine, peers.open, lambda event: None)
    pump.start()
    assert peers.entered.wait(PATIENCE)
    pump.close()
    peers.gate.set()
    until(lambda: bool(peers.ends))
    assert peers.last.recv(1) == b""
    assert engine.made == 0
    peers.close()


def test_a_pump_that_was_closed_before_it_started_does_not_start() -> None:
    engine, peers = LineEngine(), Peers()
    pump = Pump(engine, peers.open, lambda event: None)
    pump.close()
    pump.start()
    assert not ours()
    with pump.lock, pytest.raises(ClosedError):
        pump.wait(lambda: False, 5)
    assert not peers.entered.is_set()
    peers.close()


def test_last_words_are_written_before_the_transport_is_dropped(make: Make) -> None:
    pump, engine, peers = make()
    with pump.lock:
        engine.send(b"bye\n")
    pump.close()
    assert peers.last.recv(100) == b"bye\n"
    assert peers.last.recv(100) == b""


def test_waiters_stay_through_a_reconnection_and_it_takes_under_a_millisecond_or_so(make: Make) -> None:
    pump, engine, peers = make()
    results: list[bool] = []

    def work() -> None:
        with pump.lock:
            results.append(pump.wait(lambda: bool(engine.lines), None))

    threads = [in_thread(work) for _ in range(4)]
    until(lambda: pump._poller.asleep and len(pump._waiters) == 3)
    gaps: list[float] = []
    # Ten rounds, and on a busy machine more: no pause of ours is in them, so one is that short.
    deadline = time.monotonic() + PATIENCE
    while len(gaps) < 10 or (min(gaps) >= 0.002 and time.monotonic() < deadline):
        peers.last.close()
        until(lambda: engine.made == len(gaps) + 2)
        gaps.append(engine.made_at - engine.lost_at)
    assert not results
    peers.last.sendall(b"here\n")
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [True] * 4
    assert min(gaps) < 0.002


def test_a_failed_attempt_is_told_and_tried_again_when_its_pause_is_over(make: Make) -> None:
    pump, engine, peers = make(retry=0.01)
    peers.error = ConnectFailed("no")
    peers.last.close()
    until(lambda: engine.attempt > 4)
    assert engine.made == 1
    peers.error = None
    with pump.lock:
        assert pump.wait(lambda: engine.made == 2, PATIENCE)
    assert [str(e) for e in engine.lost[1:]].count("no") >= 2


def test_a_stale_attempt_is_discarded() -> None:
    engine, peers = LineEngine(), Peers()
    peers.gate = threading.Event()
    pump = Pump(engine, peers.open, lambda event: None)
    pump.start()
    assert peers.entered.wait(PATIENCE)
    with pump.lock:
        engine.events.append(Abort(None))
        engine.events.append(Connect(HERE, 2, 1.0))
        pump.process()
    peers.gate.set()
    with pump.lock:
        assert pump.wait(lambda: engine.made == 1, PATIENCE)
    until(lambda: len(peers.ends) == 2)
    until(lambda: sum(end.fileno() >= 0 for end in peers.ends) == 2)
    assert engine.made == 1
    pump.close()
    peers.close()


def test_events_for_the_user_come_in_order_under_the_lock() -> None:
    engine, peers = LineEngine(), Peers()
    seen: list[tuple[Event, bool]] = []
    pump = Pump(engine, peers.open, lambda event: seen.append((event, pump.lock.locked())))
    pump.start()
    pump.close()
    assert seen == [(Closed(), True)]
    peers.close()


def test_an_error_inside_the_engine_costs_the_link_and_nothing_else(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    pump, engine, peers = make()
    real = engine.receive_data

    def broken(data: bytes, now: float) -> None:
        engine.receive_data = real  # type: ignore[method-assign]
        raise RuntimeError("bug")

    engine.receive_data = broken  # type: ignore[method-assign]
    peers.last.sendall(b"x\n")
    with pump.lock:
        assert pump.wait(lambda: engine.made == 2, PATIENCE)
    assert "bug" in str(engine.lost[0])
    assert "internal error" in caplog.text


# --- writing --------------------------------------------------------------------------------------------------------


def test_the_first_message_leaves_at_once_and_a_burst_leaves_together(make: Make) -> None:
    pump, engine, peers = make(linger=0.05)
    with pump.lock:
        now = time.monotonic()
        pump._clock = lambda: now  # a burst takes no time, however busy the machine is
        engine.send(b"first")
        pump.after_submit()
        assert engine.pending_bytes == 0
        for _ in range(100):
            engine.send(b"x" * 10)
            pump.after_submit()
        assert engine.pending_bytes == 1000
        assert pump._outbox.due == now + 0.05
        pump._clock = time.monotonic
    got = b""
    while len(got) < 1005:
        got += peers.last.recv(4096)
    assert engine.pending_bytes == 0


def test_no_linger_writes_each_at_once(make: Make) -> None:
    pump, engine, _ = make(linger=0)
    with pump.lock:
        for _ in range(10):
            engine.send(b"x")
            pump.after_submit()
            assert engine.pending_bytes == 0


def test_enough_bytes_leave_without_the_timer_and_confirmations_are_read_by_the_sender(make: Make) -> None:
    pump, engine, peers = make(linger=60)
    with pump.lock:
        engine.send(b"x")
        pump.after_submit()
        pump._unwatch()
        peers.last.sendall(b"confirmed\n")
        while engine.pending_bytes + 1024 < FLUSH_BYTES:
            engine.send(b"y" * 1024)
            pump.after_submit()
        assert not engine.lines
        engine.send(b"y" * 1024)
        pump.after_submit()
        assert engine.pending_bytes == 0
        assert list(engine.lines) == [b"confirmed"]


def test_whoever_waits_writes_first(make: Make) -> None:
    pump, engine, _ = make(linger=60)
    with pump.lock:
        for _ in range(2):
            engine.send(b"x")
            pump.after_submit()
        assert engine.pending_bytes == 1
        pump.wait(lambda: False, 0)
        assert engine.pending_bytes == 0


@pytest.mark.parametrize("waiting", [True, False])
def test_a_slow_peer_gets_everything_in_order_and_senders_see_the_congestion(make: Make, waiting: bool) -> None:
    pump, engine, peers = make()
    sent = [bytes([i % 251]) * 4096 for i in range(1024)]
    with pump.lock:
        for chunk in sent:
            engine.send(chunk)
            pump.after_submit()
        assert pump.congested
    got = bytearray()

    def read() -> None:
        while len(got) < 4096 * 1024:
            got.extend(peers.last.recv(65536))

    reader = in_thread(read)
    if waiting:
        with pump.lock:
            assert pump.wait(lambda: not pump.congested, PATIENCE)
    reader.join(PATIENCE)
    assert bytes(got) == b"".join(sent)
    assert engine.pending_bytes < CONGESTED_BYTES
    until(lambda: not pump.congested)


def test_a_lost_link_forgets_what_it_could_not_write(make: Make) -> None:
    pump, engine, peers = make()
    with pump.lock:
        for _ in range(64):
            engine.send(b"z" * 65536)
            pump.after_submit()
    peers.last.close()
    with pump.lock:
        assert pump.wait(lambda: engine.made == 2, PATIENCE)
        engine.send(b"fresh\n")
        pump.flush()
    assert peers.last.recv(100) == b"fresh\n"


def test_what_the_peer_said_before_it_left_is_heard_when_a_write_fails(make: Make) -> None:
    pump, engine, peers = make(linger=0)
    with pump.lock:
        pump._unwatch()
        peers.last.sendall(b"why\n")
        peers.last.close()
        engine.send(b"x")
        pump.after_submit()
        assert list(engine.lines) == [b"why"]
        assert pump.wait(lambda: engine.made == 2, PATIENCE)


# --- the keeper's part ----------------------------------------------------------------------------------------------


def test_nobody_waits_and_input_is_read_all_the_same(make: Make) -> None:
    _pump, engine, peers = make()
    for number in range(1, 20):
        peers.last.sendall(b"x\n")
        until(lambda number=number: len(engine.lines) == number)  # type: ignore[misc]


def test_the_keeper_takes_over_only_some_time_after_the_last_reader(make: Make) -> None:
    pump, engine, peers = make()
    with pump.lock:
        peers.last.sendall(b"x\n")  # with the lock held: the keeper does not read it first
        assert pump.wait(lambda: bool(engine.lines), PATIENCE)
        assert not watched(pump)
    peers.last.sendall(b"x\n")
    until(lambda: len(engine.lines) == 2)
    until(lambda: watched(pump))


def test_the_keeper_never_reads_while_a_caller_does(make: Make) -> None:
    pump, engine, peers = make()
    readers: set[str] = set()
    real = engine.receive_data

    def note(data: bytes, now: float) -> None:
        readers.add(threading.current_thread().name)
        real(data, now)

    engine.receive_data = note  # type: ignore[method-assign]

    def work() -> None:
        with pump.lock:
            pump.wait(lambda: len(engine.lines) == 50, PATIENCE)

    thread = in_thread(work)
    until(lambda: pump._poller.asleep)
    for number in range(1, 51):
        peers.last.sendall(b"x\n")
        until(lambda number=number: len(engine.lines) == number)  # type: ignore[misc]
    thread.join(PATIENCE)
    assert readers == {thread.name}


def none_is_overdue(pump: Pump) -> bool:
    with pump.lock:
        return not pump._armed or pump._armed[-1] > time.monotonic() - 1


def test_timers_of_the_engine_are_kept_with_and_without_a_waiter(make: Make) -> None:
    pump, engine, _ = make()
    for waiting in (False, True):
        before = engine.timeouts
        with pump.lock:
            engine.due = time.monotonic() + 0.01
            pump.process()
            if waiting:
                assert pump.wait(lambda before=before: engine.timeouts > before, PATIENCE)  # type: ignore[misc]
        until(lambda before=before: engine.timeouts == before + 1)  # type: ignore[misc]
        until(lambda: none_is_overdue(pump))


def test_a_thousand_idle_pumps_share_one_thread_and_cost_nothing(make: Make) -> None:
    made = [make(connected=False) for _ in range(1000)]
    until(lambda: all(pump.connected for pump, _, _ in made))
    assert ours().count("activeclient-keeper") == 1
    until(lambda: all(watched(pump) for pump, _, _ in made))
    costs: list[float] = []
    # On a busy machine the waiting for it costs too, and all the rest of the process: the cheapest of a few counts.
    while len(costs) < 5 and min(costs, default=1.0) >= 0.1:
        before = time.process_time()
        made[500][2].last.sendall(b"x\n")
        until(lambda: len(made[500][1].lines) == len(costs) + 1)
        time.sleep(0.2)
        costs.append(time.process_time() - before)
    assert min(costs) < 0.1
    before = time.process_time()
    for pump, _, _ in made:
        pump.close()
    until(lambda: not ours())
    assert time.process_time() - before < 5


def test_the_keeper_ends_with_the_last_pump_and_comes_again() -> None:
    for _ in range(20):
        engine, peers = LineEngine(), Peers()
        pump = Pump(engine, peers.open, lambda event: None)
        pump.start()
        with pump.lock:
            assert pump.wait(lambda engine=engine: engine.made > 0, PATIENCE)  # type: ignore[misc]
        pump.close()
        peers.close()
    until(lambda: keeper.current().thread is None)


# --- interrupts, forks, exit ----------------------------------------------------------------------------------------


def test_an_interrupt_leaves_a_usable_pump(make: Make) -> None:
    pump, engine, peers = make()

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    def strike(parked: bool) -> None:
        # Not a timer: a signal that came before the main thread waits would end all tests.
        until(lambda: len(pump._waiters) == 1 if parked else pump._poller.asleep)
        os.kill(os.getpid(), signal.SIGALRM)

    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        for parked in (False, True):
            other = None
            if parked:

                def lead() -> None:
                    with pump.lock:
                        pump.wait(lambda: bool(engine.lines), PATIENCE)

                other = in_thread(lead)
                until(lambda: pump._poller.asleep)
            with pump.lock:
                striker = in_thread(lambda parked=parked: strike(parked))  # type: ignore[misc]
                with pytest.raises(KeyboardInterrupt):
                    pump.wait(lambda: False, PATIENCE)
                assert pump.lock.locked()
                assert not any(waiter.gate.locked() for waiter in pump._waiters)
            peers.last.sendall(b"x\n")
            with pump.lock:
                assert pump.wait(lambda: bool(engine.lines), PATIENCE)
            if other is not None:
                other.join(PATIENCE)
                assert not other.is_alive()
            engine.lines.clear()
            striker.join(PATIENCE)
    finally:
        signal.signal(signal.SIGALRM, old)


def test_a_rain_of_interrupts_never_leaves_the_lock_wrong(make: Make) -> None:
    pump, engine, peers = make()
    stop = threading.Event()

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    def chatter() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                peers.last.sendall(b"x\n")
                stop.wait(0.0003)

    def also_waits() -> None:
        while not stop.is_set():
            with pump.lock:
                pump.wait(lambda: stop.is_set(), 0.01)

    threads = [in_thread(chatter), in_thread(also_waits)]
    old = signal.signal(signal.SIGALRM, interrupt)
    hits = 0
    try:
        end = time.monotonic() + 1.0
        while time.monotonic() < (end if hits > 10 else end + PATIENCE):
            with contextlib.suppress(KeyboardInterrupt):
                try:
                    pump.lock.acquire()
                    signal.setitimer(signal.ITIMER_REAL, 0.0011)
                    pump.wait(lambda: False, 0.1)
                except KeyboardInterrupt:
                    hits += 1
                    assert pump.lock.locked()
                finally:
                    pump.lock.release()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert hits > 10
    with pump.lock:
        assert pump.wait(lambda: pump.connected, PATIENCE)  # an interrupt amid a batch has cost the link
        count = len(engine.lines)
        peers.last.sendall(b"y\n")
        assert pump.wait(lambda: len(engine.lines) > count, PATIENCE)


def test_a_child_process_refuses_the_parents_pumps_and_makes_its_own(make: Make) -> None:
    pump, engine, peers = make()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert pump.congested is False
            for call in (pump.start, pump.flush, pump.after_submit, pump.notify):
                with pump.lock:
                    try:
                        call()
                    except ForkedError:
                        continue
                    os._exit(2)
            pump.close()
            mine, ends = LineEngine(), Peers()
            child = Pump(mine, ends.open, lambda event: None)
            child.start()
            with child.lock:
                assert child.wait(lambda: mine.made == 1, PATIENCE)
            ends.last.sendall(b"x\n")
            until(lambda: bool(mine.lines))
            child.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with pump.lock:
        engine.send(b"still here\n")
        pump.flush()
    assert peers.last.recv(100) == b"still here\n"
    peers.last.sendall(b"x\n")
    until(lambda: bool(engine.lines))
    assert engine.made == 1


def test_a_process_with_open_pumps_exits_at_once_and_silently(tmp_path: Path) -> None:
    code = """
import sys, threading, time
from activeclient.drivers.threads import Pump
from tests.drivers.fakes import LineEngine, Peers
pumps = []
for _ in range(3):
    engine, peers = LineEngine(), Peers()
    pump = Pump(engine, peers.open, lambda event: None)
    pump.start()
    with pump.lock:
        assert pump.wait(lambda: engine.made > 0, 30)
    pumps.append((pump, peers))
def wait(pump=pump):
    with pump.lock:
        pump.wait(lambda: False, None)
threading.Thread(target=wait, daemon=True).start()
with open(sys.argv[1], "w") as file:
    file.write(repr(time.monotonic()))
"""
    told = tmp_path / "end"
    command = [sys.executable, "-c", code, str(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ended = time.monotonic()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ended - float(told.read_text()) < 4


def test_the_pump_works_with_a_pipe_in_memory() -> None:
    ends: list[TransportEnd] = []

    def opener(*_: object) -> TransportEnd:
        near, far = pipe()
        ends.append(far)
        return near

    engine = LineEngine()
    pump = Pump(engine, opener, lambda event: None)
    pump.start()
    with pump.lock:
        assert pump.wait(lambda: engine.made == 1, PATIENCE)
        ends[-1].send([b"hello\n"])
        assert pump.wait(lambda: bool(engine.lines), PATIENCE)
    view = memoryview(bytearray(1 << 18))
    with pump.lock:
        for _ in range(40):
            engine.send(b"x" * 65536)
            pump.after_submit()
        assert pump.congested
    got = 0
    while got < 40 * 65536:
        got += len(ends[-1].recv(view) or b"")
    ends[-1].close()
    with pump.lock:
        assert pump.wait(lambda: engine.made == 2, PATIENCE)
    pump.close()
    for end in ends:
        end.close()


def test_a_dropped_transport_wakes_its_reader_even_if_its_descriptor_says_nothing() -> None:
    near, far = pipe()
    engine = LineEngine()
    pump = Pump(engine, lambda *_: near, lambda event: None)
    pump.start()

    def work() -> None:
        with pump.lock, contextlib.suppress(ClosedError):
            pump.wait(lambda: False, None)

    thread = in_thread(work)
    until(lambda: pump._poller.asleep)
    pump.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    far.close()
