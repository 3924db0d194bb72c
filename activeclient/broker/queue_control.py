"""A queue, managed: Artemis' QueueControl.

Law of this file: what takes messages out takes those that wait or rest, never those that a consumer has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Final

from activeclient.broker.chain import Reference
from activeclient.broker.consumers import Filter
from activeclient.broker.control import Destination, Getters, Json, compact, message_row, operation, texts
from activeclient.broker.limits import MAX_LISTED
from activeclient.broker.message import StoredMessage
from activeclient.broker.queue import Queue
from activeclient.destination import ANYCAST
from activeclient.errors import InvalidSelectorError, JMSError
from activeclient.wire.names import ORIGINAL_ADDRESS

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice


def routing_type_name(routing_type: int | None) -> str:
    """As Artemis writes it."""
    return "ANYCAST" if routing_type == ANYCAST else "MULTICAST"


ATTRIBUTES: Final[dict[str, Callable[[PostOffice, Queue], Json]]] = {
    "ID": lambda office, queue: queue.id,
    "name": lambda office, queue: queue.name,
    "address": lambda office, queue: queue.address,
    "filter": lambda office, queue: queue.configuration.filter_string,
    "durable": lambda office, queue: queue.durable,
    "temporary": lambda office, queue: queue.configuration.temporary,
    "paused": lambda office, queue: queue.paused,
    "routingType": lambda office, queue: routing_type_name(queue.routing_type),
    "user": lambda office, queue: queue.configuration.user,
    "messageCount": lambda office, queue: queue.message_count,
    "deliveringCount": lambda office, queue: queue.delivering,
    "scheduledCount": lambda office, queue: len(queue.scheduled),
    "consumerCount": lambda office, queue: queue.consumer_count,
    "messagesAdded": lambda office, queue: queue.added,
    "messagesAcknowledged": lambda office, queue: queue.acknowledged,
    "messagesExpired": lambda office, queue: queue.expired,
    "messagesKilled": lambda office, queue: queue.dead_lettered,
    "maxConsumers": lambda office, queue: queue.configuration.max_consumers,
    "purgeOnNoConsumers": lambda office, queue: queue.configuration.purge_on_no_consumers,
    "exclusive": lambda office, queue: queue.configuration.exclusive,
    "lastValue": lambda office, queue: queue.configuration.last_value,
    "lastValueKey": lambda office, queue: queue.configuration.last_value_key,
    "ringSize": lambda office, queue: queue.configuration.ring_size,
    "enabled": lambda office, queue: queue.configuration.enabled,
    "autoDelete": lambda office, queue: queue.configuration.auto_delete,
    "consumersBeforeDispatch": lambda office, queue: queue.configuration.consumers_before_dispatch,
    "delayBeforeDispatch": lambda office, queue: queue.configuration.delay_before_dispatch,
    "groupRebalance": lambda office, queue: queue.configuration.group_rebalance,
    "groupBuckets": lambda office, queue: queue.configuration.group_buckets,
    "groupFirstKey": lambda office, queue: queue.configuration.group_first_key,
    "groupCount": lambda office, queue: queue.group_count,
    "deadLetterAddress": lambda office, queue: queue.settings.dead_letter_address,
    "expiryAddress": lambda office, queue: queue.settings.expiry_address,
    "configurationManaged": lambda office, queue: False,
    "internalQueue": lambda office, queue: False,
    "persistedPause": lambda office, queue: False,
    "groupRebalancePauseDispatch": lambda office, queue: queue.configuration.group_rebalance_pause_dispatch,
}
_OTHER_NAMES: Final = {"ID": "id", "messagesAcknowledged": "messagesAcked"}
"""Attributes whose columns in lists have other names."""
_NO_COLUMNS: Final = frozenset({"groupCount", "deadLetterAddress", "expiryAddress", "configurationManaged"})


def queue_row(office: PostOffice, queue: Queue) -> dict[str, Json]:
    """A queue as `listQueues` shows it."""
    shown = {name: getter(office, queue) for name, getter in ATTRIBUTES.items() if name not in _NO_COLUMNS}
    row = {_OTHER_NAMES.get(name, name): value for name, value in shown.items()}
    return texts({**row, "autoCreated": queue.configuration.auto_created, "directDeliver": False})


class QueueControl(Destination[Queue]):
    """The management of one queue."""

    ATTRIBUTES: ClassVar[Getters] = ATTRIBUTES

    def target(self) -> str:
        """What messages for it are sent to."""
        return f"{self.subject.address}::{self.subject.name}"

    def _filter(self, text: Json) -> Filter | None:
        if not text or not str(text).strip():
            return None
        try:
            return self.office.compile_filter(str(text))
        except InvalidSelectorError as error:
            raise JMSError(f"AMQ229020: Invalid filter: {text}") from error

    def _chosen(self, filter_text: Json) -> list[Reference]:
        chosen = self._filter(filter_text)
        found = [*self.subject.waiting(), *self.subject.scheduled]
        return [ref for ref in found if chosen is None or chosen.matches(ref.message)]

    def _by_id(self, message_id: Json) -> list[Reference]:
        return [ref for ref in self._chosen(None) if ref.message.id == message_id]

    def _take(self, refs: list[Reference], then: Callable[[Reference], object]) -> int:
        for ref in refs:
            self.subject.take_out(ref)
            then(ref)
        return len(refs)

    def _waiting(self) -> Iterator[StoredMessage]:
        return (ref.message for ref in self.subject.browse())

    # --- operations --------------------------------------------------------------------------------------------------

    @operation("pause")
    def pause(self, persist: Json = False) -> None:
        """Deliver nothing."""
        self.subject.pause()

    @operation("resume")
    def resume(self) -> None:
        """Deliver again."""
        self.subject.resume()

    @operation("listMessages")
    def list_messages(self, filter_text: Json = None) -> Json:
        """What waits and passes the filter."""
        chosen = self._filter(filter_text)
        return _rows(each for each in self._waiting() if chosen is None or chosen.matches(each))

    @operation("listMessagesAsJSON")
    def list_messages_as_json(self, filter_text: Json = None) -> str:
        """The same as text."""
        return compact(self.list_messages(filter_text))

    @operation("listScheduledMessagesAsJSON")
    def list_scheduled(self) -> str:
        """What rests until its time comes."""
        return compact(_rows(ref.message for ref in self.subject.scheduled))

    @operation("peekFirstMessageAsJSON")
    def peek_first(self) -> Json:
        """The next message, if there is one."""
        first = next(self._waiting(), None)
        return None if first is None else compact(message_row(first))

    @operation("countMessages")
    def count_messages(self, filter_text: Json = None, group_by: Json = None) -> Json:
        """How many wait and pass the filter; by the values of a property, if one is named."""
        if not filter_text and group_by is None:
            return self.subject.message_count
        chosen = self._filter(filter_text)
        found = [each for each in self._waiting() if chosen is None or chosen.matches(each)]
        if group_by is None:
            return len(found)
        counts: dict[str, Json] = {}
        for each in found:
            value = each.property(str(group_by))
            key = "null" if value is None else str(value)
            counts[key] = int(str(counts.get(key, 0))) + 1
        return compact(counts)

    @operation("removeMessage")
    def remove_message(self, message_id: Json) -> bool:
        """Remove one."""
        return self._take(self._by_id(message_id), self.subject.forget) > 0

    @operation("removeMessages")
    def remove_messages(self, filter_or_limit: Json, filter_text: Json = None) -> int:
        """Remove those that pass the filter; with two arguments the first one is a batch size of Artemis."""
        return self._take(self._chosen(filter_text or self._only_text(filter_or_limit)), self.subject.forget)

    @staticmethod
    def _only_text(value: Json) -> Json:
        return value if isinstance(value, str) else None

    @operation("removeAllMessages")
    def remove_all(self) -> int:
        """Remove everything that no consumer has."""
        return self.subject.purge()

    @operation("expireMessage")
    def expire_message(self, message_id: Json) -> bool:
        """Expire one."""
        return self._take(self._by_id(message_id), self.subject.expire_taken) > 0

    @operation("expireMessages")
    def expire_messages(self, filter_text: Json = None) -> int:
        """Expire those that pass the filter."""
        return self._take([ref for ref in self._chosen(filter_text) if ref.chain], self.subject.expire_taken)

    @operation("sendMessageToDeadLetterAddress")
    def dead_letter_message(self, message_id: Json) -> bool:
        """To the dead letters with one."""
        return self._take(self._by_id(message_id), self.subject.kill_taken) > 0

    @operation("sendMessagesToDeadLetterAddress")
    def dead_letter_messages(self, filter_text: Json = None) -> int:
        """To the dead letters with those that pass the filter."""
        return self._take(self._chosen(filter_text), self.subject.kill_taken)

    @operation("moveMessage")
    def move_message(self, message_id: Json, target: Json, reject_duplicates: Json = False) -> bool:
        """Move one to another queue."""
        return self._move(self._by_id(message_id), target) > 0

    @operation("moveMessages")
    def move_messages(self, filter_text: Json, target: Json, reject_duplicates: Json = False) -> int:
        """Move those that pass the filter to another queue."""
        return self._move(self._chosen(filter_text), target)

    def _move(self, refs: list[Reference], target: Json) -> int:
        other = self.office.find(str(target))
        if other is None:
            raise JMSError(f"AMQ229049: No queue found for {target}")
        if other is self.subject:
            return 0
        return self._take(refs, lambda ref: self.office.move(ref, f"{other.address}::{other.name}"))

    @operation("retryMessages")
    def retry_messages(self) -> int:
        """Back to where they came from, those that came from somewhere."""
        return self._retry(_with_origin(self._chosen(None)))

    @operation("retryMessage")
    def retry_message(self, message_id: Json) -> bool:
        """One of them."""
        return self._retry(_with_origin(self._by_id(message_id))) > 0

    def _retry(self, refs: list[Reference]) -> int:
        return self._take(refs, self.office.retry)

    @operation("resetGroup")
    def reset_group(self, group: Json) -> None:
        """Forget which consumer has this group."""
        self.subject.reset_groups(str(group))

    @operation("resetAllGroups")
    def reset_all_groups(self) -> None:
        """Forget which consumers have which groups."""
        self.subject.reset_groups()

    @operation("resetMessagesAdded")
    def reset_added(self) -> None:
        """Count from 0."""
        self.subject.added = 0

    @operation("resetMessagesAcknowledged")
    def reset_acknowledged(self) -> None:
        """Count from 0."""
        self.subject.acknowledged = 0

    @operation("resetMessagesExpired")
    def reset_expired(self) -> None:
        """Count from 0."""
        self.subject.expired = 0

    @operation("resetMessagesKilled")
    def reset_killed(self) -> None:
        """Count from 0."""
        self.subject.dead_lettered = 0

    @operation("flushExecutor")
    def flush(self) -> None:
        """Everything is done at once here."""


def _rows(messages: Iterable[StoredMessage]) -> list[Json]:
    """The rows of messages.

    Raises:
        JMSError: There are more than one answer may have.
    """
    found: list[Json] = []
    for message in messages:
        if len(found) >= MAX_LISTED:
            raise JMSError(f"more than {MAX_LISTED} messages: name a filter that takes fewer, or browse the queue")
        found.append(message_row(message))
    return found


def _with_origin(refs: list[Reference]) -> list[Reference]:
    return [ref for ref in refs if ref.message.property(ORIGINAL_ADDRESS) is not None]
