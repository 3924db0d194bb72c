from __future__ import annotations

import pytest

from activeclient.destination import MULTICAST
from activeclient.errors import ResourceAllocationError
from tests.broker.office import START_MS, Equals, Office


@pytest.fixture
def office() -> Office:
    return Office()


def test_messages_come_in_the_order_of_sending_and_leave_when_acknowledged(office):
    queue = office.queue()
    office.send("a", "b", "c")
    taker = office.consume()
    office.send("d")
    assert taker.bodies() == ["a", "b", "c", "d"]
    assert (queue.message_count, queue.delivering, queue.waiting_count) == (4, 4, 0)
    taker.acknowledge()
    assert (queue.message_count, queue.delivering, queue.acknowledged) == (0, 0, 4)


def test_higher_priorities_come_first_and_each_in_order(office):
    office.queue()
    for body, priority in (("a", 4), ("b", 9), ("c", 0), ("d", 9), ("e", 4)):
        office.send(body, priority=priority)
    assert office.consume().bodies() == ["b", "d", "a", "e", "c"]


def test_a_priority_beyond_nine_is_nine(office):
    office.queue()
    office.send("a", priority=100)
    office.send("b", priority=-3)
    assert office.consume().bodies() == ["a", "b"]


def test_a_busy_consumer_is_asked_again_only_when_it_says_that_it_is_ready(office):
    queue = office.queue()
    taker = office.consume(room=2)
    office.send("a", "b", "c", "d")
    assert taker.bodies() == ["a", "b"]
    taker.acknowledge(1)
    assert taker.bodies() == ["a", "b", "c"]
    assert queue.waiting_count == 1


def test_consumers_take_turns(office):
    office.queue()
    one, two = office.consume(), office.consume()
    office.send("a", "b", "c", "d")
    assert (one.bodies(), two.bodies()) == (["a", "c"], ["b", "d"])


def test_a_busy_consumer_leaves_its_turn_to_the_others(office):
    office.queue()
    one, two = office.consume(room=1), office.consume()
    office.send("a", "b", "c", "d")
    assert (one.bodies(), two.bodies()) == (["a"], ["b", "c", "d"])


def test_consumers_of_a_higher_priority_are_served_until_they_are_busy(office):
    office.queue()
    low, high = office.consume(), office.consume(room=2, priority=5)
    office.send("a", "b", "c")
    assert (high.bodies(), low.bodies()) == (["a", "b"], ["c"])


def test_what_comes_back_takes_its_old_place_with_its_delivery_counted(office):
    office.queue()
    office.send("a", "b", "c", "d")
    taker = office.consume(room=2)
    taker.give_back()
    assert office.waiting() == ["a", "b", "c", "d"]
    taker.queue.deliver(taker)
    assert taker.taken[2:] == [(b"a", 2), (b"b", 2)]


def test_what_two_consumers_give_back_is_in_order_again(office):
    office.queue()
    one, two = office.consume(room=20), office.consume(room=20)
    office.send(*"abcdefgh")
    one.close()
    assert two.bodies() == list("bdfh") + list("aceg")
    two.close()
    assert office.waiting() == list("abcdefgh")
    assert all(ref.delivery_count == 0 for ref in office.post.find("q").waiting())


def test_a_delivery_that_is_not_an_attempt_is_not_counted(office):
    office.queue()
    office.send("a")
    office.consume().close()
    assert office.consume().taken == [(b"a", 1)]


def test_a_consumer_with_a_filter_takes_what_passes_it(office):
    office.queue()
    for body, colour in (("a", "red"), ("b", "blue"), ("c", "red"), ("d", None)):
        office.send(body, colour=colour)
    red = office.consume(filter=Equals("colour", "red"))
    assert red.bodies() == ["a", "c"]
    assert office.waiting() == ["b", "d"]
    office.send("e", colour="red")
    office.send("f", colour="blue")
    rest = office.consume()
    assert (red.bodies(), rest.bodies()) == (["a", "c", "e"], ["b", "d", "f"])


def test_a_message_that_comes_back_is_offered_to_filters_that_had_passed_its_place(office):
    queue = office.queue()
    office.send("a", colour="red")
    office.send("x", colour="blue")
    red = office.consume(room=1, filter=Equals("colour", "red"))
    other = office.consume(room=0, filter=Equals("colour", "red"))
    assert office.waiting() == ["x"]
    red.room = 0
    red.give_back()
    other.room = 1
    queue.deliver(other)
    assert other.taken == [(b"a", 2)]
    other.room = 0
    other.give_back()
    red.room = 1
    queue.deliver(red)
    assert red.taken == [(b"a", 1), (b"a", 3)]


