"""Ctrl-C reaches the tests however they were started."""

from __future__ import annotations

import signal


def hear_interrupts() -> None:
    """A shell starts what it sends to the background with SIGINT ignored, and so would everything that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
