"""Messages whose body is values by name (jakarta.jms.MapMessage).

Law of this file: a received map is decoded when it is first asked for, once, and in its order; an entry keeps its Java
type on the way through Python. It is a mapping, and yet a message like others: true even when it is empty, and equal to
itself only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from activeclient.errors import MessageFormatError, RemoteProtocolError
from activeclient.jms.message import Message
from activeclient.jms.named_values import NamedValues
from activeclient.wire.message import MAP
from activeclient.wire.properties import decode_properties, encode_properties

if TYPE_CHECKING:
    from activeclient.wire.properties import PropertyValue


class MapMessage(Message, NamedValues):
    """A message whose body is values by name; itself a mapping: `message["name"]`, `dict(message)`.

    Args:
        values: The entries to begin with. Names are texts that are not empty; values are None, bool, int, float, str,
            bytes, or of the exact types of `set_byte` and its kin.
        properties: To begin with.

    `get_...` converts by the table of the specification, `set_...` chooses an exact type. `bool(message)` is true, and
    `==` compares messages, not entries: compare `dict(message)`.
    """

    __slots__ = ("_entries",)

    body_type = MAP
    made_of: ClassVar[tuple[type, ...]] = (Mapping,)
    _what = "map entry"
    _entries: dict[str, PropertyValue]

    def __init__(
        self, values: Mapping[str, object] | None = None, *, properties: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(properties=properties)
        self._entries = {}
        if values is not None:
            self.set_all(values)

    @property
    def body(self) -> dict[str, PropertyValue]:
        """A copy of the entries."""
        return dict(self._all())

    def _all(self) -> dict[str, PropertyValue]:
        try:
            return self._entries
        except AttributeError:  # a received one, looked at for the first time
            body = self.core.body
            try:
                self._entries = decode_properties(body, 0)[0] if body else {}
            except RemoteProtocolError as error:
                raise MessageFormatError(f"{len(body)} bytes are not the body of a map message: {error}") from error
            return self._entries

    def _put(self, name: str, value: PropertyValue) -> None:
        self._check_body_writeable()
        if not isinstance(name, str) or not name:
            raise MessageFormatError(f"map entry {name!r}: the name must be a text that is not empty")
        self._all()[name] = value

    def __getitem__(self, name: str) -> PropertyValue:
        return self._all()[name]

    def __delitem__(self, name: str) -> None:
        self._check_body_writeable()
        del self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Message.__hash__

    def clear_body(self) -> None:
        """Remove all entries; the map can be written then."""
        super().clear_body()
        self._entries = {}

    def write_body(self) -> None:
        """Encode the entries."""
        if not self._body_read_only:
            self.core.body = encode_properties(self._entries)

    def _summary(self) -> str:
        try:
            return f"{len(self._entries)} entries"
        except AttributeError:
            return self._body_size()
