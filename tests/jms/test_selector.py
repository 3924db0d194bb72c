"""What a consumer asks the broker to filter by."""

from __future__ import annotations

import pytest

from activeclient.errors import InvalidSelectorError
from activeclient.jms.selector import core_filter, without_own


@pytest.mark.parametrize("selector", [None, "", "  ", "\n"])
def test_a_blank_selector_asks_for_every_message(selector: str | None) -> None:
    assert core_filter(selector) is None


def test_names_of_jms_become_the_brokers() -> None:
    assert core_filter("JMSPriority > 4") == "AMQPriority > 4"


def test_what_is_no_selector_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidSelectorError) as raised:
        core_filter("n = = 5")
    assert raised.value.offset == 4


def test_a_selector_is_a_text() -> None:
    with pytest.raises(InvalidSelectorError):
        core_filter(5)  # type: ignore[arg-type]


def test_own_messages_are_left_out_and_untagged_ones_pass() -> None:
    own = "__AMQ_CID <> 'it''s' OR __AMQ_CID IS NULL"
    assert without_own(None, "it's") == own
    assert without_own("a = 1 OR b", "it's") == f"({own}) AND (a = 1 OR b)"
    prefixed = without_own("hyphenated_props:a-b = 1", "it's")
    assert prefixed == f"hyphenated_props:({own}) AND (a-b = 1)"
