"""The properties of a message as a mapping, with JMS's names, types and conversions.

Law of this file: what is listed can be read, and written back without harm: headers, routing and duplicate ids are not
listed, since copying a duplicate id to another message would have the broker drop that one. Received properties cannot
be written before they are cleared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from activeclient.errors import MessageFormatError, MessageNotWriteableError
from activeclient.jms import conversions
from activeclient.jms.named_values import NamedValues
from activeclient.masking import never_raises
from activeclient.wire.names import (
    CONNECTION_ID,
    DUPLICATE_ID,
    GROUP_ID,
    GROUP_SEQUENCE,
    ROUTE_TO,
    ROUTING_TYPE,
    VALIDATED_USER,
)
from activeclient.wire.properties import Int, PropertyValue

DELIVERY_COUNT = "JMSXDeliveryCount"
CORE_NAMES = {"JMSXGroupID": GROUP_ID, "JMSXGroupSeq": GROUP_SEQUENCE, "JMSXUserID": VALIDATED_USER}
"""JMS name to core name."""
_JMS_NAMES = {core: jms for jms, core in CORE_NAMES.items()}
JMSX_NAMES = (*CORE_NAMES, DELIVERY_COUNT)
_HIDDEN = (CONNECTION_ID, ROUTING_TYPE, ROUTE_TO, DUPLICATE_ID)
RESERVED_WORDS = frozenset(
    {"NULL", "TRUE", "FALSE", "NOT", "AND", "OR", "BETWEEN", "LIKE", "IN", "IS", "ESCAPE"},
)
"""Words of the selector language, refused as names (exactly as written here)."""

_SECRET = re.compile(r"passw|secret|token|credential|api_?key|auth", re.IGNORECASE)
"""Names whose values no repr shows."""
_SHOWN = 60
"""Characters of a value that a repr shows."""


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


class MessageProperties(NamedValues):
    """The properties of one message. Values of type bytes and char are Artemis' own."""

    __slots__ = ("_core", "_count", "read_only")

    _what = "property"

    def __init__(self, core: dict[str, PropertyValue], delivery_count: int = 0, *, read_only: bool = False) -> None:
        self._core = core
        self._count = delivery_count
        self.read_only: bool = read_only

    # --- as a mapping ---------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> PropertyValue:
        if name == DELIVERY_COUNT and self._count:
            return Int(self._count)
        return self._core[CORE_NAMES.get(name, name)]

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

    @never_raises
    def __repr__(self) -> str:
        return f"MessageProperties({{{', '.join(f'{name!r}: {_shown(name, value)}' for name, value in self.items())}}})"

    def rebind(self, core: dict[str, PropertyValue]) -> None:
        """The message is sent on: these are its properties now (called by messages)."""
        self._core = core

    def clear(self) -> None:
        """Remove all that is listed, and make the properties writeable (clearProperties)."""
        self.read_only = False
        for name in [name for name in self._core if is_listed(name) or name == DUPLICATE_ID]:
            del self._core[name]

    def _check_writeable(self) -> None:
        if self.read_only:
            raise MessageNotWriteableError("received properties are read-only until they are cleared")

    def _put(self, name: str, value: PropertyValue) -> None:
        self._check_writeable()
        check_name(name)
        if name == DELIVERY_COUNT:
            return  # the provider's: nothing of it travels with a send
        if name == "JMSXGroupSeq":
            value = Int(conversions.to_int(f"property {name!r}", value))
        elif name in CORE_NAMES and value is not None and not isinstance(value, str):
            raise MessageFormatError(f"property {name!r}: must be a text")
        self._core[CORE_NAMES.get(name, name)] = value


def _shown(name: str, value: PropertyValue) -> str:
    """For a repr: no secret, and short."""
    if _SECRET.search(name):
        return "***"
    if isinstance(value, str | bytes) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r}..."
    return repr(value)
