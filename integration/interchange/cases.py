"""The messages that are exchanged: every type, every property type, every header, and their edges.

Law: a case says what an application asked for, never what anybody should make of it on the wire.
"""

from __future__ import annotations

import random
from typing import Any

from integration.interchange.notation import Description, Value

MIB = 1048576

NUMBERS: dict[str, Value] = {
    "true": ["boolean", "true"],
    "false": ["boolean", "false"],
    "byte-min": ["byte", "-128"],
    "byte-max": ["byte", "127"],
    "short-min": ["short", "-32768"],
    "short-max": ["short", "32767"],
    "int-min": ["int", "-2147483648"],
    "int-max": ["int", "2147483647"],
    "int-zero": ["int", "0"],
    "long-min": ["long", "-9223372036854775808"],
    "long-max": ["long", "9223372036854775807"],
    "long-small": ["long", "-1"],
    "float-zero": ["float", "00000000"],
    "float-minus-zero": ["float", "80000000"],
    "float-smallest": ["float", "00000001"],
    "float-max": ["float", "7f7fffff"],
    "float-third": ["float", "3eaaaaab"],
    "float-inf": ["float", "7f800000"],
    "float-minus-inf": ["float", "ff800000"],
    "float-nan": ["float", "7fc00000"],
    "double-zero": ["double", "0000000000000000"],
    "double-minus-zero": ["double", "8000000000000000"],
    "double-smallest": ["double", "0000000000000001"],
    "double-max": ["double", "7fefffffffffffff"],
    "double-third": ["double", "3fd5555555555555"],
    "double-inf": ["double", "7ff0000000000000"],
    "double-minus-inf": ["double", "fff0000000000000"],
    "double-nan": ["double", "7ff8000000000000"],
}
TEXTS: dict[str, Value] = {
    "empty": ["string", ""],
    "ascii": ["string", "plain text"],
    "latin": ["string", "h\u00e9 \u00df"],
    "bmp": ["string", "\u20ac \u4e2d\u6587 \u05e9 \ufeff\uffff"],
    "beyond-bmp": ["string", "\U0001f600 \U0010ffff"],
    "lone-high-surrogate": ["string", "a\ud83db"],
    "lone-low-surrogate": ["string", "a\ude00"],
    "surrogates-in-the-wrong-order": ["string", "\ude00\ud83d"],
    "nul": ["string", "a\0b\0"],
    "controls": ["string", '\t\r\n\x01\x7f\x85\u2028"'],
    **{f"{count}-units": ["string", "x", str(count)] for count in (1, 8, 9, 10, 20, 4093, 4094, 4095, 10000)},
    **{f"{count}-wide-units": ["string", "\u20ac", str(count)] for count in (8, 9, 1364, 1365, 4094, 4095)},
}
DATA: dict[str, Value] = {
    "no-bytes": ["bytes", ""],
    "zero-byte": ["bytes", "00"],
    "bytes": ["bytes", "00ff7f80"],
    "many-bytes": ["bytes", "0123456789", "1000"],
}
CHARS: dict[str, Value] = {
    "char": ["char", "0041"],
    "char-zero": ["char", "0000"],
    "char-last": ["char", "ffff"],
    "char-half-a-pair": ["char", "d83d"],
}
NULL: dict[str, Value] = {"null": ["null"]}
ANYTHING: dict[str, Value] = {**NULL, **NUMBERS, **TEXTS, **DATA, **CHARS}

_ODD_NAMES = (" ", "a-b", "NULL", "\U0001f600", "\ud83d", "\0", "JMSType", "_AMQ_GROUP_ID")
_RESERVED = ("NULL", "TRUE", "FALSE", "NOT", "AND", "OR", "BETWEEN", "LIKE", "IN", "IS", "ESCAPE")

