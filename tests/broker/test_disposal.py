"""Where dead and expired messages go by default, and what is said of those that are dropped."""

from __future__ import annotations

import logging

import pytest

from activeclient import EmbeddedBroker, Queue, connect
from activeclient.broker.configuration import AddressSettings, BrokerConfiguration, FullPolicy
from activeclient.broker.disposal import LINES, PERIOD, PLACES, SHARE
from activeclient.broker.postoffice import RoutingResult
from activeclient.destination import ANYCAST, MULTICAST
from tests.broker.office import Office, message


class Warned(Office):
    """An office whose warnings are kept."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.warnings: list[str] = []
        self.post.disposal._warn = self.warnings.append


def kill(office: Office, *bodies: str, queue: str = "q", **options: object) -> None:
    """Send messages, and use up their attempts."""
    if office.post.find(queue) is None:
        office.queue(queue)
    office.send(*bodies, address=queue, **options)
    taker = office.consume(queue)
    while taker.held:
        taker.give_back()
        office.post.find(queue).deliver(taker)
    taker.close()


@pytest.mark.parametrize("address", ["DLQ", "dead"])
def test_the_queue_of_the_dead_letters_is_made_when_the_first_one_comes(address):
    office = Warned() if address == "DLQ" else Warned(settings=AddressSettings(dead_letter_address=address))
    assert office.post.find(address) is None
    kill(office, "a", "b")
    assert office.waiting(address) == ["a", "b"]
    queue = office.post.find(address)
    assert (queue.routing_type, queue.durable, queue.configuration.auto_created) == (ANYCAST, True, True)
    assert office.warnings == []


def test_the_queue_of_expired_messages_too():
    office = Warned()
    office.queue()
    office.send("a", expiration=office.clock.wall_ms() + 10)
    office.advance(60)
    assert office.waiting("ExpiryQueue") == ["a"]
    assert office.warnings == []


def test_a_dead_letter_survives_the_broker():
    office = Warned()
    kill(office, "a")
    office.restart()
    assert office.waiting("DLQ") == ["a"]


def test_a_queue_may_be_named_and_one_that_is_there_is_used():
    office = Warned(settings=AddressSettings(dead_letter_address="dead::letters"))
    kill(office, "a")
    assert office.waiting("letters") == ["a"]
    assert office.post.find("letters").address == "dead"
    office = Warned()
    office.queue("graveyard", MULTICAST, address="DLQ")
    kill(office, "a")
    assert office.waiting("graveyard") == ["a"]
    assert office.post.find("DLQ") is None


def test_an_address_for_topics_keeps_its_kind():
    office = Warned()
    office.post.create_address("DLQ", [MULTICAST])
    kill(office, "a")
    assert office.waiting("DLQ") == ["a"]
    assert office.post.find("DLQ").routing_type == MULTICAST


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"#": AddressSettings(dead_letter_address=None)}, "its address has no dead_letter_address"),
        ({"DLQ": AddressSettings(auto_create_queues=False)}, "dead_letter_address 'DLQ' has no queue that takes it"),
        ({"DLQ": AddressSettings(auto_create_addresses=False)}, "dead_letter_address 'DLQ' has no queue that takes it"),
    ],
)
def test_a_dropped_message_is_warned_of(settings, why):
    office = Warned(settings=settings)
    kill(office, "a")
    (line,) = office.warnings
    assert line.startswith("queue 'q': message ")
    assert line.endswith(f"was dropped (after 10 deliveries): {why}")
    assert office.post.addresses.memory.size == 0


def test_a_dead_letter_that_no_filter_lets_through_is_warned_of():
    office = Warned()
    office.queue("DLQ", filter_string="colour = 'red'")
    kill(office, "a")
    kill(office, "b", colour="red")
    assert office.waiting("DLQ") == ["b"]
    assert len(office.warnings) == 1


def test_the_name_of_another_queue_is_warned_of():
    office = Warned()
    office.queue("DLQ", address="elsewhere")
    kill(office, "a")
    assert len(office.warnings) == 1


def test_an_expired_message_without_an_address_is_warned_of():
    office = Warned(settings=AddressSettings(expiry_address=None))
    office.queue()
    office.send("a", expiration=office.clock.wall_ms() + 10)
    office.advance(60)
    (line,) = office.warnings
    assert "was dropped (expired): its address has no expiry_address" in line


def test_a_message_for_a_full_address_that_drops_is_warned_of():
    office = Warned(settings=AddressSettings(max_size_messages=1, address_full_policy=FullPolicy.DROP))
    office.queue()
    office.send("a")
    assert office.post.route(message("b")) is RoutingResult.DROPPED
    (line,) = office.warnings
    assert line.startswith("address 'q': message ")
    assert line.endswith("was dropped: the address is full")


def test_many_dropped_messages_are_few_lines_and_their_number():
    office = Warned(settings=AddressSettings(dead_letter_address=None, max_delivery_attempts=1))
    kill(office, *map(str, range(1000)))
    assert len(office.warnings) == LINES
    office.advance(PERIOD)
    assert office.warnings[LINES:] == [f"queue 'q': {1000 - LINES} more messages were dropped within 60 s"]
    office.advance(PERIOD)
    assert len(office.warnings) == LINES + 1
    kill(office, "later")
    assert len(office.warnings) == LINES + 2
    for number in range(300):
        kill(office, *map(str, range(LINES + 1)), queue=f"q{number}")
    office.advance(PERIOD)
    said = office.warnings[LINES + 2 :]
    assert len(said) == (PLACES - 1) * (LINES + 1) + 1, "beside those of q"
    assert said[-1].startswith(f"other queues and addresses: {(300 - PLACES + 1) * (LINES + 1)} more messages")


def test_dead_letters_leave_room_for_the_living():
    limit = 100_000
    office = Warned(settings=AddressSettings(max_delivery_attempts=1), global_max_size=limit)
    for _ in range(20):
        kill(office, *["x" * 1000] * 10)
    assert 0.8 * limit / SHARE < office.post.addresses.memory.size <= limit / SHARE
    assert "the messages of dead_letter_address 'DLQ' take their part of the memory" in office.warnings[0]
    office.queue("other")
    assert office.post.route(message("y", "other")) is RoutingResult.ROUTED


def test_the_bounds_of_the_dead_letters_own_address_count():
    settings = {"#": AddressSettings(max_delivery_attempts=1), "DLQ": AddressSettings(max_size_messages=3)}
    office = Warned(settings=settings)
    kill(office, *"abcde")
    assert office.waiting("DLQ") == ["a", "b", "c"]
    assert len(office.warnings) == 2


def test_the_embedded_broker_logs_what_it_drops(caplog):
    settings = {"#": AddressSettings(dead_letter_address=None, max_delivery_attempts=2)}
    with (
        caplog.at_level(logging.WARNING, "activeclient.broker"),
        EmbeddedBroker(configuration=BrokerConfiguration(settings=settings)) as broker,
        connect(broker.url) as connection,
        connection.create_session(transacted=True) as session,
    ):
        session.create_producer(Queue("orders")).send("poison")
        session.commit()
        consumer = session.create_consumer(Queue("orders"))
        for _ in range(2):
            assert consumer.receive(5) is not None
            session.rollback()
        assert consumer.receive(0) is None
        assert broker.message_count("orders") == 0
    (record,) = [record for record in caplog.records if record.name == "activeclient.broker"]
    assert record.levelname == "WARNING"
    assert f"{broker.name}: queue 'orders': message " in record.getMessage()
    assert "poison" not in record.getMessage()
