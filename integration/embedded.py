"""The embedded broker as a process that can be killed: `python -m integration.embedded FOLDER PORT`.

Law: its folder outlives it; nothing but the folder tells the next one what was confirmed.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

from activeclient.testing.ports import free_port
from integration import processes
from integration.artemis import START_LIMIT, Broker, BrokerError
from integration.configuration import BrokerSettings

_ROOT = Path(__file__).parent.parent


class EmbeddedProcess(Broker):
    """A broker of this package in a process of its own, with a folder."""

    generation = "embedded"

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self.settings = BrokerSettings()
        self.user, self.password = self.settings.user, self.settings.password
        self._folder = Path(tempfile.mkdtemp(prefix="activeclient-embedded-"))
        processes.own_folder(self._folder)
        self._server: processes.Server | None = None

    def start(self, timeout: float = START_LIMIT) -> None:
        if self.running():
            raise BrokerError(f"{self} runs already")
        command = [sys.executable, "-m", __name__, str(self._folder / "store"), str(self.port)]
        self._server = processes.Server(command, log=self._log_file, cwd=_ROOT)
        try:
            self.wait_ready(timeout)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server = None

    def running(self) -> bool:
        return self._server is not None and self._server.alive

    def log(self) -> str:
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        processes.disown_folder(self._folder)

    @property
    def _log_file(self) -> Path:
        return self._folder / "broker.log"


def main() -> None:
    """Serve until SIGTERM."""
    from activeclient.broker.embedded import EmbeddedBroker

    folder, port = sys.argv[1:]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with EmbeddedBroker("process", port=int(port), folder=folder):
        ended.wait()


if __name__ == "__main__":
    main()
