"""Subscriptions of topics: what their queues are called, and how they are made, changed and ended.

Law of this file: names and queues are those of Artemis' Java client (DestinationUtil, ActiveMQSession), so a
subscription made by one client is found by the other. A subscription whose topic or selector changes loses its backlog,
as the specification demands, and only while nobody consumes from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.client.session import ROUTING
from activeclient.destination import Topic
from activeclient.errors import IllegalStateError, InvalidDestinationError, JMSError
from activeclient.jms.addressing import apply_attributes
from activeclient.server_code import ServerCode
from activeclient.wire.packets import CreateQueue, CreateSharedQueue, QueueQueryResponse
from activeclient.wire.packets.queues import UNTOLD

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession

MULTICAST = ROUTING["MULTICAST"]
ANOTHER_SHARED_QUEUE = ServerCode.INVALID_TRANSIENT_QUEUE_USE
"""The server has a shared queue of this name with another topic or filter."""
NO_SUCH_QUEUE = ServerCode.QUEUE_DOES_NOT_EXIST
"""A queue that is not durable went with its last consumer since it was asked for."""
UNSHARED_MAX_CONSUMERS = 1_000
SHARED_MAX_CONSUMERS = (1 << 31) - 1
"""`max_consumers` of the queue of a durable subscription. Nothing else that a broker tells of a queue says of which
kind its subscription is. A limit of one would refuse a consumer that is recreated while the broker has not noticed the
end of the connection before; neither of these is ever reached. Java's client sets none, and brokers before 2.0 have no
such limit."""


def subscription_queue(name: str, client_id: str | None, *, durable: bool) -> str:
    """The queue of a subscription.

    Raises:
        InvalidDestinationError: The name is empty, or no text.
    """
    if not isinstance(name, str) or not name:
        raise InvalidDestinationError(f"subscription {name!r}: the name must be a text that is not empty")
    parts = [] if durable else ["nonDurable"]
    if client_id is not None:
        parts.append(_escaped(client_id))
    parts.append(_escaped(name))
    return ".".join(parts)


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace(".", "\\.")


def subscribable(topic: Topic, name: str) -> Topic:
    """`topic`, if it can have a subscription with a name.

    Raises:
        InvalidDestinationError: It is temporary, or names a queue.
    """
    if topic.temporary:
        raise InvalidDestinationError(f"{topic}: a temporary topic ends with its connection, subscription {name!r} not")
    if topic.queue_name is not None:
        raise InvalidDestinationError(f"{topic} names a queue already; subscription {name!r} has one of its own")
    return topic


def for_one_consumer(core: ClientSession, topic: Topic, queue: str, filter_string: str | None) -> None:
    """Make the queue of a subscription without a name: it ends with its consumer."""
    _check_topic(core, topic)
    core.request(_queue(topic, queue, filter_string, durable=False))


def for_durable(core: ClientSession, topic: Topic, queue: str, filter_string: str | None, *, replace: bool) -> None:
    """See that the queue of an unshared durable subscription exists, as it is wanted, and is free.

    Raises:
        IllegalStateError: It has a consumer, or another topic or selector and must not be replaced; a shared durable
            subscription has this name, or a queue that is no durable subscription.
        InvalidDestinationError: There is no such topic, and the broker creates none.
    """
    _check_topic(core, topic)
    found = core.query_queue(queue)
    if found.exists:
        _check_kind(queue, found, durable=True, shared=False)
        if found.consumer_count:
            raise IllegalStateError(f"subscription {queue!r} has a consumer; unshared, it can have one only")
        if _same(found, topic, filter_string) or found.configuration_managed:
            return
        _check_replace(replace, queue, found)
        _delete(core, queue)
    try:
        packet = _queue(topic, queue, filter_string, durable=True)
        _mark(packet, topic, found, UNSHARED_MAX_CONSUMERS)
        core.request(packet)
    except JMSError as error:
        if (
            error.code != ServerCode.QUEUE_EXISTS
        ):  # else another client, or our own try before a reconnection, was quicker
            raise


def for_shared(
    core: ClientSession, topic: Topic, queue: str, filter_string: str | None, *, durable: bool, replace: bool
) -> CreateSharedQueue:
    """See that the queue of a shared subscription exists, as it is wanted; returns what makes it.

    Raises:
        IllegalStateError: It has another topic or selector, and consumers; or it must not be replaced; an unshared
            durable subscription has this name, or a queue of another kind.
        InvalidDestinationError: There is no such topic, and the broker creates none.
    """
    _check_topic(core, topic)
    found = core.query_queue(queue)
    if found.exists:
        _check_kind(queue, found, durable=durable, shared=True)
    if found.exists and not _same(found, topic, filter_string) and not found.configuration_managed:
        if found.consumer_count:
            raise IllegalStateError(f"subscription {queue!r} has consumers, with {_topic_of(found)}")
        _check_replace(replace, queue, found)
        _delete(core, queue)
    packet = CreateSharedQueue(address=topic.address, queue_name=queue)
    _complete(packet, topic, filter_string, durable=durable)
    if durable:
        _mark(packet, topic, found, SHARED_MAX_CONSUMERS)
    try:
        core.request(packet)
    except JMSError as error:
        if error.code == ANOTHER_SHARED_QUEUE:  # made since we asked
            raise IllegalStateError(f"subscription {queue!r}: {error}", code=error.code) from error
        raise
    return packet


def unsubscribe(core: ClientSession, queue: str, name: str) -> None:
    """End a durable subscription, with what waits in it.

    Raises:
        InvalidDestinationError: There is none.
        IllegalStateError: It has consumers.
    """
    found = core.query_queue(queue)
    if not found.exists:
        raise InvalidDestinationError(f"there is no durable subscription {name!r} (queue {queue!r})")
    if found.consumer_count:
        raise IllegalStateError(f"subscription {name!r} has consumers; close them first")
    core.delete_queue(queue)


def _delete(core: ClientSession, queue: str) -> None:
    try:
        core.delete_queue(queue)
    except JMSError as error:
        if error.code != NO_SUCH_QUEUE:
            raise


def _check_topic(core: ClientSession, topic: Topic) -> None:
    known = core.query_address(topic.address)
    if not known.exists and not known.auto_create_addresses:
        raise InvalidDestinationError(f"{topic} does not exist, and the broker creates none")


def _filter(topic: Topic, filter_string: str | None) -> str | None:
    """The selector of the consumer, else what stands behind the topic's name."""
    return filter_string if filter_string is not None else topic.parameters.get("filter-string")


