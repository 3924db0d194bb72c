"""Values by name, with the types and conversions of JMS: what properties and the entries of map messages share.

Law of this file: as a mapping it gives and takes Python values as they are; the typed getters convert by the table of
the specification (JMS 2.0, 3.5.4), the typed setters take values of that type only. What the names are, and when they
may be written, is the affair of the classes below.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, MutableMapping
from typing import ClassVar

from activeclient.errors import MessageFormatError
from activeclient.jms import conversions, exact
from activeclient.wire.properties import PropertyValue


class NamedValues(MutableMapping[str, PropertyValue]):
    """Values by name.

    As a mapping it gives values as they are: `None`, bool, int, float, str, bytes. Ints that fit 32 bits travel as int,
    others as long, floats as double; the setters choose exact types.
    """

    __slots__ = ()

    _what: ClassVar[str] = "value"

    @abstractmethod
    def _put(self, name: str, value: PropertyValue) -> None:
        """Set what has its wire type already."""

    def __setitem__(self, name: str, value: object) -> None:
        self._put(name, conversions.property_value(self._named(name), value))

    def set_all(self, values: Mapping[str, object]) -> None:
        """Set each, by the type of its value.

        Raises:
            MessageFormatError: `values` is no mapping, or has a name or a value that cannot be.
        """
        if not isinstance(values, Mapping):
            raise MessageFormatError(f"{self._what}s: must be a mapping, not {type(values).__name__}")
        for name, value in values.items():
            self[name] = value

    def _named(self, name: object) -> str:
        return f"{self._what} {name!r}"

    # --- getters --------------------------------------------------------------------------------------------------

    def get_boolean(self, name: str) -> bool:
        """From boolean and text; False when absent."""
        return conversions.to_boolean(self._named(name), self.get(name))

    def get_byte(self, name: str) -> int:
        """From byte and text."""
        return conversions.to_byte(self._named(name), self.get(name))

    def get_short(self, name: str) -> int:
        """From byte, short and text."""
        return conversions.to_short(self._named(name), self.get(name))

    def get_int(self, name: str) -> int:
        """From byte, short, int and text."""
        return conversions.to_int(self._named(name), self.get(name))

    def get_long(self, name: str) -> int:
        """From byte, short, int, long and text."""
        return conversions.to_long(self._named(name), self.get(name))

    def get_float(self, name: str) -> float:
        """From float and text."""
        return conversions.to_float(self._named(name), self.get(name))

    def get_double(self, name: str) -> float:
        """From float, double and text."""
        return conversions.to_double(self._named(name), self.get(name))

    def get_string(self, name: str) -> str | None:
        """From every type but bytes; None when absent."""
        return conversions.to_string(self._named(name), self.get(name))

    def get_char(self, name: str) -> str:
        """From char."""
        return conversions.to_char(self._named(name), self.get(name))

    def get_bytes(self, name: str) -> bytes | None:
        """From bytes; None when absent."""
        return conversions.to_bytes(self._named(name), self.get(name))

    def get_object(self, name: str) -> PropertyValue:
        """The value as it is; None when absent."""
        return self.get(name)

    # --- setters --------------------------------------------------------------------------------------------------

    def set_boolean(self, name: str, value: bool) -> None:
        """As a boolean."""
        self._put(name, exact.boolean(self._named(name), value))

    def set_byte(self, name: str, value: int) -> None:
        """As a byte: -128 to 127."""
        self._put(name, exact.byte(self._named(name), value))

    def set_short(self, name: str, value: int) -> None:
        """As a short: 16 bits."""
        self._put(name, exact.short(self._named(name), value))

    def set_int(self, name: str, value: int) -> None:
        """As an int: 32 bits."""
        self._put(name, exact.int32(self._named(name), value))

    def set_long(self, name: str, value: int) -> None:
        """As a long: 64 bits."""
        self._put(name, exact.long(self._named(name), value))

    def set_float(self, name: str, value: float) -> None:
        """As a float: single precision."""
        self._put(name, exact.single(self._named(name), value))

    def set_double(self, name: str, value: float) -> None:
        """As a double."""
        self._put(name, exact.double(self._named(name), value))

    def set_string(self, name: str, value: str | None) -> None:
        """As a text."""
        self._put(name, None if value is None else exact.text(self._named(name), value))

    def set_char(self, name: str, value: str) -> None:
        """As a char: one UTF-16 unit."""
        self._put(name, exact.char(self._named(name), value))

    def set_bytes(self, name: str, value: exact.BytesLike | None) -> None:
        """As bytes."""
        self._put(name, None if value is None else exact.data(self._named(name), value))

    def set_object(self, name: str, value: object) -> None:
        """By the type of the value, as assignment does."""
        self[name] = value
