"""Names that brokers and clients give a meaning: of properties, and of the address that takes management messages.

Law of this file: each stands here once; whoever gives one its meaning says what that is. Source: Message,
ManagementHelper and ActiveMQDefaultConfiguration of Artemis.
"""

from __future__ import annotations

from typing import Final

DUPLICATE_ID: Final = "_AMQ_DUPL_ID"
BRIDGE_DUPLICATE_ID: Final = "_AMQ_BRIDGE_DUP"
SCHEDULED_DELIVERY: Final = "_AMQ_SCHED_DELIVERY"
GROUP_ID: Final = "_AMQ_GROUP_ID"
GROUP_SEQUENCE: Final = "_AMQ_GROUP_SEQUENCE"
LAST_VALUE: Final = "_AMQ_LVQ_NAME"
ROUTING_TYPE: Final = "_AMQ_ROUTING_TYPE"
ROUTE_TO: Final = "_AMQ_ROUTE_TO"
ACK_ROUTE_TO: Final = "_AMQ_ACK_ROUTE_TO"
VALIDATED_USER: Final = "_AMQ_VALIDATED_USER"
CONTENT_TYPE: Final = "_AMQ_CONTENT_TYPE"
LARGE_SIZE: Final = "_AMQ_LARGE_SIZE"
LARGE_COMPRESSED: Final = "_AMQ_LARGE_COMPRESSED"
INGRESS_TIMESTAMP: Final = "_AMQ_INGRESS_TIMESTAMP"
ORIGINAL_ADDRESS: Final = "_AMQ_ORIG_ADDRESS"
ORIGINAL_QUEUE: Final = "_AMQ_ORIG_QUEUE"
ORIGINAL_MESSAGE_ID: Final = "_AMQ_ORIG_MESSAGE_ID"
ORIGINAL_ROUTING_TYPE: Final = "_AMQ_ORIG_ROUTING_TYPE"
ACTUAL_EXPIRY: Final = "_AMQ_ACTUAL_EXPIRY"
CONNECTION_ID: Final = "__AMQ_CID"
"""Whose message it is, for `noLocal`."""

RECOVERY_BUFFER: Final = "activeclient-recovery-buffer"
"""Metadata by which a session asks that what is sent to it is kept by messages: how many of them."""
RECONNECTION_TIMEOUT: Final = "activeclient-reconnection-timeout"
"""Metadata by which a session asks how long it is kept while its connection is lost: milliseconds."""

REPLY_TO: Final = "JMSReplyTo"
CORRELATION_ID: Final = "JMSCorrelationID"
TYPE: Final = "JMSType"

MANAGEMENT_ADDRESS: Final = "activemq.management"
RESOURCE_NAME: Final = "_AMQ_ResourceName"
OPERATION_NAME: Final = "_AMQ_OperationName"
ATTRIBUTE: Final = "_AMQ_Attribute"
OPERATION_SUCCEEDED: Final = "_AMQ_OperationSucceeded"
