"""activeclient: a messaging client for Apache ActiveMQ Artemis whose users do not notice that connections break.

Law of this file: importing the package imports nothing else; a public name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from activeclient.version import __version__

if TYPE_CHECKING:
    from activeclient import errors, events, reconnection
    from activeclient.app.application import App
    from activeclient.app.delivery import Delivery
    from activeclient.app.retries import Reject
    from activeclient.broker.embedded import EmbeddedBroker
    from activeclient.client.listeners import ConnectionFailure, FailoverEventType, Recovery
    from activeclient.client.locator import ServerLocator
    from activeclient.client.management import Management
    from activeclient.destination import Destination, Queue, TemporaryQueue, TemporaryTopic, Topic
    from activeclient.errors import (
        ActiveClientError,
        CallInterrupted,
        CallTimeout,
        ClosedError,
        ConfigError,
        ConnectFailed,
        ConnectionLost,
        DeliveryStopped,
        DisconnectedByServer,
        DuplicateIDError,
        ForkedError,
        HandshakeTimeout,
        HeartbeatMissed,
        IllegalStateError,
        IncompatibleVersion,
        InvalidClientIDError,
        InvalidDestinationError,
        InvalidSelectorError,
        JMSError,
        JMSSecurityError,
        LargeMessageError,
        LocalProtocolError,
        MessageEOFError,
        MessageFormatError,
        MessageNotReadableError,
        MessageNotWriteableError,
        MessagesMissing,
        NamingError,
        NoTextError,
        NotSent,
        OutageTimeout,
        Outcome,
        OutcomeUnknown,
        ProtocolError,
        ReattachDiverged,
        ReconnectGaveUp,
        RemoteProtocolError,
        ResourceAllocationError,
        SessionUnanswered,
        StoreError,
        TLSFailed,
        TransactionInProgressError,
        TransactionOutcomeUnknownError,
        TransactionRolledBackError,
        UnknownSettingError,
        UnreadableMessageError,
        UnsettledError,
        UnsupportedOperationError,
        XAError,
    )
    from activeclient.events import SessionState
    from activeclient.jms.browser import QueueBrowser
    from activeclient.jms.bytes_message import BytesMessage
    from activeclient.jms.connection import Connection
    from activeclient.jms.connection_factory import ActiveMQConnectionFactory, connect
    from activeclient.jms.consumer import MessageConsumer
    from activeclient.jms.context import JMSContext
    from activeclient.jms.context_consumer import JMSConsumer
    from activeclient.jms.context_producer import JMSProducer
    from activeclient.jms.foreign import ForeignMessage
    from activeclient.jms.map_message import MapMessage
    from activeclient.jms.message import Message
    from activeclient.jms.metadata import ConnectionMetaData
    from activeclient.jms.modes import AcknowledgeMode, DeliveryMode
    from activeclient.jms.object_message import ObjectMessage
    from activeclient.jms.producer import CompletionListener, MessageProducer
    from activeclient.jms.requestor import Requestor
    from activeclient.jms.serializers import Serializer
    from activeclient.jms.session import Session
    from activeclient.jms.stream_message import StreamMessage
    from activeclient.jms.text_message import TextMessage
    from activeclient.jms.xa import ActiveMQXAConnectionFactory, XAConnection, XAJMSContext, XAResource, XASession
    from activeclient.reconnection import ReconnectAttempt, ReconnectionStrategy
    from activeclient.settings import Settings
    from activeclient.wire.fields import Xid
    from activeclient.writer.stream_writer import StreamWriter

__all__ = [
    "AcknowledgeMode",
    "ActiveClientError",
    "ActiveMQConnectionFactory",
    "ActiveMQXAConnectionFactory",
    "App",
    "BytesMessage",
    "CallInterrupted",
    "CallTimeout",
    "ClosedError",
    "CompletionListener",
    "ConfigError",
    "ConnectFailed",
    "Connection",
    "ConnectionFailure",
    "ConnectionLost",
    "ConnectionMetaData",
    "Delivery",
    "DeliveryMode",
    "DeliveryStopped",
    "Destination",
    "DisconnectedByServer",
    "DuplicateIDError",
    "EmbeddedBroker",
    "FailoverEventType",
    "ForeignMessage",
    "ForkedError",
    "HandshakeTimeout",
    "HeartbeatMissed",
    "IllegalStateError",
    "IncompatibleVersion",
    "InvalidClientIDError",
    "InvalidDestinationError",
    "InvalidSelectorError",
    "JMSConsumer",
    "JMSContext",
    "JMSError",
    "JMSProducer",
    "JMSSecurityError",
    "LargeMessageError",
    "LocalProtocolError",
    "Management",
    "MapMessage",
    "Message",
    "MessageConsumer",
    "MessageEOFError",
    "MessageFormatError",
    "MessageNotReadableError",
    "MessageNotWriteableError",
    "MessageProducer",
    "MessagesMissing",
    "NamingError",
    "NoTextError",
    "NotSent",
    "ObjectMessage",
    "OutageTimeout",
    "Outcome",
    "OutcomeUnknown",
    "ProtocolError",
    "Queue",
    "QueueBrowser",
    "ReattachDiverged",
    "ReconnectAttempt",
    "ReconnectGaveUp",
    "ReconnectionStrategy",
    "Recovery",
    "Reject",
    "RemoteProtocolError",
    "Requestor",
    "ResourceAllocationError",
    "Serializer",
    "ServerLocator",
    "Session",
    "SessionState",
    "SessionUnanswered",
    "Settings",
    "StoreError",
    "StreamMessage",
    "StreamWriter",
    "TLSFailed",
    "TemporaryQueue",
    "TemporaryTopic",
    "TextMessage",
    "Topic",
    "TransactionInProgressError",
    "TransactionOutcomeUnknownError",
    "TransactionRolledBackError",
    "UnknownSettingError",
    "UnreadableMessageError",
    "UnsettledError",
    "UnsupportedOperationError",
    "XAConnection",
    "XAError",
    "XAJMSContext",
    "XAResource",
    "XASession",
    "Xid",
    "__version__",
    "connect",
    "errors",
    "events",
    "reconnection",
]

_HOMES = {
    "App": "app.application",
    "Delivery": "app.delivery",
    "Reject": "app.retries",
    "AcknowledgeMode": "jms.modes",
    "ActiveMQConnectionFactory": "jms.connection_factory",
    "ActiveMQXAConnectionFactory": "jms.xa",
    "Management": "client.management",
    "BytesMessage": "jms.bytes_message",
    "CompletionListener": "jms.producer",
    "Connection": "jms.connection",
    "ConnectionFailure": "client.listeners",
    "ConnectionMetaData": "jms.metadata",
    "DeliveryMode": "jms.modes",
    "Destination": "destination",
    "EmbeddedBroker": "broker.embedded",
    "FailoverEventType": "client.listeners",
    "ForeignMessage": "jms.foreign",
    "JMSConsumer": "jms.context_consumer",
    "JMSContext": "jms.context",
    "JMSProducer": "jms.context_producer",
    "MapMessage": "jms.map_message",
    "Message": "jms.message",
    "MessageConsumer": "jms.consumer",
    "MessageProducer": "jms.producer",
    "ObjectMessage": "jms.object_message",
    "Queue": "destination",
    "QueueBrowser": "jms.browser",
    "ReconnectAttempt": "reconnection",
    "ReconnectionStrategy": "reconnection",
    "Recovery": "client.listeners",
    "Requestor": "jms.requestor",
    "Serializer": "jms.serializers",
    "ServerLocator": "client.locator",
    "Session": "jms.session",
    "SessionState": "events",
    "Settings": "settings",
    "StreamMessage": "jms.stream_message",
    "StreamWriter": "writer.stream_writer",
    "TemporaryQueue": "destination",
    "TemporaryTopic": "destination",
    "TextMessage": "jms.text_message",
    "Topic": "destination",
    "XAConnection": "jms.xa",
    "XAJMSContext": "jms.xa",
    "XAResource": "jms.xa",
    "XASession": "jms.xa",
    "Xid": "wire.fields",
    "connect": "jms.connection_factory",
}
"""Public name to the module that defines it; those that are not here are exceptions, of `errors`."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'activeclient' has no attribute {name!r}")
    if name in ("errors", "events", "reconnection"):
        value: object = importlib.import_module(f"activeclient.{name}")
    else:
        value = getattr(importlib.import_module(f"activeclient.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
