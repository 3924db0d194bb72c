"""What a destination is on the broker, and its creation where the broker allows that (auto-creation).

Law of this file: nothing is created that the broker would not create itself for this client; a race with another
client's creation is no error; what is known to exist is forgotten when a session had to be recreated: the broker may be
another. The steps are those of Artemis' client (ActiveMQSession, ActiveMQMessageProducer); unlike there, attributes
of a queue's name count no matter who creates it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from activeclient.client.session import ROUTING, ClientSession
from activeclient.destination import ANYCAST, Destination, Queue, Topic
from activeclient.errors import InvalidDestinationError, JMSError
from activeclient.jms.temporary import OwnTemporary
from activeclient.server_code import ServerCode
from activeclient.wire.packets import BindingQueryResponse, CreateAddress, CreateQueue, CreateSharedQueue
from activeclient.wire.packets.queues import UNTOLD
from activeclient.wire.queue_attributes import QUEUE_ATTRIBUTES, attribute_types

MAX_KNOWN = 10_000
"""Destinations that are remembered as existing."""


def usable(destination: object, what: str) -> Destination:
    """`destination`, if it is a queue or a topic.

    Raises:
        InvalidDestinationError: None, of unknown kind, or a temporary one that was deleted.
    """
    if not isinstance(destination, Destination) or destination.routing_type is None:
        raise InvalidDestinationError(
            f"{what} needs a queue or a topic, not {destination!r}"
            + ("; choose with as_queue() or as_topic()" if isinstance(destination, Destination) else "")
        )
    if isinstance(destination, OwnTemporary) and destination.is_deleted:
        raise InvalidDestinationError(f"{destination} was deleted")
    return destination


class Known:
    """Destinations that exist, as far as one connection knows."""

    __slots__ = ("_known", "generation")

    def __init__(self) -> None:
        self._known: set[Destination] = set()
        self.generation: int = 0
        """What was known in another generation is forgotten."""

    def forget(self) -> None:
        """The broker may be another."""
        self.generation += 1
        self._known.clear()

    def for_sending(self, core: ClientSession, destination: Destination) -> None:
        """See that messages to `destination` arrive somewhere.

        Raises:
            InvalidDestinationError: It does not exist and must not be created, or has the other kind.
        """
        if destination in self._known or usable(destination, "a send").temporary:
            return
        topic = isinstance(destination, Topic)
        address = destination.address
        answer = core.query_address(address)
        if not answer.exists:
            if not answer.auto_create_addresses or not (topic or answer.auto_create_queues):
                raise InvalidDestinationError(f"{destination} does not exist, and the broker creates none")
            _create_address(core, address, topic=topic)
        elif not (answer.supports_multicast if topic else answer.supports_anycast):
            raise InvalidDestinationError(
                f"{destination}: the address exists, but is not for {'topics' if topic else 'queues'}"
                f" ({'MULTICAST' if topic else 'ANYCAST'})"
            )
        queue = destination.queue_name or (None if topic else address)
        if queue is not None and queue not in answer.queue_names:
            self._queue(core, destination, queue, answer)
        self._remember(destination)

    def for_receiving(self, core: ClientSession, destination: Destination, queue: str) -> None:
        """See that `queue` of `destination` exists.

        Raises:
            InvalidDestinationError: It does not and must not be created, or it is a topic's.
        """
        self._queue(core, destination, queue, None)

    def _queue(
        self, core: ClientSession, destination: Destination, queue: str, known: BindingQueryResponse | None
    ) -> None:
        found = core.query_queue(destination.name if destination.queue_name else queue)
        if found.exists:
            receives = known is None  # who sends only has asked for the address's kinds already
            if receives and _is_plain_queue(destination) and found.routing_type not in (ANYCAST, UNTOLD):
                raise InvalidDestinationError(f"{destination}: a topic's subscription has this name (MULTICAST)")
            if destination.queue_name is not None and found.address != destination.address:
                raise InvalidDestinationError(f"{destination}: this queue belongs to address {found.address!r}")
            return
        if not found.auto_create_queues or destination.temporary:
            raise InvalidDestinationError(
                f"{destination} does not exist, and the broker creates none", code=ServerCode.QUEUE_DOES_NOT_EXIST
            )
        defaults = known if known is not None else core.query_address(destination.address)
        packet = CreateQueue(
            address=destination.address,
            queue_name=queue,
            durable=True,
            requires_response=True,
            auto_created=True,
            routing_type=ROUTING["MULTICAST" if isinstance(destination, Topic) else "ANYCAST"],
            max_consumers=defaults.default_max_consumers,
            purge_on_no_consumers=defaults.default_purge_on_no_consumers,
        )
        apply_attributes(packet, destination)
        _unless(ServerCode.QUEUE_EXISTS, lambda: core.request(packet))

    def _remember(self, destination: Destination) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known.add(destination)


def _is_plain_queue(destination: Destination) -> bool:
    return isinstance(destination, Queue) and destination.queue_name is None


def _create_address(core: ClientSession, address: str, *, topic: bool) -> None:
    if not core.engine.has_routing_types:
        return  # before 2.0 it exists as soon as it has a queue
    kinds = [ROUTING["MULTICAST" if topic else "ANYCAST"]]
    _unless(ServerCode.ADDRESS_EXISTS, lambda: core.request(CreateAddress(address, kinds, True, True)))


def _unless(code: int, call: Callable[[], object]) -> None:
    try:
        call()
    except JMSError as error:
        if error.code != code:
            raise


_WHOLE = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


def _whole(text: str, bits: int) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("must be a whole number")
    value, limit = int(text), 1 << bits - 1
    if not -limit <= value < limit:
        raise ValueError(f"must be a whole number from {-limit} to {limit - 1}")
    return value


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _reader(kind: type, bits: int) -> Callable[[str], object]:
    """What reads the text of an attribute; its error has the rule."""
    return str if kind is str else _boolean if kind is bool else lambda text: _whole(text, bits)


def apply_attributes(packet: CreateQueue | CreateSharedQueue, destination: Destination) -> None:
    """Write what stands behind the name of `destination` into the request that makes its queue.

    Raises:
        InvalidDestinationError: A value is not of its attribute's type.
    """
    for key, text in destination.parameters.items():
        name = key.replace("-", "_")
        if name not in QUEUE_ATTRIBUTES or "_" in key:
            continue  # said by the kind of destination, or to the consumer
        try:
            value = _reader(*attribute_types()[name])(text)
        except ValueError as rule:
            raise InvalidDestinationError(f"{destination}: {key}={text[:40]!r} {rule}") from None
        setattr(packet, name, value)
