"""The messages that are exchanged with AMQP clients: which of ours the broker can convert, and what AMQP sends.

Law: a case is left out here only because the broker cannot convert it, whoever sent it.
"""

from __future__ import annotations

import uuid
from typing import Any

import proton

from integration.interchange.cases import CASES
from integration.interchange.notation import Description

UNCONVERTIBLE = {
    "surrogate": "half a pair has no form in UTF-8: the broker makes a question mark of it",
    "half-a-pair": "as above",
    "stream-no-bytes": "bytes in a stream: the broker fails to encode them",
    "stream-zero-byte": "as above",
    "stream-bytes": "as above",
    "stream-many-bytes": "as above",
    "of-everything": "contains the above",
    "object-null": "the broker expects a serialized object",
    "properties-of-a": "the broker's encoder fails at that many bytes of properties",
}
"""Parts of names of cases, and why the broker cannot convert them into AMQP messages (2.44.0, CoreAmqpConverter)."""

TO_AMQP: dict[str, Description] = {
    name: case for name, case in CASES.items() if not any(part in name for part in UNCONVERTIBLE)
}
"""Ours and Java's."""

_VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "byte": proton.byte(-128),
    "ubyte": proton.ubyte(255),
    "short": proton.short(-32768),
    "ushort": proton.ushort(65535),
    "int": proton.int32(-(2**31)),
    "uint": proton.uint(2**32 - 1),
    "long": -(2**63),
    "ulong": proton.ulong(2**63 - 1),
    "float": proton.float32(1.5),
    "double": 1 / 3,
    "infinity": float("inf"),
    "nan": float("nan"),
    "char": proton.char("\u20ac"),
    "text": "h\u00e9 \U0001f600",
    "empty-text": "",
    "symbol": proton.symbol("symbol"),
    "timestamp": proton.timestamp(1700000000000),
    "uuid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "bytes": b"\x00\xff",
    "no-bytes": b"",
}


# A body that is a number, or another single value that JMS has no message for, becomes bytes of the message's own
# header, other ones for each delivery (2.44.0): nothing to compare.
_JMS = ("none", "true", "byte", "short", "int", "long", "float", "double", "infinity", "nan", "text", "empty-text")
"""What JMS has too. Of anything else in a map or a list, and of a timestamp or a UUID among the properties, the broker
(2.44.0) makes nothing: it logs AMQ222151 and removes the consumer, Java's as well as ours."""


def _from_amqp() -> dict[str, dict[str, Any]]:
    bodies = ("none", "text", "empty-text", "bytes", "no-bytes")
    found: dict[str, dict[str, Any]] = {f"body-{name}": {"body": _VALUES[name]} for name in bodies}
    found["body-data"] = {"body": b"\x00\xff", "inferred": True}
    found["body-large-data"] = {"body": bytes(range(256)) * 4096, "inferred": True}
    found["body-large-text"] = {"body": "h\u00e9 \U0001f600" * 200_000}
    found["body-map"] = {"body": {name: _VALUES[name] for name in (*_JMS, "bytes")}}
    found["body-empty-map"] = {"body": {}}
    found["body-list"] = {"body": [_VALUES[name] for name in _JMS]}
    found["body-empty-list"] = {"body": []}
    for name, value in _VALUES.items():
        if name not in ("timestamp", "uuid"):
            found[f"property-{name}"] = {"body": "t", "properties": {"value": value}}
    found["property-with-a-hyphen"] = {"body": "t", "properties": {"a-b": 1}}
    for name in ("text", "empty-text", "ulong", "uuid", "bytes"):
        found[f"correlation-{name}"] = {"body": "t", "correlation_id": _VALUES[name]}
        found[f"id-{name}"] = {"body": "t", "id": _VALUES[name]}
    found["id-of-jms"] = {"body": "t", "id": "ID:12345678-1234-1678-9234-567812345678"}
    for level in (0, 4, 9):
        found[f"priority-{level}"] = {"body": "t", "priority": level}
    found["durable"] = {"body": "t", "durable": True}
    found["expiring"] = {"body": "t", "ttl": 3600.0, "creation_time": 1700000000.0}
    found["created"] = {"body": "t", "creation_time": 1700000000.0}
    found["subject"] = {"body": "t", "subject": "h\u00e9"}
    found["reply-to"] = {"body": "t", "reply_to": "the.answers"}
    found["reply-to-topic"] = {
        "body": "t",
        "reply_to": "the.answers",
        "annotations": {proton.symbol("x-opt-jms-reply-to"): proton.byte(1)},
    }
    found["group"] = {"body": "t", "group_id": "g", "group_sequence": 7}
    found["content-type"] = {"body": b"{}", "content_type": "application/json", "inferred": True}
    found["user"] = {"body": "t", "user_id": b"admin"}
    found["delayed"] = {"body": "t", "annotations": {proton.symbol("x-opt-delivery-delay"): 200}}
    return found


FROM_AMQP: dict[str, dict[str, Any]] = _from_amqp()
"""Attributes of proton's messages."""