def test_a_filter_looks_at_each_message_once(office):
    looked = []

    class Counting(Equals):
        def matches(self, message):
            looked.append(message.id)
            return super().matches(message)

    office.queue()
    office.send(*(str(number) for number in range(100)))
    taker = office.consume(filter=Counting("colour", "red"))
    for _ in range(10):
        office.send("x")
        taker.queue.deliver()
    assert len(looked) == 110
    assert taker.bodies() == []


def test_the_messages_of_a_group_go_to_one_consumer(office):
    office.queue()
    one, two = office.consume(), office.consume()
    for body in ("a1", "b1", "a2", "a3", "b2"):
        office.send(body, _AMQ_GROUP_ID=body[0])
    assert (one.bodies(), two.bodies()) == (["a1", "a2", "a3"], ["b1", "b2"])


def test_a_group_goes_to_another_consumer_when_its_own_is_gone(office):
    office.queue()
    one, two = office.consume(), office.consume()
    office.send("a1", "a2", _AMQ_GROUP_ID="a")
    one.close()
    assert two.taken == [(b"a1", 1), (b"a2", 1)]


def test_a_busy_consumer_keeps_its_group(office):
    office.queue()
    one, two = office.consume(room=1), office.consume()
    office.send("a1", "a2", _AMQ_GROUP_ID="a")
    office.send("b1", _AMQ_GROUP_ID="b")
    assert (one.bodies(), two.bodies()) == (["a1"], ["b1"])
    one.acknowledge()
    assert one.bodies() == ["a1", "a2"]


def test_a_sequence_of_minus_one_closes_the_group(office):
    queue = office.queue()
    one, two = office.consume(), office.consume()
    office.send("a1", _AMQ_GROUP_ID="a")
    office.send("a2", _AMQ_GROUP_ID="a", _AMQ_GROUP_SEQUENCE=-1)
    assert len(queue.groups) == 0
    office.send("a3", _AMQ_GROUP_ID="a")
    assert (one.bodies(), two.bodies()) == (["a1", "a2"], ["a3"])


def test_groups_can_share_buckets_or_be_switched_off(office):
    office.queue("one", group_buckets=1)
    one, two = office.consume("one"), office.consume("one")
    for group in "abc":
        office.send(group, address="one", _AMQ_GROUP_ID=group)
    assert (one.bodies(), two.bodies()) == (["a", "b", "c"], [])
    office.queue("none", group_buckets=0)
    one, two = office.consume("none"), office.consume("none")
    office.send("a", "b", address="none", _AMQ_GROUP_ID="g")
    assert (one.bodies(), two.bodies()) == (["a"], ["b"])


def test_groups_may_be_dealt_anew_when_a_consumer_comes(office):
    office.queue(group_rebalance=True)
    one = office.consume()
    office.send("a1", _AMQ_GROUP_ID="a")
    one.room = 1
    two = office.consume()
    office.send("a2", _AMQ_GROUP_ID="a")
    assert (one.bodies(), two.bodies()) == (["a1"], ["a2"])


def test_a_group_may_be_taken_from_its_consumer(office):
    queue = office.queue()
    one, two = office.consume(room=1), office.consume()
    office.send("a1", "a2", _AMQ_GROUP_ID="a")
    assert (queue.group_count, two.bodies()) == (1, [])
    office.post.management.invoke("queue.q", "resetGroup", "a")
    assert (one.bodies(), two.bodies()) == (["a1"], ["a2"])
    office.post.management.invoke("queue.q", "resetAllGroups")
    assert queue.group_count == 0


def test_an_exclusive_queue_serves_one_consumer_and_then_the_next(office):
    office.queue(exclusive=True)
    one, two = office.consume(), office.consume()
    office.send("a", "b")
    assert (one.bodies(), two.bodies()) == (["a", "b"], [])
    one.close()
    assert two.bodies() == ["a", "b"]


def test_a_last_value_queue_keeps_the_newest_of_each_key_in_the_order_of_arrival(office):
    queue = office.queue(last_value=True)
    for body in ("a1", "b1", "a2"):
        office.send(body, _AMQ_LVQ_NAME=body[0])
    office.send("none")
    assert office.waiting() == ["b1", "a2", "none"]
    office.send("a3", priority=9, _AMQ_LVQ_NAME="a")
    assert office.waiting() == ["a3", "b1", "none"]
    assert queue.replaced == 2


def test_a_value_that_rests_is_replaced_and_one_that_wakes_replaces(office):
    queue = office.queue(last_value=True)
    for body in ("later", "now"):
        office.send(body, _AMQ_LVQ_NAME="k", _AMQ_SCHED_DELIVERY=START_MS + (1000 if body == "later" else -1))
    office.advance(2)
    assert (office.waiting(), queue.message_count) == (["later"], 1)


def test_a_last_value_queue_may_have_a_key_of_its_own(office):
    office.queue(last_value_key="symbol")
    office.send("1", symbol="x")
    office.send("2", symbol="x")
    assert office.waiting() == ["2"]


