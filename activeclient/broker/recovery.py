"""What a store holds, brought back into the post office.

Law of this file: nothing is appended to the store meanwhile, and nothing is delivered; messages come back in the order
of the store with their delivery counts, prepared transactions hold what they held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.broker.chain import Reference
from activeclient.broker.message import StoredMessage
from activeclient.broker.store import (
    Acknowledged,
    AddressCreated,
    DeliveryCounted,
    DuplicateRecorded,
    MessageStored,
    Operation,
    Prepared,
    QueueCreated,
    Resolved,
)
from activeclient.broker.transaction import Send, Transaction
from activeclient.wire.fields import Xid

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice
    from activeclient.broker.queue import Queue


def recover(office: PostOffice) -> None:
    """Apply all that the store of this new post office holds."""
    _Recovery(office).run()


class _Recovery:
    def __init__(self, office: PostOffice) -> None:
        self._office = office
        self._highest = 0
        self._messages: list[MessageStored] = []
        self._counted: dict[tuple[int, int], DeliveryCounted] = {}
        self._prepared: list[Prepared] = []
        self._references: dict[tuple[int, int], Reference] = {}
        """By message and queue."""

    def run(self) -> None:
        for operation in self._office.store.load():
            self._apply(operation)
        for each in self._messages:
            self._add(each)
        for prepared in self._prepared:
            self._prepare(prepared.xid, prepared.operations)
        self._office.start_ids(max(self._highest, self._office.store.highest_id) + 1)

    def _apply(self, operation: Operation) -> None:
        office = self._office
        match operation:
            case AddressCreated(name, routing_types, auto_created):
                office.addresses.add(name, routing_types, auto_created).unused_since = office.clock.monotonic()
            case QueueCreated(queue_id, configuration):
                self._highest = max(self._highest, queue_id)
                office.restore_queue(queue_id, configuration)
            case MessageStored():
                self._messages.append(operation)
            case DeliveryCounted(message_id, queue_id, _, _):
                self._counted[message_id, queue_id] = operation
            case DuplicateRecorded(address, value, capacity):
                office.duplicates.record(address, value, capacity)
            case Prepared():
                self._prepared.append(operation)
            case Resolved(xid, committed, heuristic) if heuristic:
                office.xa.heuristic[xid] = committed

    def _queues(self, queue_ids: tuple[int, ...]) -> tuple[Queue, ...]:
        by_id = self._office.addresses.queues_by_id
        return tuple(by_id[queue_id] for queue_id in queue_ids if queue_id in by_id)

    def _charge(self, message: StoredMessage) -> None:
        self._highest = max(self._highest, message.id)
        account = self._office.addresses.plan(message.address).account
        message.count_body()
        account.charge(message.memory)
        message.holder = account

    def _add(self, found: MessageStored) -> None:
        message = found.message
        queues = self._queues(found.queue_ids)
        self._charge(message)
        message.references = len(queues)
        counts = dict(zip(found.queue_ids, found.counts, strict=True)) if found.counts else {}
        scheduled_ms = message.scheduled_ms
        now = self._office.clock.wall_ms()
        for queue in queues:
            ref = self._references[message.id, queue.id] = Reference(message, queue)
            counted = self._counted.get((message.id, queue.id))
            ref.delivery_count = counted.deliveries if counted is not None else counts.get(queue.id, 0)
            due = counted.scheduled_ms if counted is not None and counted.scheduled_ms else scheduled_ms
            ref.scheduled_ms = due if due > now else 0
            queue.add(ref)

    def _prepare(self, xid: Xid, operations: tuple[Operation, ...]) -> None:
        tx = Transaction(self._office, xid)
        for operation in operations:
            match operation:
                case MessageStored(message, queue_ids, _):
                    self._charge(message)
                    tx.sends.append(Send(message, self._queues(queue_ids)))
                case DuplicateRecorded():
                    tx.duplicates.append(operation)
                    self._office.held_ids += 1
                case Acknowledged(message_id, queue_id):
                    ref = self._references.get((message_id, queue_id))
                    if ref is not None:
                        ref.queue.take_out(ref)
                        ref.queue.delivering += 1
                        tx.acknowledge(ref)
        self._office.xa.recovered(tx)
