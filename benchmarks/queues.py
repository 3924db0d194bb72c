"""Queues for one run each, made and removed through the broker's management address (over STOMP).

Law of this file: what a run leaves behind is removed before the next one starts; a broker that keeps messages begins to
page at half its heap, and then every peer is measured wrongly.
"""

from __future__ import annotations

import itertools
import json
import queue
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import stomp

TIMEOUT = 15.0
DESTROY_LIMIT = 10.0
NO_SUCH_QUEUE = "AMQ229017"
MANAGEMENT = "activemq.management"
PREFIX = "bench."


class ManagementError(Exception):
    """The broker refused a management operation, or did not answer in `TIMEOUT` seconds."""


class _Replies(stomp.ConnectionListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self.frames: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def on_message(self, frame: Any) -> None:
        self.frames.put(frame)

    def on_error(self, frame: Any) -> None:
        self.frames.put(frame)

    def on_disconnected(self) -> None:
        self.frames.put(None)


class Queues:
    """Creates and destroys queues on the broker at `host:port`; a context manager."""

    def __init__(self, host: str, port: int, user: str | None, password: str | None) -> None:
        self._identity = (user, password)
        self._connection = stomp.Connection12(
            [(host, port)], heartbeats=(20_000, 0), timeout=TIMEOUT, auto_content_length=False
        )
        self._replies = _Replies()
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._reply_to = f"{PREFIX}{self._run}.replies"

    def __enter__(self) -> Queues:
        self._connection.set_listener("", self._replies)
        self._connection.connect(*self._identity, wait=True)
        self._connection.subscribe(self._reply_to, id="replies", headers={"subscription-type": "ANYCAST"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The queue of the replies goes last, so there is no reply to wait for but the receipt of the disconnect.
        self._connection.unsubscribe(id="replies")
        headers = {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "destroyQueue"}
        self._connection.send(MANAGEMENT, json.dumps([self._reply_to, True, True]), headers=headers)
        self._connection.disconnect()

    @contextmanager
    def fresh(self, count: int = 0) -> Iterator[str]:
        """A durable anycast queue of a new name; with `count`, that many of the names `name.0`, `name.1`, ..."""
        name = f"{PREFIX}{self._run}.{next(self._numbers)}"
        names = [f"{name}.{index}" for index in range(count)] if count else [name]
        try:
            for each in names:
                settings = {"name": each, "address": each, "routing-type": "ANYCAST", "durable": True}
                self.invoke("createQueue", [json.dumps({**settings, "auto-delete": False})])
            yield name
        finally:
            for each in names:
                self._destroy(each)

    def _destroy(self, name: str) -> None:
        # A peer's process has just ended: the broker may still be closing its consumers, and then it refuses for a
        # moment.
        end = time.monotonic() + DESTROY_LIMIT
        while True:
            try:
                self.invoke("destroyQueue", [name, True, True])
                return
            except ManagementError as failure:
                if NO_SUCH_QUEUE in str(failure):
                    return
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def version(self) -> str:
        """The broker's version."""
        return str(self._ask({"_AMQ_ResourceName": "broker", "_AMQ_Attribute": "version"}, "")).strip('[]"')

    def invoke(self, operation: str, arguments: Sequence[object]) -> str:
        """Do `operation` of the broker's control; returns the reply's text."""
        headers = {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": operation}
        return self._ask(headers, json.dumps(list(arguments)))

    def _ask(self, headers: dict[str, str], body: str) -> str:
        what = headers.get("_AMQ_OperationName") or headers["_AMQ_Attribute"]
        # Without a length the broker takes the body for text; with one, for bytes, in which it finds no arguments.
        self._connection.send(
            MANAGEMENT, body, headers={**headers, "reply-to": self._reply_to, "JMSReplyTo": self._reply_to}
        )
        try:
            frame = self._replies.frames.get(timeout=TIMEOUT)
        except queue.Empty:
            raise ManagementError(f"{what}: no answer in {TIMEOUT:.0f} s") from None
        if frame is None:
            raise ManagementError(f"{what}: the broker closed the connection")
        if frame.cmd == "ERROR" or frame.headers.get("_AMQ_OperationSucceeded") == "false":
            raise ManagementError(f"{what}: {frame.headers.get('message') or frame.body}")
        return str(frame.body)
