"""What a command prints: lines for people, JSON for programs, and nothing else on stdout.

Law of this file: results go to stdout and are flushed one by one, remarks and errors go to stderr; colours only where
a terminal shows them, and no control character of a message reaches a terminal.
"""

from __future__ import annotations

import base64
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from activeclient.parameter import FOREVER

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_WIDTH = 200
"""Columns of a table that no terminal limits."""


class Output:
    """Where a command's results go.

    Args:
        as_json: Results are JSON, an object a line; remarks are left out.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._consoles: dict[bool, Console] = {}

    @property
    def on_terminal(self) -> bool:
        """Does a person read stdout?"""
        return not self.as_json and sys.stdout.isatty()

    def console(self, *, stderr: bool = False) -> Console:
        """For tables and live views; plain text where there is no terminal."""
        from rich.console import Console

        if stderr not in self._consoles:
            made = Console(stderr=stderr, highlight=False, soft_wrap=False)
            if not made.is_terminal:
                made.width = LONGEST_WIDTH
            self._consoles[stderr] = made
        return self._consoles[stderr]

    def line(self, text: str = "") -> None:
        """A line of result."""
        self.raw((harmless(text) if sys.stdout.isatty() else text).encode("utf-8", "backslashreplace") + b"\n")

    def record(self, value: Mapping[str, object]) -> None:
        """A result as a line of JSON."""
        self.raw(json.dumps(plain(value), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def raw(self, data: bytes) -> None:
        """Bytes of a result, as they are."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def note(self, text: str) -> None:
        """A remark for people."""
        if not self.as_json:
            print(harmless(text), file=sys.stderr, flush=True)

    def error(self, text: str, *, kind: str, code: int) -> None:
        """Why the command ends."""
        if self.as_json:
            print(json.dumps({"error": kind, "message": text, "exit_code": code}), file=sys.stderr, flush=True)
        else:
            print(f"activeclient: {harmless(text)}", file=sys.stderr, flush=True)


def harmless(text: str) -> str:
    """`text` with control characters written out, line ends and tabs excepted: they could drive a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text)


def plain(value: object) -> object:
    """`value` as JSON can say it: bytes in base 64, numbers that are none as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Sequence):
        return [plain(each) for each in value]
    return str(value)


def discard_stdout() -> None:
    """Nobody reads any more: what is still buffered must not fail at the interpreter's end."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # captured
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def seconds_of(value: float | None) -> float | None:
    """A time limit of an option as calls want it: None, or 0 and less, for ever."""
    return None if value is None or value <= 0 else min(value, FOREVER)
