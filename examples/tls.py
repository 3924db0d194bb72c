"""Connect with TLS: the broker's certificate is checked against a file of authorities, and for the broker's name.

    python examples/tls.py --url "tcp://broker.example:61617" --authorities broker-ca.pem

With --certificate the client shows one of its own (PEM with certificate and key), for brokers that ask for it.
"""

from __future__ import annotations

import argparse
import sys

from activeclient.client.locator import ServerLocator
from activeclient.errors import TLSFailed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="tcp://localhost:61617")
    parser.add_argument("--authorities", required=True, help="PEM file with the authorities that we trust")
    parser.add_argument("--certificate", help="PEM file with our certificate and its key")
    options = parser.parse_args()
    locator = ServerLocator(
        options.url,
        ssl_enabled=True,
        trust_store_path=options.authorities,
        key_store_path=options.certificate,
        profile="reliable",
    )
    try:
        with locator, locator.create_session_factory() as connection, connection.create_session() as session:
            session.query_address("anything")  # a round trip
            print("connected, encrypted")
    except TLSFailed as error:
        print(f"no TLS connection: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
