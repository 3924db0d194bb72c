"""python-qpid-proton (AMQP 1.0) as a benchmark peer.

Law of this file: sends go through the event API, since the blocking one cannot pipeline them; receives and round trips
through the blocking one, with 1,000 credits.
"""

from __future__ import annotations

import queue
import threading
import time

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container
from proton.utils import BlockingConnection

from benchmarks.peers import common
from benchmarks.peers.common import Result, Task

CREDIT = 1000


def connect(task: Task, url: str | None = None) -> BlockingConnection:
    host, port = common.host_and_port(url or task.url)
    return BlockingConnection(
        f"amqp://{host}:{port}", timeout=common.RECEIVE_TIMEOUT, user=task.user, password=task.password
    )


def message(task: Task) -> Message:
    return Message(body=task.body(), inferred=True, durable=task.durable)


class Sending(MessagingHandler):  # type: ignore[misc]
    """Sends while there is credit; first the warm-up, then what is measured."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.message = message(task)
        self.phases = [
            (task.integer("warm"), task.number("warm_seconds")),
            (task.integer("messages"), task.number("seconds")),
        ]
        self.result: Result = {}
        self.total = 0
        self.error = ""

    def on_start(self, event: object) -> None:
        host, port = common.host_and_port(self.task.url)
        self.connection = event.container.connect(  # type: ignore[attr-defined]
            f"amqp://{host}:{port}", user=self.task.user, password=self.task.password, reconnect=False
        )
        self.sender = event.container.create_sender(self.connection, self.task.queue)  # type: ignore[attr-defined]
        self.begin()

    def begin(self) -> None:
        self.goal, seconds = self.phases.pop(0)
        self.sent = self.accepted = 0
        self.cpu = common.cpu_seconds()
        self.start = time.perf_counter()
        self.deadline = self.start + seconds

    def on_sendable(self, event: object) -> None:
        self.more()

    def more(self) -> None:
        while self.sender.credit and self.sent < self.goal:
            self.sender.send(self.message)
            self.sent += 1
            if self.sent % 128 == 0 and time.perf_counter() > self.deadline:
                self.goal = self.sent

    def on_accepted(self, event: object) -> None:
        self.accepted += 1
        if self.accepted == self.goal:
            self.ended()

    def ended(self) -> None:
        seconds = time.perf_counter() - self.start
        cpu = common.cpu_seconds() - self.cpu
        self.total += self.goal
        if self.phases:
            self.begin()
            self.more()
            return
        self.result = {"messages": self.goal, "seconds": seconds, "cpu": cpu, **common.memory(), "total": self.total}
        self.connection.close()

    def on_rejected(self, event: object) -> None:
        self.failed("a message was rejected")

    def on_transport_error(self, event: object) -> None:
        self.failed(str(event.transport.condition))  # type: ignore[attr-defined]

    def on_link_error(self, event: object) -> None:
        self.failed(str(event.link.remote_condition))  # type: ignore[attr-defined]

    def failed(self, reason: str) -> None:
        self.error = reason
        self.connection.close()


def send(task: Task) -> Result:
    handler = Sending(task)
    Container(handler).run()
    if not handler.result:
        raise ConnectionError(handler.error or "the connection ended before the last message was accepted")
    return handler.result


def receive(task: Task) -> Result:
    receiver = connect(task).create_receiver(task.queue, credit=CREDIT)

    def receive_up_to(messages: int) -> int:
        for _ in range(messages):
            len(receiver.receive(timeout=common.RECEIVE_TIMEOUT).body)
            receiver.accept()
        return messages

    return common.receives(task, receive_up_to)


def ping_pong(task: Task) -> Result:
    connection = connect(task)
    receiver = connection.create_receiver(task.queue, credit=CREDIT)
    sender = connection.create_sender(task.queue)
    ping = message(task)

    def once() -> None:
        sender.send(ping)
        receiver.receive(timeout=common.RECEIVE_TIMEOUT)
        receiver.accept()

    return common.ping_pongs(task, once)


def first(task: Task) -> Result:
    connection = connect(task)
    receiver = connection.create_receiver(task.queue, credit=CREDIT)
    connection.create_sender(task.queue).send(message(task))
    confirmed = time.time()
    receiver.receive(timeout=common.RECEIVE_TIMEOUT)
    receiver.accept()
    started = task.number("started")
    return {
        "messages": 1,
        "confirmed": confirmed - started,
        "received": time.time() - started,
        "cpu": common.cpu_seconds(),
        **common.memory(),
    }


def idle(task: Task) -> Result:
    connection = connect(task)
    connection.create_sender(task.queue)
    connection.create_receiver(task.queue, credit=CREDIT)
    return common.idles(task)


def scale(task: Task) -> Result:
    if task.values["kind"] != "connections":
        raise ValueError("the blocking API has one session a connection")
    count, messages = task.integer("count"), task.integer("messages")
    rss, threads, start = common.memory()["rss"], common.threads(), time.perf_counter()
    pairs = []
    for index in range(count):
        connection = connect(task)
        queue = f"{task.queue}.{index}"
        pairs.append((connection.create_sender(queue), connection.create_receiver(queue, credit=CREDIT)))
    opened: Result = {
        "open": time.perf_counter() - start,
        "threads": common.threads() - threads,
        "kb_each": (common.memory()["rss"] - rss) * 1024 / count,
    }
    each = message(task)

    def work() -> int:
        for index in range(messages):
            pairs[index % count][0].send(each)
        for index in range(messages):
            receiver = pairs[index % count][1]
            len(receiver.receive(timeout=common.RECEIVE_TIMEOUT).body)
            receiver.accept()
        return messages

    return {**opened, **common.measured(work)}


class Reattaching(MessagingHandler):  # type: ignore[misc]
    """A receiver with proton's own reconnect at its defaults; bodies go to the thread that measures."""

    def __init__(self, task: Task) -> None:
        super().__init__(prefetch=CREDIT)
        self.task = task
        self.bodies: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def on_start(self, event: object) -> None:
        host, port = common.host_and_port(self.task.values["proxy"])
        connection = event.container.connect(  # type: ignore[attr-defined]
            f"amqp://{host}:{port}", user=self.task.user, password=self.task.password
        )
        event.container.create_receiver(connection, self.task.queue)  # type: ignore[attr-defined]

    def on_message(self, event: object) -> None:
        self.bodies.put(bytes(event.message.body))  # type: ignore[attr-defined]

    def on_transport_error(self, event: object) -> None:
        """The loss is the point of the task; the container connects again."""


def reattach(task: Task) -> Result:
    handler = Reattaching(task)
    threading.Thread(target=Container(handler).run, daemon=True).start()
    sender = connect(task).create_sender(task.queue)

    def load() -> None:
        while True:
            sender.send(Message(body=common.stamp(), inferred=True, durable=task.durable))
            time.sleep(common.LOAD_INTERVAL)

    threading.Thread(target=load, daemon=True).start()
    return common.reattaches(task, lambda: handler.bodies.get(timeout=common.RECEIVE_TIMEOUT))


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