SERIALIZED: dict[str, Value] = {
    "null": ["null"],
    "string": ["bytes", "aced0005740001" + "78"],
    "string-beyond-bmp": ["bytes", "aced0005740006" + "eda0bdedb880"],
    "integer": [
        "bytes",
        "aced0005737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565"
        "787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b020000787000000005",
    ],
    "byte-array": ["bytes", "aced0005757200025b42acf317f8060854e002000078700000000300ff7f"],
}
"""Java's serialization, of which our client knows nothing: bytes."""


def _bodies() -> dict[str, Description]:
    found: dict[str, Description] = {"message": {"type": "message"}, "text-null": {"type": "text", "body": ["null"]}}
    for name, value in TEXTS.items():
        found[f"text-{name}"] = {"type": "text", "body": value}
    for count in (0xFFFF, 0x10000, 0x20000, 51000, 51197):
        found[f"text-{count}-units"] = {"type": "text", "body": ["string", "x", str(count)]}
    writable = {name: value for name, value in {**NUMBERS, **TEXTS, **DATA, **CHARS}.items() if name != "no-bytes"}
    for name, value in writable.items():
        found[f"bytes-{name}"] = {"type": "bytes", "body": [value]}
    found["bytes-of-everything"] = {"type": "bytes", "body": list(writable.values())}
    found["bytes-none"] = {"type": "bytes", "body": []}
    found["map-empty"] = {"type": "map", "body": []}
    found["stream-empty"] = {"type": "stream", "body": []}
    for name, value in ANYTHING.items():
        found[f"map-{name}"] = {"type": "map", "body": [["entry", value]]}
        found[f"stream-{name}"] = {"type": "stream", "body": [value]}
    found["map-of-everything"] = {"type": "map", "body": [[f"an entry: {key}", v] for key, v in ANYTHING.items()]}
    found["map-odd-names"] = {
        "type": "map",
        "body": [
            [name, ["int", "1"]] for name in (" ", "a-b", "NULL", "\U0001f600", "\ud83d", "\0", "JMSType", "x" * 5000)
        ],
    }
    found["stream-of-everything"] = {"type": "stream", "body": list(ANYTHING.values())}
    for name, value in SERIALIZED.items():
        found[f"object-{name}"] = {"type": "object", "body": value}
    return found


def _properties() -> dict[str, Description]:
    found: dict[str, Description] = {}
    for name, value in ANYTHING.items():
        found[f"property-{name}"] = {"type": "message", "properties": [["value", value]]}
    everything = [[f"p_{key.replace('-', '_')}", value] for key, value in ANYTHING.items()]
    for kind, body in (("text", ["string", "t"]), ("bytes", [["bytes", "01"]]), ("map", []), ("stream", [])):
        found[f"properties-of-a-{kind}"] = {"type": kind, "body": body, "properties": everything}
    names = ("_", "$", "a$b_1", "\u00e9t\u00e9", "\u4e2d\u6587", "null", "x" * 5000, "JMS_ours", "_AMQ_LVQ_NAME")
    found["property-names"] = {"type": "message", "properties": [[name, ["string", name]] for name in names]}
    return found


