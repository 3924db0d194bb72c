"""Messages whose body is bytes (jakarta.jms.BytesMessage): as a whole, or value by value as Java's DataOutput has it.

Law of this file: a read that fails leaves the position where it was; a body is either being written or being read, and
an empty one has no bytes at all.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, TypeVar, overload

from activeclient.client.large_message import check_binary
from activeclient.errors import (
    IllegalStateError,
    LocalProtocolError,
    MessageEOFError,
    MessageFormatError,
    MessageNotReadableError,
    RemoteProtocolError,
)
from activeclient.jms import exact
from activeclient.jms.conversions import property_value
from activeclient.jms.message import Message
from activeclient.wire.fields import read_utf, write_utf
from activeclient.wire.message import BYTES
from activeclient.wire.names import LARGE_COMPRESSED
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
WRITTEN = "the value to write"
CHUNK = 64 * 1024
"""Bytes that are copied at a time."""
T = TypeVar("T")


class BytesMessage(Message):
    """A message whose body is bytes.

    Args:
        data: The body; a file, opened for reading in binary mode, is sent in pieces and may be larger than memory.
        properties: To begin with.

    A new message is written (`write_...`) until `reset()` or a send; a received one is read (`read_...`) until
    `clear_body()`. `data` is the whole body at any time.
    """

    __slots__ = ("_begins", "_out", "_position")

    body_type = BYTES
    made_of: ClassVar[tuple[type, ...]] = (bytes, bytearray, memoryview)
    _out: bytearray | None
    _position: int
    _begins: int | None
    """Where the file begins that is the body, once it was sent; None when it cannot be rewound. There only then."""

    def __init__(
        self, data: bytes | bytearray | memoryview | BinaryIO = b"", *, properties: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(properties=properties)
        self._position = 0
        if isinstance(data, bytes | bytearray | memoryview):
            self._out = bytearray(data)
        elif hasattr(data, "read"):
            check_binary(data)
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
        made.core.body = data
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
            MessageNotReadableError: It is a file, which only a send reads.
        """
        out = self._writing()
        return self._reading() if out is None else bytes(out)

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
        core = self.core
        if core.stream is not None and self._writing() is None and core.properties.get(LARGE_COMPRESSED) is not True:
            size: int = core.stream.size  # without waiting for all of it
            return size
        return len(self._reading())

    def get_body(self, kind: type[T]) -> T | None:
        """The whole body as `kind`, which must be bytes; None when it is empty. The next read begins at the start."""
        if self._writing() is None:
            self._position = 0
        return super().get_body(kind) if self.data else None

    def is_body_assignable_to(self, kind: type) -> bool:
        """Would `get_body(kind)` do?"""
        return not self.data or super().is_body_assignable_to(kind)

    def __bytes__(self) -> bytes:
        return self.data

    def __buffer__(self, flags: int, /) -> memoryview:
        return memoryview(self.data)  # from Python 3.12 on `memoryview(message)` comes here

    def save_to(self, file: BinaryIO) -> int:
        """Write the whole body to `file`, in bounded memory however large it is; returns how many bytes it has."""
        size = 0
        with self.open_body() as body:
            while piece := body.read(CHUNK):
                file.write(piece)
                size += len(piece)
        return size

    def open_body(self) -> BinaryIO:
        """The body as a file that is read once, forwards, in bounded memory."""
        if self.core.stream is None:
            return io.BytesIO(self.data)
        return self.core.open_body()

    def reset(self) -> None:
        """End writing and begin to read at the first byte."""
        if self._writing() is not None:
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
        elif self.core.body_input is not None:
            self._rewind(self.core.body_input)

    def _rewind(self, source: BinaryIO) -> None:
        if not hasattr(self, "_begins"):
            self._begins = source.tell() if source.seekable() else None
        elif self._begins is None:
            raise IllegalStateError("the file that is the body was sent before, and cannot be rewound")
        else:
            source.seek(self._begins)

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
        if self.core.body_input is not None:
            raise MessageNotReadableError("the body is a file, which only a send reads")
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

    @overload
    def read(self, kind: int = -1, /) -> bytes: ...
    @overload
    def read(self, kind: type[T], /) -> T: ...
    def read(self, kind: Any = -1, /) -> Any:
        """The whole body as `kind`, as `Message.read`; with a number, or nothing, `read_bytes`, as of a file."""
        return self.read_bytes(kind) if isinstance(kind, int) else super().read(kind)

    # --- writing values -------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        self._check_body_writeable()
        out = self._writing()
        assert out is not None, "a body that can be written is being written"
        out += data

    def write_boolean(self, value: bool) -> None:
        """One byte: FF for true, as Artemis' client writes it.

        Raises:
            MessageFormatError: The value is of another type or does not fit; as all that write.
            MessageNotWriteableError: The body is being read.
        """
        self._write(b"\xff" if exact.boolean(WRITTEN, value) else b"\x00")

    def write_byte(self, value: int) -> None:
        """8 bits: -128 to 127."""
        self._write(_BYTE.pack(exact.byte(WRITTEN, value)))

    def write_short(self, value: int) -> None:
        """16 bits, signed."""
        self._write(_SHORT.pack(exact.short(WRITTEN, value)))

    def write_char(self, value: str) -> None:
        """One UTF-16 unit."""
        self._write(_UNSIGNED_SHORT.pack(ord(exact.char(WRITTEN, value))))

    def write_int(self, value: int) -> None:
        """32 bits, signed."""
        self._write(_INT.pack(exact.int32(WRITTEN, value)))

    def write_long(self, value: int) -> None:
        """64 bits, signed."""
        self._write(_LONG.pack(exact.long(WRITTEN, value)))

    def write_float(self, value: float) -> None:
        """Single precision."""
        self._write(_FLOAT.pack(exact.single(WRITTEN, value)))

    def write_double(self, value: float) -> None:
        """Double precision."""
        self._write(_DOUBLE.pack(exact.double(WRITTEN, value)))

    def write_utf(self, value: str) -> None:
        """A text of at most 65535 bytes in modified UTF-8."""
        try:
            self._write(write_utf(exact.text(WRITTEN, value)))
        except LocalProtocolError as error:
            raise MessageFormatError(str(error)) from error

    def write_bytes(self, value: exact.BytesLike) -> None:
        """Bytes as they are."""
        self._write(exact.data(WRITTEN, value))

    def write(self, value: exact.BytesLike) -> int:
        """`write_bytes` under the name that files have; returns how many there were."""
        data = exact.data(WRITTEN, value)
        self._write(data)
        return len(data)

    def write_object(self, value: object) -> None:
        """By the value's type, as a property would choose it.

        Raises:
            MessageFormatError: None, or a type that has no form here.
        """
        made = property_value(WRITTEN, value)
        match made:
            case bool():
                self.write_boolean(made)
            case Byte():
                self.write_byte(made)
            case Short():
                self.write_short(made)
            case Int():
                self.write_int(made)
            case int():
                self.write_long(made)
            case Float32():
                self.write_float(made)
            case float():
                self.write_double(made)
            case Char():
                self.write_char(made)
            case str():
                self.write_utf(made)
            case bytes():
                self.write_bytes(made)
            case None:
                raise MessageFormatError("None cannot be written to a bytes message")

    def _summary(self) -> str:
        out = self._writing()
        return self._body_size() if out is None else f"{len(out)} bytes"
