"""The keeper's own duties: timers in order, nobody blocks it, other systems' means."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable

import pytest

from activeclient.drivers.keeper import IN, Keeper
from activeclient.drivers.wake import Waker
from tests.drivers.conftest import Made
from tests.drivers.fakes import PATIENCE, until


class Note:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.due: list[float] = []
        self.ready: list[int] = []

    def on_ready(self, fd: int) -> None:
        self.ready.append(fd)

    def on_due(self, due: float) -> None:
        self.due.append(due)


def end(keeper: Keeper, note: Note) -> None:
    keeper.remove(note)
    until(lambda: keeper.thread is None)


def test_timers_come_in_order_and_an_earlier_one_is_not_kept_waiting_by_a_later() -> None:
    keeper, note, busy = Keeper(), Note(), Note()
    keeper.add(note)
    keeper.add(busy)
    late = time.monotonic() + 60
    keeper.arm(note, late)
    until(lambda: keeper._sleeps_until == late)
    entered, go = threading.Event(), threading.Event()
    busy.on_due = lambda due: (entered.set(), go.wait(PATIENCE))  # type: ignore[method-assign, assignment, return-value]
    keeper.arm(busy, time.monotonic() + 0.01)
    assert entered.wait(PATIENCE)
    now = time.monotonic()
    keeper.arm(note, now + 0.02)  # while the keeper is held up: neither comes before both are there
    keeper.arm(note, now + 0.01)
    go.set()
    until(lambda: len(note.due) == 2)
    assert note.due == [now + 0.01, now + 0.02]
    keeper.remove(busy)
    end(keeper, note)


@pytest.mark.parametrize("epoll", [True, False])
def test_a_watch_tells_once_and_a_paused_or_forgotten_one_never(monkeypatch: pytest.MonkeyPatch, epoll: bool) -> None:
    if not epoll:
        monkeypatch.delattr(select, "epoll")
    keeper, note = Keeper(), Note()
    keeper.add(note)
    near, far = socket.socketpair()
    fd = near.fileno()
    far.send(b"x")
    for count in (1, 2):
        keeper.watch(note, fd, IN)
        until(lambda count=count: len(note.ready) == count)  # type: ignore[misc]
    near.recv(1)
    keeper.watch(note, fd, IN)
    keeper.pause(fd)
    far.send(b"x")
    keeper.arm(note, time.monotonic() + 0.01)
    until(lambda: len(note.due) == 1)
    keeper.forget(fd)
    keeper.forget(fd)
    assert note.ready == [fd, fd]
    near.close()
    far.close()
    end(keeper, note)


def test_one_that_fails_does_not_end_the_keeper(caplog: pytest.LogCaptureFixture) -> None:
    keeper, note, bad = Keeper(), Note(), Note()
    bad.on_due = lambda due: 1 / 0  # type: ignore[method-assign, assignment]
    keeper.add(note)
    keeper.add(bad)
    keeper.arm(bad, 0.0)
    keeper.arm(note, time.monotonic() + 0.01)
    until(lambda: len(note.due) == 1)
    assert "ZeroDivisionError" in caplog.text
    keeper.remove(bad)
    end(keeper, note)


def test_a_connection_whose_lock_is_held_long_delays_no_other_and_is_come_back_to(make: Callable[..., Made]) -> None:
    held, held_engine, held_peers = make()
    _, engine, peers = make()
    until(lambda: held._watched != 0)
    with held.lock:
        held_peers.last.sendall(b"x\n")
        held_engine.due = time.monotonic()
        held._arm_engine()
        for number in range(1, 11):
            peers.last.sendall(b"x\n")
            until(lambda number=number: len(engine.lines) == number)  # type: ignore[misc]
        assert not held_engine.lines
        until(lambda: held._missed)
    until(lambda: len(held_engine.lines) == 1)
    until(lambda: held_engine.timeouts == 1)
    held_peers.last.sendall(b"y\n")
    until(lambda: len(held_engine.lines) == 2)


@pytest.mark.parametrize("eventfd", [True, False])
def test_a_waker_is_readable_from_wake_to_drain(monkeypatch: pytest.MonkeyPatch, eventfd: bool) -> None:
    if not eventfd:
        monkeypatch.delattr(os, "eventfd")
    waker = Waker()
    poller = select.poll()
    poller.register(waker.fileno(), select.POLLIN)
    assert not poller.poll(0)
    thread = threading.Thread(target=waker.wake)
    thread.start()
    assert poller.poll(5000)
    thread.join()
    waker.wake()
    waker.drain()
    waker.drain()
    assert not poller.poll(0)
    waker.close()
    waker.close()
    assert waker.fileno() == -1
