"""stomp.py as a benchmark peer.

Law of this file: receipts are asked for and awaited where the others await a confirmation. A receiver that acknowledges
has the core client's default credit (1 MiB; the broker's own for STOMP is 10 KiB); one that does not must name none, as
the broker gives no credit back for `auto` and delivery ends when a named one is used up.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import stomp

from benchmarks.peers import common
from benchmarks.peers.common import Result, Task

CREDIT = "1048576"


class Listener(stomp.ConnectionListener):
    """Frames in the order they come: bodies to a queue, receipts to a count."""

    def __init__(self) -> None:
        self.frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.receipts = 0
        self.goal = -1
        self.reached = threading.Event()

    def on_message(self, frame: Any) -> None:
        self.frames.put(frame)

    def on_receipt(self, frame: Any) -> None:
        self.receipts += 1
        if self.receipts == self.goal:
            self.reached.set()

    def on_error(self, frame: Any) -> None:
        self.frames.put(frame)
        self.reached.set()

    def await_receipts(self, count: int) -> None:
        self.reached.clear()
        self.goal = count
        if self.receipts < count and not self.reached.wait(common.CONFIRM_TIMEOUT):
            raise TimeoutError(f"{self.receipts} of {count} sends confirmed in {common.CONFIRM_TIMEOUT:.0f} s")

    def frame(self) -> Any:
        try:
            frame = self.frames.get(timeout=common.RECEIVE_TIMEOUT)
        except queue.Empty:
            raise TimeoutError(f"no message came in {common.RECEIVE_TIMEOUT:.0f} s") from None
        if frame.cmd == "ERROR":
            raise ConnectionError(str(frame.headers.get("message")))
        return frame


def connect(task: Task, url: str | None = None) -> tuple[stomp.Connection12, Listener]:
    connection = stomp.Connection12(
        [common.host_and_port(url or task.url)], auto_content_length=True, auto_decode=False
    )
    listener = Listener()
    connection.set_listener("", listener)
    connection.connect(task.user, task.password, wait=True)
    return connection, listener


def headers(task: Task) -> dict[str, str]:
    return {"destination-type": "ANYCAST", "persistent": "true" if task.durable else "false"}


def subscribe(connection: stomp.Connection12, destination: str, ack: str) -> None:
    credit = {} if ack == "auto" else {"consumer-window-size": CREDIT}
    connection.subscribe(destination, id=destination, ack=ack, headers={"subscription-type": "ANYCAST", **credit})


def send(task: Task) -> Result:
    connection, listener = connect(task)
    body = task.body()
    fixed = headers(task)
    every = task.mode == "receipts"

    def send_up_to(messages: int, seconds: float) -> int:
        before = listener.receipts
        deadline = time.perf_counter() + seconds
        sent = 0
        while sent < messages:
            sent += 1
            if every:
                connection.send(task.queue, body, headers={**fixed, "receipt": str(sent)})
            else:
                connection.send(task.queue, body, headers=fixed)
            if sent % 128 == 0:
                if every and before + sent - listener.receipts > common.OUTSTANDING:
                    listener.await_receipts(before + sent - common.OUTSTANDING // 2)
                if time.perf_counter() > deadline:
                    break
        if every:
            listener.await_receipts(before + sent)
        else:
            connection.send(task.queue, body, headers={**fixed, "receipt": "last"})
            sent += 1
            listener.await_receipts(before + 1)
        return sent

    return common.sends(task, send_up_to)


def receive(task: Task) -> Result:
    connection, listener = connect(task)
    acknowledge = task.mode == "client-individual"
    subscribe(connection, task.queue, task.mode)

    def receive_up_to(messages: int) -> int:
        for _ in range(messages):
            frame = listener.frame()
            len(frame.body)
            if acknowledge:
                connection.ack(frame.headers["ack"])
        return messages

    return common.receives(task, receive_up_to)


def ping_pong(task: Task) -> Result:
    connection, listener = connect(task)
    subscribe(connection, task.queue, "auto")
    body = task.body()
    fixed = headers(task)

    def once() -> None:
        connection.send(task.queue, body, headers=fixed)
        listener.frame()

    return common.ping_pongs(task, once)


def first(task: Task) -> Result:
    connection, listener = connect(task)
    subscribe(connection, task.queue, "auto")
    connection.send(task.queue, task.body(), headers={**headers(task), "receipt": "first"})
    listener.await_receipts(1)
    confirmed = time.time()
    listener.frame()
    started = task.number("started")
    return {
        "messages": 1,
        "confirmed": confirmed - started,
        "received": time.time() - started,
        "cpu": common.cpu_seconds(),
        **common.memory(),
    }


def idle(task: Task) -> Result:
    connection, _ = connect(task)
    subscribe(connection, task.queue, "auto")
    return common.idles(task)


def scale(task: Task) -> Result:
    if task.values["kind"] != "connections":
        raise ValueError("STOMP has one session a connection")
    count, messages = task.integer("count"), task.integer("messages")
    rss, threads, start = common.memory()["rss"], common.threads(), time.perf_counter()
    pairs = []
    for index in range(count):
        connection, listener = connect(task)
        subscribe(connection, f"{task.queue}.{index}", "auto")
        pairs.append((connection, listener))
    opened: Result = {
        "open": time.perf_counter() - start,
        "threads": common.threads() - threads,
        "kb_each": (common.memory()["rss"] - rss) * 1024 / count,
    }
    body = task.body()
    fixed = headers(task)

    def work() -> int:
        for index in range(messages):
            pairs[index % count][0].send(f"{task.queue}.{index % count}", body, headers=fixed)
        for index in range(messages):
            len(pairs[index % count][1].frame().body)
        return messages

    return {**opened, **common.measured(work)}


def reattach(task: Task) -> Result:
    """It does nothing by itself: `connect()` and `subscribe()` again when told of the loss."""

    class Again(Listener):
        def on_disconnected(self) -> None:
            while True:
                try:
                    connection.connect(task.user, task.password, wait=True)
                    subscribe(connection, task.queue, "auto")
                    return
                except stomp.exception.StompException:
                    time.sleep(0.001)

    producer, _ = connect(task)
    connection = stomp.Connection12(
        [common.host_and_port(task.values["proxy"])], auto_content_length=True, auto_decode=False
    )
    listener = Again()
    connection.set_listener("", listener)
    connection.connect(task.user, task.password, wait=True)
    subscribe(connection, task.queue, "auto")

    def load() -> None:
        while True:
            producer.send(task.queue, common.stamp(), headers=headers(task))
            time.sleep(common.LOAD_INTERVAL)

    threading.Thread(target=load, daemon=True).start()
    return common.reattaches(task, lambda: listener.frame().body)


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
