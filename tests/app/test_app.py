"""Applications on the embedded broker: what becomes of messages, of failures, of outages, and of the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import activeclient
from activeclient import App, BytesMessage, Delivery, EmbeddedBroker, MapMessage, Message, Reject, TextMessage, Topic
from activeclient.app import Sending
from activeclient.broker.configuration import AddressSettings, BrokerConfiguration
from activeclient.errors import (
    ConnectionLost,
    IllegalStateError,
    InvalidDestinationError,
    JMSSecurityError,
    MessageFormatError,
    ReconnectGaveUp,
)
from activeclient.testing import AppUnderTest, BrokerUnderTest, wait_until

PATIENCE = 60.0
Run = Callable[[App], AppUnderTest]
both = pytest.mark.parametrize("transacted", [True, False], ids=["transacted", "not transacted"])


@pytest.fixture
def app() -> App:
    return App("vm://0")


class Log:
    """What handlers have got."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.got: list[Any] = []

    def add(self, what: Any) -> None:
        with self._lock:
            self.got.append(what)


@both
def test_messages_are_handled_once_in_order_and_acknowledged(app: App, jms_app: Run, transacted: bool) -> None:
    log = Log()

    @app.listener("orders", transacted=transacted)
    def handle(order: dict[str, int]) -> None:
        log.add(order["number"])

    running = jms_app(app)
    for number in range(20):
        running.send("orders", {"number": number})
    running.wait_until_done(PATIENCE)
    assert log.got == list(range(20))
    wait_until(lambda: running.counts("handle").handled == 20, PATIENCE)


@both
def test_what_a_handler_sends_leaves_only_when_it_succeeds(app: App, jms_app: Run, transacted: bool) -> None:
    @app.listener("orders", retries=1, transacted=transacted)
    def handle(number: int, delivery: Delivery) -> None:
        delivery.send("done", {"number": number, "attempt": delivery.attempt}, priority=7)
        if delivery.attempt == 1:
            raise ValueError("the first attempt fails")

    running = jms_app(app)
    running.send("orders", 1)
    running.wait_until_done(PATIENCE)
    done = [message.read(dict) for message in running.messages("done")]
    second = {"number": 1, "attempt": 2}
    assert done == ([second] if transacted else [{"number": 1, "attempt": 1}, second])
    assert running.messages("done")[0].jms_priority == 7


