"""What lives on the server: temporary queues, subscriptions, queues that were created automatically, full addresses."""

from __future__ import annotations

import time

import pytest

from activeclient.client.consumer import ClientConsumer
from activeclient.client.management import Management
from activeclient.client.producer import ClientProducer
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    InvalidDestinationError,
    Outcome,
    ResourceAllocationError,
)
from activeclient.events import AddressBlocked, AddressUnblocked, ConsumerLost, Reconnected, SessionRecreated
from activeclient.testing.cuts import Direction
from activeclient.testing.cutter import Cutter
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker
from integration.cases.support import (
    NO_WINDOW,
    PATIENCE,
    RELIABLE,
    WINDOW,
    Opened,
    Recorder,
    ServerManagement,
    drain,
    eventually,
    in_thread,
    number_of,
    numbered,
    outage,
    pause,
)
from integration.conftest import MakeBroker


@pytest.mark.reattach
@pytest.mark.parametrize("consumed", [True, False], ids=["with-consumer", "without-consumer"])
def test_a_temporary_queue_is_kept_by_a_reattachment_with_its_messages(
    line: Cutter, opened: Opened, queue: str, consumed: bool
) -> None:
    factory = opened.factory(line.url(), WINDOW)
    session = factory.create_session(ack_batch_size=0)
    name = f"{queue}.temporary"
    session.create_temporary_queue(name)
    consumer = session.create_consumer(name) if consumed else None
    session.create_producer(name).send(numbered(session, 1))
    line.cut_now()
    session.start()
    assert drain(consumer or session.create_consumer(name), 1, timeout=0.3) == [1]


@pytest.mark.parametrize("consumed", [True, False], ids=["with-consumer", "without-consumer"])
def test_a_temporary_queue_is_usable_after_the_server_failed_the_connection(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement, consumed: bool
) -> None:
    factory = opened.factory(line.url(), RELIABLE)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    name = f"{queue}.temporary"
    session.create_temporary_queue(name)
    consumer = session.create_consumer(name) if consumed else None
    management.fail_connection_of(session.name)
    recorder.wait(SessionRecreated)
    producer = session.create_producer(name)
    for index in range(5):
        producer.send(numbered(session, index))
    assert drain(consumer or session.create_consumer(name), 5, timeout=0.3) == [0, 1, 2, 3, 4]


def test_a_deleted_temporary_queue_does_not_come_back(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement
) -> None:
    factory = opened.factory(line.url(), RELIABLE)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    name = f"{queue}.temporary"
    session.create_temporary_queue(name)
    session.delete_queue(name)
    management.fail_connection_of(session.name)
    recorder.wait(SessionRecreated)
    assert not session.query_queue(name).exists


