"""The broker, managed: Artemis' ActiveMQServerControl, as far as it concerns the model.

Law of this file: what connections and sessions are is not known here; the server offers those operations itself
(`Management.offer`).
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from activeclient.broker.address_control import address_row, routing_types
from activeclient.broker.addresses import Address
from activeclient.broker.configuration import QueueConfiguration
from activeclient.broker.control import Control, Getters, Json, compact, operation, page_of
from activeclient.broker.queue_control import queue_row, routing_type_name
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import ConfigError, InvalidDestinationError, JMSError
from activeclient.version import __version__
from activeclient.wire.fields import Xid, write_xid

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice

_ROUTING_TYPES: Final = {"ANYCAST": ANYCAST, "MULTICAST": MULTICAST}
_KEYS: Final = {each.name.replace("_", "-"): each.name for each in dataclasses.fields(QueueConfiguration)}
_KINDS: Final = {
    each.name.replace("_", "-"): str(each.type).partition(" ")[0] for each in dataclasses.fields(QueueConfiguration)
}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_RULES: Final = {"bool": "true or false", "int": "a whole number", "str": "a text"}

ATTRIBUTES: Final[dict[str, Callable[[PostOffice, PostOffice], Json]]] = {
    "version": lambda office, _: __version__,
    "name": lambda office, _: office.configuration.name,
    "started": lambda office, _: True,
    "active": lambda office, _: True,
    "backup": lambda office, _: False,
    "clustered": lambda office, _: False,
    "securityEnabled": lambda office, _: bool(office.configuration.users),
    "managementAddress": lambda office, _: office.configuration.management_address,
    "addressNames": lambda office, _: [each.name for each in office.addresses],
    "queueNames": lambda office, _: list(office.addresses.queues),
    "addressCount": lambda office, _: len(office.addresses),
    "queueCount": lambda office, _: len(office.addresses.queues),
    "totalMessageCount": lambda office, _: sum(each.message_count for each in office.addresses.queues.values()),
    "totalMessagesAdded": lambda office, _: sum(each.added for each in office.addresses.queues.values()),
    "totalMessagesAcknowledged": lambda office, _: sum(each.acknowledged for each in office.addresses.queues.values()),
    "totalConsumerCount": lambda office, _: sum(each.consumer_count for each in office.addresses.queues.values()),
    "globalMaxSize": lambda office, _: office.configuration.global_max_size,
    "addressMemoryUsage": lambda office, _: office.addresses.memory.size,
    "addressMemoryUsagePercentage": lambda office, _: office.addresses.memory.percent,
    "transactionTimeout": lambda office, _: office.configuration.transaction_timeout,
    "messageExpiryScanPeriod": lambda office, _: office.configuration.message_expiry_scan_period,
    "currentTimeMillis": lambda office, _: office.clock.wall_ms(),
    "uptimeMillis": lambda office, _: round((office.clock.monotonic() - office.started) * 1000),
}


def _routing_type(text: Json) -> int | None:
    if text is None:
        return None
    found = _ROUTING_TYPES.get(str(text).strip().upper())
    if found is None:
        raise JMSError(f"{text!r}: a routing type is ANYCAST or MULTICAST")
    return found


def queue_configuration(text: str) -> QueueConfiguration:
    """A queue out of JSON with the keys of Artemis' QueueConfiguration.

    Raises:
        JMSError: It is no such JSON; names the key.
    """
    try:
        given = json.loads(text)
    except ValueError as error:
        raise JMSError(f"the configuration of a queue is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise JMSError("the configuration of a queue must be a JSON object")
    try:
        routing_type = _routing_type(given.pop("routing-type", None))
        known = {key: value for key, value in given.items() if key in _KEYS and value is not None}
        values = {_KEYS[key]: _value(key, value) for key, value in known.items()}
        return QueueConfiguration(**{"name": "", **values}, routing_type=routing_type)
    except ConfigError as error:
        raise JMSError(f"the configuration of a queue: {error}") from error


def _value(key: str, value: object) -> Any:
    """The value of a key, which may be a text that means it, as in Artemis."""
    kind = _KINDS[key]
    text = str(value)
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "str" and isinstance(value, str | int | float):
        return text
    raise ConfigError(key, value, f"must be {_RULES[kind]}")


def _xid_text(xid: Xid) -> str:
    """The name of a branch as text, to be given back to `commitPreparedTransaction`."""
    return base64.b64encode(write_xid(xid)).decode("ascii")


class BrokerControl(Control["PostOffice"]):
    """The management of the broker."""

    ATTRIBUTES: ClassVar[Getters] = ATTRIBUTES

    @operation("listQueues")
    def list_queues(self, options: Json = "", page: Json = -1, size: Json = -1) -> str:
        """Queues, chosen and in pages."""
        rows = (queue_row(self.office, queue) for queue in self.office.addresses.queues.values())
        return page_of(rows, str(options or ""), int(str(page)), int(str(size)))

    @operation("listAddresses")
    def list_addresses(self, options: Json = "", page: Json = None, size: Json = None) -> str:
        """Addresses, chosen and in pages; with one argument, which divides them, their names."""
        if page is None:
            return str(options or ",").join(sorted(each.name for each in self.office.addresses))
        rows = (address_row(self.office, address) for address in self.office.addresses)
        return page_of(rows, str(options or ""), int(str(page)), int(str(size)))

    @operation("getQueueNames")
    def queue_names(self, routing_type: Json = None) -> Json:
        """Names of queues, of one routing type if one is given."""
        wanted = _routing_type(routing_type)
        found = self.office.addresses.queues.values()
        return [queue.name for queue in found if wanted is None or queue.routing_type == wanted]

    @operation("createQueue")
    def create_queue(
        self,
        configuration: Json,
        name_or_ignore: Json = None,
        routing_type: Json = None,
        filter_or_durable: Json = None,
        durable: Json = True,
        max_consumers: Json = -1,
        purge_on_no_consumers: Json = False,
        auto_create_address: Json = True,
    ) -> str:
        """Make a queue of its configuration as JSON, and whether one that exists may stay; or of address, name, routing
        type, filter, durable, largest number of consumers, purging, as in the longer forms of Artemis."""
        ignore = name_or_ignore is True
        if isinstance(name_or_ignore, str):
            filter_text = filter_or_durable if isinstance(filter_or_durable, str) and filter_or_durable else None
            given = QueueConfiguration(
                name=name_or_ignore,
                address=str(configuration),
                routing_type=_routing_type(routing_type),
                filter_string=filter_text,
                durable=bool(filter_or_durable if isinstance(filter_or_durable, bool) else durable),
                max_consumers=int(str(max_consumers)),
                purge_on_no_consumers=bool(purge_on_no_consumers),
            )
        else:
            given = queue_configuration(str(configuration))
        queue = self.office.create_queue(given, ignore_if_exists=ignore)
        made = {key: getattr(queue.configuration, name) for key, name in _KEYS.items()}
        shown = {key: value for key, value in made.items() if value is not None}
        return compact({"id": queue.id, **shown, "routing-type": routing_type_name(queue.routing_type)})

    @operation("createAddress")
    def create_address(self, name: Json, kinds: Json) -> str:
        """Make an address with these routing types, divided by commas."""
        wanted = [_routing_type(each) for each in str(kinds).split(",")]
        self.office.create_address(str(name), [each for each in wanted if each is not None])
        return self.address_info(name)

    @operation("updateAddress")
    def update_address(self, name: Json, kinds: Json) -> str:
        """Give an address routing types."""
        self._address(name)
        wanted = [_routing_type(each) for each in str(kinds).split(",")]
        self.office.create_address(str(name), [each for each in wanted if each is not None], ignore_if_exists=True)
        return self.address_info(name)

    @operation("deleteAddress")
    def delete_address(self, name: Json, force: Json = False) -> None:
        """Delete an address; by force with its queues."""
        self.office.delete_address(str(name), force=bool(force))

    @operation("destroyQueue")
    def destroy_queue(self, name: Json, remove_consumers: Json = False, auto_delete_address: Json = False) -> None:
        """Delete a queue; if asked for, under its consumers, and with an address that was made for it."""
        queue = self.office.find(str(name))
        self.office.delete_queue(str(name), check_consumers=not remove_consumers)
        address = None if queue is None else self.office.addresses.get(queue.address)
        if auto_delete_address and address is not None and address.auto_created and not address.queues:
            self.office.delete_address(address.name)

    @operation("getAddressInfo")
    def address_info(self, name: Json) -> str:
        """An address in one line."""
        address = self._address(name)
        kinds = ",".join(routing_types(address))
        created = str(address.auto_created).lower()
        return f"Address [name={address.name}, routingTypes={{{kinds}}}, autoCreated={created}]"

    @operation("listBindingsForAddress")
    def bindings(self, name: Json) -> str:
        """The queues of an address, one a line."""
        return "\n".join(queue.name for queue in self.office.addresses.bound(self._address(name).name))

    @operation("listPreparedTransactions")
    def prepared(self) -> Json:
        """Branches that wait for a decision: their names."""
        return [_xid_text(tx.xid) for tx in self.office.xa.prepared if tx.xid is not None]

    @operation("listPreparedTransactionDetailsAsJSON")
    def prepared_details(self) -> str:
        """The same with what they hold; no text when there are none."""
        rows: list[Json] = [
            {
                "xid_as_base64": _xid_text(tx.xid),
                "xid_format_id": tx.xid.format_id,
                "sends": len(tx.sends),
                "acknowledgements": len(tx.acknowledged),
            }
            for tx in self.office.xa.prepared
            if tx.xid is not None
        ]
        return compact(rows) if rows else ""

    @operation("listHeuristicCommittedTransactions")
    def heuristic_committed(self) -> Json:
        """Branches that an administrator committed and whose manager does not know: their names."""
        return [_xid_text(xid) for xid, committed in self.office.xa.heuristic.items() if committed]

    @operation("listHeuristicRolledBackTransactions")
    def heuristic_rolled_back(self) -> Json:
        """Branches that an administrator rolled back and whose manager does not know: their names."""
        return [_xid_text(xid) for xid, committed in self.office.xa.heuristic.items() if not committed]

    @operation("commitPreparedTransaction")
    def commit_prepared(self, name: Json) -> bool:
        """Decide about a branch."""
        return self._decide(name, commit=True)

    @operation("rollbackPreparedTransaction")
    def rollback_prepared(self, name: Json) -> bool:
        """Decide about a branch."""
        return self._decide(name, commit=False)

    def _decide(self, name: Json, *, commit: bool) -> bool:
        for tx in self.office.xa.prepared:
            if tx.xid is not None and _xid_text(tx.xid) == name:
                return self.office.xa.decide(tx.xid, commit=commit)
        return False

    def _address(self, name: Json) -> Address:
        found = self.office.addresses.get(str(name))
        if found is None:
            raise InvalidDestinationError(f"AMQ229203: Address Does Not Exist: {name}")
        return found
