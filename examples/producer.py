"""Send numbered messages; each is confirmed by the broker, whatever happens to the connection meanwhile.

    python examples/producer.py --url "tcp://localhost:61616?profile=reliable" --queue numbers --count 1000

The call of `send` does not wait: the handler hears of each message when the broker has it, in the order of sending.
"""

from __future__ import annotations

import argparse
import sys
import threading

from activeclient.client.locator import ServerLocator
from activeclient.errors import ActiveClientError, JMSError
from activeclient.wire.message import CoreMessage

QUEUE_EXISTS = 101


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="tcp://localhost:61616?profile=reliable")
    parser.add_argument("--queue", default="numbers")
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    failed: list[ActiveClientError] = []
    answered = 0
    all_answered = threading.Event()

    def told(message: CoreMessage, error: ActiveClientError | None) -> None:
        nonlocal answered
        if error is not None:
            failed.append(error)
        answered += 1
        if answered == options.count:
            all_answered.set()

    with (
        ServerLocator(options.url) as locator,
        locator.create_session_factory() as connection,
        connection.create_session() as session,
    ):
        try:
            session.create_queue(options.queue)
        except JMSError as error:
            if error.code != QUEUE_EXISTS:
                raise
        producer = session.create_producer(options.queue)
        for number in range(options.count):
            message = session.create_message(durable=True, body=str(number).encode())
            message.properties["number"] = number
            producer.send(message, told)
        all_answered.wait()
    print(f"sent {options.count}, confirmed {options.count - len(failed)}")
    for error in failed[:10]:
        print(f"{error.outcome}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
