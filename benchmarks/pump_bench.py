"""What the pump costs: a held-back `after_submit`, and a ping-pong through `wait`, each beside the bare minimum.

Run by hand: `python -m benchmarks.pump_bench`. The fake engine's own share is measured and subtracted.
"""

from __future__ import annotations

import select
import socket
import statistics
import threading
import time

from activeclient.drivers.ports import CancelToken
from activeclient.drivers.threads import Pump
from activeclient.drivers.transport import open_transport
from activeclient.events import Endpoint
from tests.drivers.fakes import LineEngine

ROUNDS = 20_000


def echo_server() -> tuple[socket.socket, int]:
    """Echoes one connection after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with peer:
                while data := peer.recv(65536):
                    peer.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


def percentiles(samples: list[float]) -> str:
    """p50 and p99 in microseconds."""
    cuts = statistics.quantiles(samples, n=100)
    return f"p50 {cuts[49] * 1e6:.1f} µs, p99 {cuts[98] * 1e6:.1f} µs"


def bare(port: int) -> None:
    """send, poll, recv on a socket."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    samples = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        sock.send(b"ping\n")
        poller.poll(1000)
        sock.recv(65536)
        samples.append(time.perf_counter() - start)
    sock.close()
    print(f"ping, bare socket:  {percentiles(samples)}")


def pumped(port: int) -> None:
    """The same through a pump."""
    engine = LineEngine(endpoint=Endpoint(host="127.0.0.1", port=port))

    def opener(endpoint: Endpoint, timeout: float, token: CancelToken) -> object:
        return open_transport(endpoint, timeout, cancel=token)

    pump = Pump(engine, opener, lambda event: None)  # type: ignore[arg-type]
    pump.start()
    lines = engine.lines
    samples = []
    with pump.lock:
        pump.wait(lambda: engine.made > 0, 5)
    for _ in range(ROUNDS):
        start = time.perf_counter()
        with pump.lock:
            engine.send(b"ping\n")
            pump.wait(lambda: bool(lines), 1)
            lines.popleft()
        samples.append(time.perf_counter() - start)
    print(f"ping, through wait: {percentiles(samples)}")
    pump._outbox.linger = 3600.0
    with pump.lock:
        engine.send(b"x")
        pump.after_submit()
        pump.after_submit()
        engine.send(b"x")
        pump.after_submit()
    start = time.perf_counter()
    for _ in range(1_000_000):
        pump.after_submit()
    cost = (time.perf_counter() - start) / 1_000_000
    start = time.perf_counter()
    for _ in range(1_000_000):
        with pump.lock:
            pass
    lock = (time.perf_counter() - start) / 1_000_000
    print(f"after_submit, held back: {cost * 1e9:.0f} ns (and {lock * 1e9:.0f} ns for the lock)")
    pump._outbox.linger = 0.001
    frame = b"x" * 1023 + b"\n"
    start = time.process_time()
    for _ in range(100_000):
        with pump.lock:
            engine.send(frame)
            pump.after_submit()
            if pump.congested:
                pump.wait(lambda: not pump.congested, 5)
    cost = time.process_time() - start
    print(f"100,000 frames of 1 KiB, echoed by this process: {cost:.3f} CPU s")
    pump.close()


def main() -> None:
    """Both, with one server."""
    listener, port = echo_server()
    bare(port)
    pumped(port)
    listener.close()


if __name__ == "__main__":
    main()
