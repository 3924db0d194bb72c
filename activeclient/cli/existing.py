"""Does a destination exist? Asked by commands that only read, before anything could create it.

Law of this file: it asks the broker and creates nothing.
"""

from __future__ import annotations

from typing import Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.running import Failed
from activeclient.destination import Queue, Topic
from activeclient.jms.session import Session

CreateOption = Annotated[
    bool, typer.Option("--create", help="Create the destination if it does not exist, where the broker allows it.")
]


def require(session: Session, destination: Queue | Topic) -> None:
    """See that the broker has `destination`: a mistyped name must not create a queue.

    Raises:
        Failed: It has not; the text names the destination.
    """
    core = session.core
    if isinstance(destination, Topic):
        exists = core.query_address(destination.address).exists
    else:
        exists = core.query_queue(destination.name).exists
    if not exists:
        raise Failed(
            f"{destination} does not exist; `activeclient stat` lists the queues of this broker, and --create makes"
            " a missing one",
            Exit.NO,
        )
