"""The post office against the naive model once more, with everything durable read back from disk at every restart."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings

from activeclient.broker.sqlite_store import SqliteStore
from activeclient.broker.store import Operation
from tests.broker.office import Office
from tests.broker.test_against_a_model import SETTINGS, AgainstAModel


class SettledStore(SqliteStore):
    """Waits for the disk in every `append`, as if it took no time; the disk itself may lie, nobody cuts its power."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._tables.database.execute("PRAGMA synchronous = OFF")

    def append(self, *operations: Operation) -> None:
        super().append(*operations)
        assert self.wait(60)


class OfficeOnDisk(Office):
    """Its restart closes the store and opens the folder again."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        super().__init__(SettledStore(self._path), settings=SETTINGS)

    @property
    def _path(self) -> Path:
        return Path(self._folder.name) / "store"

    def restart(self) -> None:
        self.store.close()
        self.store = SettledStore(self._path)
        super().restart()

    def close(self) -> None:
        self.store.close()
        self._folder.cleanup()


class OnDisk(AgainstAModel):
    """The same rules."""

    def new_office(self) -> Office:
        return OfficeOnDisk()

    def teardown(self) -> None:
        self.office.close()
        super().teardown()


OnDisk.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestOnDisk = OnDisk.TestCase
