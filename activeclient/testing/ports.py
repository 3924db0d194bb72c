"""Free TCP ports for servers that must keep their port over restarts.

Law: ports lie below the range from which the kernel takes the local ports of outgoing connections. Otherwise, while a
broker is down, a client that keeps trying may get the broker's port as its own local one: it then either connects to
itself or keeps the broker from coming back.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

_random = random.SystemRandom()
_given: set[int] = set()


def _range() -> tuple[int, int]:
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest = 32768
    return (20000, lowest) if lowest > 21000 else (10000, 20000)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on and that this process was not given before."""
    low, high = _range()
    for _ in range(1000):
        port = _random.randrange(low, high)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError(f"no free port between {low} and {high}")
