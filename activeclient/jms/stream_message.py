"""Messages whose body is values one after the other (jakarta.jms.StreamMessage).

Law of this file: a read that fails leaves the position where it was; a body is either being written or being read, but
can be looked at as a sequence at any time. Values keep their Java types. Like every message it is true even when it is
empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar, overload

from activeclient.errors import MessageEOFError, MessageFormatError, MessageNotReadableError
from activeclient.jms import conversions, exact
from activeclient.jms.message import Message
from activeclient.wire.message import STREAM
from activeclient.wire.properties import PropertyValue, decode_stream_value, encode_stream_value

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class StreamMessage(Message, Sequence[PropertyValue]):
    """A message whose body is values in an order; itself a sequence: `message[0]`, `list(message)`.

    Args:
        values: To begin with: None, bool, int, float, str, bytes, or of the exact types of `write_byte` and its kin.
        properties: To begin with.

    A new message is written (`write_...`) until `reset()` or a send; a received one is read (`read_...`, with the
    conversions of the specification) until `clear_body()`. `bool(message)` is true.
    """

    __slots__ = ("_part", "_position", "_values")

    body_type = STREAM
    made_of: ClassVar[tuple[type, ...]] = (list, tuple)
    _values: list[PropertyValue]
    _position: int
    _part: int
    """Bytes that were read of the bytes at the position; -1 when none was asked for."""

    def __init__(self, values: Iterable[object] = (), *, properties: Mapping[str, object] | None = None) -> None:
        super().__init__(properties=properties)
        self._begin([])
        if not isinstance(values, Iterable):
            raise MessageFormatError(f"values: must be iterable, not {type(values).__name__}")
        for value in values:
            self.write_object(value)

    def _begin(self, values: list[PropertyValue]) -> list[PropertyValue]:
        self._values = values
        self._position = 0
        self._part = -1
        return values

    # --- as a whole -----------------------------------------------------------------------------------------------

    def _all(self) -> list[PropertyValue]:
        try:
            return self._values
        except AttributeError:  # a received one, looked at for the first time
            body, at = self.core.body, 0
            values = []
            while at < len(body):
                value, at = decode_stream_value(body, at)
                values.append(value)
            return self._begin(values)

    @property
    def body(self) -> list[PropertyValue]:
        """A copy of all values; the position stays."""
        return list(self._all())

    def get_body(self, kind: type[T]) -> T | None:
        """Refused for this kind of message (JMS 2.0, Message.getBody): use `body`, or read.

        Raises:
            MessageFormatError: Always.
        """
        raise MessageFormatError("a stream message has no body as a whole: read it, iterate, or use `body`")

    def is_body_assignable_to(self, kind: type) -> bool:
        """False, as `get_body` never works."""
        return False

    @overload
    def __getitem__(self, index: int) -> PropertyValue: ...
    @overload
    def __getitem__(self, index: slice) -> list[PropertyValue]: ...
    def __getitem__(self, index: int | slice) -> PropertyValue | list[PropertyValue]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[PropertyValue]:
        return iter(self._all())

    def __bool__(self) -> bool:
        return True

    def reset(self) -> None:
        """End writing and begin to read at the first value."""
        self.write_body()
        self._begin(self._all())

    def clear_body(self) -> None:
        """Remove all values and begin to write."""
        super().clear_body()
        self._begin([])

    def write_body(self) -> None:
        """Encode the values; a body that is sent is read-only from then on (JMS 2.0, 3.11.2)."""
        if not self._body_read_only:
            self.core.body = b"".join(map(encode_stream_value, self._values))
            self._body_read_only = True
            self._begin(self._values)

    # --- reading --------------------------------------------------------------------------------------------------

    def _read(self, convert: Callable[[str, PropertyValue], T]) -> T:
        value = self._next()
        if self._part >= 0:
            raise MessageFormatError(f"{self._where()}: bytes are being read in pieces; read_bytes goes on")
        result = convert(self._where(), value)
        self._position += 1
        return result

    def _next(self) -> PropertyValue:
        if not self._body_read_only:
            raise MessageNotReadableError("the body is being written: reset() begins to read")
        values = self._all()
        if self._position >= len(values):
            raise MessageEOFError(f"all {len(values)} stream elements have been read")
        return values[self._position]

    def _where(self) -> str:
        return f"stream element {self._position}"

    def read_boolean(self) -> bool:
        """From boolean and text; None reads as False.

        Raises:
            MessageEOFError: No value is left; as all that read.
            MessageFormatError: The value cannot be read as this type; the position stays.
            MessageNotReadableError: The body is being written.
        """
        return self._read(conversions.to_boolean)

    def read_byte(self) -> int:
        """From byte and text."""
        return self._read(conversions.to_byte)

    def read_short(self) -> int:
        """From byte, short and text."""
        return self._read(conversions.to_short)

    def read_char(self) -> str:
        """From char."""
        return self._read(conversions.to_char)

    def read_int(self) -> int:
        """From byte, short, int and text."""
        return self._read(conversions.to_int)

    def read_long(self) -> int:
        """From byte, short, int, long and text."""
        return self._read(conversions.to_long)

    def read_float(self) -> float:
        """From float and text."""
        return self._read(conversions.to_float)

    def read_double(self) -> float:
        """From float, double and text."""
        return self._read(conversions.to_double)

    def read_string(self) -> str | None:
        """From every type but bytes."""
        return self._read(conversions.to_string)

    def read_object(self) -> PropertyValue:
        """The value as it is."""
        return self._read(lambda _, value: value)

    def read_bytes(self, size: int = -1) -> bytes | None:
        """Bytes, or None; with `size`, at most so many of them.

        Read in pieces, the value ends with a piece that is shorter than `size`, perhaps empty; before that no other
        value can be read.
        """
        found = self._next()
        value = conversions.to_bytes(self._where(), found)
        if value is None or (size < 0 and self._part < 0):
            self._position += 1
            return value
        start = max(self._part, 0)
        piece = value[start:] if size < 0 else value[start : start + size]
        if size < 0 or len(piece) < size:
            self._part = -1
            self._position += 1
        else:
            self._part = start + len(piece)
        return piece

    # --- writing --------------------------------------------------------------------------------------------------

    def _write(self, convert: Callable[[str, object], PropertyValue], value: object) -> None:
        self._check_body_writeable()
        self._values.append(convert(f"stream element {len(self._values)}", value))

    def write_boolean(self, value: bool) -> None:
        """As a boolean.

        Raises:
            MessageFormatError: The value is of another type or does not fit; as all that write.
            MessageNotWriteableError: The body is being read.
        """
        self._write(exact.boolean, value)

    def write_byte(self, value: int) -> None:
        """8 bits: -128 to 127."""
        self._write(exact.byte, value)

    def write_short(self, value: int) -> None:
        """16 bits, signed."""
        self._write(exact.short, value)

    def write_char(self, value: str) -> None:
        """One UTF-16 unit."""
        self._write(exact.char, value)

    def write_int(self, value: int) -> None:
        """32 bits, signed."""
        self._write(exact.int32, value)

    def write_long(self, value: int) -> None:
        """64 bits, signed."""
        self._write(exact.long, value)

    def write_float(self, value: float) -> None:
        """Single precision."""
        self._write(exact.single, value)

    def write_double(self, value: float) -> None:
        """Double precision."""
        self._write(exact.double, value)

    def write_string(self, value: str | None) -> None:
        """A text, or None."""
        self._write(conversions.property_value if value is None else exact.text, value)

    def write_bytes(self, value: exact.BytesLike) -> None:
        """Bytes."""
        self._write(exact.data, value)

    def write_object(self, value: object) -> None:
        """By the value's type, as a property would choose it."""
        self._write(conversions.property_value, value)

    def _summary(self) -> str:
        try:
            return f"{len(self._values)} values"
        except AttributeError:
            return self._body_size()
