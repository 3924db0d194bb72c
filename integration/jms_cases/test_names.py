"""Fully qualified names, attributes behind names, groups, and kinds that do not fit."""

from __future__ import annotations

import threading

import pytest

from activeclient import (
    ActiveMQConnectionFactory,
    Connection,
    JMSContext,
    Message,
    Queue,
    Session,
    TemporaryQueue,
    TemporaryTopic,
    Topic,
    connect,
)
from activeclient.errors import (
    IllegalStateError,
    InvalidDestinationError,
    JMSError,
    ResourceAllocationError,
)
from integration.jms_cases.support import (
    CLIENT,
    SOON,
    TRANSACTED,
    Inbox,
    count,
    credited,
    drained,
    eventually,
    fill,
    outcome,
    rest,
    text_of,
    texts,
)


@pytest.fixture
def session(connection: Connection) -> Session:
    return connection.create_session()


# --- address::queue ---------------------------------------------------------------------------------------------------


def test_a_queue_of_an_address_is_named_by_both(connection: Connection, session: Session, name: str) -> None:
    one, two = Queue(f"{name}::{name}.one"), Queue(f"{name}::{name}.two")
    consumers = [session.create_consumer(one), session.create_consumer(two)]
    # More to the second one first: neither turns nor chance bring that about.
    fill(connection, two, *"abcde")
    fill(connection, one, *"xyz")
    assert [rest(consumer) for consumer in consumers] == [list("xyz"), list("abcde")]
    fill(connection, Queue(name), *"1234")
    assert sum(len(rest(consumer)) for consumer in consumers) <= 4


def test_every_way_of_sending_reaches_the_queue_of_an_address(
    context: JMSContext, connection: Connection, session: Session, name: str
) -> None:
    session.create_producer(Queue(name)).send("for the address")
    queue = Queue(f"{name}::{name}.one")
    with connection.create_session() as sender:
        unbound = sender.create_producer()
        for number in range(3):
            unbound.send(f"unbound {number}", queue)
        bound = sender.create_producer(queue)
        for number in range(3):
            bound.send(f"bound {number}")
        bound.send_async("later").result(SOON)
    for number in range(3):
        context.create_producer().send(queue, f"context {number}")
    with connection.create_session(TRANSACTED) as transacted:
        transacted.create_producer(queue).send("committed")
        transacted.commit()
    with connection.factory.create_session() as core, core.create_producer(queue.name) as producer:
        producer.send(core.create_message(body=b"core"))
    consumer = session.create_consumer(queue)
    received = drained(consumer)
    assert len(received) == 12
    assert {message.jms_destination for message in received} == {queue}
    assert count(connection, Queue(name)) == 1


def test_a_queue_of_an_address_serves_as_reply_to(connection: Connection, session: Session, name: str) -> None:
    session.create_producer(Queue(name)).send("not a reply")
    replies = Queue(f"{name}::{name}.replies")
    consumer = session.create_consumer(replies)
    request = Queue(f"{name}.requests")
    with connection.create_session() as serving:
        fill(connection, request, *"ab", reply_to=replies)
        answers = serving.create_producer()
        for asked in drained(serving.create_consumer(request)):
            assert asked.jms_reply_to == replies
            answers.send(f"re: {text_of(asked)}", asked.jms_reply_to.as_queue())
    assert rest(consumer) == ["re: a", "re: b"]
    assert count(connection, Queue(name)) == 1


def test_what_is_published_to_one_queue_of_a_topic_reaches_no_other(
    connection: Connection, session: Session, name: str
) -> None:
    one, two = Topic(f"{name}::{name}.one"), Topic(f"{name}::{name}.two")
    consumers = [session.create_consumer(topic) for topic in (one, two, Topic(name))]
    fill(connection, two, "to two")
    fill(connection, Topic(name), "to all")
    received = [drained(consumer) for consumer in consumers]
    assert [[text_of(message) for message in part] for part in received] == [
        ["to all"], ["to two", "to all"], ["to all"]
    ]  # fmt: skip
    assert [message.jms_destination for message in received[1]] == [two, Topic(name)]


def test_a_topics_queue_is_made_by_its_consumer_and_stays(connection: Connection, session: Session, name: str) -> None:
    subscription = Topic(f"{name}::{name}.subscription")
    session.create_consumer(subscription).close()
    fill(connection, Topic(name), "kept")
    with session.create_consumer(subscription) as consumer:
        assert rest(consumer) == ["kept"]


