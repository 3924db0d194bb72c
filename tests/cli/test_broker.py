"""`activeclient broker`: what it tells, who may connect, how it ends."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import activeclient
from activeclient.__main__ import main
from activeclient.cli.broker import LogLevel, logged, read_users
from activeclient.errors import ConfigError, JMSSecurityError


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "activeclient", "broker", "--port", "0", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_a_signal_and_says_nothing_more(number: signal.Signals, code: int) -> None:
    with running() as (process, url):
        with activeclient.connect(url) as connection, connection.create_session() as session:
            queue = session.create_queue("cli")
            session.create_producer(queue).send("hello")
            message = session.create_consumer(queue).receive(30)
            assert message is not None
            assert message.body == "hello"
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_an_open_port_is_a_warning_for_programs_too() -> None:
    with running("--host", "0.0.0.0") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        (line,) = process.stderr.read().splitlines()
        warning = json.loads(line)
        assert (warning["level"], warning["logger"]) == ("WARNING", "activeclient.broker")
        assert "anybody who reaches this port may connect" in warning["message"]


@pytest.mark.parametrize("arguments", [(), ("--host", "0.0.0.0", "--users-file")], ids=["loopback", "with users"])
def test_a_port_that_is_not_open_to_all_is_no_warning(arguments: tuple[str, ...], tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("me:secret\n")
    with running(*arguments, *([str(users)] if arguments else [])) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_log_says_why_a_connection_was_closed() -> None:
    with running("--log-level", "info") as (process, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert stranger.recv(1) == b""
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert any("closed: frame" in json.loads(line)["message"] for line in process.stderr.read().splitlines())


def test_the_log_is_left_as_it_was() -> None:
    logger = logging.getLogger("activeclient")
    before = logger.level, list(logger.handlers)
    with logged(LogLevel.DEBUG, as_json=False):
        assert logger.level == logging.DEBUG
    assert (logger.level, list(logger.handlers)) == before


def test_users_of_a_file_are_asked_for_their_password(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("# people\n\nme:se:cret\n")
    with running("--users-file", str(users)) as (_, url):
        activeclient.connect(url, user="me", password="se:cret").close()
        with pytest.raises(JMSSecurityError):
            activeclient.connect(url, user="me", password="wrong")


def test_a_folder_keeps_durable_messages(tmp_path: Path) -> None:
    for sending in (True, False):
        with running("--data", str(tmp_path / "data")) as (process, url):
            with activeclient.connect(url) as connection, connection.create_session() as session:
                queue = session.create_queue("kept")
                if sending:
                    session.create_producer(queue).send("kept")
                else:
                    message = session.create_consumer(queue).receive(30)
                    assert message is not None
                    assert message.body == "kept"
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "file"
    taken.write_text("no folder")
    assert main(["broker", "--port", "0", "--data", str(taken)]) == 5
    assert str(taken) in capsys.readouterr().err


def test_a_port_that_is_taken_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["broker", "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be had" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "# nobody\n", "me\n", ":secret\n"])
def test_a_file_of_users_that_names_nobody_is_refused_without_its_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_users(path)
    assert "secret" not in str(error.value)
