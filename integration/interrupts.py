"""Interrupts on purpose: Ctrl-C at a chosen place of a call, and that it reaches the tests however they were started.

Law of this file: an exception comes only where the interpreter lets a signal handler run, as a function begins and when
a built-in one has returned; and only within the call that is tried, never in what a test does around it, nor in a
finalizer, whose exceptions the interpreter prints and drops. The same seed gives the same places, as far as the threads
of the client and the broker do the same.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from inspect import CO_GENERATOR
from pathlib import Path
from types import CodeType, FrameType
from typing import Generic, TypeVar

import activeclient

T = TypeVar("T")
PACKAGE = str(Path(activeclient.__file__).parent)


class Interrupt(BaseException):
    """What comes in between."""


class Outcome(Generic[T]):
    """What became of a call: `value` if it returned, `interrupted` if not, and `points`, where it could have been."""

    __slots__ = ("entered", "interrupted", "place", "points", "values")

    def __init__(self) -> None:
        self.values: list[T] = []
        self.interrupted = False
        self.points = 0
        self.place = "nowhere"
        """The functions in which it was interrupted."""
        self.entered: set[CodeType] = set()
        """The functions that began."""

    @property
    def value(self) -> T | None:
        """What the call returned; None if it was interrupted."""
        return self.values[0] if self.values else None


def interrupt(
    call: Callable[[], T], at: int = 0, within: str = PACKAGE, outcome: Outcome[T] | None = None
) -> Outcome[T]:
    """Call, and raise `Interrupt` at the `at`-th place in the code below the folder `within`; 0: nowhere.

    A finalizer is passed over: the next place behind it is taken.
    Errors of the call itself are raised; `outcome`, if given, tells of it then too.
    """
    outcome = Outcome() if outcome is None else outcome

    def place(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(within):
            return
        if event == "call":
            outcome.entered.add(code)
        if not code.co_flags & CO_GENERATOR:
            outcome.points += 1
            if 0 < at <= outcome.points and not _in_a_finalizer(frame):
                sys.setprofile(None)
                outcome.place = _where(frame)
                raise Interrupt

    sys.setprofile(place)
    try:
        outcome.values.append(call())
    except Interrupt:
        outcome.interrupted = True
    finally:
        sys.setprofile(None)
    return outcome


def _where(frame: FrameType | None) -> str:
    names = []
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(names)


def _in_a_finalizer(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def hear_interrupts() -> None:
    """A shell starts what it sends to the background with SIGINT ignored, and so would everything that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
