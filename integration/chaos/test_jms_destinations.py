"""Subscriptions and browsers across cuts: names survive, and what was sent meanwhile arrives."""

from __future__ import annotations

import threading
import uuid

import pytest

from activeclient import Message, MessageConsumer, Session, Topic
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.cases.support import eventually
from integration.chaos.conftest import Amount
from integration.chaos.jms import Stage, number_in, receive_all, send_numbers, staged, took
from integration.chaos.traffic import STALL, Traffic, wait_settled


def subscribe(session: Session, topic: Topic, kind: str) -> MessageConsumer:
    """A consumer of a subscription of one kind: with a selector, and without local messages where it can be."""
    wanted = "n >= 0"
    if kind == "durable":
        return session.create_durable_consumer(topic, "sub", wanted, no_local=True)
    if kind == "shared":
        return session.create_shared_consumer(topic, "sub", wanted)
    if kind == "shared durable":
        return session.create_shared_durable_consumer(topic, "sub", wanted)
    return session.create_consumer(topic, wanted, no_local=True)


def names_of(stage: Stage, topic: Topic) -> list[str]:
    """The subscriptions' queues."""
    with stage.steady.factory.create_session() as core:
        return sorted(core.query_address(topic.name).queue_names)


@pytest.mark.parametrize("kind", ["durable", "shared", "shared durable", "plain"])
def test_a_subscription_stays_the_same_and_misses_nothing(
    artemis: Broker, cutter: Cutter, amount: Amount, kind: str
) -> None:
    client_id = f"chaos-{uuid.uuid4().hex[:8]}"
    lasting = "durable" in kind
    if not (lasting or artemis.reattaches):
        pytest.skip("it ends with its session, and what is sent before the next one is not for it")
    with staged(f"subscription, {kind}", artemis, cutter, amount, client_id=client_id) as stage:
        ledger, traffic, topic = stage.ledger, Traffic(), stage.topic("topic")
        session = stage.shaken.create_session()
        consumer = subscribe(session, topic, kind)
        stage.shaken.start()
        names = names_of(stage, topic)
        unwanted = session.create_producer(topic)
        turns = 0

        def take(message: Message) -> None:
            ledger.acknowledged.add(took(ledger, message))

        def detach() -> None:
            """Durable ones are left and joined again, while the other side goes on sending."""
            nonlocal consumer, turns
            consumer.close()
            consumer = subscribe(session, topic, kind)
            turns += 1

        with stage.cut(seed=100) as chopper, stage.steady.create_session() as publishing:
            producer = publishing.create_producer(topic)
            enough = lambda: chopper.done.is_set() and (turns >= 3 or not lasting)  # noqa: E731
            sender = traffic.run(ledger, lambda: send_numbers(producer, ledger, enough))
            while sender.is_alive():
                if kind in ("durable", "plain"):
                    unwanted.send("local", properties={"n": 10_000_000})
                unwanted.send("not selected", properties={"n": -1})
                for _ in range(50):
                    message = consumer.receive(0.05)
                    if message is None:
                        break
                    take(message)
                if lasting:
                    detach()
            traffic.join()
        receive_all(stage, consumer, take, lambda: True, queue=names[0])
        wait_settled(ledger)
        if lasting and names_of(stage, topic) != names:
            ledger.error(f"the subscription is {names_of(stage, topic)}, it was {names}")
        if lasting and turns < 3:
            ledger.error("nobody was detached")
        consumer.close()
        if lasting:
            stage.check_left(names[0])
            session.unsubscribe("sub")
        eventually(lambda: names_of(stage, topic) == [], "the subscription's end")
    # What was fetched ahead when the consumer left is marked when the next one gets it.
    stage.report.check(reattached=stage.reattached and not lasting)


@pytest.mark.parametrize("durable", [False, True], ids=["", "durable"])
def test_two_who_share_a_subscription_get_each_message_once(
    artemis: Broker, cutter: Cutter, amount: Amount, durable: bool
) -> None:
    if not artemis.reattaches:
        pytest.skip(
            "where sessions are recreated, an acknowledgement that is lost sends its message to the next consumer"
        )
    with staged(f"two share{' durably' if durable else ''}", artemis, cutter, amount) as stage:
        ledger, traffic, topic = stage.ledger, Traffic(), stage.topic("shared")
        sessions = [stage.shaken.create_session(), stage.steady.create_session()]
        consumers = [subscribe(session, topic, "shared durable" if durable else "shared") for session in sessions]
        (name,) = names_of(stage, topic)
        stage.shaken.start()
        takers: list[list[int]] = [[], []]
        ended = threading.Event()

        def work(which: int) -> None:
            while not ended.is_set():
                message = consumers[which].receive(0.2)
                if message is not None:
                    number = took(ledger, message)
                    takers[which].append(number)
                    ledger.acknowledged.add(number)

        for which in (0, 1):
            traffic.run(ledger, lambda which=which: work(which))  # type: ignore[misc]
        with stage.cut(seed=110) as chopper, stage.shaken.create_session() as publishing:
            producer = publishing.create_producer(topic)
            send_numbers(producer, ledger, chopper.done.is_set)
            wait_settled(ledger)
        try:
            eventually(lambda: ledger.expected <= ledger.acknowledged, "everything acknowledged", STALL)
        except AssertionError:
            stage.stalled(name, len(ledger.expected - ledger.acknowledged))
        ended.set()
        traffic.join()
        if not all(takers):
            ledger.error("one of the two got nothing")
        for consumer in consumers:
            consumer.close()
        if durable:
            sessions[1].unsubscribe("sub")
    # What the one had fetched ahead when its session was lost goes to the other, behind younger ones.
    stage.report.check(reattached=stage.reattached, ordered=False)


def test_a_look_at_a_queue_shows_each_message_once_and_in_order(
    artemis: Broker, cutter: Cutter, amount: Amount
) -> None:
    count = 150
    with staged("browsers", artemis, cutter, amount) as stage:
        ledger, queue = stage.ledger, stage.queue("browsed")
        with stage.steady.create_session() as session, session.create_producer(queue) as producer:
            send_numbers(producer, ledger, lambda: True, minimum=count)
        wait_settled(ledger)
        browser = stage.shaken.create_session().create_browser(queue)
        looks = 0
        with stage.cut(seed=130, high=40_000) as chopper:
            while not chopper.done.is_set():
                shown = [number_in(message) for message in browser]
                looks += 1
                if shown != list(range(count)):
                    ledger.error(f"look {looks} showed {len(shown)}: {shown[:5]}...")
        browser.close()
        with stage.steady.create_session() as session, session.create_consumer(queue) as consumer:
            receive_all(stage, consumer, lambda m: ledger.acknowledged.add(took(ledger, m)), lambda: True)
    stage.report.check(reattached=stage.reattached)
