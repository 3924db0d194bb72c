"""Faults, made on purpose: every step of the broker's talk can be lost, held up, repeated or cut.

Law of this file: with the same seed, the same rules and the same packets the same happens, however the bytes arrive in
pieces; what happened is in `history`. Without a rule the broker pays for nothing but a look at `watching`. Methods may
be called from any thread; each returns when its rule is in force.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from activeclient.broker.faulty_store import FaultyStore
from activeclient.broker.rules import CUT, DELAY, DROP, DUPLICATE, REORDER, Line, PacketLike, Rule, kinds_of
from activeclient.errors import ConfigError, RemoteProtocolError

if TYPE_CHECKING:
    from activeclient.broker.connection import ServerConnection
    from activeclient.broker.server import BrokerServer

Direction = Literal["to_broker", "to_client"]
TO_BROKER: Final = "to_broker"
TO_CLIENT: Final = "to_client"
HISTORY: Final = 10_000
"""Faults that are remembered, the last ones."""
_CHANCES: Final = (DROP, DUPLICATE, REORDER, DELAY, CUT)

T = TypeVar("T")


class Faults:
    """What goes wrong with a broker.

    Args:
        seed: Decides everything that is left to chance.

    Packets are named as in `activeclient.wire.packets`, by class or by name: "Send", "ReceiveMessage", "NullResponse".
    `nth` counts from 1, from the moment of the call; `times` faults in a row are made, None makes them for ever.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.watching: bool = False
        """Does the broker have to ask about packets and bytes? (hot path)"""
        self.history: deque[str] = deque(maxlen=HISTORY)
        self._rules: list[Rule] = []
        self._chances: dict[str, float] = {}
        self._chance_kinds: frozenset[int] | None = None
        self._longest_delay = 0.0
        self._lines: dict[tuple[int, str], Line] = {}
        """By connection's serial number and direction."""
        self._cuts_to_come: deque[tuple[int, str]] = deque()
        self._refusals: float = 0
        self._store: FaultyStore | None = None
        self._server: BrokerServer | None = None
        self._call: Callable[[Callable[[], object]], object] = lambda work: work()
        self._restart: Callable[..., None] | None = None
        self._skew: Callable[[int], None] | None = None

    def bind(
        self,
        server: BrokerServer,
        call: Callable[[Callable[[], object]], object] | None = None,
        *,
        restart: Callable[..., None] | None = None,
        skew: Callable[[int], None] | None = None,
    ) -> None:
        """Whose faults these are, and how its thread is asked for something (called by the broker)."""
        self._server = server
        self._store = None
        self._lines.clear()
        if call is not None:
            self._call = call
        if restart is not None:
            self._restart = restart
        if skew is not None:
            self._skew = skew

    def _do(self, work: Callable[[], T]) -> T:
        return self._call(work)  # type: ignore[return-value]

    # --- packets -----------------------------------------------------------------------------------------------------

    def drop(self, packet: PacketLike, nth: int = 1, times: int | None = 1, direction: Direction | None = None) -> None:
        """Lose a packet, as if it had never been sent."""
        self._add(DROP, packet, nth, times, direction)

    def delay(
        self,
        packet: PacketLike,
        seconds: float,
        nth: int = 1,
        times: int | None = 1,
        direction: Direction | None = None,
    ) -> None:
        """Hold a packet up, with everything behind it in its direction on its connection."""
        self._add(DELAY, packet, nth, times, direction, seconds)

    def duplicate(
        self, packet: PacketLike, nth: int = 1, times: int | None = 1, direction: Direction | None = None
    ) -> None:
        """Let a packet come twice in a row."""
        self._add(DUPLICATE, packet, nth, times, direction)

    def reorder(
        self,
        packet: PacketLike,
        nth: int = 1,
        times: int | None = 1,
        direction: Direction | None = None,
        *,
        seconds: float = 0.1,
    ) -> None:
        """Let a packet be overtaken by the next one of its direction and connection, or pass after `seconds`."""
        self._add(REORDER, packet, nth, times, direction, seconds)

    def cut(
        self,
        packet: PacketLike,
        nth: int = 1,
        times: int | None = 1,
        direction: Direction | None = None,
        *,
        after: bool = False,
        larger_than: int = 0,
    ) -> None:
        """Cut the connection on which a packet goes: before it arrives, or right after it did.

        Args:
            larger_than: Only at packets of more bytes, as a broker with a limit does.
        """
        self._add(CUT, packet, nth, times, direction, 1.0 if after else 0.0, larger_than)

    def random(
        self,
        *,
        drop: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        delay: float = 0.0,
        cut: float = 0.0,
        longest_delay: float = 0.05,
        packets: Iterable[PacketLike] | None = None,
    ) -> None:
        """Leave it to chance: each packet of every connection, both ways, meets a fault with these probabilities.

        The seed, the connection's number (they are counted) and the packet's number on it decide.

        Raises:
            ConfigError: Probabilities below 0, or together above 1.
        """
        chances = dict(zip(_CHANCES, (drop, duplicate, reorder, delay, cut), strict=True))
        if min(chances.values()) < 0 or sum(chances.values()) > 1:
            raise ConfigError("random", chances, "probabilities are from 0 on, and together at most 1")
        kinds = None if packets is None else frozenset(kind for each in packets for kind, _ in kinds_of(each, None))

        def begin() -> None:
            self._chances = {name: chance for name, chance in chances.items() if chance}
            self._chance_kinds = kinds
            self._longest_delay = longest_delay
            self._look()

        self._do(begin)

    def cut_after(self, size: int, direction: Direction = TO_BROKER) -> None:
        """Cut every connection that stands once so many bytes more have passed in this direction, exactly there."""
        self._check_bytes(size, direction)

        def begin() -> None:
            for connection in self._standing():
                self._line(connection, direction).left = size
            self._look()

        self._do(begin)

    def cut_next_at(self, size: int, direction: Direction = TO_BROKER, times: int = 1) -> None:
        """Cut the next connection, or each of the next `times`, when its first `size` bytes have passed."""
        self._check_bytes(size, direction)

        def begin() -> None:
            self._cuts_to_come.extend([(size, direction)] * times)

        self._do(begin)

    @staticmethod
    def _check_bytes(size: int, direction: str) -> None:
        if size < 0:
            raise ConfigError("size", size, "must not be negative")
        if direction not in (TO_BROKER, TO_CLIENT):
            raise ConfigError("direction", direction, "must be to_broker or to_client")

    def _add(
        self,
        action: str,
        packet: PacketLike,
        nth: int,
        times: int | None,
        direction: Direction | None,
        seconds: float = 0.0,
        larger_than: int = 0,
    ) -> None:
        rule = Rule(action, packet, nth, times, direction, seconds, larger_than)

        def begin() -> None:
            self._rules.append(rule)
            self._look()

        self._do(begin)

    def clear(self) -> None:
        """No more faults: rules are gone, what is held goes on, storage completes, frozen connections thaw."""

        def end() -> None:
            self._rules.clear()
            self._chances.clear()
            self._cuts_to_come.clear()
            self._refusals = 0
            for line in list(self._lines.values()):
                line.left = None
                line.open()
            if self._store is not None:
                self._store.release()
            self._thaw()
            self.handle_timeout(self._now())
            self._lines = {key: line for key, line in self._lines.items() if line}
            self._look()

        self._do(end)

    # --- connections and sessions ------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Read and write nothing on the connections that stand: they are open, and silent."""

        def begin() -> None:
            for connection in self._standing():
                connection.frozen = True
                connection.touch()
                self._note("freeze", connection)

        self._do(begin)

    def unfreeze(self) -> None:
        """Go on with frozen connections; what waited is read and written."""
        self._do(self._thaw)

    def _thaw(self) -> None:
        for connection in self._standing():
            if connection.frozen:
                connection.frozen = False
                connection.touch()
                self._note("unfreeze", connection)

    def forget_sessions(self, name: str | None = None) -> int:
        """Lose the session of this name, or all, without a word: it cannot be reattached. How many they were."""

        def forget() -> int:
            server = self._bound()
            found = [each for each in server.sessions.values() if name is None or each.name == name]
            for session in found:
                self._note("forget a session", session.connection)
                server.end(session, failed=True)
            return len(found)

        return self._do(forget)

    def refuse_reattachment(self, times: int | None = None) -> None:
        """Answer reattachments as if the session were unknown (a released Artemis 2.57 always does).

        The session keeps what it has until its time to live is over; `forget_sessions` gives it back at once.
        """

        def begin() -> None:
            self._refusals = float("inf") if times is None else times

        self._do(begin)

    def drop_connections(self) -> int:
        """Cut every connection that stands; how many they were."""

        def drop() -> int:
            found = self._standing()
            for connection in found:
                self._note("cut", connection)
                connection.abort()
            return len(found)

        return self._do(drop)

    # --- storage and time --------------------------------------------------------------------------------------------

    def hold_storage(self) -> None:
        """Complete nothing that is stored from now on: what is durable is neither counted, answered nor delivered."""
        self._do(lambda: self._faulty_store().hold())

    def release_storage(self) -> None:
        """Complete what was held, in order, and everything after it at once."""
        self._do(lambda: self._faulty_store().release())

    def delay_storage(self, seconds: float) -> None:
        """Let everything that is stored take so long; 0 ends it."""
        self._do(lambda: self._faulty_store().delay(seconds))

    def skew_clock(self, seconds: float) -> None:
        """Set the broker's wall clock forward, or back: expiry and delivery times are judged by it.

        Raises:
            ConfigError: The broker's clock cannot be set.
        """
        skew = self._skew
        if skew is None:
            raise ConfigError("skew_clock", seconds, "this broker's clock cannot be set")
        self._do(lambda: skew(round(seconds * 1000)))

    def restart(self, *, abrupt: bool = True, forget: bool = False) -> None:
        """Stop the broker and start it again: see `EmbeddedBroker.restart`.

        Raises:
            ConfigError: There is nobody to start it.
        """
        if self._restart is None:
            raise ConfigError("restart", None, "this broker has nobody who could start it")
        self._restart(abrupt=abrupt, forget=forget)

    def _faulty_store(self) -> FaultyStore:
        if self._store is None:
            post = self._bound().post
            self._store = FaultyStore(post.store, post.clock)
            post.store = self._store
        return self._store

    # --- what the broker asks ----------------------------------------------------------------------------------------

    def connected(self, connection: ServerConnection) -> None:
        """A client came."""
        if self._cuts_to_come:
            size, direction = self._cuts_to_come.popleft()
            self._line(connection, direction).left = size
            self._look()

    def refuses_reattachment(self) -> bool:
        """Is this reattachment to be refused?"""
        if self._refusals <= 0:
            return False
        self._refusals -= 1
        self.history.append("refuse a reattachment")
        return True

    def incoming_bytes(self, connection: ServerConnection, data: bytes) -> tuple[bytes, bool]:
        """What of these bytes arrives, and whether the connection is cut then."""
        line = self._lines.get((connection.serial, TO_BROKER))
        if line is None or line.left is None:
            return data, False
        return self._shortened(connection, line, data)

    def _shortened(self, connection: ServerConnection, line: Line, data: bytes) -> tuple[bytes, bool]:
        assert line.left is not None
        if len(data) < line.left:
            line.left -= len(data)
            return data, False
        data = data[: line.left]
        line.left = None
        self._note(f"cut in the middle, {line.direction}", connection)
        return data, True

    def incoming(self, connection: ServerConnection, frames: list[bytes], now: float) -> tuple[list[bytes], bool]:
        """What of these packets arrives now, and whether the connection is cut then."""
        return self._pass(connection, TO_BROKER, frames, now)

    def outgoing(self, connection: ServerConnection, frames: list[bytes], now: float) -> tuple[list[bytes], bool]:
        """What of these packets is written now, and whether the connection is cut then."""
        passed, cut = self._pass(connection, TO_CLIENT, frames, now)
        line = self._lines.get((connection.serial, TO_CLIENT))
        if line is not None and line.left is not None and passed:
            data, short = self._shortened(connection, line, b"".join(passed))
            return [data], cut or short
        return passed, cut

    def _pass(
        self, connection: ServerConnection, direction: str, frames: list[bytes], now: float
    ) -> tuple[list[bytes], bool]:
        line = self._line(connection, direction)
        passed: list[bytes] = []
        for frame in frames:
            line.count += 1
            action, seconds = self._fate(connection, line, frame)
            if action:
                self._note(f"{action} packet {_kind(frame)} {direction}", connection)
            if action is CUT:
                if seconds:
                    passed += line.take(frame, now)
                return passed, True
            if action is DROP:
                continue
            if action is DELAY:
                line.hold(frame, now + seconds)
            elif action is REORDER:
                line.set_aside(frame, now + seconds)
            elif action is DUPLICATE:
                passed += line.take(frame, now)
                passed += line.take(frame, now)
            else:
                passed += line.take(frame, now)
        return passed, False

    def _fate(self, connection: ServerConnection, line: Line, frame: bytes) -> tuple[str, float]:
        kind = _kind(frame)
        for rule in self._rules:
            if rule.meets(kind, line.direction, len(frame)):
                if rule.over:
                    self._rules.remove(rule)
                return rule.action, rule.seconds
        if self._chances and (self._chance_kinds is None or kind in self._chance_kinds):
            drawn = self._draw(connection.serial, line.direction, line.count, "what")
            for action, chance in self._chances.items():
                if drawn < chance:
                    return action, self._draw(connection.serial, line.direction, line.count, "how long") * (
                        self._longest_delay
                    )
                drawn -= chance
        return "", 0.0

    def _draw(self, *of: object) -> float:
        """A number from 0 to 1 that depends on the seed and on nothing but what it is for."""
        from hashlib import blake2b  # nobody else pays for it

        text = "/".join(map(str, (self.seed, *of)))
        return int.from_bytes(blake2b(text.encode(), digest_size=7).digest(), "big") / (1 << 56)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do; None never."""
        found = [line.due for line in self._lines.values() if line.due is not None]
        if self._store is not None and self._store.due is not None:
            found.append(self._store.due)
        return min(found, default=None)

    def handle_timeout(self, now: float) -> None:
        """Let go what was held long enough."""
        if self._store is not None:
            self._store.handle_timeout(now)
        for (serial, direction), line in list(self._lines.items()):
            if line.due is None or line.due > now:
                continue
            connection = next((each for each in self._standing() if each.serial == serial), None)
            frames = line.release(now)
            if connection is None:
                del self._lines[serial, direction]
            elif direction == TO_CLIENT:
                connection.write_as_is(frames)
            else:
                try:
                    connection.receive_frames(frames)
                except RemoteProtocolError as error:
                    connection.refuse(error)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _bound(self) -> BrokerServer:
        if self._server is None:
            raise ConfigError("faults", None, "the broker was not started yet")
        return self._server

    def _now(self) -> float:
        return self._bound().post.clock.monotonic()

    def _standing(self) -> list[ServerConnection]:
        if self._server is None:
            return []
        return sorted((each for each in self._server.connections if not each.gone), key=lambda each: each.serial)

    def _line(self, connection: ServerConnection, direction: str) -> Line:
        key = (connection.serial, direction)
        found = self._lines.get(key)
        if found is None:
            found = self._lines[key] = Line(direction)
        return found

    def disconnected(self, connection: ServerConnection) -> None:
        """A connection is gone, with what was held on it."""
        for direction in (TO_BROKER, TO_CLIENT):
            self._lines.pop((connection.serial, direction), None)

    def _look(self) -> None:
        self.watching = bool(self._rules or self._chances or any(self._lines.values()))

    def _note(self, what: str, connection: ServerConnection) -> None:
        self.history.append(f"connection {connection.serial}: {what}")


def _kind(frame: bytes) -> int:
    kind = frame[4]
    return kind - 256 if kind > 127 else kind