def _check_kind(queue: str, found: QueueQueryResponse, *, durable: bool, shared: bool) -> None:
    """Refuse the queue of another kind of subscription, or of none (JMS: they may not have the same name)."""
    other = None
    if found.routing_type == ROUTING["ANYCAST"]:  # brokers before 2.0 tell none
        other = "a queue that is no topic's subscription"
    elif found.durable != durable:
        other = "a durable subscription" if found.durable else "a subscription that is not durable"
    elif durable and found.max_consumers == (UNSHARED_MAX_CONSUMERS if shared else SHARED_MAX_CONSUMERS):
        other = f"{'an unshared' if shared else 'a shared'} durable subscription; unsubscribe it first"
    if other is not None:
        wanted = f"{'shared' if shared else 'unshared'}{' durable' if durable else ''} subscription"
        raise IllegalStateError(f"{wanted} {queue!r}: the name is that of {other}")


def _mark(packet: CreateQueue | CreateSharedQueue, topic: Topic, found: QueueQueryResponse, limit: int) -> None:
    """Let the queue tell of which kind its subscription is, where the broker knows limits and the user chose none."""
    if "max-consumers" not in topic.parameters and found.routing_type != UNTOLD:
        packet.max_consumers = limit


def _same(found: QueueQueryResponse, topic: Topic, filter_string: str | None) -> bool:
    return found.address == topic.address and (found.filter_string or None) == _filter(topic, filter_string)


def _check_replace(replace: bool, queue: str, found: QueueQueryResponse) -> None:
    if not replace:
        raise IllegalStateError(f"subscription {queue!r} exists, with {_topic_of(found)}, and must not be replaced")


def _topic_of(found: QueueQueryResponse) -> str:
    filter_string = f"filter {found.filter_string!r}" if found.filter_string else "no selector"
    return f"topic {found.address!r} and {filter_string}"


def _queue(topic: Topic, queue: str, filter_string: str | None, *, durable: bool) -> CreateQueue:
    packet = CreateQueue(address=topic.address, queue_name=queue, temporary=not durable)
    _complete(packet, topic, filter_string, durable=durable)
    return packet


def _complete(
    packet: CreateQueue | CreateSharedQueue, topic: Topic, filter_string: str | None, *, durable: bool
) -> None:
    apply_attributes(packet, topic)
    packet.routing_type = MULTICAST
    packet.requires_response = True
    packet.filter_string = _filter(topic, filter_string)
    packet.durable = durable
