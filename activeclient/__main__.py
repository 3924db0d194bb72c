"""`python -m activeclient`, which is also the program `activeclient`.

Law of this file: it only reads arguments; what a wrong one gets is a line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from activeclient.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="activeclient", description="A messaging client for Apache ActiveMQ Artemis.")
    parser.add_argument("--version", action="version", version=f"activeclient {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    explaining = commands.add_parser("explain", help="what a connection URL means and what a cut will do")
    explaining.add_argument("url", help="tcp://host:port?key=value&...")
    options = parser.parse_args(arguments)

    from activeclient.cli.explain import explain
    from activeclient.errors import ConfigError

    try:
        print("\n".join(explain(options.url)))
    except ConfigError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
