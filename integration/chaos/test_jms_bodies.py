"""Every kind of body, large ones too, delayed messages and pre-acknowledged sessions while connections are cut.

Law: a body is compared whole, with what was sent; what is at most once is never twice.
"""

from __future__ import annotations

import contextlib
import threading
import time

from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    BytesMessage,
    MapMessage,
    Message,
    ObjectMessage,
    StreamMessage,
    TextMessage,
)
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.cases.support import eventually
from integration.chaos.conftest import Amount
from integration.chaos.jms import number_in, receive_all, send_numbers, staged, took
from integration.chaos.report import Watch
from integration.chaos.traffic import STALL, Traffic, exact, wait_settled

LARGE = 150_000


def made(number: int) -> object:
    """The body of a number: each kind in its turn, every seventh too large for one frame."""
    kind = number % 7
    if kind == 0:
        return f"text {number} \U0001f600"
    if kind == 1:
        return bytes([number % 256]) * 300
    if kind == 2:
        return {"n": number, "name": f"map {number}", "whole": True, "part": number / 4}
    if kind == 3:
        return [number, "stream", b"\0\1", number / 8, None]
    if kind == 4:
        return ObjectMessage({"n": number, "list": [1, {"deep": None}]})
    if kind == 5:
        return f"{number} " * (LARGE // 8)
    return number.to_bytes(4, "big") * (LARGE // 4)


def body_in(message: Message) -> object:
    """What `made` made, as it came."""
    if isinstance(message, MapMessage):
        return dict(message)
    if isinstance(message, StreamMessage):
        return list(message)
    if isinstance(message, ObjectMessage):
        return message.object
    if isinstance(message, TextMessage):
        return message.text
    assert isinstance(message, BytesMessage)
    return message.data


def is_whole(message: Message) -> bool:
    """Is it what was sent?"""
    wanted = made(number_in(message))
    return body_in(message) == (wanted.object if isinstance(wanted, ObjectMessage) else wanted)


def test_every_kind_of_body_arrives_whole(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    with staged("every kind of body", artemis, cutter, amount) as stage:
        ledger, traffic, queue = stage.ledger, Traffic(), stage.queue("bodies")
        producer = stage.shaken.create_session().create_producer(queue)
        consumer = stage.shaken.create_session().create_consumer(queue)
        stage.shaken.start()

        def take(message: Message) -> None:
            ledger.acknowledged.add(took(ledger, message, whole=is_whole(message)))

        with stage.cut(seed=130, high=300_000) as chopper:
            sender = traffic.run(
                ledger,
                lambda: send_numbers(
                    producer, ledger, chopper.done.is_set, make=made, in_flight=50, waiting=stage.reattached
                ),
            )
            receive_all(stage, consumer, take, lambda: not sender.is_alive(), queue=queue.name)
            traffic.join()
        wait_settled(ledger)
    stage.report.check(reattached=stage.reattached)


def test_delayed_messages_come_once_and_not_too_soon(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    with staged("delayed messages", artemis, cutter, amount) as stage:
        ledger, traffic, queue = stage.ledger, Traffic(), stage.queue("delayed")
        producer = stage.shaken.create_session().create_producer(queue)
        consumer = stage.shaken.create_session().create_consumer(queue)
        stage.shaken.start()

        def take(message: Message) -> None:
            if time.time() * 1000 < message.jms_delivery_time - 5:
                ledger.error(f"{number_in(message)} came too soon")
            ledger.acknowledged.add(took(ledger, message))

        with stage.cut(seed=140) as chopper:
            sender = traffic.run(
                ledger,
                lambda: send_numbers(
                    producer, ledger, chopper.done.is_set, options=lambda n: {"delivery_delay": (n % 5) / 20}
                ),
            )
            receive_all(stage, consumer, take, lambda: not sender.is_alive(), queue=queue.name)
            traffic.join()
        wait_settled(ledger)
    stage.report.check(reattached=stage.reattached, ordered=False)


def test_what_is_pre_acknowledged_comes_at_most_once(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    with staged("PRE_ACKNOWLEDGE", artemis, cutter, amount) as stage:
        ledger, traffic, queue = stage.ledger, Traffic(), stage.queue("pre")
        producer = stage.shaken.create_session().create_producer(queue)
        consumer = stage.shaken.create_session(AcknowledgeMode.PRE_ACKNOWLEDGE).create_consumer(queue)
        stage.shaken.start()
        ended = threading.Event()

        def receive() -> None:
            while (message := consumer.receive(0.5)) is not None or not ended.is_set():
                if message is not None:
                    ledger.acknowledged.add(took(ledger, message))

        receiver = traffic.run(ledger, receive)
        with stage.cut(seed=150) as chopper:
            # Nothing waits for what was received: some of it may be gone.
            send_numbers(producer, ledger, chopper.done.is_set, in_flight=1 << 30, waiting=True)
        wait_settled(ledger)
        if stage.reattached:
            with contextlib.suppress(AssertionError):  # the report tells what is missing
                eventually(lambda: ledger.complete, "everything", STALL)
        ended.set()
        traffic.join()
        assert not receiver.is_alive()
        if not stage.reattached:
            ledger.withdrawn |= ledger.expected - set(ledger.stored_as)
    stage.report.check(reattached=stage.reattached)


def test_contexts_send_and_receive_through_cuts(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    with staged("JMSContext", artemis, cutter, amount) as stage:
        ledger, traffic, queue = stage.ledger, Traffic(), stage.queue("contexts")
        with (
            ActiveMQConnectionFactory(cutter.url() + exact(artemis)).create_context() as sending,
            sending.create_context(AcknowledgeMode.AUTO_ACKNOWLEDGE) as receiving,
        ):
            stage.report.watches.append(Watch.of(sending.connection.factory))
            producer = sending.create_producer()
            consumer = receiving.create_consumer(queue)

            def take(message: Message) -> None:
                whole = isinstance(message, TextMessage) and message.text == f"text {number_in(message)} \U0001f600"
                ledger.acknowledged.add(took(ledger, message, whole=whole))

            def send(enough: threading.Event) -> None:
                number = 0
                while number < 60 or not enough.is_set():
                    ledger.sent[number] = 1
                    producer.properties["n"] = number
                    producer.send(queue, f"text {number} \U0001f600")
                    ledger.settled[number] += 1
                    number += 1

            with stage.cut(seed=160) as chopper:
                sender = traffic.run(ledger, lambda: send(chopper.done))
                receive_all(stage, consumer, take, lambda: not sender.is_alive(), queue=queue.name)
                traffic.join()
    stage.report.check(reattached=stage.reattached)
