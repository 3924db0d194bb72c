"""Requests and replies, and the broker's management."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from activeclient import Connection, ConnectionFailure, Destination, Message, Queue, Requestor, Topic, connect
from activeclient.errors import IllegalStateError, JMSError
from activeclient.testing.cutter import Cutter
from integration.differences import differs
from integration.jms_cases.support import SOON, TRANSACTED, eventually, fill, outcome, text_of


class Server:
    """Answers requests in capitals, once it is let."""

    def __init__(self, connection: Connection, destination: Destination, *, correlated: bool = True) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.answered = 0
        self._correlated = correlated
        self._session = connection.create_session()
        self._producer = self._session.create_producer()
        self._session.create_consumer(destination).message_listener = self._answer

    def _answer(self, request: Message) -> None:
        self.may_answer.wait(SOON)
        correlation_id = request.jms_correlation_id or request.jms_message_id
        self._producer.send(
            str(request.body).upper(),
            request.jms_reply_to,
            correlation_id=correlation_id if self._correlated else None,
        )
        self.answered += 1

    def close(self) -> None:
        self.may_answer.set()
        self._session.close()


@pytest.fixture(params=["queue", "topic"])
def destination(request: pytest.FixtureRequest, name: str) -> Destination:
    return Queue(name) if request.param == "queue" else Topic(name)


@pytest.fixture
def server(other: Connection, destination: Destination) -> Iterator[Server]:
    made = Server(other, destination)
    yield made
    made.close()


def test_each_request_gets_its_reply(connection: Connection, destination: Destination, server: Server) -> None:
    with Requestor(connection.create_session(), destination) as requestor:
        for text in ("a", "b", "c"):
            assert text_of(requestor.request(text, SOON)) == text.upper()
        reply = requestor.request("own id", SOON, correlation_id="mine", properties={"n": 1})
    assert text_of(reply) == "OWN ID"
    assert reply is not None
    assert reply.jms_correlation_id == "mine"


def test_a_late_reply_is_not_taken_for_the_next(
    connection: Connection, destination: Destination, server: Server
) -> None:
    server.may_answer.clear()
    with Requestor(connection.create_session(), destination) as requestor:
        assert requestor.request("slow", 0.1) is None
        server.may_answer.set()
        assert text_of(requestor.request("quick", SOON)) == "QUICK"


def test_the_place_of_the_replies_ends_with_the_requestor(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    with Requestor(session, queue) as requestor:
        reply_to = requestor._reply_to
        assert connection.owns(reply_to)
    assert not connection.owns(reply_to)
    session.create_producer(queue).close()  # the session is open


def test_a_transacted_session_cannot_ask(connection: Connection, queue: Queue) -> None:
    with pytest.raises(IllegalStateError):
        Requestor(connection.create_session(TRANSACTED), queue)


def test_requests_are_answered_after_cuts(cutter: Cutter, other: Connection, queue: Queue) -> None:
    server = Server(other, queue)
    told: list[ConnectionFailure] = []
    with connect(cutter.url()) as connection:
        connection.exception_listener = told.append
        with Requestor(connection.create_session(), queue) as requestor:
            for n in range(3):
                assert text_of(requestor.request(f"n{n}", SOON)) == f"N{n}"
                cutter.cut_now()
                eventually(lambda: len(told) == n + 1)  # noqa: B023 - called at once
    server.close()


# --- management -------------------------------------------------------------------------------------------------------


def test_management_reads_and_does(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.management() as management:
        assert management.attribute(f"queue.{queue.name}", "MessageCount") == 2
        messages = management.invoke(f"queue.{queue.name}", "listMessagesAsJSON", "")
        assert isinstance(messages, list)
        assert len(messages) == 2
        assert management.invoke(f"queue.{queue.name}", "removeMessages", "") == 2
        names = management.invoke("broker", "getQueueNames", "ANYCAST")
        assert isinstance(names, list)
        assert queue.name in names
        (status,) = management.queues(queue.name)
        assert (status.messages, status.routing_type) == (0, "ANYCAST")


def test_management_refuses_with_the_brokers_words(connection: Connection) -> None:
    with connection.management() as management:
        error = outcome(lambda: management.invoke("broker", "nonsense", 1))
        assert isinstance(error, JMSError)
        assert "nonsense" in str(error)
        assert isinstance(outcome(lambda: management.attribute("queue.not there", "MessageCount")), JMSError)
        assert isinstance(management.attribute("broker", "Version"), str)  # it goes on


def test_management_is_a_queue_of_messages_too(connection: Connection) -> None:
    session = connection.create_session()
    with Requestor(session, session.create_queue("activemq.management")) as requestor:
        properties = {"_AMQ_ResourceName": "broker", "_AMQ_Attribute": "Version"}
        reply = requestor.request(None, SOON, properties=properties)
    assert reply is not None
    assert reply.properties["_AMQ_OperationSucceeded"] is True
    with connection.management() as management:
        assert str(reply.body) == json.dumps([management.attribute("broker", "Version")])


@differs("notifications")
def test_notifications_can_be_heard(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    with session.create_consumer(Topic("activemq.notifications"), "_AMQ_NotifType = 'BINDING_ADDED'") as consumer:
        fill(connection, queue, "x")
        names: set[object] = set()
        while queue.name not in names:
            message = consumer.receive(SOON)
            assert message is not None, names
            names.add(message.properties["_AMQ_RoutingName"])
