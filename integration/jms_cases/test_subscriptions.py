"""Durable and shared subscriptions of topics."""

from __future__ import annotations

import pytest

from activeclient import (
    ActiveMQConnectionFactory,
    Connection,
    ConnectionFailure,
    Queue,
    Recovery,
    Session,
    Topic,
)
from activeclient.errors import (
    IllegalStateError,
    InvalidDestinationError,
    InvalidSelectorError,
)
from activeclient.testing.cutter import Cutter
from integration.jms_cases.support import (
    RECREATING,
    SOON,
    credited,
    eventually,
    fill,
    left,
    names_of,
    outcome,
    rest,
    text_of,
    texts,
)

# --- durable, for one consumer ----------------------------------------------------------------------------------------


def test_a_durable_subscription_keeps_messages_while_nobody_consumes(
    factory: ActiveMQConnectionFactory, client_id: str, topic: Topic
) -> None:
    with factory.create_connection(client_id=client_id) as connection:
        connection.create_session().create_durable_consumer(topic, "sub").close()
        fill(connection, topic, "a", "b")
    with factory.create_connection(client_id=client_id) as connection:
        session = connection.create_session()
        with session.create_durable_consumer(topic, "sub") as consumer:
            assert texts(consumer, 2) == ["a", "b"]
        session.unsubscribe("sub")
        assert names_of(connection, topic.name) == []


def test_the_queue_of_a_subscription_has_the_name_that_java_gives_it(
    factory: ActiveMQConnectionFactory, client_id: str, topic: Topic
) -> None:
    with factory.create_connection(client_id=f"{client_id}.i\\d") as connection:
        session = connection.create_session()
        with session.create_durable_consumer(topic, "su.b\\s"), session.create_shared_consumer(topic, "su.b\\s"):
            prefix = f"{client_id}\\.i\\\\d.su\\.b\\\\s"
            assert names_of(connection, topic.name) == sorted([prefix, f"nonDurable.{prefix}"])
        session.unsubscribe("su.b\\s")


def test_a_durable_subscription_needs_a_client_id_and_a_name(session: Session, topic: Topic) -> None:
    with pytest.raises(IllegalStateError, match="client id"):
        session.create_durable_consumer(topic, "sub")
    for name in ("", None):
        assert isinstance(outcome(lambda n=name: session.create_shared_consumer(topic, n)), InvalidDestinationError)  # type: ignore[misc]


def test_only_topics_that_stay_have_subscriptions(named: Connection, queue: Queue) -> None:
    session = named.create_session()
    for destination in (queue, session.create_temporary_topic(), Topic("a::b"), None):
        for create in (session.create_durable_consumer, session.create_shared_durable_consumer):
            error = outcome(lambda to=destination, make=create: make(to, "sub"))  # type: ignore[misc]
            assert isinstance(error, InvalidDestinationError), destination


def test_a_second_active_consumer_is_refused(named: Connection, topic: Topic) -> None:
    session = named.create_session()
    with session.create_durable_consumer(topic, "sub"), pytest.raises(IllegalStateError, match="has a consumer"):
        session.create_durable_consumer(topic, "sub")
    session.create_durable_consumer(topic, "sub").close()


@pytest.mark.parametrize("active", [True, False], ids=["active", "inactive"])
@pytest.mark.parametrize("first", ["unshared", "shared"])
def test_shared_and_unshared_durable_subscriptions_do_not_join(
    factory: ActiveMQConnectionFactory, client_id: str, topic: Topic, first: str, active: bool
) -> None:
    with factory.create_connection(client_id=client_id) as named:
        session = named.create_session()
        makers = [session.create_durable_consumer, session.create_shared_durable_consumer]
        make, other = makers if first == "unshared" else makers[::-1]
        consumer = make(topic, "sub")
        if not active:
            consumer.close()
        fill(named, topic, "kept")
        for selector in (None, "n = 1"):  # a changed one does not replace what is of the other kind
            with pytest.raises(
                IllegalStateError, match=f"{'an unshared' if first == 'unshared' else 'a shared'} durable"
            ):
                other(topic, "sub", selector)
        assert rest(consumer if active else make(topic, "sub")) == ["kept"]
    with factory.create_connection(client_id=client_id) as later:
        session = later.create_session()
        makers = [session.create_durable_consumer, session.create_shared_durable_consumer]
        make, other = makers if first == "unshared" else makers[::-1]
        assert isinstance(outcome(lambda: other(topic, "sub")), IllegalStateError)
        make(topic, "sub").close()
        session.unsubscribe("sub")
        other(topic, "sub").close()
        session.unsubscribe("sub")


