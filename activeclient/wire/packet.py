"""Packets are declared as classes; their codecs are compiled from the annotations.

Law of this file: a packet is one class. Its type numbers, its fields, their order, the versions of both, and what
the peer does with it are declared there once; no code elsewhere needs a type number to encode or decode it. Two classes
with one type number fail at import. Encoding is by one function for each class and version, made when it is first
needed.

A packet whose type number changed over the versions has several *forms*. The version chooses the form to encode. A
frame is decoded by the form of its type number, with the fields of the version nearest to the connection's that uses
this form: peers also send old forms on new connections.

Field rules that `wire` adds to an annotation: `since` and `until` (first and last version that has the field),
`missing` (its decoded value where the version lacks it), `needed` (a request is refused rather than sent without it),
`optional` (older peers stop in front of it), `unless` (present only when that flag of the packet is false), `after`
(the inherited field that it follows). Inherited fields follow the class's own.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Literal, TypeVar, dataclass_transform, get_type_hints

from activeclient.errors import LocalProtocolError, RemoteProtocolError, UnsupportedOperationError
from activeclient.masking import never_raises
from activeclient.wire.fields import Fixed, Sized
from activeclient.wire.frames import FRAME, HEADER_SIZE, MIN_LENGTH
from activeclient.wire.versions import NEWEST, V2_0, release

Sender = Literal["client", "server", "both"]
Convert = Callable[[bytes], bytes]


class Packet:
    """What all packets have. Packets are compared by value, and nobody changes one after it was made."""

    __slots__ = ()
    KIND: ClassVar[int]
    """The type byte of the newest form, signed."""
    KINDS: ClassVar[Mapping[int, int]]
    """Type byte of each form to the first version that uses it, oldest form first."""
    COUNTED: ClassVar[bool]
    """Does it take a command id on a session channel? Ask `is_counted` for a packet at hand."""
    COUNTED_IF: ClassVar[str]
    """Name of the flag on which counting depends; empty for most."""
    REPLY: ClassVar[tuple[type[Packet], ...]]
    """The packets that answer it (if it asks for an answer); any request may get an exception instead."""
    SENT_BY: ClassVar[Sender]
    BEFORE_2_0: ClassVar[tuple[Convert, Convert] | None]
    """What makes the frame of versions before 129 of the present one, and the other way round; None: they are alike."""
    SINCE: ClassVar[int]
    """First version that has it; 0: all of them."""

    # Written once here and not generated for each class, which would cost start-up time.

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in dataclasses.fields(self))  # type: ignore[arg-type]

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    @never_raises
    def __repr__(self) -> str:
        shown = [f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"


REGISTRY: Final[dict[int, type[Packet]]] = {}
"""Type number to class."""

Encoder = Callable[[Any, int], bytes]
Decoder = Callable[[bytes, int], Packet]
C = TypeVar("C", bound=type)

_ENCODERS: Final[dict[tuple[type[Packet], int], Encoder]] = {}
_DECODERS: Final[dict[tuple[int, int], Decoder]] = {}


def wire(
    *,
    default: Any = dataclasses.MISSING,
    missing: Any = dataclasses.MISSING,
    since: int = 0,
    until: int = NEWEST,
    needed: bool = False,
    optional: bool = False,
    unless: str = "",
    after: str = "",
    repr: bool = True,  # noqa: A002 (the name that dataclass_transform knows)
) -> Any:
    """Declare a field that is not in every frame of its packet; `default` is its value where it is not.

    An optional field whose kind has no place for None is left out when its value is None.

    Args:
        missing: Its decoded value where the version lacks the field, if that is not `default`.
        needed: Raise UnsupportedOperationError instead of leaving out another value than `default`.
        after: The inherited field behind which it stands in the frame.
    """
    rules = {
        "since": since,
        "until": until,
        "missing": default if missing is dataclasses.MISSING else missing,
        "needed": needed,
        "optional": optional,
        "unless": unless,
        "after": after,
    }
    return dataclasses.field(default=default, repr=repr, metadata=rules)


@dataclass_transform(field_specifiers=(wire,), kw_only_default=True)
def shared_fields(cls: C) -> C:
    """Declare fields that several packets inherit; they are given by keyword."""
    made: Any = dataclasses.dataclass(slots=True, repr=False, eq=False, kw_only=True)(cls)
    return made  # type: ignore[no-any-return]


@dataclass_transform(field_specifiers=(wire,))
def packet(
    kinds: int | Mapping[int, int],
    *,
    counted: bool = True,
    counted_if: str = "",
    reply: tuple[type[Packet], ...] = (),
    sent_by: Sender = "client",
    before_2_0: tuple[Convert, Convert] | None = None,
) -> Callable[[C], C]:
    """Declare a packet.

    Args:
        kinds: Its type number; or the type number of each of its forms and the first version that uses it, oldest
            first.

    Raises:
        TypeError: The type number is taken. A field without a kind is found at the first use, and by a test: looking
            at every annotation of every packet would be half of this package's start-up time.
    """

    def declare(cls: C) -> C:
        made: Any = dataclasses.dataclass(slots=True, repr=False, eq=False)(cls)
        made.KINDS = forms = {kinds: 0} if isinstance(kinds, int) else dict(kinds)
        made.KIND = tuple(forms)[-1]
        made.COUNTED = counted
        made.COUNTED_IF = counted_if
        made.REPLY = reply
        made.SENT_BY = sent_by
        made.BEFORE_2_0 = before_2_0
        made.SINCE = next(iter(forms.values()))
        for kind in forms:
            if kind in REGISTRY:
                raise TypeError(f"packet type {kind} of {cls.__name__} is that of {REGISTRY[kind].__name__} already")
            if not -128 <= kind <= 127:
                raise TypeError(f"packet type {kind} of {cls.__name__} does not fit a signed byte")
            REGISTRY[kind] = made
        return made  # type: ignore[no-any-return]

    return declare


def is_counted(packet: Packet) -> bool:
    """Does this packet take a command id when it is sent on a session channel that counts?"""
    if packet.COUNTED_IF:
        return bool(getattr(packet, packet.COUNTED_IF))
    return packet.COUNTED


def is_supported(cls: type[Packet], version: int) -> bool:
    """True if a protocol version has this packet."""
    return version >= cls.SINCE


def carries(cls: type[Packet], field: str, version: int) -> bool:
    """True if a protocol version has this field in the packet."""
    (declared,) = (each for each in dataclasses.fields(cls) if each.name == field)  # type: ignore[arg-type]
    return bool(declared.metadata.get("since", 0) <= version <= declared.metadata.get("until", NEWEST))


def encode(packet: Packet, channel_id: int, version: int) -> bytes:
    """The whole frame of `packet`, length included.

    Raises:
        LocalProtocolError: A value does not fit its field.
        UnsupportedOperationError: The version has no such packet, or lacks a field that is needed.
    """
    encoder = _ENCODERS.get((type(packet), version)) or _encoder(type(packet), version)
    try:
        return encoder(packet, channel_id)
    except (struct.error, TypeError, AttributeError, ValueError, OverflowError) as exc:
        raise LocalProtocolError(_blame(packet, version)) from exc


def decode(frame: bytes, version: int) -> Packet:
    """The packet of a whole frame. Bytes behind the last field that we know are ignored: newer peers add fields.

    Raises:
        RemoteProtocolError: The frame is not whole, of unknown type, or a field cannot be read.
    """
    if len(frame) < HEADER_SIZE:
        raise RemoteProtocolError(f"{len(frame)} bytes are no frame")
    length, kind, _ = FRAME.unpack_from(frame)
    if length != len(frame) - 4:
        raise RemoteProtocolError(f"frame length {length} in a frame of {len(frame)} bytes", kind=kind)
    decoder = _DECODERS.get((kind, version)) or _decoder(kind, version)
    try:
        return decoder(frame, HEADER_SIZE)
    except RemoteProtocolError as exc:
        if exc.kind is not None:
            raise
        raise RemoteProtocolError(str(exc), kind=kind) from exc
    except (struct.error, UnicodeDecodeError) as exc:
        raise RemoteProtocolError(f"cannot read {REGISTRY[kind].__name__}: {exc}", kind=kind) from exc


# --- compiling --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: Fixed | Sized[Any]
    optional: bool
    unless: str
    omit_none: bool

    @property
    def alone(self) -> bool:
        """May it be missing for itself?"""
        return self.optional or bool(self.unless)


def _fields(cls: type[Packet], version: int) -> list[_Field]:
    hints = get_type_hints(cls, include_extras=True)
    found = []
    for each in ordered_fields(cls):
        kinds = [kind for kind in getattr(hints[each.name], "__metadata__", ()) if isinstance(kind, Fixed | Sized)]
        if len(kinds) != 1:
            raise TypeError(f"{cls.__name__}.{each.name} has no kind")
        rules = each.metadata
        if rules.get("since", 0) <= version <= rules.get("until", NEWEST):
            optional = rules.get("optional", False)
            omit_none = optional and isinstance(kinds[0], Fixed) and each.default is None
            found.append(_Field(each.name, kinds[0], optional, rules.get("unless", ""), omit_none))
    return found


def ordered_fields(cls: type[Packet]) -> list[dataclasses.Field[Any]]:
    """The fields in the order of the frame: the class's own, then the inherited ones with what stands among them."""
    declared = dataclasses.fields(cls)  # type: ignore[arg-type]
    own = cls.__annotations__
    placed = [each for each in declared if each.name in own and not each.metadata.get("after")]
    for inherited in declared:
        if inherited.name not in own:
            placed.append(inherited)
            placed += [each for each in declared if each.metadata.get("after") == inherited.name]
    return placed


