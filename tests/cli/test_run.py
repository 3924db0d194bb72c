"""`activeclient run` as a process: it handles, ends when it is told to, and says what it leaves when told twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activeclient.cli.run import load
from activeclient.errors import ConfigError
from activeclient.testing import BrokerUnderTest

PATIENCE = 60.0
WORKER = """
import pathlib, time
import activeclient

app = activeclient.App("tcp://127.0.0.1:1")
here = pathlib.Path(__file__).parent

@app.listener("orders")
def handle(name: str, delivery: activeclient.Delivery) -> None:
    print(name, flush=True)
    while not (here / name).exists():
        time.sleep(0.01)
    delivery.send("done", name)
"""


class Running:
    """A worker process."""

    def __init__(self, folder: Path, broker: BrokerUnderTest, *options: str) -> None:
        (folder / "shop.py").write_text(WORKER)
        self.folder = folder
        self.broker = broker
        command = [sys.executable, "-m", "activeclient", "run", "shop:app", "--url", broker.url, "--json", *options]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def handle(self, name: str) -> None:
        """Send a message and wait until its handler runs."""
        with self.broker.connect() as connection, connection.create_session() as session:
            session.create_producer(session.create_queue("orders")).send(name)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{name}\n"

    def end(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def wait_for_log(self, text: str) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"no line with {text!r}")


@pytest.fixture
def worker(tmp_path: Path, artemis_broker: BrokerUnderTest, request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(tmp_path, artemis_broker, *getattr(request, "param", ()))
    yield running
    running.process.kill()
    running.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_handler_finish(worker: Running, number: int) -> None:
    worker.handle("first")
    worker.end(number)
    worker.wait_for_log("handlers finish")
    (worker.folder / "first").touch()
    code, out, _ = worker.wait()
    assert code == 0
    assert json.loads(out) == {"finished": True, "listeners": {"handle": {"handled": 1, "retried": 0, "dead": 0}}}
    assert worker.broker.message_count("orders") == 0
    assert worker.broker.message_count("done") == 1


@pytest.mark.parametrize("worker", [("--timeout", "0.1")], indirect=True)
def test_a_handler_that_does_not_finish_is_left_at_the_limit(worker: Running) -> None:
    worker.handle("first")
    worker.end(signal.SIGTERM)
    code, out, err = worker.wait()
    assert (code, json.loads(out)["finished"]) == (1, False)
    assert "handling ID:" in err
    worker.broker.wait_for_messages("orders", 1, PATIENCE)


def test_a_second_signal_ends_at_once_and_says_what_was_under_way(worker: Running) -> None:
    worker.handle("first")
    worker.end(signal.SIGTERM)
    worker.wait_for_log("handlers finish")
    worker.end(signal.SIGTERM)
    code, _, err = worker.wait()
    assert code == 128 + signal.SIGTERM
    assert "ended by a second signal (SIGTERM)" in err
    assert "handling ID:" in err
    assert "these are delivered again" in err
    assert "Traceback" not in err
    worker.broker.wait_for_messages("orders", 1, PATIENCE)


def test_a_signal_before_the_start_ends_it(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import activeclient\n"
        "print('imported', flush=True)\n"
        "app = activeclient.App('tcp://127.0.0.1:1', wait=3600.0)\n"
        "app.listener('orders', body=str)(print)\n"
    )
    command = [sys.executable, "-m", "activeclient", "run", "shop:app", "--log-level", "debug"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "127.0.0.1:1" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", "must be module:name"),
        ("nowhere.worker:app", "there is no module nowhere"),
        ("json:app", "json has no app"),
        ("json:dumps", "must be an activeclient.App, not function"),
    ],
)
def test_what_is_no_application_is_said(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(name)


def test_a_module_that_cannot_import_something_tells_so_itself(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "shop_without_parts.py").write_text("import nowhere_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        load("shop_without_parts:app")
