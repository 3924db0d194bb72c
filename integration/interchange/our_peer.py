"""Our client as a peer: the same descriptions and the same dumps as the Java program's, through the JMS API.

Law: it uses nothing that an application could not; what it tells is what the getters gave.
"""

from __future__ import annotations

from typing import Any, Self

from activeclient import (
    ActiveMQConnectionFactory,
    BytesMessage,
    Connection,
    MapMessage,
    Message,
    ObjectMessage,
    Session,
    StreamMessage,
    TextMessage,
)
from activeclient.destination import Destination, parse_destination
from activeclient.errors import ActiveClientError
from activeclient.jms.named_values import NamedValues
from integration.interchange.notation import Description, Dump, Value, told, value_of


class OurPeer:
    """A connection and one session of our client.

    Args:
        url: As Artemis knows it, with `user`, `password` and further settings.
    """

    name = "ours"

    def __init__(self, url: str, **settings: Any) -> None:
        factory = ActiveMQConnectionFactory(url, **settings)
        self.connection: Connection = factory.create_connection()
        self.connection.start()
        self.session: Session = self.connection.create_session()

    def send(self, destination: str, messages: list[Description]) -> list[Dump]:
        """The headers of each as its sender sees them, or `error` and `text`."""
        sent = []
        with self.session.create_producer(parse_destination(destination)) as producer:
            for described in messages:
                try:
                    message = message_of(described)
                    producer.disable_message_id = described.get("no_id") == "true"
                    producer.disable_message_timestamp = described.get("no_timestamp") == "true"
                    producer.send(
                        message,
                        delivery_mode=1 if described.get("delivery_mode") == "NON_PERSISTENT" else 2,
                        priority=int(described.get("priority", "4")),
                        time_to_live=int(described.get("time_to_live", "0")) / 1000,
                        delivery_delay=int(described.get("delivery_delay", "0")) / 1000,
                    )
                    sent.append(headers(message))
                except (ActiveClientError, ValueError, TypeError) as failure:
                    sent.append({"error": type(failure).__name__, "text": str(failure)})
        return sent

    def receive(self, destination: str, count: int = 1, timeout: float = 30.0) -> list[Dump]:
        """The next *count* messages; fewer when none comes for *timeout* seconds."""
        got: list[Dump] = []
        with self.session.create_consumer(parse_destination(destination)) as consumer:
            while len(got) < count and (message := consumer.receive(timeout)) is not None:
                got.append(dump(message))
        return got

    def close(self) -> None:
        """End the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- from a description to a message ----------------------------------------------------------------------------------


def message_of(described: Description) -> Message:
    """The message that is described."""
    message = _with_body(described)
    for name, value in described.get("properties", []):
        _set(message.properties, name, value)
    if "correlation_id" in described:
        message.jms_correlation_id = value_of(described["correlation_id"])  # type: ignore[assignment]
    if "reply_to" in described:
        message.jms_reply_to = parse_destination(described["reply_to"])
    if "jms_type" in described:
        message.jms_type = described["jms_type"]
    return message


def _with_body(described: Description) -> Message:
    body = described.get("body")
    match described["type"]:
        case "text":
            return TextMessage(value_of(body))  # type: ignore[arg-type]
        case "bytes":
            message = BytesMessage()
            for value in body or ():
                kind = "utf" if value[0] == "string" else value[0]
                getattr(message, f"write_{kind}")(value_of(value))
            return message
        case "map":
            entries = MapMessage()
            for name, value in body or ():
                _set(entries, name, value)
            return entries
        case "stream":
            stream = StreamMessage()
            for value in body or ():
                kind = "string" if value[0] == "null" else value[0]
                getattr(stream, f"write_{kind}")(value_of(value))
            return stream
        case "object":
            made = ObjectMessage()
            made.raw = value_of(body)  # type: ignore[arg-type, assignment]
            return made
        case "message":
            return Message()
    raise ValueError(f"no such type: {described['type']}")


def _set(values: NamedValues, name: str, value: Value) -> None:
    kind = "string" if value[0] == "null" else value[0]
    getattr(values, f"set_{kind}")(name, value_of(value))


# --- from a message to its dump ---------------------------------------------------------------------------------------


def headers(message: Message) -> Dump:
    """What the headers' getters give."""
    return {
        "message_id": message.jms_message_id,
        "timestamp": str(message.jms_timestamp),
        "destination": _told_destination(message.jms_destination),
        "delivery_mode": message.jms_delivery_mode.name,
        "priority": str(message.jms_priority),
        "expiration": str(message.jms_expiration),
        "delivery_time": str(message.jms_delivery_time),
        "redelivered": "true" if message.jms_redelivered else "false",
        "jms_type": message.jms_type,
        "reply_to": _told_destination(message.jms_reply_to),
        "correlation_id": told(message.jms_correlation_id),
    }


def dump(message: Message) -> Dump:
    """All that is to be seen of a received message."""
    found = headers(message)
    found["properties"] = {name: told(value) for name, value in message.properties.items()}
    found["core_properties"] = {name: told(value) for name, value in message.core.properties.items()}
    found["core_type"] = str(message.core.body_type)
    try:
        found["type"], found["body"] = _body(message)
    except ActiveClientError as failure:
        found["body"] = {"error": type(failure).__name__, "text": str(failure)}
    return found


def _body(message: Message) -> tuple[str, object]:
    match message:
        case TextMessage():
            return "text", told(message.text)
        case BytesMessage():
            return "bytes", told(message.data)
        case MapMessage():
            return "map", {name: told(value) for name, value in message.items()}
        case StreamMessage():
            return "stream", [told(value) for value in message]
        case ObjectMessage():
            return "object", told(message.raw)
    return "message", told(None)


def _told_destination(destination: Destination | None) -> str | None:
    return None if destination is None else str(destination)
