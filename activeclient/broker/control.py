"""What can be managed: objects with operations and attributes that have the names of Artemis' control classes.

Law of this file: an operation is a method with a decorator, an attribute a line in a table, and nothing else makes one;
arguments come as JSON values, and results are JSON values.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeAlias, TypeVar

from activeclient.broker.message import StoredMessage
from activeclient.errors import JMSError, RemoteProtocolError
from activeclient.wire.message import TEXT, CoreMessage, text_body
from activeclient.wire.properties import PropertyValue

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Getters: TypeAlias = Mapping[str, Callable[["PostOffice", Any], Json]]
F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")

_OPERATION: Final = "_operation_name"


def operation(name: str) -> Callable[[F], F]:
    """The method is the operation of this name; its arguments are those of the method."""

    def mark(method: F) -> F:
        setattr(method, _OPERATION, name)
        return method

    return mark


class Control(Generic[S]):
    """Something that can be managed.

    Args:
        subject: What it is about.
    """

    OPERATIONS: ClassVar[dict[str, Callable[..., Json]]] = {}
    ATTRIBUTES: ClassVar[Getters] = {}
    """Name to what gives the value, of the post office and the subject."""

    _getters: ClassVar[dict[str, Callable[[PostOffice, Any], Json]]] = {}
    """By name in lower case: the first letter is written either way."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        methods = [member for member in vars(cls).values() if hasattr(member, _OPERATION)]
        cls.OPERATIONS = {**cls.OPERATIONS, **{getattr(method, _OPERATION): method for method in methods}}
        cls._getters = {name.lower(): getter for name, getter in cls.ATTRIBUTES.items()}

    def __init__(self, office: PostOffice, subject: S) -> None:
        self.office = office
        self.subject = subject

    def invoke(self, name: str, arguments: Sequence[Json]) -> Json:
        """Call an operation; the getter of an attribute is one too.

        Raises:
            JMSError: There is none of this name with so many arguments; whatever else it raises.
        """
        method = self.OPERATIONS.get(name)
        if method is not None and _takes(method, len(arguments)):
            return method(self, *arguments)
        if not arguments and name.startswith(("get", "is")):
            getter = self._getters.get(name.removeprefix("get").removeprefix("is").lower())
            if getter is not None:
                return getter(self.office, self.subject)
        raise JMSError(f"AMQ229069: no operation {name}/{len(arguments)}")

    def attribute(self, name: str) -> Json:
        """The value of an attribute.

        Raises:
            JMSError: There is none of this name.
        """
        getter = self._getters.get(name.lower())
        if getter is None:
            raise JMSError(f"Problem while retrieving attribute {name}")
        return getter(self.office, self.subject)


def _takes(method: Callable[..., Json], number: int) -> bool:
    code = method.__code__
    most = code.co_argcount - 1
    return most - len(method.__defaults__ or ()) <= number <= most


# --- what controls have in common -------------------------------------------------------------------------------------


def compact(value: Json) -> str:
    """JSON text, as Artemis writes it."""
    return json.dumps(value, separators=(",", ":"))


def message_row(message: StoredMessage) -> dict[str, Json]:
    """A message as lists show it: header fields and properties side by side."""
    row: dict[str, Json] = {}
    try:
        for name, value in message.properties.items():
            row[name] = [byte - 256 if byte > 127 else byte for byte in value] if isinstance(value, bytes) else value
    except RemoteProtocolError:
        # Damaged, and listed all the same.
        pass
    if message.user_id is not None:
        row["userID"] = str(message.property("AMQUserID"))
    row.update(
        {
            "durable": message.durable,
            "address": message.address,
            "messageID": message.id,
            "expiration": message.expiration,
            "type": message.body_type,
            "priority": message.priority,
            "timestamp": message.timestamp,
        }
    )
    return row


def page_of(rows: Iterable[Mapping[str, Json]], options: str, page: int, size: int) -> str:
    """The rows that fit what `options` asks for, one page of them, and how many there are.

    Args:
        options: JSON: `field`, `operation` and `value` choose rows, `sortField` and `sortOrder` put them in order.
        page: 1 is the first; -1 gives everything.
    """
    wanted = json.loads(options) if options else {}
    if not isinstance(wanted, dict):
        raise JMSError(f"{options!r}: must be a JSON object")
    found = [row for row in rows if _fits(row, wanted)]
    sort_field = wanted.get("sortField") or wanted.get("sortColumn") or "name"
    if all(sort_field in row for row in found):
        found.sort(
            key=lambda row: _sortable(row[sort_field]), reverse=str(wanted.get("sortOrder", "")).startswith("desc")
        )
    if page < 0 or size < 0:
        shown = found
    else:
        first = max(0, page - 1) * size
        shown = found[first : first + size]
    return compact({"data": shown, "count": len(found)})


def _sortable(value: Json) -> tuple[int, float, str]:
    text = str(value)
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _fits(row: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool:
    field, value = wanted.get("field"), wanted.get("value")
    if not field or value in (None, ""):
        return True
    have, text = str(row.get(str(field), "")), str(value)
    match str(wanted.get("operation", "")).upper():
        case "CONTAINS":
            return text in have
        case "NOT_CONTAINS":
            return text not in have
        case "GREATER_THAN":
            return _sortable(have) > _sortable(text)
        case "LESS_THAN":
            return _sortable(have) < _sortable(text)
        case _:
            return have == text


def texts(row: Mapping[str, Json]) -> dict[str, Json]:
    """The row as lists of Artemis have it: every value is a text, nothing is an empty one."""
    return {
        name: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in row.items()
    }


class Destination(Control[S]):
    """Something to which messages can be sent."""

    def target(self) -> str:
        """What messages for it are sent to."""
        raise NotImplementedError

    @operation("sendMessage")
    def send_message(
        self,
        headers: Json,
        body_type: Json,
        body: Json,
        durable: Json,
        user: Json,
        password: Json,
        create_id: Json = False,
    ) -> str:
        """Send what somebody typed: the id of the message as text.

        Args:
            body: Text for a text message, else base64.
        """
        office = self.office
        office.authenticate(None if user is None else str(user), None if password is None else str(password))
        properties: dict[str, PropertyValue] = {}
        if isinstance(headers, Mapping):
            properties.update({str(name): str(value) for name, value in headers.items()})
        kind = int(str(body_type))
        text = "" if body is None else str(body)
        try:
            content = text_body(text) if kind == TEXT else base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise JMSError(f"the body of a message of type {kind} must be base64: {error}") from error
        now = office.clock.wall_ms()
        core = CoreMessage(content, kind, self.target(), durable=bool(durable), timestamp=now, properties=properties)
        core.priority = 0  # as Artemis does
        message = StoredMessage.from_core(core)
        office.route(message)
        return str(message.id)
