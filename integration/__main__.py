"""`python -m integration up|down|warm`: a broker, a pair or a cluster (and a Toxiproxy) by hand, from the cache.

Law: what the tests start and what this starts is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from integration.artemis import GENERATIONS, BrokerError, LocalBroker
from integration.clusters import KINDS, SHARED_STORE, Cluster, Pair
from integration.configuration import BrokerSettings
from integration.faults import Faults
from integration.running import end_all, recorded
from integration.toolchain import UnavailableError, warm
from integration.toxiproxy_server import ToxiproxyServer


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m integration", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start brokers and run them until Ctrl-C, or until `down`")
    up.add_argument("--generation", choices=GENERATIONS, default=GENERATIONS[0])
    several = up.add_mutually_exclusive_group()
    several.add_argument(
        "--pair",
        nargs="?",
        choices=KINDS,
        const=SHARED_STORE,
        help="a primary and its backup; a half that is killed is started again once the other one has taken over",
    )
    several.add_argument("--cluster", action="store_true", help="two live nodes that know each other")
    up.add_argument("--port", type=int, help="default: a free one; the second broker has the next one")
    up.add_argument("--instance", type=Path, help="folder with configuration and data, kept at the end")
    up.add_argument("--require-login", action="store_true", help="refuse connections without user and password")
    up.add_argument("--user", default="admin")
    up.add_argument("--password", default="admin")
    up.add_argument("--toxiproxy", action="store_true", help="also start Toxiproxy with a proxy to the broker")
    commands.add_parser("down", help="end everything that `up` runs in other terminals")
    commands.add_parser("warm", help="fetch and build into the cache, start nothing")
    options = parser.parse_args(arguments)
    try:
        if options.command == "warm":
            print("\n".join(warm()))
            return 0
        if options.command == "down":
            ended = end_all()
            print("\n".join(f"ended {url}" for url in ended) or "nothing runs")
            return 0
        if (options.pair or options.cluster) and (options.instance or options.toxiproxy):
            parser.error("--instance and --toxiproxy are for a single broker")
        return _up_several(options) if options.pair or options.cluster else _up(options)
    except (UnavailableError, BrokerError, TimeoutError) as failure:
        print(failure, file=sys.stderr)
        return 1


def _signalled() -> threading.Event:
    """An event that Ctrl-C and `down` set."""
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    return end


def _settings(options: argparse.Namespace) -> BrokerSettings:
    return BrokerSettings(anonymous=not options.require_login, user=options.user, password=options.password)


def _up_several(options: argparse.Namespace) -> int:
    end = _signalled()
    ports = None if options.port is None else (options.port, options.port + 1)
    made = (
        Pair(options.pair, options.generation, _settings(options), ports=ports)
        if options.pair
        else Cluster(options.generation, _settings(options), ports=ports)
    )
    with made:
        made.start()
        url = made.url(ha="true")
        with recorded(url):
            print(url, flush=True)
            for member in made.members:
                _say(member)
            while not end.wait(1.0):
                for member in made.members:
                    if not member.running():
                        print(f"{member.url()} has ended", flush=True)
                        _restore(made, member, end)
            for member in reversed(made.members):  # the backup first, so that it need not take over
                member.stop()
    return 0


def _restore(made: Pair | Cluster, member: LocalBroker, end: threading.Event) -> None:
    """Start a member again: half of a pair when the other half serves, since both might go live otherwise."""
    if isinstance(made, Pair):
        other = made.other(member)
        _until(lambda: made.serves(other) or not other.running(), end)
    if not end.is_set():
        member.launch()
        _say(member)


def _until(done: Callable[[], bool], end: threading.Event) -> None:
    while not done() and not end.wait(0.2):
        pass


def _say(member: LocalBroker) -> None:
    print(f"{member.url()} is process {member.pid}: kill -9 {member.pid}", flush=True)


def _up(options: argparse.Namespace) -> int:
    end = _signalled()
    instance = options.instance.absolute() if options.instance else None
    with (
        LocalBroker(
            options.generation, _settings(options), port=options.port, instance=instance, keep=instance is not None
        ) as broker,
        contextlib.ExitStack() as proxies,
    ):
        broker.start()
        proxies.enter_context(recorded(broker.url()))
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
