"""The life of a link to a broker: connect, shake hands, lose, wait, try again, give up.

Law of this file: every state and every change of it stands in TRANSITIONS; what a change entails is in the method named
after the input. At most one attempt is under way at a time; each has a deadline. Only `established` ends an
outage: a TCP connection that opens proves nothing, so attempts and pauses go on counting until a session works.
"""

from __future__ import annotations

import enum
import math

from activeclient.engine.failover import EndpointList
from activeclient.engine.retry import RetryPolicy, Strategy, safe_pause
from activeclient.errors import (
    ActiveClientError,
    ConfigError,
    ConnectFailed,
    HandshakeTimeout,
    LocalProtocolError,
    ReconnectGaveUp,
)
from activeclient.events import Connect, Endpoint
from activeclient.reconnection import Abort, Decision, Question

SHORT_LIFE = 1.0
"""Seconds; an established link that is lost sooner may be one that the broker takes and throws away again."""

SHORT_LIVES_FOR_FREE = 5
"""So many of them in a row are won back at once; after that the policy's pauses come before the first attempt too."""


class State(enum.Enum):
    """Where a link is in its life."""

    DOWN = "down"
    CONNECTING = "connecting"
    HANDSHAKING = "handshaking"
    UP = "up"
    WAITING = "waiting"
    CLOSED = "closed"


class Input(enum.Enum):
    """What can happen to a link."""

    OPEN = "open"
    CONNECTED = "connected"
    ESTABLISHED = "established"
    LOST = "lost"
    RETRY = "retry"
    GIVE_UP = "give up"
    CLOSE = "close"


S, I = State, Input  # noqa: E741 - the table reads better
TRANSITIONS: dict[tuple[State, Input], State] = {
    (S.DOWN, I.OPEN): S.CONNECTING,
    (S.CONNECTING, I.CONNECTED): S.HANDSHAKING,
    (S.HANDSHAKING, I.ESTABLISHED): S.UP,
    (S.CONNECTING, I.LOST): S.WAITING,
    (S.HANDSHAKING, I.LOST): S.WAITING,
    (S.UP, I.LOST): S.WAITING,
    (S.WAITING, I.RETRY): S.CONNECTING,
    (S.WAITING, I.GIVE_UP): S.CLOSED,
    **{(s, I.CLOSE): S.CLOSED for s in S if s is not S.CLOSED},
}

CROSSED: frozenset[tuple[State, Input]] = frozenset(
    {
        (S.DOWN, I.LOST),
        (S.WAITING, I.LOST),
        (S.CLOSED, I.LOST),
        (S.WAITING, I.CONNECTED),
        (S.CLOSED, I.CONNECTED),
        (S.CLOSED, I.ESTABLISHED),
        (S.UP, I.ESTABLISHED),
        (S.CLOSED, I.CLOSE),
    }
)
"""Reports that crossed our own decision on the way, and repetitions: they change nothing. All else is a bug of ours."""


