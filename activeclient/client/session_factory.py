"""A connection: one engine, one pump, the sessions on it (ClientSessionFactory in the core API).

Law of this file: nothing here decides when to reconnect or what to repeat; it wires the engine to a pump, hands events
to listeners and sessions out to users.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
import uuid
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from activeclient import arguments
from activeclient.client.closing import Patience, close_sessions, leave, report, tell
from activeclient.client.draining import drain_sessions
from activeclient.client.dropped import close_dropped
from activeclient.client.listeners import (
    EventListener,
    FailoverEventListener,
    FailureListener,
    Listeners,
    StateListener,
)
from activeclient.client.policies import (
    first_connect_policy,
    reconnect_policy,
    reconnection_timeout,
    recovery_messages,
)
from activeclient.client.session import ClientSession
from activeclient.client.transports import GivenContext, opener
from activeclient.drivers import dispatch
from activeclient.drivers.threads import Pump, forked_error
from activeclient.drivers.transport import addresses_of
from activeclient.engine.client import ClientConfig, ClientEngine
from activeclient.engine.failover import EndpointList
from activeclient.engine.link import Link
from activeclient.engine.link import State as LinkState
from activeclient.engine.requests import Pending
from activeclient.engine.session import Session, SessionConfig
from activeclient.engine.unsettled import NOTHING
from activeclient.errors import ActiveClientError, ClosedError, ConnectFailed, OutageTimeout, UnsettledError
from activeclient.events import (
    Ask,
    Connected,
    ConsumerLost,
    Endpoint,
    Event,
    GaveUp,
    Reconnected,
    SessionState,
    TopologyChanged,
    Work,
)
from activeclient.java_names import JavaNames
from activeclient.masking import Secret, never_raises
from activeclient.observe.log import link as link_log
from activeclient.observe.log import log_event
from activeclient.reconnection import Decision, Question, ReconnectAttempt, ReconnectionStrategy, decision_of
from activeclient.settings import Settings, explain_cut
from activeclient.urls import brokers_of

if TYPE_CHECKING:
    import random

callback_log: logging.Logger = logging.getLogger("activeclient.callbacks")
INTERRUPTED_SECONDS = 1.0
"""How long the closing of a connection waits when its draining is interrupted."""
CLOSE_SECONDS = 1.0
"""How long closing waits, when nothing is under way, for the server to answer the closing of sessions."""
_serial = itertools.count(1)


class Creation(Pending):
    """A session that is being created."""

    __slots__ = ()
    done: bool
    error: ActiveClientError | None

    def settled(self, session: Session) -> None:
        self.done = True

    def failed(self, session: Session, error: ActiveClientError) -> None:
        if not self.done:
            self.done = True
            self.error = error


class ClientSessionFactory(JavaNames):
    """One connection to a broker (or its backups), shared by the sessions made from it. Thread-safe.

    Made by `ServerLocator.create_session_factory`.
    """

    def __init__(
        self,
        settings: Settings,
        endpoints: Sequence[Endpoint],
        scheme: str,
        rng: random.Random,
        tls: GivenContext | None = None,
        first: Sequence[Endpoint] = (),
        *,
        wait: float | None = None,
        strategy: ReconnectionStrategy | None = None,
    ) -> None:
        settings = settings.effective
        self.settings: Settings = settings
        self._wait = wait
        self.listeners: Listeners = Listeners()
        self._sessions: dict[Session, ClientSession] = {}
        self._forgotten = NOTHING
        """What was lost with sessions that were given up and are known no more."""
        self.patience: Patience = Patience(self)
        self.has_owner = False
        """Does another object close it, and warn when it was dropped?"""
        self.dropped: bool = False
        """Was it collected without having been closed? Others that are collected with it may come later."""
        self._dispatcher = dispatch.current()
        self._hosts = brokers_of(endpoints)
        self._explained: tuple[bool | None] | None = None
        """What the log says of a cut holds for a broker that reattaches sessions, or does not, or may."""
        self._looked_up: set[str] = set()
        """Hosts whose addresses were asked for; each is asked for once."""
        candidates = self._candidates = EndpointList(
            endpoints,
            ha=settings.ha,
            failover_attempts=settings.failover_attempts,
            use_topology=settings.use_topology_for_load_balancing,
            first=first,
            configured_only=not (settings.ha or settings.use_topology_for_load_balancing),
        )
        self._strategy = strategy
        reconnect = reconnect_policy(settings, rng.random, asks=strategy is not None)
        initial = first_connect_policy(settings, rng.random, wait)
        ttl = settings.connection_ttl
        period = settings.client_failure_check_period
        connect_timeout = settings.connect_timeout
        keep = reconnection_timeout(settings)
        link = Link(
            candidates,
            initial,
            reconnect,
            connect_timeout=(connect_timeout if connect_timeout > 0 else ttl if ttl > 0 else 60_000) / 1000,
            handshake_timeout=settings.handshake_timeout / 1000,
            asks=strategy is not None,
        )
        self.engine: ClientEngine = ClientEngine(
            ClientConfig(
                connection_ttl=ttl / 1000 if ttl > 0 else None,
                check_period=period / 1000 if period > 0 else None,
                answer_timeout=settings.call_timeout / 1000 if settings.call_timeout > 0 else None,
                keep_for=None if keep is None else keep / 1000,
                max_frame_size=settings.max_frame_size,
                user=settings.user,
                password=settings.password,
            ),
            link,
            candidates,
            lambda: str(uuid.uuid4()),
        )
        self._opened_at = 0.0
        self.name: str = f"connection-{next(_serial)}"
        self.pump: Pump = Pump(
            self.engine,
            opener(scheme, settings, tls),
            self._on_event,
            linger=settings.linger / 1000,
            high_water=settings.write_buffer_high_water_mark,
            low_water=settings.write_buffer_low_water_mark,
            name=self.name,
        )
        _factories.add(self)

    def connect(self) -> None:
        """Open the connection and wait until the server has answered (called by the locator).

        Raises:
            ConnectionLost: No attempt succeeded (initialConnectAttempts); the last error says why.
        """
        for warning in self.settings.warnings():
            link_log.warning("%s: %s", self.name, warning)
        self._explain_cut()
        self._opened_at = time.monotonic()
        self.pump.start()
        engine = self.engine
        try:
            with self.pump.lock, self.pump.motion:
                self.pump.wait(lambda: engine.link.state is LinkState.UP or engine.gave_up is not None, None)
        except BaseException:
            self.close()
            raise
        if engine.gave_up is not None:
            error = engine.gave_up
            self.close()
            if self._wait is not None and error.retriable:
                raise ConnectFailed(f"no connection within {self._wait:g} s: {error}") from error
            raise error.again()

    def _explain_cut(self) -> None:
        """Log what a cut does; once more when it is known whether the broker reattaches, or it is another broker."""
        known = self.engine.reattaches if self.settings.confirmation_window_size > 0 else None
        if self._explained is None or (known is not None and self._explained[0] is not known):
            self._explained = (known,)
            asks = self._strategy is not None
            hosts = max(self._hosts, len(self._candidates.members))
            told = explain_cut(self.settings, hosts=hosts, reattaches=known, asks=asks)
            link_log.info("%s: a cut of this connection: %s", self.name, told)

    # --- sessions -------------------------------------------------------------------------------------------------

    def create_session(
        self,
        user: str | None = None,
        password: str | None = None,
        *,
        xa: bool = False,
        auto_commit_sends: bool = True,
        auto_commit_acks: bool = True,
        pre_acknowledge: bool | None = None,
        ack_batch_size: int | None = None,
        client_id: str | None = None,
    ) -> ClientSession:
        """Create a session on the server.

        Args:
            xa: For branches of distributed transactions: all sends and acknowledgements belong to one.
            user: Instead of the settings' user.
            password: Instead of the settings' password.
            auto_commit_sends: False: sends belong to a transaction that `commit` ends.
            auto_commit_acks: False: so do acknowledgements.
            ack_batch_size: Bytes of messages that are acknowledged together; default: the settings' ackBatchSize.

        Raises:
            JMSSecurityError: Wrong credentials.
            ConnectionLost: The connection was given up.
            OutageTimeout: It was not back within callFailoverTimeout.
        """
        arguments.text("user", user, optional=True, longest=arguments.MAX_TEXT)
        arguments.text("password", password, optional=True, longest=arguments.MAX_TEXT)
        arguments.text("client_id", client_id, optional=True, longest=arguments.MAX_TEXT)
        if ack_batch_size is not None:
            arguments.whole("ack_batch_size", ack_batch_size, 0, unit="bytes")
        password = Secret.of(password)
        config = self._session_config(
            user, password, xa, auto_commit_sends, auto_commit_acks, pre_acknowledge, client_id
        )
        pump = self.pump
        session: Session | None = None
        try:
            with pump.lock, pump.motion:
                self.check_open()
                now = time.monotonic()
                session = self.engine.create_session(config, now)
                creation = session.creation = Creation()
                if session.error is not None:
                    raise session.error.again()
                facade = ClientSession(self, session, ack_batch_size)
                self._sessions[session] = facade
                pump.process(now)
                error = facade.calls.wait_for(lambda: creation.done)
                if error is not None:
                    session.life.end(error, time.monotonic())
                    pump.process()
                if creation.error is not None:
                    raise creation.error.again()
                self._explain_cut()
            return facade
        except BaseException:
            self._give_back(session)
            raise

    def _session_config(
        self,
        user: str | None = None,
        password: str | None = None,
        xa: bool = False,
        auto_commit_sends: bool = True,
        auto_commit_acks: bool = True,
        pre_acknowledge: bool | None = None,
        client_id: str | None = None,
    ) -> SessionConfig:
        """What the engine is told of a session; the parameters are those of `create_session`."""
        settings = self.settings
        password = Secret.of(password)
        return SessionConfig(
            user=user if user is not None else settings.user,
            password=password if password is not None else settings.password,
            client_id=client_id,
            xa=xa,
            # Otherwise the server would not put them into the branch.
            auto_commit_sends=auto_commit_sends and not xa,
            auto_commit_acks=auto_commit_acks and not xa,
            pre_acknowledge=settings.pre_acknowledge if pre_acknowledge is None else pre_acknowledge,
            window=settings.confirmation_window_size,
            recovery_messages=recovery_messages(settings),
            reconnection_timeout=reconnection_timeout(settings),
            min_large_message_size=settings.min_large_message_size,
            producer_window=settings.producer_window_size,
            max_frame_size=settings.max_frame_size,
            gate=settings.reconnects or self._strategy is not None,
        )

    def _give_back(self, session: Session | None) -> None:
        """Nobody got this session; nor any that is not even waited for: the server closes them when it can."""
        pump = self.pump
        with pump.lock, pump.motion:
            for each in list(self.engine.sessions.values()):
                if each is session or each.creation is None:
                    each.close_unattended()
            if session is not None:
                self._sessions.pop(session, None)
            if not pump.closed:
                pump.process()

    def forget(self, session: Session) -> None:
        """A session was closed (called by it, lock held)."""
        facade = self._sessions.pop(session, None)
        if facade is not None:
            self._forgotten += facade.take_unsettled()  # of one that was given up: closing the connection tells of it

    # --- listeners ------------------------------------------------------------------------------------------------

    def add_failure_listener(self, listener: FailureListener) -> None:
        """Have `listener` told of outages; a `SessionFailureListener` hears of their beginning too.

        Raises:
            JMSError: The connection is closed, was given up, or is a parent process's.
        """
        if not isinstance(listener, FailureListener):
            raise TypeError(f"a failure listener must have connection_failed(), not {type(listener).__name__}")
        self.check_open()
        self.listeners.failure.append(listener)

    def remove_failure_listener(self, listener: FailureListener) -> bool:
        """Tell it no more; False when it was not told before."""
        return _remove(self.listeners.failure, listener)

    def add_failover_listener(self, listener: FailoverEventListener) -> None:
        """Have `listener` called with FAILURE_DETECTED, FAILOVER_COMPLETED, FAILOVER_FAILED.

        Raises:
            JMSError: As `add_failure_listener`.
        """
        arguments.call("a failover listener", listener, optional=False)
        self.check_open()
        self.listeners.failover.append(listener)

    def remove_failover_listener(self, listener: FailoverEventListener) -> bool:
        """Call it no more; False when it was not called before."""
        return _remove(self.listeners.failover, listener)

    def add_event_listener(self, listener: EventListener) -> None:
        """Have `listener` called with every event, as a value of `activeclient.events`.

        Raises:
            JMSError: As `add_failure_listener`.
        """
        arguments.call("an event listener", listener, optional=False)
        self.check_open()
        self.listeners.events.append(listener)

    def remove_event_listener(self, listener: EventListener) -> bool:
        """Call it no more; False when it was not called before."""
        return _remove(self.listeners.events, listener)

    def add_state_listener(self, listener: StateListener) -> SessionState:
        """Have `listener` called with the old and the new state at each change, in order, each change once.

        Returns:
            The state from which on it is called: no change is missed between the two.

        Raises:
            JMSError: As `add_failure_listener`.
        """
        arguments.call("a state listener", listener, optional=False)
        with self.pump.lock:
            self.check_open()
            self.listeners.states.append(listener)
            return self.engine.state

    def remove_state_listener(self, listener: StateListener) -> bool:
        """Call it no more; False when it was not called before."""
        return _remove(self.listeners.states, listener)

    def _on_event(self, event: Event) -> None:
        # With the pump's lock held: only hand over.
        if isinstance(event, Work):
            if isinstance(event.session, Session):
                facade = self._sessions.get(event.session)
                if facade is not None:
                    self._dispatcher.schedule(facade.callbacks)
            return
        if isinstance(event, Ask):
            if isinstance(event.question, Question):
                question = event.question
                self._dispatcher.submit(lambda: self._decide(question))
            return
        if isinstance(event, (GaveUp, ConsumerLost)):
            self._stop_listening(event)
        log_event(self.name, event)
        if isinstance(event, Reconnected):
            self._explain_cut()
        if isinstance(event, (Connected, Reconnected, TopologyChanged)) and self._candidates.unresolved():
            self._dispatcher.submit(self._look_up)
        if self.listeners.offer(event):
            self._dispatcher.schedule(self.listeners)

    def _decide(self, question: Question) -> None:
        """Ask the strategy, on a thread of the dispatcher."""
        attempt = ReconnectAttempt(question, lambda decision: self._decided(question, decision))
        try:
            strategy = self._strategy
            decision = None if strategy is None else decision_of(strategy(attempt))
        except Exception:
            callback_log.exception("%s: the reconnection strategy raised; the settings decide", self.name)
            self._decided(question, None)
            return
        if decision is not None:
            self._decided(question, decision)

    def _decided(self, question: Question, decision: Decision | None) -> bool:
        with self.pump.lock, self.pump.motion:
            if self.pump.closed:
                return False
            now = time.monotonic()
            counts = self.engine.decided(question.serial, decision, now)
            self.pump.process(now)
            return counts

    def _look_up(self) -> None:
        """Find out whether a node of the cluster is the host that we know by another name; on a dispatcher's thread."""
        with self.pump.lock:
            # A look-up that is under way in another thread answers for this one too.
            hosts = [host for host in self._candidates.unresolved() if host not in self._looked_up]
            self._looked_up.update(hosts)
        found = {host: addresses_of(host) for host in hosts}  # may take its time
        with self.pump.lock:
            self._candidates.resolved(found)

    def _members(self, patience: float = 0.0) -> tuple[Endpoint, ...]:
        """The live brokers of the cluster, as this connection was told of them; empty when it was not.

        Args:
            patience: Seconds, counted from the opening of the connection, to wait until it is told anything.
        """
        with self.pump.lock:
            self._wait_for_topology(self._opened_at + patience - time.monotonic())
            return self._candidates.members

    def nodes(self, timeout: float = 0.0) -> tuple[tuple[str, Endpoint | None, Endpoint | None], ...]:
        """Return what the broker has told of its cluster: id, live broker and backup of each node.

        A broker that stands alone tells of one node without addresses. Newer brokers (2.57) tell after a login only,
        which comes with the first session.

        Args:
            timeout: Seconds to wait until it has told anything.

        Raises:
            JMSError: The connection is closed, or has given up.
        """
        arguments.seconds("timeout", timeout)
        self.check_open()
        with self.pump.lock:
            self._wait_for_topology(timeout)
            return self._candidates.nodes

    def _wait_for_topology(self, seconds: float) -> None:
        """With the lock held."""
        if not self.pump.closed:
            self.pump.wait(lambda: self._candidates.told or not self.is_connected, max(0.0, seconds))

    def _stop_listening(self, event: GaveUp | ConsumerLost) -> None:
        # What listens no more is kept by whoever uses it alone.
        for session, facade in list(self._sessions.items()):
            if isinstance(event, GaveUp):
                facade.stop_listening()
            elif session.channel_id == event.channel_id:
                facade.stop_listening(event.consumer_id)

    # --- state ----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """Where the connection and its sessions are in their life."""
        return self.engine.state

    @property
    def is_closed(self) -> bool:
        """Closed by its user, or given up."""
        return self.pump.closed or self.engine.gave_up is not None

    @property
    def is_forked(self) -> bool:
        """Is this a child process, and the connection its parent's? Then all but closing raises ForkedError."""
        return self.pump.forked

    @property
    def is_connected(self) -> bool:
        """Does the link stand, with every session usable?"""
        return self.engine.link.state is LinkState.UP and not self.pump.forked

    def wait_until_connected(self, timeout: float | None = None) -> None:
        """Wait until the link stands and every session is usable.

        Raises:
            OutageTimeout: Not within `timeout` seconds.
            ConnectionLost: It was given up.
        """
        engine = self.engine
        if timeout is not None:
            arguments.seconds("timeout", timeout)
        with self.pump.lock, self.pump.motion:
            self.check_open()
            ready = self.pump.wait(lambda: self.is_connected or engine.gave_up is not None, timeout)
            if engine.gave_up is not None:
                raise engine.gave_up.again()
            if not ready:
                raise OutageTimeout(f"not connected within {timeout:g} s: {engine.last_error}")

    def check_open(self) -> None:
        """Raise what ended the connection, if anything has: ReconnectGaveUp and its cause, ForkedError, ClosedError."""
        if self.engine.gave_up is not None:
            raise self.engine.gave_up.again()
        if self.pump.closed:
            raise ClosedError("the connection is closed")

    def finish(self, timeout: float) -> bool:
        """Receive nothing more, and wait until what was received is finished; True if all was, within `timeout` s.

        The connection stays open, so that results can still be sent; `drain` closes it too.
        """
        arguments.seconds("timeout", timeout)
        if self.pump.closed:
            return True
        left = drain_sessions(self, self._sessions.values(), time.monotonic() + timeout)
        if left:
            link_log.warning(
                "connection %s: %d of %d sessions had not finished what they had received within %g s",
                self.name,
                len(left),
                len(self._sessions),
                timeout,
            )
        return not left

    def drain(self, timeout: float) -> bool:
        """Receive nothing more, let what was received be finished, and close the connection; True if all was finished.

        Args:
            timeout: Seconds for all of it. What is not finished then is rolled back by closing, and is redelivered.

        Raises:
            UnsettledError: Sends, acknowledgements or commits could not be settled; the connection is closed all the
                same.
        """
        deadline = time.monotonic() + timeout
        try:
            finished = self.finish(timeout)
        except BaseException:  # an interrupt: who asks twice does not want to wait
            with contextlib.suppress(UnsettledError):  # it is logged, and the interrupt must not be replaced
                self.close(INTERRUPTED_SECONDS)
            raise
        self.close(max(0.0, deadline - time.monotonic()))
        return finished

    def close(self, timeout: float | None = None) -> None:
        """Close the sessions, once what they have under way is settled, and the connection.

        Waits for sends, acknowledgements and commits under way to be confirmed, closeTimeout at most, also while the
        connection is won back. With nothing under way it takes about a second at most, in any state. Every completion
        handler has been called when this returns. Closing again does nothing.

        Args:
            timeout: Seconds to wait for running listeners and then for what is under way, instead of
                onMessageCloseTimeout and closeTimeout.

        Raises:
            UnsettledError: What was under way could not be settled; the connection is closed all the same.
        """
        if self.pump.closed:  # a parent's is, too
            return
        left = NOTHING
        try:
            left = close_sessions(self, self._sessions.values(), timeout, finally_=True, answer=CLOSE_SECONDS)
            self._wait_for_abandoned(time.monotonic() + CLOSE_SECONDS)
        except ActiveClientError:
            raise
        except BaseException:
            self._close_unattended()
            raise
        finally:
            facades = list(self._sessions.values())
            cause = self.engine.gave_up or self.engine.last_error
            self.pump.close()
        for facade in facades:  # made meanwhile
            facade.wait_for_callbacks(timeout)
            left += facade.take_unsettled()
        error = report(f"connection {self.name}", left + self._forgotten, cause)
        self._forgotten = NOTHING
        tell(error, self.engine.gave_up)

    def __del__(self) -> None:
        pump = getattr(self, "pump", None)
        if pump is not None and pump.started and not pump.closed:
            warn = not self.has_owner and self.engine.gave_up is None
            self.dropped = True
            close_dropped(self, self.close_dropped, warn=warn)

    def close_dropped(self) -> None:
        """Close the connection after it was dropped."""
        self.pump.keep()
        self.close()

    def _wait_for_abandoned(self, deadline: float) -> None:
        """Let the server close what interrupted calls left: dropped with the socket, it would last for the TTL."""
        engine, pump = self.engine, self.pump
        with pump.lock, pump.motion:
            if not pump.closed:
                with contextlib.suppress(ActiveClientError):
                    pump.wait(
                        lambda: engine.settled or engine.gave_up is not None, max(0.0, deadline - time.monotonic())
                    )

    def abandon(self) -> None:
        """Close the connection: an interrupt came before its user got it.

        Waits a second at most for the server to close its sessions, which would last for the TTL otherwise.
        """
        try:
            self._close_unattended()
        finally:
            self.close()

    def _close_unattended(self) -> None:
        with self.pump.lock, self.pump.motion:
            for session in list(self.engine.sessions.values()):
                session.close_unattended()
            if not self.pump.closed:
                self.pump.process()
        self._wait_for_abandoned(time.monotonic() + CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        state = "closed" if self.is_closed else self.engine.link.state.name.lower()
        return f"<ClientSessionFactory {self.name} {self.engine.link.endpoint} {state}>"


def _remove(items: list, item: object) -> bool:  # type: ignore[type-arg]
    try:
        items.remove(item)
    except ValueError:
        return False
    return True


_factories: weakref.WeakSet[ClientSessionFactory] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for factory in list(_factories):
        factory.engine.disown(forked_error(factory.name))
    _factories.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
