"""Receive messages and acknowledge each after it was handled.

    python examples/consumer.py --queue numbers --idle 5

A message that comes a second time (its acknowledgement was lost with a session that had to be made anew) says so.
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
    received = again = 0
    with (
        ServerLocator(options.url) as locator,
        locator.create_session_factory() as connection,
        connection.create_session() as session,
        session.create_consumer(options.queue) as consumer,
    ):
        session.start()
        for message in consumer.messages(timeout=options.idle):
            received += 1
            again += message.delivery_count > 1
            message.acknowledge()
    print(f"received {received}, {again} of them again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
