"""How every command begins and ends: errors become a line on stderr and an exit code, Ctrl-C closes what is open.

Law of this file: a command's body raises, and only here is it turned into an exit code; a traceback is a bug of ours.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import typer

from activeclient.cli.exits import Exit, code_of
from activeclient.cli.output import Output, discard_stdout
from activeclient.errors import ActiveClientError, ConnectionLost


class Terminated(BaseException):
    """SIGTERM came: raised in the main thread, so that it unwinds as Ctrl-C does."""


class Failed(Exception):
    """A command cannot do what it was asked for, for a reason of its own.

    Args:
        text: Why, for people.
        code: The exit code.
    """

    def __init__(self, text: str, code: Exit) -> None:
        super().__init__(text)
        self.code = code


def command(body: Callable[..., Exit | None]) -> Callable[..., None]:
    """A command for typer: `body` with its errors as exit codes. Its parameter `as_json`, if any, is looked at."""
    signature = inspect.signature(body)

    @functools.wraps(body)
    def run(*args: object, **kwargs: object) -> None:
        given = signature.bind(*args, **kwargs).arguments
        raise typer.Exit(ended(lambda: body(*args, **kwargs), as_json=bool(given.get("as_json"))))

    return run


def ended(body: Callable[[], Exit | None], *, as_json: bool = False) -> int:
    """Run `body` and return the exit code."""
    output = Output(as_json)
    try:
        with _sigterm_unwinds():
            return int(body() or Exit.OK)
    except Failed as failure:
        code, text, kind = failure.code, str(failure), type(failure).__name__
    except ActiveClientError as error:
        code, text, kind = code_of(error), str(error) or type(error).__name__, type(error).__name__
        if isinstance(error, ConnectionLost) and not as_json:
            text += "\n`activeclient doctor` with the same URL says what it reaches and what to change"
    except BrokenPipeError:
        discard_stdout()
        return int(Exit.PIPE)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except Terminated:
        return int(Exit.TERMINATED)
    with contextlib.suppress(BrokenPipeError):
        output.error(text, kind=kind, code=code)
    return int(code)


@contextlib.contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """While the block runs, SIGTERM is an exception in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def first_interrupt_asks() -> Iterator[threading.Event]:
    """While the block runs, the first Ctrl-C sets the event, so that the command ends in order; the second raises."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
