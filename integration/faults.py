"""Network faults through Toxiproxy, typed: toxics are context managers, a `Link` is a proxied connection path.

Law: undoing a fault never fails a test. The fault ends with its block; if Toxiproxy is gone by then, there is nothing
to undo. Making a fault does fail, and loudly: a test must not pass because its fault did not happen.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from toxiproxy import Toxiproxy

from activeclient.testing.ports import free_port
from integration.toxiproxy_server import ToxiproxyServer

Stream = Literal["upstream", "downstream"]
"""Toxiproxy's words: upstream is towards the broker, downstream towards the client."""

_numbers = itertools.count(1)


class FaultError(Exception):
    """Toxiproxy did not do what was asked."""


class Toxic(Protocol):
    """A toxic's type and its attributes in Toxiproxy's units (milliseconds, microseconds, kilobytes, bytes)."""

    kind: ClassVar[str]

    def attributes(self) -> dict[str, int]: ...


@dataclass(frozen=True, slots=True)
class Latency:
    """Delay each piece of data by *seconds* +- *jitter*."""

    kind: ClassVar[str] = "latency"
    seconds: float
    jitter: float = 0.0

    def attributes(self) -> dict[str, int]:
        return {"latency": _ms(self.seconds), "jitter": _ms(self.jitter)}


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """At most *kilobytes* per second."""

    kind: ClassVar[str] = "bandwidth"
    kilobytes: int

    def attributes(self) -> dict[str, int]:
        return {"rate": self.kilobytes}


@dataclass(frozen=True, slots=True)
class SlowClose:
    """Close the connection *seconds* late."""

    kind: ClassVar[str] = "slow_close"
    seconds: float

    def attributes(self) -> dict[str, int]:
        return {"delay": _ms(self.seconds)}


@dataclass(frozen=True, slots=True)
class Timeout:
    """Let nothing pass; close after *seconds*, with 0 not before the toxic is removed."""

    kind: ClassVar[str] = "timeout"
    seconds: float = 0.0

    def attributes(self) -> dict[str, int]:
        return {"timeout": _ms(self.seconds)}


@dataclass(frozen=True, slots=True)
class ResetPeer:
    """End *seconds* after the next data in the stream: by RST, but for connections older than the toxic by FIN."""

    kind: ClassVar[str] = "reset_peer"
    seconds: float = 0.0

    def attributes(self) -> dict[str, int]:
        return {"timeout": _ms(self.seconds)}


@dataclass(frozen=True, slots=True)
class Slicer:
    """Cut the stream into pieces of *size* +- *variation* bytes, *microseconds* apart."""

    kind: ClassVar[str] = "slicer"
    size: int
    variation: int = 0
    microseconds: int = 0

    def attributes(self) -> dict[str, int]:
        return {"average_size": self.size, "size_variation": self.variation, "delay": self.microseconds}


@dataclass(frozen=True, slots=True)
class LimitData:
    """Close after *count* bytes."""

    kind: ClassVar[str] = "limit_data"
    count: int

    def attributes(self) -> dict[str, int]:
        return {"bytes": self.count}


class _Proxy(Protocol):
    """What we use of the client library's proxy."""

    def enable(self) -> None: ...
    def disable(self) -> None: ...
    def destroy(self) -> bool: ...
    def add_toxic(self, **values: object) -> None: ...
    def get_toxic(self, toxic_name: str) -> object | None: ...
    def destroy_toxic(self, toxic_name: str) -> bool: ...


