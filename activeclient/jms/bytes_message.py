"""Messages whose body is bytes (jakarta.jms.BytesMessage): as a whole, or value by value as Java's DataOutput has it.

Law of this file: a read that fails leaves the position where it was; a body is either being written or being read, and
an empty one has no bytes at all.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, BinaryIO

from activeclient.errors import (
    LocalProtocolError,
    MessageEOFError,
    MessageFormatError,
    MessageNotReadableError,
    RemoteProtocolError,
)
from activeclient.jms.message import Message
from activeclient.wire.fields import read_utf, write_utf
from activeclient.wire.message import BYTES
from activeclient.wire.properties import Byte, Char, Float32, Int, Short

if TYPE_CHECKING:
    from collections.abc import Mapping

_BYTE = struct.Struct(">b")
_UNSIGNED_BYTE = struct.Struct(">B")
_SHORT = struct.Struct(">h")
_UNSIGNED_SHORT = struct.Struct(">H")
_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_FLOAT = struct.Struct(">f")
_DOUBLE = struct.Struct(">d")


class BytesMessage(Message):
    """A message whose body is bytes.

    Args:
        data: The body; a file, opened for reading in binary mode, is sent in pieces and may be larger than memory.
        properties: To begin with.

    A new message is written (`write_...`) until `reset()` or a send; a received one is read (`read_...`) until
    `clear_body()`. `data` is the whole body at any time.
    """

    __slots__ = ("_out", "_position")

    body_type = BYTES
    made_of = (bytes, bytearray, memoryview)
    _out: bytearray | None
    _position: int

    def __init__(
        self, data: bytes | bytearray | memoryview | BinaryIO = b"", *, properties: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(properties=properties)
        self._position = 0
        if isinstance(data, bytes | bytearray | memoryview):
            self._out = bytearray(data)
        elif hasattr(data, "read"):
            self._out = None
            self.core.body_input = data
            self._body_read_only = True
        else:
            raise MessageFormatError(f"data: must be bytes or a binary file, not {type(data).__name__}")

    @classmethod
    def to_send(cls, data: bytes) -> BytesMessage:
        """A message that is only sent (hot path): its body is read-only from the start, as after a send."""
        made = cls.__new__(cls)
        Message.__init__(made)
        made.core._body = data
        made._body_read_only = True
        made._out = None
        made._position = 0
        return made

    # --- as a whole -----------------------------------------------------------------------------------------------

    @property
    def data(self) -> bytes:
        """The whole body.

        Raises:
            LargeMessageError: It is larger than maxLargeMessageSize: use `open_body`.
        """
        out = self._writing()
        return self.core.body if out is None else bytes(out)

    @data.setter
    def data(self, value: bytes | bytearray | memoryview) -> None:
        self._check_body_writeable()
        if not isinstance(value, bytes | bytearray | memoryview):
            raise MessageFormatError(f"data: must be bytes, not {type(value).__name__}")
        self._out = bytearray(value)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return self.data

    @property
    def body_length(self) -> int:
        """Bytes of a body that is being read.

        Raises:
            MessageNotReadableError: It is being written.
        """
        return len(self._reading())

    def open_body(self) -> BinaryIO:
        """The body as a file that is read once, forwards, in bounded memory."""
        if self._writing() is not None:
            return io.BytesIO(self.data)
        return self.core.open_body()

    def reset(self) -> None:
        """End writing and begin to read at the first byte."""
        self.write_body()
        self._position = 0

    def clear_body(self) -> None:
        """Empty the body and begin to write."""
        super().clear_body()
        self._out = bytearray()
        self._position = 0

    def write_body(self) -> None:
        """A body that is sent is read-only from then on (JMS 2.0, 3.11.2)."""
        out = self._writing()
        if out is not None:
            self.core.body = bytes(out)
            self._out = None
            self._body_read_only = True

    def _writing(self) -> bytearray | None:
        try:
            return self._out
        except AttributeError:  # a received one, looked at for the first time
            self._out = None
            self._position = 0
            return None

    def _reading(self) -> bytes:
        if self._writing() is not None:
            raise MessageNotReadableError("the body is being written: reset() begins to read")
        return self.core.body

    # --- reading values -------------------------------------------------------------------------------------------

    def _read(self, layout: struct.Struct) -> int | float:
        body = self._reading()
        end = self._position + layout.size
        if end > len(body):
            raise MessageEOFError(f"{layout.size} bytes wanted at {self._position} of {len(body)}")
        value: int | float = layout.unpack_from(body, self._position)[0]
        self._position = end
        return value

    def read_boolean(self) -> bool:
        """One byte that is not zero."""
        return self._read(_BYTE) != 0

    def read_byte(self) -> int:
        """8 bits, signed."""
        return int(self._read(_BYTE))

    def read_unsigned_byte(self) -> int:
        """8 bits."""
        return int(self._read(_UNSIGNED_BYTE))

    def read_short(self) -> int:
        """16 bits, signed."""
        return int(self._read(_SHORT))

    def read_unsigned_short(self) -> int:
        """16 bits."""
        return int(self._read(_UNSIGNED_SHORT))

    def read_char(self) -> str:
        """One UTF-16 unit."""
        return chr(int(self._read(_UNSIGNED_SHORT)))

    def read_int(self) -> int:
        """32 bits, signed."""
        return int(self._read(_INT))

    def read_long(self) -> int:
        """64 bits, signed."""
        return int(self._read(_LONG))

    def read_float(self) -> float:
        """Single precision."""
        return self._read(_FLOAT)

    def read_double(self) -> float:
        """Double precision."""
        return self._read(_DOUBLE)

    def read_utf(self) -> str:
        """A text as `write_utf` wrote it.

        Raises:
            MessageEOFError: The body ends before it.
            MessageFormatError: The bytes are no text.
        """
        body = self._reading()
        at = self._position
        if len(body) - at < 2 or len(body) - at - 2 < _UNSIGNED_SHORT.unpack_from(body, at)[0]:
            raise MessageEOFError(f"the body ends within the text at {at} of {len(body)}")
        try:
            text, self._position = read_utf(body, at)
        except RemoteProtocolError as error:
            raise MessageFormatError(f"no text at {at}: {error}") from error
        return text

    def read_bytes(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; without it, all that is left. Empty at the end."""
        body = self._reading()
        end = len(body) if size < 0 else self._position + size
        piece = body[self._position : end]
        self._position += len(piece)
        return piece

    # --- writing values -------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        self._check_body_writeable()
        out = self._writing()
        assert out is not None, "a body that can be written is being written"
        out += data

    def _pack(self, layout: struct.Struct, value: float, kind: str) -> None:
        try:
            self._write(layout.pack(value))
        except (struct.error, OverflowError):
            raise MessageFormatError(f"{value!r} does not fit {kind}") from None

    def write_boolean(self, value: bool) -> None:
        """One byte: FF for true, as Artemis' client writes it."""
        self._write(b"\xff" if value else b"\x00")

    def write_byte(self, value: int) -> None:
        """8 bits: -128 to 127."""
        self._pack(_BYTE, value, "a byte")

    def write_short(self, value: int) -> None:
        """16 bits, signed."""
        self._pack(_SHORT, value, "a short")

    def write_char(self, value: str) -> None:
        """One UTF-16 unit."""
        self._write(_UNSIGNED_SHORT.pack(ord(Char(value))))

    def write_int(self, value: int) -> None:
        """32 bits, signed."""
        self._pack(_INT, value, "an int")

    def write_long(self, value: int) -> None:
        """64 bits, signed."""
        self._pack(_LONG, value, "a long")

    def write_float(self, value: float) -> None:
        """Single precision."""
        self._pack(_FLOAT, value, "a float")

    def write_double(self, value: float) -> None:
        """Double precision."""
        self._pack(_DOUBLE, value, "a double")

    def write_utf(self, value: str) -> None:
        """A text of at most 65535 bytes in modified UTF-8."""
        try:
            self._write(write_utf(value))
        except LocalProtocolError as error:
            raise MessageFormatError(str(error)) from error

    def write_bytes(self, value: bytes | bytearray | memoryview) -> None:
        """Bytes as they are."""
        self._write(bytes(value))

    def write_object(self, value: object) -> None:
        """By the value's type, as a property would choose it.

        Raises:
            MessageFormatError: None, or a type that has no form here.
        """
        match value:
            case bool():
                self.write_boolean(value)
            case Byte():
                self.write_byte(value)
            case Short():
                self.write_short(value)
            case Int():
                self.write_int(value)
            case int():
                self.write_int(value) if Int.LOW <= value <= Int.HIGH else self.write_long(value)
            case Float32():
                self.write_float(value)
            case float():
                self.write_double(value)
            case Char():
                self.write_char(value)
            case str():
                self.write_utf(value)
            case bytes() | bytearray() | memoryview():
                self.write_bytes(value)
            case _:
                raise MessageFormatError(f"a {type(value).__name__} cannot be written to a bytes message")
