"""Every wish ends exactly once."""

from __future__ import annotations

import pytest

from activeclient.engine.requests import Pending, Request, SendToken, UnattendedToken, UnheardFailures
from activeclient.errors import CallTimeout, JMSError, NotSent, OutcomeUnknown
from activeclient.events import SendFailed
from activeclient.wire.packets import QueueQuery, QueueQueryResponse, SessionStop

ERROR = JMSError("no")


class Log:
    """A session as far as tokens know one."""

    channel_id = 7

    def __init__(self):
        self.work = []
        self.ending: list = []
        self.events = []
        self.ended = []

    def work_ready(self):
        assert self.work

    def emit(self, event):
        self.events.append(event)

    def request_ended(self, request):
        self.ended.append(request)


@pytest.mark.parametrize("first", ["settled", "failed"])
@pytest.mark.parametrize("second", ["settled", "failed"])
def test_a_send_ends_once_and_its_handler_runs_once(first, second):
    log, calls = Log(), []
    token = SendToken(1, lambda message, error: calls.append((message, error)), "m")
    for way in (first, second):
        if way == "settled":
            token.settled(log)
        else:
            token.failed(log, ERROR)
    assert token.done
    assert token.error is (ERROR if first == "failed" else None)
    for each in log.work:
        each.run()
    assert calls == [("m", token.error)]


def test_a_handler_never_runs_where_the_outcome_came():
    log, calls = Log(), []
    SendToken(1, lambda message, error: calls.append(message)).settled(log)
    assert calls == []
    assert len(log.work) == 1


def test_a_send_without_handler_makes_no_work():
    log = Log()
    token = SendToken(1)
    token.settled(log)
    token.run()
    assert log.work == []


def test_the_failure_of_an_unattended_send_is_told_once_to_listeners():
    log = Log()
    token = UnattendedToken(1)
    token.failed(log, ERROR)
    token.failed(log, CallTimeout("later"))
    assert log.events == [SendFailed(7, ERROR)]


def test_sends_that_fail_with_their_session_are_told_of_once():
    log, unheard = Log(), UnheardFailures()
    heard, done = SendToken(1), UnattendedToken(2)
    done.settled(log)
    assert not unheard.take(heard, ERROR)
    assert not unheard.take(done, ERROR)
    unheard.tell(log)
    assert log.events == []
    first = OutcomeUnknown("lost", duplicate_id=b"1")
    tokens = [UnattendedToken(3), UnattendedToken(4)]
    assert unheard.take(tokens[0], first)
    assert unheard.take(tokens[1], OutcomeUnknown("lost", duplicate_id=b"2"))
    assert unheard.take(None, NotSent("not sent"))
    assert all(token.done and token.error for token in tokens)
    unheard.tell(log)
    assert log.events == [SendFailed(7, first, 3, (b"1", b"2"))]


def test_a_request_answered_by_null_response_is_done_by_its_confirmation():
    log = Log()
    request = Request(SessionStop())
    request.settled(log)
    assert request.answered
    assert request.done
    assert log.ended == [request]


def test_a_request_with_an_answer_of_its_own_waits_for_it_after_the_confirmation():
    log = Log()
    request = Request(QueueQuery("q"), (QueueQueryResponse.KIND,))
    request.settled(log)
    assert request.answered
    assert not request.done
    answer = QueueQueryResponse(True)
    request.complete(log, answer)
    assert request.result is answer
    assert log.ended == [request]


def test_a_request_ends_once():
    log = Log()
    request = Request(SessionStop())
    request.complete(log, None)
    request.failed(log, ERROR)
    request.complete(log, None)
    assert log.ended == [request]
    assert request.error is None
    request = Request(SessionStop())
    request.failed(log, ERROR)
    request.complete(log, None)
    assert request.error is ERROR


def test_the_base_has_no_ends_of_its_own():
    with pytest.raises(NotImplementedError):
        Pending().settled(Log())
    with pytest.raises(NotImplementedError):
        Pending().failed(Log(), ERROR)
