"""Values that messages hold, for hypothesis: of every type, at every edge.

Law of this file: each strategy gives what its name promises, in the type that travels, and all of it.
"""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from activeclient.wire.properties import Byte, Char, Float32, Int, PropertyValue, Short

texts = st.text(st.characters(), max_size=20) | st.sampled_from(["", "\0", "\ud800", "\U0001f600", "x" * 4095])
"""Half surrogate pairs too: Java sends them."""
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
values: st.SearchStrategy[PropertyValue] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**7), 2**7 - 1).map(Byte),
    st.integers(-(2**15), 2**15 - 1).map(Short),
    st.integers(-(2**31), 2**31 - 1).map(Int),
    st.integers(-(2**63), -(2**31) - 1) | st.integers(2**31, 2**63 - 1),
    st.floats(width=32).map(Float32),
    st.floats(),
    st.characters(max_codepoint=0xFFFF).map(Char),
    texts,
    st.binary(max_size=30),
)


def same(one: object, other: object) -> bool:
    """Of the same type, with the same bits."""
    if isinstance(one, float) and isinstance(other, float):
        return type(one) is type(other) and struct.pack(">d", one) == struct.pack(">d", other)
    return type(one) is type(other) and one == other
