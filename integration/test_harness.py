"""The harness against itself: the brokers live, die and come back, and the faults do happen."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate

from activeclient.testing.cuts import Cut, Direction
from activeclient.testing.cutter import Cutter
from activeclient.testing.ports import free_port
from integration import cache
from integration.artemis import GENERATIONS, Broker, BrokerError, LocalBroker, RemoteBroker
from integration.configuration import BrokerSettings, TlsFiles
from integration.conftest import MakeBroker
from integration.differences import differs
from integration.docker import COMPOSE_FILE, DockerBroker
from integration.embedded import EmbeddedProcess
from integration.faults import Bandwidth, FaultError, Faults, LimitData, Link, Slicer, SlowClose
from integration.handshake import MAGIC, Handshake, answers, ping_frame
from integration.leaks import Leaks
from integration.processes import Server, reaper_pid
from integration.provision import in_ci
from integration.running import end_all
from integration.toolchain import DISTRIBUTION_VERSION, SERVER_VERSION, TOXIPROXY_VERSION, UnavailableError

# -- brokers --------------------------------------------------------------------------------------------------------


def test_the_shared_broker_echoes_a_ping(artemis: Broker, broker_url: str) -> None:
    assert broker_url == f"tcp://{artemis.host}:{artemis.port}"
    with Handshake(artemis.host, artemis.port) as connection:
        assert connection.ping() < 5
        assert connection.ping() < 5


@pytest.mark.parametrize("artemis", GENERATIONS, indirect=True)
def test_a_broker_is_of_the_generation_that_it_says(artemis: Broker) -> None:
    if isinstance(artemis, RemoteBroker):
        pytest.skip("its log is not ours")
    version = {"2.44": DISTRIBUTION_VERSION, "2.57": SERVER_VERSION}[artemis.generation]
    assert f"Message Broker version {version}" in artemis.log()


def test_a_killed_broker_comes_back_on_its_port_with_its_data(private_broker: Broker) -> None:
    port, before = private_broker.port, _node_id(private_broker)
    with Handshake(private_broker.host, port) as connection:
        connection.ping()
        private_broker.kill()
        with pytest.raises(OSError):  # noqa: PT011 - closed or reset, as the kernel likes
            connection.ping()
    assert not private_broker.running()
    assert not answers("127.0.0.1", port)
    private_broker.start()
    assert private_broker.port == port
    assert answers("127.0.0.1", port, timeout=5)
    assert _node_id(private_broker) == before  # the node's identity is part of the data folder


@pytest.mark.parametrize("private_broker_of", GENERATIONS, indirect=True)
def test_a_stopped_broker_starts_again_and_a_second_start_is_refused(private_broker: Broker) -> None:
    private_broker.restart()
    assert answers(private_broker.host, private_broker.port, timeout=5)
    assert " stopped, uptime" in private_broker.log()  # a clean stop, unlike a kill
    if isinstance(private_broker, LocalBroker):
        with pytest.raises(BrokerError, match="runs already"):
            private_broker.start()


def test_a_frozen_broker_is_silent_until_it_thaws(private_broker: Broker) -> None:
    if not isinstance(private_broker, LocalBroker | EmbeddedProcess):
        pytest.skip("only a local process can be frozen")
    with Handshake(private_broker.host, private_broker.port) as connection:
        connection.ping()
        connection.socket.settimeout(0.3)
        private_broker.freeze()
        with pytest.raises(TimeoutError):
            connection.ping()
        private_broker.thaw()
        connection.socket.settimeout(30)
        assert connection.read(len(ping_frame())) == ping_frame()


@pytest.mark.parametrize(
    ("anonymous", "login", "accepted"),
    [
        (True, "", True),
        (True, "login:admin\npasscode:admin\n", True),
        (True, "login:admin\npasscode:wrong\n", False),
        (False, "", False),
        (False, "login:admin\npasscode:admin\n", True),
        (False, "login:limited\npasscode:limited\n", True),
    ],
)
def test_a_login_is_checked_and_a_guest_enters_only_where_allowed(
    brokers_by_login: Callable[[bool], Broker], anonymous: bool, login: str, accepted: bool
) -> None:
    assert _stomp_connect(brokers_by_login(anonymous), login).startswith(b"CONNECTED" if accepted else b"ERROR")


@pytest.fixture(scope="module")
def brokers_by_login() -> Iterator[Callable[[bool], Broker]]:
    """One broker for each of the two login modes."""
    with (
        LocalBroker("2.57", BrokerSettings(anonymous=True)) as guests,
        LocalBroker("2.57", BrokerSettings(anonymous=False)) as members,
    ):
        guests.start()
        members.start()
        yield lambda anonymous: guests if anonymous else members


@differs("tls")
def test_a_tls_acceptor_presents_the_certificate(private_broker_of: MakeBroker, tmp_path: Path) -> None:
    authority = trustme.CA()
    broker = private_broker_of(BrokerSettings(tls=_key_store(authority, tmp_path)))
    assert broker.tls_port is not None
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Handshake(broker.host, broker.tls_port, context=context, name="localhost") as connection:
        connection.ping()
    with pytest.raises(ssl.SSLCertVerificationError):
        Handshake(broker.host, broker.tls_port, context=ssl.create_default_context(), name="localhost")


@differs("tls")
def test_a_tls_acceptor_can_demand_a_client_certificate(private_broker_of: MakeBroker, tmp_path: Path) -> None:
    authority = trustme.CA()
    broker = private_broker_of(BrokerSettings(tls=_key_store(authority, tmp_path, clients=True)))
    assert broker.tls_port is not None
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with pytest.raises(OSError), Handshake(broker.host, broker.tls_port, context=context, name="localhost") as nobody:  # noqa: PT011
        nobody.ping()
    authority.issue_cert("client@example.org").configure_cert(context)
    with Handshake(broker.host, broker.tls_port, context=context, name="localhost") as connection:
        connection.ping()


def test_the_way_from_a_url_takes_user_and_password() -> None:
    broker = RemoteBroker("2.44", "tcp://example.org:61617?user=joe&password=secret")
    assert (broker.host, broker.port, broker.user, broker.password) == ("example.org", 61617, "joe", "secret")
    assert "secret" not in repr(broker)
    assert broker.url(reconnectAttempts=-1) == "tcp://example.org:61617?reconnectAttempts=-1"
    with pytest.raises(ValueError, match="host and port"):
        RemoteBroker("2.44", "tcp://example.org")


def test_an_unknown_generation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2\.44, 2\.57, not '1\.0'"):
        LocalBroker("1.0")


@pytest.mark.parametrize("private_broker_of", GENERATIONS, indirect=True)
def test_a_broker_that_cannot_start_says_why(private_broker: Broker) -> None:
    if not isinstance(private_broker, LocalBroker):
        pytest.skip("needs a local broker's configuration")
    private_broker.stop()
    (private_broker.instance / "etc" / "broker.xml").write_text("<configuration>")
    with pytest.raises(BrokerError, match="ended while starting"):
        private_broker.start(timeout=20)
    assert not private_broker.running()


def test_what_runs_in_another_terminal_is_found_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    script = (
        "import signal, threading\n"
        "from integration.running import recorded\n"
        "end = threading.Event()\n"
        "signal.signal(signal.SIGTERM, lambda *_: end.set())\n"
        "with recorded('tcp://host:1'):\n"
        "    print('runs', flush=True)\n"
        "    end.wait()\n"
    )
    assert end_all() == []
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        left = tmp_path / "activeclient" / "running" / f"{os.getpid()}.json"
        left.write_text("{}")  # of a process that was killed: nobody holds it
        assert end_all() == ["tcp://host:1"]
        assert process.wait(30) == 0
        assert not left.exists()
    assert end_all() == []


# -- processes never outlive us -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_and_folders_go_when_we_are_killed(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    folder.mkdir()
    script = (
        "import pathlib, sys, threading, time\n"
        "from integration import processes\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "processes.own_folder(folder)\n"
        f"start = lambda: print(processes.Server(['sleep', '300'], log=pathlib.Path({str(tmp_path / 'log')!r}),"
        " cwd=folder).pid, flush=True)\n"
        "starter = threading.Thread(target=start); starter.start(); starter.join()\n"
        "time.sleep(300)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        server = int(parent.stdout.readline())
        os.kill(server, 0)  # it lives, though the thread that started it has ended
        parent.send_signal(number)
        parent.wait(30)
    _wait_until(lambda: not _lives(server))
    _wait_until(lambda: not folder.exists())


def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    server = Server(["sh", "-c", "sleep 300 & echo $!; wait"], log=tmp_path / "log", cwd=tmp_path)
    _wait_until(lambda: (tmp_path / "log").read_text().strip() != "")
    helper = int((tmp_path / "log").read_text())
    server.stop()
    _wait_until(lambda: not _lives(helper))
    assert not server.alive


def test_a_leaked_thread_process_or_socket_is_found(tmp_path: Path) -> None:
    leaks = Leaks()
    assert leaks.left(0) == []
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    server = Server(["sleep", "300"], log=tmp_path / "log", cwd=tmp_path)
    with socket.create_server(("127.0.0.1", 0)):
        left = leaks.left(0)
    assert "thread forgotten" in left
    assert f"process {server.pid}" in left
    assert any(one.startswith("socket ") for one in left)
    assert f"process {reaper_pid()}" not in left
    end.set()
    thread.join()
    server.kill()
    assert leaks.left(5) == []


# -- cache ----------------------------------------------------------------------------------------------------------


def test_a_failed_build_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise UnavailableError("line is down")

    with pytest.raises(UnavailableError):
        cache.prepared("thing", fail, root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    built = cache.prepared("thing", lambda folder: (folder / "whole").mkdir(), root=tmp_path)
    assert [path.name for path in built.iterdir()] == ["whole"]


def test_a_build_that_was_killed_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".thing.part-abc").mkdir()
    cache.prepared("thing", lambda folder: None, root=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thing", "thing.lock"]


def test_parallel_runs_build_once(tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(folder: Path) -> None:
        time.sleep(0.05)  # long enough for the others to arrive
        builds.append(folder)

    threads = [
        threading.Thread(target=cache.prepared, args=("thing", build), kwargs={"root": tmp_path}) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_free_ports_differ_and_are_no_local_ports_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    with contextlib.suppress(OSError):
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert lowest <= 21000 or max(ports) < lowest


def test_ci_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert in_ci()
    monkeypatch.delenv("CI")
    assert not in_ci()


def test_the_images_have_the_versions_of_the_local_servers() -> None:
    text = COMPOSE_FILE.read_text()
    assert f"image: apache/activemq-artemis:{DISTRIBUTION_VERSION}\n" in text
    assert f"image: ghcr.io/shopify/toxiproxy:{TOXIPROXY_VERSION.removeprefix('v')}\n" in text
    assert "\t" not in text


def test_a_container_is_started_stopped_killed_and_removed_by_compose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\nshift 5\necho "$@ port=$ARTEMIS_PORT anonymous=$ARTEMIS_ANONYMOUS" >> {calls}\necho id\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    broker = DockerBroker(BrokerSettings(anonymous=False))
    with socket.create_server((broker.host, broker.port)) as listener:
        ready = threading.Event()
        echo = threading.Thread(target=_echo_pings, args=(listener, ready))
        echo.start()
        try:
            broker.start()  # the port answers as the container's would
        finally:
            ready.set()
            echo.join()
    broker.stop()
    broker.kill()
    broker.remove()
    variables = f"port={broker.port} anonymous=false"
    made = calls.read_text().splitlines()
    while made[1] == f"ps --status running --quiet artemis {variables}":
        del made[1]  # the echo came late: it was asked whether the container runs
    assert made == [
        f"{command} {variables}"
        for command in (
            "up --detach --no-deps artemis",
            "stop artemis",
            "ps --status running --quiet artemis",
            "kill --signal SIGKILL artemis",
            "kill artemis",
            "down --volumes --timeout 1",
        )
    ]


def _echo_pings(listener: socket.socket, ready: threading.Event) -> None:
    listener.settimeout(0.05)
    while not ready.is_set():
        with contextlib.suppress(OSError):  # nobody came, or who came has given up
            end, _ = listener.accept()
            with end:
                end.settimeout(1.0)
                data = end.recv(len(MAGIC) + len(ping_frame()), socket.MSG_WAITALL)
                end.sendall(data[len(MAGIC) :])


# -- faults through Toxiproxy ---------------------------------------------------------------------------------------


def test_latency_is_felt_on_the_echo_and_goes_with_its_block(proxied: Link) -> None:
    with Handshake(proxied.host, proxied.port) as connection:
        # A machine may stall once, but each echo with the latency takes longer.
        _wait_until(lambda: connection.ping() < 0.15)
        with proxied.latency(0.1):
            assert connection.ping() >= 0.2
        _wait_until(lambda: connection.ping() < 0.15)


def test_a_cut_link_closes_and_refuses_until_it_is_healed(proxied: Link) -> None:
    with Handshake(proxied.host, proxied.port) as connection:
        connection.ping()
        proxied.cut()
        with pytest.raises(OSError):  # noqa: PT011
            connection.ping()
    with pytest.raises(ConnectionRefusedError):
        Handshake(proxied.host, proxied.port)
    proxied.heal()
    assert answers(proxied.host, proxied.port, timeout=5)


def test_down_lasts_as_long_as_its_block_and_a_blip_no_time(proxied: Link) -> None:
    with proxied.down():
        assert not answers(proxied.host, proxied.port)
    with Handshake(proxied.host, proxied.port) as connection:
        connection.ping()
        proxied.blip()
        with pytest.raises(OSError):  # noqa: PT011
            connection.ping()
    assert answers(proxied.host, proxied.port, timeout=5)


def test_reset_peer_resets_new_connections_and_ends_living_ones(proxied: Link) -> None:
    with Handshake(proxied.host, proxied.port) as living:
        living.ping()
        with proxied.reset_peer():
            with pytest.raises(ConnectionError):
                living.ping()
            with Handshake(proxied.host, proxied.port) as fresh, pytest.raises(ConnectionResetError):
                fresh.ping()


def test_in_a_black_hole_the_connection_stays_open_and_silent(proxied: Link) -> None:
    with Handshake(proxied.host, proxied.port) as connection:
        connection.ping()
        connection.socket.settimeout(0.3)
        with proxied.black_hole():
            with pytest.raises(TimeoutError):
                connection.ping()
            assert not answers(proxied.host, proxied.port, timeout=0.3)
    assert answers(proxied.host, proxied.port, timeout=5)


def test_half_open_loses_the_brokers_words_only(proxied: Link) -> None:
    with Handshake(proxied.host, proxied.port) as connection:
        connection.ping()
        connection.socket.settimeout(0.3)
        with proxied.half_open(), pytest.raises(TimeoutError):
            connection.ping()


def test_limit_data_ends_the_connection_behind_its_bytes(proxied: Link) -> None:
    frame = ping_frame()
    with (
        proxied.limit_data(len(MAGIC) + len(frame)),
        Handshake(proxied.host, proxied.port) as connection,
    ):
        with contextlib.suppress(OSError):
            connection.ping()
        with pytest.raises(OSError):  # noqa: PT011
            connection.ping()


def test_slices_and_little_bandwidth_arrive_whole(proxied: Link) -> None:
    with Handshake(proxied.host, proxied.port) as connection:
        with proxied.slicer(3, variation=1, microseconds=100):
            connection.ping()
        with proxied.slow(seconds=0.05, kilobytes=64):
            assert connection.ping() >= 0.1
        with (
            proxied.toxic(SlowClose(0.1)),
            proxied.toxic(Bandwidth(100), "upstream"),
            proxied.toxic(Slicer(10), "upstream"),
        ):
            connection.ping()


def test_heal_removes_every_toxic(proxied: Link) -> None:
    proxied.add(LimitData(0), "upstream")
    assert not answers(proxied.host, proxied.port)
    proxied.heal()
    assert answers(proxied.host, proxied.port, timeout=5)


def test_links_are_independent(artemis: Broker, faults: Faults) -> None:
    one, other = faults.link(artemis.host, artemis.port), faults.link(artemis.host, artemis.port)
    with one.down():
        assert not answers(one.host, one.port)
        assert answers(other.host, other.port, timeout=5)


def test_a_fault_that_cannot_be_made_is_loud_and_undoing_is_quiet(proxied: Link) -> None:
    with pytest.raises(FaultError, match="latency"):
        proxied.add(_Bad())
    with proxied.latency(0.01):
        proxied.destroy()  # the proxy goes while its toxic is on
    proxied.up()
    with pytest.raises(FaultError):
        proxied.heal()


class _Bad:
    kind: ClassVar[str] = "latency"

    def attributes(self) -> dict[str, int]:
        return {"latency": "soon"}  # type: ignore[dict-item]


# -- the cutter before a broker -------------------------------------------------------------------------------------


def test_the_cutter_cuts_in_the_middle_of_the_echo(cutter: Cutter) -> None:
    cutter.plan([Cut(Direction.TO_CLIENT, 10)])
    with Handshake(cutter.host, cutter.port) as connection:
        connection.socket.sendall(ping_frame())
        assert connection.read(10) == ping_frame()[:10]
        with pytest.raises(ConnectionResetError):
            connection.read(1)
    assert answers(cutter.host, cutter.port, timeout=5)
    assert cutter.cuts == 1


def test_the_cutter_cuts_in_the_middle_of_the_ping(cutter: Cutter) -> None:
    cutter.plan([Cut(Direction.TO_BROKER, len(MAGIC) + 5)])
    with Handshake(cutter.host, cutter.port) as connection, pytest.raises(OSError):  # noqa: PT011
        connection.ping()
    assert cutter.happened[0].to_broker == len(MAGIC) + 5


# -- helpers --------------------------------------------------------------------------------------------------------


def _key_store(authority: trustme.CA, folder: Path, *, clients: bool = False) -> TlsFiles:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    chain = [load_pem_x509_certificate(pem.bytes()) for pem in issued.cert_chain_pems]
    path = folder / "server.p12"
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"server", key, chain[0], chain[1:], BestAvailableEncryption(b"changeit"))  # type: ignore[arg-type]
    )
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    return TlsFiles(path, "changeit", ca if clients else None)


def _node_id(broker: Broker) -> str:
    return broker.log().rpartition("nodeID=")[2].partition("]")[0]


def _stomp_connect(broker: Broker, login: str) -> bytes:
    with socket.create_connection((broker.host, broker.port), timeout=10) as connection:
        connection.sendall(f"CONNECT\naccept-version:1.2\nhost:localhost\n{login}\n\0".encode())
        return connection.recv(4096)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _wait_until(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)
