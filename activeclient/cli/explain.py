"""`activeclient explain URL`: what a URL means, and what a cut of its connection will do.

Law of this file: nothing is connected, and no secret is shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from activeclient.settings import MASK, Settings, explain_cut, parameters
from activeclient.urls import masked, parse_url


def explain(url: str) -> Iterator[str]:
    """Lines: the URL, its hosts, what a cut does, warnings, and the settings that differ from the defaults.

    Raises:
        ConfigError: The URL or a setting in it is wrong; the text names key, value and rule.
    """
    parsed = parse_url(url)
    settings = Settings.from_parameters(parsed.parameters)
    yield f"url       {masked(url)}"
    yield f"hosts     {', '.join(str(endpoint) for endpoint in parsed.endpoints)}"
    yield f"on a cut  {explain_cut(settings)}"
    for warning in settings.warnings():
        yield f"warning   {warning}"
    for parameter in parameters():
        value = getattr(settings, parameter.attribute)
        if value != parameter.default:
            yield f"setting   {parameter.key}={MASK if parameter.secret else value}"
