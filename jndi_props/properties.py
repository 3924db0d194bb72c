"""Where `jndi.properties` is found, and what stands in it, with file and line.

Law of this file: every entry knows its origin, so that an error can say where to look. The file format itself
(ISO-8859-1, escapes, continuation lines) is javaproperties' job; beyond Java, trailing blanks of a value are cut off,
for in a URL they are always a mistake.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import javaproperties

from activeclient.errors import NamingError
from activeclient.masking import Secret, SecretURL, is_sensitive, kind_of, never_raises

FILE_NAME: Final = "jndi.properties"
VARIABLE: Final = "ACTIVECLIENT_JNDI_PROPERTIES"
"""Environment variable with the path of the file."""
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MAX_FILE: Final = 1 << 20
"""Bytes of a properties file; a larger one is something else."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One property."""

    key: str
    value: str
    """No representation shows it whole: it may be a URL with a password, or a password itself."""
    origin: str
    """`path, line 7`, or what else it came from."""

    @never_raises
    def __repr__(self) -> str:
        return f"Entry({self.key!r}, {self.origin})"


def entry_of(key: str, value: str, origin: str) -> Entry:
    """An entry whose value shows no secret."""
    return Entry(key, Secret(value) if is_sensitive(key) else SecretURL(value), origin)


def find_file(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The file that counts: `path`, else the one that ACTIVECLIENT_JNDI_PROPERTIES names, else `jndi.properties` in the
    working directory, else the first one in a directory of `sys.path`; None when there is none.

    Raises:
        NamingError: `path`, or the variable, names a file that does not exist.
    """
    named = [("path", path), (VARIABLE, os.environ.get(VARIABLE) or None)]
    for source, name in named:
        if name is not None:
            found = Path(name)
            if not found.is_file():
                raise NamingError(source, str(name), "no such file")
            return found
    candidates = (Path(directory or ".") / FILE_NAME for directory in ("", *sys.path))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_file(path: Path) -> dict[str, Entry]:
    """The entries of a properties file; of a repeated key the last counts.

    Raises:
        NamingError: It cannot be read, is too large, or has a broken escape.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as exc:
        raise NamingError("path", str(path), f"cannot be read: {exc.strerror}") from exc
    if len(content) > MAX_FILE:
        raise NamingError("path", str(path), f"must be at most {MAX_FILE} bytes")
    return parse(content, str(path))


def parse(content: bytes, name: str) -> dict[str, Entry]:
    """The entries of a properties file's bytes; `name` is what errors call it."""
    if content.startswith(_UTF_16):
        raise NamingError("path", name, "is in UTF-16; save it as ISO-8859-1 or UTF-8")
    content = content.removeprefix(codecs.BOM_UTF8)  # editors on Windows write it; it would be part of the first key
    entries: dict[str, Entry] = {}
    line = 1
    try:
        for element in javaproperties.parse(io.BytesIO(content)):
            if isinstance(element, javaproperties.KeyValue):
                entries[element.key] = entry_of(element.key, element.value.rstrip(), f"{name}, line {line}")
            source = element.source
            line += source.count("\n") + source.count("\r") - source.count("\r\n")
    except javaproperties.InvalidUEscapeError as exc:
        raise NamingError("path", name, f"broken escape {exc.escape!r} in or after line {line}") from exc
    return entries


def collect(environment: Mapping[str, str] | None, path: str | os.PathLike[str] | None) -> dict[str, Entry]:
    """All entries: those of the file that counts, each overridden by the mapping's entry of the same key."""
    found = find_file(path)
    entries = {} if found is None else read_file(found)
    for key, value in (environment or {}).items():
        if not isinstance(value, str):
            raise NamingError(key, None, f"must be text, not {kind_of(value)}")
        entries[key] = entry_of(key, value.strip(), "the mapping given to InitialContext")
    return entries
