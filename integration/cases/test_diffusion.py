"""Diffusion's design on real brokers: states, recovery buffers counted in messages, and what a cut does with them.

The series of attempts and each promise by itself are in `tests/designs`, on a clock that the test moves.
"""

from __future__ import annotations

import pytest

from activeclient.errors import ActiveClientError, MessagesMissing, NotSent, OutcomeUnknown
from activeclient.events import GaveUp, Reconnected, SessionState
from activeclient.testing.cuts import Direction, How
from activeclient.testing.cutter import Cutter
from integration.cases.support import Opened, Outcomes, Recorder, drain, eventually, numbered

ROUNDS, EACH = 5, 100


def parameters(size: int) -> dict[str, object]:
    return {"reconnectProfile": "diffusion", "recoveryBufferSize": size, "producerWindowSize": -1}


def test_nothing_is_lost_and_each_state_is_told_once(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), parameters(10_000))
    recorder = Recorder(factory)
    told: list[tuple[SessionState, SessionState]] = []
    assert factory.add_state_listener(lambda old, new: told.append((old, new))) is SessionState.CONNECTED_ACTIVE
    session = factory.create_session(ack_batch_size=0)
    outcomes = Outcomes()
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    session.start()
    received: list[int] = []
    for round_ in range(ROUNDS):
        for index in range(EACH):
            producer.send(numbered(session, round_ * EACH + index), outcomes)
            if index == EACH // 2:
                line.cut_now()
        received += drain(consumer, EACH)
        recorder.wait(Reconnected, round_ + 1)
    assert received == list(range(ROUNDS * EACH))
    assert consumer.receive(0) is None
    outcomes.wait(ROUNDS * EACH)
    active, recovering = SessionState.CONNECTED_ACTIVE, SessionState.RECOVERING_RECONNECT
    there_and_back = [(active, recovering), (recovering, active)]
    factory.close()
    eventually(lambda: factory.state is SessionState.CLOSED_BY_CLIENT and told[-1][1].is_closed, "the end is told")
    assert told == there_and_back * ROUNDS + [(active, SessionState.CLOSED_BY_CLIENT)]


@pytest.mark.parametrize("lost", [20, 25])
def test_what_a_cut_lost_is_sent_again_or_the_reconnection_is_aborted(
    line: Cutter, opened: Opened, queue: str, lost: int
) -> None:
    """The broker gets none of them; 20 are in the recovery buffer. A sender waits in neither case."""
    # The silence is noticed soon; the broker is asked to keep the session for a minute all the same.
    noticed = {"connectionTTL": 3000, "clientFailureCheckPeriod": 500}
    factory = opened.factory(line.url(), parameters(20), **noticed)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0)
    producer = session.create_producer(queue)
    for index in range(10):
        producer.send(numbered(session, index))
    eventually(lambda: not len(session.engine.buffer), "all is confirmed")
    line.cut_now(How.HALF_OPEN, Direction.TO_BROKER)
    outcomes: list[ActiveClientError | None] = []
    for index in range(lost):
        producer.send(numbered(session, 10 + index), lambda _, error: outcomes.append(error))
    first = session.engine.buffer.first
    if lost <= 20:
        recorder.wait(Reconnected)
        eventually(lambda: len(outcomes) == lost, "each has its outcome")
        assert outcomes == [None] * lost
    else:
        reason = recorder.wait(GaveUp).reason
        assert isinstance(reason, MessagesMissing)
        assert (reason.missing, reason.sent_by) == (range(first, first + lost - 20), "client")
        eventually(lambda: len(outcomes) == lost, "each has its outcome")
        assert all(isinstance(error, NotSent | OutcomeUnknown) for error in outcomes)
        assert factory.state is SessionState.CLOSED_FAILED
    reader = opened.session(line.url())
    reader.start()
    consumer = reader.create_consumer(queue)
    expected = 10 + (lost if lost <= 20 else 0)
    assert drain(consumer, expected) == list(range(expected))
    assert consumer.receive(0) is None
