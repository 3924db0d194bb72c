"""Asking the broker about itself, and having it do things, by messages to its management address.

Law of this file: each request is answered by its own reply, a refusal raises with the broker's words, and results come
decoded: the broker wraps lists and objects into JSON, and often that into a text of JSON once more.
"""

from __future__ import annotations

import json
import time
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from activeclient.errors import CallTimeout, JMSError, MessageFormatError
from activeclient.jms.times import Duration, in_seconds
from activeclient.wire.message import TEXT, CoreMessage, text_body, text_of
from activeclient.wire.properties import Byte

if TYPE_CHECKING:
    from activeclient.jms.connection import Connection

ADDRESS = "activemq.management"
BROKER = "broker"
RESOURCE, OPERATION, ATTRIBUTE = "_AMQ_ResourceName", "_AMQ_OperationName", "_AMQ_Attribute"
SUCCEEDED = "_AMQ_OperationSucceeded"
REPLY_TO, CORRELATION_ID = "JMSReplyTo", "JMSCorrelationID"
ANYCAST = Byte(1)
MAX_NESTING = 2
"""How often a text is taken for JSON within JSON."""
Result: TypeAlias = "bool | int | float | str | list[Result] | dict[str, Result] | None"


class BrokerManagement:
    """The broker's management, over a connection. A context manager; made with `BrokerManagement(connection)`.

    Resources are called `broker`, `queue.NAME`, `address.NAME`, `acceptor.NAME`, `divert.NAME`, `bridge.NAME`; their
    attributes and operations are those of Artemis' management interfaces (ActiveMQServerControl, QueueControl, ...).
    The connection's user needs the permission `manage` on `activemq.management`. For one thread at a time; the
    connection need not be started.
    """

    def __init__(self, connection: Connection) -> None:
        self._session = connection.core_session()
        try:
            self._reply_to = str(uuid.uuid4())
            self._session.create_temporary_queue(self._reply_to)
            self._consumer = self._session.create_consumer(self._reply_to)
            self._producer = self._session.create_producer(ADDRESS)
            self._session.start()
        except BaseException:
            self._session.close()
            raise

    def attribute(self, resource: str, name: str, *, timeout: Duration | None = None) -> Result:
        """The value of an attribute: `attribute("queue.orders", "messageCount")`.

        Args:
            timeout: Seconds to wait instead of callTimeout.

        Raises:
            JMSError: There is no such resource or attribute.
            CallTimeout: No reply came.
        """
        return self._ask({RESOURCE: resource, ATTRIBUTE: name}, (), timeout)

    def invoke(self, resource: str, operation: str, *arguments: object, timeout: Duration | None = None) -> Result:
        """Call an operation and return its result: `invoke("broker", "getQueueNames", "ANYCAST")`.

        Args:
            arguments: What JSON can express; the broker chooses the operation by their number and types.
            timeout: Seconds to wait instead of callTimeout.

        Raises:
            JMSError: The broker refused it, or it failed.
            MessageFormatError: An argument cannot be expressed in JSON.
            CallTimeout: No reply came; the operation may have been carried out.
        """
        return self._ask({RESOURCE: resource, OPERATION: operation}, arguments, timeout)

    def _ask(self, what: dict[str, str], arguments: tuple[object, ...], timeout: Duration | None) -> Result:
        limit = self._session.calls.call_timeout if timeout is None else in_seconds("timeout", timeout)
        try:
            parameters = json.dumps(arguments)
        except (TypeError, ValueError) as error:
            raise MessageFormatError(f"arguments of {_named(what)}: {error}") from error
        question = str(uuid.uuid4())
        request = CoreMessage(text_body(parameters), TEXT, durable=False)
        request.properties.update({**what, REPLY_TO: f"queue://{self._reply_to}", CORRELATION_ID: question})
        request.properties["_AMQ_ROUTING_TYPE"] = ANYCAST
        self._producer.send(request)
        deadline = time.monotonic() + limit
        while True:
            reply = self._consumer.receive(max(0.0, deadline - time.monotonic()))
            if reply is None:
                raise CallTimeout(f"{_named(what)}: no reply within {limit:g} s")
            reply.acknowledge()
            if reply.properties.get(CORRELATION_ID) == question:
                return self._result(what, reply)

    def _result(self, what: dict[str, str], reply: CoreMessage) -> Result:
        values = decoded(text_of(reply.body))
        result = values[0] if isinstance(values, list) and values else None
        if not reply.properties.get(SUCCEEDED):
            raise JMSError(f"{_named(what)}: {result}")
        return result

    def close(self) -> None:
        """End it, with its temporary queue; the connection stays."""
        if not self._session.is_closed:
            self._consumer.close()
            self._session.delete_queue(self._reply_to)
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<BrokerManagement {self._session!r}>"


def _named(what: dict[str, str]) -> str:
    return " ".join(what.values())


def decoded(value: object, depth: int = 0) -> Result:
    """Texts that hold a JSON list or object become that; other texts stay texts."""
    if isinstance(value, str):
        if depth > MAX_NESTING or value[:1] not in ("[", "{"):
            return value
        try:
            return decoded(json.loads(value), depth + 1)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, list):
        return [decoded(each, depth) for each in value]
    if isinstance(value, dict):
        return {str(key): decoded(each, depth) for key, each in value.items()}
    return value if value is None or isinstance(value, bool | int | float) else str(value)