def test_a_blocked_receive_of_a_temporary_queue_that_is_deleted_ends(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    session, other = factory.create_session().start(), factory.create_session().start()
    name = f"{queue}.temporary"
    session.create_temporary_queue(name)
    consumer = session.create_consumer(name)
    waiting = in_thread(consumer.receive)
    pause(0.1)
    with pytest.raises(Exception, match="consumers"):
        other.delete_queue(name)  # it is in use
    assert waiting.running
    consumer.close()
    waiting.join()
    assert waiting.error is not None
    session.delete_queue(name)


@pytest.mark.reattach
@pytest.mark.parametrize("lost", [False, True], ids=["reattached", "recreated"])
@pytest.mark.parametrize("durable", [False, True], ids=["non-durable", "durable"])
def test_subscriptions_over_an_outage(
    line: Cutter, artemis: Broker, opened: Opened, queue: str, durable: bool, lost: bool
) -> None:
    address, name = f"{queue}.topic", f"{queue}.subscription"
    factory = opened.factory(line.url(), NO_WINDOW if lost else WINDOW)
    session = factory.create_session(ack_batch_size=0).start()
    if durable:
        session.create_shared_queue(address, name, durable=True)
    else:
        session.create_queue(address, name, routing_type="MULTICAST", durable=False, temporary=True)
    consumer = session.create_consumer(name)
    publishing = opened.session(artemis.url())
    producer = publishing.create_producer(address)
    producer.send(numbered(publishing, 0))
    first = consumer.receive(PATIENCE)
    assert first is not None
    first.acknowledge()
    session.query_queue(name)
    with outage(line):
        if lost and not durable:
            eventually(lambda: not publishing.query_queue(name).exists, "the end of the subscription")
        for index in range(1, 11):
            producer.send(numbered(publishing, index))
    session.query_queue(name)
    producer.send(numbered(publishing, 11))
    expected = [11] if lost and not durable else list(range(1, 12))
    assert drain(consumer, len(expected), acknowledge=False, timeout=0.5) == expected
    consumer.close()
    session.delete_queue(name)


@pytest.mark.reattach
def test_shared_subscriptions_go_on_for_every_consumer(
    line: Cutter, artemis: Broker, opened: Opened, queue: str
) -> None:
    address, name = f"{queue}.topic", f"{queue}.shared"
    sessions = [opened.session(line.url(), RELIABLE) for _ in range(2)]
    for session in sessions:
        session.create_shared_queue(address, name, durable=True)
    consumers = [session.create_consumer(name) for session in sessions]
    producer = sessions[0].create_producer(address)
    for index in range(40):
        if index % 10 == 5:
            line.cut_now()
        producer.send(numbered(sessions[0], index))
    found: list[int] = []

    def complete() -> bool:
        for consumer in consumers:
            found.extend(drain(consumer))
        return len(found) >= 40

    eventually(complete, "forty messages")
    for consumer in consumers:
        found += drain(consumer, timeout=0.5)
    assert sorted(found) == list(range(40))
    for consumer in consumers:
        consumer.close()
    sessions[0].delete_queue(name)


def test_queues_that_a_restarted_broker_forgot_are_created_again(private_broker_of: MakeBroker, opened: Opened) -> None:
    """Non-durable, temporary and automatically created ones, with consumers; durable ones are there anyway."""
    broker = private_broker_of()
    factory = opened.factory(broker.url(), RELIABLE)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    session.create_queue("restart.durable")
    session.create_queue("restart.volatile", durable=False)
    session.create_queue("restart.auto", auto_created=True)
    session.create_temporary_queue("restart.temporary")
    names = [f"restart.{kind}" for kind in ("durable", "volatile", "auto", "temporary")]
    consumers = [session.create_consumer(name) for name in names]
    session.create_producer(names[0]).send(numbered(session, 0))
    broker.restart(clean=False)
    recorder.wait(Reconnected, timeout=30)
    for name in names:
        session.create_producer(name).send(numbered(session, 1))
    expected = [[0, 1], [1], [1], [1]]
    for consumer, numbers in zip(consumers, expected, strict=True):
        assert drain(consumer, len(numbers), acknowledge=False, timeout=0.5) == numbers
    assert not recorder.of(ConsumerLost)
    factory.close()


def test_a_browser_goes_on_over_cuts(line: Cutter, opened: Opened, queue: str) -> None:
    for parameters in (WINDOW, NO_WINDOW):
        session = opened.session(line.url(), parameters)
        producer = session.create_producer(queue)
        if not session.query_queue(queue).message_count:
            for index in range(50):
                producer.send(numbered(session, index))
        with session.create_consumer(queue, browse_only=True) as browser:
            first = browser.receive(PATIENCE)
            assert first is not None
            line.cut_now()
            seen = {number_of(first)}
            while not seen >= set(range(50)):
                message = browser.receive(PATIENCE)
                assert message is not None, f"only {sorted(seen)}"
                seen.add(number_of(message))
            seen |= {number_of(message) for message in browser.messages(0.5)}
        assert seen == set(range(50))
    assert session.query_queue(queue).message_count == 50


def test_without_prefetch_order_is_kept_over_cuts(line: Cutter, opened: Opened, queue: str) -> None:
    session = opened.session(line.url(), WINDOW, consumerWindowSize=0, ackBatchSize=0)
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    for index in range(60):
        producer.send(numbered(session, index))
    found = []
    for index in range(60):
        if index % 10 == 3:
            line.cut_now()
        message = consumer.receive(PATIENCE)
        assert message is not None
        found.append(number_of(message))
        message.acknowledge()
    assert found == list(range(60))
    assert consumer.receive(0) is None


@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_a_receive_with_a_limit_whose_answer_is_lost_does_not_hang(
    line: Cutter, opened: Opened, queue: str, parameters: dict[str, object]
) -> None:
    session = opened.session(line.url(), parameters)
    consumer = session.create_consumer(queue)
    for direction in Direction:
        line.cut_after(direction, 1)
        began = time.monotonic()
        assert consumer.receive(0) is None
        assert time.monotonic() - began < 5
    assert line.cuts == 2


@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_an_address_that_is_full_and_fails_says_so_to_each_sender(
    line: Cutter, opened: Opened, parameters: dict[str, object]
) -> None:
    address = f"full.fail.{time.monotonic_ns()}"
    session = opened.session(line.url(), parameters, producerWindowSize=-1, ackBatchSize=0)
    session.create_queue(address)
    producer = session.create_producer(address)
    sent, error = _fill(producer)
    assert isinstance(error, ResourceAllocationError)
    assert error.outcome is Outcome.NOT_SENT
    line.cut_now()
    consumer = session.create_consumer(address)
    assert drain(consumer) == list(range(sent))

    def accepted() -> bool:
        try:
            producer.send(numbered(session, sent, 2000))
        except ResourceAllocationError:
            return False
        return True

    eventually(accepted, "room on the address")  # the broker frees it some time after the acknowledgements
    assert drain(consumer) == [sent]
    consumer.close()
    session.delete_queue(address)


def test_an_address_that_is_full_and_blocks_lets_the_sender_wait_over_a_cut(line: Cutter, opened: Opened) -> None:
    address = f"full.block.{time.monotonic_ns()}"
    factory = opened.factory(line.url(), WINDOW, producerWindowSize=20_000, callTimeout=5000)
    recorder = Recorder(factory)
    sending, receiving = factory.create_session(), factory.create_session(ack_batch_size=0).start()
    sending.create_queue(address)
    producer = sending.create_producer(address)
    sent, error = _fill(producer)
    assert isinstance(error, CallTimeout)
    assert error.outcome is Outcome.NOT_SENT
    recorder.wait(AddressBlocked)
    assert len(recorder.of(AddressBlocked)) == 1
    waiting = in_thread(lambda: producer.send(numbered(sending, sent, 2000)))
    line.cut_now()
    recorder.wait(Reconnected)
    assert waiting.running
    consumer = receiving.create_consumer(address)
    found = [number_of(message) for message in _taken(consumer, sent)]
    waiting.value()
    found += drain(consumer, 1, timeout=0.5)
    assert found == list(range(sent + 1))
    recorder.wait(AddressUnblocked)
    assert len(recorder.of(AddressUnblocked)) == 1
    consumer.close()
    receiving.delete_queue(address)


def _fill(producer: ClientProducer) -> tuple[int, ActiveClientError | None]:
    """Send until it fails: how many were sent, and the error."""
    for sent in range(1000):
        try:
            producer.send(numbered(producer.session, sent, 2000))
        except ActiveClientError as error:
            return sent, error
    return 1000, None


def _taken(consumer: ClientConsumer, count: int) -> list[CoreMessage]:
    taken: list[CoreMessage] = []
    for _ in range(count):
        message = consumer.receive(PATIENCE)
        assert message is not None
        message.acknowledge()
        taken.append(message)
    return taken


def test_a_queue_that_is_deleted_ends_its_consumer_visibly(line: Cutter, opened: Opened, queue: str) -> None:
    name = f"{queue}.deleted"
    factory = opened.factory(line.url(), NO_WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    session.create_queue(name)
    consumer = session.create_consumer(name)
    waiting = in_thread(consumer.receive)
    with outage(line):
        direct = opened.factory(f"tcp://{line._upstream[0]}:{line._upstream[1]}")
        with Management(direct) as broker:
            broker.invoke("broker", "destroyQueue", name, True)
    waiting.join()
    assert isinstance(waiting.error, InvalidDestinationError)
    recorder.wait(ConsumerLost)
    assert session.query_queue(queue).exists
