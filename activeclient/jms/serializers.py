"""How the objects of object messages become bytes and back: JSON, and what an application names itself.

Law of this file: a body is only ever given to a serializer that the application named, and JSON builds nothing but
plain values; so nothing that comes is executed or made into objects of foreign classes unless the application chose a
serializer that does so. The name of the serializer travels with the message as its content type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from activeclient.errors import ConfigError, MessageFormatError
from activeclient.masking import never_raises


@runtime_checkable
class Serializer(Protocol):
    """Objects to bytes and back. Naming one means to trust with it whoever can send to this client."""

    @property
    def name(self) -> str:
        """What marks its bodies: a content type, such as `application/cbor`."""

    def dumps(self, value: object, /) -> bytes:
        """The bytes of `value`."""

    def loads(self, data: bytes, /) -> object:
        """What `dumps` was given."""


class JSONSerializer:
    """None, bool, int, finite float, str, and lists and dicts of them with texts as keys; tuples come back as lists."""

    name = "application/json"

    def dumps(self, value: object, /) -> bytes:
        """UTF-8, compact. Keys that are no texts are refused: JSON would turn them into texts unseen."""
        _check_keys(value)
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()

    def loads(self, data: bytes, /) -> object:
        """Plain values."""
        made: object = json.loads(data)
        return made

    @never_raises
    def __repr__(self) -> str:
        return "JSONSerializer()"


def _check_keys(value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a key must be text, not {type(key).__name__}")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)


JSON = JSONSerializer()


class Serializers:
    """The serializers of a factory, a connection or a session, by name. JSON is always among them.

    Args:
        named: The application's; the first one serializes new messages. Without one JSON does.

    Raises:
        ConfigError: One is no serializer, or its name is empty or that of another one.
    """

    __slots__ = ("_by_name", "default")

    def __init__(self, named: Iterable[Serializer] = ()) -> None:
        self._by_name: dict[str, Serializer] = {}
        if not isinstance(named, Iterable):
            raise ConfigError("serializers", None, f"must be a list of serializers, not {type(named).__name__}")
        for each in named:
            _check(each)
            if each.name in self._by_name:
                raise ConfigError("serializers", each.name, "is the name of two")
            self._by_name[each.name] = each
        self.default: Serializer = next(iter(self._by_name.values()), JSON)
        """For new messages."""
        self._by_name.setdefault(JSON.name, JSON)

    @classmethod
    def of(cls, given: Serializers | Iterable[Serializer]) -> Serializers:
        """`given`, or made of it."""
        return given if isinstance(given, Serializers) else cls(given)

    def get(self, name: str) -> Serializer | None:
        """The one of this name."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Serializer]:
        return iter(self._by_name.values())

    @never_raises
    def __repr__(self) -> str:
        return f"Serializers({', '.join(self._by_name)})"


JSON_ONLY = Serializers()


class SerializersAttribute:
    """An attribute that is set to one or several serializers and got as `Serializers`; JSON alone unless set."""

    def __get__(self, owner: object, kind: type | None = None) -> Serializers:
        found: Serializers = owner.__dict__.get("serializers", JSON_ONLY)
        return found

    def __set__(self, owner: object, value: Serializers | Iterable[Serializer]) -> None:
        owner.__dict__["serializers"] = Serializers.of(value)


def _check(given: object) -> Serializer:
    if isinstance(given, type) or not isinstance(given, Serializer):
        raise ConfigError("serializers", type(given).__name__, "must be an object with name, dumps and loads")
    if not isinstance(given.name, str) or not given.name:
        raise ConfigError("serializers", given.name, "the name must be a text that is not empty")
    return given


def dumped(serializer: Serializer, value: object) -> bytes:
    """`value` as bytes.

    Raises:
        MessageFormatError: The serializer cannot; or is none.
    """
    try:
        made = _check(serializer).dumps(value)
    except (ConfigError, MessageFormatError):
        raise
    except Exception as error:
        raise MessageFormatError(
            f"a {type(value).__name__} cannot be sent as {serializer.name}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, bytes):
        raise MessageFormatError(f"{serializer.name}: dumps must return bytes, not {type(made).__name__}")
    return made


def loaded(serializer: Serializer, data: bytes) -> object:
    """The object of a body.

    Raises:
        MessageFormatError: The serializer cannot; its own error is the cause, whose text may show the body.
    """
    try:
        return _check(serializer).loads(data)
    except (ConfigError, MessageFormatError):
        raise
    except Exception as error:
        raise MessageFormatError(
            f"{len(data)} bytes cannot be read as {serializer.name}: {type(error).__name__}"
        ) from error
