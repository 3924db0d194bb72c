"""`python -m activeclient`, which is also the program `activeclient`.

Law of this file: it returns an exit code and raises nothing; what the commands are is said in `cli.app`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (`activeclient.cli.exits`)."""
    try:
        from activeclient.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name != "typer":  # which brings rich along
            raise
        sys.stderr.write("typer is not installed; the commands need it: pip install 'activeclient[cli]'\n")
        return 2
    try:
        app(arguments if arguments is None else list(arguments), prog_name="activeclient")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
