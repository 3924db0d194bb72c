"""Destinations are values: kind and name."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.destination import (
    ANYCAST,
    MULTICAST,
    Destination,
    Queue,
    TemporaryQueue,
    TemporaryTopic,
    Topic,
    parse_destination,
)
from activeclient.errors import InvalidDestinationError

KINDS = (Queue, Topic, TemporaryQueue, TemporaryTopic)


def test_equal_are_those_of_the_same_kind_and_name() -> None:
    assert Queue("a") == Queue("a")
    assert Queue("a") == Queue("a?consumer-priority=5")
    assert len({Queue("a"), Queue("a?ring-size=1"), Topic("a"), TemporaryQueue("a"), Queue("b")}) == 4
    assert Queue("a") != Topic("a")
    assert Queue("a") != TemporaryQueue("a")


def test_a_destination_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Queue("a").name = "b"  # type: ignore[misc]


def test_a_fully_qualified_name_has_an_address_and_a_queue() -> None:
    queue = Queue("orders::audit?consumer-priority=-3&filter-string=a%26b+c")
    assert (queue.name, queue.address, queue.queue_name) == ("orders::audit", "orders", "audit")
    assert dict(queue.parameters) == {"consumer-priority": "-3", "filter-string": "a&b c"}
    assert queue.consumer_priority == -3
    assert (Queue("a").address, Queue("a").queue_name, Queue("a").consumer_priority) == ("a", None, 0)


@pytest.mark.parametrize("name", ["", "?durable=true", "::", "a::", "::b", "a::b::c", "a" * 20000])
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidDestinationError):
        Queue(name)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidDestinationError, match="bytes"):
        Queue(b"a")  # type: ignore[arg-type]


def test_an_unknown_attribute_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(InvalidDestinationError, match=r"did you mean consumer-priority\?"):
        Queue("a?consumer-prioriti=5")


@pytest.mark.parametrize("value", ["x", "", "1.5", "2147483648", "9" * 40])
def test_a_consumer_priority_is_a_number_of_32_bits(value: str) -> None:
    with pytest.raises(InvalidDestinationError, match="consumer-priority"):
        _ = Queue(f"a?consumer-priority={value}").consumer_priority


def test_kinds_know_their_routing_type() -> None:
    assert [kind.routing_type for kind in KINDS] == [ANYCAST, MULTICAST, ANYCAST, MULTICAST]
    assert [kind.temporary for kind in KINDS] == [False, False, True, True]
    assert isinstance(TemporaryQueue("a"), Queue)
    assert Destination("a").routing_type is None


def test_a_reply_to_without_prefix_is_of_unknown_kind_until_one_is_chosen() -> None:
    found = parse_destination("a::b?ring-size=5&filter-string=x%2By")
    assert type(found) is Destination
    assert found.as_queue() == Queue("a::b")
    assert dict(found.as_topic().parameters) == {"ring-size": "5", "filter-string": "x+y"}
    assert parse_destination("a", default=Topic) == Topic("a")
    queue = TemporaryQueue("a")
    assert queue.as_queue() is queue


def test_only_one_prefix_is_taken_off() -> None:
    assert parse_destination("queue://topic://a") == Queue("topic://a")
    with pytest.raises(InvalidDestinationError):
        parse_destination("queue://")


@given(st.sampled_from(KINDS), st.text(min_size=1).filter(lambda t: "?" not in t and ":" not in t))
def test_the_text_of_a_reply_to_reads_back(kind: type[Destination], name: str) -> None:
    destination = kind(name)
    assert str(destination) == kind.prefix + name
    assert parse_destination(str(destination)) == destination


@given(st.text())
def test_any_text_ends_in_a_destination_or_an_error(text: str) -> None:
    try:
        found = parse_destination(text)
    except InvalidDestinationError:
        return
    assert found.address


def test_a_destination_survives_pickling() -> None:
    queue = Queue("a::b?ring-size=5")
    copy = pickle.loads(pickle.dumps(queue))
    assert copy == queue
    assert dict(copy.parameters) == dict(queue.parameters)
