"""How long calls wait, and what is true when the wait ends early; in virtual time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from activeclient.client import calls as module
from activeclient.client.calls import Calls
from activeclient.engine.session import SessionConfig
from activeclient.errors import (
    CallTimeout,
    ClosedError,
    ConnectFailed,
    InvalidDestinationError,
    NotSent,
    OutageTimeout,
    Outcome,
    OutcomeUnknown,
    ReconnectGaveUp,
)
from activeclient.wire import packets as p
from tests.engine.peer import Creation, Peer

CALL_TIMEOUT = 30.0


class Pump:
    """Waits by letting time pass up to the next thing of `plan`: (seconds from the start, what happens)."""

    congested = False

    def __init__(self, peer, *plan):
        self.peer = peer
        self.plan = [(peer.now + after, action) for after, action in plan]
        self.waited = 0

    def wait(self, ready, timeout, patience=0.0):
        peer = self.peer
        assert timeout > 0
        deadline = peer.now + timeout
        while not ready():
            self.waited += 1
            assert self.waited < 1000, "it spins"
            if self.plan and self.plan[0][0] <= deadline:
                peer.now, action = self.plan.pop(0)
                action()
                peer.serve()
            else:
                peer.now = deadline
                return False
        return True

    def process(self, now=None):
        self.peer.serve()


@pytest.fixture
def calls(monkeypatch):
    """Makes `Calls` on a peer, with what happens meanwhile."""

    def make(peer, *plan, failover=-1.0):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: peer.now))
        return Calls(Pump(peer, *plan), peer.session, CALL_TIMEOUT, failover)

    return make


def seconds(peer, call):
    """How long a call took and what it raised."""
    begun = peer.now
    try:
        call()
    except Exception as error:
        return peer.now - begun, error
    return peer.now - begun, None


def test_an_answer_ends_the_wait(calls):
    peer = Peer().begin()
    token = peer.send()
    waiting = calls(peer, (3, lambda: peer.say(peer.confirm())))
    assert seconds(peer, lambda: waiting.outcome(token)) == (3, None)


def test_what_is_done_already_is_not_waited_for(calls):
    peer = Peer().begin()
    token = peer.send()
    peer.say(peer.confirm())
    waiting = calls(peer)
    waiting.outcome(token)
    assert waiting.pump.waited == 0


def test_a_refusal_is_raised_as_a_fresh_instance(calls):
    peer = Peer().begin()
    request = peer.request(p.DeleteQueue("q"))
    waiting = calls(peer, (1, lambda: peer.say(p.ExceptionResponse(100, "none"))))
    _, error = seconds(peer, lambda: waiting.outcome(request))
    assert isinstance(error, InvalidDestinationError)
    assert error is not request.error
    assert error.__cause__ is request.error


def test_no_answer_within_call_timeout_is_unknown_and_renews_the_connection(calls):
    peer = Peer().begin()
    token = peer.send(duplicate_id=b"d")
    took, error = seconds(peer, lambda: calls(peer).outcome(token))
    assert took == CALL_TIMEOUT
    assert isinstance(error, OutcomeUnknown)
    assert (error.outcome, error.duplicate_id) == (Outcome.UNKNOWN, b"d")
    assert isinstance(peer.aborts[-1], CallTimeout)


def test_a_request_without_an_answer_may_have_taken_effect(calls):
    peer = Peer().begin()
    request = peer.request(p.SessionStop())
    _, error = seconds(peer, lambda: calls(peer).outcome(request))
    assert isinstance(error, CallTimeout)
    assert isinstance(error, TimeoutError)
    assert error.outcome is Outcome.UNKNOWN


def test_the_clock_of_call_timeout_stands_still_while_detached(calls):
    peer = Peer().begin()
    token = peer.send()
    waiting = calls(peer, (20, peer.lose), (500, lambda: peer.back(last=-1)))
    took, error = seconds(peer, lambda: waiting.outcome(token))
    assert isinstance(error, OutcomeUnknown)
    assert took == 500 + CALL_TIMEOUT - 20


def test_an_answer_after_a_long_outage_is_in_time(calls):
    peer = Peer().begin()
    token = peer.send()
    waiting = calls(peer, (20, peer.lose), (500, lambda: peer.back(last=-1)), (509, lambda: peer.say(peer.confirm())))
    assert seconds(peer, lambda: waiting.outcome(token)) == (509, None)


def test_an_outage_longer_than_allowed_is_not_sent_when_no_link_took_it(calls):
    peer = Peer().begin()
    peer.lose()
    token = peer.send()
    took, error = seconds(peer, lambda: calls(peer, failover=7.0).outcome(token))
    assert took == 7
    assert isinstance(error, OutageTimeout)
    assert error.outcome is Outcome.NOT_SENT
    assert "reset" in str(error)
    assert peer.session.buffer.frames() == []


def test_an_outage_longer_than_allowed_is_unknown_when_the_server_may_have_it(calls):
    peer = Peer().begin()
    token = peer.send(duplicate_id=b"d")
    waiting = calls(peer, (5, peer.lose), failover=7.0)
    took, error = seconds(peer, lambda: waiting.outcome(token))
    assert took == 12
    assert isinstance(error, OutcomeUnknown)
    assert isinstance(token.error.__cause__, OutageTimeout)
    assert error.duplicate_id == b"d"
    assert len(peer.session.buffer) == 1  # its place in the count stays


def test_a_timeout_of_the_caller_is_the_shortest(calls):
    peer = Peer().begin()
    token = peer.send()
    took, error = seconds(peer, lambda: calls(peer).outcome(token, 2.0))
    assert took == 2
    assert isinstance(error, OutcomeUnknown)
    assert peer.aborts == []  # impatience says nothing about the server


def test_a_connection_that_is_given_up_ends_the_wait(calls):
    peer = Peer(attempts=1).begin()
    token = peer.send()
    waiting = calls(peer, (4, peer.lose), (6, lambda: peer.lose(ConnectFailed("refused"))))
    took, error = seconds(peer, lambda: waiting.outcome(token))
    assert took == 6
    assert isinstance(error, OutcomeUnknown)
    with pytest.raises(ReconnectGaveUp):
        waiting.room()


def test_a_session_that_is_being_created_has_call_timeout_as_well(calls):
    peer = Peer().up()
    session = peer.session = peer.engine.create_session(SessionConfig(), peer.now)
    creation = session.creation = Creation()
    peer.serve()
    took, error = seconds(peer, lambda: calls(peer).wait_for(lambda: creation.done) or None)
    assert took == CALL_TIMEOUT
    assert error is None


# --- room -------------------------------------------------------------------------------------------------------------


def full(window=1000):
    peer = Peer().begin(window=window)
    while peer.session.room:
        peer.send(b"x" * 100)
    return peer


def test_with_room_nobody_waits(calls):
    peer = Peer().begin()
    waiting = calls(peer)
    waiting.room()
    assert waiting.pump.waited == 0


def test_a_full_buffer_is_waited_for_until_half_of_it_is_free(calls):
    peer = full()
    waiting = calls(
        peer, (1, lambda: peer.say(p.PacketsConfirmed(0))), (2, lambda: peer.say(peer.confirm())), failover=5.0
    )
    assert seconds(peer, waiting.room) == (2, None)


def test_a_buffer_that_stays_full_ends_in_a_timeout_that_says_not_sent(calls):
    peer = full()
    took, error = seconds(peer, calls(peer).room)
    assert took == CALL_TIMEOUT
    assert isinstance(error, CallTimeout)
    assert error.outcome is Outcome.NOT_SENT


def test_while_detached_a_full_buffer_waits_for_the_outage_and_not_longer(calls):
    peer = full()
    peer.lose()
    took, error = seconds(peer, calls(peer, failover=7.0).room)
    assert took == 7
    assert isinstance(error, OutageTimeout)
    assert error.outcome is Outcome.NOT_SENT


def test_a_session_that_is_closed_meanwhile_gives_no_room(calls):
    peer = full()
    waiting = calls(peer, (3, lambda: peer.session.life.end(ClosedError("closed by another"), peer.now)))
    took, error = seconds(peer, waiting.room)
    assert took == 3
    assert isinstance(error, ClosedError)


def test_a_congested_link_is_waited_for_although_the_buffer_has_room(calls):
    peer = Peer().begin()
    waiting = calls(peer, (2, lambda: setattr(waiting.pump, "congested", False)))
    waiting.pump.congested = True
    assert seconds(peer, waiting.room) == (2, None)


def test_what_is_withdrawn_is_not_sent_in_words_too(calls):
    peer = Peer().begin()
    peer.lose()
    token = peer.send()
    peer.session.life.end(ClosedError("closed"), peer.now)
    _, error = seconds(peer, lambda: calls(peer).outcome(token))
    assert isinstance(error, NotSent)
    assert "was not sent" in str(error)


def test_a_long_wait_is_noticed_once_by_the_clock_of_the_session(calls):
    peer = Peer().begin()
    noticed = []
    waiting = calls(peer, (0.6, peer.lose), (5, peer.back), (6, lambda: None))
    begun = peer.now
    waiting.wait_for(lambda: False, 10, notice=(1.0, lambda: noticed.append(peer.now - begun)))
    assert noticed == [pytest.approx(5.4)]


def test_a_short_wait_is_not_noticed(calls):
    peer = Peer().begin()
    waiting = calls(peer)
    noticed = []
    waiting.wait_for(lambda: False, 0.9, notice=(1.0, lambda: noticed.append(1)))
    assert noticed == []


def test_who_waits_for_room_is_patient_in_proportion_to_the_window():
    assert module.patience(1 << 30) == module.PATIENCE
    assert module.patience(10_240) < 0.00001 * 2
    assert module.patience(0) == 0
