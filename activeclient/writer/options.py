"""The options of a writer's reconnection, by each name under which they are known: attributes, `set_config`, XML.

Law of this file: an option has one rule, whichever way it is set; what breaks it changes nothing and is a `ConfigError`
that names option, value and rule. `restartgraph` is the inverse of internal reconnect.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from activeclient.errors import ConfigError
from activeclient.settings import SHORTEST_PERIOD

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

INT32: Final = 2**31 - 1
MAX_XML: Final = 64 * 1024
"""Bytes of an XML document; the element is a line."""
ELEMENT: Final = "reconnectinterval"


@dataclass(frozen=True, slots=True)
class ReconnectOptions:
    """When a writer connects again, and what goes on meanwhile. Frozen; `with_option` makes another one.

    Attributes:
        attempts: How often a reconnection is tried, 0 to 2,147,483,647; each success gives all of them back.
        period: Milliseconds before each attempt, 0 to 2,147,483,647; below 100 nothing is reconnected.
        unlimited: Attempts never end, whatever `attempts` says.
        internal: Local work goes on while disconnected: a store takes what is written. False: the pipeline is stopped
            for the outage, and nothing is stored.
    """

    attempts: int = 5
    period: int = 5000
    unlimited: bool = False
    internal: bool = True

    def __post_init__(self) -> None:
        for name in ("attempts", "period"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INT32:
                raise ConfigError(name, value, f"must be a whole number from 0 to {INT32}")
        for name in ("unlimited", "internal"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(name, getattr(self, name), "must be True or False")

    @property
    def reconnects(self) -> bool:
        """Is anything tried after a loss?"""
        return self.period >= SHORTEST_PERIOD and (self.unlimited or self.attempts > 0)

    def with_option(self, option: str, value: object) -> ReconnectOptions:
        """These options with one changed, by the stream writer's name: `ReconnectAttempts`, `UseUnlimitedReconnect`,
        `ReconnectPeriod`, `UseInternalReconnect`; numbers may be given as text.

        Raises:
            ConfigError: No such option, or a value that breaks its rule.
        """
        known = _OPTIONS.get(option)
        if known is None:
            raise ConfigError(option, None, f"no such option; known are {', '.join(_OPTIONS)}")
        attribute, read = known
        changes: dict[str, Any] = {attribute: read(option, value)}
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_xml(cls, source: str | os.PathLike[str]) -> ReconnectOptions:
        """The options of a `reconnectinterval` element: `attempts`, `interval`, `restartgraph`, `unlimitedattempts`, as
        attributes or as elements within. It may be the document, or stand anywhere in it.

        Needs the extra `xml` (defusedxml). Entities, external ones above all, are refused.

        Args:
            source: XML text (which begins with `<`), or the path of a file.

        Raises:
            ConfigError: No such element, something unknown in it, or a value that breaks its rule.
        """
        values = _values_of(_element(_text_of(source)))
        changes: dict[str, Any] = {}
        for name, text in values.items():
            known = _IN_XML.get(name)
            if known is None:
                raise ConfigError(f"{ELEMENT}/{name}", None, f"unknown; known are {', '.join(_IN_XML)}")
            attribute, read = known
            changes[attribute] = read(name, text)
        return cls(**changes)


def _number(lowest: int) -> Callable[[str, object], int]:
    def read(name: str, given: object) -> int:
        rule = f"must be a whole number from {lowest} to {INT32}"
        value = given
        if isinstance(given, str):
            try:
                value = int(given.strip(), 10)
            except ValueError:
                raise ConfigError(name, given[:100], rule) from None
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= INT32:
            raise ConfigError(name, value, rule)
        return value

    return read


def _flag(name: str, value: object) -> bool:
    text = value.strip().lower() if isinstance(value, str) else value
    if text in (1, "1", "true"):
        return True
    if text in (0, "0", "false"):
        return False
    raise ConfigError(name, value if not isinstance(value, str) else value[:100], "must be 0 or 1")


def _inverse_flag(name: str, value: object) -> bool:
    return not _flag(name, value)


Reader = Callable[[str, object], object]
_OPTIONS: Final[Mapping[str, tuple[str, Reader]]] = {
    "ReconnectAttempts": ("attempts", _number(0)),
    "UseUnlimitedReconnect": ("unlimited", _flag),
    "ReconnectPeriod": ("period", _number(SHORTEST_PERIOD)),
    "UseInternalReconnect": ("internal", _flag),
    "PROPID_nanoRTMPUnlimitedReconnect": ("unlimited", _flag),
}
"""The stream writer's names: attribute, and what reads a value."""
_IN_XML: Final[Mapping[str, tuple[str, Reader]]] = {
    "attempts": ("attempts", _number(0)),
    "interval": ("period", _number(0)),
    "restartgraph": ("internal", _inverse_flag),
    "unlimitedattempts": ("unlimited", _flag),
}


def _text_of(source: str | os.PathLike[str]) -> str:
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("<"):
        text = source
    else:
        try:
            with Path(source).open("rb") as file:
                data = file.read(MAX_XML + 1)
        except OSError as error:
            raise ConfigError(ELEMENT, str(source)[:200], f"cannot be read: {error.strerror}") from None
        text = data.decode("utf-8-sig", "replace")
    if len(text.encode("utf-8", "replace")) > MAX_XML:
        raise ConfigError(ELEMENT, None, f"the document is larger than {MAX_XML} bytes")
    return text


def _element(text: str) -> Element:
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    except ImportError:
        raise ConfigError(ELEMENT, None, "reading XML needs the extra: pip install 'activeclient[xml]'") from None
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except ParseError as error:
        raise ConfigError(ELEMENT, None, f"is no XML: {error}") from None
    except DefusedXmlException as error:
        raise ConfigError(ELEMENT, None, f"is not safe to read: {type(error).__name__}") from None
    found = [each for each in root.iter() if isinstance(each.tag, str) and _local(each.tag) == ELEMENT]
    if len(found) != 1:
        raise ConfigError(ELEMENT, None, f"the document must have this element once, not {len(found)} times")
    return found[0]


def _values_of(element: Element) -> dict[str, str]:
    values = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        name = _local(str(child.tag))
        if name in values:
            raise ConfigError(f"{ELEMENT}/{name}", None, "is given twice")
        values[name] = child.text or ""
    return values


def _local(tag: str) -> str:
    """A name without its namespace, in lower case."""
    return tag.rpartition("}")[2].lower()
