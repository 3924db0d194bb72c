"""An application of handlers: where they are registered, started, and brought to an orderly end.

Law of this file: one connection for all listeners, one session and one thread for each of their workers; whatever ends
the application, nothing that was not handled is acknowledged.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from cachetools import LRUCache

from activeclient import arguments
from activeclient.app.delivery import HandlerMiddleware, Sending, SendMiddleware, To, around, destination_of
from activeclient.app.handlers import (
    MAX_CONCURRENCY,
    UNSET,
    Listener,
    check_destination,
    check_function,
    signature_of,
)
from activeclient.app.retries import Backoff, RetryPolicy, check_backoff, exponential
from activeclient.app.signals import Asked, StopSignals
from activeclient.app.worker import Worker
from activeclient.client.locator import ServerLocator
from activeclient.destination import Queue
from activeclient.errors import ActiveClientError, ConfigError, IllegalStateError
from activeclient.jms.connection_factory import ActiveMQConnectionFactory
from activeclient.jms.selector import core_filter
from activeclient.jms.serializers import JSON_ONLY, Serializer, Serializers
from activeclient.jms.times import Duration, timeout_seconds
from activeclient.masking import SecretURL, concealed, never_raises
from activeclient.settings import attributes
from activeclient.urls import default_parameters, default_url

if TYPE_CHECKING:
    import ssl

    from activeclient.jms.connection import Connection
    from activeclient.jms.message import Message
    from activeclient.jms.session import Session
    from activeclient.setting_keywords import SettingKeywords

logger: logging.Logger = logging.getLogger("activeclient.app")
F = TypeVar("F", bound=Callable[..., object])
DRAIN = 30.0
"""Seconds that running handlers have when the application ends."""
GRACE = 0.1
"""Seconds beyond the limit in which threads whose message is settled may end."""
MAX_REFUSALS = 1000
"""Messages of which something was refused, and which have not come again yet."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the messages of a listener since the application was started."""

    handled: int = 0
    """Handled and acknowledged."""
    retried: int = 0
    """Attempts that failed and are followed by another."""
    dead: int = 0
    """Messages that went to the dead-letter address."""


