"""Messages that nobody thought of: hypothesis strategies for descriptions.

Law: whatever is drawn is a message that both clients may send.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from activeclient.jms.properties import RESERVED_WORDS
from integration.interchange.compare import canonical
from integration.interchange.notation import Description, Value

_TEXT = st.text(st.characters(exclude_categories=()), max_size=40) | st.text("a\u20ac\U0001f600", max_size=300)
_NAME = st.from_regex(r"[a-z_$\u00e9\u4e2d][A-Za-z0-9_$\u00e9\u4e2d]{0,30}", fullmatch=True).filter(
    lambda name: name.upper() not in RESERVED_WORDS and not name.startswith("_AMQ")
)


def _bits(digits: int) -> st.SearchStrategy[str]:
    exponents = st.sampled_from((0, 0x7F80 << 8 * (digits // 2 - 2), 0x7FF0 << 8 * (digits // 2 - 2)))
    signs = st.sampled_from((0, 8 << 4 * (digits - 1)))
    special = st.builds(lambda sign, exponent, rest: sign | exponent | rest, signs, exponents, st.integers(0, 2))
    return (special | st.integers(0, 16**digits - 1)).map(lambda bits: f"{bits:0{digits}x}")


def _whole(size: int) -> st.SearchStrategy[str]:
    return st.integers(-(2 ** (size - 1)), 2 ** (size - 1) - 1).map(str)


def _typed(kind: str, text: st.SearchStrategy[str]) -> st.SearchStrategy[Value]:
    return text.map(lambda given: [kind, given])


WRITABLE: st.SearchStrategy[Value] = st.one_of(
    _typed("boolean", st.sampled_from(("true", "false"))),
    _typed("byte", _whole(8)),
    _typed("short", _whole(16)),
    _typed("int", _whole(32)),
    _typed("long", _whole(64)),
    _typed("float", _bits(8)).map(canonical),
    _typed("double", _bits(16)).map(canonical),
    _typed("char", st.integers(0, 0xFFFF).map(lambda unit: f"{unit:04x}")),
    _typed("string", _TEXT),
    _typed("bytes", st.binary(min_size=1, max_size=60).map(bytes.hex)),
)
"""What can be written to a bytes message."""
ANYTHING: st.SearchStrategy[Value] = st.just(["null"]) | WRITABLE | st.just(["bytes", ""])


def _pairs(names: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[Any]]]:
    return st.dictionaries(names, ANYTHING, max_size=6).map(lambda found: [[name, v] for name, v in found.items()])


_BODIES: dict[str, st.SearchStrategy[Any]] = {
    "message": st.none(),
    "text": st.just(["null"]) | _typed("string", _TEXT),
    "bytes": st.lists(WRITABLE, max_size=8),
    "map": _pairs(_TEXT.filter(bool)),
    "stream": st.lists(ANYTHING, max_size=8),
}


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """Messages of every kind but objects, with random properties and headers."""
    kind = draw(st.sampled_from(sorted(_BODIES)))
    made: Description = {"type": kind, "body": draw(_BODIES[kind]), "properties": draw(_pairs(_NAME))}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "correlation_id": _typed("string", _TEXT) | _typed("bytes", st.binary(min_size=1, max_size=40).map(bytes.hex)),
        "jms_type": _TEXT,
        "reply_to": st.builds(
            "{}://{}".format,
            st.sampled_from(("queue", "topic", "temp-queue", "temp-topic")),
            st.text("abc.\u20ac\U0001f600", min_size=1, max_size=30),
        ),
        "delivery_mode": st.sampled_from(("PERSISTENT", "NON_PERSISTENT")),
        "priority": st.integers(0, 9).map(str),
        "time_to_live": st.integers(60000, 2**40).map(str),
    }
    for name in draw(st.sets(st.sampled_from(sorted(optional)))):
        made[name] = draw(optional[name])  # type: ignore[literal-required]
    return made
