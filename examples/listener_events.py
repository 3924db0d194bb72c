"""Hear of everything that happens to a connection, for as long as you like, while a session is used as if nothing were.

    python examples/listener_events.py --seconds 60

Restart the broker meanwhile, or pull the cable.
"""

from __future__ import annotations

import argparse
import sys
import time

from activeclient.client.listeners import ConnectionFailure
from activeclient.client.locator import ServerLocator
from activeclient.events import (
    Connected,
    Detached,
    Event,
    GaveUp,
    Reconnected,
    SendFailed,
    SessionReattached,
    SessionRecreated,
)


def heard(event: Event) -> None:
    """The richest form: every event, as a value."""
    match event:
        case Connected(endpoint=endpoint):
            print(f"connected to {endpoint}")
        case Detached(reason=reason):
            print(f"lost: {reason}")
        case SessionReattached(confirmed=confirmed, replayed=replayed):
            print(f"  a session goes on: {confirmed} commands had arrived, {replayed} were repeated")
        case SessionRecreated(reason=reason, resent=resent, in_doubt=in_doubt):
            print(f"  a session was made anew ({reason}): {resent} sends repeated, {len(in_doubt)} in doubt")
        case Reconnected(seconds=seconds, attempts=attempts):
            print(f"back after {seconds * 1000:.1f} ms and {attempts} attempt(s)")
        case GaveUp(reason=reason):
            print(f"given up: {reason}")
        case SendFailed(error=error):
            print(f"a send failed: {error}")
        case _:
            pass


class Operator:
    """The form that Java users know: told when an outage begins, and how it ended."""

    def before_reconnect(self, error: ConnectionFailure) -> None:
        print(f"before reconnect: {error}")

    def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
        how = error.recovery.value if error.recovery is not None else "unknown"
        print(f"connection failed: {error.error_code}, {how}, back: {failed_over}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="tcp://localhost:61616?profile=reliable")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with ServerLocator(options.url) as locator, locator.create_session_factory() as connection:
        connection.add_event_listener(heard)
        connection.add_failure_listener(Operator())
        with connection.create_session() as session:
            print("listening", flush=True)
            end = time.monotonic() + options.seconds
            while time.monotonic() < end:
                session.query_address("anything")  # works through outages
                time.sleep(min(1.0, options.seconds / 10))
    print("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
