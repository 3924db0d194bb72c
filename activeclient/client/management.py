"""Asking a broker about itself by management messages, which need nothing but a connection.

Law of this file: it reads and it invokes what it was asked to, one question at a time; an answer that says no is an
error with the broker's words. The names of resources, operations and attributes are those of Artemis' control classes
(ActiveMQServerControl, QueueControl), the form of the messages is that of its manual's chapter "Management".
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from activeclient.arguments import flag, one_of, text, whole
from activeclient.client.broker_status import AddressStatus, ConnectionStatus, ConsumerStatus, Row
from activeclient.client.broker_status import number as number_in
from activeclient.client.broker_status import text as text_in
from activeclient.client.broker_status import yes as yes_in
from activeclient.client.closing import leave
from activeclient.client.session import ROUTING, RoutingType
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    InvalidDestinationError,
    JMSError,
    MessageFormatError,
    OutageTimeout,
    Outcome,
    RemoteProtocolError,
)
from activeclient.masking import Secret, always_shown
from activeclient.server_code import ServerCode
from activeclient.wire.message import TEXT, text_body, text_of
from activeclient.wire.names import (
    ATTRIBUTE,
    CORRELATION_ID,
    MANAGEMENT_ADDRESS,
    OPERATION_NAME,
    OPERATION_SUCCEEDED,
    REPLY_TO,
    RESOURCE_NAME,
)

if TYPE_CHECKING:
    from activeclient.client.session_factory import ClientSessionFactory
    from activeclient.wire.message import CoreMessage

MAX_NESTING: Final = 2
"""How often a text is taken for JSON within JSON."""
PAGE: Final = 500
"""Queues that are asked for at once."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@always_shown
@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What a broker says of a queue."""

    name: str
    address: str
    routing_type: str
    """ANYCAST or MULTICAST."""
    messages: int
    """In the queue, those under delivery and the scheduled ones included."""
    delivering: int
    """With consumers, and not acknowledged."""
    scheduled: int
    consumers: int
    added: int
    """Since the broker started, or the queue was made; so the next three."""
    acknowledged: int
    expired: int
    killed: int
    """Moved to the dead letter address, or dropped, after too many deliveries."""
    durable: bool
    temporary: bool
    paused: bool
    internal: bool
    filter: str


class Management:
    """Management of the broker that a connection leads to. A context manager: leaving it closes its session.

    Args:
        factory: The connection; the broker asks for permission `manage` on the address activemq.management.
        user: Instead of the settings' user.
        password: Instead of the settings' password.
        timeout: Seconds to wait for each answer.

    Raises:
        JMSSecurityError: Wrong credentials, or no permission to make a temporary queue for the answers.
        ConnectionLost, OutageTimeout: The connection is gone.
    """

    def __init__(
        self,
        factory: ClientSessionFactory,
        user: str | None = None,
        password: str | None = None,
        *,
        timeout: float = 10.0,
    ) -> None:
        password = Secret.of(password)
        self._begin(factory, user, password, timeout)

    @classmethod
    def of(cls, factory: ClientSessionFactory, user: str | None, password: str | None, timeout: float) -> Self:
        """As the class itself, but an interrupt leaves nothing behind, up to the moment when the caller has it."""
        password = Secret.of(password)
        made = cls.__new__(cls)
        try:
            made._begin(factory, user, password, timeout)
            return made
        except BaseException:
            if "_session" in made.__dict__:
                made._session.abandon()
            raise

    def _begin(self, factory: ClientSessionFactory, user: str | None, password: str | None, timeout: float) -> None:
        password = Secret.of(password)
        self._factory = factory
        self._timeout = timeout
        self.owner: object = None
        """What is not to be closed while this is in use."""
        self._session = factory.create_session(user, password, ack_batch_size=0)
        try:
            self._answers = f"activeclient.management.{uuid.uuid4()}"
            self._session.create_temporary_queue(self._answers)
            self._producer = self._session.create_producer(MANAGEMENT_ADDRESS)
            self._consumer = self._session.create_consumer(self._answers)
            self._session.start()
        except ActiveClientError:
            self._session.close()
            raise
        except BaseException:
            self._session.abandon()
            raise

    def invoke(self, resource: str, operation: str, *arguments: Json) -> Json:
        """Call an operation and return its result, decoded: also what the broker puts into a text as JSON once more.

        Args:
            resource: `broker`, `queue.NAME`, `address.NAME`, ...
            operation: As in Java, such as `listQueues`.
            arguments: What JSON has: None, bool, numbers, texts, lists, dicts.

        Raises:
            JMSError: The broker has no such resource or operation, or it failed; the text is the broker's.
            JMSSecurityError: No permission.
            MessageFormatError: JSON does not have an argument; nothing was sent.
            CallTimeout, OutageTimeout: No answer came in time, while connected or not; the operation may have been
                carried out, where `outcome` is UNKNOWN.
        """
        return self._ask(f"{resource}.{operation}", {RESOURCE_NAME: resource, OPERATION_NAME: operation}, arguments)

    def attribute(self, resource: str, name: str) -> Json:
        """Read an attribute, such as `version` of `broker`.

        Raises:
            JMSError, JMSSecurityError, CallTimeout, OutageTimeout: As `invoke`.
        """
        return self._ask(f"{resource}.{name}", {RESOURCE_NAME: resource, ATTRIBUTE: name}, ())

    def queues(self, containing: str = "") -> Iterator[QueueStatus]:
        """The queues whose name contains a text, without the one that this object gets its answers by.

        Raises:
            JMSError, JMSSecurityError, CallTimeout, OutageTimeout: As `invoke`.
        """
        for row in self._pages("listQueues", "queues", containing):
            status = _status(row)
            if status.name != self._answers:
                yield status

    def addresses(self, containing: str = "") -> Iterator[AddressStatus]:
        """The addresses whose name contains a text, without the one that this object gets its answers by.

        Raises:
            JMSError, JMSSecurityError, CallTimeout, OutageTimeout: As `invoke`.
        """
        for row in self._pages("listAddresses", "addresses", containing):
            status = AddressStatus.of(row)
            if status.name != self._answers:
                yield status

    def connections(self) -> list[ConnectionStatus]:
        """The connections of all clients, this one too.

        Raises:
            JMSError, JMSSecurityError, CallTimeout, OutageTimeout: As `invoke`.
        """
        return [ConnectionStatus.of(row) for row in self._list("listConnectionsAsJSON", "connections")]

    def consumers(self, queue: str | None = None) -> list[ConsumerStatus]:
        """The consumers of all clients, or those of a queue; without the one of this object.

        Raises:
            JMSError, JMSSecurityError, CallTimeout, OutageTimeout: As `invoke`.
        """
        text("queue", queue, optional=True)
        found = [ConsumerStatus.of(row) for row in self._list("listAllConsumersAsJSON", "consumers")]
        return [each for each in found if each.queue != self._answers and queue in (None, each.queue)]

    def _pages(self, operation: str, what: str, containing: str) -> Iterator[dict[str, Json]]:
        text("containing", containing)
        wanted = json.dumps({"field": "name", "operation": "CONTAINS", "value": containing})
        page = 1
        while True:
            found = self.invoke("broker", operation, wanted, page, PAGE)
            rows = _rows(operation, what, found.get("data") if isinstance(found, dict) else None)
            yield from rows
            if len(rows) < PAGE:
                return
            page += 1

    def _list(self, operation: str, what: str) -> list[dict[str, Json]]:
        return _rows(operation, what, self.invoke("broker", operation))

    # --- what changes something -----------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        address: str | None = None,
        *,
        routing_type: RoutingType = "ANYCAST",
        durable: bool = True,
        filter: str | None = None,
        max_consumers: int = -1,
    ) -> None:
        """Create a queue, and its address if there is none.

        Args:
            name: The queue's.
            address: Default: the name.
            filter: Only messages that match it are kept, in the core filter language.
            max_consumers: At most so many; -1: no limit.

        Raises:
            JMSError: It exists, or the broker refuses it; and what else `invoke` raises.
        """
        text("name", name)
        text("address", address, optional=True)
        text("filter", filter, optional=True)
        flag("durable", durable)
        whole("max_consumers", max_consumers, -1)
        one_of("routing_type", routing_type, ROUTING)
        wanted: dict[str, Json] = {
            "name": name,
            "address": address or name,
            "routing-type": routing_type,
            "durable": durable,
            "max-consumers": max_consumers,
            "auto-create-address": True,
        }
        if filter is not None:
            wanted["filter-string"] = filter
        self.invoke("broker", "createQueue", json.dumps(wanted), False)

    def delete(self, name: str, *, with_consumers: bool = False) -> None:
        """Delete a queue with its messages, and its address if that has no other queue and was made automatically.

        Args:
            with_consumers: End its consumers; without it, a queue that has some is refused.

        Raises:
            InvalidDestinationError: There is no such queue.
            JMSError: It has consumers; and what else `invoke` raises.
        """
        flag("with_consumers", with_consumers)
        self._require(name)
        self.invoke("broker", "destroyQueue", name, with_consumers, True)

    def purge(self, name: str, filter: str | None = None) -> int:
        """Remove the messages of a queue that no consumer has, and return how many.

        Args:
            filter: Only those that match it, in the core filter language.

        Raises:
            InvalidDestinationError: There is no such queue.
            JMSError: What else `invoke` raises.
        """
        text("filter", filter, optional=True)
        self._require(name)
        if filter is None:
            return self._counted(name, "removeAllMessages")
        return self._counted(name, "removeMessages", filter)

    def move(self, name: str, target: str, filter: str | None = None) -> int:
        """Move the messages of a queue that no consumer has to another queue, and return how many.

        Args:
            filter: Only those that match it, in the core filter language.

        Raises:
            InvalidDestinationError: There is no such queue, or no such target.
            JMSError: What else `invoke` raises.
        """
        text("filter", filter, optional=True)
        self._require(name)
        self._require(target)
        return self._counted(name, "moveMessages", filter, target)

    def retry(self, name: str) -> int:
        """Send the dead letters of a queue back to the queues that they came from, and return how many.

        Raises:
            InvalidDestinationError: There is no such queue.
            JMSError: What else `invoke` raises.
        """
        self._require(name)
        return self._counted(name, "retryMessages")

    def pause(self, name: str, *, persist: bool = False) -> None:
        """Let a queue deliver nothing; it takes messages.

        Args:
            persist: Also after a restart of the broker. The embedded broker does not know that.

        Raises:
            InvalidDestinationError: There is no such queue.
            JMSError: What else `invoke` raises.
        """
        flag("persist", persist)
        self._require(name)
        self.invoke(f"queue.{name}", "pause", persist)

    def resume(self, name: str) -> None:
        """Let a paused queue deliver again.

        Raises:
            InvalidDestinationError: There is no such queue.
            JMSError: What else `invoke` raises.
        """
        self._require(name)
        self.invoke(f"queue.{name}", "resume")

    def _require(self, name: str) -> None:
        if not self._session.query_queue(name).exists:
            raise InvalidDestinationError(f"there is no queue {name[:200]}", code=ServerCode.QUEUE_DOES_NOT_EXIST)

    def _counted(self, name: str, operation: str, *arguments: Json) -> int:
        count = self.invoke(f"queue.{name}", operation, *arguments)
        if isinstance(count, bool) or not isinstance(count, int):
            raise RemoteProtocolError(f"the answer to {operation} is no number")
        return count

    def _ask(self, what: str, names: Mapping[str, str], arguments: tuple[Json, ...]) -> Json:
        for name in names.values():
            text("resource, operation or attribute", name)
        try:
            body = json.dumps(arguments, allow_nan=False) if arguments else None
        except (TypeError, ValueError, RecursionError) as error:
            raise MessageFormatError(f"{what}: an argument cannot be told as JSON: {error}") from error
        question = self._session.create_message(
            durable=True,  # so that a refusal is told by the send; the broker stores no such message
            body=text_body(body),
            body_type=TEXT,
        )
        correlation_id = str(uuid.uuid4())
        question.properties.update({**names, REPLY_TO: self._answers, "JMSCorrelationID": correlation_id})
        self._producer.send(question)
        while True:
            answer = self._consumer.receive(self._timeout)
            if answer is None:
                silence = f"{what}: no answer within {self._timeout:g} s"
                if self._factory.is_connected:
                    raise CallTimeout(silence)
                raise OutageTimeout(f"{silence}; not connected", outcome=Outcome.UNKNOWN)
            answer.acknowledge()
            if answer.properties.get(CORRELATION_ID) == correlation_id:
                return _result(what, answer)

    def close(self) -> None:
        """Close its session, and delete the queue of the answers if the connection is up; else that goes with it."""
        if not self._session.is_closed and self._factory.is_connected:  # else it would wait for the broker
            with contextlib.suppress(ActiveClientError):
                self._consumer.close()
                self._session.delete_queue(self._answers)
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)


def _result(what: str, answer: CoreMessage) -> Json:
    text = text_of(answer.body)
    try:
        results: Json = [None] if text is None else json.loads(text)
    except ValueError as error:
        raise RemoteProtocolError(f"the answer to {what} is no JSON") from error
    result = results[0] if isinstance(results, list) and results else None
    if answer.properties.get(OPERATION_SUCCEEDED) is not True:
        raise JMSError(f"{what}: {result}")
    return decoded(result)


def decoded(value: Json, depth: int = 0) -> Json:
    """`value`, in which texts that hold a JSON list or object have become that; other texts stay texts."""
    if isinstance(value, str):
        if depth == MAX_NESTING or value[:1] not in ("[", "{"):
            return value
        try:
            return decoded(json.loads(value), depth + 1)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, list):
        return [decoded(each, depth) for each in value]
    if isinstance(value, dict):
        return {key: decoded(each, depth) for key, each in value.items()}
    return value


def _rows(operation: str, what: str, found: Json) -> list[dict[str, Json]]:
    rows = found if isinstance(found, list) else None
    if rows is None or not all(isinstance(row, dict) for row in rows):
        raise RemoteProtocolError(f"the answer to {operation} is no list of {what}")
    return rows  # type: ignore[return-value]


def _status(row: Row) -> QueueStatus:
    return QueueStatus(
        name=text_in(row, "name"),
        address=text_in(row, "address"),
        routing_type=text_in(row, "routingType"),
        messages=number_in(row, "messageCount"),
        delivering=number_in(row, "deliveringCount"),
        scheduled=number_in(row, "scheduledCount"),
        consumers=number_in(row, "consumerCount"),
        added=number_in(row, "messagesAdded"),
        acknowledged=number_in(row, "messagesAcked"),
        expired=number_in(row, "messagesExpired"),
        killed=number_in(row, "messagesKilled"),
        durable=yes_in(row, "durable"),
        temporary=yes_in(row, "temporary"),
        paused=yes_in(row, "paused"),
        internal=yes_in(row, "internalQueue"),
        filter=text_in(row, "filter"),
    )
