"""Distributed transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from activeclient import (
    ActiveMQXAConnectionFactory,
    Connection,
    ConnectionFailure,
    Queue,
    XAConnection,
    XAJMSContext,
    XASession,
    Xid,
)
from activeclient.errors import IllegalStateError, TransactionInProgressError, XAError
from activeclient.jms.xa import Vote, new_xid
from activeclient.testing.cutter import Cutter
from integration.jms_cases.support import SOON, count, eventually, fill, outcome, rest, text_of, texts

XAER_NOTA, XAER_RMFAIL, XA_RBROLLBACK = -4, -7, 100


@pytest.fixture
def xa(xa_factory: ActiveMQXAConnectionFactory) -> Iterator[XAConnection]:
    with xa_factory.create_xa_connection() as made:
        yield made


@pytest.fixture
def session(xa: XAConnection) -> XASession:
    return xa.create_xa_session()


def test_two_phases_commit_what_was_sent_and_received(session: XASession, connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "in")
    out = Queue(f"{queue.name}.out")
    consumer, producer = session.create_consumer(queue), session.create_producer(out)
    resource = session.xa_resource
    with resource.branch() as xid:
        assert texts(consumer, 1) == ["in"]
        producer.send("out")
    assert count(connection, out.name) == 0
    assert resource.prepare(xid) is Vote.OK
    assert xid in resource.recover()
    resource.commit(xid)
    assert xid not in resource.recover()
    assert (count(connection, queue.name), count(connection, out.name)) == (0, 1)


def test_one_phase_is_enough_for_one_branch(session: XASession, connection: Connection, queue: Queue) -> None:
    with session.xa_resource.branch() as xid:
        session.create_producer(queue).send("x")
    session.xa_resource.commit(xid, one_phase=True)
    assert count(connection, queue.name) == 1


@pytest.mark.parametrize("prepared", [False, True])
def test_a_rollback_undoes_sends_and_brings_receipts_back(
    session: XASession, connection: Connection, queue: Queue, prepared: bool
) -> None:
    fill(connection, queue, "a")
    resource = session.xa_resource
    consumer = session.create_consumer(queue)
    with resource.branch() as xid:
        assert texts(consumer, 1) == ["a"]
        session.create_producer(queue).send("undone")
    if prepared:
        resource.prepare(xid)
    resource.rollback(xid)
    with resource.branch() as xid:
        message = consumer.receive(SOON)
        assert text_of(message) == "a"
        assert message is not None
        assert (message.jms_redelivered, message.delivery_count) == (True, 2)
    resource.commit(xid, one_phase=True)
    assert count(connection, queue.name) == 0


def test_a_block_that_raises_can_only_be_rolled_back(session: XASession, connection: Connection, queue: Queue) -> None:
    resource = session.xa_resource
    names: list[Xid] = []

    def fail() -> None:
        with resource.branch() as xid:
            names.append(xid)
            session.create_producer(queue).send("undone")
            raise ZeroDivisionError

    assert isinstance(outcome(fail), ZeroDivisionError)
    with pytest.raises(XAError):
        resource.prepare(names[0])
    outcome(lambda: resource.rollback(names[0]))
    assert count(connection, queue.name) == 0


def test_two_sessions_work_in_one_branch(xa: XAConnection, connection: Connection, queue: Queue) -> None:
    one, two = xa.create_xa_session(), xa.create_xa_session()
    assert one.xa_resource.is_same_rm(two.xa_resource)
    xid = new_xid()
    one.xa_resource.start(xid)
    one.create_producer(queue).send("one")
    one.xa_resource.end(xid)
    two.xa_resource.start(xid, join=True)
    two.create_producer(queue).send("two")
    two.xa_resource.end(xid)
    assert count(connection, queue.name) == 0
    two.xa_resource.commit(xid, one_phase=True)
    assert count(connection, queue.name) == 2


def test_a_suspended_branch_goes_on(session: XASession, connection: Connection, queue: Queue) -> None:
    resource, producer = session.xa_resource, session.create_producer(queue)
    first, second = new_xid(), new_xid()
    resource.start(first)
    producer.send("first")
    resource.end(first, suspend=True)
    with resource.branch(second):
        producer.send("second")
    resource.commit(second, one_phase=True)
    assert count(connection, queue.name) == 1
    resource.start(first, resume=True)
    producer.send("first again")
    resource.end(first)
    resource.commit(first, one_phase=True)
    assert count(connection, queue.name) == 3


def test_a_prepared_branch_outlives_its_connection(
    xa_factory: ActiveMQXAConnectionFactory, connection: Connection, queue: Queue
) -> None:
    with xa_factory.create_xa_connection() as lost:
        session = lost.create_xa_session()
        with session.xa_resource.branch() as xid:
            session.create_producer(queue).send("x")
        session.xa_resource.prepare(xid)
    with xa_factory.create_xa_connection() as found:
        resource = found.create_xa_session().xa_resource
        assert xid in resource.recover()
        resource.commit(xid)
        assert xid not in resource.recover()
    assert count(connection, queue.name) == 1


def test_a_branch_that_was_never_begun_is_unknown(session: XASession) -> None:
    for call in (
        lambda: session.xa_resource.prepare(new_xid()), lambda: session.xa_resource.commit(new_xid()),
        lambda: session.xa_resource.rollback(new_xid()), lambda: session.xa_resource.forget(new_xid()),
    ):  # fmt: skip
        error = outcome(call)
        assert isinstance(error, XAError)
        assert error.xa_code == XAER_NOTA


def test_the_manager_ends_transactions_and_nobody_else(session: XASession) -> None:
    assert session.transacted
    for call in (session.commit, session.rollback, lambda: session.transaction().__enter__()):
        assert isinstance(outcome(call), TransactionInProgressError)
    with pytest.raises(IllegalStateError):
        session.recover()


def test_sending_outside_of_a_branch_is_refused(session: XASession, queue: Queue) -> None:
    producer = session.create_producer(queue)
    with pytest.raises(IllegalStateError, match="outside of a branch"):
        producer.send("lost")


def test_a_branch_that_takes_too_long_is_rolled_back(session: XASession, connection: Connection, queue: Queue) -> None:
    resource = session.xa_resource
    resource.set_transaction_timeout(1)
    assert resource.transaction_timeout == 1
    xid = new_xid()
    resource.start(xid)
    session.create_producer(queue).send("late")
    began = time.monotonic()
    # The broker looks every second.
    eventually(lambda: isinstance(_end_and_prepare(session, xid, began), XAError), "the branch's time-out", 15)
    assert count(connection, queue.name) == 0


def _end_and_prepare(session: XASession, xid: Xid, began: float) -> BaseException | None:
    if time.monotonic() < began + 3.5:
        return None
    outcome(lambda: session.xa_resource.end(xid))
    return outcome(lambda: session.xa_resource.prepare(xid))


def test_a_context_works_in_branches(
    xa_factory: ActiveMQXAConnectionFactory, connection: Connection, queue: Queue
) -> None:
    with xa_factory.create_xa_context() as context:
        assert isinstance(context, XAJMSContext)
        assert context.transacted
        with context.xa_resource.branch() as xid:
            context.create_producer().send(queue, "x")
        assert context.xa_resource.prepare(xid) is Vote.OK
        context.xa_resource.commit(xid)
        with pytest.raises(TransactionInProgressError):
            context.commit()
        consumer = context.create_consumer(queue)
        with context.xa_resource.branch() as xid:
            assert texts(consumer, 1) == ["x"]
        context.xa_resource.commit(xid, one_phase=True)
    assert count(connection, queue.name) == 0


def test_an_xa_connection_has_ordinary_sessions_too(xa: XAConnection, queue: Queue) -> None:
    session = xa.create_session(transacted=True)
    session.create_producer(queue).send("x")
    session.commit()
    assert rest(session.create_consumer(queue)) == ["x"]


def test_a_branch_that_lost_its_session_is_not_committed(cutter: Cutter, connection: Connection, queue: Queue) -> None:
    told: list[ConnectionFailure] = []
    factory = ActiveMQXAConnectionFactory(cutter.url() + "?reconnectAttempts=-1&retryInterval=20")
    with factory.create_xa_connection() as xa:
        xa.exception_listener = told.append
        session = xa.create_xa_session()
        resource, xid = session.xa_resource, new_xid()
        resource.start(xid)
        session.create_producer(queue).send("half")
        cutter.cut_now()
        eventually(lambda: len(told) == 1, "the end of the outage")
        outcome(lambda: resource.end(xid))
        with pytest.raises(XAError):
            resource.prepare(xid)
        outcome(lambda: resource.rollback(xid))
        assert count(connection, queue.name) == 0
        with resource.branch() as xid:
            session.create_producer(queue).send("whole")
        resource.commit(xid, one_phase=True)
        assert count(connection, queue.name) == 1
