"""`activeclient explain URL`: what a URL means, and what a cut of its connection will do.

Law of this file: nothing is connected, and no secret is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.options import JsonOption
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.settings import MASK, Settings, explain_cut, parameters
from activeclient.urls import brokers_of, check_encryption, masked, parse_url


@command
def explain(
    url: Annotated[str, typer.Argument(help="tcp://host:port?key=value&...")],
    as_json: JsonOption = False,
) -> Exit:
    """Say what a connection URL means and what a cut will do, without connecting."""
    output = Output(as_json)
    if as_json:
        output.record(meaning(url))
    else:
        for line in lines(url):
            output.line(line)
    return Exit.OK


def meaning(url: str) -> dict[str, object]:
    """The URL, its hosts, what a cut does, warnings, and the settings that differ from the defaults.

    Raises:
        ConfigError: The URL or a setting in it is wrong; the text names key, value and rule.
    """
    parsed = parse_url(url)
    settings = parsed.settings()
    check_encryption(parsed.endpoints, settings, parsed.parameters)
    return {
        "url": masked(url),
        "hosts": [str(endpoint) for endpoint in parsed.endpoints],
        "on_a_cut": explain_cut(settings, hosts=brokers_of(parsed.endpoints)),
        "warnings": list(settings.warnings()),
        "settings": changed(settings),
    }


def lines(url: str) -> Iterator[str]:
    """The same for people."""
    found = meaning(url)
    yield f"url       {found['url']}"
    hosts, warnings, settings = found["hosts"], found["warnings"], found["settings"]
    assert isinstance(hosts, list)
    assert isinstance(warnings, list)
    assert isinstance(settings, dict)
    yield f"hosts     {', '.join(hosts)}"
    yield f"on a cut  {found['on_a_cut']}"
    yield from (f"warning   {warning}" for warning in warnings)
    yield from (f"setting   {key}={value}" for key, value in settings.items())


def changed(settings: Settings) -> dict[str, object]:
    """The settings that differ from the defaults, by key; secrets masked."""
    return {
        parameter.key: MASK if parameter.secret else value
        for parameter in parameters()
        if (value := getattr(settings, parameter.attribute)) != parameter.default
    }
