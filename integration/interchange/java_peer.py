"""Artemis' Java JMS client as a peer: a child process that is told what to do by lines of JSON.

Law: the child ends when its stdin closes, and so when this process ends, however it ends; no answer is waited for
longer than `PATIENCE`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from integration.interchange.notation import Description, Dump
from integration.javaprogram import java_command

SOURCES = Path(__file__).parent / "java"
PATIENCE = 120.0
"""Seconds for one request: hundreds of messages on a busy machine."""
_OPTIONS = ("-Xms64m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")


class JavaError(Exception):
    """The peer answered with an exception; the text begins with its class."""


class JavaPeer:
    """One Java process. `request` is the protocol; the rest are shorthands for it.

    UnavailableError: Java or its jars cannot be had here.
    """

    name = "java"

    def __init__(self) -> None:
        command, self.version = java_command("jms-peer", SOURCES, "JmsPeer")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [command[0], *_OPTIONS, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C in the terminal is ours; the closed pipe ends it
        )
        self._poll = select.poll()
        assert self._process.stdout is not None
        self._poll.register(self._process.stdout, select.POLLIN)
        self._names = itertools.count(1)

    def request(self, do: str, **fields: Any) -> Any:
        """Ask and wait for the answer. JavaError: it is an exception."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        given = {key: value for key, value in fields.items() if value is not None}
        stdin.write(json.dumps({"do": do, **given}).encode("ascii") + b"\n")
        stdin.flush()
        if not self._poll.poll(PATIENCE * 1000):
            self.close()
            raise TimeoutError(f"{do}: no answer of the Java peer within {PATIENCE} s")
        line = stdout.readline()
        if not line:
            raise EOFError(f"{do}: the Java peer ended: {self._said()}")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise JavaError(f"{answer['error']}: {answer['text']}")
        return answer

    def connect(self, url: str, **fields: Any) -> str:
        """A started connection's name."""
        name = f"connection-{next(self._names)}"
        self.request("connect", connection=name, url=url, **fields)
        return name

    def session(self, connection: str, mode: str = "auto") -> str:
        """A session's name; modes auto, client, transacted, xa."""
        name = f"session-{next(self._names)}"
        self.request("session", connection=connection, session=name, mode=mode)
        return name

    def consumer(self, session: str, destination: str, **fields: Any) -> str:
        """A consumer's name."""
        name = f"consumer-{next(self._names)}"
        self.request("consumer", session=session, consumer=name, destination=destination, **fields)
        return name

    def send(self, session: str, destination: str, messages: list[Description]) -> list[Dump]:
        """The headers of each as its sender sees them, or `error` and `text`."""
        sent: list[Dump] = self.request("send", session=session, destination=destination, messages=messages)
        return sent

    def receive(self, consumer: str, count: int = 1, timeout: float = 30.0) -> list[Dump]:
        """The next *count* messages; fewer when none comes for *timeout* seconds."""
        got: list[Dump] = self.request("receive", consumer=consumer, count=str(count), timeout=str(int(timeout * 1000)))
        return got

    @contextlib.contextmanager
    def connected(self, url: str, **fields: Any) -> Iterator[str]:
        """A connection for a block."""
        name = self.connect(url, **fields)
        try:
            yield name
        finally:
            self.request("close", connection=name)

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
