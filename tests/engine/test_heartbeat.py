"""Pings and silence, in virtual time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.engine.heartbeat import Heartbeat
from activeclient.errors import ConfigError


def run(heartbeat, start, until, arrivals=()):
    """Wake exactly when told to; `arrivals` are the times at which bytes come."""
    heartbeat.started(start)
    log, arrivals = [], sorted(arrivals)
    for _ in range(10_000):
        due = heartbeat.next_timeout()
        if arrivals and (due is None or arrivals[0] <= due):
            heartbeat.received(arrivals.pop(0))
            continue
        if due is None or due > until:
            return log
        answer = heartbeat.due(due)
        assert answer is not None, "woken for nothing"
        log.append((due, answer))
        if answer == "dead":
            return log
    raise AssertionError("it never rests")


def test_pings_come_every_period_and_silence_ends_at_the_ttl():
    assert run(Heartbeat(60, 25), 100, 1000) == [(125, "ping"), (150, "ping"), (160, "dead")]


def test_the_peer_is_dead_exactly_one_ttl_after_its_last_byte():
    assert run(Heartbeat(60, 30), 0, 1000, arrivals=[30.5, 47.25])[-1] == (107.25, "dead")


def test_just_before_the_ttl_it_is_alive():
    heartbeat = Heartbeat(60, 30)
    heartbeat.started(0)
    assert heartbeat.due(math.nextafter(60, 0)) == "ping"
    assert heartbeat.due(60) == "dead"
    assert heartbeat.due(61) == "dead"


def test_a_period_longer_than_half_the_ttl_is_shortened():
    assert Heartbeat(10, 60).period == 5
    assert Heartbeat(60, 30).period == 30


def test_without_a_check_period_nothing_is_ever_due():
    heartbeat = Heartbeat(60, None)
    assert run(heartbeat, 0, 1e9) == []
    assert heartbeat.due(1e9) is None
    assert (heartbeat.ttl, heartbeat.period) == (None, None)


def test_without_a_ttl_pings_go_out_and_silence_is_allowed():
    assert run(Heartbeat(None, 30), 0, 100) == [(30, "ping"), (60, "ping"), (90, "ping")]


def test_nothing_is_due_before_the_start_nor_after_the_stop():
    heartbeat = Heartbeat(60, 30)
    assert heartbeat.next_timeout() is None
    assert heartbeat.due(1e9) is None
    heartbeat.started(0)
    heartbeat.stopped()
    assert heartbeat.next_timeout() is None
    assert heartbeat.due(1e9) is None


def test_a_new_transport_starts_with_a_full_ttl():
    heartbeat = Heartbeat(60, 30)
    run(heartbeat, 0, 1000)
    assert run(heartbeat, 500, 1000)[-1] == (560, "dead")


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_number_that_is_not_positive_is_refused(value):
    with pytest.raises(ConfigError, match="connectionTTL"):
        Heartbeat(value, 30)
    with pytest.raises(ConfigError, match="clientFailureCheckPeriod"):
        Heartbeat(60, value)


@given(st.floats(0.01, 100), st.floats(0.5, 100), st.lists(st.floats(0, 500), max_size=20))
def test_a_driver_that_wakes_when_told_never_misses_the_end_nor_wakes_for_nothing(ttl, period, arrivals):
    log = run(Heartbeat(ttl, period), 0.0, 700.0, arrivals)
    times = [0.0]
    for arrival in sorted(arrivals):
        if arrival > times[-1] + ttl:
            break
        times.append(arrival)
    assert log[-1] == (times[-1] + ttl, "dead")
