"""What each packet of a session does.

Law of this file: a handler changes the session and the model, and gives the answer that is more than "done"; it knows
nothing of counting. What fails is raised, with the code that Artemis would answer. Source: ServerSessionImpl.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from activeclient.broker import branches
from activeclient.broker.consumer import ServerConsumer
from activeclient.broker.descriptions import describe_address, describe_queue, queue_configuration
from activeclient.broker.large import LargeBody
from activeclient.broker.limits import MAX_NAME
from activeclient.broker.message import StoredMessage
from activeclient.errors import (
    ActiveClientError,
    IllegalStateError,
    InvalidClientIDError,
    InvalidDestinationError,
    JMSError,
)
from activeclient.parameter import INT
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p
from activeclient.wire.names import (
    DUPLICATE_ID,
    GROUP_ID,
    LARGE_SIZE,
    LAST_VALUE,
    RECONNECTION_TIMEOUT,
    RECOVERY_BUFFER,
    SCHEDULED_DELIVERY,
)
from activeclient.wire.packet import Packet

if TYPE_CHECKING:
    from activeclient.broker.chain import Reference
    from activeclient.broker.session import ServerSession

_LOOKED_AT: Final = (GROUP_ID, SCHEDULED_DELIVERY, DUPLICATE_ID, LAST_VALUE)
Handler = Callable[["ServerSession", Any], Packet | None]


# --- messages come ---------------------------------------------------------------------------------------------------


def check_special(message: StoredMessage) -> None:
    """What the broker will look at later, when nobody could be blamed, must be readable now (hot path).

    Raises:
        RemoteProtocolError: It is not.
    """
    for name in _LOOKED_AT:
        message.special_property(name)


def with_address(session: ServerSession, message: StoredMessage) -> StoredMessage:
    """A message without an address goes to that of the session.

    Raises:
        InvalidDestinationError: The session has none (code 106).
    """
    if not session.default_address:
        session.post.release(message)
        raise InvalidDestinationError(
            "the message has no address, and the session has none for it", code=ServerCode.ADDRESS_DOES_NOT_EXIST
        )
    copy = message.to_core()
    copy.address = session.default_address
    return message.rewritten(copy)


def open_large(session: ServerSession, frame: bytes) -> None:
    """SESS_SEND_LARGE: the pieces are to follow. One that was not finished is dropped, as Artemis does."""
    drop_incoming(session)
    session.refused = None
    post = session.post
    body = LargeBody(post.configuration.large_message_memory, post.spill)
    session.incoming = StoredMessage.from_send_large(frame, body)


def drop_incoming(session: ServerSession) -> None:
    """The large message that did not come to its end is gone."""
    incoming, session.incoming = session.incoming, None
    if incoming is not None:
        session.post.release(incoming)


def _continuation(session: ServerSession, packet: p.SendContinuation) -> None:
    message = session.incoming
    if message is None or message.large is None:
        if session.refused is not None:
            raise session.refused.again()
        raise IllegalStateError("large-message not initialized on server", code=ServerCode.ILLEGAL_STATE)
    try:
        message.large.append(packet.body)
    except ActiveClientError as error:
        drop_incoming(session)
        session.refused = error  # the sender asks with the last piece only
        raise
    if packet.continues:
        return
    session.incoming = None
    if packet.message_body_size >= 0:
        copy = message.to_core()
        copy.properties[LARGE_SIZE] = packet.message_body_size
        message = _replaced(session, message, message.rewritten(copy))
    session.accept(message)


def _replaced(session: ServerSession, old: StoredMessage, new: StoredMessage) -> StoredMessage:
    """The new one has what the old one had."""
    session.post.release(old)
    return new


def _request_credits(session: ServerSession, packet: p.RequestProducerCredits) -> None:
    address = packet.address
    if packet.credits <= 0:
        raise IllegalStateError(f"{packet.credits} credits were asked for", code=ServerCode.ILLEGAL_STATE)
    waiting = session.wanted_credits
    if len(address) > MAX_NAME or len(waiting) >= session.server.limits.max_consumers:
        # Refused, not left unanswered: a sender would wait for its whole callTimeout.
        session.send_packet(p.ProducerFailCredits(packet.credits, address))
        return
    if address in waiting:
        waiting[address] = min(waiting[address] + packet.credits, 2**31 - 1)
        return
    waiting[address] = packet.credits
    if not session.post.when_room(address, partial(_grant, session, address)):
        session.send_packet(p.ProducerFailCredits(waiting.pop(address), address))


def _grant(session: ServerSession, address: str) -> None:
    credits = session.wanted_credits.pop(address, 0)
    if credits and not session.closed:
        session.send_packet(p.ProducerCredits(credits, address))


def _create_producer(session: ServerSession, packet: p.CreateProducer) -> None:
    if len(session.producers) < session.server.limits.max_consumers and len(packet.address or "") <= MAX_NAME:
        session.producers[packet.id] = packet.address


def _remove_producer(session: ServerSession, packet: p.RemoveProducer) -> None:
    session.producers.pop(packet.id, None)


# --- consumers -------------------------------------------------------------------------------------------------------


def _create_consumer(session: ServerSession, packet: p.CreateConsumer) -> Packet | None:
    queue = session.post.find(packet.queue_name)
    if queue is None:
        raise InvalidDestinationError(
            f"AMQ229017: Queue {packet.queue_name} does not exist", code=ServerCode.QUEUE_DOES_NOT_EXIST
        )
    if packet.consumer_id in session.consumers:
        raise IllegalStateError(
            f"the session has a consumer {packet.consumer_id} already", code=ServerCode.ILLEGAL_STATE
        )
    if len(session.consumers) >= session.server.limits.max_consumers:
        raise IllegalStateError(
            f"the session has {len(session.consumers)} consumers, no more are allowed", code=ServerCode.ILLEGAL_STATE
        )
    _check_consumers(session, packet.browse_only)
    consumer = ServerConsumer(
        session,
        packet.consumer_id,
        queue,
        session.server.compiled(packet.filter_string),
        priority=packet.priority,
        browse_only=packet.browse_only,
    )
    if not packet.browse_only:
        queue.add_consumer(consumer)
    session.consumers[consumer.id] = consumer
    return describe_queue(session.post.query_queue(packet.queue_name))


def _check_consumers(session: ServerSession, browser: bool) -> None:
    limits = session.server.limits
    sessions = session.connection.sessions.values()
    if sum(len(each.consumers) for each in sessions) >= limits.max_connection_consumers:
        raise IllegalStateError(
            f"the connection has {limits.max_connection_consumers} consumers, no more are allowed",
            code=ServerCode.ILLEGAL_STATE,
        )
    if browser:
        browsers = sum(consumer.browse_only for each in sessions for consumer in each.consumers.values())
        if browsers >= limits.max_browsers:
            raise IllegalStateError(
                f"the connection has {browsers} browsers, no more are allowed", code=ServerCode.ILLEGAL_STATE
            )


def _close_consumer(session: ServerSession, packet: p.ConsumerClose) -> None:
    consumer = session.consumers.pop(packet.consumer_id, None)
    if consumer is not None:
        consumer.close(failed=False)


def _flow(session: ServerSession, packet: p.FlowToken) -> None:
    consumer = session.consumers.get(packet.consumer_id)
    if consumer is not None:
        consumer.grant(packet.credits)


def _force(session: ServerSession, packet: p.ForceDelivery) -> None:
    consumer = session.consumers.get(packet.consumer_id)
    if consumer is not None:
        consumer.force_delivery(packet.sequence)


def _start(session: ServerSession, _: p.SessionStart) -> None:
    session.started = True
    session.update_flow()


def _stop(session: ServerSession, _: p.SessionStop) -> None:
    session.started = False
    session.update_flow()


def _consumer(session: ServerSession, consumer_id: int) -> ServerConsumer:
    consumer = session.consumers.get(consumer_id)
    if consumer is None:
        raise IllegalStateError(
            f"AMQ229028: Consumer {consumer_id} does not exist on the server", code=ServerCode.ILLEGAL_STATE
        )
    return consumer


def _acknowledge(session: ServerSession, packet: p.Acknowledge) -> None:
    consumer = _consumer(session, packet.consumer_id)
    if consumer.browse_only:
        return
    tx = None if session.auto_commit_acks else session.transaction()
    acknowledge = consumer.queue.acknowledge
    for ref in consumer.up_to(packet.message_id):
        acknowledge(ref, tx)


def _acknowledge_one(session: ServerSession, packet: p.IndividualAcknowledge) -> None:
    consumer = _consumer(session, packet.consumer_id)
    if consumer.browse_only:
        return
    tx = None if session.auto_commit_acks else session.transaction()
    consumer.queue.acknowledge(consumer.take(packet.message_id), tx)


def _expired(session: ServerSession, packet: p.Expired) -> None:
    consumer = session.consumers.get(packet.consumer_id)
    if consumer is not None and not consumer.browse_only:
        ref = consumer.delivering.pop(packet.message_id, None)
        if ref is not None:
            consumer.queue.expire(ref)


# --- transactions ----------------------------------------------------------------------------------------------------


def _commit(session: ServerSession, _: p.Commit) -> None:
    branches.refuse_branch(session, "commit")
    tx, session.tx = session.tx, None
    if tx is not None:
        tx.commit()


def _rollback(session: ServerSession, packet: p.Rollback) -> None:
    branches.refuse_branch(session, "rollback")
    flowing, session.flowing = session.flowing, False
    unacknowledged: list[Reference] = []
    for consumer in session.consumers.values():
        taken = consumer.take_all()
        if packet.consider_last_message_as_delivered and taken:
            consumer.queue.give_back(taken[:1], count_delivery=True)
            del taken[0]
        unacknowledged += taken
    tx = session.tx if session.tx is not None else session.post.begin()
    session.tx = None
    session.flowing = flowing
    tx.rollback(unacknowledged)
    session.update_flow()


def abandon_transaction(session: ServerSession, *, failed: bool) -> None:
    """The session ends: its transaction is undone together with what it did not acknowledge.

    A branch of a transaction manager stays when the session is closed, and is undone when its client failed.
    """
    tx, session.tx = session.tx, None
    unacknowledged: list[Reference] = []
    for consumer in session.consumers.values():
        taken = consumer.take_all()
        if failed:
            consumer.queue.give_back(taken, count_delivery=True, delay=False)
        else:
            unacknowledged += taken
    if failed:
        branches.abandon(session)
    if tx is not None and tx.xid is not None:
        tx = None
    if tx is None:
        tx = session.post.begin()
    tx.rollback(unacknowledged, delay=False)


# --- addresses and queues --------------------------------------------------------------------------------------------


def _create_queue(session: ServerSession, packet: p.CreateQueue) -> None:
    session.post.create_queue(queue_configuration(packet, session.user.name), owner=session)


def _create_shared_queue(session: ServerSession, packet: p.CreateSharedQueue) -> None:
    session.post.create_shared_queue(queue_configuration(packet, session.user.name))


def _delete_queue(session: ServerSession, packet: p.DeleteQueue) -> None:
    session.post.delete_queue(packet.queue_name)


def _create_address(session: ServerSession, packet: p.CreateAddress) -> None:
    session.post.create_address(packet.address, packet.routing_types, packet.auto_created)


def _query_queue(session: ServerSession, packet: p.QueueQuery) -> Packet:
    return describe_queue(session.post.query_queue(packet.queue_name))


def _query_address(session: ServerSession, packet: p.BindingQuery) -> Packet:
    return describe_address(session.post.query_address(packet.address))


# --- the session itself ----------------------------------------------------------------------------------------------


def _add_metadata(session: ServerSession, packet: p.AddMetadata | p.AddCountedMetadata) -> None:
    _store_metadata(session, packet.key, packet.data)


def _add_unique_metadata(session: ServerSession, packet: p.UniqueAddMetadata) -> None:
    if session.server.has_metadata(packet.key, packet.data, besides=session):
        raise InvalidClientIDError(
            f"AMQ229136: Metadata {packet.key}={packet.data} had been set already", code=ServerCode.DUPLICATE_METADATA
        )
    _store_metadata(session, packet.key, packet.data)


def _store_metadata(session: ServerSession, key: str, data: str) -> None:
    metadata = session.metadata
    if key not in metadata and len(metadata) >= session.server.limits.max_metadata:
        raise JMSError(f"the session has {len(metadata)} metadata, no more are allowed", code=ServerCode.ILLEGAL_STATE)
    size = sum(len(each) + len(value) for each, value in metadata.items() if each != key) + len(key) + len(data)
    if size > session.server.limits.max_metadata_size:
        raise JMSError(
            f"the session has {size} characters of metadata, no more are allowed", code=ServerCode.ILLEGAL_STATE
        )
    if key in (RECOVERY_BUFFER, RECONNECTION_TIMEOUT):
        if not (data.isascii() and data.isdecimal()) or not 1 <= int(data[:20]) <= INT:
            raise JMSError(f"{key}={data[:20]!r}: must be a whole number >= 1", code=ServerCode.ILLEGAL_STATE)
        if key == RECOVERY_BUFFER:
            session.keep_messages(int(data))
        else:
            session.kept_for = int(data) / 1000
    metadata[key] = data


def _close(session: ServerSession, _: p.SessionClose) -> None:
    session.close(failed=False)
    session.server.forget(session)


HANDLERS: Final[dict[type[Packet], Handler]] = {
    p.SendContinuation: _continuation,
    p.RequestProducerCredits: _request_credits,
    p.CreateProducer: _create_producer,
    p.RemoveProducer: _remove_producer,
    p.CreateConsumer: _create_consumer,
    p.ConsumerClose: _close_consumer,
    p.FlowToken: _flow,
    p.ForceDelivery: _force,
    p.SessionStart: _start,
    p.SessionStop: _stop,
    p.Acknowledge: _acknowledge,
    p.IndividualAcknowledge: _acknowledge_one,
    p.Expired: _expired,
    p.Commit: _commit,
    p.Rollback: _rollback,
    p.CreateQueue: _create_queue,
    p.CreateSharedQueue: _create_shared_queue,
    p.DeleteQueue: _delete_queue,
    p.CreateAddress: _create_address,
    p.QueueQuery: _query_queue,
    p.BindingQuery: _query_address,
    p.AddMetadata: _add_metadata,
    p.AddCountedMetadata: _add_metadata,
    p.UniqueAddMetadata: _add_unique_metadata,
    p.SessionClose: _close,
    **branches.HANDLERS,
}
