"""How a setting is declared: one `param()`, from which its key, kind, rule, checks and documentation derive.

Law of this file: a value that breaks its rule never becomes another value: it is a `ConfigError` that names key, value
and rule, but no secret. Nothing here knows which settings there are.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from activeclient.errors import ConfigError
from activeclient.masking import MASK, PUBLIC_KEYS, SECRET_KEYS, Secret, always_shown, masked, never_raises

T = TypeVar("T")
Value = bool | int | float | str | tuple[str, ...] | None

INT: Final = 2**31 - 1
"""Java's largest int: sizes and counts."""
LONG: Final = 2**63 - 1
"""Java's largest long: milliseconds."""
FOREVER: Final = 1e9
"""Seconds (31 years). Longer times are cut to it: lock and socket time-outs overflow beyond."""
MAX_TEXT: Final = 65536
"""Characters of a text value."""


def seconds(milliseconds: float) -> float | None:
    """A setting in milliseconds as the engine wants it: seconds, or None for a negative value (off, or for ever)."""
    return None if milliseconds < 0 else min(milliseconds / 1000, FOREVER)


@always_shown
@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One setting as declared; what documentation and command line are made from."""

    key: str
    """The name in URLs and `jndi.properties`, case-sensitive."""
    attribute: str = ""
    """The name as attribute and keyword argument."""
    group: str = ""
    """The class that declares it."""
    kind: str
    """bool, int, float, text or list (comma-separated)."""
    default: Value
    unit: str = ""
    rule: str
    """What a value must be, in words."""
    doc: str
    aliases: tuple[str, ...] = ()
    secret: bool = False
    check: Callable[[Value], bool] = field(repr=False)
    convert: Callable[[str], Value] | None = field(default=None, repr=False)

    def parse(self, text: str) -> Value:
        """The value that `text` means.

        Raises:
            ConfigError: The text is not of this kind; nothing is guessed. The text of a secret is not shown.
        """
        if self.convert is not None:
            return self.convert(text)
        match self.kind:
            case "bool":
                value = _BOOLEANS.get(text.strip().lower())
                if value is None:
                    raise self.error(text, "must be true or false")
                return value
            case "int":
                if not _INT.fullmatch(text):
                    raise self.error(text, f"must be a whole number{self._of_unit()}, without unit or fraction")
                return int(text)
            case "float":
                if not _FLOAT.fullmatch(text):
                    raise self.error(text, f"must be a number{self._of_unit()}")
                return float(text)
            case "list":
                return tuple(part.strip() for part in text.split(",") if part.strip())
            case _:
                return text or None

    def checked(self, value: object) -> Value:
        """`value` itself when type and rule hold, an int widened to float where a float is asked for."""
        if value is None and self.default is None:
            return None
        if self.secret:
            value = Secret.of(value)
        match self.kind, value:
            case "float", bool():
                raise self.error(value, "must be a number")
            case "float", int() | float() if math.isfinite(value) and abs(value) <= LONG:
                value = float(value)
            case "int", bool():
                raise self.error(value, "must be a whole number")
            case ("bool", bool()) | ("int", int()):
                pass
            case "text", str():
                if len(value) > MAX_TEXT or "\0" in value:
                    raise self.error(None, f"must be at most {MAX_TEXT} characters without NUL")
            case "list", tuple() | list() if all(isinstance(part, str) for part in value):
                value = tuple(value)
            case _:
                raise self.error(value, f"must be {_KINDS[self.kind]}")
        accepted = cast("Value", value)
        if not self.check(accepted):
            raise self.error(accepted, f"must be {self.rule}")
        return accepted

    def error(self, value: object, rule: str) -> ConfigError:
        """The error for a bad value; of a secret only the rule is told."""
        if self.secret:
            return ConfigError(self.key, None, rule)
        shown = value
        if isinstance(value, str):  # a mistake in the separators may have brought a secret along
            shown = masked(value)
            shown = shown if len(shown) <= 100 else shown[:100] + "..."
        return ConfigError(self.key, shown, rule)

    def _of_unit(self) -> str:
        return f" of {_UNITS.get(self.unit, self.unit)}" if self.unit else ""


_BOOLEANS: Final = dict.fromkeys(("true", "yes", "y", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "n", "off", "0"), False
)
_INT: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?([0-9]{1,19}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?", re.ASCII)
_KINDS: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "text",
    "list": "a list of texts",
}
_UNITS: Final = {"ms": "milliseconds"}


def param(
    default: T,
    key: str,
    doc: str,
    *,
    kind: str = "",
    unit: str = "",
    check: Callable[[T], bool] | None = None,
    must: str = "",
    low: int | None = None,
    off: int | None = None,
    high: int | None = None,
    choices: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    secret: bool = False,
    convert: Callable[[str], Value] | None = None,
) -> T:
    """Declare a setting: a dataclass field that carries everything known about it.

    Args:
        low: The smallest number allowed.
        off: One more number allowed below `low` (-1: off, unlimited, for ever).
        high: The largest number allowed; Java's largest int, or long for milliseconds, unless given.
        check: A rule that numbers and choices cannot express; `must` says it in words.
    """
    (SECRET_KEYS if secret else PUBLIC_KEYS).update((key, *aliases))
    kinds: tuple[tuple[type, str], ...] = ((bool, "bool"), (int, "int"), (float, "float"), (tuple, "list"))
    kind = kind or next((name for type_, name in kinds if isinstance(default, type_)), "text")
    rule = must
    test = cast("Callable[[Value], bool] | None", check)
    if kind in ("int", "float") and test is None:
        top = high if high is not None else LONG if unit == "ms" else INT
        bottom = low if low is not None else -top - 1

        def within(value: Value) -> bool:
            return value == off if off is not None and value == off else bottom <= cast("float", value) <= top

        test = within
        limit = "" if top in (INT, LONG) else f" and <= {top}"
        rule = rule or (f"{'' if off is None else f'{off} or '}>= {bottom}{limit}")
    if choices:
        test = choices.__contains__
        rule = "one of " + ", ".join(choices)
    parameter = Parameter(
        key=key,
        kind=kind,
        default=cast("Value", default),
        unit=unit,
        rule=rule or _KINDS[kind],
        doc=doc,
        aliases=aliases,
        secret=secret,
        check=test or (lambda _: True),
        convert=convert,
    )
    return field(default=default, metadata={"parameter": parameter})


class Group:
    """Checks each declared field when an object is made; shows what differs from the defaults, secrets masked."""

    def __post_init__(self) -> None:
        for parameter in declared(type(self)):
            value: object = getattr(self, parameter.attribute)
            if parameter.secret:
                value = Secret.of(value)
                object.__setattr__(self, parameter.attribute, value)
            checked = parameter.checked(value)
            if checked is not value:
                object.__setattr__(self, parameter.attribute, checked)

    @never_raises
    def __repr__(self) -> str:
        parts = (
            f"{p.attribute}={MASK if p.secret else repr(value)}"
            for p in declared(type(self))
            if (value := getattr(self, p.attribute)) != p.default
        )
        return f"{type(self).__name__}({', '.join(parts)})"


_collected: dict[type, tuple[Parameter, ...]] = {}


def declared(group: type) -> tuple[Parameter, ...]:
    """The parameters of a settings class, its bases included, in the order of declaration."""
    if group not in _collected:
        owners = {name: owner.__name__ for owner in reversed(group.__mro__) for name in inspect.get_annotations(owner)}
        _collected[group] = tuple(
            dataclasses.replace(f.metadata["parameter"], attribute=f.name, group=owners[f.name])
            for f in dataclasses.fields(group)
        )
    return _collected[group]