def test_shared_durable_consumers_still_join_and_others_have_names_of_their_own(
    named: Connection, topic: Topic
) -> None:
    session = named.create_session()
    consumers = [
        session.create_shared_durable_consumer(topic, "sub"),
        session.create_shared_durable_consumer(topic, "sub"),
        session.create_shared_consumer(topic, "sub"),
        session.create_durable_consumer(topic, "other"),
        session.create_shared_consumer(topic, "other"),
    ]
    fill(named, topic, *"ab")
    received = [rest(consumer) for consumer in consumers]
    assert {*received[0], *received[1]} == {"a", "b"}
    assert len(received[0]) + len(received[1]) == 2
    assert received[2:] == [["a", "b"]] * 3
    for consumer in consumers:
        consumer.close()
    session.unsubscribe("sub")
    session.unsubscribe("other")


def test_a_queue_that_is_no_subscription_is_not_replaced_by_one(
    named: Connection, client_id: str, queue: Queue, topic: Topic
) -> None:
    session = named.create_session()
    precious = Queue(f"{queue.name}::{client_id}.sub")
    fill(named, precious, "precious")
    for create in (session.create_durable_consumer, session.create_shared_durable_consumer):
        with pytest.raises(IllegalStateError, match="no topic's subscription"):
            create(Topic(f"{topic.name}.news"), "sub")
    assert rest(session.create_consumer(precious)) == ["precious"]


def test_a_durable_subscription_does_not_join_one_that_is_not_durable(
    factory: ActiveMQConnectionFactory, other: Connection, topic: Topic
) -> None:
    """Both are called nonDurable.sub: one by its client id, one by its kind."""
    with factory.create_connection(client_id="nonDurable") as named:
        session = named.create_session()
        with other.create_session().create_shared_consumer(topic, "sub"):
            for create in (session.create_durable_consumer, session.create_shared_durable_consumer):
                with pytest.raises(IllegalStateError, match="is not durable"):
                    create(topic, "sub")
        session.create_durable_consumer(topic, "sub").close()
        with pytest.raises(IllegalStateError, match="a durable subscription"):
            other.create_session().create_shared_consumer(topic, "sub")
        session.unsubscribe("sub")


@pytest.mark.parametrize("change", ["selector", "no selector", "no_local", "topic"])
def test_a_changed_subscription_begins_anew(named: Connection, topic: Topic, change: str) -> None:
    session = named.create_session()
    before = "n = 1" if change == "no selector" else None
    session.create_durable_consumer(topic, "sub", before).close()
    fill(named, topic, "old", properties={"n": 1})
    to = Topic(f"{topic.name}.another") if change == "topic" else topic
    after = "n = 1" if change == "selector" else None
    with session.create_durable_consumer(to, "sub", after, no_local=change == "no_local") as consumer:
        assert rest(consumer) == []
        fill(named, to, "new", properties={"n": 1})
        assert rest(consumer) == ([] if change == "no_local" else ["new"])
    session.unsubscribe("sub")


def test_the_same_selector_and_no_local_keep_the_backlog(
    factory: ActiveMQConnectionFactory, client_id: str, other: Connection, topic: Topic
) -> None:
    for turn in range(2):
        with factory.create_connection(client_id=client_id) as connection:
            session = connection.create_session()
            with session.create_durable_consumer(topic, "sub", "n > 0", no_local=True) as consumer:
                assert rest(consumer) == ["theirs"] * turn
            fill(connection, topic, "own", properties={"n": 1})
            fill(other, topic, "theirs", properties={"n": 1})
    with factory.create_connection(client_id=client_id) as connection:
        connection.create_session().unsubscribe("sub")


def test_a_subscription_that_must_not_be_replaced_is_kept(named: Connection, topic: Topic) -> None:
    session = named.create_session()
    session.create_durable_consumer(topic, "sub").close()
    fill(named, topic, "kept")
    with pytest.raises(IllegalStateError, match="must not be replaced"):
        session.create_durable_consumer(topic, "sub", "n = 1", replace=False)
    with session.create_durable_consumer(topic, "sub", replace=False) as consumer:
        assert rest(consumer) == ["kept"]
    session.create_shared_durable_consumer(topic, "shared").close()
    with pytest.raises(IllegalStateError, match="must not be replaced"):
        session.create_shared_durable_consumer(topic, "shared", "n = 1", replace=False)
    session.unsubscribe("shared")
    session.unsubscribe("sub")


