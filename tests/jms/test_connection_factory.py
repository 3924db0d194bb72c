"""Factories without a broker: settings, secrets, and the profile of `connect`."""

from __future__ import annotations

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.errors import ConfigError, ConnectionLost
from activeclient.jms.connection_factory import ActiveMQConnectionFactory, connect


def test_every_setting_can_be_read_and_set() -> None:
    factory = ActiveMQConnectionFactory("tcp://h:1?retryInterval=7", call_timeout=5)
    assert (factory.retry_interval, factory.call_timeout, factory.reconnect_attempts) == (7, 5, 0)
    factory.reconnect_attempts = -1
    assert factory.settings.reconnect_attempts == -1
    with pytest.raises(ConfigError):
        factory.reconnect_attemps = 1
    with pytest.raises(AttributeError):
        _ = factory.nonsense
    with pytest.raises(ConfigError):
        factory.retry_interval = "x"


def test_a_repr_shows_no_secret() -> None:
    factory = ActiveMQConnectionFactory("tcp://h:1?user=u&password=hidden", key_store_password="hidden")
    assert "hidden" not in repr(factory)
    assert "ActiveMQConnectionFactory tcp://h:1" in repr(factory)


def test_the_environment_names_the_broker_when_no_url_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQ_HOST", "elsewhere")
    monkeypatch.setenv("AMQ_USER", "me")
    factory = ActiveMQConnectionFactory()
    assert "elsewhere" in repr(factory)
    assert factory.user == "me"


def test_the_profile_is_reliable_unless_the_url_or_the_caller_says_otherwise() -> None:
    assert ServerLocator.reliable("tcp://h:1").reconnect_attempts == -1
    assert ServerLocator.reliable("tcp://h:1?reconnectAttempts=5").reconnect_attempts == 5
    assert ServerLocator.reliable("tcp://h:1?reconnectAttempts=5").confirmation_window_size > 0
    assert ServerLocator.reliable("tcp://h:1?reconnectAttempts=5", reconnect_attempts=6).reconnect_attempts == 6
    assert ServerLocator.reliable("tcp://h:1?profile=artemis").reconnect_attempts == 0
    assert ServerLocator.reliable("tcp://h:1", profile="artemis").confirmation_window_size == -1


def test_a_dead_port_is_an_error_at_once() -> None:
    with pytest.raises(ConnectionLost):
        connect("tcp://127.0.0.1:1")
