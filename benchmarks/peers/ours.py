"""activeclient's core API as a benchmark peer.

Law of this file: it uses public names only, and its settings are those of `java/CorePeer.java` for the same mode.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Any

from activeclient.client.locator import ServerLocator
from benchmarks.peers import common
from benchmarks.peers.common import Result, Task

WINDOW = "confirmationWindowSize=1048576"


class Confirmations:
    """Counts answers to sends, and lets one thread wait for the last."""

    def __init__(self) -> None:
        self.count = 0
        self.goal = -1
        self.failed = ""
        self.reached = threading.Event()

    def __call__(self, message: object, error: Exception | None) -> None:
        self.count += 1
        if error is not None:
            self.failed = f"{type(error).__name__}: {error}"
            self.reached.set()
        if self.count == self.goal:
            self.reached.set()

    def wait(self, count: int) -> None:
        self.reached.clear()
        self.goal = count
        if self.count < count and not self.failed and not self.reached.wait(common.CONFIRM_TIMEOUT):
            raise TimeoutError(f"{self.count} of {count} sends confirmed in {common.CONFIRM_TIMEOUT:.0f} s")
        if self.failed:
            raise ConnectionError(self.failed)


def with_parameters(url: str, *parameters: str) -> str:
    joined = "&".join(parameters)
    return url + ("&" if "?" in url else "?") + joined if joined else url


def open_factory(task: Task, stack: ExitStack, *parameters: str, url: str | None = None) -> Any:
    identity = {"user": task.user, "password": task.password} if task.user else {}
    locator = stack.enter_context(ServerLocator(with_parameters(url or task.url, *parameters), **identity))
    return stack.enter_context(locator.create_session_factory())


def open_session(factory: Any, stack: ExitStack) -> Any:
    return stack.enter_context(factory.create_session(auto_commit_sends=True, auto_commit_acks=True))


def got(consumer: Any) -> Any:
    message = consumer.receive(common.RECEIVE_TIMEOUT)
    if message is None:
        raise TimeoutError(f"no message came in {common.RECEIVE_TIMEOUT:.0f} s")
    return message


def send(task: Task) -> Result:
    unlimited = ["producerWindowSize=-1"] if task.mode == "unlimited" else []
    with ExitStack() as stack:
        session = open_session(open_factory(task, stack, WINDOW, *unlimited), stack)
        producer = session.create_producer(task.queue)
        body = task.body()

        def send_up_to(messages: int, seconds: float) -> int:
            confirmed = Confirmations()
            deadline = time.perf_counter() + seconds
            sent = 0
            while sent < messages:
                message = session.create_message(durable=task.durable)
                message.body = body
                producer.send(message, handler=confirmed)
                sent += 1
                if sent % 128 == 0 and time.perf_counter() > deadline:
                    break
            confirmed.wait(sent)
            return sent

        return common.sends(task, send_up_to)


def receive(task: Task) -> Result:
    each = ["ackBatchSize=0"] if task.mode == "each" else []
    with ExitStack() as stack:
        session = open_session(open_factory(task, stack, *each), stack)
        consumer = session.create_consumer(task.queue)
        session.start()

        def receive_up_to(messages: int) -> int:
            for _ in range(messages):
                message = got(consumer)
                len(message.body)
                message.acknowledge()
            return messages

        return common.receives(task, receive_up_to)


def ping_pong(task: Task) -> Result:
    with ExitStack() as stack:
        session = open_session(open_factory(task, stack, WINDOW), stack)
        producer = session.create_producer(task.queue)
        consumer = session.create_consumer(task.queue)
        session.start()
        body = task.body()
        ignore = Confirmations()

        def once() -> None:
            message = session.create_message(durable=task.durable)
            message.body = body
            producer.send(message, handler=ignore)
            got(consumer).acknowledge()

        return common.ping_pongs(task, once)


def first(task: Task) -> Result:
    with ExitStack() as stack:
        session = open_session(open_factory(task, stack, WINDOW), stack)
        producer = session.create_producer(task.queue)
        consumer = session.create_consumer(task.queue)
        session.start()
        confirmations = Confirmations()
        message = session.create_message(durable=task.durable)
        message.body = task.body()
        producer.send(message, handler=confirmations)
        confirmations.wait(1)
        confirmed = time.time()
        got(consumer).acknowledge()
        started = task.number("started")
        return {
            "messages": 1,
            "confirmed": confirmed - started,
            "received": time.time() - started,
            "cpu": common.cpu_seconds(),
            **common.memory(),
        }


def idle(task: Task) -> Result:
    with ExitStack() as stack:
        session = open_session(open_factory(task, stack, WINDOW), stack)
        session.create_producer(task.queue)
        session.create_consumer(task.queue)
        session.start()
        return common.idles(task)


def scale(task: Task) -> Result:
    count, messages = task.integer("count"), task.integer("messages")
    connections = task.values["kind"] == "connections"
    with ExitStack() as stack:
        rss, threads, start = common.memory()["rss"], common.threads(), time.perf_counter()
        factory: Any = None
        ends = []
        for index in range(count):
            if factory is None or connections:
                factory = open_factory(task, stack, WINDOW)
            session = open_session(factory, stack)
            queue = f"{task.queue}.{index}"
            ends.append((session, session.create_producer(queue), session.create_consumer(queue)))
            session.start()
        opened: Result = {
            "open": time.perf_counter() - start,
            "threads": common.threads() - threads,
            "kb_each": (common.memory()["rss"] - rss) * 1024 / count,
        }
        body = task.body()
        ignore = Confirmations()

        def work() -> int:
            for index in range(messages):
                session, producer, _ = ends[index % count]
                message = session.create_message(durable=False)
                message.body = body
                producer.send(message, handler=ignore)
            for index in range(messages):
                message = got(ends[index % count][2])
                len(message.body)
                message.acknowledge()
            return messages

        return {**opened, **common.measured(work)}


def reattach(task: Task) -> Result:
    window = [WINDOW] if task.mode == "window" else ["confirmationWindowSize=-1"]
    with ExitStack() as stack:
        direct = open_session(open_factory(task, stack), stack)
        producer = direct.create_producer(task.queue)

        def load() -> None:
            while True:
                message = direct.create_message(durable=task.durable)
                message.body = common.stamp()
                producer.send(message)
                time.sleep(common.LOAD_INTERVAL)

        factory = open_factory(task, stack, "profile=reliable", *window, url=task.values["proxy"])
        session = open_session(factory, stack)
        consumer = session.create_consumer(task.queue)
        session.start()
        threading.Thread(target=load, daemon=True).start()

        def body() -> bytes:
            message = got(consumer)
            message.acknowledge()
            return bytes(message.body)

        return common.reattaches(task, body)


TASKS = {
    "send": send,
    "receive": receive,
    "pingpong": ping_pong,
    "first": first,
    "idle": idle,
    "scale": scale,
    "reattach": reattach,
}

if __name__ == "__main__":
    common.main(TASKS)