def test_unsubscribing_is_refused_while_somebody_consumes_and_when_there_is_nothing(
    named: Connection, topic: Topic
) -> None:
    session = named.create_session()
    with session.create_durable_consumer(topic, "sub"), pytest.raises(IllegalStateError, match="consumers"):
        session.unsubscribe("sub")
    session.unsubscribe("sub")
    with pytest.raises(InvalidDestinationError, match="no durable subscription"):
        session.unsubscribe("sub")


def test_a_wrong_selector_leaves_no_subscription_behind(named: Connection, topic: Topic) -> None:
    session = named.create_session()
    for create in (session.create_durable_consumer, session.create_shared_consumer):
        with pytest.raises(InvalidSelectorError):
            create(topic, "sub", "n = = 1")
    with pytest.raises(InvalidSelectorError):
        session.create_consumer(topic, "n = = 1")
    assert names_of(named, topic.name) == []


def test_every_subscriber_has_its_own_copy(named: Connection, topic: Topic) -> None:
    session = named.create_session()
    consumers = [
        session.create_durable_consumer(topic, "one"),
        session.create_durable_consumer(topic, "two", "n = 2"),
        session.create_consumer(topic),
    ]
    fill(named, topic, "x", properties={"n": 1})
    assert [rest(consumer) for consumer in consumers] == [["x"], [], ["x"]]
    for consumer in consumers:
        consumer.close()
    session.unsubscribe("one")
    session.unsubscribe("two")
    assert names_of(named, topic.name) == []


def test_what_a_transacted_session_did_not_commit_comes_again(named: Connection, topic: Topic) -> None:
    with named.create_session(transacted=True) as session:
        consumer = session.create_durable_consumer(topic, "sub")
        fill(named, topic, "a", "b")
        assert texts(consumer, 1) == ["a"]
        session.commit()
        assert texts(consumer, 1) == ["b"]
    with named.create_session() as session:
        with session.create_durable_consumer(topic, "sub") as consumer:
            message = consumer.receive(SOON)
            assert text_of(message) == "b"
        session.unsubscribe("sub")


def test_attributes_behind_the_name_of_a_topic_make_its_subscription(named: Connection, topic: Topic) -> None:
    session = named.create_session()
    wanted = Topic(f"{topic.name}?ring-size=2&filter-string=n%3D1")
    for _ in range(2):  # the same again changes nothing
        session.create_durable_consumer(wanted, "sub").close()
        fill(named, topic, *"abc", properties={"n": 1})
        fill(named, topic, "x", properties={"n": 2})
    with session.create_durable_consumer(wanted, "sub") as consumer:
        assert rest(consumer) == ["b", "c"]
    session.unsubscribe("sub")


# --- shared -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [False, True])
def test_consumers_of_a_shared_subscription_take_turns(
    connection: Connection, other: Connection, topic: Topic, durable: bool
) -> None:
    sessions = [connection.create_session(), other.create_session()]
    consumers = [
        session.create_shared_durable_consumer(topic, "sub")
        if durable
        else session.create_shared_consumer(topic, "sub")
        for session in sessions
    ]
    credited(*sessions)
    fill(connection, topic, *(str(n) for n in range(10)))
    got = [rest(consumer) for consumer in consumers]
    assert sorted(str(text) for texts in got for text in texts) == [str(n) for n in range(10)]
    assert all(got)
    for consumer in consumers:
        consumer.close()
    eventually(lambda: bool(names_of(connection, topic.name)) == durable, "the subscription's end")
    if durable:
        sessions[0].unsubscribe("sub")


def test_shared_subscriptions_work_without_a_client_id_and_are_apart_with_one(
    connection: Connection, named: Connection, topic: Topic
) -> None:
    free, own = connection.create_session(), named.create_session()
    free.create_shared_durable_consumer(topic, "sub").close()
    own.create_shared_durable_consumer(topic, "sub").close()
    assert len(names_of(connection, topic.name)) == 2
    free.unsubscribe("sub")
    with pytest.raises(InvalidDestinationError):
        free.unsubscribe("sub")
    own.unsubscribe("sub")
    assert names_of(connection, topic.name) == []


