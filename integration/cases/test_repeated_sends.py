"""Sends that are repeated in a recreated session: none is done that is not stored, none refused in silence.

Law: each race is made certain by the broker's own settings or by the byte at which the connection is cut, never by
chance; each of these cases fails when the protection is taken out.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.client.producer import ClientProducer
from activeclient.client.session import ClientSession
from activeclient.engine import recovery
from activeclient.errors import (
    ActiveClientError,
    InvalidDestinationError,
    JMSSecurityError,
    TransactionRolledBackError,
)
from activeclient.testing.cuts import Direction, How
from activeclient.testing.cutter import Cutter
from activeclient.values import Byte
from activeclient.wire.message import CoreMessage
from activeclient.wire.names import ROUTING_TYPE
from integration.artemis import GENERATIONS, Broker
from integration.cases.support import eventually
from integration.configuration import LIMITED_PASSWORD, LIMITED_USER, SECURED, BrokerSettings
from integration.conftest import MakeBroker

RECREATING = "?reconnectAttempts=-1&retryInterval=20&duplicateDetection=true"
SOON = 30.0
LATE_FLUSH = BrokerSettings(journal_buffer_timeout_ns=2_000_000_000, sync_to_disk=False)
"""What is stored lies in memory for 2 s before it is written, and a kill in that time loses it."""
NOT_CREATED = BrokerSettings(
    extra_address_settings="""<address-setting match="fixed.#">
        <auto-create-queues>false</auto-create-queues><auto-create-addresses>false</auto-create-addresses>
      </address-setting>"""
)


class Sent:
    """A durable send on a thread of its own, and what came of it."""

    def __init__(self, session: ClientSession, producer: ClientProducer) -> None:
        self.done = threading.Event()
        self.error: ActiveClientError | None = None
        message = session.create_message(True, body=b"once")
        message.properties = {ROUTING_TYPE: Byte(1)}  # as JMS has it: only so a broker refuses what has no address
        producer.send(message, self._ended)
        producer.flush()

    def _ended(self, _: CoreMessage, error: ActiveClientError | None) -> None:
        self.error = error
        self.done.set()


@pytest.mark.parametrize("private_broker_of", GENERATIONS, indirect=True)
def test_a_repeat_is_done_only_when_the_first_copy_is_on_the_disk(
    private_broker_of: MakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A session that is ended waits for its own writes, and its successor for that: here as if they took longer.
    monkeypatch.setattr(recovery, "patience", lambda slowest: 0.0)
    broker = private_broker_of(LATE_FLUSH)
    with Cutter(broker.host, broker.port) as cutter:
        with (
            ServerLocator(cutter.url() + RECREATING + "&producerWindowSize=-1") as locator,
            locator.create_session_factory() as factory,
            factory.create_session() as session,
        ):
            session.create_queue("late")
            producer = session.create_producer("late")
            session.query_queue("late")  # everything before the message is with the broker
            before = cutter.forwarded[0]
            sent = Sent(session, producer)
            eventually(lambda: cutter.forwarded[0] > before, "the broker has the message", SOON)
            assert not sent.done.is_set()
            cutter.cut_now(How.FIN)  # which lets the broker read what is on its way
            assert sent.done.wait(SOON)
            assert sent.error is None
            broker.kill()
        broker.start()
        with (
            ServerLocator(broker.url()) as locator,
            locator.create_session_factory() as factory,
            factory.create_session() as session,
        ):
            assert session.query_queue("late").message_count == 1


@pytest.mark.parametrize("private_broker_of", GENERATIONS, indirect=True)
def test_a_refusal_that_is_lost_with_its_session_is_found_out(private_broker_of: MakeBroker) -> None:
    broker = private_broker_of(NOT_CREATED)
    with (
        Cutter(broker.host, broker.port) as cutter,
        ServerLocator(cutter.url() + RECREATING + "&producerWindowSize=-1") as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as session,
    ):
        session.create_queue("there")
        missing, there = session.create_producer("fixed.missing"), session.create_producer("there")
        refused = Sent(session, missing)
        assert refused.done.wait(SOON)
        assert isinstance(refused.error, InvalidDestinationError)
        cutter.cut_after(Direction.TO_CLIENT, 1, How.RESET)  # the answer does not arrive
        lost, stored = Sent(session, missing), Sent(session, there)
        assert lost.done.wait(SOON)
        assert isinstance(lost.error, InvalidDestinationError)
        assert "fixed.missing" in str(lost.error)
        assert stored.done.wait(SOON)
        assert stored.error is None
        assert cutter.cuts == 1
        assert session.query_queue("there").message_count == 1


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while (error := error.__cause__ if error is not None else None) is not None:
        yield error


@pytest.mark.parametrize("artemis", GENERATIONS, indirect=True)
@pytest.mark.parametrize("window", [-1, 1048576])
@pytest.mark.parametrize("durable", [True, False])
def test_a_transaction_of_which_the_broker_refuses_a_send_does_not_commit(
    artemis: Broker, window: int, durable: bool
) -> None:
    allowed = f"allowed-{uuid.uuid4()}"
    with (
        ServerLocator(artemis.url(confirmationWindowSize=window)) as locator,
        locator.create_session_factory() as factory,
        factory.create_session(artemis.user, artemis.password) as owner,
        factory.create_session(
            LIMITED_USER, LIMITED_PASSWORD, auto_commit_sends=False, auto_commit_acks=False
        ) as session,
    ):
        for name in (allowed, f"{SECURED}.{allowed}"):
            owner.create_queue(name)
        producer = session.create_producer()
        for _ in range(2):
            producer.send(session.create_message(durable), address=allowed)
            producer.send(session.create_message(durable), address=f"{SECURED}.{allowed}")
            with pytest.raises(TransactionRolledBackError) as raised:
                session.commit()
            assert "105" in str(raised.value)
            assert any(isinstance(cause, JMSSecurityError) for cause in _causes(raised.value))
            producer.send(session.create_message(durable), address=allowed)
            session.commit()
        assert owner.query_queue(allowed).message_count == 2
        assert owner.query_queue(f"{SECURED}.{allowed}").message_count == 0
        for name in (allowed, f"{SECURED}.{allowed}"):
            owner.delete_queue(name)
