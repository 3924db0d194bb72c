"""What a broker says of its addresses, connections and consumers, as values.

Law of this file: it reads rows of Artemis' lists, in which numbers and booleans may be texts; what a broker does not
tell is 0, empty or False.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from activeclient.masking import always_shown

Row = Mapping[str, object]


def text(row: Row, key: str) -> str:
    """A value as text."""
    value = row.get(key)
    return "" if value is None else str(value)


def number(row: Row, key: str) -> int:
    """A value as a whole number."""
    value = text(row, key)
    return int(value) if value.lstrip("-").isdigit() else 0


def yes(row: Row, key: str) -> bool:
    """A value as a boolean."""
    return text(row, key).lower() == "true"


@always_shown
@dataclass(frozen=True, slots=True)
class AddressStatus:
    """What a broker says of an address."""

    name: str
    routing_types: tuple[str, ...]
    """ANYCAST, MULTICAST, or both."""
    queues: int
    """Queues that are bound to it."""
    messages: int
    """In all of them."""
    size: int
    """Bytes of memory that they take."""
    paused: bool
    paging: bool
    internal: bool
    temporary: bool

    @classmethod
    def of(cls, row: Row) -> Self:
        """Of a row of `listAddresses`."""
        types = row.get("routingTypes")
        return cls(
            name=text(row, "name"),
            routing_types=tuple(map(str, types)) if isinstance(types, list) else (),
            queues=number(row, "queueCount"),
            messages=number(row, "messageCount"),
            size=number(row, "addressSize"),
            paused=yes(row, "paused"),
            paging=yes(row, "paging"),
            internal=yes(row, "internal"),
            temporary=yes(row, "temporary"),
        )


@always_shown
@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """What a broker says of a connection."""

    id: str
    client_address: str
    """Host and port of the client."""
    sessions: int
    created: int
    """Milliseconds since 1970; 0 when the broker does not tell."""

    @classmethod
    def of(cls, row: Row) -> Self:
        """Of a row of `listConnectionsAsJSON`."""
        return cls(
            id=text(row, "connectionID"),
            client_address=text(row, "clientAddress"),
            sessions=number(row, "sessionCount"),
            created=number(row, "creationTime"),
        )


@always_shown
@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """What a broker says of a consumer."""

    queue: str
    connection: str
    """The id of its connection."""
    session: str
    browse_only: bool
    delivering: int
    """Messages that it has got and not acknowledged."""
    filter: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """Of a row of `listAllConsumersAsJSON`."""
        return cls(
            queue=text(row, "queueName"),
            connection=text(row, "connectionID"),
            session=text(row, "sessionID"),
            browse_only=yes(row, "browseOnly"),
            delivering=number(row, "deliveringCount"),
            filter=text(row, "filter"),
        )