def test_a_selector_holds_for_the_queue_of_an_address(connection: Connection, session: Session, name: str) -> None:
    queue = Queue(f"{name}::{name}.one")
    fill(connection, queue, "no", properties={"n": 1})
    fill(connection, queue, "yes", properties={"n": 2})
    with session.create_consumer(queue, "n = 2") as consumer:
        assert rest(consumer) == ["yes"]
    with session.create_browser(queue, "n = 1") as browser:
        assert [text_of(message) for message in browser] == ["no"]


def test_the_queue_of_another_address_is_refused(connection: Connection, session: Session, name: str) -> None:
    fill(connection, Queue(f"{name}::{name}.one"), "x")
    with pytest.raises(InvalidDestinationError, match="belongs to address"):
        session.create_consumer(Queue(f"{name}.other::{name}.one"))


# --- kinds ------------------------------------------------------------------------------------------------------------


def test_a_producer_for_topics_is_refused_where_only_queues_are(
    connection: Connection, session: Session, name: str
) -> None:
    fill(connection, Queue(name), "x")
    error = outcome(lambda: session.create_producer(Topic(name)))
    assert isinstance(error, InvalidDestinationError)
    with pytest.raises(InvalidDestinationError, match="MULTICAST"):
        session.create_producer().send("x", Topic(name))


def test_a_producer_for_queues_is_refused_where_only_topics_are(session: Session, name: str) -> None:
    with session.create_consumer(Topic(name)), pytest.raises(InvalidDestinationError, match="ANYCAST"):
        session.create_producer(Queue(name))


def test_a_consumer_makes_its_kind_of_an_address_that_was_of_the_other(
    connection: Connection, session: Session, name: str
) -> None:
    fill(connection, Queue(name), "x")
    with session.create_consumer(Topic(name)) as consumer:
        fill(connection, Topic(name), "y")
        assert rest(consumer) == ["y"]


def test_the_subscription_of_a_topic_is_no_queue(session: Session, name: str) -> None:
    session.create_consumer(Topic(f"{name}::{name}.sub")).close()
    with pytest.raises(InvalidDestinationError, match="MULTICAST"):
        session.create_consumer(Queue(f"{name}.sub"))


# --- attributes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", ["producer", "consumer", "browser"])
def test_attributes_count_whoever_makes_the_queue(
    connection: Connection, session: Session, name: str, maker: str
) -> None:
    wanted = Queue(f"{name}?max-consumers=2&ring-size=5&exclusive=true&auto-delete=false&group-buckets=3")
    if maker == "producer":
        session.create_producer(wanted).close()
    elif maker == "consumer":
        session.create_consumer(wanted).close()
    else:
        session.create_browser(wanted).close()
    with connection.factory.create_session() as core:
        found = core.query_queue(name)
    assert (found.max_consumers, found.ring_size, found.exclusive) == (2, 5, True)
    assert (found.auto_delete, found.group_buckets, found.auto_created) == (False, 3, True)


def test_a_last_value_queue_keeps_the_newest_of_each_key(connection: Connection, session: Session, name: str) -> None:
    queue = Queue(f"{name}?last-value-key=symbol")
    producer = session.create_producer(queue)
    for n in range(3):
        for symbol in ("A", "B"):
            producer.send(f"{symbol}{n}", properties={"symbol": symbol})
    assert sorted(rest(session.create_consumer(queue))) == ["A2", "B2"]  # type: ignore[type-var]


def test_a_last_value_is_named_by_its_property_too(connection: Connection, session: Session, name: str) -> None:
    queue = Queue(f"{name}?last-value=true")
    producer = session.create_producer(queue)
    for n in range(3):
        producer.send(str(n), properties={"_AMQ_LVQ_NAME": "key"})
    assert rest(session.create_consumer(queue)) == ["2"]


def test_a_ring_keeps_the_newest(connection: Connection, session: Session, name: str) -> None:
    queue = Queue(f"{name}?ring-size=3")
    fill(connection, queue, *"abcdef")
    assert rest(session.create_consumer(queue)) == ["d", "e", "f"]


def test_a_non_destructive_queue_keeps_everything(connection: Connection, session: Session, name: str) -> None:
    queue = Queue(f"{name}?non-destructive=true")
    fill(connection, queue, *"abc")
    for _ in range(2):
        with session.create_consumer(queue) as consumer:
            assert rest(consumer) == ["a", "b", "c"]


