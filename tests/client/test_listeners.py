"""Who hears of what: in order, once, whatever a listener does."""

from __future__ import annotations

import logging

import pytest

from activeclient.client import listeners as module
from activeclient.client.listeners import (
    ConnectionFailure,
    FailoverEventType,
    Listeners,
    Recovery,
    SessionFailureListener,
    recovery_of,
)
from activeclient.errors import ConnectionLost, OutcomeUnknown, ReconnectGaveUp, from_server
from activeclient.events import Connected, ConsumerLost, Detached, GaveUp, Reconnected, SendFailed
from tests.engine.peer import A

LOST = ConnectionLost("cable", code=4)
DETACHED = Detached(LOST, A)


def back(*, recreated=0, failed_over=False, in_doubt=()):
    return Reconnected(A, LOST, 1, recreated, failed_over, 2, 0.5, in_doubt)


class Failure:
    """A failure listener; with `before_reconnect` it is one of sessions."""

    def __init__(self, log):
        self.log = log

    def connection_failed(self, error, failed_over):
        self.log.append(("failed", error, failed_over))


class SessionFailure(Failure):
    def before_reconnect(self, error):
        self.log.append(("before", error, None))


def tell(listeners, *events):
    for event in events:
        listeners.offer(event)
    listeners.run()


def test_without_listeners_nothing_is_kept():
    listeners = Listeners()
    assert not listeners.offer(DETACHED)
    log = []
    listeners.events.append(log.append)
    listeners.run()
    assert log == []


def test_every_event_is_told_once_in_order():
    listeners, log = Listeners(), []
    listeners.events.append(log.append)
    events = [DETACHED, back(), Connected(A, 136)]
    assert [listeners.offer(event) for event in events] == [True] * 3
    listeners.run()
    listeners.run()
    assert log == events


def test_an_outage_is_told_before_and_after():
    listeners, log, kinds = Listeners(), [], []
    listeners.failure += [SessionFailure(log), Failure(log)]
    listeners.failover.append(kinds.append)
    tell(listeners, DETACHED)
    assert [(what, error.recovery) for what, error, _ in log] == [("before", None)]
    assert kinds == [FailoverEventType.FAILURE_DETECTED]
    event = back()
    tell(listeners, event)
    assert [(what, told) for what, _, told in log[1:]] == [("failed", True)] * 2
    error = log[1][1]
    assert (error.reason, error.event, error.recovery, error.code) == (LOST, event, Recovery.REATTACHED, 4)
    assert (error.error_code, error.__cause__) == ("FAILOVER", LOST)
    assert kinds[1:] == [FailoverEventType.FAILOVER_COMPLETED]


def test_a_connection_that_is_given_up_is_told_as_such():
    listeners, log, kinds = Listeners(), [], []
    listeners.failure.append(SessionFailure(log))
    listeners.failover.append(kinds.append)
    tell(listeners, GaveUp(ReconnectGaveUp("over"), 3, (b"d", None)))
    ((what, error, failed_over),) = log
    assert (what, failed_over, error.recovery) == ("failed", False, Recovery.GAVE_UP)
    assert (error.error_code, error.in_doubt) == ("DISCONNECT", (b"d", None))
    assert kinds == [FailoverEventType.FAILOVER_FAILED]


def test_each_kind_of_recovery_can_be_told_from_the_others():
    assert recovery_of(back()) is Recovery.REATTACHED
    assert recovery_of(back(recreated=1)) is Recovery.RECREATED
    assert recovery_of(back(recreated=1, failed_over=True)) is Recovery.FAILED_OVER


def test_a_listener_that_raises_harms_nobody(caplog):
    listeners, log, kinds = Listeners(), [], []

    def bad(*_):
        raise ValueError("mine")

    class BadFailure:
        connection_failed = bad
        before_reconnect = bad

    listeners.events += [bad, log.append]
    listeners.failover += [bad, kinds.append]
    listeners.failure += [BadFailure(), SessionFailure(log)]
    with caplog.at_level(logging.ERROR, "activeclient.callbacks"):
        tell(listeners, DETACHED, back())
    assert len(kinds) == 2
    assert [entry[0] if isinstance(entry, tuple) else type(entry).__name__ for entry in log] == [
        "Detached",
        "before",
        "Reconnected",
        "failed",
    ]
    assert len(caplog.records) == 6


def test_a_listener_may_take_itself_out():
    listeners, log = Listeners(), []

    def once(event):
        log.append(event)
        listeners.events.remove(once)

    listeners.events += [once, log.append]
    tell(listeners, DETACHED, DETACHED)
    assert log == [DETACHED] * 3


def test_what_waits_for_a_blocked_listener_is_bounded_and_the_rest_counted(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    listeners, log = Listeners(), []
    listeners.events.append(log.append)
    assert [listeners.offer(DETACHED) for _ in range(5)] == [True, True, False, False, False]
    assert listeners.dropped == 3
    listeners.run()
    assert len(log) == 2


@pytest.mark.parametrize(
    ("event", "code", "in_doubt"),
    [
        (SendFailed(10, from_server(210, "full")), "ADDRESS_FULL", ()),
        (SendFailed(10, OutcomeUnknown("x", duplicate_id=b"d")), "GENERIC_EXCEPTION", (b"d",)),
        (ConsumerLost(10, 0, from_server(100, "deleted")), "QUEUE_DOES_NOT_EXIST", ()),
        (DETACHED, "FAILOVER", ()),
    ],
)
def test_a_failure_names_its_code_and_what_is_in_doubt(event, code, in_doubt):
    reason = event.reason if isinstance(event, Detached) else event.error
    failure = ConnectionFailure(reason, None, event)
    assert (failure.error_code, failure.in_doubt) == (code, in_doubt)
    assert str(failure) == str(reason)


def test_only_who_has_before_reconnect_is_a_session_failure_listener():
    assert isinstance(SessionFailure([]), SessionFailureListener)
    assert not isinstance(Failure([]), SessionFailureListener)
