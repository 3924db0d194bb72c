"""What becomes of the broker's answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.jms.management import decoded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(categories=["L"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_json_is_decoded_and_json_within_json_too(value):
    wrapped = json.dumps([value])
    assert decoded(wrapped) == [value]
    assert decoded(json.dumps([wrapped])) == [[value]]


@pytest.mark.parametrize("text", ["", "orders", "[not json", "{", "12"])
def test_other_texts_stay_texts(text):
    assert decoded(json.dumps([text])) == [text]


def test_nesting_has_an_end():
    value: object = [1]
    for _ in range(6):
        value = [json.dumps(value)]
    assert decoded(json.dumps(value))


def test_deep_json_is_left_alone():
    deep = "[" * 100_000
    assert decoded(deep) == deep
