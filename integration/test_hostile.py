"""A real broker refuses: wrong credentials, unknown names: each with its error, at once, without the password."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.errors import ActiveClientError, InvalidDestinationError, JMSSecurityError
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker

MARK = "s3cr3tMARKER"
PATIENT = "reconnectAttempts=-1&initialConnectAttempts=-1&retryInterval=10"


def _session(url: str) -> None:
    with ServerLocator(url) as locator:
        locator.create_session_factory().create_session()


def _refused(call: Callable[[], object], kind: type[ActiveClientError]) -> ActiveClientError:
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        call()
    assert time.monotonic() - began < 10.0  # an attempt that waits, or another one, would take callTimeout
    return caught.value


@pytest.mark.parametrize("attempts", ["", PATIENT], ids=["once", "for ever"])
@pytest.mark.parametrize("credentials", [f"user=admin&password={MARK}", f"user=nobody&password={MARK}"])
def test_wrong_credentials_end_at_once_however_many_attempts_are_left(
    broker_url: str, credentials: str, attempts: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = _refused(lambda: _session(f"{broker_url}?{credentials}&{attempts}"), JMSSecurityError)
    assert error.code == 105
    assert "AMQ229031" in str(error)
    assert MARK not in caplog.text + repr(error) + str(error)


def test_a_name_that_does_not_exist_and_a_bad_selector_are_told(artemis: Broker) -> None:
    with ServerLocator(artemis.url() + "?user=admin&password=admin") as locator:
        session = locator.create_session_factory().create_session()
        _refused(lambda: session.create_consumer("hostile.nowhere"), InvalidDestinationError)
        session.create_queue("hostile.selector", durable=False)
        _refused(lambda: session.create_consumer("hostile.selector", "this is (no selector"), ActiveClientError)
        producer = session.create_producer("hostile.selector")
        producer.send(CoreMessage(b"the session goes on", 4))
        session.delete_queue("hostile.selector")
