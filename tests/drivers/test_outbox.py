"""When bytes wait, and for how long."""

from __future__ import annotations

from activeclient.drivers.outbox import FLUSH_BYTES, STREAM, Outbox


def test_an_idle_outbox_writes_at_once_and_a_busy_one_holds_back() -> None:
    outbox = Outbox(0.001)
    assert not outbox.hold(10, 100.0)
    outbox.written(100.0)
    assert outbox.hold(10, 100.0005)
    assert outbox.due == 100.0005 + 0.001


def test_the_first_waiting_byte_sets_the_time() -> None:
    outbox = Outbox(0.001)
    outbox.written(5.0)
    assert outbox.hold(10, 5.0)
    due = outbox.due
    assert outbox.hold(20, 5.0005)
    assert outbox.due == due
    assert not outbox.hold(30, due)


def test_enough_bytes_never_wait_nor_does_anything_without_linger() -> None:
    outbox = Outbox(1.0)
    outbox.written(5.0)
    assert not outbox.hold(FLUSH_BYTES, 5.0)
    eager = Outbox(0.0)
    eager.written(5.0)
    assert not eager.hold(1, 5.0)


def test_behind_a_full_write_bytes_wait_longer_until_a_smaller_one() -> None:
    outbox = Outbox(0.001)
    outbox.written(5.0, FLUSH_BYTES)
    assert outbox.hold(10, 5.003)
    assert outbox.due == 5.003 + STREAM * 0.001
    outbox.written(5.006, 10)
    assert not outbox.hold(10, 5.008)
    outbox.written(6.0, FLUSH_BYTES)
    outbox.clear()
    assert not outbox.hold(10, 6.0)