def test_an_exclusive_queue_has_one_consumer_at_a_time(connection: Connection, name: str) -> None:
    queue = Queue(f"{name}?exclusive=true")
    sessions = [connection.create_session() for _ in range(2)]
    one, two = (session.create_consumer(queue) for session in sessions)
    credited(*sessions)
    fill(connection, queue, *"abcd")
    assert [rest(one), rest(two)] == [["a", "b", "c", "d"], []]
    one.close()
    fill(connection, queue, "e")
    assert rest(two) == ["e"]


def test_the_limit_of_consumers_is_an_error_with_its_code(connection: Connection, session: Session, name: str) -> None:
    queue = Queue(f"{name}?max-consumers=1")
    session.create_consumer(queue)
    with pytest.raises(ResourceAllocationError) as raised:
        connection.create_session().create_consumer(queue)
    assert raised.value.code == 214


def test_a_consumer_of_higher_priority_gets_everything(connection: Connection, name: str) -> None:
    sessions = [connection.create_session() for _ in range(2)]
    low = sessions[0].create_consumer(Queue(f"{name}?consumer-priority=1"))
    high = sessions[1].create_consumer(Queue(f"{name}?consumer-priority=5"))
    credited(*sessions)
    fill(connection, Queue(name), *"abcd")
    assert [rest(low), rest(high)] == [[], ["a", "b", "c", "d"]]
    high.close()
    fill(connection, Queue(name), "e")
    assert rest(low) == ["e"]


def test_nothing_is_dispatched_before_there_are_enough_consumers(connection: Connection, name: str) -> None:
    queue = Queue(f"{name}?consumers-before-dispatch=2&delay-before-dispatch=-1")
    one = connection.create_session().create_consumer(queue)
    fill(connection, queue, *"abcd")
    assert one.receive(0.2) is None
    two = connection.create_session().create_consumer(queue)
    assert sorted([*rest(one), *rest(two)]) == ["a", "b", "c", "d"]  # type: ignore[type-var]


def test_a_queue_that_deletes_itself_is_gone_with_its_last_consumer_and_made_again(
    connection: Connection, session: Session, name: str
) -> None:
    queue = Queue(f"{name}?auto-delete=true&auto-delete-delay=0")
    producer = session.create_producer(queue)
    for text in ("a", "b"):
        producer.send(text)
        with session.create_consumer(queue) as consumer:
            assert texts(consumer, 1) == [text]


@pytest.mark.parametrize("text", ["ring-size=x", "exclusive=maybe", "max-consumers=1.5", "unknown=1"])
def test_wrong_attributes_are_refused_with_their_name(session: Session, name: str, text: str) -> None:
    with pytest.raises(InvalidDestinationError, match=text.partition("=")[0]):
        session.create_consumer(Queue(f"{name}?{text}"))


# --- groups -----------------------------------------------------------------------------------------------------------


