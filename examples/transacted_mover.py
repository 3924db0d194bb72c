"""Move messages from one queue to another, each exactly once: receive, send and acknowledge in one transaction.

    python examples/transacted_mover.py --source numbers --target numbers.done --idle 5

The transaction either happens as a whole or not at all. One that was certainly rolled back is simply done again; one
whose outcome is unknown is not guessed at: each message carries a duplicate id made from what is in it, so doing it
again cannot store it twice.
"""

from __future__ import annotations

import argparse
import sys

from activeclient.client.consumer import ClientConsumer
from activeclient.client.locator import ServerLocator
from activeclient.client.producer import ClientProducer
from activeclient.client.session import ClientSession
from activeclient.errors import (
    DuplicateIDError,
    JMSError,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
)

QUEUE_EXISTS = 101
BATCH = 50


def move_batch(session: ClientSession, consumer: ClientConsumer, producer: ClientProducer, idle: float) -> int:
    """Move up to BATCH messages in one transaction; returns how many."""
    moved = 0
    for message in consumer.messages(timeout=idle):
        copy = session.create_message(durable=True, body=message.body)
        copy.properties["_AMQ_DUPL_ID"] = f"moved-{message.message_id}"
        producer.send(copy)
        message.acknowledge()
        moved += 1
        if moved == BATCH:
            break
    session.commit()
    return moved


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="tcp://localhost:61616?profile=reliable")
    parser.add_argument("--source", default="numbers")
    parser.add_argument("--target", default="numbers.done")
    parser.add_argument("--idle", type=float, default=5.0, help="end after so many seconds without a message")
    options = parser.parse_args()
    total = 0
    with (
        ServerLocator(options.url) as locator,
        locator.create_session_factory() as connection,
        connection.create_session(auto_commit_sends=False, auto_commit_acks=False) as session,
    ):
        try:
            session.create_queue(options.target)
        except JMSError as error:
            if error.code != QUEUE_EXISTS:
                raise
        consumer = session.create_consumer(options.source)
        producer = session.create_producer(options.target)
        session.start()
        while True:
            try:
                moved = move_batch(session, consumer, producer, options.idle)
            except (TransactionRolledBackError, TransactionOutcomeUnknownError, DuplicateIDError) as error:
                print(f"again: {error}")
                session.rollback()
                continue
            total += moved
            if moved < BATCH:
                break
    print(f"moved {total}, and perhaps batches whose outcome is unknown")
    return 0


if __name__ == "__main__":
    sys.exit(main())
