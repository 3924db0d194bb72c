"""Find the connection factory and a queue by name in a jndi.properties file, as a Java program would; send and receive.

    python examples/jndi_lookup.py --file jndi.properties --queue queues/orders

Without --file: the file that ACTIVECLIENT_JNDI_PROPERTIES names, else jndi.properties in the working directory.
"""

from __future__ import annotations

import argparse
import sys

from activeclient import ActiveMQConnectionFactory, Queue, TextMessage
from jndi_props import InitialContext


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", help="default: as described above")
    parser.add_argument("--factory", default="ConnectionFactory")
    parser.add_argument("--queue", default="queues/orders")
    options = parser.parse_args()
    context = InitialContext(path=options.file)
    for problem in context.check():
        print(problem, file=sys.stderr)
    factory = context.lookup(options.factory, ActiveMQConnectionFactory)
    queue = context.lookup(options.queue, Queue)
    with factory.create_connection() as connection, connection.create_session() as session:
        session.create_producer(queue).send("found by name")
        message = session.create_consumer(queue).receive(timeout=10)
    if not isinstance(message, TextMessage):
        return 1
    print(f"received: {message.text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
