"""Every example runs as a user would run it, on each generation of the broker, cuts included."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

import activeclient
from activeclient.testing.cuts import Cut, Direction
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.configuration import BrokerSettings, TlsFiles
from integration.differences import differs
from tests.pages import ROOT

EXAMPLES = ROOT / "examples"
COVERED = {"consumer", "jndi_lookup", "listener_events", "producer", "tls", "transacted_mover", "worker"}
LONGEST_RUN = 120.0
CUTS = 4
"""Of each run; fewer than the delivery attempts that a broker allows."""
Run = Callable[..., str]


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run an example to its end and return what it printed; it must end well and say nothing on stderr."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run_one(name: str, *arguments: str) -> str:
        ended = subprocess.run(
            command(name, *arguments), capture_output=True, text=True, timeout=LONGEST_RUN, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
        return ended.stdout

    return run_one


def test_each_example_has_a_test() -> None:
    # Those of how programs are tested are run by tests/testing/test_plugin.py.
    programs = {file.stem for file in EXAMPLES.glob("*.py") if not file.stem.startswith("testing_")}
    assert programs == COVERED


def test_what_is_produced_is_moved_and_consumed_exactly_once_through_cuts(
    run: Run, artemis: Broker, cutter: Cutter
) -> None:
    queue = f"examples.{uuid.uuid4()}"
    # A broker that does not reattach (2.57) keeps what a lost session had fetched until the TTL is over.
    url = f"{cutter.url()}?profile=reliable&connectionTTL=3000&clientFailureCheckPeriod=1000"
    cutter.plan([Cut(Direction.TO_BROKER, 20_000)] * CUTS)
    assert run("producer", "--url", url, "--queue", queue, "--count", "2000") == "sent 2000, confirmed 2000\n"
    cutter.plan([Cut(Direction.TO_CLIENT, 30_000)] * CUTS)
    run("transacted_mover", "--url", url, "--source", queue, "--target", f"{queue}.done", "--idle", "8")
    cutter.plan([Cut(Direction.TO_CLIENT, 40_000)] * CUTS)
    received = run("consumer", "--url", url, "--queue", f"{queue}.done", "--idle", "8")
    assert received.endswith(", 2000 different ones\n")
    if artemis.reattaches:  # it reattaches: nothing comes twice
        assert received.startswith("received 2000, ")
    assert cutter.cuts >= CUTS


def test_a_worker_handles_what_is_sent_and_ends_when_it_is_told_to(
    artemis: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ACTIVECLIENT_URL", artemis.url())
    with activeclient.connect(artemis.url()) as connection, connection.create_session() as session:
        session.create_producer(session.create_queue("orders")).send('{"article": "apples", "count": 3}')
        with subprocess.Popen(command("worker"), stderr=subprocess.PIPE, text=True) as running:
            with session.create_consumer(session.create_queue("invoices")) as consumer:
                assert consumer.receive(timeout=LONGEST_RUN).read(dict) == {"article": "apples", "total": 6}
            running.terminate()
            _, errors = running.communicate(timeout=LONGEST_RUN)
            assert (running.returncode, errors) == (0, "")


def test_listeners_hear_of_a_cut(cutter: Cutter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    arguments = ("--url", f"{cutter.url()}?profile=reliable", "--seconds", "6")
    with subprocess.Popen(command("listener_events", *arguments), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        if said.startswith("connected to "):  # an event is told by another thread, which may be later than the listener
            said = running.stdout.readline()
        assert said == "listening\n"
        deadline = time.monotonic() + 5
        while cutter.connections == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        cutter.cut_now()
        told = running.stdout.read()
    assert running.returncode == 0
    wanted = (
        r"lost: .*",
        r"before reconnect: .*",
        r"  a session (goes on: \d+ commands had arrived, \d+ were repeated|was made anew .*)",
        r"back after [\d.]+ ms and \d+ attempt\(s\)",
        r"connection failed: FAILOVER, (reattached|recreated), back: True",
        r"done",
    )
    lines = iter(told.splitlines())
    assert all(any(re.fullmatch(pattern, line) for line in lines) for pattern in wanted), told


@differs("tls")
def test_tls_connects_to_a_broker_whose_authority_is_known(
    run: Run, private_broker_of: Callable[..., Broker], tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
    from cryptography.x509 import load_pem_x509_certificate

    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    store = tmp_path / "broker.p12"
    store.write_bytes(
        pkcs12.serialize_key_and_certificates(b"broker", key, certificate, None, BestAvailableEncryption(b"changeit"))  # type: ignore[arg-type]
    )
    known, stranger = tmp_path / "ca.pem", tmp_path / "stranger.pem"
    authority.cert_pem.write_to_path(str(known))
    trustme.CA().cert_pem.write_to_path(str(stranger))
    broker = private_broker_of(BrokerSettings(tls=TlsFiles(store, "changeit")))
    url = f"tcp://localhost:{broker.tls_port}"
    assert run("tls", "--url", url, "--authorities", str(known)) == "connected, encrypted\n"
    refused = subprocess.run(
        command("tls", "--url", url, "--authorities", str(stranger)), capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("no TLS connection: ")


def test_a_factory_and_a_queue_are_found_by_name(run: Run, broker_url: str, tmp_path: Path) -> None:
    file = tmp_path / "jndi.properties"
    file.write_text(
        "java.naming.factory.initial=org.apache.activemq.artemis.jndi.ActiveMQInitialContextFactory\n"
        f"connectionFactory.ConnectionFactory={broker_url}?profile=reliable\n"
        f"queue.queues/orders=examples.{uuid.uuid4()}\n"
    )
    assert run("jndi_lookup", "--file", str(file)) == "received: found by name\n"


def test_the_tests_of_a_users_program_pass_on_a_real_broker_too(broker_url: str) -> None:
    installed = any(point.name == "activeclient" for point in importlib.metadata.entry_points(group="pytest11"))
    plugin = () if installed else ("-p", "activeclient.testing.plugin")
    files = map(str, sorted(EXAMPLES.glob("testing_*.py")))
    # Elsewhere, so that the settings of this project do not count.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *plugin,
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        "/",
    ]
    ended = subprocess.run(
        [*command, "--artemis-url", broker_url, *files],
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"^8 passed, 2 skipped in ", ended.stdout, re.MULTILINE), ended.stdout
