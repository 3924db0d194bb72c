"""Selectors in JMS's names to filters in the broker's.

Law of this file: only whole identifiers outside quotes are renamed, and the two literals of JMSDeliveryMode wherever
they stand: the same as Artemis' own client does (SelectorTranslator), so both clients match the same messages.
"""

from __future__ import annotations

import re

from activeclient.errors import InvalidSelectorError
from activeclient.jms.properties import CONNECTION_ID

_NAMES = {
    "JMSDeliveryMode": "AMQDurable",
    "JMSPriority": "AMQPriority",
    "JMSTimestamp": "AMQTimestamp",
    "JMSMessageID": "AMQUserID",
    "JMSExpiration": "AMQExpiration",
    "JMSXGroupID": "AMQGroupID",
    "'PERSISTENT'": "'DURABLE'",
    "'NON_PERSISTENT'": "'NON_DURABLE'",
}
_TOKEN = re.compile(r"'(?:[^']|'')*'|[\w$]+")


def core_filter(selector: str | None) -> str | None:
    """The broker's filter for a selector; None when it is absent or blank: every message.

    Raises:
        InvalidSelectorError: It is no text. The rest is checked by the broker.
    """
    if selector is None:
        return None
    if not isinstance(selector, str):
        raise InvalidSelectorError(f"a selector must be a text, not a {type(selector).__name__}")
    if not selector.strip():
        return None
    return _TOKEN.sub(lambda match: _NAMES.get(match[0], match[0]), selector)


def without_own(filter_string: str | None, connection_id: str) -> str:
    """A filter that leaves out what the connection itself has sent (noLocal).

    Messages of clients that do not tag theirs pass; Artemis' Java client drops them.
    """
    quoted = connection_id.replace("'", "''")
    own = f"({CONNECTION_ID} <> '{quoted}' OR {CONNECTION_ID} IS NULL)"
    return own if filter_string is None else f"({filter_string}) AND {own}"