def _runs(fields: list[_Field]) -> list[list[_Field]]:
    """Neighbours that one Struct packs; every other field for itself."""
    runs: list[list[_Field]] = []
    for each in fields:
        last = runs[-1][-1] if runs else None
        joins = last is not None and isinstance(last.kind, Fixed) and isinstance(each.kind, Fixed)
        if joins and not each.alone and last is not None and not last.alone:
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _form(cls: type[Packet], version: int) -> int:
    """The type number by which a version encodes a packet.

    Raises:
        LocalProtocolError: No such version.
        UnsupportedOperationError: The version has no such packet.
    """
    if not 0 <= version <= NEWEST:
        raise LocalProtocolError(f"{version} is no protocol version that we know")
    form = None
    for kind, since in cls.KINDS.items():
        if since <= version:
            form = kind
    if form is None:
        raise _unsupported(cls.__name__, version, cls.SINCE)
    return form


def _layout_version(cls: type[Packet], kind: int, version: int) -> int:
    """The version whose fields a form has on a connection of `version`: the nearest one that uses the form."""
    first, last = cls.KINDS[kind], NEWEST
    for since in cls.KINDS.values():
        if since > first:
            last = since - 1
            break
    return min(max(version, first), last)


def _unsupported(what: str, version: int, since: int) -> UnsupportedOperationError:
    return UnsupportedOperationError(
        f"{what} cannot be asked of this broker: it speaks protocol version {version}, and this needs version {since}"
        f" ({release(since)})"
    )


