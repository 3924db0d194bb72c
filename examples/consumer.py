"""Receive messages and acknowledge each after it was handled.

    python examples/consumer.py --queue numbers --idle 5

A message may come a second time only when a session had to be made anew; `delivery_count` says so.
"""

from __future__ import annotations

import argparse
import sys

from activeclient.client.locator import ServerLocator


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="tcp://localhost:61616?profile=reliable")
    parser.add_argument("--queue", default="numbers")
    parser.add_argument("--idle", type=float, default=5.0, help="end after so many seconds without a message")
    options = parser.parse_args()
    received = 0
    different: set[bytes] = set()
    with (
        ServerLocator(options.url) as locator,
        locator.create_session_factory() as connection,
        connection.create_session() as session,
        session.create_consumer(options.queue) as consumer,
    ):
        session.start()
        for message in consumer.messages(timeout=options.idle):
            received += 1
            different.add(message.body)
            message.acknowledge()
    print(f"received {received}, {len(different)} different ones")
    return 0


if __name__ == "__main__":
    sys.exit(main())