class App:
    """A worker: functions that handle messages.

        app = App("tcp://localhost:61616")

        @app.listener("orders", retries=3)
        def handle(order: Order) -> None: ...

        app.run()

    Its connection has the profile `reliable`: handlers do not notice outages.

    Args:
        url: As for `activeclient.connect`.
        wait: Seconds or a timedelta to go on trying at the start, for a broker that comes later; None: not at all.
        drain_timeout: Seconds or a timedelta that running handlers have when the application ends.
        serializers: By which bodies are written and read, besides JSON; the first one writes.
        ssl_context: How TLS is spoken, instead of the settings for TLS.
        settings: Values by attribute name (`user="me"`); they win over those of the URL.

    Raises:
        ConfigError: The URL or a setting is wrong.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        wait: Duration | None = None,
        drain_timeout: Duration = DRAIN,
        serializers: Serializers | Iterable[Serializer] = JSON_ONLY,
        ssl_context: ssl.SSLContext | None = None,
        **settings: Unpack[SettingKeywords],
    ) -> None:
        if url is None:
            url = default_url()
            settings = cast("SettingKeywords", {**default_parameters(), **settings})
        url, settings = SecretURL.of(url), cast("SettingKeywords", concealed(settings, attributes()))
        self._wait = None if wait is None else timeout_seconds("wait", wait)
        self._drain_timeout = timeout_seconds("drain_timeout", drain_timeout)
        self._serializers = Serializers.of(serializers)
        self._factory = ActiveMQConnectionFactory.of(
            ServerLocator.reliable(url, ssl_context=ssl_context, **settings), serializers=self._serializers
        )
        self.listeners: list[Listener] = []
        """What was registered."""
        self.handler_middleware: list[HandlerMiddleware] = []
        self.send_middleware: list[SendMiddleware] = []
        self.stopping: threading.Event = threading.Event()
        """Set when the application is to end."""
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        """Held by who sends, which may wait for the broker."""
        self._shared = threading.Lock()
        """Guards what workers share; never held while anything waits."""
        self._connection: Connection | None = None
        self._session: Session | None = None
        self._workers: list[Worker] = []
        self._counts: dict[str, Counts] = {}
        self._refusals: LRUCache[str, BaseException] = LRUCache(MAX_REFUSALS)
        self._inbox: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()

    # --- what it consists of --------------------------------------------------------------------------------------

    def listener(
        self,
        destination: To,
        *,
        body: Any = UNSET,
        concurrency: int = 1,
        retries: int = 3,
        backoff: Backoff | None = None,
        dead_letter: To | None = None,
        transacted: bool = True,
        selector: str | None = None,
        subscription: str | None = None,
        window_size: int = 0,
    ) -> Callable[[F], F]:
        """Register the decorated function for the messages of a destination. It stays the function that it is.

        It is called as `handle(body)`, or as `handle(body, delivery)` if it has a second parameter. What it returns is
        of no account; what it raises is a failure: the message is tried again, and in the end a dead letter.

        Args:
            destination: A queue's name, `topic://name`, or a destination.
            body: What bodies are read as, if the function's annotation does not say it: a dataclass, a pydantic model,
                an attrs class, a struct, `dict`, `list`, `str`, `bytes`, or a class of messages.
            concurrency: Threads that call it, 1 to 256. With more than one, messages overtake each other.
            retries: Attempts after the first one.
            backoff: Seconds before each of them, in which the message waits in the broker and blocks no other: a
                duration, a list of durations, or a function of the number of the attempt that failed. Default:
                `exponential()`, 1 s, 2 s, 4 s, ...
            dead_letter: Where messages go whose body cannot be read or whose last attempt failed; default: the queue
                of the destination's name with `.failed`.
            transacted: Acknowledge, send and commit in one transaction: each message is handled exactly once as far as
                messages go. False: at least once, and what the function sends leaves at once.
            selector: Only messages that match.
            subscription: Of a topic: the name of the shared durable subscription that keeps its messages.
            window_size: Bytes that each thread fetches ahead. 0, the default: nothing, so idle threads get the next
                message, and a crash gives back one message for each thread. More is faster for small, quick work.

        Raises:
            ConfigError: A value is wrong; no body is of this type, or its library is not installed.
            TypeError: The function is a coroutine function, or takes something else.
            InvalidDestinationError: No destination.
            InvalidSelectorError: It is no selector.
            IllegalStateError: The application runs.
        """
        to = destination_of(destination)
        check_destination(to, subscription)
        arguments.whole("concurrency", concurrency, 1, MAX_CONCURRENCY)
        arguments.whole("retries", retries, 0)
        arguments.whole("window_size", window_size, -1)
        arguments.flag("transacted", transacted)
        arguments.text("subscription", subscription, optional=True)
        core_filter(selector)
        delays = exponential() if backoff is None else backoff
        check_backoff(delays)
        dead = Queue(f"{to.address}.failed") if dead_letter is None else destination_of(dead_letter)
        if dead == to:
            raise ConfigError("dead_letter", None, f"{dead} is the destination of the listener itself")

        def register(function: F) -> F:
            name = check_function(function)
            if self._connection is not None:
                raise IllegalStateError("the application runs: register listeners before it is started")
            kind, takes_delivery = signature_of(function, name, body, self._serializers)
            taken = {each.name for each in self.listeners}
            unique = name
            while unique in taken:
                unique = f"{name}-{len(taken) + 1}"
            self.listeners.append(
                Listener(
                    function=function,
                    name=unique,
                    destination=to,
                    kind=kind,
                    takes_delivery=takes_delivery,
                    concurrency=concurrency,
                    policy=RetryPolicy(retries, delays),
                    dead_letter=dead,
                    transacted=transacted,
                    selector=selector,
                    subscription=subscription,
                    window_size=window_size,
                )
            )
            return function

        return register

    def around_handler(self, middleware: HandlerMiddleware) -> HandlerMiddleware:
        """Have `middleware(delivery, handle)` called around each attempt; the first one registered is outermost."""
        arguments.call("middleware", middleware, optional=False)
        self.handler_middleware.append(middleware)
        return middleware

    def around_send(self, middleware: SendMiddleware) -> SendMiddleware:
        """Have `middleware(sending, send)` called around each message that handlers, or `send`, send."""
        arguments.call("middleware", middleware, optional=False)
        self.send_middleware.append(middleware)
        return middleware

    # --- its life -------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Was it started, and not stopped?"""
        return self._connection is not None and not self.stopping.is_set()

    @property
    def connection(self) -> Connection:
        """Its connection: for listeners of events, management, or sessions of your own.

        Raises:
            IllegalStateError: It does not run.
        """
        if self._connection is None:
            raise IllegalStateError("the application does not run")
        return self._connection

    def start(self, factory: ActiveMQConnectionFactory | None = None, *, delays: bool = True) -> Self:
        """Connect and begin to handle messages, on other threads; `stop` ends it. `run` does both.

        Args:
            factory: Connect by it instead of the application's URL.
            delays: False: try failed messages again at once, for tests.

        Raises:
            IllegalStateError: It runs, or has no listener.
            ConnectionLost: No broker could be reached.
            InvalidDestinationError: A destination does not exist, and the broker creates none.
            JMSSecurityError: Wrong credentials, or something is not allowed.
        """
        with self._lock:
            if self._connection is not None:
                raise IllegalStateError("the application runs already")
            if not self.listeners:
                raise IllegalStateError("the application has no listener")
            self.stopping.clear()
            while not self._inbox.empty():
                self._inbox.get()
            self._counts = {each.name: Counts() for each in self.listeners}
            self._refusals.clear()
            connection = (factory or self._factory).create_connection(wait=self._wait)
            try:
                connection.serializers = self._serializers
                connection.start()
                self._session = connection.create_session()
                self._workers = []
                for listener in self.listeners:
                    used = listener if delays else replace(listener, policy=replace(listener.policy, backoff=0.0))
                    for name in listener.threads:
                        worker = Worker(self, used, connection, name)
                        worker.open()
                        self._workers.append(worker)
                self._connection = connection
            except BaseException:
                connection.close()
                raise
            for worker in self._workers:
                worker.start()
        for listener in self.listeners:
            logger.info(
                "%s handles %s, %d at a time, %s; dead letters go to %s",
                listener.name,
                listener.destination,
                listener.concurrency,
                "transacted" if listener.transacted else "not transacted",
                listener.dead_letter,
            )
        return self

    def stop(self, timeout: Duration | None = None) -> bool:
        """Receive nothing more, let running handlers finish and their messages be settled, and close the connection.

        Args:
            timeout: Seconds or a timedelta for all of it, instead of `drain_timeout`.

        Returns:
            True if every handler finished in time. Messages of those that did not are delivered again.

        Raises:
            UnsettledError: Something could not be settled in time; all is closed.
        """
        limit = self._drain_timeout if timeout is None else timeout_seconds("timeout", timeout)
        with self._lock:
            connection = self._connection
            if connection is None:
                return True
            self.stopping.set()
            deadline = time.monotonic() + limit
            try:
                finished = connection.drain(limit)
                for worker in self._workers:
                    finished = worker.join(max(0.0, deadline + GRACE - time.monotonic())) and finished
            finally:
                left = self.in_doubt()
                self._connection = self._session = None
            if left:
                logger.warning("not finished within %g s:\n%s", limit, "\n".join(left))
        return finished

    def run(self, factory: ActiveMQConnectionFactory | None = None, *, timeout: Duration | None = None) -> bool:
        """Start, wait for SIGTERM, SIGINT (Ctrl-C) or `request_stop`, and stop: handlers finish, nothing is lost.

        A second signal ends the process at once with exit code 128 and its number, and says on stderr what was under
        way: those messages are delivered again, unless the commit that was under way was stored. Outside of the main
        thread signals are left alone.

        Args:
            factory: Connect by it instead of the application's URL.
            timeout: Seconds that running handlers have, instead of `drain_timeout`.

        Returns:
            True if every handler finished in time.

        Raises:
            ActiveClientError: As `start` and `stop`; or what ended the application, `ReconnectGaveUp` for example.
        """
        with StopSignals(self._inbox, self._doubt_text) as signals:
            try:
                self.start(factory)
            except Asked:
                return True
            try:
                signals.raises = False
                ended = signals.came if signals.came is not None else self._inbox.get()
                if isinstance(ended, int):
                    logger.info("signal %d came: handlers finish, then the application ends", ended)
            except Asked:
                ended = None
            except BaseException:
                self.stop(0)
                raise
            if isinstance(ended, BaseException):
                with contextlib.suppress(ActiveClientError):
                    self.stop(timeout)
                raise ended
            return self.stop(timeout)

    def request_stop(self) -> None:
        """Have `run` return, from any thread, a handler too."""
        self._inbox.put(None)

    def failed(self, error: BaseException) -> None:
        """A worker cannot go on, and no other could (called by it)."""
        if self.stopping.is_set():
            return
        if self._inbox.empty():  # the first of several workers
            logger.error("the application ends: %s: %s", type(error).__name__, error)
        self._inbox.put(error)

    def in_doubt(self) -> list[str]:
        """What workers do now, in words: messages that are being handled or settled."""
        return [doing for worker in self._workers if (doing := worker.doing) is not None]

    def _doubt_text(self) -> str:
        lines = [f"  {each}\n" for each in self.in_doubt()]
        if not lines:
            return "  nothing was being handled\n"
        return "".join(lines) + "  these are delivered again, unless their settling was stored\n"

    # --- sending --------------------------------------------------------------------------------------------------

    def send(
        self, destination: To, body: object, *, properties: dict[str, object] | None = None, **options: Any
    ) -> Message:
        """Send a message from outside of a handler, by any thread; returns when the broker has stored it.

        Args:
            destination: A queue's name, `topic://name`, or a destination.
            body: A message; text or bytes as they are; a dataclass, a model, a dict or a list as JSON text.
            properties: Of the message.
            options: Further keywords of `MessageProducer.send`, `delivery_delay=60` for example.

        Raises:
            IllegalStateError: The application does not run.
            OutcomeUnknown: The broker may have it; and what else `MessageProducer.send` raises.
        """
        sent: list[Message] = []

        def innermost(sending: Sending) -> None:
            session = self._session
            if session is None:
                raise IllegalStateError("the application does not run")
            message = sending.message(self._serializers)
            with self._sending, session.create_producer() as producer:
                sent.append(sending.send_by(producer, message))

        self.send_through_middleware(
            Sending(destination_of(destination), body, dict(properties or {}), options), innermost
        )
        if not sent:
            raise IllegalStateError("a middleware has not sent the message")
        return sent[-1]

    def send_through_middleware(self, sending: Sending, send: Callable[[Sending], object]) -> None:
        """Call `send` with all middleware around it."""
        around(self.send_middleware, send)(sending)

    # --- what workers share ---------------------------------------------------------------------------------------

    def counts(self, name: str) -> Counts:
        """What became of the messages of the listener of this name so far.

        Raises:
            KeyError: There is none.
        """
        return self._counts[name]

    def summary(self) -> dict[str, dict[str, int]]:
        """What became of the messages of each listener so far, by its name."""
        return {name: asdict(counts) for name, counts in self._counts.items()}

    def count(self, listener: Listener, what: str) -> None:
        """Something became of a message (called by workers)."""
        with self._shared:
            before = self._counts[listener.name]
            self._counts[listener.name] = replace(before, **{what: getattr(before, what) + 1})

    def refuse(self, message_id: str | None, error: BaseException) -> None:
        """What a handler did was refused: its message, which comes again, has failed (called by workers)."""
        if message_id is not None:
            with self._shared:
                self._refusals[message_id] = error

    def take_refusal(self, message_id: str | None) -> BaseException | None:
        """Why the handling of a message was refused, once (called by workers)."""
        if message_id is None or not self._refusals:
            return None
        with self._shared:
            refused: BaseException | None = self._refusals.pop(message_id, None)
            return refused

    def __enter__(self) -> Self:
        return self if self._connection is not None else self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @never_raises
    def __repr__(self) -> str:
        return f"<App {len(self.listeners)} listeners {'running' if self.is_running else 'stopped'}>"
