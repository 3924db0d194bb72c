"""How commands end: each error has its exit code, and nothing else comes out than a line."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from activeclient.cli.exits import MEANING, Exit, code_of
from activeclient.cli.running import Failed, ended
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    ConfigError,
    ConnectFailed,
    InvalidDestinationError,
    JMSSecurityError,
    OutageTimeout,
    OutcomeUnknown,
    ReconnectGaveUp,
    ResourceAllocationError,
    TransactionOutcomeUnknownError,
)


def raising(error: BaseException) -> object:
    def body() -> Exit | None:
        raise error

    return body


def run(error: BaseException, *, as_json: bool = False) -> int:
    body = raising(error)
    assert callable(body)
    return ended(body, as_json=as_json)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("url", "x", "rule"), 2),
        (ConnectFailed("refused"), 3),
        (ReconnectGaveUp("gave up"), 3),
        (OutageTimeout("outage"), 3),
        (JMSSecurityError("no"), 4),
        (InvalidDestinationError("no such queue", code=100), 5),
        (ResourceAllocationError("full", code=210), 5),
        (OutcomeUnknown("may be there"), 6),
        (CallTimeout("no answer"), 6),
        (TransactionOutcomeUnknownError("commit"), 6),
    ],
)
def test_an_error_has_its_exit_code_and_one_line(
    error: ActiveClientError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(error) == code
    assert run(error) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"activeclient: {error}")


def test_an_error_in_json_names_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ConnectFailed("refused"), as_json=True) == 3
    assert json.loads(capsys.readouterr().err) == {"error": "ConnectFailed", "message": "refused", "exit_code": 3}


def test_a_reason_of_the_commands_own_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Failed("not here", Exit.NO)) == 1
    assert capsys.readouterr().err == "activeclient: not here\n"


def test_an_interrupt_ends_with_130_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_went_away_ends_with_141(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BrokenPipeError()) == 141
    assert capsys.readouterr() == ("", "")


def test_sigterm_unwinds_what_is_open() -> None:
    closed = []

    def body() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)  # not a pause without end: the signal has come
        finally:
            closed.append(True)

    before = signal.getsignal(signal.SIGTERM)
    assert ended(body) == 143
    assert closed == [True]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_bug_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError())


def test_every_code_is_explained() -> None:
    assert set(MEANING) == set(Exit)
