"""Packets of a session at work: consumers, producers, credits, pieces of large messages, metadata.

Law of this file: `SESS_ADD_METADATA` (104) never takes a command id, its successors only when they ask for an
answer; everything else here is counted. Sizes and credits are bytes of whole frames. Source: ChannelImpl (what is
counted), Session*Message of Artemis.
"""

from __future__ import annotations

from typing import Annotated, Final

from activeclient.wire.fields import (
    I32,
    I64,
    Bool,
    Bytes,
    NullableSimpleString,
    SimpleString,
    Sized,
    String,
)
from activeclient.wire.message import CoreMessage, read_header, read_message, write_header, write_message
from activeclient.wire.old_layout import modern_receive, modern_send, old_receive, old_send
from activeclient.wire.packet import Packet, packet, wire
from activeclient.wire.packets.connection import NULL
from activeclient.wire.packets.queues import QueueQueryResponse
from activeclient.wire.versions import V2_7, V2_28

_MESSAGE: Final = Sized(write_message, read_message)
_HEADER: Final = Sized(write_header, read_header)
Message = Annotated[CoreMessage, _MESSAGE]
MessageHeader = Annotated[CoreMessage, _HEADER]


@packet(67)
class SessionStart(Packet):
    """Let deliveries flow; not answered."""


@packet(68, reply=NULL)
class SessionStop(Packet):
    """Let deliveries rest."""


@packet(69, reply=NULL)
class SessionClose(Packet):
    """End the session; the channel is gone with the answer."""


@packet(104, counted=False, reply=NULL)
class AddMetadata(Packet):
    """Attach a pair of texts to the session; never counted, always answered, in the order of the session's work."""

    key: String
    data: String


@packet(105, counted_if="requires_confirmation", reply=NULL)
class AddCountedMetadata(Packet):
    """Attach a pair of texts to the session; answered and counted only if asked."""

    key: String
    data: String
    requires_confirmation: Bool = True


@packet(106, counted_if="requires_confirmation", reply=NULL)
class UniqueAddMetadata(Packet):
    """Attach a pair that no other session has; always answered, with exception 114 when one has it."""

    key: String
    data: String
    requires_confirmation: Bool = True


# --- consumers --------------------------------------------------------------------------------------------------------


@packet(40, reply=(QueueQueryResponse,))
class CreateConsumer(Packet):
    """Consume from a queue; the client chooses the id, unique in the session. Credits and start come after."""

    consumer_id: I64
    queue_name: SimpleString
    filter_string: NullableSimpleString = None
    browse_only: Bool = False
    requires_response: Bool = True
    priority: I32 = wire(default=0, since=V2_7, optional=True)


@packet(74, reply=NULL)
class ConsumerClose(Packet):
    """End a consumer; no error when there is none of this id."""

    consumer_id: I64


@packet(12, sent_by="server")
class DisconnectConsumer(Packet):
    """The consumer is gone: its queue was deleted, or delivering to it failed (QueueImpl.handle)."""

    consumer_id: I64


@packet(70)
class FlowToken(Packet):
    """Grant the server bytes for a consumer; -1 unlimited, 0 takes the grants back."""

    consumer_id: I64
    credits: I32


@packet(78)
class ForceDelivery(Packet):
    """Answered by a marker message behind everything that can be delivered now."""

    consumer_id: I64
    sequence: I64


@packet(41, reply=NULL)
class Acknowledge(Packet):
    """Everything of the consumer up to and including this message is done."""

    consumer_id: I64
    message_id: I64
    requires_response: Bool = False


@packet(81, reply=NULL)
class IndividualAcknowledge(Packet):
    """This one message is done."""

    consumer_id: I64
    message_id: I64
    requires_response: Bool = False


@packet(42)
class Expired(Packet):
    """The client found this message expired."""

    consumer_id: I64
    message_id: I64


@packet(77, sent_by="server")
class ReceiveContinuation(Packet):
    """A piece of a large message's body, for one consumer; the last has `continues` false."""

    body: Bytes
    continues: Bool
    consumer_id: I64


# --- producers --------------------------------------------------------------------------------------------------------


@packet({-20: V2_28})
class CreateProducer(Packet):
    """Announce a producer, for the server's statistics (134 and later); no address for an anonymous one."""

    id: I32
    address: NullableSimpleString = None


@packet({-21: V2_28})
class RemoveProducer(Packet):
    """A producer is closed (134 and later)."""

    id: I32


@packet(80, sent_by="server")
class ProducerCredits(Packet):
    """Room at an address is granted; for a full address it comes when there is room again."""

    credits: I32
    address: SimpleString


@packet(82, sent_by="server")
class ProducerFailCredits(Packet):
    """The address is full and its policy is to refuse."""

    credits: I32
    address: SimpleString


@packet(79, reply=(ProducerCredits, ProducerFailCredits))
class RequestProducerCredits(Packet):
    """Ask for room, in bytes, at an address."""

    credits: I32
    address: SimpleString


@packet(73, reply=NULL)
class SendContinuation(Packet):
    """A piece of a large message's body. The last one (`continues` false) carries the length of the whole body before
    compression."""

    body: Bytes
    continues: Bool
    message_body_size: I64 = wire(default=0, unless="continues")
    requires_response: Bool = False
    correlation_id: I64 = wire(default=0, since=V2_7, optional=True)
    sender_id: I32 = wire(default=0, since=V2_28, optional=True)


# --- messages; the hot path is in activeclient.wire.message -----------------------------------------------------------


@packet(71, reply=NULL, before_2_0=(old_send, modern_send))
class Send(Packet):
    """A message to the broker."""

    message: Message
    requires_response: Bool = False
    correlation_id: I64 = wire(default=0, since=V2_7, optional=True)
    sender_id: I32 = wire(default=0, since=V2_28, optional=True)


@packet(72)
class SendLarge(Packet):
    """A large message to the broker: all but its body, which follows in pieces."""

    message: MessageHeader


SENDS: Final = (Send.KIND, SendLarge.KIND, SendContinuation.KIND)
"""The numbers of the packets that carry a message to the broker, or a part of one."""


@packet(75, sent_by="server", before_2_0=(old_receive, modern_receive))
class ReceiveMessage(Packet):
    """A message to a consumer; `delivery_count` is 1 for the first delivery."""

    message: Message
    consumer_id: I64
    delivery_count: I32


@packet(76, sent_by="server")
class ReceiveLarge(Packet):
    """A large message to a consumer: all but its body, of which `large_message_size` bytes follow in pieces."""

    consumer_id: I64
    delivery_count: I32
    large_message_size: I64
    message: MessageHeader
