"""One lifetime: a client, its applications, a broker and a network, made from a seed, run to its end and judged.

Law of this file: everything comes from the seed, so a failure is repeated by its number; faults end at a time that is
known beforehand, and from then on everything must come to rest within a bound. Judged is by the broker's ledger and
what the applications were told, never by the engine's own view.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from activeclient.engine.client import ClientConfig, ClientEngine
from activeclient.engine.failover import EndpointList
from activeclient.engine.link import Link
from activeclient.engine.requests import Pending
from activeclient.engine.retry import artemis_policy, initial_policy
from activeclient.engine.session import Session, SessionConfig, State
from activeclient.errors import ActiveClientError, JMSSecurityError
from activeclient.events import (
    Closed,
    ConnectAttemptFailed,
    Connected,
    ConsumerLost,
    Detached,
    Endpoint,
    GaveUp,
    Reconnected,
)
from tests.world.acknowledging import Acknowledger
from tests.world.actors import (
    DONE,
    NOT_SENT,
    UNKNOWN,
    Actor,
    LargeSender,
    Mover,
    Producer,
    Receiver,
    Requester,
    Sender,
    TemporaryReceiver,
    TransactedProducer,
    body_of,
)
from tests.world.broker import Broker, Habits, Key, Queue, Stored
from tests.world.clock import Clock, LiveLock
from tests.world.driver import Driver
from tests.world.network import Connection, Weather
from tests.world.storm import Storm

STEPS = 60_000
REST = 60.0
"""Seconds after the last fault within which everything must be at rest."""
LATE = 8.0
"""Seconds in which what was under way when the connection ended may still arrive at the broker."""
SLOWEST_CONNECT = 30.0
LARGEST = 2500


class Failure(AssertionError):
    """A lifetime that broke a promise."""


class Creation(Pending):
    """Waits for a session."""

    def settled(self, session: Session) -> None:
        self.done = True

    def failed(self, session: Session, error: ActiveClientError) -> None:
        self.done = True
        self.error = error


@dataclass(slots=True)
class Plan:
    """What the seed decided; shown when a lifetime fails."""

    lossless: bool
    """No fault ends a session on the server: nothing may show."""
    window: int
    ttl: float
    cuts: int
    byte_cuts: int
    bad_connects: int
    crashes: int
    outages: int
    fault_seconds: float
    ending: str
    """`rest`, or the user closes the connection amid the faults, or it is given up, or the broker lets nobody in."""
    handshake: float
    """Seconds; in more than 2 of them a session that waits for the end of the one before goes on without it."""
    gate: bool
    """A recreation waits until the session before is gone."""
    never_reattaches: bool
    """The broker is one that lets no session be reattached; or it becomes one, or ceases to be, when it restarts."""
    stalls: bool = False
    """What was written to a connection that the client gave up may be read long after."""
    setups: list[str] = field(default_factory=list)


class Preloaded(Sender):
    """Messages that were in a queue before anybody came."""

    finished = True

    def step(self) -> float | None:
        return None


class World:
    """One lifetime.

    Args:
        seed: Its number.
        setups: What the applications do, instead of what the seed says.
        lossless: Whether every session outlives the faults, instead of what the seed says.
        stormy: Whether calls of the engine are interrupted, too.
    """

    def __init__(
        self, seed: int, *, setups: tuple[str, ...] | None = None, lossless: bool | None = None, stormy: bool = False
    ) -> None:
        self.seed = seed
        rng = self.rng = random.Random(seed)
        self.clock = Clock(STEPS)
        drawn = rng.random() < 0.6
        lossless = drawn if lossless is None else lossless
        self._setups = setups
        self.plan = Plan(
            lossless=lossless,
            window=rng.choice((1, 600, 4000, 32768, 1 << 20) if lossless else (-1, -1, 0, 1, 600, 4000, 1 << 20)),
            ttl=60.0 if lossless else rng.choice((3.0, 6.0)),
            cuts=rng.randint(1, 8),
            byte_cuts=rng.randint(1, 8),
            bad_connects=rng.randint(0, 3),
            crashes=0 if lossless or rng.random() < 0.5 else 1,
            outages=0 if lossless else rng.choice((0, 0, 1)),
            fault_seconds=rng.choice((0.06, 0.2, 0.6)),
            ending=rng.choice(("rest",) * 8 + ("close", "give up")),
            handshake=1.5,
            gate=False,
            never_reattaches=False,
        )
        self._more = random.Random(f"more of {seed}")
        """Decides what was added later, so that older lifetimes are as they were."""
        self._stalls = random.Random(f"stalls of {seed}")
        """The same for what is read late."""
        self.plan.stalls = self._stalls.random() < 0.4
        more = self._more
        self.plan.gate = more.random() < 0.7
        self.plan.handshake = more.choice((1.5, 4.0))
        if not lossless:
            self.plan.never_reattaches = more.random() < 0.25
            if self.plan.ending == "give up" and more.random() < 0.5:
                self.plan.ending = "locked out"
        if not lossless and not self.plan.crashes and not self.plan.outages:
            self.plan.cuts += 1
        self.weather = Weather(
            rng.choice((0.0002, 0.001, 0.01)), rng.choice((0.0, 0.001, 0.01)), rng.choice((0.0, 0.3))
        )
        self.broker = Broker(
            self.clock,
            random.Random(rng.random()),
            Habits(
                storage=rng.choice((0.0, 0.004, 0.02, 0.05)),
                move=rng.choice((0.0, 0.003, 0.02)),
                starting=0.0 if lossless else rng.choice((0.0, 0.3)),
                reattaches=not self.plan.never_reattaches,
            ),
        )
        starving = random.Random(f"starving of {seed}")
        if not lossless and (starving.random() < 0.3 or "starving" in (setups or ())):
            self.broker.habits.late = starving.choice((0.01, 0.05, 0.2))
            self.broker.habits.flush = starving.choice((0.0, 0.1, 1.0))
            self.broker.starving = starving
            self.plan.gate = True
        self.outage_until = -1.0
        self.began = -1.0
        """When the first connection stood, and the faults began."""
        self.byte_cuts_left = self.plan.byte_cuts
        self.bad_connects_left = self.plan.bad_connects
        self.transport: Connection | None = None
        self.actors: list[Actor] = []
        self.senders: dict[str, Sender] = {}
        self.receivers: dict[str, Receiver] = {}
        self.sessions: list[Session] = []
        self.problems: list[str] = []
        self.deleted: set[str] = set()
        """Queues that an administrator deleted."""
        self.driver = self._client()
        self._populate()
        if stormy:
            self.driver.storm = Storm(self.clock, random.Random(f"storm of {seed}"), lambda: self.quiet_from)
        self.driver.on_connected = self._plan_faults
        self.driver.after = self._wake

    # --- making -------------------------------------------------------------------------------------------------------

    def _client(self) -> Driver:
        rng = random.Random(self.rng.random())
        attempts = 8 if self.plan.ending == "give up" else -1
        endpoints = EndpointList([Endpoint(host="broker", port=61616)], ha=False, failover_attempts=0)
        link = Link(
            endpoints,
            initial_policy(50, 1.5, 400, attempts),
            artemis_policy(50, 1.5, 400, attempts),
            connect_timeout=1.0,
            handshake_timeout=self.plan.handshake + 8 * (self.weather.latency + self.weather.jitter),
        )
        config = ClientConfig(connection_ttl=self.plan.ttl, check_period=self.plan.ttl / 4)
        serial = iter(range(1_000_000))
        engine = ClientEngine(config, link, endpoints, lambda: f"{rng.getrandbits(64):016x}-{next(serial):019d}")
        return Driver(self, engine)

    def _session(self, *, transacted: bool = False, acknowledging: bool = False) -> Session:
        config = SessionConfig(
            user="user",
            window=self.plan.window,
            auto_commit_sends=not transacted,
            auto_commit_acks=not (transacted or acknowledging),
            min_large_message_size=300,
            producer_window=self.rng.choice((600, 4000, 65536)),
            # Always for temporary queues, as every connection that recreates has it: else their end may go unnoticed.
            # And where the application acknowledges: who else has a message cannot be seen from a queue that lacks it.
            gate=self.plan.gate or acknowledging or "temporary" in self.plan.setups,
        )
        session = self.driver.engine.create_session(config, self.clock.now)
        session.creation = Creation()
        self.sessions.append(session)
        return session

    def _rng(self) -> random.Random:
        return random.Random(self.rng.random())

    def _populate(self) -> None:
        rng = self.rng
        drawn = rng.sample(
            ("same", "pair", "mover", "requests", "large", "transactions", "stream"), rng.choice((1, 1, 2))
        )
        self._acknowledging = random.Random(f"acknowledging of {self.seed}")
        if self._acknowledging.random() < 0.2:
            drawn[0] = "held"
        if self._more.random() < 0.15:
            drawn[self._more.randrange(len(drawn))] = self._more.choice(("temporary", "temporary", "deleted"))
        self.plan.setups = list(self._setups) if self._setups is not None else drawn
        for setup in self.plan.setups:
            getattr(self, f"_make_{setup}")()

    def _queue(self, name: str) -> str:
        self.broker.queues[name] = Queue(name)
        return name

    def _add(self, actor: Actor) -> None:
        self.actors.append(actor)
        if isinstance(actor, Sender):
            self.senders[actor.name] = actor
        if isinstance(actor, Receiver):
            self.receivers[actor.queue] = actor

    def _producer(self, session: Session, name: str, queue: str, total: int) -> None:
        rng = self.rng
        mode = (
            rng.choice(("blocking", "handler", "nothing")) if session.windowed else rng.choice(("blocking", "handler"))
        )
        self._add(
            Producer(
                self,
                session,
                self._rng(),
                name,
                queue,
                total,
                duplicate_ids=rng.random() < 0.5,
                mode=mode,
                durable=rng.choice((0.0, 0.5, 1.0, 1.0)),
            )
        )

    def _receiver(self, session: Session, queue: str) -> None:
        self._add(
            Receiver(
                self,
                session,
                self._rng(),
                queue,
                mode=self.rng.choice(("each", "batch", "individual", "blocking")),
                window=self.rng.choice((0, 700, 4000, 1 << 20, -1)),
            )
        )

    def _make_same(self) -> None:
        session = self._session()
        queue = self._queue("same")
        self._producer(session, "a", queue, self.rng.randint(20, 100))
        self._receiver(session, queue)

    def _make_pair(self) -> None:
        queue = self._queue("pair")
        self._producer(self._session(), "b", queue, self.rng.randint(20, 100))
        self._receiver(self._session(), queue)

    def _make_requests(self) -> None:
        session = self._session()
        self._queue("known")
        self._add(Requester(self, session, self._rng(), "r", self.rng.randint(5, 25)))
        if self.rng.random() < 0.5:
            queue = self._queue("beside")
            self._producer(session, "c", queue, self.rng.randint(5, 30))
            self._receiver(session, queue)

    def _preload(self, name: str, queue: str, total: int, sizes: type[Sender] = Sender) -> None:
        sender = Preloaded(self, self.sessions[0], self._rng(), name, queue, total, duplicate_ids=False)
        sender.next_number = total
        self.senders[name] = sender
        for number in range(total):
            sender.told[number] = DONE
            sender.endings[number] = 1
            header = sender.frame(number, durable=True, correlation_id=0, asks=False)
            end = int.from_bytes(header[13:17], "big") + 4
            self.broker.store(Stored(header[end:-13], header[17:end], large=False))

    def _make_stream(self) -> None:
        session = self._session()
        queue = self._queue("stream")
        self._preload("s", queue, self.rng.randint(40, 150))
        self._receiver(session, queue)

    def _make_mover(self) -> None:
        source, target = self._queue("source"), self._queue("target")
        session = self._session(transacted=True)
        self._preload("m", source, self.rng.randint(20, 60))
        moved = Preloaded(self, session, self._rng(), "moved", target, 0, duplicate_ids=self.rng.random() < 0.5)
        self.senders["moved"] = moved
        window = self.rng.choice((700, 1 << 20, -1))
        self._add(Mover(self, session, self._rng(), source, moved, window=window))
        if self.rng.random() < 0.5:
            self._receiver(self._session(), target)

    def _make_large(self) -> None:
        queue = self._queue("large")
        session = self._session()
        self._add(
            LargeSender(
                self, session, self._rng(), "l", queue, self.rng.randint(6, 20), duplicate_ids=self.rng.random() < 0.7
            )
        )
        self._receiver(session if self.rng.random() < 0.5 else self._session(), queue)

    def _make_temporary(self) -> None:
        """The queue of the session itself, which ends with the connection on the server."""
        session = self._session()
        mode, window = (
            self.rng.choice(("each", "batch", "individual", "blocking")),
            self.rng.choice((0, 700, 1 << 20, -1)),
        )
        receiver = TemporaryReceiver(self, session, self._rng(), "temporary", mode=mode, window=window)
        self._producer(session, "p", "temporary", self.rng.randint(10, 60))
        producer = self.actors[-1]
        assert isinstance(producer, Producer)
        producer.behind = receiver
        self._add(receiver)

    def _make_deleted(self) -> None:
        """A queue that an administrator deletes under its consumer."""
        session = self._session()
        queue = self._queue("deleted")
        self._preload("d", queue, self.rng.randint(20, 60))
        self._receiver(session, queue)

    def _make_held(self) -> None:
        """One or two consumers in CLIENT or INDIVIDUAL mode, and perhaps a producer beside them in their session."""
        rng = self._acknowledging
        queue = self._queue("held")
        session = self._session(acknowledging=True)
        total = rng.randint(20, 80)
        if rng.random() < 0.5:
            self._preload("h", queue, total)
        else:
            sending = session if rng.random() < 0.5 else self._session()
            self._producer(sending, "h", queue, total)
        individual = rng.random() < 0.5
        window = rng.choice((0, 700, 4000, 1 << 20, -1))
        self._add(Acknowledger(self, session, self._rng(), queue, individual=individual, window=window))

    def _make_neighbours(self) -> None:
        """Consumers that fetch a part of their queues ahead, side by side, before a broker that writes slowly: it ends
        one after the other."""
        self.plan.gate, self.plan.window = True, -1
        self.broker.habits.storage = self.rng.choice((0.02, 0.045))
        for number in range(3):
            session = self._session()
            queue = self._queue(f"neighbour{number}")
            self._preload(f"n{number}", queue, self.rng.randint(40, 100))
            mode = self.rng.choice(("each", "batch", "individual", "blocking"))
            self._add(Receiver(self, session, self._rng(), queue, mode=mode, window=self.rng.choice((700, 1500))))

    def _make_starving(self) -> None:
        """A producer that does not wait, with duplicate ids, before a broker that gets no processor."""
        queue = self._queue("starving")
        self._add(
            Producer(
                self,
                self._session(),
                self._rng(),
                "v",
                queue,
                self.rng.randint(40, 100),
                duplicate_ids=True,
                mode="handler",
                durable=1.0,
            )
        )
        self._receiver(self._session(), queue)

    def _make_transactions(self) -> None:
        queue = self._queue("committed")
        session = self._session(transacted=True)
        self._add(
            TransactedProducer(
                self, session, self._rng(), "t", queue, self.rng.randint(20, 60), duplicate_ids=self.rng.random() < 0.6
            )
        )
        self._receiver(self._session(), queue)

    # --- faults -------------------------------------------------------------------------------------------------------

    def _plan_faults(self) -> None:
        rng = self.rng
        plan = self.plan
        begin = self.began = self.clock.now
        for _ in range(plan.cuts):
            self.clock.at(begin + 0.001 + rng.random() * plan.fault_seconds, self.cut)
        for _ in range(plan.crashes):
            end = self.broker.crash if rng.random() < 0.7 else self.broker.stop
            down = rng.choice((0.01, 0.5))
            self.clock.at(begin + rng.random() * plan.fault_seconds, lambda end=end, down=down: end(down))  # type: ignore[misc]
        if self.broker.habits.flush:
            self.broker.killed_until = begin + plan.fault_seconds
        for _ in range(plan.outages):
            self.clock.at(begin + rng.random() * plan.fault_seconds, self._long_outage)
        if rng.random() < 0.2:
            address = rng.choice(list(self.broker.queues) or ["temporary"])
            self.clock.at(begin + rng.random() * plan.fault_seconds, lambda: self.broker.blocked.add(address))
            self.clock.at(begin + plan.fault_seconds + 0.5, self.broker.unblock)

        if rng.random() < 0.3 and (names := [n for n in ("same", "pair", "beside") if n in self.broker.queues]):
            full = rng.choice(names)
            self.clock.at(begin + rng.random() * plan.fault_seconds, lambda: self.broker.failing.add(full))
            self.clock.at(begin + plan.fault_seconds, self.broker.unblock)
        if plan.ending != "rest":
            end_it = {"close": self._close, "give up": self._no_more, "locked out": self._lock_out}[plan.ending]
            self.clock.at(begin + rng.random() * plan.fault_seconds, end_it)
        if "deleted" in plan.setups:
            self.clock.at(begin + self._more.random() * plan.fault_seconds, self._delete_queue)
        if self._more.random() < 0.1 and not plan.lossless:
            self.clock.at(begin + self._more.random() * plan.fault_seconds, self._replace_broker)

    def _delete_queue(self) -> None:
        self.deleted.add("deleted")
        queue = self.broker.queues.get("deleted")
        if queue is not None:
            self.broker.delete_queue(queue)

    def _replace_broker(self) -> None:
        """The broker comes back in another version."""
        self.broker.crash(0.01)
        self.broker.replaced = True
        self.broker.habits.reattaches = not self.broker.habits.reattaches

    def _lock_out(self) -> None:
        """The broker is restarted, and its users are others."""
        self.broker.locked = True
        self.broker.crash(0.01)

    def _close(self) -> None:
        self.driver.engine.close(self.clock.now)
        self.driver.process()

    def _no_more(self) -> None:
        self.outage_until = 1e9
        self.cut()

    @property
    def ended(self) -> bool:
        """Was the connection closed or given up, so that whatever waits fails?"""
        engine = self.driver.engine
        return (
            engine.closed
            or engine.gave_up is not None
            or (self.broker.locked and all(session.state is State.CLOSED for session in self.sessions))
        )

    @property
    def ends(self) -> bool:
        """Will it end, although it looks at rest now?"""
        return self.broker.locked or self.outage_until >= 1e9

    def _long_outage(self) -> None:
        self.outage_until = max(self.outage_until, self.clock.now + self.plan.ttl + 4)
        self.cut()

    @property
    def quiet_from(self) -> float:
        """No connection is cut from here on."""
        return self.began + self.plan.fault_seconds if self.began >= 0 else SLOWEST_CONNECT

    @property
    def faults_end(self) -> float:
        """From here on nothing bad happens."""
        return max(self.quiet_from + 1.0, self.outage_until if self.outage_until < 1e9 else 0.0)

    def cut(self, *, keep_up: float | None = None, keep_down: float | None = None) -> None:
        """Cut the connection of now."""
        transport = self.transport
        if transport is None:
            return
        rng = self.rng
        client: float | None = rng.choice((0.0, 0.0, 0.002))
        server: float | None = rng.choice((0.0, 0.004, None))
        if not self.plan.lossless and rng.random() < 0.15:
            client = None
        if self.plan.stalls and self._stalls.random() < 0.4:
            transport.up.held_until = self.clock.now + self.stall()
        transport.cut(
            client_notices=client,
            server_notices=server,
            keep_up=rng.choice((0.0, 1.0, rng.random())) if keep_up is None else keep_up,
            keep_down=rng.choice((0.0, 1.0, rng.random())) if keep_down is None else keep_down,
        )

    def stall(self) -> float:
        """Seconds in which nobody reads."""
        return self._stalls.choice((0.02, 0.2, 1.0, 4.0))

    def fate_of_connect(self) -> str:
        """What becomes of an attempt to connect."""
        rng = self.rng
        if self.clock.now < self.outage_until:
            return rng.choice(("refuse", "refuse", "hang"))
        if self.bad_connects_left > 0 and self.clock.now < self.quiet_from and rng.random() < 0.4:
            self.bad_connects_left -= 1
            return rng.choice(("refuse", "hang", "silent"))
        if self.plan.stalls and self.clock.now < self.quiet_from and self._stalls.random() < 0.15:
            return "late"
        return "ok"

    def new_connection(self) -> Connection:
        """A connection, perhaps one that will be cut at some byte."""
        rng = self.rng
        transport = self.transport = Connection(self.clock, rng, self.weather)
        if (
            self.byte_cuts_left > 0
            and self.clock.now < self.quiet_from
            and rng.random() < (0.8 if self.began >= 0 else 0.2)
        ):
            self.byte_cuts_left -= 1
            scale = rng.choice((60, 400, 3000, 12000))
            if rng.random() < 0.5:
                transport.up.cut_at = rng.randint(1, scale)
                transport.up.on_cut = lambda: self._cut_at_byte(transport, up=True)
            else:
                transport.down.cut_at = rng.randint(1, scale)
                transport.down.on_cut = lambda: self._cut_at_byte(transport, up=False)
        return transport

    def _cut_at_byte(self, transport: Connection, *, up: bool) -> None:
        if transport is self.transport:
            self.cut(keep_up=1.0 if up else None, keep_down=None if up else 1.0)

    # --- running ------------------------------------------------------------------------------------------------------

    def body(self, key: Key) -> bytes:
        """What the body of a message must be."""
        return body_of(key[0], key[1], self.senders[key[0]].size_of(key[1]))

    def number_of(self, key: Key) -> int:
        """The number under which a message is moved."""
        return key[1]

    def some_queue(self) -> str:
        """A queue that exists."""
        return "known"

    def _wake(self) -> None:
        now = self.clock.now
        for actor in self.actors:
            if actor.ready_at <= now:
                self._step(actor)
        self._check_bounds()

    def _step(self, actor: Actor) -> None:
        creation = actor.session.creation
        if actor.stepping or creation is None or not creation.done:
            return
        actor.stepping = True
        pause = actor.step()
        actor.stepping = False
        if pause is not None:
            actor.ready_at = self.clock.now + max(pause, 0.00001)
            self.clock.at(actor.ready_at, self.driver.process)

    def _check_bounds(self) -> None:
        for session in self.sessions:
            buffer = session.buffer
            if session.windowed and buffer.used > buffer.limit + LARGEST:
                self.problems.append(f"{self.clock.now:.4f}: {buffer.used} bytes unconfirmed, allowed {buffer.limit}")
            for consumer in session.consumers.values():
                if consumer.window > 0:
                    waiting = sum(message.frame_size for message in consumer.buffer)
                    if waiting > consumer.window + LARGEST:
                        self.problems.append(f"{self.clock.now:.4f}: {waiting} bytes prefetched of {consumer.window}")

    @property
    def at_rest(self) -> bool:
        """Is there nothing left to happen?"""
        return (
            all(actor.finished for actor in self.actors)
            and self.broker_at_rest
            and all(
                not session.buffer and not session.pending and session.current is None and session.usable
                for session in self.sessions
            )
        )

    @property
    def broker_at_rest(self) -> bool:
        """Queues that somebody consumes are empty, nothing is open."""
        broker = self.broker
        if broker.returning or any(queue.refs for queue in broker.queues.values() if queue.name in self.receivers):
            return False
        return all(
            not session.operations
            and not session.tx_sends
            and not session.tx_acks
            and not any(consumer.delivering for consumer in session.consumers.values())
            for session in broker.sessions.values()
        )

    def run(self) -> None:
        """Live.

        Raises:
            Failure: A promise was broken; the text says which, and how to repeat it.
        """
        self.driver.open()
        clock = self.clock
        count = 0
        try:
            while clock.now < self.faults_end + REST:
                clock.step(self.faults_end + REST)
                count += 1
                if count & 15 == 0 and clock.now > self.quiet_from and (self.ended or (self.at_rest and not self.ends)):
                    break
            if self.ended:
                late = clock.now + LATE
                while clock.now < late:
                    clock.step(late)
        except LiveLock as error:
            self.problems.append(str(error))
        if self.ended:
            self._judge_end()
        elif self.ends:
            self.problems.append("the connection was not given up")
        elif not self.at_rest:
            self.problems.append(
                f"no rest at {clock.now:.3f} s, faults ended at {self.faults_end:.3f} s: {self._unrest()}"
            )
        self._judge()
        gave_up = self.driver.engine.gave_up is not None
        self.driver.engine.close(clock.now)
        self.driver.process()
        if not gave_up and not any(isinstance(event, Closed) for _, event in self.driver.log):
            self.problems.append("no Closed event")
        if self.problems:
            shown = "\n  ".join(self.problems[:12])
            raise Failure(
                f"seed {self.seed} ({self.plan}):\n  {shown}\n"
                f"again with: python -m tests.world --seeds {self.seed}:{self.seed + 1}"
            )

    def _unrest(self) -> str:
        parts = [f"{type(actor).__name__} not finished" for actor in self.actors if not actor.finished]
        parts += [
            f"session {session.channel_id} {session.state.value} buffer {len(session.buffer)} "
            f"current {session.current and session.current.packet} pending {len(session.pending)}"
            for session in self.sessions
        ]
        parts += [f"queue {queue.name} has {len(queue.refs)}" for queue in self.broker.queues.values() if queue.refs]
        parts += [
            f"{len(consumer.delivering)} deliveries of {consumer.queue.name} with session {session.name[-3:]}"
            for session in self.broker.sessions.values()
            for consumer in session.consumers.values()
            if consumer.delivering
        ]
        return "; ".join(parts)

    # --- judging ------------------------------------------------------------------------------------------------------

    def _judge_end(self) -> None:
        """Nothing is left waiting after the connection was closed or given up."""
        problems = self.problems
        for session in self.sessions:
            left = len(session.buffer) + len(session.awaiting) + len(session.pending) + (session.current is not None)
            if left or session.state is not State.CLOSED:
                problems.append(
                    f"session {session.channel_id} is {session.state.value}, {left} commands are left in it"
                )
        if self.driver.engine.sessions:
            problems.append("the engine still knows sessions")
        for actor in self.actors:
            if not actor.finished:
                problems.append(f"{type(actor).__name__} still waits")
            for name in ("request", "waiting", "token", "creation"):
                pending = getattr(actor, name, None)
                if pending is not None and not pending.done:
                    problems.append(f"{type(actor).__name__} waits for its {name} for ever")

    def _judge(self) -> None:
        problems = self.problems
        problems += self.broker.remarks + self.driver.problems
        for actor in self.actors:
            problems += actor.problems
        for sender in self.senders.values():
            self._judge_sender(sender)
        for receiver in self.receivers.values():
            self._judge_receiver(receiver)
        for actor in self.actors:
            if isinstance(actor, Mover):
                self._judge_mover(actor)
            elif isinstance(actor, TransactedProducer):
                self._judge_transactions(actor)
        self._judge_events()
        if self.plan.lossless and self.broker.sessions_lost:
            problems.append(f"{self.broker.sessions_lost} sessions were lost, and no fault explains it")

    def _judge_sender(self, sender: Sender) -> None:
        problems = self.problems
        stored = self.broker.ledger.stored
        for number in range(sender.next_number):
            copies = stored[sender.name, number]
            told = sender.told.get(number)
            if copies > 1:
                problems.append(f"{sender.name}:{number} is stored {copies} times")
            if told == DONE and not copies:
                problems.append(f"{sender.name}:{number} was done and is lost")
            elif told == NOT_SENT and copies:
                problems.append(f"{sender.name}:{number} was not sent, they said, and is there")
            elif (
                told == UNKNOWN
                and not self.ended
                and sender.duplicate_ids
                and isinstance(sender, Producer)
                and sender.session.reattachable
                and (sender.name, number) not in self.broker.ledger.refused
            ):
                problems.append(f"{sender.name}:{number} has a duplicate id and ended unknown")
            elif self.ended or (sender.name, number) in self.broker.ledger.refused:
                pass
            elif told is None and sender.strict and not copies:
                problems.append(f"{sender.name}:{number} is lost")
            if isinstance(sender, Producer) and sender.mode != "nothing" and sender.endings.get(number, 0) != 1:
                problems.append(f"{sender.name}:{number} ended {sender.endings.get(number, 0)} times")
        if isinstance(sender, Producer):
            done = [number for number, told in sender.told.items() if told == DONE]
            if done != sorted(done):
                problems.append(f"the messages of {sender.name} were told of in the order {done}")
        if isinstance(sender, (Producer, LargeSender)) and (
            sender.strict or sender.duplicate_ids or getattr(sender, "mode", "") != "nothing"
        ):
            # One that the broker refused, and whose refusal was lost, is repeated, and may be taken then.
            order = [
                number
                for number in self.broker.ledger.order.get(sender.name, [])
                if sender.told.get(number) != UNKNOWN and (sender.name, number) not in self.broker.ledger.refused
            ]
            if order != sorted(order):
                problems.append(f"the messages of {sender.name} are stored in the order {order}")

    def _judge_receiver(self, receiver: Receiver) -> None:
        problems = self.problems
        ledger = self.broker.ledger
        seen: dict[Key, int] = {}
        for key, count in receiver.received:
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1 and not isinstance(receiver, Mover):
                if receiver.strict and self.plan.lossless:
                    problems.append(f"{key} was received twice")
                elif count < 2 and not self.broker.crashes:
                    problems.append(f"{key} was received again and not marked as redelivered")
            if receiver.strict and self.plan.lossless and count != 1 and not isinstance(receiver, Mover):
                problems.append(f"{key} was marked as redelivered")
        if receiver.queue in self.deleted and not self.ended:
            self._judge_deleted(receiver)
            return
        senders = [sender for sender in self.senders.values() if sender.address == receiver.queue]
        for sender in senders:
            order = ledger.order.get(sender.name, [])
            for number in order:
                key = (sender.name, number)
                if key not in seen and key not in ledger.lost and not self.ended:
                    problems.append(f"{key} was never received")
            queue = self.broker.queues.get(receiver.queue)
            if queue is None or queue.order_excused or isinstance(receiver, Mover):
                continue
            place = {number: position for position, number in enumerate(order)}
            first = [place[number] for name, number in seen if name == sender.name and number in place]
            if first != sorted(first):
                problems.append(f"{receiver.queue} was received in the order {first}")

    def _judge_deleted(self, receiver: Receiver) -> None:
        """Its application is told, once, or was refused the consumer."""
        told = sum(isinstance(event, ConsumerLost) for _, event in self.driver.log)
        if told != (0 if receiver.refused else 1):
            self.problems.append(f"the loss of the consumer of {receiver.queue} was told {told} times")

    def _judge_mover(self, mover: Mover) -> None:
        ledger = self.broker.ledger
        name = mover.target.name
        for _, number in [key for key in ledger.stored if key[0] == "m"]:
            copies = ledger.stored[name, number]
            if copies != 1 and not (self.ended and copies == 0):
                self.problems.append(f"{name}:{number} was moved {copies} times")
        for verdict, numbers in mover.tried:
            if verdict == DONE and any(ledger.stored[name, number] != 1 for number in numbers):
                self.problems.append(f"a committed transaction is torn: {numbers}")

    def _judge_transactions(self, producer: TransactedProducer) -> None:
        stored = self.broker.ledger.stored
        for verdict, numbers in producer.transactions:
            copies = [stored[producer.name, number] for number in numbers]
            if len(set(copies)) > 1:
                self.problems.append(f"a transaction is torn: {numbers} are there {copies} times ({verdict})")

    def _judge_events(self) -> None:
        problems = self.problems
        connected = False
        gave_up = 0
        first = True
        for when, event in self.driver.log:
            if isinstance(event, Connected):
                if not first:
                    problems.append(f"{when:.4f}: a second Connected")
                first = False
                connected = True
            elif isinstance(event, Detached):
                if not connected:
                    problems.append(f"{when:.4f}: detached twice")
                connected = False
            elif isinstance(event, Reconnected):
                if connected or first:
                    problems.append(f"{when:.4f}: reconnected twice")
                connected = True
            elif isinstance(event, GaveUp) and (self.ends or self.plan.ending == "give up"):
                gave_up += 1
                if self.broker.locked and not isinstance(event.reason, JMSSecurityError):
                    problems.append(f"{when:.4f}: gave up, locked out: {event.reason!r}")
            elif isinstance(event, ConnectAttemptFailed) and isinstance(event.reason, JMSSecurityError):
                problems.append(f"{when:.4f}: locked out, and tries again")
            elif isinstance(event, GaveUp):
                problems.append(f"{when:.4f}: gave up: {event.reason!r}")
        if gave_up > 1:
            problems.append("gave up twice")
        if not connected and not self.ended:
            problems.append("not connected at the end")


def live(
    seed: int, *, setups: tuple[str, ...] | None = None, lossless: bool | None = None, stormy: bool = False
) -> World:
    """Run one lifetime; the arguments are those of `World`.

    Raises:
        Failure: It broke a promise.
    """
    world = World(seed, setups=setups, lossless=lossless, stormy=stormy)
    try:
        world.run()
    except Failure:
        raise
    except Exception as error:
        raise Failure(
            f"seed {seed} ({world.plan}): {type(error).__name__} at {world.clock.now:.4f}: {error}\n"
            f"again with: python -m tests.world --seeds {seed}:{seed + 1}"
        ) from error
    return world
