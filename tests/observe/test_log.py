"""Events as log lines."""

from __future__ import annotations

import inspect
import logging

import pytest

from activeclient import events as module
from activeclient.errors import ConnectFailed, ConnectionLost, JMSError, OutcomeUnknown, ReconnectGaveUp
from activeclient.events import (
    Abort,
    AddressBlocked,
    AddressUnblocked,
    Ask,
    Closed,
    Connect,
    ConnectAttemptFailed,
    Connected,
    ConsumerLost,
    Detached,
    Endpoint,
    Event,
    GaveUp,
    LargeMessageDamaged,
    Reconnected,
    ReplayConfirmed,
    SendFailed,
    SessionReattached,
    SessionRecreated,
    SessionState,
    StaleAcknowledgement,
    StateChanged,
    TopologyChanged,
    Work,
)
from activeclient.observe.log import log_event

HERE = Endpoint(host="h", port=1, parameters=(("keyStorePassword", "s3cret"),))
LOST = ConnectionLost("cable")
LINES = [
    (Connected(HERE, 136), "link", logging.INFO, ["h:1", "136"]),
    (Detached(LOST, HERE), "link", logging.WARNING, ["h:1", "cable"]),
    (ConnectAttemptFailed(ConnectFailed("refused"), HERE, 3, 1.5), "link", logging.DEBUG, ["3", "refused", "1.500"]),
    (
        Reconnected(HERE, LOST, 4, 5, False, 2, 0.25, (b"body-like-id", None)),
        "link",
        logging.INFO,
        ["h:1", "250 ms", "4", "5", "2 sends in doubt"],
    ),
    (
        StateChanged(SessionState.CONNECTING, SessionState.CONNECTED_ACTIVE),
        "link",
        logging.DEBUG,
        ["CONNECTING", "CONNECTED_ACTIVE"],
    ),
    (GaveUp(ReconnectGaveUp("no more"), 7, ()), "link", logging.ERROR, ["no more"]),
    (Closed(), "link", logging.DEBUG, ["closed"]),
    (ReplayConfirmed("n4me", 10, 4, 0.25), "session", logging.DEBUG, ["channel 10", "4", "250 ms"]),
    (SessionReattached("n4me", 10, 3, 4, 0.5), "session", logging.INFO, ["channel 10", "3", "4", "500 ms"]),
    (
        SessionRecreated("n4me", 10, LOST, 3, (None,), True),
        "session",
        logging.WARNING,
        ["channel 10", "cable", "3", "1 in doubt", "rolled back"],
    ),
    (SendFailed(10, OutcomeUnknown("who knows")), "session", logging.WARNING, ["channel 10", "who knows"]),
    (SendFailed(10, OutcomeUnknown("gone"), 3, (None,) * 3), "session", logging.WARNING, ["3 sends", "gone"]),
    (ConsumerLost(10, 2, JMSError("deleted")), "session", logging.WARNING, ["consumer 2", "channel 10", "deleted"]),
    (StaleAcknowledgement(10, 2), "session", logging.INFO, ["earlier session"]),
    (LargeMessageDamaged(10, 2), "session", logging.INFO, ["large message"]),
    (AddressBlocked(10, "addr"), "session", logging.WARNING, ["'addr'", "senders wait"]),
    (AddressUnblocked(10, "addr", 2.5), "session", logging.INFO, ["'addr'", "2.5 s"]),
]
SILENT = [Connect(HERE, 1, 1.0), Abort(None), Ask(None), Work(None), TopologyChanged("n", HERE, None)]


def logged(caplog, event):
    with caplog.at_level(logging.DEBUG, "activeclient"):
        log_event("c-1", event)
    return caplog.records


@pytest.mark.parametrize(("event", "logger", "level", "words"), LINES, ids=lambda value: type(value).__name__)
def test_each_event_is_one_line_of_its_level(caplog, event, logger, level, words):
    (record,) = logged(caplog, event)
    assert (record.name, record.levelno) == (f"activeclient.{logger}", level)
    line = record.getMessage()
    assert line.startswith("c-1: ")
    assert "\n" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("event", SILENT, ids=lambda value: type(value).__name__)
def test_what_is_for_the_driver_or_routine_is_not_logged(caplog, event):
    assert logged(caplog, event) == []


def test_every_event_is_in_one_of_the_tables_above():
    every = {
        each for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, Event) and each is not Event
    }
    assert {type(row[0]) for row in LINES} | {type(event) for event in SILENT} == every


def test_no_line_shows_a_secret(caplog):
    for event, *_ in LINES:
        logged(caplog, event)
    assert "s3cret" not in caplog.text
    assert "n4me" not in caplog.text  # the only credential that a reattachment asks for
    assert "body-like-id" not in caplog.text


def test_a_session_that_was_made_anew_outside_of_a_transaction_says_nothing_of_one(caplog):
    (record,) = logged(caplog, SessionRecreated("n", 10, LOST, 0, (), False))
    assert "rolled back" not in record.getMessage()


def test_nothing_is_printed_where_nobody_configured_logging(capsys):
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("activeclient").handlers)
    log_event("c-1", Closed())
    assert capsys.readouterr() == ("", "")