def test_a_shared_and_a_shared_durable_subscription_of_one_name_are_two(connection: Connection, topic: Topic) -> None:
    session = connection.create_session()
    one, two = session.create_shared_consumer(topic, "sub"), session.create_shared_durable_consumer(topic, "sub")
    fill(connection, topic, "x")
    assert [rest(one), rest(two)] == [["x"], ["x"]]
    one.close()
    two.close()
    session.unsubscribe("sub")


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("what", ["selector", "topic"])
def test_another_selector_or_topic_is_refused_while_somebody_consumes(
    connection: Connection, other: Connection, topic: Topic, durable: bool, what: str
) -> None:
    def create(session: Session, to: Topic, selector: str | None) -> None:
        make = session.create_shared_durable_consumer if durable else session.create_shared_consumer
        make(to, "sub", selector)

    first = connection.create_session()
    create(first, topic, None)
    to = Topic(f"{topic.name}.another") if what == "topic" else topic
    with pytest.raises(IllegalStateError, match="has consumers"):
        create(other.create_session(), to, "n = 1" if what == "selector" else None)
    first.close()
    second = other.create_session()
    create(second, to, "n = 1")
    second.close()
    if durable:
        other.create_session().unsubscribe("sub")


def test_a_non_durable_shared_subscription_ends_with_its_last_consumer(
    connection: Connection, other: Connection, topic: Topic
) -> None:
    one = connection.create_session().create_shared_consumer(topic, "sub")
    two = other.create_session().create_shared_consumer(topic, "sub")
    one.close()
    fill(connection, topic, "x")
    assert texts(two, 1) == ["x"]
    two.close()
    eventually(lambda: names_of(connection, topic.name) == [], "the subscription's end")


# --- without a name, and over cuts ------------------------------------------------------------------------------------


def test_a_plain_subscription_begins_with_its_consumer_and_ends_with_it(connection: Connection, topic: Topic) -> None:
    session = connection.create_session()
    fill(connection, topic, "before")
    with session.create_consumer(topic) as consumer:
        fill(connection, topic, "during")
        assert rest(consumer) == ["during"]
    assert names_of(connection, topic.name) == []


def test_wildcards_subscribe_to_many_topics(connection: Connection, topic: Topic) -> None:
    session = connection.create_session()
    with session.create_consumer(Topic(f"{topic.name}.*.price")) as consumer:
        for part in ("a.price", "b.price", "b.size", "b.c.price"):
            fill(connection, Topic(f"{topic.name}.{part}"), part)
        assert sorted(rest(consumer)) == ["a.price", "b.price"]  # type: ignore[type-var]


def test_no_local_lets_pass_what_carries_no_mark(connection: Connection, topic: Topic) -> None:
    session = connection.create_session()
    consumer = session.create_consumer(topic, no_local=True)
    with connection.factory.create_session() as core:
        message = core.create_message(body=b"bare")
        core.create_producer(topic.address).send(message)
    fill(connection, topic, "own")
    got = consumer.receive(SOON)
    assert got is not None
    assert got.body == b"bare"
    assert consumer.receive(0) is None


@pytest.mark.parametrize("kind", ["durable", "shared", "shared durable", "plain"])
def test_a_subscription_outlives_the_loss_of_its_session(
    cutter: Cutter, other: Connection, client_id: str, topic: Topic, kind: str
) -> None:
    told: list[ConnectionFailure] = []
    factory = ActiveMQConnectionFactory(cutter.url() + RECREATING)
    with factory.create_connection(client_id=client_id) as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        consumer = {
            "durable": lambda: session.create_durable_consumer(topic, "sub", "n = 1"),
            "shared": lambda: session.create_shared_consumer(topic, "sub", "n = 1"),
            "shared durable": lambda: session.create_shared_durable_consumer(topic, "sub", "n = 1"),
            "plain": lambda: session.create_consumer(topic, "n = 1"),
        }[kind]()
        fill(other, topic, "before", properties={"n": 1})
        assert texts(consumer, 1) == ["before"]
        cutter.cut_now()
        eventually(lambda: len(told) == 1, "the end of the outage")
        assert told[0].recovery is Recovery.RECREATED
        fill(other, topic, "unwanted", properties={"n": 2})
        fill(other, topic, "after", properties={"n": 1})
        assert texts(consumer, 1) == ["after"]
        consumer.close()
        if "durable" in kind:
            left(other, names_of(other, topic.name)[0], 0)
            session.unsubscribe("sub")
        eventually(lambda: names_of(other, topic.name) == [], "the subscription's end")
