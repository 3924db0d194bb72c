"""`activeclient broker`: a broker on a port, for development and for tests of other programs.

Law of this file: it serves until it is told to end, and then says goodbye to its clients.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.options import JsonOption
from activeclient.cli.output import Output
from activeclient.cli.running import Failed, command
from activeclient.errors import ConfigError
from activeclient.masking import Secret

if TYPE_CHECKING:
    from activeclient.broker.embedded import EmbeddedBroker

LOOK = 0.5
"""Seconds between two looks whether it still runs."""


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@command
def broker(
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="TCP port; 0 for a free one.")] = 61616,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    folder: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Folder that keeps durable messages.", show_default="in memory only"),
    ] = None,
    users_file: Annotated[
        Path | None,
        typer.Option("--users-file", help="File with a line user:password each.", show_default="anybody may connect"),
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option("--log-level", help="What of the broker's log is written to stderr.")
    ] = LogLevel.WARNING,
    as_json: JsonOption = False,
) -> Exit:
    """Run the embedded broker on a port, until Ctrl-C.

    It speaks CORE, as Artemis does, for clients in Python and in Java. With --json the first line of the output is
    {"url": ...}: with --port 0 that tells the port; the log is JSON too, an object a line.
    """
    from activeclient.broker.embedded import EmbeddedBroker  # nobody else pays for it

    output = Output(as_json)
    users = {} if users_file is None else read_users(users_file)
    made = EmbeddedBroker(port=port, host=host, users=users, folder=folder)
    with logged(log_level, as_json):
        try:
            made.start()
        except OSError as error:
            raise ConfigError("--port", port, f"{host}:{port} cannot be had: {error.strerror or error}") from None
        with made:
            return _serve(made, output, folder)


def _serve(made: EmbeddedBroker, output: Output, folder: Path | None) -> Exit:
    if output.as_json:
        output.record({"url": made.url, "data": None if folder is None else str(folder)})
    else:
        kept = "in memory" if folder is None else f"in {folder}"
        output.line(f"{made.url} takes connections; durable messages are kept {kept}")
    ending = threading.Event()
    while made.running:
        ending.wait(LOOK)
    raise Failed("the broker has ended by itself; its log says why", Exit.REFUSED)


class _JsonFormatter(logging.Formatter):
    """A log record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found)


@contextlib.contextmanager
def logged(level: LogLevel, as_json: bool) -> Iterator[None]:
    """Write the log of this package to stderr meanwhile, a line (or an object) for each record."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonFormatter() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logger = logging.getLogger("activeclient")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def read_users(path: Path) -> dict[str, str]:
    """User to password.

    Raises:
        ConfigError: The file cannot be read, or a line is no `user:password`; its text is not shown.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError("--users-file", str(path), f"cannot be read: {reason}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.partition(":")
        if not colon or not user:
            del text, line, user, password  # tools that show the values of local variables would show them
            raise ConfigError("--users-file", str(path), f"line {number} must be user:password")
        found[user] = Secret(password)
    if not found:
        raise ConfigError("--users-file", str(path), "names no user")
    return found
