"""What type checkers refuse: names that are not there, and settings of the wrong type.

Law of this file: each `type: ignore` is an error that mypy must find; it complains about one that is not needed.
"""

from __future__ import annotations

from typing import assert_type

import pytest

from activeclient import ActiveMQConnectionFactory, ConfigError, MessageConsumer, MessageProducer, ServerLocator


def test_settings_are_typed_attributes_and_there_are_no_others() -> None:
    factory = ActiveMQConnectionFactory()
    locator = ServerLocator()
    assert_type(factory.retry_interval, int)
    assert_type(locator.duplicate_detection, bool)
    factory.retry_interval = 7
    with pytest.raises(AttributeError):
        factory.retryInterval = 7  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        factory.setRetryInterval(7)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        locator.callTimeout = 7  # type: ignore[attr-defined]
    with pytest.raises(ConfigError):
        factory.retry_interval = "7"  # type: ignore[assignment]


def _refused(producer: MessageProducer, consumer: MessageConsumer) -> None:
    producer.timeToLive = 5  # type: ignore[attr-defined]
    producer.setTimeToLive(5)  # type: ignore[attr-defined]
    consumer.messageListener = print  # type: ignore[attr-defined]
