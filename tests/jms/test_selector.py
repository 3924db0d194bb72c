"""Selectors become filters: names outside quotes, nothing else."""

from __future__ import annotations

import pytest

from activeclient.errors import InvalidSelectorError
from activeclient.jms.selector import core_filter, without_own


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("a = 1", "a = 1"),
        ("JMSPriority > 4 AND JMSTimestamp=0", "AMQPriority > 4 AND AMQTimestamp=0"),
        ("JMSDeliveryMode = 'PERSISTENT'", "AMQDurable = 'DURABLE'"),
        ("JMSDeliveryMode <> 'NON_PERSISTENT'", "AMQDurable <> 'NON_DURABLE'"),
        ("JMSMessageID = 'ID:x' OR JMSExpiration = 0", "AMQUserID = 'ID:x' OR AMQExpiration = 0"),
        ("JMSXGroupID='JMSXGroupID'", "AMQGroupID='JMSXGroupID'"),
        ("xJMSPriority = 1 AND JMSPriority2 = 1 AND $JMSPriority = 1", None),
        ("a = 'it''s JMSPriority' AND JMSPriority = 1", "a = 'it''s JMSPriority' AND AMQPriority = 1"),
        ("JMSType = 'a' AND JMSCorrelationID = 'b'", None),
    ],
)
def test_names_are_translated(selector: str | None, expected: str | None) -> None:
    unchanged = expected is None and selector is not None and selector.strip()
    assert core_filter(selector) == (selector if unchanged else expected)


def test_a_selector_is_a_text() -> None:
    with pytest.raises(InvalidSelectorError):
        core_filter(5)  # type: ignore[arg-type]


def test_own_messages_are_left_out_and_untagged_ones_pass() -> None:
    assert without_own(None, "c") == "(__AMQ_CID <> 'c' OR __AMQ_CID IS NULL)"
    assert without_own("a = 1 OR b", "it's") == "(a = 1 OR b) AND (__AMQ_CID <> 'it''s' OR __AMQ_CID IS NULL)"
