"""The options that commands share, and what they mean together.

Law of this file: an option has one name, one meaning and one help text in all commands. No password is taken from the
command line, where every user of the machine can read it, except inside a URL.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote_plus

import typer

from activeclient.destination import Destination, Queue, Topic, parse_destination
from activeclient.errors import ConfigError, InvalidDestinationError
from activeclient.masking import Secret, SecretURL
from activeclient.urls import default_parameters, default_url, masked, parse_url

CONNECTION = "Connection"
"""The panel of these options in the help."""

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        "-u",
        envvar="ACTIVECLIENT_URL",
        show_default="tcp://localhost:61616, or what AMQ_HOST and AMQ_PORT say",
        help="Where the broker is: tcp://host:port?key=value&...",
        rich_help_panel=CONNECTION,
    ),
]
UserOption = Annotated[
    str | None,
    typer.Option(
        "--user",
        show_default="the URL's, or AMQ_USER",
        help="User name.",
        rich_help_panel=CONNECTION,
    ),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        show_default="the URL's, or AMQ_PASSWORD",
        help="File whose first line is the password.",
        rich_help_panel=CONNECTION,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Results as JSON, one object a line; errors as JSON on stderr.")
]
DestinationArgument = Annotated[
    str,
    typer.Argument(
        metavar="DESTINATION",
        help="A queue's name, or queue://name, topic://name; address::queue names a queue of an address.",
    ),
]
SelectorOption = Annotated[
    str | None,
    typer.Option("--selector", "-s", metavar="SELECTOR", help="Only messages that match, such as \"colour = 'red'\"."),
]


@dataclass(frozen=True, slots=True)
class Target:
    """A broker, and who we are to it. Shows no secret."""

    url: str = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)

    @property
    def shown(self) -> str:
        """The URL for people."""
        return masked(self.url)

    @property
    def settings(self) -> dict[str, Any]:
        """What is added to the URL's settings."""
        return dict(self.credentials)


def target(url: str | None, user: str | None = None, password_file: Path | None = None) -> Target:
    """What the options name. What stands in the URL wins over the environment, an option over both.

    Raises:
        ConfigError: The URL is wrong, or the file cannot be read.
    """
    url = SecretURL(url or default_url())
    in_url = parse_url(url).parameters
    credentials = {} if "user" in in_url else default_parameters()
    if user is not None:
        credentials["user"] = user
    if password_file is not None:
        credentials["password"] = Secret(_first_line(password_file))
    return Target(url, credentials)


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(65536).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError("--password-file", str(path), f"cannot be read: {reason}") from None


def destination(text: str) -> Queue | Topic:
    """The destination that an argument names.

    Raises:
        ConfigError: The name is malformed.
    """
    try:
        found: Destination = parse_destination(text, Queue)
    except InvalidDestinationError as error:
        raise ConfigError("DESTINATION", None, str(error)) from None
    assert isinstance(found, Queue | Topic)  # every prefix is that of a kind of them
    return found


def queue(text: str) -> Queue:
    """The queue that an argument names.

    Raises:
        ConfigError: It is malformed, or a topic.
    """
    found = destination(text)
    if not isinstance(found, Queue):
        raise ConfigError("DESTINATION", text[:100], "must be a queue")
    return found


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """The `name=value` of an option that may be repeated.

    Raises:
        ConfigError: One has no name or no `=`.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(option, text[:100], "must be name=value")
        found[name] = value
    return found


def with_parameters(url: str, **changes: str) -> str:
    """`url` with parameters set, or removed where the value is empty: what a finding tells to write instead."""
    url = url.strip().replace(";", "&")
    hash_at = url.find("#")
    head, tail = (url, "") if hash_at < 0 else (url[:hash_at], url[hash_at:])
    closing = head.rfind(")")
    mark = head.find("?", closing + 1)
    base, query = (head, "") if mark < 0 else (head[:mark], head[mark + 1 :])
    kept = [part for part in query.split("&") if part and unquote_plus(part.partition("=")[0]) not in changes]
    added = [f"{key}={value}" for key, value in changes.items() if value]
    parameters = "&".join([*kept, *added])
    return f"{base}?{parameters}{tail}" if parameters else base + tail


def stdin_is_terminal() -> bool:
    """Would reading the input wait for somebody to type?"""
    return sys.stdin is not None and sys.stdin.isatty()