class Link:
    """One link, without its socket: it asks for transports (`take_connect`) and is told what became of them.

    Args:
        endpoints: Which endpoint next.
        initial: When to try again until the link was established for the first time.
        reconnect: The same for each later outage.
        connect_timeout: Seconds for an attempt to open a transport, name resolution and TLS included.
        handshake_timeout: Seconds from the transport to an established session, or from one progress to the next.
        asks: Each attempt after a loss waits for a decision (`take_question`, `decided`); `reconnect` says the pause
            that counts where the decision is left to it.

    Raises:
        ConfigError: a time-out that is not positive.
        LocalProtocolError: (from the methods) an input that the state does not have.

    All times are seconds of one monotonic clock, handed in.
    """

    def __init__(
        self,
        endpoints: EndpointList,
        initial: Strategy,
        reconnect: Strategy,
        *,
        connect_timeout: float,
        handshake_timeout: float,
        asks: bool = False,
    ) -> None:
        for name, value in (("connect_timeout", connect_timeout), ("handshake_timeout", handshake_timeout)):
            if not (value > 0):
                raise ConfigError(name, value, "seconds, more than 0")
        self.state: State = State.DOWN
        self.endpoint: Endpoint | None = None
        """Of the attempt under way, or of the link; while waiting: of the last attempt."""
        self.attempts: int = 0
        """Transports asked for in this outage (or for the first connect); kept when it ends, until the next begins."""
        self.lost_at: float | None = None
        """When the established link was lost; None when none was lost, or it is back."""
        self.last_error: ActiveClientError | None = None
        self.outage_limit: float | None = None
        """Seconds after which an outage ends in any case: what it would be won back for does not exist any more."""
        self._endpoints = endpoints
        self._initial = initial
        self._reconnect = reconnect
        self._strategy = initial
        self._connect_timeout = connect_timeout
        self._handshake_timeout = handshake_timeout
        self._began = 0.0
        self._rounds = 0
        self._failover_rounds: int | None = None
        self._established_at = 0.0
        self._short_lives = 0
        self._retry_at_once = False
        self._deadline: float | None = None
        self._give_up_at: float | None = None
        self._connect: Connect | None = None
        self._asks = asks
        self._serial = 0
        self._question: Question | None = None
        self._pause_without_answer = 0.0
        self._undecided = False
        self._chosen: Endpoint | None = None
        self._gave_up: ActiveClientError | None = None

    @property
    def gave_up(self) -> ActiveClientError | None:
        """Why the link was given up: what made trying again senseless, the first connect's last error, or
        `ReconnectGaveUp` whose cause is the last error. None when it was not, or was closed by its user."""
        return self._gave_up

    @property
    def retry_at(self) -> float | None:
        """When the next attempt begins, while waiting for it."""
        return self._deadline if self.state is State.WAITING else None

    def open(self, now: float) -> None:
        """Begin to connect. The first attempt comes at once and is not asked for."""
        self._enter(Input.OPEN)
        self._begin(self._initial, now)
        self._attempt(now)

    def connected(self, now: float) -> None:
        """The transport stands; now somebody has to speak the protocol behind it."""
        if self._enter(Input.CONNECTED):
            self._deadline = now + self._handshake_timeout

    def established(self, now: float) -> None:
        """A session works: the outage is over, the next one has all attempts again."""
        if not self._enter(Input.ESTABLISHED) or self.endpoint is None:
            return
        self._deadline = self._give_up_at = None
        self._established_at = now
        self.lost_at = None
        self._endpoints.succeeded(self.endpoint)

    def progressed(self, now: float, *, further: bool = True) -> None:
        """Give the new connection, whose sessions are being brought back, its time anew. Ignored where none stands.

        Args:
            further: It carries what sessions miss and need not get again: should it be cut, the pauses between attempts
                do not grow. False while sessions are made anew, which the next connection begins from the start.
        """
        if self.state is State.HANDSHAKING:
            self._deadline = now + self._handshake_timeout
            if further:
                self._rounds = 0

    def retry_at_once(self) -> None:
        """Make the next attempt at the same broker, as if it were the first of the outage, and do not count it.

        To be called before `lost`, for a link that was used to find out which command ends it.
        """
        self._retry_at_once = True

    def lived(self) -> None:
        """The link that is about to be lost did its work: its short life says nothing against the next."""
        self._short_lives = 0
        self._established_at = -math.inf

    def lost(self, reason: ActiveClientError, now: float) -> None:
        """The transport ended, the attempt failed, or the peer cannot be used. Ignored where nothing is to be lost."""
        if (self.state, Input.LOST) in CROSSED:
            return
        was_up = self.state is State.UP
        self.last_error = reason
        self._connect = self._deadline = None
        if was_up:
            self.lost_at = now
            short = now - self._established_at < SHORT_LIFE
            self._short_lives = self._short_lives + 1 if short else 0
            self._begin(self._reconnect, now)
        self._enter(Input.LOST)  # behind what is done again if it is interrupted; from here on see `rearm`
        if not reason.retriable:
            self._end(reason)
        elif self._give_up_at is not None and now >= self._give_up_at:
            self._out_of_attempts(now)
        else:
            self._wait(was_up, now)

    def rearm(self, now: float, asked: int) -> None:
        """Decide again how to go on if an interrupt came before that was noted.

        Args:
            asked: The serial of the last question that was passed on.
        """
        if self.state is not State.WAITING or self._deadline is not None:
            return
        if not self._undecided:
            self._wait(False, now)
        elif self._serial != asked:
            self._ask(self._pause_without_answer, now)

    def handle_timeout(self, now: float) -> ActiveClientError | None:
        """A deadline may have passed.

        Returns:
            Why the attempt under way was ended, if it was: its transport has to be aborted. Else None.
        """
        if self._give_up_at is not None and now >= self._give_up_at:
            reason = self._too_late() if self.state is not State.WAITING else None
            if reason is not None:
                self.lost(reason, now)
            else:
                self._out_of_attempts(now)
            return reason
        if self._deadline is None or now < self._deadline:
            return None
        if self.state is State.WAITING:
            self._enter(Input.RETRY)
            self._attempt(now)
            return None
        reason = self._too_late()
        self.lost(reason, now)
        return reason

    def next_timeout(self) -> float | None:
        """The earliest deadline, or None."""
        times = [t for t in (self._deadline, self._give_up_at) if t is not None and t < math.inf]
        return min(times) if times else None

    def take_connect(self) -> Connect | None:
        """The attempt that the driver shall make now, once."""
        connect, self._connect = self._connect, None
        return connect

    def take_question(self) -> Question | None:
        """The question that waits for `decided`, once."""
        question, self._question = self._question, None
        return question

    def decided(self, serial: int, decision: Decision | None, now: float) -> bool:
        """The answer to a question; None leaves it to the policy. False if the question is no more."""
        if self.state is not State.WAITING or not self._undecided or serial != self._serial:
            return False
        self._undecided = False
        if isinstance(decision, Abort):
            text = f": {decision.reason}" if decision.reason else ""
            self._end(ReconnectGaveUp(f"the reconnection strategy aborted{text}"), self.last_error)
            return True
        pause = self._pause_without_answer if decision is None else safe_pause(decision.after)
        self._chosen = None if decision is None else decision.endpoint
        if pause > 0:
            self._deadline = now + pause
        else:
            self._enter(Input.RETRY)
            self._attempt(now)
        return True

    def close(self, now: float) -> None:
        """End it for good, from any state; a second time does nothing."""
        if self._enter(Input.CLOSE):
            self._disarm()

    def _enter(self, what: Input) -> bool:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            if (self.state, what) in CROSSED:
                return False
            raise LocalProtocolError(f"a link that is {self.state.value} has no input {what.value!r}") from None
        return True

    def _begin(self, strategy: Strategy, now: float) -> None:
        self._strategy = strategy
        self._began = now
        self.attempts = self._rounds = 0
        self._failover_rounds = None
        limits = [strategy.give_up_after] if isinstance(strategy, RetryPolicy) else []
        if self.lost_at is not None:
            limits.append(self.outage_limit)
        self._give_up_at = min((now + limit for limit in limits if limit is not None), default=None)
        self._endpoints.begin_outage()

    def _attempt(self, now: float) -> None:
        chosen, self._chosen = self._chosen, None
        self.endpoint = self._endpoints.next() if chosen is None else self._endpoints.take(chosen)
        self.attempts += 1
        end = now + self._connect_timeout
        timeout = self._connect_timeout
        if self._give_up_at is not None and self._give_up_at < end:
            timeout = self._give_up_at - now
        self._deadline = end
        self._connect = Connect(self.endpoint, self.attempts, timeout)

    def _wait(self, was_up: bool, now: float) -> None:
        """In WAITING: go on at once, arm the pause, or give up."""
        try:
            at_once, self._retry_at_once = self._retry_at_once, False
            pause = self._strategy(0, 0.0) if at_once else None
            if pause is not None:
                self._chosen = self.endpoint
            else:
                pause = self._first_pause() if was_up else self._pause(now - self._began)
            pause = None if pause is None else safe_pause(pause)
        except Exception as error:  # a user's strategy: its failure must not leave a link that nobody tends
            self._end(ReconnectGaveUp(f"the retry strategy failed: {error!r}"), error)
            return
        if pause is None:
            self._out_of_attempts(now)
        elif self._asks and self.lost_at is not None:
            self._ask(pause, now)
        elif pause > 0:
            self._deadline = now + pause
        else:
            self._enter(Input.RETRY)
            self._attempt(now)

    def _ask(self, pause: float, now: float) -> None:
        """Wait for a decision: no deadline but that of the whole series."""
        self._deadline = None
        self._pause_without_answer = pause
        self._serial += 1
        self._undecided = True
        known = self._endpoints.upcoming()
        elapsed = now - self._began
        self._question = Question(self._serial, self.attempts + 1, elapsed, self.last_error, known[0], known)

    def _first_pause(self) -> float | None:
        """Before the first attempt of an outage: none, unless links keep dying as soon as they are established."""
        pause = self._strategy(0, 0.0)
        if pause is None:
            return self._fail_over()
        excess = self._short_lives - SHORT_LIVES_FOR_FREE
        if excess > 0 and isinstance(self._strategy, RetryPolicy):
            pause = max(safe_pause(pause), self._strategy.between(excess, 0.0))
        return pause

    def _pause(self, elapsed: float) -> float | None:
        """After a failed attempt."""
        policy = self._strategy if isinstance(self._strategy, RetryPolicy) else None
        if not self._endpoints.round_complete():
            if policy is None or self._failover_rounds is not None:
                return 0.0
            if policy.over(self._rounds, elapsed):
                return None
            return policy.between(self._rounds + 1, elapsed) if policy.every_try else 0.0
        if policy is not None and self._failover_rounds is not None:
            self._failover_rounds += 1
            if not self._endpoints.failover(self._failover_rounds):
                return None
            return policy.between(self._failover_rounds, elapsed)
        self._rounds += 1
        pause = self._strategy(self._rounds, elapsed)
        return self._fail_over() if pause is None else pause

    def _fail_over(self) -> float | None:
        """The attempts for the own pair are used up: go to the other servers at once, if that is wanted.

        Only after a policy's end: a strategy of the user's own that says None means it.
        """
        if self.lost_at is None or not isinstance(self._strategy, RetryPolicy) or not self._endpoints.failover(0):
            return None
        self._failover_rounds = 0
        return 0.0

    def _too_late(self) -> ActiveClientError:
        if self.state is State.HANDSHAKING:
            return HandshakeTimeout(f"{self.endpoint}: the connection opened, but no session was established in time")
        return ConnectFailed(f"{self.endpoint}: no connection in time")

    def _out_of_attempts(self, now: float) -> None:
        cause = self.last_error
        if self.lost_at is None and cause is not None:
            self._end(cause)
            return
        spent = f"after {self.attempts} attempt(s) in {now - self._began:.3f} s" if self.attempts else "unattempted"
        self._end(ReconnectGaveUp(f"the connection was given up {spent}: {cause}"), cause)

    def _end(self, error: ActiveClientError, cause: BaseException | None = None) -> None:
        if cause is not None:
            error.__cause__ = cause
        self._gave_up = error  # first: interrupted later, that it ends is known
        self._enter(Input.GIVE_UP)
        self._disarm()

    def _disarm(self) -> None:
        self._deadline = self._give_up_at = self._connect = self._question = None
        self._undecided = False


def link_diagram() -> str:
    """The state picture of a link as a Mermaid diagram, drawn from TRANSITIONS."""
    lines = [f"    [*] --> {State.DOWN.name}"]
    lines += [f"    {old.name} --> {new.name}: {what.value}" for (old, what), new in TRANSITIONS.items()]
    lines.append(f"    {State.CLOSED.name} --> [*]")
    return "\n".join(["stateDiagram-v2", *lines, ""])
