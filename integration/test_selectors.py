"""Selectors here and on real brokers: the same texts are refused, the same messages match.

Law of this file: the broker is asked directly, past our own check; what it says is held against what the evaluator says
of the same messages. Where the two differ on purpose, a test says so, and so does docs/selectors.md.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

import pytest

from activeclient import Connection, DeliveryMode, Queue, TextMessage, connect
from activeclient.client.session import ClientSession
from activeclient.errors import InvalidSelectorError
from activeclient.selector import compile_filter, to_core
from activeclient.values import Int, PropertyValue
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker
from integration.differences import differs
from tests.selector.randomly import BAD, Selectors, broken, message

MESSAGES = 30
SELECTORS = 150
NUMBER = "number"


class Received:
    """A message as it came from the broker, for filters: its headers by the broker's names, its properties."""

    def __init__(self, message: CoreMessage) -> None:
        self.message = message
        message.load()
        self._headers: dict[str, PropertyValue] = {
            "AMQDurable": "DURABLE" if message.durable else "NON_DURABLE",
            "AMQPriority": Int(message.priority),
            "AMQTimestamp": message.timestamp,
            "AMQExpiration": message.expiration,
            "AMQUserID": None if message.user_id is None else f"ID:{uuid.UUID(bytes=message.user_id)}",
            "AMQAddress": message.address,
            "AMQGroupID": message.properties.get("_AMQ_GROUP_ID"),
        }

    def property(self, name: str) -> PropertyValue:
        """A header or property."""
        found = self._headers.get(name)
        return self.message.properties.get(name) if found is None else found


@pytest.fixture
def connection(broker_url: str) -> Iterator[Connection]:
    with connect(broker_url) as made:
        yield made


@pytest.fixture
def core(connection: Connection) -> Iterator[ClientSession]:
    with connection.factory.create_session() as session:
        yield session.start()


@pytest.fixture
def queue(core: ClientSession) -> Iterator[Queue]:
    name = f"selectors-{uuid.uuid4()}"
    core.create_queue(name, durable=False)
    yield Queue(name)
    core.delete_queue(name)


def seen(core: ClientSession, queue: Queue, filter_string: str | None) -> list[CoreMessage] | None:
    """What the broker lets through; None when it refuses the filter."""
    try:
        consumer = core.create_consumer(queue.name, filter_string, browse_only=True)
    except InvalidSelectorError:
        return None
    with consumer:
        found = []
        while (message := consumer.receive(0)) is not None:
            found.append(message)
        return found


def let_through(text: str, messages: list[Received]) -> list[int] | None:
    """The same by the evaluator here, as message ids."""
    try:
        made = compile_filter(text)
    except InvalidSelectorError:
        return None
    return [received.message.message_id for received in messages if made.matches(received)]


def check(core: ClientSession, queue: Queue, filters: list[str]) -> int:
    """Every filter, here and there; returns how many there are that let some messages through, but not all."""
    messages = [Received(message) for message in seen(core, queue, None) or ()]
    assert len(messages) == MESSAGES
    telling = 0
    for text in filters:
        there = seen(core, queue, text)
        here = let_through(text, messages)
        assert here == (None if there is None else [message.message_id for message in there]), text
        telling += here is not None and 0 < len(here) < len(messages)
    return telling


@pytest.mark.parametrize("seed", [1, 2])
def test_random_selectors_let_through_what_the_broker_does(core: ClientSession, queue: Queue, seed: int) -> None:
    rng = random.Random(seed)
    with core.create_producer(queue.name) as producer:
        for number in range(MESSAGES):
            properties = message(rng) | {NUMBER: Int(number)}
            producer.send(CoreMessage(b"", 4, durable=False, properties=properties))
    selectors = Selectors(rng)
    filters = [selectors.selector(rng.randint(0, 3)) for _ in range(SELECTORS)]
    assert check(core, queue, filters) > SELECTORS // 10
    mutants = [broken(rng, text) or "()" for text in filters]  # an empty filter is none
    check(core, queue, [*mutants, *BAD])