def test_a_delivered_value_that_was_replaced_does_not_come_back(office):
    queue = office.queue(last_value=True)
    taker = office.consume(room=1)
    office.send("a1", _AMQ_LVQ_NAME="a")
    office.send("a2", _AMQ_LVQ_NAME="a")
    taker.give_back(count_delivery=True)
    assert office.waiting() == ["a2"]
    assert queue.message_count == 1


def test_a_ring_queue_keeps_the_newest_that_are_not_being_delivered(office):
    queue = office.queue(ring_size=2)
    office.send("a", "b", "c")
    assert office.waiting() == ["b", "c"]
    taker = office.consume(room=1)
    office.send("d", "e")
    assert taker.bodies() == ["b"]
    assert office.waiting() == ["d", "e"]
    taker.give_back()
    assert office.waiting() == ["d", "e"]
    assert queue.message_count == 2


def test_a_ring_loses_first_what_would_be_delivered_next(office):
    office.queue(ring_size=2)
    seen = []
    for body, priority in (("1", 4), ("2", 9), ("3", 4), ("4", 0)):
        office.send(body, priority=priority)
        seen.append(office.waiting())
    assert seen == [["1"], ["2", "1"], ["1", "3"], ["3", "4"]]


def test_a_non_destructive_queue_gives_each_consumer_everything(office):
    queue = office.queue(non_destructive=True)
    office.send("a", "b")
    one = office.consume()
    one.acknowledge()
    two = office.consume()
    office.send("c")
    assert one.bodies() == two.bodies() == ["a", "b", "c"]
    two.close()
    assert office.waiting() == ["a", "b", "c"]
    assert (queue.delivering, queue.message_count) == (0, 3)


def test_a_queue_has_no_more_consumers_than_it_may(office):
    queue = office.queue(max_consumers=1)
    office.consume()
    with pytest.raises(ResourceAllocationError, match="Maximum Consumer Limit") as caught:
        office.consume()
    assert caught.value.code == 214
    assert queue.consumer_count == 1


def test_a_queue_may_purge_itself_when_the_last_consumer_leaves(office):
    queue = office.queue(purge_on_no_consumers=True)
    office.send("lost")
    taker = office.consume(room=1)
    office.send("a", "b")
    taker.close()
    assert queue.message_count == 0
    assert taker.bodies() == ["a"]


def test_a_paused_queue_takes_messages_and_delivers_none(office):
    queue = office.queue()
    taker = office.consume()
    queue.pause()
    office.send("a")
    assert taker.bodies() == []
    queue.resume()
    assert taker.bodies() == ["a"]


def test_delivery_may_wait_for_several_consumers(office):
    office.queue(consumers_before_dispatch=2)
    office.send("a", "b")
    one = office.consume()
    assert one.bodies() == []
    two = office.consume()
    assert sorted(one.bodies() + two.bodies()) == ["a", "b"]


def test_delivery_may_wait_for_a_time_after_the_first_consumer(office):
    office.queue(consumers_before_dispatch=2, delay_before_dispatch=500)
    office.send("a")
    one = office.consume()
    office.advance(0.4)
    assert one.bodies() == []
    office.advance(0.2)
    assert one.bodies() == ["a"]


def test_a_browser_sees_what_waits_and_takes_nothing(office):
    queue = office.queue()
    office.send("a", "b", "c", colour="red")
    office.consume(room=1)
    assert [ref.message.body for ref in queue.browse(Equals("colour", "red"))] == [b"b", b"c"]
    seen = queue.browse()
    next(seen)
    queue.purge()
    assert list(seen) == []


def test_the_memory_of_a_message_is_released_with_its_last_queue(office):
    office.queue("one", MULTICAST, address="t")
    office.queue("two", MULTICAST, address="t")
    office.send("a", address="t")
    memory = office.post.addresses.memory
    assert memory.size > 0
    office.consume("one").acknowledge()
    assert memory.size > 0
    office.consume("two").acknowledge()
    assert memory.size == 0


def test_a_consumer_may_acknowledge_while_it_takes(office):
    queue = office.queue()

    class Eager:
        priority, filter, count = 0, None, 0

        def handle(self, ref):
            self.count += 1
            queue.acknowledge(ref)
            return True

        def queue_deleted(self): ...

    eager = Eager()
    office.send("a", "b")
    queue.add_consumer(eager)
    queue.deliver(eager)
    office.send("c")
    assert (eager.count, queue.message_count, queue.delivering) == (3, 0, 0)


def test_many_messages_given_back_cost_little(office):
    queue = office.queue()
    one, two = office.consume(), office.consume()
    office.send(*map(str, range(20_000)), durable=False)
    queue.pause()
    one.close()
    two.close()
    assert office.waiting() == list(map(str, range(20_000)))
