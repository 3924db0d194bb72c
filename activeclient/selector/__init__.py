"""The selector language of JMS, in Artemis' dialect: parsed, translated, evaluated.

Law of this package: it accepts what Artemis' parser accepts, refuses what that refuses, and matches the same messages,
except for the differences listed in docs/selectors.md. Whatever text comes in, InvalidSelectorError is all that comes
out. The parser is imported when the first selector is used.
"""

from activeclient.selector.filter import Filter, Selectable, compile_filter
from activeclient.selector.translation import to_core, with_condition

__all__ = ["Filter", "Selectable", "compile_filter", "to_core", "with_condition"]
