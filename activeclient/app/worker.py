"""One thread that handles the messages of one listener, one after the other.

Law of this file: a message is settled once, here. Transacted: its acknowledgement, what its handler sent, the copy that
is tried again and the dead letter leave in one transaction. Else what is sent leaves before the acknowledgement, under
a duplicate id that a repetition would have again. Whatever fails on the way leads to a new session, in which the broker
delivers the message again; nothing is acknowledged that was not handled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from activeclient.app.delivery import Delivery, Sending, around
from activeclient.app.retries import (
    ATTEMPT,
    ATTEMPTS,
    ERROR,
    ERROR_TYPE,
    FAILED_AT,
    MESSAGE_ID,
    ORIGIN,
    Again,
    Reject,
    attempts_made,
    described,
)
from activeclient.destination import Destination, Topic
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ConfigError,
    DuplicateIDError,
    ForkedError,
    InvalidDestinationError,
    JMSSecurityError,
    MessageFormatError,
    NotSent,
    ReconnectGaveUp,
    ResourceAllocationError,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
)
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.subscriptions import subscription_queue
from activeclient.masking import never_raises
from activeclient.wire.names import ORIGINAL_ADDRESS, ORIGINAL_MESSAGE_ID, ORIGINAL_QUEUE

if TYPE_CHECKING:
    from activeclient.app.application import App
    from activeclient.app.handlers import Listener
    from activeclient.jms.connection import Connection
    from activeclient.jms.consumer import MessageConsumer
    from activeclient.jms.message import Message
    from activeclient.jms.producer import MessageProducer
    from activeclient.jms.session import Session

logger: logging.Logger = logging.getLogger("activeclient.app")
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a new session, after the one before could not be used; doubled each time."""
REFUSED: tuple[type[ActiveClientError], ...] = (
    MessageFormatError,
    InvalidDestinationError,
    ConfigError,
    ResourceAllocationError,
    DuplicateIDError,
    NotSent,
    JMSSecurityError,
)
"""What a send, or the commit that contains it, raises when it would do so again."""
UNDONE: tuple[type[ActiveClientError], ...] = (TransactionRolledBackError, *REFUSED)
"""After these what was done for a message is rolled back."""
FATAL: tuple[type[ActiveClientError], ...] = (ReconnectGaveUp, JMSSecurityError, ForkedError)
"""After these no new session would do better: the application ends."""


