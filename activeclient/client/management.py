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

from activeclient.arguments import text
from activeclient.client.closing import leave
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    JMSError,
    MessageFormatError,
    OutageTimeout,
    Outcome,
    RemoteProtocolError,
)
from activeclient.masking import Secret, always_shown
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
        text("containing", containing)
        wanted = json.dumps({"field": "name", "operation": "CONTAINS", "value": containing})
        page = 1
        while True:
            found = self.invoke("broker", "listQueues", wanted, page, PAGE)
            rows = found.get("data") if isinstance(found, dict) else None
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise RemoteProtocolError("the answer to listQueues is no list of queues")
            for row in rows:
                assert isinstance(row, dict)
                status = _status(row)
                if status.name != self._answers:
                    yield status
            if len(rows) < PAGE:
                return
            page += 1

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


def _status(row: Mapping[str, object]) -> QueueStatus:
    def text(key: str) -> str:
        return str(row.get(key, ""))

    def number(key: str) -> int:
        value = text(key)
        return int(value) if value.lstrip("-").isdigit() else 0

    def yes(key: str) -> bool:
        return text(key).lower() == "true"

    return QueueStatus(
        name=text("name"),
        address=text("address"),
        routing_type=text("routingType"),
        messages=number("messageCount"),
        delivering=number("deliveringCount"),
        scheduled=number("scheduledCount"),
        consumers=number("consumerCount"),
        added=number("messagesAdded"),
        acknowledged=number("messagesAcked"),
        expired=number("messagesExpired"),
        killed=number("messagesKilled"),
        durable=yes("durable"),
        temporary=yes("temporary"),
        paused=yes("paused"),
        internal=yes("internalQueue"),
        filter=text("filter"),
    )
