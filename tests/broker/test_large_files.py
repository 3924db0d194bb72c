"""The files of stored large bodies: few are open, and a process without descriptors is waited for."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from activeclient.broker import large_files
from activeclient.broker.embedded import EmbeddedBroker
from activeclient.broker.large import LargeBody
from activeclient.broker.large_files import LargeFiles, OpenFiles, patiently
from activeclient.broker.spill import SpillFile
from activeclient.errors import ConnectFailed, StoreError


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_few_files_are_open_however_many_bodies_are_read(tmp_path: Path) -> None:
    files = LargeFiles(tmp_path / "large")
    for number in range(30):
        files.keep(number, b"%d" % number)
    before = descriptors()
    bodies = [files.body(number, len(str(number))) for number in range(30)]
    assert descriptors() == before
    for number, body in enumerate(bodies):
        assert body.read(0, 10) == b"%d" % number
    assert len(files.open) == descriptors() - before == 8
    for body in bodies:
        body.release()
    assert descriptors() == before
    files.close()


def test_the_file_of_a_body_that_is_read_goes_when_it_was_read(tmp_path: Path) -> None:
    files = LargeFiles(tmp_path / "large")
    files.keep(1, b"content")
    body = files.body(1, 7)
    body.share()
    files.remove(1)
    body.release()
    assert body.read(0, 10) == b"content"
    body.release()
    assert list((tmp_path / "large").iterdir()) == []
    with pytest.raises(ValueError, match="released"):
        body.read(0, 1)


def test_a_body_that_a_store_has_is_not_kept_a_second_time(tmp_path: Path) -> None:
    files = LargeFiles(tmp_path / "large")
    file = SpillFile()
    body = LargeBody(0, file)
    body.append(b"content")
    first, second = body.snapshot(), body.snapshot()
    assert not isinstance(first, bytes)
    assert not isinstance(second, bytes)
    files.keep(1, first)
    body.adopt(files.file(1))
    first.release()
    # The other one is read by the storage thread still.
    assert (file.used, second.read(0, 10), body.read(2, 3)) == (1, b"content", b"nte")
    second.release()
    assert file.used == 0
    assert body.read(0, 10) == b"content"
    assert body.intact()
    body.release()
    files.close()


def test_what_is_damaged_while_the_broker_runs_is_noticed(tmp_path: Path) -> None:
    files = LargeFiles(tmp_path / "large")
    body = LargeBody(0)
    body.append(b"content")
    snapshot = body.snapshot()
    assert not isinstance(snapshot, bytes)
    files.keep(1, snapshot)
    body.adopt(files.file(1))
    snapshot.release()
    (tmp_path / "large" / "1").write_bytes(b"c0ntent")
    assert not body.intact()
    body.release()
    files.close()


def test_a_store_waits_for_a_descriptor(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(large_files, "_FIRST_PAUSE", 0.001)
    failures = [OSError(errno.EMFILE, "too many"), OSError(errno.ENFILE, "too many")]

    def call() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert patiently(call) == "done"
    assert [record.getMessage() for record in caplog.records] == ["the store waits for a file descriptor: too many"]
    with pytest.raises(OSError, match="no space"):
        patiently(lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no space")))


def test_of_the_files_that_are_open_one_is_closed_when_there_is_no_other_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = OpenFiles(most=5)
    for name in "ab":
        (tmp_path / name).write_text(name)
    assert files.read(tmp_path / "a", 0, 1) == b"a"
    opened, refusals = os.open, [OSError(errno.EMFILE, "too many")]

    def refusing(*arguments: object) -> int:
        if refusals:
            raise refusals.pop()
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(large_files.os, "open", refusing)
    assert files.read(tmp_path / "b", 0, 1) == b"b"
    assert len(files) == 1
    files.close()


def test_a_connection_in_memory_without_a_descriptor_fails_as_any_other() -> None:
    with EmbeddedBroker() as broker:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = os.open(os.devnull, os.O_RDONLY)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 1, hard))  # room for one end
        try:
            with pytest.raises(ConnectFailed, match="Too many open files"):
                broker.connect()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        broker.connect().close()


def test_a_missing_body_says_what_can_be_done(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing: .* put the file back from a copy"):
        LargeFiles(tmp_path).body(1, 5)
