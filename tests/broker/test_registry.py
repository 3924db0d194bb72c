from __future__ import annotations

import pytest

from activeclient.broker.configuration import AddressSettings, QueueConfiguration
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import (
    ConfigError,
    IllegalStateError,
    InvalidDestinationError,
    InvalidSelectorError,
    JMSError,
)
from tests.broker.office import Office


@pytest.fixture
def office() -> Office:
    return Office()


def code(kind: type[JMSError], call, *arguments: object, **options: object) -> int | None:
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    return caught.value.code


def test_a_queue_makes_its_address_with_its_routing_type(office):
    office.queue("q", ANYCAST, address="a")
    info = office.post.query_address("a")
    assert (info.exists, info.routing_types, info.queue_names) == (True, {ANYCAST}, ("q",))
    office.queue("t", MULTICAST, address="a")
    assert office.post.query_address("a::t").routing_types == {ANYCAST, MULTICAST}


def test_without_a_routing_type_a_queue_takes_that_of_its_address_or_multicast(office):
    office.post.create_address("a", [ANYCAST])
    assert office.queue("one", None, address="a").routing_type == ANYCAST
    assert office.queue("two", None).routing_type == MULTICAST


def test_where_nothing_is_made_automatically_address_and_routing_type_have_to_be_there():
    office = Office(settings=AddressSettings(auto_create_addresses=False))
    assert code(InvalidDestinationError, office.queue) == 106
    office.post.create_address("q", [MULTICAST])
    assert code(JMSError, office.queue) == 215
    assert office.post.find("q") is None
    office.queue("q", MULTICAST)


def test_names_are_taken_once(office):
    office.queue()
    assert code(JMSError, office.queue) == 101
    assert code(JMSError, office.queue, "q", MULTICAST, address="other") == 101
    found = office.post.create_queue(QueueConfiguration(name="q"), ignore_if_exists=True)
    assert found is office.post.find("q")
    assert code(JMSError, office.post.create_address, "q", [ANYCAST]) == 107
    office.post.create_address("q", [MULTICAST], ignore_if_exists=True)
    assert office.post.query_address("q").routing_types == {ANYCAST, MULTICAST}


def test_a_filter_that_cannot_be_read_makes_no_queue(office):
    assert code(InvalidSelectorError, office.queue, filter_string="nonsense") == 103
    assert office.post.query_address("q").exists is False


def test_a_queue_with_consumers_is_only_deleted_without_regard_for_them(office):
    queue = office.queue()
    office.send("a", "b")
    taker = office.consume(room=1)
    assert code(IllegalStateError, office.post.delete_queue, "q") == 104
    office.post.delete_queue("q", check_consumers=False)
    assert (taker.gone, queue.deleted, office.post.find("q")) == (True, True, None)
    taker.acknowledge()
    assert office.post.addresses.memory.size == 0
    assert code(InvalidDestinationError, office.post.delete_queue, "q") == 100


def test_what_a_deleted_queue_had_delivered_can_be_given_back_and_is_dropped(office):
    office.queue()
    office.send("a")
    taker = office.consume()
    tx = office.post.begin()
    tx.acknowledge(taker.held[0])
    office.post.delete_queue("q", check_consumers=False)
    tx.rollback()
    assert office.post.addresses.memory.size == 0


def test_an_address_with_queues_is_only_deleted_by_force(office):
    office.queue()
    assert code(JMSError, office.post.delete_address, "q") == 217
    office.post.delete_address("q", force=True)
    assert (office.post.find("q"), office.post.query_address("q").exists) == (None, False)
    assert code(InvalidDestinationError, office.post.delete_address, "q") == 106


def test_temporary_queues_go_with_their_owner(office):
    owner, other = object(), object()
    for name, whose in (("one", owner), ("two", owner), ("three", other)):
        configuration = QueueConfiguration(name=name, routing_type=ANYCAST, durable=False, temporary=True)
        office.post.create_queue(configuration, owner=whose)
    taker = office.consume("one")
    office.post.delete_queue("two")
    office.post.delete_temporary(owner)
    office.post.delete_temporary(owner)
    assert taker.gone
    assert [info.exists for info in map(office.post.query_queue, ("one", "two", "three"))] == [False, False, True]
    assert office.post.query_address("one").exists is False


def test_a_shared_subscription_is_made_once_and_has_to_be_the_same(office):
    configuration = QueueConfiguration(name="s", address="t", routing_type=MULTICAST, filter_string="a = 1")
    made = office.post.create_shared_queue(configuration)
    assert office.post.create_shared_queue(configuration) is made
    others = (
        QueueConfiguration(name="s", address="u", filter_string="a = 1"),
        QueueConfiguration(name="s", address="t", filter_string="a = 2"),
        QueueConfiguration(name="s", address="t", filter_string="a = 1", durable=False),
    )
    for other in others:
        assert code(JMSError, office.post.create_shared_queue, other) == 118


