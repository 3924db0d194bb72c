"""`python -m integration up|warm`: a broker (and a Toxiproxy) by hand, from the cache.

Law: what the tests start and what this starts is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from pathlib import Path

from integration.artemis import GENERATIONS, BrokerError, LocalBroker
from integration.configuration import BrokerSettings
from integration.faults import Faults
from integration.toolchain import UnavailableError, warm
from integration.toxiproxy_server import ToxiproxyServer


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m integration", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a broker and run it until Ctrl-C")
    up.add_argument("--generation", choices=GENERATIONS, default=GENERATIONS[0])
    up.add_argument("--port", type=int, help="default: a free one")
    up.add_argument("--instance", type=Path, help="folder with configuration and data, kept at the end")
    up.add_argument("--require-login", action="store_true", help="refuse connections without user and password")
    up.add_argument("--user", default="admin")
    up.add_argument("--password", default="admin")
    up.add_argument("--toxiproxy", action="store_true", help="also start Toxiproxy with a proxy to the broker")
    commands.add_parser("warm", help="fetch and build into the cache, start nothing")
    options = parser.parse_args(arguments)
    try:
        if options.command == "warm":
            print("\n".join(warm()))
            return 0
        return _up(options)
    except (UnavailableError, BrokerError) as failure:
        print(failure, file=sys.stderr)
        return 1


def _up(options: argparse.Namespace) -> int:
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    settings = BrokerSettings(anonymous=not options.require_login, user=options.user, password=options.password)
    instance = options.instance.absolute() if options.instance else None
    with (
        LocalBroker(
            options.generation, settings, port=options.port, instance=instance, keep=instance is not None
        ) as broker,
        contextlib.ExitStack() as proxies,
    ):
        broker.start()
        print(broker.url(), flush=True)
        if options.toxiproxy:
            server = ToxiproxyServer.local()
            proxies.callback(server.stop)
            link = proxies.enter_context(Faults(server)).link(broker.host, broker.port, "artemis")
            print(
                f"{link.url()} through Toxiproxy (proxy 'artemis', control http://{server.host}:{server.port})",
                flush=True,
            )
        while not end.wait(1.0):
            if not broker.running():
                raise BrokerError(f"the broker ended: {broker.log()[-3000:]}")
        broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
