"""What both sides say of themselves in CONNECT (type -4) and its answer (-5): maps of numbered values.

Law of this file: unknown numbers are passed over, since newer peers add some; a password shows in no representation.
Source: ConnectMessage, ConnectResponseMessage and AbstractMapPersister of Artemis 2.57.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from activeclient.errors import RemoteProtocolError
from activeclient.wire.fields import (
    I32_STRUCT,
    Sized,
    read_bool,
    read_bytes,
    read_i32,
    read_i64,
    read_string,
    write_bytes,
    write_string,
)

_HEAD: Final = struct.Struct(">iH")
"""Bytes of the whole map, these included; number of its values."""
_VALUE: Final = struct.Struct(">hb")
"""Number and kind of a value."""
_BOOLEAN, _STRING, _INTEGER, _LONG, _BYTE, _BYTES = range(6)
MOST_VALUES: Final = 10
"""Values in one map; one more is refused, as Artemis does."""

_VERSION: Final = 1
_MECHANISM: Final = 2
_AUTHENTICATION: Final = 3
PLAIN: Final = "PLAIN"
"""The only mechanism there is: NUL, user, NUL, password."""

Value = bool | int | str | bytes


@dataclass(frozen=True, slots=True)
class Login:
    """Who a client is, before it has a session.

    Args:
        client_version: Protocol version that the client speaks.
        user: None: the client shows no credentials.
        mechanism: How the credentials are encoded; None without credentials.
    """

    client_version: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str | None = None

    @classmethod
    def plain(cls, client_version: int, user: str | None, password: str | None) -> Login:
        """The login of a user with a password, or of a client without credentials when both are None."""
        if user is None and password is None:
            return cls(client_version)
        return cls(client_version, user or "", password or "", PLAIN)


def _write_map(values: Mapping[int, int | str | bytes]) -> bytes:
    parts = []
    for number, value in values.items():
        if isinstance(value, str):
            parts.append(_VALUE.pack(number, _STRING) + write_string(value))
        elif isinstance(value, int):
            parts.append(_VALUE.pack(number, _INTEGER) + I32_STRUCT.pack(value))
        else:
            parts.append(_VALUE.pack(number, _BYTES) + write_bytes(value))
    content = b"".join(parts)
    return _HEAD.pack(_HEAD.size + len(content), len(parts)) + content


def _read_map(frame: bytes, pos: int) -> tuple[dict[int, Value], int]:
    size, count = _HEAD.unpack_from(frame, pos)
    end = pos + size
    if not _HEAD.size <= size <= len(frame) - pos or count > MOST_VALUES:
        raise RemoteProtocolError(f"a map of {count} values in {size} bytes", offset=pos)
    pos += _HEAD.size
    found: dict[int, Value] = {}
    for _ in range(count):
        number, kind = _VALUE.unpack_from(frame, pos)
        pos += _VALUE.size
        if kind == _STRING:
            found[number], pos = read_string(frame, pos)
        elif kind == _INTEGER:
            found[number], pos = read_i32(frame, pos)
        elif kind == _BYTES:
            found[number], pos = read_bytes(frame, pos)
        elif kind == _LONG:
            found[number], pos = read_i64(frame, pos)
        elif kind in (_BOOLEAN, _BYTE):
            found[number], pos = read_bool(frame, pos)
        else:
            raise RemoteProtocolError(f"a value of unknown kind {kind}", offset=pos - 1)
    if pos != end:
        raise RemoteProtocolError(f"a map of {size} bytes ends elsewhere", offset=pos)
    return found, end


def write_login(login: Login | None) -> bytes:
    """The map of a client; nothing for None."""
    if login is None:
        return b""
    values: dict[int, int | str | bytes] = {_VERSION: login.client_version}
    if login.mechanism is not None:
        values[_MECHANISM] = login.mechanism
        values[_AUTHENTICATION] = f"\0{login.user or ''}\0{login.password or ''}".encode("utf-8", "surrogatepass")
    return _write_map(values)


def read_login(frame: bytes, pos: int) -> tuple[Login, int]:
    """The map of a client. Credentials in a mechanism that is not PLAIN are left out, their mechanism is named."""
    values, end = _read_map(frame, pos)
    version, mechanism, data = values.get(_VERSION, 0), values.get(_MECHANISM), values.get(_AUTHENTICATION)
    if type(version) is not int or not isinstance(mechanism, str | None) or not isinstance(data, bytes | None):
        raise RemoteProtocolError("a login with a value of another type", offset=pos)
    if mechanism != PLAIN:
        return Login(version, mechanism=mechanism), end
    # As in ConnectMessage.decodePlainAuthData: what is missing is empty.
    texts = [*(data or b"").decode("utf-8", "replace").split("\0", 2), "", ""]
    return Login(version, texts[1], texts[2], mechanism), end


def write_server_version(version: int | None) -> bytes:
    """The map of a server; nothing for None."""
    return b"" if version is None else _write_map({_VERSION: version})


def read_server_version(frame: bytes, pos: int) -> tuple[int, int]:
    """The version in the map of a server, 0 when it names none."""
    values, end = _read_map(frame, pos)
    version = values.get(_VERSION, 0)
    if type(version) is not int:
        raise RemoteProtocolError("a version of another type", offset=pos)
    return version, end


OptionalLogin = Annotated[Login | None, Sized(write_login, read_login)]
"""For an optional field only: None leaves it out."""
OptionalServerVersion = Annotated[int | None, Sized(write_server_version, read_server_version)]
"""For an optional field only: None leaves it out."""
