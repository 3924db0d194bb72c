"""Selectors become filters: whole names and two literals, nothing else."""

from __future__ import annotations

import pytest

from activeclient.errors import InvalidSelectorError
from activeclient.selector import to_core, with_condition


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("a = 1", "a = 1"),
        ("JMSPriority > 4 AND JMSTimestamp=0", "AMQPriority > 4 AND AMQTimestamp=0"),
        ("JMSDeliveryMode = 'PERSISTENT'", "AMQDurable = 'DURABLE'"),
        ("JMSDeliveryMode <> 'NON_PERSISTENT'", "AMQDurable <> 'NON_DURABLE'"),
        ("JMSDeliveryMode IN ('PERSISTENT')", "AMQDurable IN ('DURABLE')"),
        ("JMSMessageID = 'ID:x' OR JMSExpiration = 0", "AMQUserID = 'ID:x' OR AMQExpiration = 0"),
        ("JMSXGroupID='JMSXGroupID'", "AMQGroupID='JMSXGroupID'"),
        ('"JMSPriority" > 4', '"AMQPriority" > 4'),
        ("xJMSPriority = 1 AND JMSPriority2 = 1 AND $JMSPriority = 1", None),
        ("JMSpriority = 1 AND jmspriority = 1", None),
        ("a = 'it''s JMSPriority' AND JMSPriority = 1", "a = 'it''s JMSPriority' AND AMQPriority = 1"),
        ("a = '''PERSISTENT'''", None),
        ("/* it's */ JMSPriority = 1", "/* it's */ AMQPriority = 1"),
        ("JMSType = 'a' AND JMSCorrelationID = 'b'", None),
        ("hyphenated_props:a-JMSPriority = JMSPriority", "hyphenated_props:a-JMSPriority = AMQPriority"),
        ("XPATH '//JMSPriority'", None),
    ],
)
def test_names_are_translated(selector: str, expected: str | None) -> None:
    assert to_core(selector) == (selector if expected is None else expected)


def test_what_is_no_selector_is_not_translated() -> None:
    with pytest.raises(InvalidSelectorError) as raised:
        to_core("JMSPriority = = 4")
    assert raised.value.offset == 14


def test_a_condition_stands_before_whatever_the_filter_says() -> None:
    assert with_condition("x = 1", None) == "x = 1"
    assert with_condition("x = 'a\nb'", "a = 1 --b") == "(x = 'a\nb') AND (a = 1 --b)"
    assert with_condition("x = 1", "hyphenated_props:a-b") == "hyphenated_props:(x = 1) AND (a-b)"
