"""Artemis and Toxiproxy as containers, through `docker compose` and compose.yaml.

Law: a container is used only where a Docker daemon answers, and each object is a compose project of its own: brokers do
not share containers, and removing one removes nothing else.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from activeclient.testing.ports import free_port
from integration import processes
from integration.artemis import START_LIMIT, Broker, BrokerError
from integration.configuration import BrokerSettings, write_etc
from integration.toolchain import UnavailableError

COMPOSE_FILE = Path(__file__).parent / "compose.yaml"
IMAGE_GENERATION = "2.44"
_INSTANCE = "/var/lib/artemis-instance"
_PULL_LIMIT = 600.0


@functools.cache
def docker_works() -> bool:
    """Whether a daemon answers and the compose plugin is there."""
    try:
        for command in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(command, check=True, capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class Compose:
    """One compose project with one service of compose.yaml. `remove` is also done at exit."""

    def __init__(self, service: str, variables: dict[str, str]) -> None:
        self.service = service
        self.project = f"activeclient-{os.getpid()}-{secrets.token_hex(4)}"
        self._variables = variables
        atexit.register(self.remove)

    def run(self, *arguments: str, timeout: float = _PULL_LIMIT) -> str:
        """`docker compose ARGUMENTS`; UnavailableError with its output when it fails."""
        command = ["docker", "compose", "-p", self.project, "-f", str(COMPOSE_FILE), *arguments]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **self._variables},
                capture_output=True,
                text=True,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError) as failure:
            raise UnavailableError(f"docker compose {arguments[0]}: {failure}") from failure
        if done.returncode:
            raise UnavailableError(f"docker compose {arguments[0]} failed: {done.stderr[-1500:]}")
        return done.stdout

    def up(self) -> None:
        """Create and start the service's container."""
        self.run("up", "--detach", "--no-deps", self.service)

    def running(self) -> bool:
        """Whether the container runs."""
        return bool(self.run("ps", "--status", "running", "--quiet", self.service, timeout=30).strip())

    def remove(self) -> None:
        """Kill and remove container, volumes and network; never raises."""
        atexit.unregister(self.remove)
        with contextlib.suppress(UnavailableError):  # it may not run
            self.run("kill", self.service, timeout=60)
        with contextlib.suppress(UnavailableError):
            self.run("down", "--volumes", "--timeout", "1", timeout=60)


class DockerBroker(Broker):
    """Artemis 2.44 in a container; its data lives as long as the container, over stop, kill and start."""

    def __init__(self, settings: BrokerSettings | None = None) -> None:
        self.generation = IMAGE_GENERATION
        self.settings = settings or BrokerSettings()
        if self.settings.tls is not None:
            raise UnavailableError("the container has no TLS acceptor; use a local broker")
        self.user, self.password = self.settings.user, self.settings.password
        self.host, self.port = "127.0.0.1", free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="activeclient-artemis-docker-"))
        processes.own_folder(self._folder)
        self._folder.chmod(0o755)
        write_etc(
            self._folder / "etc", self.settings, host="0.0.0.0", port=61616, tls_port=None, data=f"{_INSTANCE}/data"
        )
        self._compose = Compose(
            "artemis",
            {
                "ARTEMIS_USER": self.user,
                "ARTEMIS_PASSWORD": self.password,
                "ARTEMIS_ANONYMOUS": str(self.settings.anonymous).lower(),
                "ARTEMIS_PORT": str(self.port),
                "ARTEMIS_ETC": str(self._folder / "etc"),
            },
        )
        self._created = False

    def start(self, timeout: float = START_LIMIT) -> None:
        if self._created:
            self._compose.run("start", "artemis")
        else:
            self._compose.up()
            self._created = True
        self.wait_ready(timeout)

    def stop(self) -> None:
        if self._created:
            self._compose.run("stop", "artemis", timeout=60)

    def kill(self) -> None:
        if self._created and self.running():
            self._compose.run("kill", "--signal", "SIGKILL", "artemis", timeout=60)

    def running(self) -> bool:
        return self._created and self._compose.running()

    def log(self) -> str:
        try:
            return self._compose.run("logs", "--no-color", "artemis", timeout=30)
        except UnavailableError as failure:
            raise BrokerError(str(failure)) from failure

    def remove(self) -> None:
        self._compose.remove()
        shutil.rmtree(self._folder, ignore_errors=True)
        processes.disown_folder(self._folder)