def _headers() -> dict[str, Description]:
    def headed(**headers: Any) -> Description:
        return {"type": "text", "body": ["string", "headers"], **headers}  # type: ignore[typeddict-item]

    found = {f"priority-{level}": headed(priority=str(level)) for level in range(10)}
    for name, value in TEXTS.items():
        found[f"correlation-text-{name}"] = headed(correlation_id=value)
        if name != "empty":
            found[f"type-{name}"] = headed(jms_type=value[1] * int(value[2] if len(value) > 2 else 1))
    for name, value in DATA.items():
        if name != "no-bytes":
            found[f"correlation-{name}"] = headed(correlation_id=value)
    for prefix in ("queue", "topic", "temp-queue", "temp-topic"):
        found[f"reply-to-{prefix}"] = headed(reply_to=f"{prefix}://the.answers")
        found[f"reply-to-{prefix}-odd"] = headed(reply_to=f"{prefix}://r\u00e9pons\u00e9s \U0001f600 a::b")
    found["persistent"] = headed(delivery_mode="PERSISTENT")
    found["non-persistent"] = headed(delivery_mode="NON_PERSISTENT")
    found["expiring"] = headed(time_to_live="3600000")
    found["expiring-in-a-thousand-years"] = headed(time_to_live=str(1000 * 365 * 86400000))
    found["delayed"] = headed(delivery_delay="200")
    found["delayed-and-expiring"] = headed(delivery_delay="200", time_to_live="3600000")
    found["group"] = headed(properties=[["JMSXGroupID", ["string", "g\U0001f600"]]])
    found["group-with-sequence"] = headed(
        properties=[["JMSXGroupID", ["string", "h"]], ["JMSXGroupSeq", ["int", "2147483647"]]]
    )
    found["group-closed"] = headed(properties=[["JMSXGroupID", ["string", "h"]], ["JMSXGroupSeq", ["int", "-1"]]])
    found["user"] = headed(properties=[["JMSXUserID", ["string", "somebody"]]])
    found["without-id"] = headed(no_id="true")
    found["without-timestamp"] = headed(no_timestamp="true")
    return found


CASES: dict[str, Description] = {**_bodies(), **_properties(), **_headers()}
"""Everything that fits a frame."""

MIDDLING: dict[str, Description] = {
    name: case
    for name, case in CASES.items()
    if name.endswith("-of-everything")
    or name in {"text-10000-units", "bytes-many-bytes", "map-4095-wide-units", "stream-4095-units", "object-integer"}
    or name.startswith(("properties-of-", "reply-to-", "correlation-bytes"))
}
"""Small enough to be quick, large enough to be made large messages by a low `minLargeMessageSize`."""

LARGE: dict[str, Description] = {
    "text": {"type": "text", "body": ["string", "ab\u20ac\U0001f600", str(2 * MIB)], "jms_type": "large"},
    "bytes": {"type": "bytes", "body": [["bytes", "00ff10", str(10 * MIB // 3 + 1)]]},
    "bytes-that-do-not-compress": {"type": "bytes", "body": [["bytes", random.Random(4).randbytes(MIB).hex()]]},
    "map": {"type": "map", "body": [["a", ["bytes", "abcdef", str(MIB)]], ["b", ["string", "\u20ac", str(MIB)]]]},
    "stream": {"type": "stream", "body": [["string", "x", str(MIB)], ["bytes", "01", str(MIB)], ["int", "7"]]},
    "properties": {
        "type": "bytes",
        "body": [["bytes", "00", str(MIB)]],
        "properties": [["p", ["double", "3fd5555555555555"]], ["q", ["string", "\U0001f600"]]],
        "correlation_id": ["bytes", "00ff"],
    },
}
"""Some MiB, ten where it matters."""

REFUSED: dict[str, Description] = {
    **{
        f"property-named-{name or 'nothing'}": {"type": "message", "properties": [[name, ["int", "1"]]]}
        for name in (
            "",
            "a-b",
            "1a",
            "a b",
            "NULL",
            "TRUE",
            "FALSE",
            "NOT",
            "AND",
            "OR",
            "BETWEEN",
            "LIKE",
            "IN",
            "IS",
            "ESCAPE",
        )
    },
    "property-for-the-provider": {"type": "message", "properties": [["JMS_ACTIVEMQ_x", ["int", "1"]]]},
    "map-entry-without-name": {"type": "map", "body": [["", ["int", "1"]]]},
    "utf-of-65536-bytes": {"type": "bytes", "body": [["string", "x", "65536"]]},
    "empty-correlation-bytes": {"type": "message", "correlation_id": ["bytes", ""]},
    "priority-10": {"type": "message", "priority": "10"},
}
"""What both clients must refuse to send."""