def _refusal(cls: type[Packet], version: int) -> Callable[[Packet], None] | None:
    """What refuses a request whose values `version` cannot express; None when it lacks no field that is needed."""
    if cls.SENT_BY != "client":
        return None  # an answer says what there is a place for
    lacking = [
        (each.name, each.default, each.metadata["since"])
        for each in dataclasses.fields(cls)  # type: ignore[arg-type]
        if each.metadata.get("needed") and version < each.metadata["since"]
    ]

    def refuse(packet: Packet) -> None:
        for name, default, since in lacking:
            if getattr(packet, name) != default:
                raise _unsupported(f"{cls.__name__}.{name}", version, since)

    return refuse if lacking else None


def _encoder(cls: type[Packet], version: int, kind: int | None = None) -> Encoder:
    if cls not in REGISTRY.values():
        raise LocalProtocolError(f"{cls.__name__} is no packet")
    chosen = _form(cls, version)
    if kind is None:
        kind = chosen
    layout = _layout_version(cls, kind, version)
    scope: dict[str, Any] = {}
    runs = _runs(_fields(cls, layout))
    lines = ["def encoder(p, channel):"]
    refuse = _refusal(cls, layout)
    if refuse is not None:
        scope["refuse"] = refuse
        lines.append("    refuse(p)")
    if all(isinstance(run[0].kind, Fixed) and not run[0].alone for run in runs):
        # One Struct for the whole frame.
        formats, values = _fixed(runs[0] if runs else [])
        whole = struct.Struct(FRAME.format + formats)
        scope["pack"] = whole.pack
        lines.append(f"    return pack({', '.join([str(whole.size - 4), str(kind), 'channel', *values])})")
    else:
        scope["head"] = FRAME.pack
        scope["join"] = b"".join
        parts = [f"v{n}" for n in range(len(runs))]
        for n, run in enumerate(runs):
            first = run[0]
            if isinstance(first.kind, Fixed):
                formats, values = _fixed(run)
                scope[f"w{n}"] = struct.Struct(">" + formats).pack
                value = f"w{n}({', '.join(values)})"
            else:
                scope[f"w{n}"] = first.kind.write
                value = f"w{n}(p.{first.name})"
            if first.unless:
                value = f"b'' if p.{first.unless} else {value}"
            elif first.omit_none:
                value = f"b'' if p.{first.name} is None else {value}"
            lines.append(f"    v{n} = {value}")
        size = " + ".join(f"len({part})" for part in parts)
        lines.append(f"    return join((head({size} + {MIN_LENGTH}, {kind}, channel), {', '.join(parts)}))")
    encoder: Encoder = _compile(lines, "encoder", cls, version, scope)
    if cls.BEFORE_2_0 is not None and version < V2_0:
        modern, to_old = encoder, cls.BEFORE_2_0[0]
        encoder = lambda packet, channel: to_old(modern(packet, channel))  # noqa: E731
    if kind == chosen:
        _ENCODERS[cls, version] = encoder
    return encoder


