"""What does not leave a queue at once: attempts, delays, schedules, expiry."""

from __future__ import annotations

import pytest

from activeclient.broker.configuration import AddressSettings
from activeclient.wire.properties import Byte
from tests.broker.office import START_MS, Office, StandingClock


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_message_that_used_up_its_attempts_goes_to_the_dead_letters_with_its_origin():
    office = Office(settings=AddressSettings(dead_letter_address="DLQ", max_delivery_attempts=3))
    queue = office.queue()
    office.queue("DLQ")
    office.send("a", _AMQ_ROUTING_TYPE=Byte(1))
    taker = office.consume(room=1)
    for _ in range(3):
        taker.give_back()
        queue.deliver(taker)
    assert [count for _, count in taker.taken] == [1, 2, 3]
    assert (queue.message_count, queue.dead_lettered) == (0, 1)
    (ref,) = office.post.find("DLQ").browse()
    properties = ref.message.properties
    assert properties["_AMQ_ORIG_ADDRESS"] == properties["_AMQ_ORIG_QUEUE"] == "q"
    assert properties["_AMQ_ORIG_MESSAGE_ID"] == 1 + 2
    assert properties["_AMQ_ORIG_ROUTING_TYPE"] == 1
    assert (ref.delivery_count, ref.message.address, ref.message.body) == (0, "DLQ", b"a")


def test_without_a_dead_letter_address_the_message_is_dropped():
    office = Office(settings=AddressSettings(dead_letter_address=None, max_delivery_attempts=1))
    queue = office.queue()
    office.send("a")
    office.consume(room=1).give_back()
    assert queue.message_count == 0
    assert office.post.find("DLQ") is None


def test_attempts_may_be_without_end():
    office = Office(settings=AddressSettings(max_delivery_attempts=-1))
    office.queue()
    office.send("a")
    taker = office.consume(room=1)
    for _ in range(50):
        taker.give_back()
        taker.queue.deliver(taker)
    assert taker.taken[-1] == (b"a", 51)


def test_redelivery_waits_longer_each_time_up_to_a_bound():
    settings = AddressSettings(redelivery_delay=100, redelivery_delay_multiplier=2.0, max_redelivery_delay=300)
    office = Office(settings=settings)
    queue = office.queue()
    office.send("a", "b")
    taker = office.consume(room=1)
    for delay in (0.1, 0.2, 0.3, 0.3):
        held, taker.held = taker.held, []
        queue.cancel(held, count_delivery=True)
        before = len(taker.taken)
        office.consume(room=1).close()
        taker.room = 0
        office.advance(delay - 0.01)
        assert "a" not in office.waiting()
        office.advance(0.02)
        assert office.waiting() == ["a", "b"]
        taker.room = 1
        queue.deliver(taker)
        assert taker.taken[before][0] == b"a"


def test_a_consumer_that_closes_delays_nothing():
    office = Office(settings=AddressSettings(redelivery_delay=1000))
    office.queue()
    office.send("a")
    office.consume().close()
    assert office.waiting() == ["a"]


def test_a_scheduled_message_comes_at_its_time_before_what_came_after_it(office):
    queue = office.queue()
    office.send("later", _AMQ_SCHED_DELIVERY=START_MS + 1000)
    office.send("now")
    assert office.waiting() == ["now"]
    assert (queue.message_count, len(queue.scheduled)) == (2, 1)
    office.advance(0.999)
    assert office.waiting() == ["now"]
    office.advance(0.001)
    assert office.waiting() == ["later", "now"]


def test_what_is_due_is_handled_although_the_clock_goes_on_meanwhile(office):
    """Else the broker's thread spins, and the message waits for another timer."""

    class RunningClock(StandingClock):
        def monotonic(self) -> float:
            self.now += 1e-6
            return self.now

    office.clock = office.post.clock = RunningClock()
    office.queue()
    office.send("later", _AMQ_SCHED_DELIVERY=START_MS + 1000)
    office.clock.now += 1
    now = office.clock.monotonic()
    assert office.post.next_timeout() <= now


def test_a_late_timer_delivers_in_the_order_of_the_times(office):
    office.queue()
    taker = office.consume()
    for name, seconds in (("third", 3), ("second b", 2), ("second a", 2), ("first", 1)):
        office.send(name, _AMQ_SCHED_DELIVERY=START_MS + seconds * 1000)
    office.clock.now += 10
    office.post.handle_timeout()
    assert taker.bodies() == ["first", "second b", "second a", "third"]


def test_a_schedule_in_the_past_is_no_schedule(office):
    office.queue()
    office.send("a", _AMQ_SCHED_DELIVERY=START_MS - 1)
    assert office.waiting() == ["a"]


def test_an_expired_message_is_not_delivered_but_goes_to_the_expiry_address():
    office = Office(settings=AddressSettings(expiry_address="ExpiryQueue"))
    queue = office.queue()
    office.queue("ExpiryQueue")
    office.send("a", expiration=START_MS + 100)
    office.send("b")
    office.advance(0.2)
    assert office.consume().bodies() == ["b"]
    (ref,) = office.post.find("ExpiryQueue").browse()
    assert ref.message.expiration == 0
    assert ref.message.properties["_AMQ_ACTUAL_EXPIRY"] == START_MS + 200
    assert ref.message.properties["_AMQ_ORIG_QUEUE"] == "q"
    assert queue.expired == 1


def test_what_expires_is_found_by_the_scan_too():
    office = Office(settings=AddressSettings(expiry_address=None))
    queue = office.queue()
    office.send("a", expiration=START_MS + 100)
    office.send("b", expiration=START_MS + 100, _AMQ_SCHED_DELIVERY=START_MS + 40_000)
    office.advance(29)
    assert queue.message_count == 2
    office.advance(1)
    assert queue.message_count == 1
    office.advance(30)
    assert queue.message_count == 0
    assert office.post.addresses.memory.size == 0


def test_a_consumer_may_find_a_message_expired(office):
    queue = office.queue()
    office.send("a", expiration=START_MS + 100)
    taker = office.consume()
    queue.expire(taker.held.pop())
    assert (queue.message_count, queue.expired) == (0, 1)


def test_schedules_that_are_removed_leave_no_rubbish(office):
    queue = office.queue()
    for _ in range(5):
        for number in range(100):
            office.send(str(number), _AMQ_SCHED_DELIVERY=START_MS + 1000 + number)
        queue.purge()
    office.send("kept", _AMQ_SCHED_DELIVERY=START_MS + 5000)
    assert len(office.post._schedule._heap) <= 65
    office.advance(6)
    assert office.waiting() == ["kept"]