def test_headers_are_selected_by_the_names_of_jms(connection: Connection, core: ClientSession, queue: Queue) -> None:
    rng = random.Random(3)
    ids = []
    with connection.create_session() as session, session.create_producer(queue) as producer:
        for number in range(MESSAGES):
            properties: dict[str, object] = {NUMBER: number}
            if number % 2:
                properties["JMSXGroupID"] = rng.choice(["g", "JMSPriority"])
            made = session.create_text_message("", properties=properties)
            if number % 3:
                made.jms_type = rng.choice(["t", "PERSISTENT"])
            producer.send(
                made,
                delivery_mode=rng.choice([DeliveryMode.PERSISTENT, DeliveryMode.NON_PERSISTENT]),
                priority=rng.randrange(10),
                time_to_live=rng.choice([0, 3600]),
            )
            ids.append((made.jms_message_id, made.jms_timestamp))
    selectors = [
        "JMSPriority > 4",
        "JMSPriority IN ('4')",
        "JMSDeliveryMode = 'PERSISTENT'",
        "JMSDeliveryMode <> 'PERSISTENT' AND JMSPriority BETWEEN 2 AND 6",
        "JMSDeliveryMode NOT IN ('NON_PERSISTENT')",
        f"JMSMessageID = '{ids[7][0]}' OR JMSMessageID = '{ids[9][0]}'",
        "JMSMessageID LIKE 'ID:%' AND JMSExpiration = 0",
        f"JMSExpiration > {ids[0][1]}",
        f"JMSTimestamp >= {ids[0][1]} AND JMSTimestamp <= {ids[15][1]} AND {NUMBER} < 16",
        "JMSXGroupID = 'g'",
        "JMSXGroupID = 'JMSPriority' OR JMSXGroupID IS NULL AND JMSPriority > 5",
        "JMSType = 't'",
        "JMSType = 'PERSISTENT'",
        "JMSType IS NULL",
        "JMSReplyTo IS NULL AND JMSCorrelationID IS NULL AND JMSRedelivered IS NULL",
        '"JMSPriority" > 4 /* it\'s */ AND JMSTimestamp > 0',
        f"AMQAddress = '{queue.name}'",
        "AMQNothing IS NOT NULL",
    ]
    assert check(core, queue, [to_core(selector) for selector in selectors]) >= 9


@pytest.mark.parametrize("selector", [None, "n = 1", "hyphenated_props:n = 1 AND a-b IS NULL", "n = 1 --0"])
def test_own_messages_are_left_out_whatever_the_selector(
    connection: Connection, broker_url: str, queue: Queue, selector: str | None
) -> None:
    with connection.create_session() as session, session.create_producer(queue) as producer:
        producer.send("own", properties={"n": 1})
        with connect(broker_url) as other, other.create_session() as theirs:
            theirs.create_producer(queue).send("other's", properties={"n": 1})
        with session.create_consumer(queue, selector, no_local=True) as consumer:
            received = consumer.receive(10)
            assert isinstance(received, TextMessage)
            assert received.text == "other's"
            assert consumer.receive_no_wait() is None


def test_what_is_no_selector_is_refused_before_anything_is_sent(connection: Connection) -> None:
    with connection.create_session() as session:
        nowhere = Queue(f"selectors-{uuid.uuid4()}")
        for create in (session.create_consumer, session.create_browser):
            with pytest.raises(InvalidSelectorError) as raised:
                create(nowhere, "JMSPriority = = 4")
            assert (raised.value.code, raised.value.column) == (None, 15)
        assert not session.core.query_queue(nowhere.name).exists


@differs("bodies")
def test_queries_of_the_body_are_the_brokers(connection: Connection, queue: Queue) -> None:
    with connection.create_session() as session:
        session.create_producer(queue).send("<a><b/></a>")
        with session.create_consumer(queue, "XPATH '//b'") as consumer:
            assert consumer.receive(10) is not None
        with pytest.raises(InvalidSelectorError) as raised:
            session.create_consumer(queue, "XPATH '//'")
        assert raised.value.code == 103


# --- on purpose -------------------------------------------------------------------------------------------------------


def test_more_than_five_wildcards_are_refused_by_the_newest_broker_alone(
    artemis: Broker, core: ClientSession, queue: Queue
) -> None:
    text = "a LIKE '%b%c%d%e%f%g'"
    assert let_through(text, []) == []
    assert (seen(core, queue, text) is None) is (artemis.generation == "2.57")


@differs("selectors")
def test_a_doubled_escape_character_beyond_latin_1_means_itself_here_alone(core: ClientSession, queue: Queue) -> None:
    with core.create_producer(queue.name) as producer:
        producer.send(CoreMessage(b"", 4, durable=False, properties={"a": "\N{EURO SIGN}"}))
    text = "a LIKE '\N{EURO SIGN}\N{EURO SIGN}' ESCAPE '\N{EURO SIGN}'"
    [message] = seen(core, queue, None) or []
    assert let_through(text, [Received(message)]) == [message.message_id]
    assert seen(core, queue, text) == []


@differs("selectors")
def test_what_is_nested_deeper_than_we_go_may_still_be_the_brokers(core: ClientSession, queue: Queue) -> None:
    text = " + ".join(["a"] * 200) + " = 1"
    assert let_through(text, []) is None
    assert seen(core, queue, text) == []
