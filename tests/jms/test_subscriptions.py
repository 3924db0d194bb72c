"""What the queues of subscriptions are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.destination import TemporaryTopic, Topic
from activeclient.errors import IllegalStateError, InvalidDestinationError, from_server
from activeclient.jms.subscriptions import for_durable, for_shared, subscribable, subscription_queue
from activeclient.wire import packets as p

PARTS = st.text(st.sampled_from("ab.\\"), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("client_id", "name", "durable", "queue"),
    [
        ("c", "s", True, "c.s"),
        (None, "s", True, "s"),
        ("c", "s", False, "nonDurable.c.s"),
        (None, "s", False, "nonDurable.s"),
        ("cl.i\\d", "su.b\\s", True, "cl\\.i\\\\d.su\\.b\\\\s"),  # as Artemis' own client was seen to call it
    ],
)
def test_a_subscription_has_the_queue_that_java_gives_it(client_id, name, durable, queue):
    assert subscription_queue(name, client_id, durable=durable) == queue


@given(PARTS, PARTS, PARTS, PARTS)
def test_different_subscriptions_have_different_queues(client, name, other_client, other_name):
    one = subscription_queue(name, client, durable=True)
    other = subscription_queue(other_name, other_client, durable=True)
    assert (one == other) == ((client, name) == (other_client, other_name))


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_subscription_needs_a_name(name):
    with pytest.raises(InvalidDestinationError, match="name"):
        subscription_queue(name, "c", durable=True)


@pytest.mark.parametrize("topic", [TemporaryTopic("t"), Topic("a::q")])
def test_topics_that_end_or_name_a_queue_have_no_subscriptions(topic):
    with pytest.raises(InvalidDestinationError):
        subscribable(topic, "s")


class Core:
    """A broker's session that has the subscription `s` to another topic, until `refusal` says what became of it."""

    def __init__(self, refusal, durable):
        self.refusal = refusal
        self.durable = durable
        self.requests = []

    def query_address(self, address):
        return p.BindingQueryResponse(exists=True)

    def query_queue(self, queue):
        return p.QueueQueryResponse(True, durable=self.durable, name=queue, address="other")

    def delete_queue(self, queue):
        raise from_server(self.refusal, "no")

    def request(self, packet):
        self.requests.append(packet)


@pytest.mark.parametrize("make", [for_durable, for_shared])
def test_a_subscription_that_went_by_itself_before_it_was_replaced_is_no_error(make):
    options = {"durable": False} if make is for_shared else {}
    durable = make is for_durable
    core = Core(100, durable)
    make(core, Topic("t"), "s", None, replace=True, **options)
    assert [request.address for request in core.requests] == ["t"]
    with pytest.raises(IllegalStateError):
        make(Core(104, durable), Topic("t"), "s", None, replace=True, **options)
