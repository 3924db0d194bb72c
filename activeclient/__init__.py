"""activeclient: a messaging client for Apache ActiveMQ Artemis whose users do not notice that connections break.

Law of this file: importing the package imports nothing else; a public name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from activeclient.version import __version__

if TYPE_CHECKING:
    from activeclient import errors, events
    from activeclient.client.listeners import ConnectionFailure, FailoverEventType, Recovery
    from activeclient.client.locator import ServerLocator
    from activeclient.destination import Destination, Queue, TemporaryQueue, TemporaryTopic, Topic
    from activeclient.jms.bytes_message import BytesMessage
    from activeclient.jms.connection import Connection
    from activeclient.jms.connection_factory import ActiveMQConnectionFactory, connect
    from activeclient.jms.consumer import MessageConsumer
    from activeclient.jms.foreign import ForeignMessage
    from activeclient.jms.map_message import MapMessage
    from activeclient.jms.message import Message
    from activeclient.jms.modes import AcknowledgeMode, DeliveryMode
    from activeclient.jms.object_message import ObjectMessage
    from activeclient.jms.producer import MessageProducer
    from activeclient.jms.serializers import Serializer
    from activeclient.jms.session import Session
    from activeclient.jms.stream_message import StreamMessage
    from activeclient.jms.text_message import TextMessage
    from activeclient.settings import Settings

__all__ = [
    "AcknowledgeMode",
    "ActiveMQConnectionFactory",
    "BytesMessage",
    "Connection",
    "ConnectionFailure",
    "DeliveryMode",
    "Destination",
    "FailoverEventType",
    "ForeignMessage",
    "MapMessage",
    "Message",
    "MessageConsumer",
    "MessageProducer",
    "ObjectMessage",
    "Queue",
    "Recovery",
    "Serializer",
    "ServerLocator",
    "Session",
    "Settings",
    "StreamMessage",
    "TemporaryQueue",
    "TemporaryTopic",
    "TextMessage",
    "Topic",
    "__version__",
    "connect",
    "errors",
    "events",
]

_HOMES = {
    "AcknowledgeMode": "jms.modes",
    "ActiveMQConnectionFactory": "jms.connection_factory",
    "BytesMessage": "jms.bytes_message",
    "Connection": "jms.connection",
    "ConnectionFailure": "client.listeners",
    "DeliveryMode": "jms.modes",
    "Destination": "destination",
    "FailoverEventType": "client.listeners",
    "ForeignMessage": "jms.foreign",
    "MapMessage": "jms.map_message",
    "Message": "jms.message",
    "MessageConsumer": "jms.consumer",
    "MessageProducer": "jms.producer",
    "ObjectMessage": "jms.object_message",
    "Queue": "destination",
    "Recovery": "client.listeners",
    "Serializer": "jms.serializers",
    "ServerLocator": "client.locator",
    "Session": "jms.session",
    "Settings": "settings",
    "StreamMessage": "jms.stream_message",
    "TemporaryQueue": "destination",
    "TemporaryTopic": "destination",
    "TextMessage": "jms.text_message",
    "Topic": "destination",
    "connect": "jms.connection_factory",
}
"""Public name to the module that defines it."""


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is not None:
        value: object = getattr(importlib.import_module(f"activeclient.{home}"), name)
    elif name in ("errors", "events"):
        value = importlib.import_module(f"activeclient.{name}")
    else:
        raise AttributeError(f"module 'activeclient' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