class Link:
    """A way to the broker that can be disturbed: clients connect to `host`:`port`. Made by `Faults.link`."""

    def __init__(self, proxy: _Proxy, name: str, host: str, port: int) -> None:
        self._proxy = proxy
        self.name, self.host, self.port = name, host, port
        self._applied: list[str] = []

    def url(self) -> str:
        """`tcp://host:port` of the proxy."""
        return f"tcp://{self.host}:{self.port}"

    # -- up and down ------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Close every connection and refuse new ones, until `heal`."""
        self._proxy.disable()

    def heal(self) -> None:
        """Remove every toxic and accept connections. FaultError if Toxiproxy does not answer."""
        for name in list(self._applied):
            self._remove(name)
        try:
            self._proxy.enable()
        except Exception as failure:
            raise FaultError(f"the link {self.name} cannot be healed: {failure}") from failure

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Down inside the block, up again after it."""
        self.cut()
        try:
            yield
        finally:
            self.up()

    def up(self) -> None:
        """Accept connections; toxics stay. Never raises."""
        with contextlib.suppress(Exception):
            self._proxy.enable()

    def blip(self) -> None:
        """Close every connection; new ones are accepted at once."""
        self.cut()
        self.heal()

    # -- toxics -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def toxic(self, toxic: Toxic, stream: Stream = "downstream", *, toxicity: float = 1.0) -> Iterator[None]:
        """Have *toxic* on *stream* inside the block, for a share of *toxicity* of the connections."""
        name = self.add(toxic, stream, toxicity=toxicity)
        try:
            yield
        finally:
            self._remove(name)

    def add(self, toxic: Toxic, stream: Stream = "downstream", *, toxicity: float = 1.0) -> str:
        """Add *toxic* until `heal` or `remove`; returns its name. FaultError when Toxiproxy refuses."""
        name = f"{toxic.kind}_{stream}_{next(_numbers)}"
        try:
            self._proxy.add_toxic(
                type=toxic.kind, stream=stream, name=name, toxicity=toxicity, attributes=toxic.attributes()
            )
            there = self._proxy.get_toxic(name) is not None
        except Exception as failure:
            raise FaultError(f"{toxic} on {self.name}: {failure}") from failure
        if not there:  # the library lets the server's errors of 5xx pass unnoticed
            raise FaultError(f"{toxic} on {self.name}: Toxiproxy did not add it")
        self._applied.append(name)
        return name

    def remove(self, name: str) -> None:
        """Remove a toxic by its name; never raises."""
        self._remove(name)

    @contextlib.contextmanager
    def latency(self, seconds: float, *, jitter: float = 0.0) -> Iterator[None]:
        """*seconds* later in each direction: a round trip takes twice that."""
        with self.toxic(Latency(seconds, jitter), "upstream"), self.toxic(Latency(seconds, jitter), "downstream"):
            yield

    @contextlib.contextmanager
    def slow(self, *, seconds: float = 0.05, kilobytes: int = 256) -> Iterator[None]:
        """A bad line: latency and little bandwidth in each direction."""
        with self.latency(seconds), self.bandwidth(kilobytes):
            yield

    @contextlib.contextmanager
    def bandwidth(self, kilobytes: int) -> Iterator[None]:
        """At most *kilobytes* per second in each direction."""
        with self.toxic(Bandwidth(kilobytes), "upstream"), self.toxic(Bandwidth(kilobytes), "downstream"):
            yield

    @contextlib.contextmanager
    def slicer(self, size: int, *, variation: int = 0, microseconds: int = 0) -> Iterator[None]:
        """Small segments in each direction."""
        toxic = Slicer(size, variation, microseconds)
        with self.toxic(toxic, "upstream"), self.toxic(toxic, "downstream"):
            yield

    @contextlib.contextmanager
    def black_hole(self) -> Iterator[None]:
        """Connections stay open and new ones are accepted, but nothing passes. At the end Toxiproxy closes them."""
        with self.toxic(Timeout(), "upstream"), self.toxic(Timeout(), "downstream"):
            yield

    def half_open(self, stream: Stream = "downstream") -> contextlib.AbstractContextManager[None]:
        """A black hole in one direction only; default: what the broker sends."""
        return self.toxic(Timeout(), stream)

    def reset_peer(self, after: float = 0.0, stream: Stream = "downstream") -> contextlib.AbstractContextManager[None]:
        """End every connection *after* seconds from the next data in *stream*: by RST if it was made inside the block,
        by FIN if it existed before. For an RST in a living connection see the cutter."""
        return self.toxic(ResetPeer(after), stream)

    def limit_data(self, count: int, stream: Stream = "upstream") -> contextlib.AbstractContextManager[None]:
        """Every connection ends after *count* bytes in *stream*."""
        return self.toxic(LimitData(count), stream)

    def destroy(self) -> None:
        """Remove the proxy; never raises."""
        with contextlib.suppress(Exception):
            self._proxy.destroy()

    def _remove(self, name: str) -> None:
        with contextlib.suppress(ValueError):
            self._applied.remove(name)
        with contextlib.suppress(Exception):
            self._proxy.destroy_toxic(name)


class Faults:
    """The proxies of a test on one Toxiproxy server. `close` removes them and never raises."""

    def __init__(self, server: ToxiproxyServer) -> None:
        self._server = server
        self._api = Toxiproxy()
        self._api.update_api_consumer(server.host, server.port)
        self._links: list[Link] = []

    def link(self, host: str, port: int, name: str | None = None) -> Link:
        """A proxy to host:port on a free port. Toxiproxy must share our host or our host's network."""
        name = name or f"activeclient-{next(_numbers)}"
        try:
            proxy = self._api.create(
                upstream=f"{host}:{port}", name=name, listen=f"127.0.0.1:{free_port()}", enabled=True
            )
        except Exception as failure:
            raise FaultError(f"no proxy {name} to {host}:{port}: {failure}") from failure
        link = Link(proxy, name, self._server.host, int(str(proxy.listen).rpartition(":")[2]))
        self._links.append(link)
        return link

    def close(self) -> None:
        """Remove every proxy of this object."""
        while self._links:
            self._links.pop().destroy()

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
