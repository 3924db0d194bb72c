"""The properties of a message as a mapping, with JMS's names, types and conversions.

Law of this file: what is listed can be read, and written back without harm: headers, routing and duplicate ids are not
listed, since copying a duplicate id to another message would have the broker drop that one. Received properties cannot
be written before they are cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping

from activeclient.errors import MessageFormatError, MessageNotWriteableError
from activeclient.jms import conversions
from activeclient.jms.conversions import property_value
from activeclient.wire.properties import DUPLICATE_ID_NAME, Byte, Float32, Int, PropertyValue, Short

GROUP_ID = "_AMQ_GROUP_ID"
GROUP_SEQUENCE = "_AMQ_GROUP_SEQUENCE"
VALIDATED_USER = "_AMQ_VALIDATED_USER"
ROUTING_TYPE = "_AMQ_ROUTING_TYPE"
CONNECTION_ID = "__AMQ_CID"
DELIVERY_COUNT = "JMSXDeliveryCount"
CORE_NAMES = {"JMSXGroupID": GROUP_ID, "JMSXGroupSeq": GROUP_SEQUENCE, "JMSXUserID": VALIDATED_USER}
"""JMS name to core name."""
_JMS_NAMES = {core: jms for jms, core in CORE_NAMES.items()}
JMSX_NAMES = (*CORE_NAMES, DELIVERY_COUNT)
_HIDDEN = (CONNECTION_ID, ROUTING_TYPE, "_AMQ_ROUTE_TO", DUPLICATE_ID_NAME)
RESERVED_WORDS = frozenset(
    {"NULL", "TRUE", "FALSE", "NOT", "AND", "OR", "BETWEEN", "LIKE", "IN", "IS", "ESCAPE"},
)
"""Words of the selector language, refused as names (exactly as written here)."""

Number = Callable[[int], int]


def is_listed(name: str) -> bool:
    """Is the core property `name` one that applications see?"""
    if name.startswith("JMS") and not name.startswith(("JMSX", "JMS_")):
        return False
    return not name.startswith(_HIDDEN)


def check_name(name: object) -> str:
    """`name`, if a property may have it.

    Raises:
        MessageFormatError: Empty, no Java identifier, a word of the selector language, or reserved.
    """
    if not isinstance(name, str) or not name:
        raise MessageFormatError(f"property {name!r}: the name must be a text that is not empty")
    if not name.replace("$", "_").isidentifier():
        raise MessageFormatError(f"property {name[:100]!r}: the name must be an identifier: letters, digits, _ and $")
    if name in RESERVED_WORDS:
        raise MessageFormatError(f"property {name!r}: the name is a word of the selector language")
    if name.startswith("JMS_ACTIVEMQ") or (name.startswith("JMS") and not name.startswith(("JMSX", "JMS_"))):
        raise MessageFormatError(f"property {name[:100]!r}: the name is reserved for the provider")
    return name


class MessageProperties(MutableMapping[str, PropertyValue]):
    """The properties of one message.

    As a mapping it gives values as they are: `None`, bool, int, float, str, bytes (Artemis' own). Ints that fit 32 bits
    travel as int, others as long, floats as double; the setters choose exact types, the getters convert by the table of
    the specification.
    """

    __slots__ = ("_core", "_count", "read_only")

    def __init__(self, core: dict[str, PropertyValue], delivery_count: int = 0, *, read_only: bool = False) -> None:
        self._core = core
        self._count = delivery_count
        self.read_only = read_only

    # --- as a mapping ---------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> PropertyValue:
        if name == DELIVERY_COUNT and self._count:
            return Int(self._count)
        return self._core[CORE_NAMES.get(name, name)]

    def __setitem__(self, name: str, value: object) -> None:
        self._set(name, property_value(f"property {name!r}", value))

    def __delitem__(self, name: str) -> None:
        self._check_writeable()
        del self._core[CORE_NAMES.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        for name in list(self._core):
            if is_listed(name):
                yield _JMS_NAMES.get(name, name)
        if self._count:
            yield DELIVERY_COUNT

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        if name == DELIVERY_COUNT:
            return self._count > 0
        return isinstance(name, str) and CORE_NAMES.get(name, name) in self._core

    def __repr__(self) -> str:
        return f"MessageProperties({dict(self)!r})"

    def clear(self) -> None:
        """Remove all that is listed, and make the properties writeable (clearProperties)."""
        self.read_only = False
        for name in [name for name in self._core if is_listed(name) or name == DUPLICATE_ID_NAME]:
            del self._core[name]

    def _check_writeable(self) -> None:
        if self.read_only:
            raise MessageNotWriteableError("received properties are read-only until they are cleared")

    def _set(self, name: str, value: PropertyValue) -> None:
        self._check_writeable()
        check_name(name)
        if name == DELIVERY_COUNT:
            return  # the provider's: nothing of it travels with a send
        if name == "JMSXGroupSeq":
            value = Int(conversions.to_int(f"property {name!r}", value))
        elif name in CORE_NAMES and value is not None and not isinstance(value, str):
            raise MessageFormatError(f"property {name!r}: must be a text")
        self._core[CORE_NAMES.get(name, name)] = value

    # --- with types -----------------------------------------------------------------------------------------------

    def _value(self, name: str) -> PropertyValue:
        return self.get(name)

    def get_boolean(self, name: str) -> bool:
        """From boolean and text; False when absent."""
        return conversions.to_boolean(f"property {name!r}", self._value(name))

    def get_byte(self, name: str) -> int:
        """From byte and text."""
        return conversions.to_byte(f"property {name!r}", self._value(name))

    def get_short(self, name: str) -> int:
        """From byte, short and text."""
        return conversions.to_short(f"property {name!r}", self._value(name))

    def get_int(self, name: str) -> int:
        """From byte, short, int and text."""
        return conversions.to_int(f"property {name!r}", self._value(name))

    def get_long(self, name: str) -> int:
        """From byte, short, int, long and text."""
        return conversions.to_long(f"property {name!r}", self._value(name))

    def get_float(self, name: str) -> float:
        """From float and text."""
        return conversions.to_float(f"property {name!r}", self._value(name))

    def get_double(self, name: str) -> float:
        """From float, double and text."""
        return conversions.to_double(f"property {name!r}", self._value(name))

    def get_string(self, name: str) -> str | None:
        """From every type but bytes; None when absent."""
        return conversions.to_string(f"property {name!r}", self._value(name))

    def get_object(self, name: str) -> PropertyValue:
        """The value as it is; None when absent."""
        return self._value(name)

    def set_boolean(self, name: str, value: bool) -> None:
        """As a boolean."""
        self._set(name, bool(value))

    def set_byte(self, name: str, value: int) -> None:
        """As a byte: -128 to 127."""
        self._set(name, Byte(value))

    def set_short(self, name: str, value: int) -> None:
        """As a short: 16 bits."""
        self._set(name, Short(value))

    def set_int(self, name: str, value: int) -> None:
        """As an int: 32 bits."""
        self._set(name, Int(value))

    def set_long(self, name: str, value: int) -> None:
        """As a long: 64 bits."""
        if not -(2**63) <= value < 2**63:
            raise MessageFormatError(f"property {name!r}: {value} does not fit 64 bits")
        self._set(name, int(value))

    def set_float(self, name: str, value: float) -> None:
        """As a float: single precision."""
        self._set(name, Float32(value))

    def set_double(self, name: str, value: float) -> None:
        """As a double."""
        self._set(name, float(value))

    def set_string(self, name: str, value: str | None) -> None:
        """As a text."""
        if value is not None and not isinstance(value, str):
            raise MessageFormatError(f"property {name!r}: a {type(value).__name__} is no text")
        self._set(name, value)

    def set_object(self, name: str, value: object) -> None:
        """By the type of the value, as assignment does."""
        self[name] = value
