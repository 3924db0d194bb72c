"""A broker for tests: one `Broker` interface over a local process, a container, and one that somebody else runs.

Law: a broker keeps its port and its data over stop, kill and restart, and `wait_ready` returns only after the broker
answered on the CORE protocol.
"""

from __future__ import annotations

import abc
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from activeclient.testing.ports import free_port
from integration import processes
from integration.configuration import BrokerSettings, write_etc
from integration.handshake import answers
from integration.toolchain import UnavailableError, distribution, server_classpath

GENERATIONS = ("2.44", "2.57")
"""The generations of Artemis."""
EMBEDDED = "embedded"
"""Stands for one more: this package's own broker."""
_SIMPLE_LOGGER = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
    "-Dorg.slf4j.simpleLogger.log.org.apache.activemq.audit=off",  # a line for every operation
)
START_LIMIT = 60.0  # seconds; a start takes about two, on a busy machine ten


class BrokerError(Exception):
    """The broker ended or did not get ready; the text ends with its log."""


class Broker(abc.ABC):
    """A broker under test. `start`, `stop`, `kill`, `restart` are only for brokers with `can_be_killed`."""

    generation: str
    host: str
    port: int
    tls_port: int | None = None
    user: str
    password: str
    settings: BrokerSettings
    can_be_killed = True

    def url(self, **parameters: object) -> str:
        """`tcp://host:port`, with the parameters as query."""
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        return f"tcp://{self.host}:{self.port}" + (f"?{query}" if query else "")

    @property
    def reattaches(self) -> bool:
        """Does it let sessions be reattached? 2.57 answers every request with false (ActiveMQPacketHandler)."""
        return self.generation != "2.57"

    @property
    def version(self) -> str:
        """How the version begins that it tells clients."""
        return self.generation

    @property
    def name(self) -> str:
        """For people: `Artemis 2.44`, `embedded`."""
        return f"Artemis {self.generation}" if self.generation in GENERATIONS else self.generation

    @abc.abstractmethod
    def start(self, timeout: float = START_LIMIT) -> None:
        """Start and wait until ready."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Clean end: connections are closed, the journal is closed. No error when it does not run."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End at once, as by a power cut of the process (SIGKILL). No error when it does not run."""

    @abc.abstractmethod
    def running(self) -> bool:
        """Whether its process lives."""

    @abc.abstractmethod
    def log(self) -> str:
        """What it wrote."""

    def restart(self, *, clean: bool = True, timeout: float = START_LIMIT) -> None:
        """Stop (or kill, if not *clean*) and start on the same port with the same data."""
        if clean:
            self.stop()
        else:
            self.kill()
        self.start(timeout)

    def wait_ready(self, timeout: float = START_LIMIT) -> None:
        """Return when the CORE acceptor echoes a PING; BrokerError after *timeout* seconds or when the process ends."""
        deadline = time.monotonic() + timeout
        while not answers(self.host, self.port, timeout=min(1.0, timeout)):
            if not self.running():
                raise BrokerError(f"{self.name} ended while starting: {self.log()[-3000:]}")
            if time.monotonic() > deadline:
                raise BrokerError(f"{self.name} is not ready after {timeout} s: {self.log()[-3000:]}")
            time.sleep(0.05)

    def remove(self) -> None:
        """Kill and delete everything that it left."""
        self.kill()

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.generation}, {self.host}:{self.port})"