class Worker:
    """Handles the messages of one listener on a thread of its own."""

    def __init__(self, app: App, listener: Listener, connection: Connection, name: str) -> None:
        self._app = app
        self._listener = listener
        self._connection = connection
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._handle = around(app.handler_middleware, listener.call)
        self._session: Session
        self._consumer: MessageConsumer
        self._producer: MessageProducer
        self._waiting: list[tuple[Sending, Message]] = []
        """What the handler has sent in a transacted listener, until it has succeeded."""
        self._doing: tuple[str, str | None, float] | None = None

    # --- its life -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the session, the consumer and the producers: what does not exist or is not allowed raises here.

        Raises:
            JMSError: The broker has no such destination and creates none, or refuses something.
        """
        listener = self._listener
        mode = AcknowledgeMode.SESSION_TRANSACTED if listener.transacted else AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE
        self._session = session = self._connection.create_session(mode)
        try:
            to = listener.destination
            window = listener.window_size
            if listener.subscription is not None and isinstance(to, Topic):
                self._consumer = session.create_shared_durable_consumer(
                    to, listener.subscription, listener.selector, window_size=window
                )
            else:
                self._consumer = session.create_consumer(to, listener.selector, window_size=window)
            session.create_producer(listener.dead_letter).close()
            self._producer = session.create_producer()
        except BaseException:
            session.close()
            raise

    def start(self) -> None:
        """Begin to handle messages; `open` has succeeded."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for its end; False after `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def doing(self) -> str | None:
        """What it does now, in words; None: it waits for a message."""
        doing = self._doing
        if doing is None:
            return None
        what, message_id, since = doing
        return (
            f"{what} {message_id or 'a message'} of {self._listener.destination} for {time.monotonic() - since:.1f} s"
        )

    def _run(self) -> None:
        pause = FIRST_PAUSE
        fresh = True
        while True:
            try:
                if not fresh:
                    self.open()
                fresh = False
                while (message := self._consumer.receive()) is not None:
                    self._take(message)
                    pause = FIRST_PAUSE
                if self._app.stopping.is_set():
                    return
                self._connection.check_open()
                error: ActiveClientError = ClosedError("the consumer was closed")
            except FATAL as fatal:
                self._app.failed(fatal)
                return
            except ActiveClientError as failure:
                error = failure
            except BaseException as failure:  # a bug of ours: the application must not run on with a thread less
                logger.exception("%s ended by an error", self._thread.name)
                self._app.failed(failure)
                return
            finally:
                self._doing = None
                self._waiting.clear()
            if self._app.stopping.is_set():
                return
            if self._connection.is_closed:
                self._app.failed(error)
                return
            logger.warning("%s: a new session in %.1f s, after: %s", self._thread.name, pause, error)
            self._close_session()
            if self._app.stopping.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)

    def _close_session(self) -> None:
        try:
            self._session.close()
        except ActiveClientError as error:  # what it could not settle, the broker delivers again
            logger.warning("%s: closing its session: %s", self._thread.name, error)

    # --- one message ----------------------------------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        """Handle a message and settle it."""
        message_id = message.jms_message_id
        attempt = attempts_made(message.core.properties) + 1
        delivery = Delivery(message, self._listener.destination, self._listener.kind, attempt, self._send)
        self._doing = ("handling", message_id, time.monotonic())
        try:
            error = self._app.take_refusal(message_id) or self._failure_of(delivery)
            if error is None:
                self._doing = ("settling", message_id, time.monotonic())
                if self._settle(message, self._send_waiting, blame=True):
                    self._app.count(self._listener, "handled")
            else:
                self._waiting.clear()
                self._doing = ("giving up", message_id, time.monotonic())
                self._give_up(delivery, error)
        finally:
            self._waiting.clear()
            self._doing = None

    def _failure_of(self, delivery: Delivery) -> BaseException | None:
        """Call the handler; returns what it raised."""
        try:
            self._handle(delivery)
        except BaseException as error:  # on this thread nobody else handles SystemExit
            return error
        return None

    def _settle(self, message: Message, last: Callable[[], object], *, blame: bool) -> bool:
        """Do what is left to be done for a message, and acknowledge it; False if that was, or may be, rolled back.

        Args:
            blame: What the broker or the client refuses of it is a failure of the handler, when the message comes
                again; otherwise the next delivery is the next try.
        """
        session = self._session
        try:
            last()
            if session.transacted:
                session.commit()
            else:
                message.acknowledge()
        except TransactionOutcomeUnknownError as error:
            logger.warning("%s: the message comes again unless this was committed: %s", self._thread.name, error)
            return False
        except UNDONE as error:
            cause = error if isinstance(error, REFUSED) else error.__cause__
            if isinstance(cause, REFUSED):
                logger.warning("%s: rolled back, as this was refused: %s", self._thread.name, cause)
                if blame:
                    self._app.refuse(message.jms_message_id, cause)
                else:
                    self._app.stopping.wait(FIRST_PAUSE)
            else:
                logger.info("%s: rolled back, the message comes again: %s", self._thread.name, error)
            if session.transacted:
                session.rollback()
            elif cause is error:
                session.recover()
            return False
        return True

    def _give_up(self, delivery: Delivery, error: BaseException) -> None:
        """Have the message tried again, or send it to the dead-letter address."""
        listener, message = self._listener, delivery.message
        try:
            decision = listener.policy.decide(error, delivery.attempt, unreadable=delivery.unreadable is not None)
        except Exception:
            logger.exception("%s: the backoff of %s failed", self._thread.name, listener.name)
            decision = Again(LONGEST_PAUSE)
        where = f"{message.jms_message_id or 'a message'} of {listener.destination}"
        told = described(error)
        traceback = error if not isinstance(error, Reject) and delivery.unreadable is None else None
        if isinstance(decision, Again):
            if self._settle(message, lambda: self._try_again(delivery, decision.delay), blame=False):
                self._app.count(listener, "retried")
                logger.warning(
                    "%s, attempt %d, failed and is tried again in %g s: %s: %s",
                    where,
                    delivery.attempt,
                    decision.delay,
                    told[ERROR_TYPE],
                    told[ERROR],
                    exc_info=traceback,
                )
        elif self._settle(message, lambda: self._send_dead(delivery, told), blame=False):
            self._app.count(listener, "dead")
            logger.error(
                "%s, attempt %d, failed for good and is in %s: %s: %s",
                where,
                delivery.attempt,
                listener.dead_letter,
                told[ERROR_TYPE],
                told[ERROR],
                exc_info=traceback,
            )

    # --- sending --------------------------------------------------------------------------------------------------

    def _send(self, sending: Sending) -> None:
        """A handler sends."""
        self._app.send_through_middleware(sending, self._keep_or_send)

    def _keep_or_send(self, sending: Sending) -> None:
        message = sending.message(self._session.serializers)
        if self._listener.transacted:
            self._waiting.append((sending, message))
        else:
            sending.send_by(self._producer, message)

    def _send_waiting(self) -> None:
        for sending, message in self._waiting:
            sending.send_by(self._producer, message)

    def _try_again(self, delivery: Delivery, delay: float) -> None:
        message = delivery.message
        properties: dict[str, object] = {ATTEMPT: delivery.attempt, **_first_id(message)}
        left = 0.0
        if message.jms_expiration:
            left = max(0.001, message.jms_expiration / 1000 - time.time())
        self._forward(message, self._own_queue(), properties, left, delay, f"again {delivery.attempt}")

    def _send_dead(self, delivery: Delivery, told: dict[str, str]) -> None:
        message, listener = delivery.message, self._listener
        queue = self._own_queue().name
        core_id = message.core.message_id
        properties: dict[str, object] = {
            **told,
            **_first_id(message),
            ATTEMPTS: delivery.attempt,
            FAILED_AT: int(time.time() * 1000),
            ORIGIN: str(listener.destination),
        }
        core = message.outgoing()
        core.properties.pop(ATTEMPT, None)  # if an operator moves it back, it begins anew
        # By these the broker's own operation `retryMessages` finds the way back.
        core.properties[ORIGINAL_ADDRESS] = listener.destination.address
        core.properties[ORIGINAL_QUEUE] = queue.rpartition("::")[2]
        core.properties[ORIGINAL_MESSAGE_ID] = core_id
        self._forward(message, listener.dead_letter, properties, 0, 0, f"dead {delivery.attempt}")

    def _forward(
        self,
        message: Message,
        to: Destination,
        properties: dict[str, object],
        time_to_live: float,
        delay: float,
        purpose: str,
    ) -> None:
        """Send a received message on."""
        duplicate_id = None
        first = properties.get(MESSAGE_ID)
        if not self._listener.transacted and first is not None:
            # Sent and not acknowledged, as a cut came between, it is sent again: the broker keeps one of them.
            duplicate_id = f"{first} {self._own_queue().name} {purpose}"
        self._producer.send(
            message,
            to,
            delivery_mode=message.jms_delivery_mode,
            priority=message.jms_priority,
            time_to_live=time_to_live,
            delivery_delay=delay,
            properties=properties,
            duplicate_id=duplicate_id,
        )

    def _own_queue(self) -> Destination:
        """Where a message is sent that this listener, and no other subscription, is to get again."""
        to, subscription = self._listener.destination, self._listener.subscription
        if subscription is None:
            return to
        queue = subscription_queue(subscription, self._connection.client_id, durable=True)
        return Topic(f"{to.address}::{queue}")

    @never_raises
    def __repr__(self) -> str:
        return f"<Worker {self._thread.name}: {self.doing or 'waits'}>"


def _first_id(message: Message) -> dict[str, object]:
    """The property with the id that a message had before it was sent on by a worker."""
    first = message.core.properties.get(MESSAGE_ID) or message.jms_message_id
    return {} if first is None else {MESSAGE_ID: first}
