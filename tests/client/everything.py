"""Every kind of object that a user can hold, on one broker, and every public method of each, ready to be called."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

from activeclient import (
    AcknowledgeMode,
    ActiveMQXAConnectionFactory,
    Management,
    Queue,
    Requestor,
    ServerLocator,
    Topic,
    XAConnection,
)
from activeclient.jms.xa import new_xid
from activeclient.wire.message import CoreMessage
from activeclient.wire.packets import QueueQuery


class Heard:
    """A listener of every kind."""

    def __call__(self, _: object) -> None:
        pass

    def connection_failed(self, error: object, failed_over: bool) -> None:
        pass


QUEUE = Queue("everything")
ARGUMENTS: dict[str, object] = {
    "address": "everything",
    "consumer": None,
    "consumer_id": 0,
    "destination": QUEUE,
    "handler": None,
    "key": "k",
    "kind": str,
    "listener": Heard(),
    "message": "x",
    "name": "n",
    "operation": "listQueues",
    "packet": QueueQuery("everything"),
    "properties": {},
    "queue": QUEUE,
    "resource": "broker",
    "seconds": 1,
    "target": "everything",
    "timeout": 1,
    "topic": Topic("everything.topic"),
    "value": "v",
    "what": "commit",
    "xid": new_xid(),
}
"""By the name of the parameter."""
BELOW: dict[str, object] = {"message": CoreMessage(b""), "queue": "everything"}
"""Those of the core API, and of an embedded broker, where they are others."""
HARMLESS = {"close", "drain", "finish", "__exit__"}
"""Never raise for what happened to the connection: each of them ends the use of it."""
REMOVES = {f"remove_{kind}_listener" for kind in ("event", "failover", "failure", "state")}
LOCAL: dict[str, set[str]] = {
    "Session": {"consumes_from"},
    "Connection": {"owns", *REMOVES},
    "ClientSessionFactory": REMOVES,
    "ClientSession": {"create_message", "stop_receiving", *REMOVES},
    "ClientConsumer": {"stop_listening"},
    "OwnTemporaryQueue": {"as_queue", "as_topic"},
    "Queue": {"as_queue", "as_topic"},
    "EmbeddedBroker": {"stop"},
}
"""By class: what asks nobody, and returns."""
INTERNAL = re.compile(r"called by|^Made for|hot path|\(lock held\)")
"""In docstrings of methods that are public between our own modules only."""
ALSO_INTERNAL = {
    "abandon",
    "abandon_consumer",
    "acknowledge_at_close",
    "acknowledge_late",
    "begin_closing",
    "check_may_close",
    "close_dropped",
    "close_with_session",
    "delete_abandoned_queue",
    "delete_queue_soon",
    "disown",
    "end",
    "forget_if_idle",
    "holds",
    "inflate",
    "keep",
    "keep_browser",
    "next_within",
    "open_body",
    "put_back",
    "read_whole",
    "restore_kept",
    "settle",
    "settle_read_bodies",
    "settle_read_body",
    "stop_listening",
    "take_unsettled",
    "unsettle",
    "wait_for_abandoned",
    "wait_for_callbacks",
    "wait_for_completions",
    "xa_resource",
}


class World:
    """Everything that a user can hold, on one embedded broker."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.locator = ServerLocator(url, **settings)
        self.xa_factory = ActiveMQXAConnectionFactory(url, **settings)
        self.connection: XAConnection = self.xa_factory.create_xa_connection().start()
        self.session = self.connection.create_session(AcknowledgeMode.CLIENT_ACKNOWLEDGE)
        self.transacted = self.connection.create_session(transacted=True)
        self.producer = self.session.create_producer(QUEUE)
        for _ in range(3):
            self.producer.send("x")
        self.consumer = self.session.create_consumer(QUEUE)
        self.message = self.consumer.receive(20)
        self.browser = self.session.create_browser(QUEUE)
        large = Queue("everything.large")
        self.session.create_producer(large).send(bytes(6 << 20))
        self.large_consumer = self.session.create_consumer(large)
        self.large = self.large_consumer.receive(20)
        self.empty_consumer = self.session.create_consumer(Queue("everything.empty"))
        self.requestor = Requestor(self.connection.create_session(), Queue("everything.requests"))
        self.temporary = self.session.create_temporary_queue()
        self.context = self.xa_factory.create_context()
        self.jms_producer = self.context.create_producer()
        self.jms_consumer = self.context.create_consumer(QUEUE)
        self.xa_session = self.connection.create_xa_session()
        self.management: Management = self.connection.management()
        self.core_factory = self.locator.create_session_factory()
        self.core_session = self.core_factory.create_session()
        self.core_producer = self.core_session.create_producer("everything")
        self.core_consumer = self.core_session.create_consumer("everything")

    def close(self) -> None:
        self.management.close()
        self.context.close()
        self.connection.close()
        self.locator.close()


def methods(thing: object) -> dict[str, Callable[[], object]]:
    """Every public method of `thing` by name, with the arguments that it needs; a generator is asked for one item."""
    found: dict[str, Callable[[], object]] = {}
    for name, value in inspect.getmembers(type(thing), inspect.isroutine):
        if name.startswith("_") and name not in ("__iter__", "__exit__"):
            continue
        if isinstance(inspect.getattr_static(type(thing), name), classmethod):
            continue
        if name in ALSO_INTERNAL or INTERNAL.search(inspect.getdoc(value) or ""):
            continue
        bound = getattr(thing, name)
        if name == "__exit__":
            found[name] = functools.partial(bound, None, None, None)
            continue
        found[name] = functools.partial(_called, bound, value)
    return found


def _called(bound: Callable[..., object], function: Callable[..., object]) -> None:
    jms = type(bound.__self__).__module__.startswith("activeclient.jms")  # type: ignore[attr-defined]
    known = ARGUMENTS if jms else {**ARGUMENTS, **BELOW}
    needed = {}
    positional = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is parameter.VAR_POSITIONAL or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.default is parameter.empty:
            if parameter.kind is parameter.KEYWORD_ONLY:
                needed[parameter.name] = known.get(parameter.name, True)
            else:
                positional.append(known[parameter.name])
    result = bound(*positional, **needed)
    if hasattr(result, "__enter__") and inspect.isgenerator(getattr(result, "gen", None)):
        with result:  # type: ignore[attr-defined]
            pass
    elif inspect.isgenerator(result) or type(result).__name__ == "iterator":
        next(result)
    elif hasattr(result, "result"):
        result.result(5)


def returns(thing: object) -> set[str]:
    """The methods of `thing` that return whatever happened to the connection."""
    return HARMLESS.union(*(LOCAL.get(kind.__name__, set()) for kind in type(thing).__mro__))


HELD = (
    "connection",
    "session",
    "transacted",
    "producer",
    "consumer",
    "browser",
    "requestor",
    "temporary",
    "context",
    "jms_consumer",
    "xa_session",
    "management",
    "core_factory",
    "core_session",
    "core_consumer",
)
"""Attributes of `World` whose methods all need the connection."""
