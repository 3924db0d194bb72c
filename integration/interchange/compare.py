"""What must be equal when two clients have exchanged a message, field by field, and the few things that need not be.

Law: everything is compared unless `DIFFERENCES` names it; nothing is left out because it is hard to compare.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from integration.interchange.exchange import ROUTES, Seen
from integration.interchange.notation import Description, Dump, Value, expected

DIFFERENCES: Final = {
    "delivery_time": "without a delay Java's getter gives 0; JMS 2.0 (3.4.13) wants the time of the send",
    "NaN": "Java's client writes one NaN for all (Float.floatToIntBits); ours keeps the bits of the one it was given",
    "_AMQ_LARGE_SIZE": "Java's client counts the four bytes of the body's length too when it decides what is large,"
    " ours does not: a body that misses minLargeMessageSize by less is a large message in Java only",
    "_AMQ_LARGE_COMPRESSED": "says how the body travelled; Java's client sets it to false when it inflates the body",
    "empty BytesMessage": "Java's client sends four zero bytes, ours nothing; neither mends what comes",
    "errors": "what both refuse they refuse with their own classes and texts",
}
"""Deliberate differences between our client and Java's, with their reasons; `docs/interchange.md` has them too."""

_ID: Final = re.compile(r"ID:[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TRANSPORT: Final = {"_AMQ_LARGE_SIZE", "_AMQ_LARGE_COMPRESSED"}
_PROVIDED: Final = {"JMSXDeliveryCount", "_AMQ_SCHED_DELIVERY"} | _TRANSPORT
"""Listed properties that nobody asked for."""
_CANONICAL: Final = {"float": "7fc00000", "double": "7ff8000000000000"}
SLOW: Final = 5000
"""Milliseconds that a sender may need between two looks at its clock."""


def mismatches(described: Description, by_route: dict[str, Seen]) -> list[str]:
    """What is not as it should be; empty when all is well."""
    found: list[str] = []
    reference = by_route[ROUTES[0]].received
    for route in ROUTES:
        seen = by_route[route]
        if "error" in seen.sent:
            found.append(f"{route}: not sent: {seen.sent['error']}: {seen.sent['text']}")
        elif seen.received is None:
            found.append(f"{route}: it never came")
        else:
            found += [f"{route}: {each}" for each in as_sent(seen.sent, seen.received)]
            found += [f"{route}: {each}" for each in as_described(described, seen.received)]
            if reference is not None and seen.received is not reference:
                pair = (normal(reference), normal(seen.received))
                if described["type"] == "bytes" and not described["body"]:
                    _same_when_empty(*pair)
                found += [f"{route}: {each}" for each in _unequal(*pair, ROUTES[0])]
    return found


def _same_when_empty(*dumps: Dump) -> None:
    for dump in dumps:
        if dump["body"] == ["bytes", "00000000"]:
            dump["body"] = ["bytes", ""]


def as_sent(sent: Dump, received: Dump) -> list[str]:
    """Each header that the sender sees after the send is the one that the receiver sees."""
    return _unequal(_timely(sent), {name: _timely(received)[name] for name in sent}, "the sender")


def as_described(described: Description, received: Dump) -> list[str]:
    """What the application asked for is what came."""
    wanted: dict[str, Any] = {
        "type": described["type"],
        "delivery_mode": described.get("delivery_mode", "PERSISTENT"),
        "priority": described.get("priority", "4"),
        "correlation_id": _plain(expected(described["correlation_id"])) if "correlation_id" in described else ["null"],
        "jms_type": described.get("jms_type"),
        "reply_to": described.get("reply_to"),
        "redelivered": "false",
        "properties": {name: _plain(expected(value)) for name, value in described.get("properties", [])},
    }
    match described["type"]:
        case "text" | "object":
            wanted["body"] = expected(described["body"])
        case "map":
            wanted["body"] = {name: _plain(expected(value)) for name, value in described["body"]}
        case "stream":
            wanted["body"] = [_plain(expected(value)) for value in described["body"]]
        case "message":
            wanted["body"] = ["null"]
    seen = {name: _plain(received[name]) for name in wanted}
    seen["properties"] = {name: value for name, value in seen["properties"].items() if name not in _PROVIDED}
    return _unequal(wanted, seen, "the description")


def normal(dump: Dump) -> Dump:
    """A received message without what belongs to this one send, and without `DIFFERENCES`."""
    found: Dump = _plain(_timely(dump))
    timestamp = int(found["timestamp"])
    for name in ("expiration", "delivery_time"):
        value = int(found[name])
        found[name] = _About(value - timestamp) if value and timestamp else bool(value)
    found["timestamp"] = timestamp > 0
    found["message_id"] = None if found["message_id"] is None else _ID.fullmatch(found["message_id"]) is not None
    found["destination"] = found["destination"].partition("://")[0]
    for listed in ("properties", "core_properties"):
        values = {name: value for name, value in found[listed].items() if name not in _TRANSPORT}
        for own in ("__AMQ_CID", "_AMQ_SCHED_DELIVERY"):
            if own in values:
                values[own] = values[own][0]
        found[listed] = values
    return found


def _timely(dump: Dump) -> Dump:
    return {**dump, "delivery_time": dump["timestamp"] if dump["delivery_time"] == "0" else dump["delivery_time"]}


@dataclass(frozen=True, eq=False)
class _About:
    """Milliseconds since the send, by clocks that are looked at one after the other."""

    milliseconds: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _About) and abs(self.milliseconds - other.milliseconds) < SLOW

    __hash__ = None  # type: ignore[assignment]


def _plain(value: Any) -> Any:
    """Every NaN as Java writes it."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 2 and isinstance(value[0], str) and value[0] in _CANONICAL:
        return canonical(value)
    return [_plain(each) for each in value]


def canonical(value: Value) -> Value:
    """A float or double, if it is a NaN: the one that Java writes."""
    kind, bits = value
    exponent = 0x7F800000 if kind == "float" else 0x7FF0000000000000
    magnitude = int(bits, 16) & (0x7FFFFFFF if kind == "float" else 0x7FFFFFFFFFFFFFFF)
    return [kind, _CANONICAL[kind]] if magnitude > exponent else value


def _unequal(wanted: Dump, seen: Dump, of_whom: str) -> list[str]:
    found = []
    for name in sorted(wanted.keys() | seen.keys()):
        left, right = wanted.get(name), seen.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            found += [f"{name}: {each}" for each in _unequal(left, right, of_whom)]
        elif left != right:
            found.append(f"{name} is {_short(right)}, not {_short(left)} as {of_whom} has it")
    return found


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
