"""What listeners are told: one value for each event, with the codes that Java users know."""

from __future__ import annotations

import pytest

from activeclient.client.listeners import ConnectionFailure, Listeners, Recovery
from activeclient.errors import DisconnectedByServer, OutcomeUnknown, from_server
from activeclient.events import ConsumerLost, Detached, GaveUp, SendFailed

LOST = DisconnectedByServer("the server stops", code=119)


@pytest.mark.parametrize(("code", "name"), [(210, "ADDRESS_FULL"), (105, "SECURITY_EXCEPTION"), (7777, None)])
def test_a_refused_send_is_reported_with_the_servers_code_and_its_name(code: int, name: str | None) -> None:
    error = from_server(code, "no")
    failure = ConnectionFailure(error, None, SendFailed(10, error))
    assert (failure.code, failure.error_code, failure.recovery) == (code, name or "GENERIC_EXCEPTION", None)
    assert failure.__cause__ is failure.reason is error
    assert failure.in_doubt == ()


def test_a_refused_repetition_names_the_send_that_may_be_stored() -> None:
    error = OutcomeUnknown("full; an earlier copy may have been stored", duplicate_id=b"id", code=210)
    failure = ConnectionFailure(error, None, SendFailed(10, error))
    assert (failure.error_code, failure.in_doubt) == ("ADDRESS_FULL", (b"id",))


def test_a_lost_consumer_is_reported_with_the_servers_code_and_its_name() -> None:
    error = from_server(100, "the queue was deleted")
    failure = ConnectionFailure(error, None, ConsumerLost(10, 0, error))
    assert (failure.code, failure.error_code) == (100, "QUEUE_DOES_NOT_EXIST")


def test_an_outage_is_reported_as_failover_or_disconnect() -> None:
    gave_up = GaveUp(LOST, 3, (None, b"id"))
    failure = ConnectionFailure(LOST, Recovery.GAVE_UP, gave_up)
    assert (failure.error_code, failure.code, failure.in_doubt) == ("DISCONNECT", 119, (None, b"id"))
    assert ConnectionFailure(LOST, None, Detached(LOST, None)).error_code == "FAILOVER"


def test_a_refused_send_is_no_outage_for_failure_listeners() -> None:
    told: list[object] = []

    class Listener:
        def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
            told.append(error)

    listeners = Listeners()
    listeners.failure.append(Listener())
    listeners.events.append(told.append)
    event = SendFailed(10, from_server(210, "full"))
    assert listeners.offer(event)
    listeners.run()
    assert told == [event]