def test_a_shared_subscription_that_is_not_durable_goes_with_its_last_consumer(office):
    configuration = QueueConfiguration(name="s", address="t", routing_type=MULTICAST, durable=False, transient=True)
    office.post.create_shared_queue(configuration)
    one, two = office.consume("s"), office.consume("s")
    one.close()
    assert office.post.find("s")
    two.close()
    assert office.post.find("s") is None


def test_queues_are_described(office):
    office.queue("q", ANYCAST, address="a", filter_string="x = 1", max_consumers=3)
    office.send("m", address="a", x=1)
    office.consume("q")
    info = office.post.query_queue("a::q")
    assert (info.exists, info.name, info.address) == (True, "q", "a")
    assert (info.consumer_count, info.message_count) == (1, 1)
    assert info.configuration.filter_string == "x = 1"
    assert (info.configuration.max_consumers, info.configuration.exclusive) == (3, False)


def test_a_queue_that_does_not_exist_is_described_as_it_would_be(office):
    info = office.post.query_queue("a::q")
    assert (info.exists, info.name, info.address, info.auto_create_queues) == (False, "q", "a", True)
    assert info.settings.default_consumer_window_size == 1024 * 1024
    office.queue("q", address="b")


def test_a_query_finds_a_queue_behind_the_name_of_another_address_and_tells_its_own(office):
    office.queue("q", address="b")
    info = office.post.query_queue("a::q")
    assert (info.exists, info.name, info.address) == (True, "q", "b")


def test_the_management_address_exists_without_having_been_made(office):
    assert office.post.query_address("activemq.management").exists


def test_settings_give_what_a_queue_leaves_open():
    office = Office(
        settings={
            "#": AddressSettings(default_exclusive_queue=True),
            "shop.#": AddressSettings(default_last_value_queue=True, default_max_consumers=2),
            "shop.*": AddressSettings(default_max_consumers=3),
            "shop.x": AddressSettings(default_max_consumers=4),
        }
    )
    assert office.queue("other").configuration.exclusive is True
    assert office.queue("shop.a.b").configuration.max_consumers == 2
    assert office.queue("shop.a").configuration.max_consumers == 3
    assert office.queue("shop.x").configuration.max_consumers == 4
    assert office.queue("shop.y", max_consumers=9).configuration.max_consumers == 9
    assert office.post.find("shop.x").configuration.last_value is False


def test_what_was_made_automatically_and_is_not_used_goes_at_the_second_look(office):
    office.queue("used", auto_created=True)
    office.queue("filled", auto_created=True)
    office.queue("unused", auto_created=True)
    office.queue("wanted")
    office.consume("used")
    office.send("a", address="filled")
    office.advance(59)
    assert office.post.find("unused")
    office.advance(1)
    assert office.post.find("unused") is None
    assert all(office.post.find(name) for name in ("used", "filled", "wanted"))
    assert office.post.query_address("unused").exists
    office.advance(60)
    assert office.post.query_address("unused").exists is False
    assert office.post.query_address("wanted").exists


def test_use_between_two_looks_keeps_a_queue(office):
    office.queue(auto_created=True)
    office.advance(45)
    office.consume().close()
    office.advance(20)
    assert office.post.find("q")
    office.advance(30)
    assert office.post.find("q") is None


def test_a_queue_may_be_kept_for_a_time_or_for_good():
    office = Office(settings=AddressSettings(auto_delete_queues_delay=100_000))
    office.queue(auto_created=True)
    office.queue("kept", auto_created=True, auto_delete=False)
    office.advance(125)
    assert office.post.find("q")
    office.advance(40)
    assert office.post.find("q") is None
    assert office.post.find("kept")


def test_a_deleted_address_forgets_its_duplicate_ids(office):
    office.queue()
    office.send("a", _AMQ_DUPL_ID=b"1")
    office.post.delete_address("q", force=True)
    office.queue()
    office.send("b", _AMQ_DUPL_ID=b"1")
    assert office.waiting() == ["b"]


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"max_delivery_attempts": -2}, "max_delivery_attempts"),
        ({"redelivery_delay": -1}, "redelivery_delay"),
        ({"id_cache_size": -1}, "id_cache_size"),
        ({"address_full_policy": "PAGE"}, "address_full_policy"),
    ],
)
def test_wrong_settings_are_named(options, key):
    with pytest.raises(ConfigError) as caught:
        AddressSettings(**options)
    assert caught.value.key == key


def test_a_queue_has_a_name_and_numbers_in_their_range():
    with pytest.raises(ConfigError, match="needs a name"):
        QueueConfiguration(name="")
    with pytest.raises(ConfigError, match="ring_size=-2"):
        QueueConfiguration(name="q", ring_size=-2)
