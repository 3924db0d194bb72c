"""Selectors in JMS's names to filters in the broker's.

Law of this file: only whole names are renamed, and the two literals of JMSDeliveryMode wherever they stand, so that
Artemis' own client (SelectorTranslator) and this one match the same messages. Nothing invalid is translated.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from activeclient.selector.tokens import prefixes, tokens

REMEMBERED: Final = 256
"""Translations that are kept: programs use few selectors, over and over."""

_NAMES: Final = {
    "JMSDeliveryMode": "AMQDurable",
    "JMSPriority": "AMQPriority",
    "JMSTimestamp": "AMQTimestamp",
    "JMSMessageID": "AMQUserID",
    "JMSExpiration": "AMQExpiration",
    "JMSXGroupID": "AMQGroupID",
}
_RENAMED: Final = {
    **{("NAME", name): core for name, core in _NAMES.items()},
    **{("QUOTED", f'"{name}"'): f'"{core}"' for name, core in _NAMES.items()},
    ("STRING", "'PERSISTENT'"): "'DURABLE'",
    ("STRING", "'NON_PERSISTENT'"): "'NON_DURABLE'",
}


@lru_cache(maxsize=REMEMBERED)
def to_core(selector: str) -> str:
    """The broker's filter for a selector in JMS's names.

    Raises:
        InvalidSelectorError: It is no selector, is too long or nested too deeply.
    """
    from activeclient.selector.grammar import parse

    found = prefixes(selector)
    parse(selector, found.end, hyphenated=found.hyphenated)
    pieces: list[str] = []
    done = 0
    for token in tokens(selector, found.end, hyphenated=found.hyphenated):
        renamed = _RENAMED.get((token.kind, token.text))
        if renamed is not None:
            pieces += selector[done : token.at], renamed
            done = token.at + len(token.text)
    return "".join(pieces) + selector[done:]


def with_condition(condition: str, filter_string: str | None) -> str:
    """A filter for what matches both. The condition comes first, where no open comment of the filter can hide it."""
    if filter_string is None:
        return condition
    end = prefixes(filter_string).end
    return f"{filter_string[:end]}({condition}) AND ({filter_string[end:]})"
