"""Who is refused at the door, and how that is told.

Law of this file: a flood of refusals is one line in the log every few seconds, with a count; the store and the spill
file find descriptors however many connections come.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

from activeclient.broker.limits import SPARE_DESCRIPTORS

if sys.platform != "win32":  # which has no such limit
    import resource

REPORT_SECONDS: Final = 10.0
"""Refused connections are logged at once when there were none for so long, else together after that time."""
_log = logging.getLogger("activeclient.broker")


def has_spare_descriptors(descriptor: int) -> bool:
    """True if some are left beside this one. The system gives the lowest free number, so a high one means that nearly
    all are in use."""
    if sys.platform == "win32":
        return True
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit == resource.RLIM_INFINITY or descriptor < limit - min(SPARE_DESCRIPTORS, limit // 4)


class Admission:
    """Counts refused connections and logs them."""

    __slots__ = ("_counts", "_told_at", "report_at")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        """By reason: those that are not logged yet."""
        self._told_at: float | None = None
        self.report_at: float | None = None
        """When `report` has something to log (monotonic seconds); None: nothing."""

    def refused(self, why: str, now: float) -> None:
        """A connection was refused."""
        self._counts[why] = self._counts.get(why, 0) + 1
        if self._told_at is None or now - self._told_at >= REPORT_SECONDS:
            self._tell(now)
        elif self.report_at is None:
            self.report_at = self._told_at + REPORT_SECONDS

    def report(self, now: float) -> None:
        """Log what has gathered, if it is time."""
        if self.report_at is not None and now >= self.report_at:
            self._tell(now)

    def _tell(self, now: float) -> None:
        counts, self._counts = self._counts, {}
        self._told_at, self.report_at = now, None
        for why, count in counts.items():
            _log.warning("%d connection(s) refused: %s", count, why)
