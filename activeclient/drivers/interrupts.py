"""Whose exception it is: that of the code that runs, or of a signal handler that came in between.

Law of this file: nothing here changes a handler, or keeps one.
"""

from __future__ import annotations

import signal
from types import CodeType


def raised_by_handler(error: BaseException) -> bool:
    """Return True if `error` was raised by a signal handler of this process, not by the code that it interrupted."""
    codes = _handlers()
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in codes:
            return True
        place = place.tb_next
    return False


def _handlers() -> set[CodeType]:
    """The code of every handler that is written in Python."""
    codes: set[CodeType] = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if not callable(handler):
            continue
        handler = getattr(handler, "func", handler)  # functools.partial
        handler = getattr(handler, "__func__", handler)
        for each in (handler, getattr(type(handler), "__call__", None)):  # noqa: B004
            code = getattr(each, "__code__", None)
            if isinstance(code, CodeType):
                codes.add(code)
    return codes