class ServedBroker(Broker):
    """A broker that is a process of this machine, started and ended by us."""

    _server: processes.Server | None = None

    @property
    @abc.abstractmethod
    def _log_file(self) -> Path:
        """Where the process writes."""

    @abc.abstractmethod
    def _launch(self) -> processes.Server:
        """Start the process; it need not be ready."""

    def _prepare(self) -> None:
        """It is ready: make what it must have before anybody uses it."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._server.pid if self._server is not None and self._server.alive else None

    def launch(self) -> None:
        """Start the process without waiting until it is ready: a backup is so when its primary has gone."""
        if self.running():
            raise BrokerError(f"{self} runs already")
        self._server = self._launch()

    def start(self, timeout: float = START_LIMIT) -> None:
        self.launch()
        try:
            self.wait_ready(timeout)
            self._prepare()
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

    def freeze(self) -> None:
        """SIGSTOP: the kernel still accepts bytes, the broker does nothing. `thaw` continues it."""
        if self._server is not None:
            self._server.freeze()

    def thaw(self) -> None:
        """Continue after `freeze`."""
        if self._server is not None:
            self._server.thaw()

    def running(self) -> bool:
        return self._server is not None and self._server.alive

    def log(self) -> str:
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""


class LocalBroker(ServedBroker):
    """A broker as process of this machine: 2.44 is an instance of the distribution, 2.57 the published server jars."""

    def __init__(
        self,
        generation: str,
        settings: BrokerSettings | None = None,
        *,
        port: int | None = None,
        instance: Path | None = None,
        keep: bool = False,
        data: Path | None = None,
    ) -> None:
        """Write the instance folder; nothing runs yet.

        *instance*: its folder, which may hold the data of an earlier run; default: a temporary one. *keep*: the folder
        stays after `remove` and after our end. *data*: where journal, bindings, pages and large messages are, which
        the halves of a pair share; default: in the instance. UnavailableError: the software cannot be fetched.
        """
        if generation not in GENERATIONS:
            raise ValueError(f"generation must be one of {', '.join(GENERATIONS)}, not {generation!r}")
        self.generation = generation
        self.settings = settings or BrokerSettings()
        self.user, self.password = self.settings.user, self.settings.password
        self.host = "127.0.0.1"
        self.port = port if port is not None else free_port()
        self.tls_port = free_port() if self.settings.tls is not None else None
        self.keep = keep
        self._home = distribution() if generation == "2.44" else None
        self._classpath = server_classpath() if generation == "2.57" else ""
        self.instance = instance or Path(tempfile.mkdtemp(prefix=f"activeclient-artemis-{generation}-"))
        if not keep:
            processes.own_folder(self.instance)
        self.data = data or self.instance / "data"
        """Journal, bindings, pages and large messages."""
        self._configure()

    def _launch(self) -> processes.Server:
        java = f"-Xms{self.settings.heap_start_mb}m -Xmx{self.settings.heap_max_mb}m -XX:+UseG1GC"
        java += " -XX:+PerfDisableSharedMem --add-opens java.base/jdk.internal.misc=ALL-UNNAMED"
        if self._home is not None:
            return processes.Server(
                [str(self.instance / "bin" / "artemis"), "run"],
                log=self._log_file,
                cwd=self.instance,
                env={"JAVA_ARGS": java + " -Dlog4j2.disableJmx=true"},
            )
        command = [
            "java",
            *java.split(),
            *_SIMPLE_LOGGER,
            "-cp",
            self._classpath,
            "Broker",
            str(self.instance / "etc"),
        ]
        return processes.Server(command, log=self._log_file, cwd=self.instance)

    def remove(self) -> None:
        self.kill()
        if not self.keep:
            shutil.rmtree(self.instance, ignore_errors=True)
            processes.disown_folder(self.instance)

    @property
    def _log_file(self) -> Path:
        return self.instance / "broker.log"

    def _configure(self) -> None:
        etc = self.instance / "etc"
        if self._home is not None and not (self.instance / "bin" / "artemis").exists():
            self._create_instance(self._home)
        for folder in (etc, self.data, self.instance / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        write_etc(etc, self.settings, host=self.host, port=self.port, tls_port=self.tls_port, data=str(self.data))

    def _create_instance(self, home: Path) -> None:
        command = [str(home / "bin" / "artemis"), "create", str(self.instance), "--force", "--silent", "--no-web"]
        command += ["--no-autotune", "--nio", "--host", self.host, "--user", self.user, "--password", self.password]
        command.append("--allow-anonymous" if self.settings.anonymous else "--require-login")
        made = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        if made.returncode:
            raise BrokerError(f"artemis create failed: {made.stdout[-1000:]}{made.stderr[-1000:]}")
        # Only the console log, which we keep ourselves: the rolling files would be written a second time.
        log4j = self.instance / "etc" / "log4j2.properties"
        lines = log4j.read_text().replace("monitorInterval = 5", "").splitlines()
        log4j.write_text("\n".join(line for line in lines if line != "rootLogger.appenderRef.log_file.ref = log_file"))


class RemoteBroker(Broker):
    """A broker that somebody else runs, named by a URL: `tcp://[user:password@]host:port[?user=..&password=..]`."""

    can_be_killed = False

    def __init__(self, generation: str, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        if not parts.hostname or not parts.port:
            raise ValueError("the broker URL must name host and port: tcp://host:port")
        self.generation = generation
        self.host, self.port = parts.hostname, parts.port
        self.user = parts.username or query.get("user", ["admin"])[0]
        self.password = parts.password or query.get("password", ["admin"])[0]
        self.settings = BrokerSettings(user=self.user, password=self.password)

    def start(self, timeout: float = START_LIMIT) -> None:
        self.wait_ready(timeout)

    def stop(self) -> None:
        """Nothing: it is not ours."""

    def kill(self) -> None:
        """Nothing: it is not ours."""

    def running(self) -> bool:
        return True

    def log(self) -> str:
        return "(the log of a broker that others run is not known here)"


_URL_VARIABLES = {"2.44": "ACTIVECLIENT_ARTEMIS_URL", "2.57": "ACTIVECLIENT_ARTEMIS_NEXT_URL"}


def remote_url(generation: str) -> str | None:
    """The URL of a broker of this generation from the environment; the embedded one is never there."""
    variable = _URL_VARIABLES.get(generation)
    return (os.environ.get(variable) or None) if variable else None


__all__ = [
    "EMBEDDED",
    "GENERATIONS",
    "Broker",
    "BrokerError",
    "LocalBroker",
    "RemoteBroker",
    "UnavailableError",
    "remote_url",
]
