"""The body of a large message: appended piece by piece, read from anywhere, in memory, in the spill file, or in a file
of the store.

Law of this file: what is kept in memory has a bound, for one body and for all; a body that waits holds no descriptor of
its own. The bytes are gone when the last message that shares the body is, or with the body itself. Where a store has
the body on its disk, nothing keeps a second copy there. All of it belongs to the broker's thread; another one reads a
`Snapshot` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from zlib import crc32

from activeclient.broker.spill import SLOT, SpillFile

_PIECE = 1 << 20


class BodyFile(Protocol):
    """A file of a store that has a body."""

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on."""

    def set_aside(self) -> object:
        """Keep it under another name, which is given."""

    def release(self) -> None:
        """Nobody reads it any more."""


class LargeBody:
    """A body that arrives in pieces.

    Args:
        memory_limit: Bytes that are kept in memory; 0 keeps nothing there.
        spill: Where the others are kept; a file of its own when absent.
    """

    __slots__ = (
        "_file",
        "_intact",
        "_limit",
        "_memory",
        "_owners",
        "_pins",
        "_slots",
        "checksum",
        "size",
        "spill",
    )

    def __init__(self, memory_limit: int, spill: SpillFile | None = None) -> None:
        self._limit = memory_limit
        self.spill: SpillFile = spill if spill is not None else SpillFile()
        self._memory = bytearray()
        self._slots: list[int] = []
        self._file: BodyFile | None = None
        self._intact: bool | None = True
        """False if the bytes of its file are not those that were stored; None: not looked at yet."""
        self._owners = 1
        self._pins = 0
        """Snapshots that read the slots."""
        self.size: int = 0
        self.checksum: int | None = 0
        """CRC-32 of the whole body; None of one that was stored without."""

    @classmethod
    def stored(cls, file: BodyFile, size: int, checksum: int | None) -> LargeBody:
        """A complete body that a store has."""
        self = cls(0)
        self._file = file
        self._intact = None
        self.size = size
        self.checksum = checksum
        return self

    @property
    def file(self) -> BodyFile | None:
        """The store's file that has it."""
        return self._file

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        return len(self._memory)

    def append(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            ResourceAllocationError: It cannot be kept (code 210).
            TypeError: The body is stored, hence complete.
        """
        if self._file is not None:
            raise TypeError("a stored body is complete")
        assert self.checksum is not None
        spill = self.spill
        if not self._slots:
            if self.size + len(piece) <= self._limit and spill.memory + len(piece) <= spill.memory_limit:
                self._memory += piece
                spill.memory += len(piece)
                self.size += len(piece)
                self.checksum = crc32(piece, self.checksum)
                return
            if self._memory:
                self._write(0, bytes(self._memory))
                self._forget_memory()
        self._write(self.size, piece)
        self.size += len(piece)
        self.checksum = crc32(piece, self.checksum)

    def _write(self, at: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            number, offset = divmod(at, SLOT)
            if number == len(self._slots):
                self._slots.append(self.spill.take())
            part = view[: SLOT - offset]
            self.spill.write(self._slots[number], offset, part)
            at += len(part)
            view = view[len(part) :]

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on.

        Raises:
            OSError: The file cannot be read.
            ValueError: The last message that had it is gone.
        """
        if self._owners <= 0:
            raise ValueError("this body was released")
        if self._file is not None:
            return self._file.read(at, size)
        if not self._slots:
            return bytes(self._memory[at : at + size])
        return _read_slots(self.spill, self._slots, at, min(size, self.size - at))

    def intact(self) -> bool:
        """True if what a disk kept is what was stored; reads a stored body once in its life."""
        if self._intact is None:
            self._intact = self._is_whole()
        return self._intact

    def _is_whole(self) -> bool:
        if self.checksum is None:
            return True
        found = at = 0
        try:
            while piece := self.read(at, _PIECE):
                found = crc32(piece, found)
                at += len(piece)
        except OSError:
            return False
        return at == self.size and found == self.checksum

    def set_aside(self) -> object:
        """A damaged body stays on the disk under another name. Gives the name."""
        return None if self._file is None else self._file.set_aside()

    def snapshot(self) -> bytes | Snapshot:
        """All of it, to be read by another thread."""
        if not self._slots and self._file is None:
            return bytes(self._memory)
        return Snapshot(self)

    def adopt(self, file: BodyFile) -> None:
        """From now on a store's file has the bytes."""
        if self._owners <= 0 or not (self._slots or self._file):
            file.release()
            return
        before, self._file = self._file, file
        self._intact = None
        if before is not None:
            before.release()
        if not self._pins:
            self._free_slots()

    def share(self) -> None:
        """One message more has this body."""
        self._owners += 1

    def release(self) -> None:
        """One message less has it; with the last the bytes are gone."""
        self._owners -= 1
        if self._owners <= 0:
            self._forget_memory()
            self._free_slots()
            file, self._file = self._file, None
            if file is not None:
                file.release()

    def pin(self) -> tuple[int, ...]:
        """A snapshot reads these slots until `unpin`."""
        self._owners += 1
        self._pins += 1
        return tuple(self._slots)

    def unpin(self) -> None:
        """A snapshot was read."""
        self._pins -= 1
        if not self._pins and self._file is not None:
            self._free_slots()
        self.release()

    def _free_slots(self) -> None:
        slots, self._slots = self._slots, []
        if slots:
            self.spill.give_back(slots)

    def _forget_memory(self) -> None:
        self.spill.memory -= len(self._memory)
        self._memory = bytearray()

    def __del__(self) -> None:
        self._forget_memory()
        self._free_slots()


class Snapshot:
    """A body outside of memory, to be read by another thread while the broker goes on with it."""

    __slots__ = ("_file", "_slots", "body", "size")

    def __init__(self, body: LargeBody) -> None:
        self.body: LargeBody = body
        self.size: int = body.size
        self._file = body.file
        self._slots = body.pin()

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on; called by any thread.

        Raises:
            OSError: The file cannot be read.
        """
        if self._file is not None:
            return self._file.read(at, size)
        return _read_slots(self.body.spill, self._slots, at, min(size, self.size - at))

    def release(self) -> None:
        """It was read; called by the broker's thread, once."""
        self.body.unpin()


def _read_slots(spill: SpillFile, slots: Sequence[int], at: int, size: int) -> bytes:
    parts = []
    while size > 0:
        number, offset = divmod(at, SLOT)
        part = spill.read(slots[number], offset, min(size, SLOT - offset))
        if not part:
            raise OSError("the spill file ends too early")
        parts.append(part)
        at += len(part)
        size -= len(part)
    return b"".join(parts)
