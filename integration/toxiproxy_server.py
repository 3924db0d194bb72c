"""A Toxiproxy server for the test run: one that runs already, or a local process.

Law: one server per process. The client library keeps its address in class attributes, so a second server would silently
take over the proxies of the first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from activeclient.testing.ports import free_port
from integration import processes
from integration.toolchain import UnavailableError, toxiproxy_binary

URL_VARIABLE = "ACTIVECLIENT_TOXIPROXY_URL"
_START_LIMIT = 60.0


class ToxiproxyServer:
    """Address of a Toxiproxy's HTTP interface; `stop` ends it if it is ours."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        process: processes.Server | None = None,
        folder: Path | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        self.host, self.port = host, port
        self._process, self._folder, self._end = process, folder, end

    @classmethod
    def at(cls, url: str) -> ToxiproxyServer:
        """One that somebody else runs: `http://host:port` or `host:port`."""
        parts = urlsplit(url if "//" in url else f"//{url}")
        if not parts.hostname:
            raise ValueError(f"{URL_VARIABLE} must name a host: http://host:port")
        server = cls(parts.hostname, parts.port or 8474)
        server.wait_ready(_START_LIMIT)
        return server

    @classmethod
    def local(cls) -> ToxiproxyServer:
        """A process of our own on a free port. UnavailableError: it cannot be built or does not start."""
        binary = toxiproxy_binary()
        folder = Path(tempfile.mkdtemp(prefix="activeclient-toxiproxy-"))
        processes.own_folder(folder)
        port = free_port()
        command = [str(binary), "-host", "127.0.0.1", "-port", str(port)]
        process = processes.Server(command, log=folder / "toxiproxy.log", cwd=folder)
        server = cls("127.0.0.1", port, process=process, folder=folder)
        try:
            server.wait_ready(_START_LIMIT)
        except BaseException:
            server.stop()
            raise
        return server

    @classmethod
    def contained(cls, port: int, end: Callable[[], None]) -> ToxiproxyServer:
        """One in a container that shares the host's network; *end* removes the container."""
        server = cls("127.0.0.1", port, end=end)
        try:
            server.wait_ready(_START_LIMIT)
        except BaseException:
            end()
            raise
        return server

    @classmethod
    def find(cls) -> ToxiproxyServer:
        """From the environment if named there, else local."""
        url = os.environ.get(URL_VARIABLE)
        return cls.at(url) if url else cls.local()

    def wait_ready(self, timeout: float) -> None:
        """Return when the HTTP interface answers; UnavailableError after *timeout* seconds."""
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self._process is not None and not self._process.alive:
                raise UnavailableError("Toxiproxy ended while starting")
            if time.monotonic() > deadline:
                raise UnavailableError(f"no Toxiproxy answers at {self.host}:{self.port} after {timeout} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """End our process and remove its folder; nothing if it is somebody else's."""
        if self._end is not None:
            self._end()
        if self._process is not None:
            self._process.kill()  # it has nothing to save
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            processes.disown_folder(self._folder)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}/version", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False
