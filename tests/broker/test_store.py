from __future__ import annotations

import pytest

from activeclient.broker.configuration import AddressSettings
from activeclient.broker.store import MemoryStore
from activeclient.destination import ANYCAST, MULTICAST
from tests.broker.office import START_MS, Office, message


@pytest.fixture
def office() -> Office:
    return Office()


def test_after_a_restart_durable_messages_are_in_durable_queues_and_no_others(office):
    office.queue("kept")
    office.queue("lost", durable=False)
    for name in ("kept", "lost"):
        office.send("durable", address=name)
        office.send("not durable", address=name, durable=False)
    office.restart()
    assert office.waiting("kept") == ["durable"]
    assert office.post.find("lost") is None
    assert office.post.query_address("lost").exists


def test_order_priorities_and_delivery_counts_survive(office):
    office.queue()
    office.send("a", "b")
    office.send("c", priority=9)
    taker = office.consume(room=2)
    taker.give_back()
    office.restart()
    assert office.waiting() == ["c", "a", "b"]
    assert office.consume().taken == [(b"c", 2), (b"a", 2), (b"b", 1)]


def test_what_was_acknowledged_is_gone_and_what_was_delivered_is_not(office):
    office.queue()
    office.send("a", "b", "c")
    taker = office.consume(room=2)
    taker.acknowledge(1)
    office.restart()
    assert office.waiting() == ["b", "c"]


def test_each_subscription_keeps_its_own(office):
    office.queue("one", MULTICAST, address="t")
    office.queue("two", MULTICAST, address="t", filter_string="x = 1")
    office.post.route(message("a", "t", x=1))
    office.consume("one").acknowledge()
    office.restart()
    assert (office.waiting("one"), office.waiting("two")) == ([], ["a"])
    office.send("b", address="t")
    assert (office.waiting("one"), office.waiting("two")) == (["b"], ["a"])
    office.consume("two").acknowledge()
    office.consume("one").acknowledge()
    assert office.post.addresses.memory.size == 0


def test_new_messages_have_new_ids(office):
    office.queue()
    office.send("a")
    first = next(office.post.find("q").browse()).message.id
    office.restart()
    office.send("b")
    assert [ref.message.id > first for ref in office.post.find("q").browse()] == [False, True]


def test_a_schedule_survives_that_of_a_redelivery_too():
    office = Office(settings=AddressSettings(redelivery_delay=5000))
    office.queue()
    office.send("later", _AMQ_SCHED_DELIVERY=START_MS + 3000)
    office.send("again")
    office.consume(room=1).give_back()
    office.restart()
    assert office.waiting() == []
    assert office.post.find("q").message_count == 2
    office.advance(3)
    assert office.waiting() == ["later"]
    office.advance(2)
    assert office.waiting() == ["later", "again"]


def test_duplicate_ids_survive(office):
    office.queue()
    office.send("a", _AMQ_DUPL_ID=b"1")
    office.consume().acknowledge()
    office.restart()
    office.send("b", _AMQ_DUPL_ID=b"1")
    assert office.waiting() == []


def test_duplicate_ids_that_somebody_cleared_do_not_come_back(office):
    office.queue()
    office.send("a", _AMQ_DUPL_ID=b"1")
    office.post.management.invoke("address.q", "clearDuplicateIdCache")
    office.restart()
    office.send("b", _AMQ_DUPL_ID=b"1")
    assert office.waiting() == ["a", "b"]


def test_addresses_queues_and_their_attributes_survive_and_so_does_their_deletion(office):
    office.post.create_address("empty", [ANYCAST, MULTICAST])
    queue = office.queue("q", ANYCAST, address="a", last_value=True, max_consumers=4)
    office.queue("gone")
    office.send("x", address="gone")
    office.post.delete_queue("gone")
    office.restart()
    assert office.post.query_address("empty").routing_types == {ANYCAST, MULTICAST}
    assert office.post.find("q").configuration == queue.configuration
    assert office.post.find("gone") is None
    office.queue("gone")
    assert office.waiting("gone") == []


def test_a_dead_letter_is_in_one_place_only():
    office = Office(settings=AddressSettings(dead_letter_address="DLQ", max_delivery_attempts=1))
    office.queue()
    office.queue("DLQ")
    office.send("a")
    office.consume(room=1).give_back()
    office.restart()
    assert (office.waiting(), office.waiting("DLQ")) == ([], ["a"])


def test_a_last_value_queue_keeps_its_values(office):
    office.queue(last_value=True)
    for body in ("a1", "b1", "a2"):
        office.send(body, _AMQ_LVQ_NAME=body[0])
    office.restart()
    assert sorted(office.waiting()) == ["a2", "b1"]
    office.send("a3", _AMQ_LVQ_NAME="a")
    assert sorted(office.waiting()) == ["a3", "b1"]


def test_what_a_store_gives_makes_the_same_store(office):
    office.queue("q", MULTICAST, address="t")
    office.queue("r", MULTICAST, address="t")
    office.send("a", "b", address="t")
    office.send("c", address="t", _AMQ_DUPL_ID=b"1")
    office.consume("q", room=2).give_back()
    office.consume("r").acknowledge(1)
    copy = MemoryStore()
    copy.append(*office.store.load())
    assert list(copy.load()) == list(office.store.load())


def test_messages_that_are_gone_leave_nothing_in_the_store(office):
    office.queue()
    before = list(office.store.load())
    office.send("a", "b")
    office.consume().acknowledge()
    assert list(office.store.load()) == before


def test_callbacks_of_a_store_that_hangs_come_in_order_when_it_is_closed():
    store = MemoryStore()
    store.hold()
    called: list[int] = []
    store.when_complete(lambda: called.append(0))
    office = Office(store)
    office.queue()
    for number in (1, 2):
        store.when_complete(lambda number=number: called.append(number))
    assert called == [0]
    store.close()
    assert called == [0, 1, 2]