def _fixed(run: list[_Field]) -> tuple[str, list[str]]:
    kinds = [(each.name, each.kind) for each in run]
    formats = "".join(kind.write_format for _, kind in kinds if isinstance(kind, Fixed))
    return formats, [kind.write_expression.format(f"p.{name}") for name, kind in kinds if isinstance(kind, Fixed)]


def _decoder(kind: int, version: int) -> Decoder:
    cls = REGISTRY.get(kind)
    if cls is None:
        raise RemoteProtocolError("unknown packet", kind=kind)
    if not 0 <= version <= NEWEST:
        raise RemoteProtocolError(f"{version} is no protocol version that we know", kind=kind)
    layout = _layout_version(cls, kind, version)
    scope: dict[str, Any] = {"cls": cls}
    read: list[str] = []
    lines = ["def decoder(frame, pos):", "    end = len(frame)"]
    declared = {each.name: each for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
    fields = _fields(cls, layout)
    for name in declared.keys() - {each.name for each in fields}:
        missing = declared[name].metadata["missing"]
        if missing is not declared[name].default:
            scope[f"missing_{name}"] = missing
            read.append(f"{name}=missing_{name}")
    for n, run in enumerate(_runs(fields)):
        first = run[0]
        if first.optional:
            lines.append(f"    if pos >= end: return cls({', '.join(read)})")
        indent = "    "
        if first.unless:
            scope[f"d{n}"] = declared[first.name].default
            lines += [f"    if {first.unless}: {first.name} = d{n}", "    else:"]
            indent = "        "
        if isinstance(first.kind, Fixed):
            formats = "".join(each.kind.read_format for each in run if isinstance(each.kind, Fixed))
            fixed = struct.Struct(">" + formats)
            scope[f"r{n}"] = fixed.unpack_from
            lines.append(f"{indent}{', '.join(each.name for each in run)}, = r{n}(frame, pos); pos += {fixed.size}")
        else:
            scope[f"r{n}"] = first.kind.read
            lines.append(f"{indent}{first.name}, pos = r{n}(frame, pos)")
        read += [f"{each.name}={each.name}" for each in run]
    lines.append(f"    return cls({', '.join(read)})")
    decoder: Decoder = _compile(lines, "decoder", cls, version, scope)
    if cls.BEFORE_2_0 is not None and version < V2_0:
        modern, to_modern = decoder, cls.BEFORE_2_0[1]
        decoder = lambda frame, position: modern(to_modern(frame), position)  # noqa: E731
    _DECODERS[kind, version] = decoder
    return decoder


def _compile(lines: list[str], name: str, cls: type[Packet], version: int, scope: dict[str, Any]) -> Any:
    exec(compile("\n".join(lines), f"<{name} of {cls.__name__} at {version}>", "exec"), scope)
    return scope[name]


def _blame(packet: Packet, version: int) -> str:
    """Which field cannot be written. Values stay out of the text: one of them is a password."""
    name = type(packet).__name__
    for each in _fields(type(packet), version):
        value = getattr(packet, each.name, None)
        try:
            if each.omit_none and value is None:
                continue
            if isinstance(each.kind, Fixed):
                struct.pack(">" + each.kind.write_format, -1 if each.kind.read_format == "?" else value)
            else:
                each.kind.write(value)
        except (struct.error, TypeError, AttributeError, ValueError, OverflowError) as exc:
            return f"{name}.{each.name}: a {type(value).__name__} that cannot be written ({type(exc).__name__})"
    return f"{name}: the channel id does not fit, or the frame is beyond 2 GiB"
