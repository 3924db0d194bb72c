"""One temporary file for the large bodies of all messages.

Law of this file: whatever the number of bodies, they take one descriptor, and none while there is nothing in the file.
The file has no name, so it is gone when the process ends, however that ends. Slots of a body that is gone are used
again. A disk that is nearly full is refused before it is full: others write to it too.
"""

from __future__ import annotations

import contextlib
import os
from heapq import heappop, heappush
from typing import Final

from activeclient.broker.limits import LARGE_BODY_MEMORY, LEAST_FREE_DISK, LEAST_FREE_SHARE
from activeclient.errors import ResourceAllocationError
from activeclient.server_code import ServerCode

SLOT: Final = 256 * 1024
"""Bytes of one slot; a body wastes at most one."""
_LOOK_EVERY: Final = 64
"""Slots that are added between two looks at the free space: 16 MiB."""


class SpillFile:
    """Room for bodies outside of memory. The caller serialises all calls.

    Args:
        memory_limit: Bytes of large bodies that may be in memory together; beyond it a body goes to the file whatever
            its size.
    """

    __slots__ = ("_descriptor", "_end", "_free", "_looked", "memory", "memory_limit", "used")

    def __init__(self, memory_limit: int = LARGE_BODY_MEMORY) -> None:
        self.memory_limit: int = memory_limit
        self.memory: int = 0
        """Bytes of large bodies in memory."""
        self.used: int = 0
        """Slots in use."""
        self._descriptor = -1
        self._free: list[int] = []
        """Slots before the end that are free, as a heap: the first ones are used first."""
        self._end = 0
        self._looked = 0
        """End at the last look at the free space."""

    def take(self) -> int:
        """Take a slot.

        Raises:
            ResourceAllocationError: The disk is nearly full, or the file cannot be opened (code 210).
        """
        if self._descriptor < 0:
            self._open()
        if self._free:
            slot = heappop(self._free)
        else:
            if self._end >= self._looked:
                self._check_space()
            slot = self._end
            self._end += 1
        self.used += 1
        return slot

    def _open(self) -> None:
        # Costs time to import, and few brokers need it.
        from tempfile import TemporaryFile

        try:
            with TemporaryFile(buffering=0) as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            raise _refused(error.strerror or str(error)) from error

    def _check_space(self) -> None:
        found = os.fstatvfs(self._descriptor)
        free = found.f_bavail * found.f_frsize
        least = min(LEAST_FREE_DISK, int(found.f_blocks * found.f_frsize * LEAST_FREE_SHARE))
        if free < least:
            if not self.used:
                self._close()
            raise _refused(f"{free} bytes are free on the disk of temporary files, {least} must be left")
        self._looked = self._end + _LOOK_EVERY

    def give_back(self, slots: list[int]) -> None:
        """These are free again; with the last one the file is gone."""
        self.used -= len(slots)
        for slot in slots:
            heappush(self._free, slot)
        if not self.used:
            self._close()

    def write(self, slot: int, at: int, data: bytes | memoryview) -> None:
        """Write bytes into a slot.

        Raises:
            ResourceAllocationError: The disk does not take it (code 210).
        """
        at += slot * SLOT
        try:
            while data:
                count = os.pwrite(self._descriptor, data, at)
                data = data[count:]
                at += count
        except OSError as error:
            raise _refused(error.strerror or str(error)) from error

    def read(self, slot: int, at: int, size: int) -> bytes:
        """Read bytes of a slot.

        Raises:
            OSError: The disk does not give it.
        """
        return os.pread(self._descriptor, size, slot * SLOT + at)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        self._free.clear()
        self._end = self._looked = 0
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self._close()


def _refused(why: str) -> ResourceAllocationError:
    return ResourceAllocationError(
        f"the broker cannot keep the body of a large message: {why}", code=ServerCode.ADDRESS_FULL
    )
