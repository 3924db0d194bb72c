"""Connections made of two byte pipes, with latency, arbitrary chunks, and cuts at any byte.

Law of this file: bytes of one direction arrive in order or not at all, and what arrives is a prefix of what was
written; the two directions of a cut are independent: one may have delivered everything, the other half a frame. Each
side notices a cut in its own time, or never.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.world.clock import Clock


class Receiver(Protocol):
    """One side of a connection."""

    def data(self, chunk: bytes) -> None:
        """Bytes came."""

    def gone(self, reason: str) -> None:
        """The other side closed, or the connection was reset."""


@dataclass(slots=True)
class Weather:
    """What the network is like in one lifetime."""

    latency: float = 0.001
    jitter: float = 0.001
    split: float = 0.3
    """How often a write arrives in two chunks."""


class Pipe:
    """One direction."""

    __slots__ = (
        "broken",
        "clock",
        "cut_at",
        "held_until",
        "last",
        "on_cut",
        "queue",
        "receiver",
        "rng",
        "weather",
        "written",
    )

    def __init__(self, clock: Clock, rng: random.Random, weather: Weather) -> None:
        self.clock = clock
        self.rng = rng
        self.weather = weather
        self.queue: deque[bytes] = deque()
        self.receiver: Receiver | None = None
        self.last = 0.0
        self.held_until = 0.0
        """Until then nothing arrives: the other side, or somebody between, does not read; then all of it does."""
        self.broken = False
        self.written = 0
        self.cut_at = -1
        """Cut when this many bytes were written."""
        self.on_cut: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        """Send bytes; they arrive later."""
        if self.broken or not data:
            return
        cut = False
        if 0 <= self.cut_at - self.written <= len(data):
            data = data[: self.cut_at - self.written]
            cut = True
        self.written += len(data)
        rng = self.rng
        if len(data) > 1 and rng.random() < self.weather.split:
            at = rng.randrange(1, len(data))
            self._schedule(data[:at])
            self._schedule(data[at:])
        elif data:
            self._schedule(data)
        if cut and self.on_cut is not None:
            self.cut_at = -1
            self.broken = True
            self.clock.later(0, self.on_cut)

    def _schedule(self, chunk: bytes) -> None:
        weather = self.weather
        self.last = max(self.last, self.clock.now + weather.latency + self.rng.random() * weather.jitter)
        self.queue.append(chunk)
        self.clock.at(self.last, self._arrive)

    def _arrive(self) -> None:
        if self.clock.now < self.held_until:
            self.clock.at(self.held_until, self._arrive)
        elif self.queue:
            chunk = self.queue.popleft()
            if self.receiver is not None and chunk:
                self.receiver.data(chunk)

    def break_off(self, keep: float) -> None:
        """Nothing more is taken; of what is under way, the first `keep` (0 to 1) of the bytes still arrives."""
        self.broken = True
        left = int(sum(map(len, self.queue)) * keep + 0.5)
        kept: deque[bytes] = deque()
        for chunk in self.queue:
            kept.append(chunk[:left])
            left -= len(kept[-1])
        self.queue = kept


class Connection:
    """Two pipes between a client and a server; `up` goes to the server."""

    def __init__(self, clock: Clock, rng: random.Random, weather: Weather) -> None:
        self.clock = clock
        self.rng = rng
        self.up = Pipe(clock, rng, weather)
        self.down = Pipe(clock, rng, weather)
        self.client: Receiver | None = None
        self.server: Receiver | None = None
        self.cut_done = False

    def attach(self, client: Receiver, server: Receiver | None) -> None:
        """Say who sits at the ends; no server: nobody ever answers."""
        self.client, self.server = client, server
        self.down.receiver = client
        self.up.receiver = server

    def cut(
        self, *, client_notices: float | None, server_notices: float | None, keep_up: float, keep_down: float
    ) -> None:
        """End the connection. `*_notices`: seconds until that side is told, None for never."""
        if self.cut_done:
            return
        self.cut_done = True
        self.up.break_off(keep_up)
        self.down.break_off(keep_down)
        if client_notices is not None:
            self.clock.at(max(self.clock.now + client_notices, self.down.last), self._tell_client)
        if server_notices is not None:
            at = max(self.clock.now + server_notices, self.up.last, self.up.held_until)
            self.clock.at(at, self._tell_server)

    def _tell_client(self) -> None:
        if self.client is not None:
            self.client.gone("reset")

    def _tell_server(self) -> None:
        if self.server is not None:
            self.server.gone("reset")

    def close_by_client(self) -> None:
        """The client dropped its socket: it hears nothing more; the server may, and perhaps gets what was under way."""
        self.client = None
        self.down.receiver = None
        rng = self.rng
        if not self.cut_done:
            self.cut(
                client_notices=None,
                server_notices=None if rng.random() < 0.2 else rng.random() * 0.01,
                keep_up=rng.choice((0.0, 1.0, rng.random())),
                keep_down=0.0,
            )

    def close_by_server(self, keep_down: float = 1.0) -> None:
        """The server closed: the client hears of it behind what was under way."""
        self.server = None
        self.up.receiver = None
        if not self.cut_done:
            self.cut(client_notices=0.001, server_notices=None, keep_up=0.0, keep_down=keep_down)
