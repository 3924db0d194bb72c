"""The same batch of messages from each client to each: four routes, and what was seen on each of them.

Law: nothing is paired by its place in a queue, which priorities and delays change: a received message belongs to the
sent one with its message id. The one that is sent without an id is the one that comes without.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from activeclient import ServerLocator
from integration.interchange.java_peer import JavaPeer
from integration.interchange.notation import Description, Dump
from integration.interchange.our_peer import OurPeer

ROUTES = ("java-java", "java-ours", "ours-java", "ours-ours")
"""Sender and receiver. The first is what the others are measured by."""


@dataclass
class Seen:
    """One message on one route."""

    sent: Dump
    """The headers after the send, or `error` and `text`."""
    received: Dump | None = None


@dataclass
class Exchange:
    """Sends batches over all routes.

    Args:
        java: The Java process.
        url: The broker, with parameters for both clients.
    """

    java: JavaPeer
    url: str
    patience: float = 30.0
    """Seconds without a message after which the rest is missing."""
    used: list[str] = field(default_factory=list)
    """The queues."""

    def of(self, batch: Mapping[str, Description]) -> dict[str, dict[str, Seen]]:
        """What was seen: by route, then by the names in *batch*."""
        found: dict[str, dict[str, Seen]] = {}
        with OurPeer(self.url, user="admin", password="admin") as ours, self.java.connected(self.url, **LOGIN) as made:
            session = self.java.session(made)
            for route in ROUTES:
                sender, _, receiver = route.partition("-")
                name = f"interchange.{uuid.uuid4()}"
                self.used.append(name)
                queue = f"queue://{name}"
                messages = list(batch.values())
                sent = self.java.send(session, queue, messages) if sender == "java" else ours.send(queue, messages)
                count = sum("error" not in headers for headers in sent)
                if receiver == "java":
                    consumer = self.java.consumer(session, queue)
                    got = self.java.receive(consumer, count, self.patience)
                    self.java.request("close_consumer", consumer=consumer)
                else:
                    got = ours.receive(queue, count, self.patience)
                found[route] = paired(list(batch), sent, got)
        return found


LOGIN: dict[str, Any] = {"user": "admin", "password": "admin"}


def paired(names: list[str], sent: list[Dump], got: list[Dump]) -> dict[str, Seen]:
    """What was sent with what came."""
    by_id = {dump["message_id"]: dump for dump in got}
    assert len(by_id) == len(got), "two messages have one id"
    return {
        name: Seen(headers, None if "error" in headers else by_id.get(headers["message_id"]))
        for name, headers in zip(names, sent, strict=True)
    }


def remove_queues(url: str, names: Iterable[str], patience: float = 30.0) -> None:
    """Delete those that exist, each when its last consumer is gone: a client that has closed may still be attached."""
    deadline = time.monotonic() + patience
    with ServerLocator(url, user="admin", password="admin") as locator, locator.create_session_factory() as factory:
        cleaner = factory.create_session()
        for name in names:
            while (found := cleaner.query_queue(name)).exists and found.consumer_count and time.monotonic() < deadline:
                time.sleep(0.02)
            if found.exists:
                cleaner.delete_queue(name)
