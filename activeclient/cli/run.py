"""`activeclient run`: an application of handlers, until it is told to end.

Law of this file: SIGTERM and Ctrl-C let handlers finish; the exit code says whether they all did.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from activeclient.cli.broker import LogLevel, logged
from activeclient.cli.exits import Exit
from activeclient.cli.options import JsonOption, PasswordFileOption, UrlOption, UserOption, target
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.errors import ConfigError

if TYPE_CHECKING:
    from activeclient.app.application import App
    from activeclient.jms.connection_factory import ActiveMQConnectionFactory


@command
def run(
    name: Annotated[
        str,
        typer.Argument(metavar="MODULE:APP", help="Where the application is, `shop.worker:app` say."),
    ],
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", "-t", min=0, help="Seconds that handlers have to finish.", show_default="the application's"
        ),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="What is logged to stderr.")] = LogLevel.INFO,
    as_json: JsonOption = False,
) -> Exit:
    """Run the handlers of an application, until SIGTERM or Ctrl-C.

    The first signal lets running handlers finish: exit code 0 when all did within --timeout, 1 when not. A second one
    ends at once and says what was in doubt. Without --url the application's own URL counts.
    """
    output = Output(as_json)
    app = load(name)
    factory: ActiveMQConnectionFactory | None = None
    if url is not None or user is not None or password_file is not None:
        if url is None:
            raise ConfigError("--user", None, "needs --url: the application has its own URL and user")
        from activeclient.client.locator import ServerLocator
        from activeclient.jms.connection_factory import ActiveMQConnectionFactory

        named = target(url, user, password_file)
        factory = ActiveMQConnectionFactory.of(ServerLocator.reliable(named.url, **named.settings))
    with logged(log_level, as_json):
        finished = app.run(factory, timeout=timeout)
    if as_json:
        output.record({"finished": finished, "listeners": app.summary()})
    return Exit.OK if finished else Exit.NO


def load(name: str) -> App:
    """The application that `module:app` names.

    Raises:
        ConfigError: There is no such module, or nothing of that name in it, or it is no application.
    """
    from activeclient.app.application import App

    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise ConfigError("MODULE:APP", name[:100], "must be module:name, such as shop.worker:app")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module_name}.".startswith(f"{missing.name}."):
            raise  # the module is there, and imports one that is not
        raise ConfigError("MODULE:APP", name[:100], f"there is no module {missing.name} here") from None
    found: object = module
    for part in path.split("."):
        if not hasattr(found, part):
            there = ", ".join(sorted(key for key, value in vars(module).items() if isinstance(value, App)))
            raise ConfigError(
                "MODULE:APP", name[:100], f"{module_name} has no {path}" + (f"; it has {there}" if there else "")
            )
        found = getattr(found, part)
    if not isinstance(found, App):
        raise ConfigError("MODULE:APP", name[:100], f"must be an activeclient.App, not {type(found).__name__}")
    return found
