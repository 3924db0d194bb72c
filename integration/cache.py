"""The cache folder of the harness: downloads and builds that outlive a test run.

Law: a folder that exists under its final name is complete. Work goes to a temporary neighbour and is renamed at the
end, under a file lock, so that a killed download or a parallel run can never be mistaken for a finished one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/activeclient`, or `~/.cache/activeclient`; created when missing."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "activeclient"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on *path* between processes; the kernel frees it when the holder dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def prepared(name: str, build: Callable[[Path], None], *, root: Path | None = None) -> Path:
    """The cached folder *name*, made by `build(folder)` when it does not exist yet.

    *build* gets an empty folder. If it raises, nothing is kept and the error passes through. *name* must carry every
    version that decides about the content, as a finished folder is never looked at again.
    """
    root = root or cache_folder()
    final = root / name
    if final.is_dir():
        return final
    with locked(root / f"{name}.lock"):
        if final.is_dir():  # another process was faster
            return final
        for half_done in root.glob(f".{name}.part-*"):  # left by a killed run: we hold the lock, nobody works on it
            shutil.rmtree(half_done, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}.part-", dir=root))
        try:
            build(work)
            work.chmod(0o755)
            work.rename(final)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return final
