"""Bodies by type: how dataclasses, pydantic's models, msgspec's structs and plain values become messages and back.

Law of this file: two steps each way, and each has one owner. A *serializer* turns plain values (None, bool, int, float,
str, lists, dicts) into bytes and names their content type; the *shape* of a class is pydantic's business for its models
and msgspec's for everything else, so nothing is validated by hand. No error shows a value of the body, since errors
are logged and travel with dead letters.

On the wire: a content type of text, JSON above all, travels as a `TextMessage`, which Java reads by `getText()`;
any other as a `BytesMessage`. The property `_AMQ_CONTENT_TYPE` names it.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from activeclient.errors import ConfigError, MessageFormatError
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.map_message import MapMessage
from activeclient.jms.message import Message
from activeclient.jms.object_message import ObjectMessage
from activeclient.jms.serializers import JSON, JSON_ONLY, dumped, loaded
from activeclient.jms.stream_message import StreamMessage
from activeclient.jms.text_message import TextMessage
from activeclient.wire.names import CONTENT_TYPE

if TYPE_CHECKING:
    from activeclient.jms.serializers import Serializer, Serializers

T = TypeVar("T")
EXTRA = "activeclient[typed]"
"""What installs msgspec."""
_VALUE_SHOWN = re.compile(r"(?i)((?:invalid|unknown)[a-z ]*value|unicode character|tag) .*?(?= - at `|$)")
"""Where msgspec's errors quote a value of the body."""
_KEY_SHOWN = re.compile(r"\[[^\]]*\]")
_TEXTS = ("application/json", "application/xml")
_MAX_PROBLEMS = 5
"""Problems that one error lists."""
_PLAIN = (dict, list, object)
"""What the plain values of a serializer are already: kinds that need no shape."""


# --- what kinds there are ---------------------------------------------------------------------------------------------


def is_typed(value: object) -> bool:
    """Is `value` of a class with declared fields: a dataclass, a pydantic model, an attrs class or a struct?"""
    return not isinstance(value, type) and _has_fields(type(value))


def check_kind(what: str, kind: object, serializers: Serializers = JSON_ONLY) -> None:
    """Refuse what bodies cannot be read as, before any message comes.

    Args:
        serializers: Those of the application may make objects of any class, JSON makes none.

    Raises:
        ConfigError: No type; or one that needs a library that is not installed, which the text names.
    """
    if _without_members(kind) in (Any, str, bytes, *_PLAIN):
        return
    if kind is None or not (isinstance(kind, type) or typing.get_origin(kind) is not None or _is_union(kind)):
        raise ConfigError(what, None, f"must be a class or a type such as list[Order], not {type(kind).__name__}")
    if isinstance(kind, type) and (issubclass(kind, Message) or _is_model(kind)):
        return
    msgspec = _msgspec(what, kind)
    try:
        shape = msgspec.inspect.type_info(kind)
    except TypeError as error:
        raise ConfigError(what, _name(kind), f"cannot be a body: {error}") from None
    if isinstance(shape, msgspec.inspect.CustomType) and len(list(serializers)) == 1:
        raise ConfigError(what, _name(kind), "has no declared fields: give a dataclass, a model, a struct, dict, ...")


def _without_members(kind: Any) -> Any:
    """`dict` for `dict[str, Any]` and `list` for `list[object]`, of which nothing is to be validated; else `kind`."""
    members = typing.get_args(kind)
    if typing.get_origin(kind) is dict and members[0] is str and members[1] in (Any, object):
        return dict
    return list if typing.get_origin(kind) is list and members[0] in (Any, object) else kind


def _is_union(kind: object) -> bool:
    return isinstance(kind, types.UnionType)


def _has_fields(kind: type) -> bool:
    return (
        dataclasses.is_dataclass(kind)
        or _is_model(kind)
        or hasattr(kind, "__attrs_attrs__")
        or hasattr(kind, "__struct_fields__")
    )


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_validate")


def _msgspec(what: str, kind: object) -> Any:
    try:
        import msgspec
    except ModuleNotFoundError as missing:
        if missing.name != "msgspec":
            raise
        raise ConfigError(
            what, _name(kind), f"needs msgspec, which is not installed: pip install '{EXTRA}'; or take dict"
        ) from None
    return msgspec


def _name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


# --- to a message -----------------------------------------------------------------------------------------------------


def typed_message(
    value: object,
    serializer: Serializer | None = None,
    *,
    serializers: Serializers = JSON_ONLY,
    properties: Mapping[str, object] | None = None,
) -> Message:
    """A message with `value` as its body, serialized.

    Args:
        value: A dataclass, a pydantic model, an attrs class, a struct, or what the serializer takes: for JSON None,
            bool, int, finite float, text, lists and dicts.
        serializer: For this message alone; default: the first of `serializers`.

    Raises:
        MessageFormatError: The serializer does not take it.
        ConfigError: msgspec is needed and not installed.
    """
    chosen = serializers.default if serializer is None else serializer
    data = dumped(chosen, _plain(value))
    made: Message
    if is_text(chosen.name):
        try:
            made = TextMessage(data.decode(), properties=properties)
        except UnicodeDecodeError:
            raise MessageFormatError(f"{chosen.name}: what a serializer of texts returns must be UTF-8") from None
    else:
        made = BytesMessage(data, properties=properties)
    made.core.properties[CONTENT_TYPE] = chosen.name
    return made


