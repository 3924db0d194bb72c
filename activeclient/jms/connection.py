"""A connection in JMS's terms (jakarta.jms.Connection): sessions, client id, temporary destinations, its listener.

Law of this file: a connection survives what its settings say that it survives, under the same objects; its listener is
told once for each outage that ended, and can tell how it ended, and once for each failure that nobody waits for: a send
that the broker refused, a consumer that it ended. Thread-safe.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from activeclient import arguments
from activeclient.client.closing import leave
from activeclient.client.dropped import Members, close_dropped
from activeclient.client.listeners import (
    ConnectionFailure,
    EventListener,
    FailoverEventListener,
    FailureListener,
    StateListener,
)
from activeclient.client.management import Management
from activeclient.client.session_factory import INTERRUPTED_SECONDS, ClientSessionFactory
from activeclient.destination import Destination
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    IllegalStateError,
    InvalidClientIDError,
    InvalidDestinationError,
    JMSError,
    UnsettledError,
)
from activeclient.events import ConsumerLost, Event, Reconnected, SendFailed, SessionState
from activeclient.java_names import Sealed
from activeclient.jms.addressing import Known
from activeclient.jms.metadata import ConnectionMetaData
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.serializers import SerializersAttribute
from activeclient.jms.session import Session
from activeclient.jms.temporary import OwnTemporaryQueue, OwnTemporaryTopic
from activeclient.jms.times import Duration, timeout_seconds
from activeclient.masking import Secret, never_raises

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession

ExceptionListener = Callable[[ConnectionFailure], object]
"""Called when an outage has ended: `error.error_code` is FAILOVER (the connection is back) or DISCONNECT (given up),
`error.recovery` says reattached, recreated, failed over or gave up, `error.in_doubt` names sends of unknown fate.

Called too when the broker refused a send that nobody waited for, or ended a consumer: then `error.recovery` is None,
`error.code` the server's code and `error.error_code` its name, `error.event` a `SendFailed` or `ConsumerLost`."""
CLIENT_ID_KEY = "jms-client-id"
SESSION_KEY = "jms-session"
_PRE_ACKNOWLEDGE = {AcknowledgeMode.PRE_ACKNOWLEDGE: True, AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE: False}
"""Of the other modes the setting preAcknowledge decides."""
S = TypeVar("S", bound=Session)
NOTHING_MATCHES = "_AMQX=-1"
"""The filter of the queue that keeps a temporary topic's address alive (ActiveMQSession.createTemporaryTopic)."""


class _OutageReport:
    """Passes on what the core tells its failure listeners."""

    def __init__(self, connection: Connection) -> None:
        self._connection = weakref.ref(connection)  # a connection that nobody has any more is closed

    def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
        """An outage ended."""
        connection = self._connection()
        listener = None if connection is None else connection.exception_listener
        if listener is not None:
            listener(error)

    def on_event(self, event: Event) -> None:
        """Anything happened."""
        connection = self._connection()
        if connection is not None:
            connection._on_event(event)


