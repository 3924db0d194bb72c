"""What a consumer asks the broker to filter by: its selector, and noLocal.

Law of this file: whatever is no selector is refused here, before anything is sent.
"""

from __future__ import annotations

from activeclient.errors import InvalidSelectorError
from activeclient.selector import to_core, with_condition
from activeclient.wire.names import CONNECTION_ID


def core_filter(selector: str | None) -> str | None:
    """The broker's filter for a selector; None when it is absent or blank: every message.

    Raises:
        InvalidSelectorError: It is no text, or no selector; `offset`, `line` and `column` say where.
    """
    if selector is None:
        return None
    if not isinstance(selector, str):
        raise InvalidSelectorError(f"a selector must be a text, not a {type(selector).__name__}")
    return to_core(selector) if selector.strip() else None


def without_own(filter_string: str | None, connection_id: str) -> str:
    """A filter that leaves out what the connection itself has sent (noLocal).

    Messages of clients that do not tag theirs pass; Artemis' Java client drops them.
    """
    quoted = connection_id.replace("'", "''")
    return with_condition(f"{CONNECTION_ID} <> '{quoted}' OR {CONNECTION_ID} IS NULL", filter_string)