@both
def test_a_handler_that_fails_for_good_leaves_a_dead_letter(
    app: App, jms_app: Run, transacted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()

    @app.listener("orders", retries=2, transacted=transacted, dead_letter="graveyard")
    def handle(body: str, delivery: Delivery) -> None:
        log.add((delivery.attempt, delivery.redelivered))
        raise ValueError(f"cannot log in with password=hunter2: {body}")

    running = jms_app(app)
    sent = running.send("orders", "apples", properties={"colour": "red"}, priority=8, correlation_id="c")
    running.wait_until_done(PATIENCE)
    assert log.got == [(1, False), (2, False), (3, False)]
    (dead,) = running.dead_letters("handle")
    assert isinstance(dead, TextMessage)
    assert (dead.text, dead.jms_priority, dead.jms_correlation_id) == ("apples", 8, "c")
    told = dict(dead.properties)
    assert told["colour"] == "red"
    assert told["activeclient_error"] == "cannot log in with password=*** apples"
    assert told["activeclient_error_type"] == "ValueError"
    assert told["activeclient_attempts"] == 3
    assert told["activeclient_origin"] == "queue://orders"
    assert told["activeclient_message_id"] == sent.jms_message_id
    assert abs(int(str(told["activeclient_failed_at"])) - time.time() * 1000) < 3_600_000
    assert (told["_AMQ_ORIG_ADDRESS"], told["_AMQ_ORIG_QUEUE"]) == ("orders", "orders")
    assert "activeclient_attempt" not in told
    assert "attempt 3, failed for good and is in queue://graveyard: ValueError" in caplog.text
    wait_until(lambda: running.counts("handle").dead == 1, PATIENCE)
    assert running.counts("handle").retried == 2


def test_a_body_that_cannot_be_read_is_a_dead_letter_at_once(app: App, jms_app: Run) -> None:
    log = Log()

    @app.listener("orders")
    def handle(order: dict[str, int]) -> None:
        log.add(order)

    running = jms_app(app)
    running.send("orders", "no json: hunter2")
    running.send("orders", BytesMessage(b"\xff\xfe"))
    running.send("orders", MapMessage({"number": 1}))
    running.wait_until_done(PATIENCE)
    assert log.got == [{"number": 1}]
    dead = running.dead_letters("handle")
    assert [message.properties["activeclient_error_type"] for message in dead] == [
        "activeclient.errors.MessageFormatError"
    ] * 2
    assert [message.properties["activeclient_attempts"] for message in dead] == [1, 1]
    assert "hunter2" not in str(dead[0].properties["activeclient_error"])


def test_an_unreadable_body_stays_one_when_a_middleware_changes_the_error(app: App, jms_app: Run) -> None:
    @app.around_handler
    def wrapping(delivery: Delivery, handle: Callable[[Delivery], object]) -> object:
        try:
            return handle(delivery)
        except Exception as error:
            raise RuntimeError("something went wrong") from error

    @app.listener("orders")
    def handle(order: dict[str, int]) -> None: ...

    running = jms_app(app)
    running.send("orders", "no json")
    running.wait_until_done(PATIENCE)
    (dead,) = running.dead_letters("handle")
    assert dead.properties["activeclient_attempts"] == 1
    assert dead.properties["activeclient_error_type"] == "RuntimeError"


def test_a_send_that_waits_holds_up_no_worker(app: App, artemis_broker: BrokerUnderTest, jms_app: Run) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @app.listener("orders")
    def handle(body: str) -> None: ...

    running = jms_app(app)
    original = app._session
    assert original is not None

    class Slow:
        def create_producer(self) -> Any:
            inside.set()
            assert go_on.wait(PATIENCE)
            return original.create_producer()

    app._session = Slow()  # type: ignore[assignment]
    sender = threading.Thread(target=lambda: app.send("elsewhere", "x"))
    sender.start()
    assert inside.wait(PATIENCE)
    with artemis_broker.connect() as connection, connection.create_session() as session:
        session.create_producer(session.create_queue("orders")).send("x")
    wait_until(lambda: running.counts("handle").handled == 1, PATIENCE)
    go_on.set()
    sender.join(PATIENCE)


def test_a_handler_rejects_and_an_error_of_a_kind_of_its_own_is_tried_again(app: App, jms_app: Run) -> None:
    @app.listener("orders", retries=1)
    def handle(body: str) -> None:
        if body == "reject":
            raise Reject("no such article")
        raise MessageFormatError("by the handler itself, so the next attempt may do")

    running = jms_app(app)
    running.send("orders", "reject")
    running.send("orders", "fail")
    running.wait_until_done(PATIENCE)
    attempts = {
        str(message.body): message.properties["activeclient_attempts"] for message in running.dead_letters("handle")
    }
    assert attempts == {"reject": 1, "fail": 2}


def test_system_exit_in_a_handler_is_a_failure_and_ends_no_thread(app: App, jms_app: Run) -> None:
    log = Log()

    @app.listener("orders", retries=0)
    def handle(body: str) -> None:
        if body == "exit":
            raise SystemExit(3)
        log.add(body)

    running = jms_app(app)
    running.send("orders", "exit")
    running.send("orders", "next")
    running.wait_until_done(PATIENCE)
    assert log.got == ["next"]
    assert running.dead_letters("handle")[0].properties["activeclient_error_type"] == "SystemExit"


def test_a_coroutine_that_a_plain_function_returns_is_a_failure_with_a_clear_error(app: App, jms_app: Run) -> None:
    async def work() -> None: ...

    @app.listener("orders", retries=0)
    def handle(body: str) -> object:
        return work()

    running = jms_app(app)
    running.send("orders", "x")
    running.wait_until_done(PATIENCE)
    assert "returned a coroutine" in str(running.dead_letters("handle")[0].properties["activeclient_error"])


def test_a_delay_blocks_no_other_message(app: App, artemis_broker: BrokerUnderTest) -> None:
    log = Log()

    @app.listener("orders", backoff=3600)
    def handle(body: str) -> None:
        log.add(body)
        if body == "slow":
            raise ValueError

    with app.start(artemis_broker.connection_factory()):
        app.send("orders", "slow", time_to_live=7200)
        for number in range(5):
            app.send("orders", str(number))
        wait_until(lambda: len(log.got) == 6, PATIENCE)
        artemis_broker.wait_for_messages("orders", 1, PATIENCE)  # it is scheduled, in the broker
    artemis_broker.faults.skew_clock(3700)
    with app.start(artemis_broker.connection_factory()):
        # The broker's clock is ahead for good: each further attempt is due at once.
        artemis_broker.wait_for_messages("orders.failed", 1, PATIENCE)
    assert log.got[6:] == ["slow"] * 3


@both
def test_headers_of_a_message_that_is_tried_again_stay(app: App, jms_app: Run, transacted: bool) -> None:
    log = Log()

    @app.listener("orders", transacted=transacted, retries=1)
    def handle(message: Message, delivery: Delivery) -> None:
        left = message.jms_expiration - time.time() * 1000
        log.add((message.jms_priority, message.jms_delivery_mode.name, message.jms_type, left > 0))
        if delivery.attempt == 1:
            raise ValueError

    running = jms_app(app)
    running.send("orders", "x", priority=2, delivery_mode=1, type="kind", time_to_live=3600)
    wait_until(lambda: len(log.got) == 2, PATIENCE)  # of such a message no send waits for the broker
    running.wait_until_done(PATIENCE)
    assert log.got == [(2, "NON_PERSISTENT", "kind", True)] * 2


def test_concurrency_is_that_of_threads_and_idle_ones_get_the_next_message(app: App, jms_app: Run) -> None:
    inside = threading.Barrier(3, timeout=PATIENCE)

    @app.listener("orders", concurrency=3)
    def handle(body: str) -> None:
        inside.wait()

    running = jms_app(app)
    for number in range(6):
        running.send("orders", str(number))
    running.wait_until_done(PATIENCE)


def test_middleware_is_called_around_handlers_and_sends_in_order(app: App, jms_app: Run) -> None:
    log = Log()

    @app.around_handler
    def outer(delivery: Delivery, handle: Callable[[Delivery], object]) -> object:
        log.add("outer")
        try:
            return handle(delivery)
        finally:
            log.add("outer ends")

    @app.around_handler
    def inner(delivery: Delivery, handle: Callable[[Delivery], object]) -> object:
        log.add(f"inner {delivery.body}")
        return handle(delivery)

    @app.around_send
    def stamped(sending: Sending, send: Callable[[Sending], object]) -> object:
        sending.properties["tenant"] = "a"
        return send(sending)

    @app.listener("orders")
    def handle(body: str, delivery: Delivery) -> None:
        log.add("handle")
        delivery.send("done", "y")

    running = jms_app(app)
    running.send("orders", "x")
    running.wait_until_done(PATIENCE)
    assert log.got == ["outer", "inner x", "handle", "outer ends"]
    assert running.messages("done")[0].properties["tenant"] == "a"


def test_a_reply_goes_where_the_message_wants_it(app: App, jms_app: Run, jms_session: activeclient.Session) -> None:
    @app.listener("requests")
    def handle(body: str, delivery: Delivery) -> None:
        delivery.reply(body.upper())

    jms_app(app)
    with activeclient.Requestor(jms_session, jms_session.create_queue("requests")) as requestor:
        assert requestor.request("quietly", timeout=PATIENCE).text == "QUIETLY"


def test_a_failed_message_of_a_topic_comes_again_to_its_subscription_only(app: App, jms_app: Run) -> None:
    log = Log()

    @app.listener("topic://prices", subscription="first", retries=1)
    def first(body: str, delivery: Delivery) -> None:
        log.add(("first", delivery.attempt))
        raise ValueError

    @app.listener(Topic("prices"), subscription="second", transacted=False, retries=1)
    def second(body: str, delivery: Delivery) -> None:
        log.add(("second", delivery.attempt))
        raise ValueError

    running = jms_app(app)
    running.send("topic://prices", "apples 3")
    running.wait_until_done(PATIENCE)
    assert sorted(log.got) == [("first", 1), ("first", 2), ("second", 1), ("second", 2)]
    assert len(running.messages("prices.failed")) == 2


@both
def test_a_large_body_is_read_tried_again_and_kept_as_a_dead_letter(app: App, jms_app: Run, transacted: bool) -> None:
    log = Log()

    @app.listener("orders", transacted=transacted, retries=1)
    def handle(body: bytes) -> None:
        log.add(len(body))
        raise ValueError

    running = jms_app(app)
    running.send("orders", bytes(6_000_000))
    running.wait_until_done(PATIENCE)
    assert log.got == [6_000_000] * 2
    assert len(running.dead_letters("handle")) == 1


@both
def test_what_the_broker_refuses_of_a_handler_is_a_failure_of_it(app: App, jms_app: Run, transacted: bool) -> None:
    log = Log()

    @app.listener("orders", transacted=transacted, retries=1)
    def handle(body: str, delivery: Delivery) -> None:
        log.add(delivery.attempt)
        delivery.send("done", "x", priority=77)

    running = jms_app(app)
    running.send("orders", "x")
    running.wait_until_done(PATIENCE)
    (dead,) = running.dead_letters("handle")
    assert "priority 77" in str(dead.properties["activeclient_error"])
    assert log.got == [1, 2]


def test_an_unknown_option_of_a_send_is_an_error_in_the_handler(app: App, jms_app: Run) -> None:
    @app.listener("orders", retries=0)
    def handle(body: str, delivery: Delivery) -> None:
        delivery.send("done", "x", prioritty=7)

    running = jms_app(app)
    running.send("orders", "x")
    running.wait_until_done(PATIENCE)
    assert "no option prioritty" in str(running.dead_letters("handle")[0].properties["activeclient_error"])


@both
def test_cuts_are_not_noticed_and_no_attempt_is_counted(
    app: App, artemis_broker: BrokerUnderTest, jms_app: Run, transacted: bool
) -> None:
    log = Log()

    @app.listener("orders", concurrency=2, transacted=transacted)
    def handle(number: int, delivery: Delivery) -> None:
        log.add((number, delivery.attempt))
        delivery.send("done", number)

    running = jms_app(app)
    for number in range(100):
        if number % 10 == 5:
            artemis_broker.drop_connections()
        running.send("orders", number)
    running.wait_until_done(PATIENCE)
    assert {attempt for _, attempt in log.got} == {1}
    done = sorted(message.read(int) for message in running.messages("done"))
    if transacted:
        assert done == list(range(100))
    else:
        assert set(done) == set(range(100))


# --- its end --------------------------------------------------------------------------------------------------------


def test_stopping_lets_running_handlers_finish_and_leaves_the_rest(app: App, artemis_broker: BrokerUnderTest) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @app.listener("orders")
    def handle(body: str, delivery: Delivery) -> None:
        inside.set()
        assert go_on.wait(PATIENCE)
        delivery.send("done", body)

    app.start(artemis_broker.connection_factory())
    for number in range(3):
        app.send("orders", str(number))
    assert inside.wait(PATIENCE)
    finished: list[bool] = []
    stopping = threading.Thread(target=lambda: finished.append(app.stop(PATIENCE)))
    stopping.start()
    assert app.stopping.wait(PATIENCE)
    assert not finished
    go_on.set()
    stopping.join(PATIENCE)
    assert finished == [True]
    assert not app.is_running
    assert artemis_broker.message_count("orders") == 2
    assert artemis_broker.message_count("done") == 1


@both
def test_a_handler_that_does_not_finish_in_time_is_left_and_its_message_comes_again(
    app: App, artemis_broker: BrokerUnderTest, transacted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    inside, go_on, left = threading.Event(), threading.Event(), threading.Event()

    @app.listener("orders", transacted=transacted)
    def handle(body: str) -> None:
        inside.set()
        go_on.wait(PATIENCE)
        left.set()

    app.start(artemis_broker.connection_factory())
    app.send("orders", "x")
    assert inside.wait(PATIENCE)
    try:
        assert app.stop(0.05) is False
        assert "handling ID:" in caplog.text
    finally:
        go_on.set()
    assert left.wait(PATIENCE)
    wait_until(lambda: not app.in_doubt(), PATIENCE)
    assert artemis_broker.message_count("orders") == 1


def test_stopping_ends_the_wait_for_a_new_session(app: App, artemis_broker: BrokerUnderTest) -> None:
    @app.listener("orders")
    def handle(body: str) -> None: ...

    app.start(artemis_broker.connection_factory())
    with artemis_broker.outage():
        assert app.stop(PATIENCE)


def test_run_ends_on_request_also_by_a_handler(app: App, artemis_broker: BrokerUnderTest) -> None:
    @app.listener("orders")
    def handle(body: str) -> None:
        app.request_stop()

    with artemis_broker.connect() as connection, connection.create_session() as session:
        session.create_producer(session.create_queue("orders")).send("x")
    assert app.run(artemis_broker.connection_factory()) is True
    assert artemis_broker.message_count("orders") == 0


def test_run_raises_what_ended_the_application(app: App, artemis_broker: BrokerUnderTest) -> None:
    started = threading.Event()

    @app.listener("orders")
    def handle(body: str) -> None:
        started.set()

    factory = artemis_broker.connection_factory(reconnect_attempts=2)
    with artemis_broker.connect() as connection, connection.create_session() as session:
        session.create_producer(session.create_queue("orders")).send("x")

    def cut() -> None:
        assert started.wait(PATIENCE)
        artemis_broker.cutter.down()
        artemis_broker.cutter.cut_now()

    cutting = threading.Thread(target=cut)
    cutting.start()
    with pytest.raises(ReconnectGaveUp):
        app.run(factory)
    cutting.join()
    assert not app.is_running
    artemis_broker.cutter.up()


def test_a_queue_that_is_deleted_meanwhile_is_consumed_again_when_it_is_back(
    app: App, artemis_broker: BrokerUnderTest, jms_app: Run
) -> None:
    log = Log()

    @app.listener("orders")
    def handle(body: str) -> None:
        log.add(body)

    running = jms_app(app)
    with artemis_broker.connect() as connection, connection.management() as management:
        management.invoke("broker", "destroyQueue", "orders", True)
    running.send("orders", "x")
    running.wait_until_done(PATIENCE)
    assert log.got == ["x"]


# --- its beginning ----------------------------------------------------------------------------------------------------


def test_what_does_not_exist_and_is_not_created_fails_at_the_start() -> None:
    configuration = BrokerConfiguration(
        settings={"#": AddressSettings(auto_create_queues=False, auto_create_addresses=False)}
    )
    with EmbeddedBroker("app-strict", configuration=configuration) as broker:
        app = App(broker.url)
        app.listener("orders", body=str)(lambda body: None)
        with pytest.raises(InvalidDestinationError, match="orders"):
            app.start()
        assert not app.is_running
        with pytest.raises(IllegalStateError):
            app.send("orders", "x")


def test_no_broker_and_wrong_credentials_fail_at_the_start() -> None:
    app = App("tcp://127.0.0.1:1")
    app.listener("orders", body=str)(lambda body: None)
    with pytest.raises(ConnectionLost):
        app.start()
    with EmbeddedBroker("app-users", users={"me": "right"}) as broker:
        app = App(broker.url, user="me", password="wrong")
        app.listener("orders", body=str)(lambda body: None)
        with pytest.raises(JMSSecurityError):
            app.run()


def test_an_application_starts_once_with_listeners_and_can_start_again(
    app: App, embedded_broker: EmbeddedBroker
) -> None:
    app = App(embedded_broker.url)
    with pytest.raises(IllegalStateError, match="no listener"):
        app.start()

    @app.listener("orders")
    def handle(body: str) -> None: ...

    for _ in range(2):
        with app:
            with pytest.raises(IllegalStateError, match="runs already"):
                app.start()
            with pytest.raises(IllegalStateError, match="runs"):
                app.listener("late", body=str)(lambda body: None)
        assert app.stop()


@pytest.fixture(autouse=True)
def _nothing_left(jms_no_leaks: None) -> Iterator[None]:
    yield
    logging.getLogger("activeclient.app").setLevel(logging.NOTSET)