def _plain(value: object) -> object:
    kind = type(value)
    if _is_model(kind):
        return cast(Any, value).model_dump(mode="json", by_alias=True)
    if _has_fields(kind) or isinstance(value, list | tuple | dict):
        if isinstance(value, list | tuple | dict) and not _holds_typed(value):
            return value
        msgspec = _msgspec("body", kind)
        try:
            return msgspec.to_builtins(value, str_keys=True, enc_hook=_model_inside)
        except (TypeError, ValueError, RecursionError) as error:
            raise MessageFormatError(f"a {kind.__name__} cannot be sent: {type(error).__name__}: {error}") from error
    return value


def _holds_typed(value: object, depth: int = 20) -> bool:
    if depth == 0:
        return False
    if isinstance(value, dict):
        return any(_holds_typed(each, depth - 1) for each in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_typed(each, depth - 1) for each in value)
    return _has_fields(type(value))


def _model_inside(value: object) -> object:
    if _is_model(type(value)):
        return cast(Any, value).model_dump(mode="json", by_alias=True)
    raise NotImplementedError(f"a {type(value).__name__} has no form in plain values")


def is_text(content_type: str) -> bool:
    """Are bodies of this content type texts?"""
    name = _essence(content_type)
    return name.startswith("text/") or name in _TEXTS or name.endswith(("+json", "+xml"))


def _essence(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


# --- from a message ---------------------------------------------------------------------------------------------------


def read_body(message: Message, kind: type[T], serializers: Serializers) -> T:
    """The body of a message as `kind`.

    Args:
        kind: `str` or `bytes`: the body as it is. `dict`, `list`, `object`: plain values, of JSON texts, map and stream
            messages. A dataclass, a pydantic model, an attrs class, a struct, or a type such as `list[Order]`: made of
            plain values and validated.

    Raises:
        MessageFormatError: The body is no `kind`: the text says where and why, and shows no value of it.
        ConfigError: `kind` needs a library that is not installed.
    """
    found: object
    kind = _without_members(kind)
    if isinstance(kind, type) and issubclass(kind, Message):
        found = message
    elif kind in (str, bytes):
        found = _as_it_is(message)
    else:
        found = _shaped(_plain_of(message, serializers), kind)
    as_it_is = kind in (str, bytes, dict, list) or (isinstance(kind, type) and issubclass(kind, Message))
    if as_it_is and not isinstance(found, kind):
        raise MessageFormatError(f"the body is {_article(found)}, not {kind.__name__}")
    return cast(T, found)


def _as_it_is(message: Message) -> object:
    return message.raw if isinstance(message, ObjectMessage) else message.body


def _plain_of(message: Message, serializers: Serializers) -> object:
    if isinstance(message, MapMessage):
        return {name: _simple(value) for name, value in message.items()}
    if isinstance(message, StreamMessage):
        return [_simple(value) for value in message]
    if isinstance(message, ObjectMessage):
        return message.object
    body = message.body
    if body is None:
        return None
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if not isinstance(data, bytes | bytearray | memoryview):
        return body
    return loaded(_serializer_of(message, serializers), bytes(data))


def _serializer_of(message: Message, serializers: Serializers) -> Serializer:
    """By which a body is read: the one that its content type names; without one, or for text/plain, JSON."""
    given = message.core.properties.get(CONTENT_TYPE)
    if not isinstance(given, str) or not given:
        return serializers.default if isinstance(message, BytesMessage) else JSON
    found = serializers.get(given) or serializers.get(_essence(given))
    if found is not None:
        return found
    name = _essence(given)
    if name == "text/plain" or name.endswith("+json"):
        return JSON
    raise MessageFormatError(f"the body is {given[:100]!r}, and no serializer of this name was given")


def _simple(value: object) -> object:
    """A value of a map or stream message without its Java type."""
    if isinstance(value, bool | bytes) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value)


def _shaped(plain: object, kind: Any) -> object:
    if kind is Any or kind in _PLAIN:
        return plain
    if _is_model(kind):
        return _model(plain, kind)
    if isinstance(kind, type) and isinstance(plain, kind) and not _has_fields(kind) and kind not in (int, float):
        return plain  # a serializer of objects made it
    msgspec = _msgspec("kind", kind)
    try:
        return msgspec.convert(plain, kind, str_keys=True, dec_hook=_model_of)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        text = str(error) if isinstance(error, msgspec.ValidationError) else type(error).__name__
        raise MessageFormatError(f"the body is no {_name(kind)}: {_without_values(text)}") from None


def _model_of(kind: type, plain: object) -> object:
    """A pydantic model inside of something else."""
    if _is_model(kind):
        return _model(plain, kind)
    raise NotImplementedError(f"a {_name(kind)} cannot be read")


def _model(plain: object, kind: Any) -> object:
    import json

    from pydantic import ValidationError

    try:
        # As JSON even so: a strict model takes a date from JSON's text, and from a Python str it does not.
        try:
            text = json.dumps(plain)
        except (TypeError, ValueError):
            return kind.model_validate(plain)
        return kind.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        told = "; ".join(f"{_place(each['loc'])}{_problem(each)}" for each in found[:_MAX_PROBLEMS])
        more = f"; and {len(found) - _MAX_PROBLEMS} more" if len(found) > _MAX_PROBLEMS else ""
        raise MessageFormatError(f"the body is no {kind.__name__}: {told}{more}") from None


def _place(where: Sequence[object]) -> str:
    return ".".join(str(each) for each in where) + ": " if where else ""


def _problem(found: Mapping[str, Any]) -> str:
    """What pydantic says of a field; of what a validator of the application raised only the kind: it may quote."""
    kind = str(found["type"])
    return kind if kind in ("value_error", "assertion_error") else str(found["msg"])


def _without_values(text: str) -> str:
    return _KEY_SHOWN.sub("[...]", _VALUE_SHOWN.sub(r"\1 ***", text))


def _article(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