def test_messages_of_a_group_go_to_one_consumer(connection: Connection, queue: Queue) -> None:
    consumers = [connection.create_session().create_consumer(queue) for _ in range(3)]
    with connection.create_session() as session:
        producer = session.create_producer(queue)
        for n in range(30):
            producer.send(str(n), properties={"JMSXGroupID": f"g{n % 4}", "JMSXGroupSeq": n // 4 + 1})
    owners: dict[object, set[int]] = {}
    for number, consumer in enumerate(consumers):
        for message in drained(consumer):
            owners.setdefault(message.properties["JMSXGroupID"], set()).add(number)
            assert message.properties["JMSXGroupSeq"] == int(str(message.body)) // 4 + 1
    assert len(owners) == 4
    assert all(len(numbers) == 1 for numbers in owners.values())


def test_a_group_goes_to_another_consumer_when_its_own_is_closed(connection: Connection, queue: Queue) -> None:
    one, two = (connection.create_session().create_consumer(queue) for _ in range(2))
    fill(connection, queue, "a", properties={"JMSXGroupID": "g"})
    first, second = (one, two) if rest(one) else (two, one)
    first.close()
    rest(second)
    fill(connection, queue, "b", properties={"JMSXGroupID": "g"})
    assert rest(second) == ["b"]


@pytest.mark.parametrize(("parameter", "value"), [("groupID", "mine"), ("autoGroup", "true")])
def test_a_group_can_be_set_for_a_whole_connection(broker_url: str, queue: Queue, parameter: str, value: str) -> None:
    with connect(f"{broker_url}?{parameter}={value}") as connection, connection.create_session() as session:
        producer = session.create_producer(queue)
        producer.send("a")
        producer.send("b", properties={"n": 1})
        groups = {message.properties["JMSXGroupID"] for message in drained(session.create_consumer(queue))}
    assert len(groups) == 1
    assert groups == {"mine"} or parameter == "autoGroup"


# --- temporary --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_a_temporary_destination_is_consumed_from_by_its_connection_alone(
    connection: Connection, other: Connection, kind: str
) -> None:
    session, theirs = connection.create_session(), other.create_session()
    made = session.create_temporary_queue() if kind == "queue" else session.create_temporary_topic()
    consumer = connection.create_session().create_consumer(made)
    theirs.create_producer(made).send("from afar")
    assert texts(consumer, 1) == ["from afar"]
    same: TemporaryQueue | TemporaryTopic = (TemporaryQueue if kind == "queue" else TemporaryTopic)(made.name)
    assert same == made
    for destination in (made, same):
        with pytest.raises(InvalidDestinationError, match="only the connection that made it"):
            theirs.create_consumer(destination)


def test_a_temporary_destination_outlives_its_session_and_not_its_connection(
    factory: ActiveMQConnectionFactory, connection: Connection
) -> None:
    with factory.create_connection() as owner:
        with owner.create_session() as session:
            made = session.create_temporary_queue()
        fill(owner, made, "x")
        with owner.create_session() as session:
            assert texts(session.create_consumer(made), 1) == ["x"]
    with connection.factory.create_session() as core:
        eventually(lambda: not core.query_queue(made.name).exists)
    assert made.is_deleted


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_a_deleted_temporary_destination_is_of_no_use(connection: Connection, kind: str) -> None:
    session = connection.create_session()
    made = session.create_temporary_queue() if kind == "queue" else session.create_temporary_topic()
    producer, anonymous = session.create_producer(made), session.create_producer()
    producer.send("x")
    made.delete()
    for call in (
        lambda: producer.send("x"), lambda: anonymous.send("x", made), lambda: session.create_producer(made),
        lambda: session.create_consumer(made),
    ):  # fmt: skip
        assert isinstance(outcome(call), InvalidDestinationError)
    assert isinstance(outcome(made.delete), IllegalStateError)


def test_temporary_destinations_have_names_of_their_own(connection: Connection) -> None:
    session = connection.create_session()
    made = [session.create_temporary_queue().name for _ in range(5)]
    made += [session.create_temporary_topic().name for _ in range(5)]
    assert len(set(made)) == 10


def test_a_temporary_topic_reaches_each_of_its_subscribers(connection: Connection) -> None:
    session = connection.create_session()
    with session.create_temporary_topic() as topic:
        consumers = [session.create_consumer(topic) for _ in range(2)]
        session.create_producer(topic).send("x")
        assert [rest(consumer) for consumer in consumers] == [["x"], ["x"]]
        for consumer in consumers:
            consumer.close()
    assert topic.is_deleted


def test_unacknowledged_messages_of_a_temporary_queue_come_again(connection: Connection) -> None:
    session = connection.create_session(CLIENT)
    queue = session.create_temporary_queue()
    fill(connection, queue, "a")
    with session.create_consumer(queue) as consumer:
        assert texts(consumer, 1) == ["a"]
        session.recover()
        again = consumer.receive(SOON)
        assert again is not None
        assert again.jms_redelivered
        again.acknowledge()


# --- many at a time ---------------------------------------------------------------------------------------------------


def test_a_listener_hears_of_many_queues_one_after_the_other(connection: Connection, name: str) -> None:
    inbox = Inbox()
    running: list[int] = []
    most = 0
    lock = threading.Lock()

    def listen(message: Message) -> None:
        nonlocal most
        with lock:
            running.append(1)
            most = max(most, len(running))
        inbox(message)
        with lock:
            running.pop()

    session = connection.create_session()
    queues = [Queue(f"{name}::{name}.{n}") for n in range(3)]
    for queue in queues:
        session.create_consumer(queue).message_listener = listen
    for n in range(10):
        for queue in queues:
            fill(connection, queue, str(n))
    assert len(inbox.wait(30)) == 30
    assert most == 1


def test_the_name_of_an_error_tells_its_code(session: Session, name: str) -> None:
    with pytest.raises(JMSError) as raised:
        session.core.delete_queue(name)
    assert raised.value.code == 100
