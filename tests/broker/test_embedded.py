"""The client on the embedded broker: in memory and on a socket, with cuts, restarts and faults."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from activeclient import ServerLocator
from activeclient.broker import embedded
from activeclient.broker.acceptor import BrokerThread
from activeclient.broker.embedded import EmbeddedBroker, open_vm
from activeclient.broker.limits import Limits
from activeclient.broker.postoffice import PostOffice
from activeclient.client.session import ClientSession
from activeclient.errors import (
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    IllegalStateError,
    InvalidDestinationError,
    JMSError,
    JMSSecurityError,
)
from activeclient.testing import wait_until

PATIENCE = 30.0


@pytest.fixture(params=["memory", "socket"])
def broker(request: pytest.FixtureRequest) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(port=0 if request.param == "socket" else None) as made:
        yield made


@pytest.fixture
def session(broker: EmbeddedBroker) -> Iterator[ClientSession]:
    with ServerLocator.reliable(broker.url, retry_interval=10).create_session_factory() as factory:
        made = factory.create_session(ack_batch_size=0)
        made.create_queue("q")
        yield made.start()


def send(session: ClientSession, count: int, *, first: int = 0, durable: bool = True) -> None:
    with session.create_producer("q") as producer:
        for number in range(first, first + count):
            producer.send(session.create_message(durable, body=b"%d" % number))


def receive(session: ClientSession, count: int) -> list[int]:
    found = []
    with session.create_consumer("q") as consumer:
        for _ in range(count):
            message = consumer.receive(PATIENCE)
            assert message is not None, f"nothing came after {found[-3:]}"
            message.acknowledge()
            found.append(int(message.body))
    return found


# --- sending and receiving --------------------------------------------------------------------------------------------


def test_what_is_sent_is_received_once_and_in_order(session: ClientSession, broker: EmbeddedBroker) -> None:
    send(session, 200)
    assert receive(session, 200) == list(range(200))
    assert broker.message_count("q") == 0


def test_large_messages_go_both_ways(session: ClientSession) -> None:
    body = bytes(range(256)) * 4096
    with session.create_producer("q") as producer, session.create_consumer("q") as consumer:
        producer.send(session.create_message(body=body))
        message = consumer.receive(PATIENCE)
        assert message is not None
        assert message.body == body
        message.acknowledge()


def test_an_empty_queue_says_so_at_once(session: ClientSession) -> None:
    with session.create_consumer("q") as consumer:
        assert consumer.receive_immediate() is None


def test_a_browser_leaves_the_messages(session: ClientSession) -> None:
    send(session, 3)
    with session.create_consumer("q", browse_only=True) as browser:
        assert [int(message.body) for message in iter(browser.receive_immediate, None)] == [0, 1, 2]
    assert receive(session, 3) == [0, 1, 2]


def test_a_transaction_is_all_or_nothing(session: ClientSession, broker: EmbeddedBroker) -> None:
    with session.factory.create_session(auto_commit_sends=False, auto_commit_acks=False) as transacted:
        send(transacted, 5)
        transacted.rollback()
        assert broker.message_count("q") == 0
        send(transacted, 5)
        transacted.commit()
        assert broker.message_count("q") == 5


def test_errors_are_those_of_a_real_broker(session: ClientSession) -> None:
    with pytest.raises(InvalidDestinationError, match="Queue nothing does not exist"):
        session.create_consumer("nothing")


def test_users_are_asked_for_their_passwords() -> None:
    with (
        EmbeddedBroker(users={"alice": "secret"}) as broker,
        ServerLocator(broker.url).create_session_factory() as factory,
    ):
        with pytest.raises(JMSSecurityError):
            factory.create_session("alice", "wrong")
        factory.create_session("alice", "secret")


# --- outages ----------------------------------------------------------------------------------------------------------


def test_cuts_lose_nothing_and_repeat_nothing(session: ClientSession, broker: EmbeddedBroker) -> None:
    done = threading.Event()

    def cut() -> None:
        while not done.wait(0.02):
            broker.drop_connections()

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        sender = session.factory.create_session()
        sending = threading.Thread(target=send, args=(sender, 1500))
        sending.start()
        assert receive(session, 1500) == list(range(1500))
        sending.join()
    finally:
        done.set()
        cutting.join()
    # A connection that stands need not have brought the last acknowledgements yet.
    wait_until(lambda: broker.message_count("q") == 0, PATIENCE, "every acknowledgement")


def test_a_restart_keeps_what_is_durable(session: ClientSession, broker: EmbeddedBroker) -> None:
    send(session, 3)
    send(session, 2, first=3, durable=False)
    session.factory.wait_until_connected(PATIENCE)
    broker.restart(abrupt=True)
    assert broker.message_count("q") == 3
    assert receive(session, 3) == [0, 1, 2]


def test_a_restart_may_forget_everything(session: ClientSession, broker: EmbeddedBroker) -> None:
    broker.restart(forget=True)
    assert broker.queue_names() == []


def test_a_lost_session_is_made_again(session: ClientSession, broker: EmbeddedBroker) -> None:
    send(session, 2)
    broker.faults.forget_sessions()
    broker.drop_connections()
    assert receive(session, 2) == [0, 1]


def test_a_refused_reattachment_is_survived(session: ClientSession, broker: EmbeddedBroker) -> None:
    broker.faults.refuse_reattachment(1)
    broker.drop_connections()
    send(session, 2)
    assert receive(session, 2) == [0, 1]
    assert "refuse a reattachment" in broker.faults.history


def test_an_answer_that_is_lost_with_its_connection_is_not_missed(
    session: ClientSession, broker: EmbeddedBroker
) -> None:
    broker.faults.cut("QueueQueryResponse")
    assert session.query_queue("q").exists


@pytest.mark.parametrize("nth", [1, 5, 10])
def test_a_send_that_is_cut_arrives_once(session: ClientSession, broker: EmbeddedBroker, nth: int) -> None:
    broker.faults.cut("Send", nth=nth, after=bool(nth % 2))
    send(session, 10)
    assert receive(session, 10) == list(range(10))


@pytest.mark.parametrize("size", [1, 20, 333, 1500])
@pytest.mark.parametrize("direction", ["to_broker", "to_client"])
def test_a_cut_at_any_byte_is_survived(
    session: ClientSession, broker: EmbeddedBroker, size: int, direction: str
) -> None:
    broker.faults.cut_after(size, direction)  # type: ignore[arg-type]
    send(session, 30)
    assert receive(session, 30) == list(range(30))


def test_slow_storage_delays_confirmations_and_nothing_else(session: ClientSession, broker: EmbeddedBroker) -> None:
    broker.faults.delay_storage(0.05)
    send(session, 20)
    broker.drop_connections()
    assert receive(session, 20) == list(range(20))


def test_a_frozen_connection_goes_on_when_it_thaws(session: ClientSession, broker: EmbeddedBroker) -> None:
    broker.faults.freeze()
    thaw = threading.Timer(0.1, broker.faults.unfreeze)
    thaw.start()
    assert session.query_queue("q").exists
    thaw.join()


# --- the broker's life ------------------------------------------------------------------------------------------------


def test_a_url_makes_a_broker_that_ends_with_its_last_connection() -> None:
    with ServerLocator("vm://ephemeral").create_session_factory() as one:
        one.create_session().create_queue("q")
        with ServerLocator("vm://ephemeral").create_session_factory() as other:
            assert other.create_session().query_queue("q").exists
    # Who comes before its thread has seen that the last one went would still meet it.
    wait_until(lambda: "ephemeral" not in embedded._brokers, PATIENCE)
    with ServerLocator("vm://ephemeral").create_session_factory() as one:
        assert not one.create_session().query_queue("q").exists


def test_who_comes_when_the_last_one_goes_is_served() -> None:
    first = open_vm("relay")
    broker = embedded._brokers["relay"]
    thread = broker._thread
    assert thread is not None
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go_on.wait(PATIENCE)

    holder = threading.Thread(target=thread.call, args=(hold,))
    holder.start()
    assert held.wait(PATIENCE)
    first.close()
    second = open_vm("relay")
    go_on.set()
    holder.join()
    try:
        for _ in range(2):
            thread.call(lambda: None)
        assert broker.connection_count() == 1
    finally:
        second.close()


def test_a_stopped_broker_refuses_and_is_not_replaced() -> None:
    broker = EmbeddedBroker("mine").start()
    broker.stop()
    with pytest.raises(ConnectionLost, match="stopped"):
        ServerLocator("vm://mine").create_session_factory()
    with broker:
        ServerLocator("vm://mine").create_session_factory().close()


def test_a_name_belongs_to_one_broker() -> None:
    with EmbeddedBroker("only") as broker:
        with pytest.raises(ConfigError, match="running"):
            EmbeddedBroker("only")
        assert EmbeddedBroker().name != broker.name
    with EmbeddedBroker("only"), pytest.raises(ConfigError, match="running"):
        broker.start()


def test_a_broker_on_a_socket_is_reached_both_ways_and_keeps_its_port() -> None:
    with EmbeddedBroker(port=0) as broker:
        url = broker.url
        with ServerLocator(broker.vm_url).create_session_factory() as factory:
            factory.create_session().create_queue("q")
        with ServerLocator(url).create_session_factory() as factory:
            assert factory.create_session().query_queue("q").exists
        broker.restart()
        assert broker.url == url
    with pytest.raises(ConnectFailed):
        ServerLocator(url).create_session_factory()


def test_a_port_that_is_taken_is_told_and_leaves_nothing_running() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = EmbeddedBroker(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            broker.start()
    assert not broker.running


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_broker_listens_on_ipv6_and_its_url_has_brackets() -> None:
    try:
        broker = EmbeddedBroker(port=0, host="::1").start()
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            pytest.skip("this machine has no IPv6")
        raise
    with broker, ServerLocator(broker.url).create_session_factory() as factory:
        assert broker.url.startswith("tcp://[::1]:")
        assert not factory.create_session().query_queue("q").exists


def test_a_stop_tells_the_clients() -> None:
    with EmbeddedBroker() as broker, ServerLocator(broker.url).create_session_factory() as factory:
        session = factory.create_session()
        broker.stop()
        with pytest.raises(ConnectionLost):
            session.query_queue("q")


def test_a_broker_that_does_not_run_says_so() -> None:
    broker = EmbeddedBroker()
    with pytest.raises(IllegalStateError, match="not running"):
        broker.queue_names()
    broker.stop()
    assert "stopped" in repr(broker)


def test_the_numbers_of_a_broker(session: ClientSession, broker: EmbeddedBroker) -> None:
    assert broker.queue_names() == ["q"]
    assert (broker.connection_count(), broker.session_count()) == (1, 1)
    with pytest.raises(InvalidDestinationError):
        broker.message_count("nothing")


# --- clients that do harm ---------------------------------------------------------------------------------------------


def test_a_flood_of_connections_and_garbage_does_no_harm(session: ClientSession, broker: EmbeddedBroker) -> None:
    if broker.url.startswith("vm:"):
        pytest.skip("a flood needs sockets")
    port = int(broker.url.rpartition(":")[2])
    flood = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    for number, sock in enumerate(flood):
        sock.send(bytes([number % 256]) * 50 if number % 2 else b"ARTEMIS\x7f\xff\xff\xff")
    send(session, 20)
    assert receive(session, 20) == list(range(20))
    for sock in flood:
        sock.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""
        sock.close()


def test_a_defect_in_a_call_is_told_to_the_caller_and_ends_nothing(broker: EmbeddedBroker) -> None:
    thread = broker._thread
    assert isinstance(thread, BrokerThread)
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0)
    assert broker.queue_names() == []


def test_a_defect_met_by_a_send_is_told_to_its_sender_and_ends_nothing(
    session: ClientSession, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("planted")

    with ServerLocator(broker.url).create_session_factory() as factory:
        other = factory.create_session()
        producer = other.create_producer("q")
        with monkeypatch.context() as planted:
            planted.setattr(PostOffice, "route", fail)
            with pytest.raises(JMSError, match="ZeroDivisionError in the broker"):
                producer.send(other.create_message(durable=True, body=b"x"))
    assert "planted" in caplog.text
    send(session, 3)
    assert receive(session, 3) == [0, 1, 2]


def test_a_sender_that_is_ahead_of_slow_storage_waits_and_goes_on() -> None:
    with (
        EmbeddedBroker(port=0, limits=Limits(pending_commands=10)) as broker,
        ServerLocator.reliable(broker.url).create_session_factory() as factory,
    ):
        session = factory.create_session()
        session.create_queue("q")
        confirmed: list[object] = []
        broker.faults.hold_storage()
        with session.create_producer("q") as producer:
            for number in range(500):
                producer.send(
                    session.create_message(True, body=b"%d" % number), lambda _, error: confirmed.append(error)
                )
            broker.faults.release_storage()
            wait_until(lambda: len(confirmed) == 500, PATIENCE, "500 confirmations")
        assert confirmed == [None] * 500
        assert broker.message_count("q") == 500