class Connection(Sealed):
    """A connection to a broker, or to its backups. Made by `ActiveMQConnectionFactory.create_connection`, or `connect`.

    A context manager: entering it starts it, leaving it closes it.
    """

    factory: ClientSessionFactory
    """The core connection below: for what JMS does not have."""
    tag: str
    """What marks the messages that it sends (noLocal): the client id, or an id of its own."""

    serializers: SerializersAttribute = SerializersAttribute()
    """By which sessions made from now on turn objects into bytes and back; JSON alone unless set."""

    def __init__(
        self, factory: ClientSessionFactory, user: str | None, password: str | None, client_id: str | None
    ) -> None:
        password = Secret.of(password)
        self._closed = False  # before `factory`: an interrupt may leave the rest out, and `__del__` finds these
        self._dropped = False
        """Has its owner, which was dropped, warned of it?"""
        self.factory = factory
        self._user = user
        self._password = password
        self._client_id: str | None = None
        self._lock = threading.RLock()
        self._sessions: Members[Session] = Members()
        self._temporaries: set[Destination] = set()
        self._known = Known()
        self._started = False
        self._draining = False
        self._used = False
        self.tag = str(uuid.uuid4())
        self._exception_listener: ExceptionListener | None = None
        wanted = client_id if client_id is not None else factory.settings.client_id
        # Never started, it carries what belongs to the connection: its names and its temporary queues.
        self._initial: ClientSession = factory.create_session(
            user, password, auto_commit_sends=False, auto_commit_acks=False, client_id=wanted
        )
        self._initial.add_metadata(SESSION_KEY, "")
        if wanted is not None:
            self._claim(wanted)
        report = _OutageReport(self)
        factory.add_failure_listener(report)
        factory.add_event_listener(report.on_event)
        factory.has_owner = True

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def client_id(self) -> str | None:
        """Names the connection among those of all clients; settable once, before anything else is done with it.

        Raises:
            IllegalStateError: It has one, or was used already.
            InvalidClientIDError: Another connection has it, or it is empty.
        """
        return self._client_id

    @client_id.setter
    def client_id(self, value: str) -> None:
        self.check_open()
        with self._lock:
            self.check_open()
            if self._client_id is not None:
                raise IllegalStateError(f"the client id is {self._client_id!r} already")
            if self._used:
                raise IllegalStateError("the client id must be set before anything else is done with the connection")
            self._claim(value)

    def _claim(self, value: str) -> None:
        if not isinstance(value, str) or not value:
            raise InvalidClientIDError(f"client_id={value!r}: must be a text that is not empty")
        try:
            if self.factory.settings.enable_shared_client_id:
                self._initial.add_metadata(CLIENT_ID_KEY, value)
            else:
                self._initial.add_unique_metadata(CLIENT_ID_KEY, value)
        except InvalidClientIDError as error:
            raise InvalidClientIDError(f"client_id={value!r}: another connection has it", code=error.code) from error
        self._client_id = value
        self.tag = value

    @property
    def exception_listener(self) -> ExceptionListener | None:
        """Called on a thread of its own, once for each outage that ended, well or not, for each send that the broker
        refused and nobody waited for, and for each consumer that the broker ended. See `ExceptionListener`."""
        return self._exception_listener

    @exception_listener.setter
    def exception_listener(self, listener: ExceptionListener | None) -> None:
        arguments.call("exception_listener", listener)
        self.check_open()
        self._used = True
        self._exception_listener = listener

    def on_exception(self, listener: ExceptionListener) -> ExceptionListener:
        """Set the exception listener; as a decorator: `@connection.on_exception`."""
        self.exception_listener = listener
        return listener

    def add_event_listener(self, listener: EventListener) -> None:
        """Have `listener` called with every event, as a value of `activeclient.events`."""
        self.check_open()
        self.factory.add_event_listener(listener)

    def remove_event_listener(self, listener: EventListener) -> bool:
        """Call it no more; False when it was not called before."""
        return self.factory.remove_event_listener(listener)

    @property
    def state(self) -> SessionState:
        """Where the connection and its sessions are in their life."""
        return self.factory.state

    def add_state_listener(self, listener: StateListener) -> SessionState:
        """Have `listener` called at each change of `state`; see `ClientSessionFactory.add_state_listener`."""
        self.check_open()
        return self.factory.add_state_listener(listener)

    def remove_state_listener(self, listener: StateListener) -> bool:
        """Call it no more; False when it was not called before."""
        return self.factory.remove_state_listener(listener)

    def add_failure_listener(self, listener: FailureListener) -> None:
        """Have `listener` told of outages; a `SessionFailureListener` hears of their beginning too."""
        self.check_open()
        self.factory.add_failure_listener(listener)

    def remove_failure_listener(self, listener: FailureListener) -> bool:
        """Tell it no more; False when it was not told before."""
        return self.factory.remove_failure_listener(listener)

    def add_failover_listener(self, listener: FailoverEventListener) -> None:
        """Have `listener` called with FAILURE_DETECTED, FAILOVER_COMPLETED, FAILOVER_FAILED (as Java's
        ActiveMQConnection.setFailoverListener)."""
        self.check_open()
        self.factory.add_failover_listener(listener)

    def remove_failover_listener(self, listener: FailoverEventListener) -> bool:
        """Call it no more; False when it was not called before."""
        return self.factory.remove_failover_listener(listener)

    @property
    def metadata(self) -> ConnectionMetaData:
        """The API's version and its provider."""
        self.check_open()
        self._used = True
        return ConnectionMetaData()

    @property
    def is_started(self) -> bool:
        """Are messages delivered?"""
        return self._started

    @property
    def is_closed(self) -> bool:
        """Closed by its user, or given up."""
        return self._closed or self.factory.is_closed

    @property
    def is_connected(self) -> bool:
        """Is there a connection to the broker now? False in an outage, while calls wait for its end, and when closed.

        For health checks and displays. A call does not need to ask: it waits for the connection by itself.
        """
        return not self.is_closed and self.factory.is_connected

    def wait_until_connected(self, timeout: Duration | None = None) -> None:
        """Wait until the connection is back, with every session usable; return at once if it is.

        Args:
            timeout: Seconds or a timedelta; None waits for the end of the outage, or until the connection is given up.

        Raises:
            OutageTimeout: It was not back within `timeout`.
            ReconnectGaveUp: No attempts are left.
            ClosedError: The connection is closed.
        """
        self.check_open()
        self.factory.wait_until_connected(None if timeout is None else timeout_seconds("timeout", timeout))

    def check_open(self) -> None:
        """Raise ClosedError when its user has closed it, else what ended it: ReconnectGaveUp, ForkedError."""
        if self._closed:
            raise ClosedError("the connection is closed")
        self.factory.check_open()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Reconnected):
            if event.recreated:
                self._known.forget()
        elif isinstance(event, ConsumerLost) or (isinstance(event, SendFailed) and event.error.code is not None):
            # Without a server's code the send is one that an outage left in doubt: the outage's report names it.
            listener = self._exception_listener
            if listener is not None:
                listener(ConnectionFailure(event.error, None, event))

    # --- sessions -------------------------------------------------------------------------------------------------

    def create_session(self, mode: int = AcknowledgeMode.AUTO_ACKNOWLEDGE, *, transacted: bool = False) -> Session:
        """Create a session.

        Args:
            mode: An `AcknowledgeMode`, or its number; not Java's `transacted`, so no bool.
            transacted: The same as mode SESSION_TRANSACTED.

        Raises:
            JMSError: No such mode.
            ConnectionLost: The connection was given up.
            OutageTimeout: It was not back within callFailoverTimeout.
        """
        arguments.flag("transacted", transacted)
        kind = acknowledge_mode(mode)
        if transacted:
            kind = AcknowledgeMode.SESSION_TRANSACTED
        return self._open_session(Session, kind)

    def _open_session(self, session_class: type[S], kind: AcknowledgeMode, *, xa: bool = False) -> S:
        settings = self.factory.settings
        automatic = kind in (AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE)
        if kind is AcknowledgeMode.AUTO_ACKNOWLEDGE:
            batch = 0
        elif kind is AcknowledgeMode.DUPS_OK_ACKNOWLEDGE:
            batch = settings.dups_ok_batch_size
        elif kind is AcknowledgeMode.SESSION_TRANSACTED or settings.block_on_acknowledge:
            batch = settings.transaction_batch_size
        else:
            batch = settings.ack_batch_size
        self.check_open()
        self._used = True
        core = self.factory.create_session(
            self._user,
            self._password,
            xa=xa,
            auto_commit_sends=kind is not AcknowledgeMode.SESSION_TRANSACTED,
            auto_commit_acks=automatic,
            pre_acknowledge=_PRE_ACKNOWLEDGE.get(kind),
            ack_batch_size=batch,
            client_id=self._client_id,
        )
        session = None
        try:
            with self._lock:
                if self._closed:
                    core.close()
                    raise ClosedError("the connection is closed")
                session = session_class(self, kind, core, self._known)
                self._sessions.add(session)
                if self._started:
                    core.start()
            return session
        except BaseException:
            if session is not None:
                self._sessions.discard(session)
            core.abandon()
            raise

    def management(self, *, timeout: Duration = 10.0) -> Management:
        """The broker's management, with this connection's user; a context manager. The connection need not be started.

        Args:
            timeout: Seconds to wait for each answer.

        Raises:
            JMSSecurityError: No permission to make a temporary queue for the answers.
        """
        self.check_open()
        limit = timeout_seconds("timeout", timeout)
        made = Management.of(self.factory, self._user, self._password, limit)
        made.owner = self
        return made

    def forget_session(self, session: Session) -> None:
        """A session was closed (called by it)."""
        with self._lock:
            self._sessions.discard(session)

    # --- temporary destinations -----------------------------------------------------------------------------------

    def new_temporary_queue(self) -> OwnTemporaryQueue:
        """Made for `Session.create_temporary_queue`."""
        made = OwnTemporaryQueue.of(self, str(uuid.uuid4()))
        try:
            self._initial.create_temporary_queue(made.address)
            self._temporaries.add(made)
            return made
        except BaseException as error:
            self._interrupted(made, error)
            raise

    def _interrupted(self, made: Destination, error: BaseException) -> None:
        """Nobody got a temporary destination: the server deletes it when it can."""
        self._temporaries.discard(made)
        if not isinstance(error, ActiveClientError):
            self._initial.delete_abandoned_queue(made.address)

    def new_temporary_topic(self) -> OwnTemporaryTopic:
        """Made for `Session.create_temporary_topic`."""
        made = OwnTemporaryTopic.of(self, str(uuid.uuid4()))
        try:
            self._initial.create_queue(
                made.address, routing_type="MULTICAST", filter=NOTHING_MATCHES, durable=False, temporary=True
            )
            self._temporaries.add(made)
            return made
        except BaseException as error:
            self._interrupted(made, error)
            raise

    def owns(self, destination: Destination) -> bool:
        """Was this temporary destination made by this connection, and not deleted?"""
        return destination in self._temporaries

    def delete_temporary(self, destination: Destination) -> None:
        """Delete a temporary queue or topic of this connection.

        Raises:
            IllegalStateError: It has consumers, or is not (or no more) this connection's.
        """
        self.check_open()
        if not self.owns(destination):
            raise IllegalStateError(f"{destination} is no temporary destination of this connection")
        with self._lock:
            sessions = list(self._sessions)
        if any(session.consumes_from(destination) for session in sessions):
            raise IllegalStateError(f"{destination} has consumers")
        with contextlib.suppress(InvalidDestinationError):  # an interrupted call has deleted it
            self._initial.delete_queue(destination.address)
        self._temporaries.discard(destination)
        self._known.forget()  # so that producers of this destination look again

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to deliver messages; new connections do not, so that everything can be set up before.

        Raises:
            IllegalStateError: The connection is being drained.
        """
        self.check_open()
        with self._lock:
            self.check_open()
            if self._draining:
                raise IllegalStateError("the connection is being drained")
            self._used = True
            self._started = True
            sessions = list(self._sessions)
            for session in sessions:
                if not session.is_closed:
                    session.core.start()
        return self

    def stop(self) -> None:
        """Pause deliveries; returns when no listener runs (onMessageCloseTimeout). Sending goes on.

        Raises:
            IllegalStateError: A listener of this connection calls.
        """
        self.check_open()  # before the lock, which another thread of a parent process may have held
        with self._lock:
            self.check_open()
            self._used = True
            sessions = list(self._sessions)
        for session in sessions:
            session.check_may_close("stop")
        self._started = False
        for session in sessions:
            if not session.is_closed:
                session.core.stop()

    def drain(self, timeout: Duration = 30.0) -> bool:
        """Receive nothing more, let what was received be finished, and close; for a worker that is told to end.

        From now on no listener is called, and `receive` returns None at once: loops over messages end. Then this waits
        until running listeners have returned, open transactions are committed or rolled back, and what was received
        in CLIENT and INDIVIDUAL mode is acknowledged; in AUTO and DUPS_OK mode what `receive` has returned counts as
        finished. An outage is waited for too. Then the connection is closed; messages that nobody received are other
        consumers'.

        Args:
            timeout: Seconds or a timedelta, for all of it. What is not finished then is rolled back by closing, and its
                messages are redelivered.

        Returns:
            True if all was finished in time. False is logged too.

        Raises:
            IllegalStateError: A listener of this connection calls.
            UnsettledError: Sends, acknowledgements or commits could not be settled; the connection is closed all the
                same.
        """
        limit = timeout_seconds("timeout", timeout)
        if self.factory.is_forked:
            return True  # the parent goes on using it
        with self._lock:
            if self._closed:
                return True
            sessions = list(self._sessions)
            for session in sessions:
                session.check_may_close("drain")
            self._draining = True
            self._started = False
        deadline = time.monotonic() + limit
        try:
            finished = self.factory.finish(limit)
        except BaseException:  # an interrupt: who asks twice does not want to wait
            with contextlib.suppress(UnsettledError):  # it is logged, and the interrupt must not be replaced
                self._close(INTERRUPTED_SECONDS)
            raise
        self._close(max(0.0, deadline - time.monotonic()))
        return finished

    def close(self) -> None:
        """Close the connection with all that belongs to it, once what is under way is settled; ends blocked calls.

        Waits for running listeners, and while the connection is won back too, closeTimeout at most, for sends,
        acknowledgements and commits to be confirmed; every completion listener has been called when it returns. With
        nothing under way it takes about a second at most, in an outage too. Open transactions are rolled back;
        temporary destinations end. Calling it again does nothing.

        Raises:
            IllegalStateError: A listener of this connection calls.
            UnsettledError: Something could not be settled; the connection is closed all the same.
        """
        self._close(None)

    def _close(self, timeout: float | None) -> None:
        if self.factory.is_forked:
            return  # the parent goes on using it
        with self._lock:
            if self._closed:
                return
            sessions = list(self._sessions)
            for session in sessions:
                session.check_may_close("close")
            self._closed = True
            self._sessions.clear()
            self._temporaries.clear()
        self._exception_listener = None
        for session in sessions:
            session.settle_read_bodies()
        try:
            self.factory.close(timeout)
        finally:
            for session in sessions:
                session.connection_closed()

    def __del__(self) -> None:
        factory = self.__dict__.get("factory")
        if factory is None or not factory.has_owner or self._closed:
            return
        if factory.dropped or not factory.pump.closed:
            close_dropped(self, factory.close_dropped, warn=not self._dropped and factory.engine.gave_up is None)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        name = "" if self._client_id is None else f" {self._client_id!r}"
        state = "closed" if self.is_closed else "started" if self._started else "stopped"
        return f"<Connection{name} {self.factory.engine.link.endpoint} {state}>"


def acknowledge_mode(mode: int) -> AcknowledgeMode:
    """`mode`, if it is one.

    Raises:
        JMSError: It is not.
    """
    if type(mode) is bool:
        # Java's first argument is `transacted`; False is 0 here, SESSION_TRANSACTED, which means the opposite.
        meant = "transacted=True" if mode else "no argument, or AcknowledgeMode.AUTO_ACKNOWLEDGE"
        raise JMSError(
            f"acknowledge mode {mode}: the first argument is the mode, not Java's `transacted`; give {meant}"
        )
    try:
        return AcknowledgeMode(mode)
    except ValueError:
        known = ", ".join(f"{each.name} ({each.value})" for each in AcknowledgeMode)
        raise JMSError(f"acknowledge mode {mode!r}: must be one of {known}") from None
