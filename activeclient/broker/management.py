"""Management by messages: what a message to the management address asks for is done, and answered to its JMSReplyTo.

Law of this file: every failure becomes an answer, never an error of the sender; nobody is answered who did not say
where. Forms of question and answer are those of Artemis (ManagementServiceImpl, ManagementHelper).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from activeclient.broker.address_control import AddressControl
from activeclient.broker.broker_control import BrokerControl
from activeclient.broker.control import Json, compact
from activeclient.broker.message import StoredMessage
from activeclient.broker.queue_control import QueueControl
from activeclient.errors import ActiveClientError, JMSError
from activeclient.wire.message import TEXT, CoreMessage, text_body, text_of
from activeclient.wire.names import (
    ATTRIBUTE,
    CORRELATION_ID,
    OPERATION_NAME,
    OPERATION_SUCCEEDED,
    REPLY_TO,
    RESOURCE_NAME,
)
from activeclient.wire.properties import PropertyValue

if TYPE_CHECKING:
    from activeclient.broker.control import Control
    from activeclient.broker.postoffice import PostOffice


class Management:
    """The management operations of a post office."""

    __slots__ = ("_offered", "_office")

    def __init__(self, office: PostOffice) -> None:
        self._office = office
        self._offered: dict[str, Callable[..., Json]] = {}

    def offer(self, name: str, call: Callable[..., Json]) -> None:
        """An operation of the broker that the model does not know, such as those on connections; or, called without
        arguments, an attribute."""
        self._offered[name] = call

    def handle(self, message: StoredMessage) -> StoredMessage | None:
        """Do what the message asks for; the answer, which is on its way already, or None when nobody wants one."""
        properties: dict[str, PropertyValue] = {}
        try:
            properties = message.properties
            result, succeeded = self._do(message), True
        except ActiveClientError as error:
            result, succeeded = str(error), False
        except Exception as error:
            # Arguments of a wrong type, nested too deep for JSON; what is in them must end neither sender nor broker.
            result, succeeded = f"{type(error).__name__}: {error}", False
        reply_to = properties.get(REPLY_TO)
        if not isinstance(reply_to, str):
            return None
        answer = CoreMessage(
            text_body(None if result is None and succeeded else compact([result])),
            TEXT,
            reply_to.rpartition("://")[2],
            durable=False,
            timestamp=self._office.clock.wall_ms(),
            properties={OPERATION_SUCCEEDED: succeeded},
        )
        correlation_id = properties.get(CORRELATION_ID)
        if correlation_id is None:
            correlation_id = message.property("AMQUserID")
        if correlation_id is not None:
            answer.properties[CORRELATION_ID] = correlation_id
        made = StoredMessage.from_core(answer)
        try:
            self._office.route(made)
        except ActiveClientError:
            return None  # the address of the answer is full, or cannot be: nobody waits there
        return made

    def _do(self, message: StoredMessage) -> Json:
        properties = message.properties
        resource = properties.get(RESOURCE_NAME)
        operation, attribute = properties.get(OPERATION_NAME), properties.get(ATTRIBUTE)
        if not isinstance(resource, str):
            raise JMSError(f"a management message needs the property {RESOURCE_NAME}")
        if isinstance(operation, str):
            arguments = json.loads(text_of(message.body) or "[]")
            if not isinstance(arguments, list):
                raise JMSError("the arguments of an operation must be a JSON array")
            return self.invoke(resource, operation, *arguments)
        if isinstance(attribute, str):
            return self.attribute(resource, attribute)
        raise JMSError(f"a management message needs the property {OPERATION_NAME} or {ATTRIBUTE}")

    def invoke(self, resource: str, operation: str, *arguments: Json) -> Json:
        """Call an operation.

        Args:
            resource: `broker`, `queue.NAME` or `address.NAME`.

        Raises:
            JMSError: There is no such resource or operation; whatever else it raises.
        """
        if resource == "broker" and operation in self._offered:
            return self._offered[operation](*arguments)
        control = self._control(resource)
        if control is None:
            raise JMSError(f"AMQ229067: Cannot find resource with name {resource}")
        return control.invoke(operation, arguments)

    def attribute(self, resource: str, name: str) -> Json:
        """The value of an attribute.

        Raises:
            JMSError: There is no such resource or attribute.
        """
        if resource == "broker" and name in self._offered:
            return self._offered[name]()
        control = self._control(resource)
        if control is None:
            raise JMSError(f"Problem while retrieving attribute {name}")
        return control.attribute(name)

    def _control(self, resource: str) -> Control[object] | None:
        kind, _, name = resource.partition(".")
        if resource == "broker":
            return BrokerControl(self._office, self._office)  # type: ignore[return-value]
        if kind == "queue":
            queue = self._office.find(name)
            return None if queue is None else QueueControl(self._office, queue)  # type: ignore[return-value]
        if kind == "address":
            address = self._office.addresses.get(name)
            return None if address is None else AddressControl(self._office, address)  # type: ignore[return-value]
        return None
