"""The cutter against plain sockets: bytes, positions, ways to break, speed."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activeclient.testing import cutter
from activeclient.testing.cuts import Cut, Direction, Happened, How, random_cuts
from activeclient.testing.cutter import Cutter
from activeclient.testing.waiting import wait_until

PATIENCE = 30.0
"""Seconds after which what should have come is missing; a busy machine needs some."""


class Upstream:
    """A listening socket: `accept` gives the server's end of a connection."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.port = int(self.listener.getsockname()[1])
        self.accepted: list[socket.socket] = []

    def accept(self) -> socket.socket:
        end, _ = self.listener.accept()
        end.settimeout(PATIENCE)
        self.accepted.append(end)
        return end

    def close(self) -> None:
        for end in (*self.accepted, self.listener):
            end.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def before(upstream: Upstream) -> Iterator[Cutter]:
    with Cutter("127.0.0.1", upstream.port) as made:
        yield made


@pytest.fixture
def connect(before: Cutter) -> Iterator[Callable[[], socket.socket]]:
    with contextlib.ExitStack() as ends:
        yield lambda: ends.enter_context(socket.create_connection((before.host, before.port), timeout=PATIENCE))


def read_all(end: socket.socket) -> tuple[bytes, str]:
    """Everything until the end, and how it ended."""
    data = bytearray()
    try:
        while part := end.recv(65536):
            data += part
    except ConnectionResetError:
        return bytes(data), "reset"
    except TimeoutError:
        return bytes(data), "open"
    return bytes(data), "end"


Connect = Callable[[], socket.socket]


def test_bytes_pass_in_both_directions_until_both_sides_end(upstream: Upstream, connect: Connect) -> None:
    client = connect()
    server = upstream.accept()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == (b"question", "end")
    server.sendall(b"answer")
    server.close()
    assert read_all(client) == (b"answer", "end")


@pytest.mark.parametrize("position", [0, 1, 7, 4096, 300_000])
@pytest.mark.parametrize("direction", Direction)
def test_a_cut_lets_exactly_the_bytes_before_its_position_pass(
    upstream: Upstream,
    before: Cutter,
    connect: Connect,
    direction: Direction,
    position: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 300,000 bytes leave the cutter as fast as this process reads them, which may pause for longer than the limit.
    monkeypatch.setattr(cutter, "_DRAIN_LIMIT", PATIENCE)
    before.plan([Cut(direction, position)])
    try:
        client = connect()
    except ConnectionResetError:
        assert position == 0  # cut before the system had told us that we are connected
        return
    server = upstream.accept()
    sender, receiver = (client, server) if direction is Direction.TO_BROKER else (server, client)
    writer = threading.Thread(target=_send_quietly, args=(sender, bytes(400_000)))
    writer.start()
    received, ending = read_all(receiver)
    writer.join()
    assert (len(received), ending) == (position, "reset")
    assert before.cuts == 1
    (happened,) = before.happened
    assert position == (happened.to_broker if direction is Direction.TO_BROKER else happened.to_client)


def _send_quietly(end: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        end.sendall(data)


def test_the_next_connection_is_accepted_at_once_and_takes_the_next_cut_of_the_plan(
    upstream: Upstream, before: Cutter, connect: Connect
) -> None:
    before.plan([Cut(Direction.TO_BROKER, 3), Cut(Direction.TO_BROKER, 5)])
    lengths = []
    for _ in range(2):
        connect().sendall(b"0123456789")
        received, _ = read_all(upstream.accept())
        lengths.append(len(received))
    client = connect()
    client.sendall(b"0123456789")
    client.shutdown(socket.SHUT_WR)
    assert lengths == [3, 5]
    assert read_all(upstream.accept()) == (b"0123456789", "end")


def test_cut_now_resets_both_sides(upstream: Upstream, before: Cutter, connect: Connect) -> None:
    client, server = connect(), upstream.accept()
    assert before.cut_now() == 1
    assert read_all(client) == (b"", "reset")
    assert read_all(server) == (b"", "reset")
    assert before.connections == 0


def test_cut_after_counts_from_the_call(upstream: Upstream, before: Cutter, connect: Connect) -> None:
    client, server = connect(), upstream.accept()
    client.sendall(b"before")
    assert server.recv(6, socket.MSG_WAITALL) == b"before"
    before.cut_after(Direction.TO_BROKER, 2)
    client.sendall(b"after")
    assert read_all(server) == (b"af", "reset")


def test_a_fin_ends_both_streams_in_order(upstream: Upstream, before: Cutter, connect: Connect) -> None:
    client, server = connect(), upstream.accept()
    client.sendall(b"x")
    assert server.recv(1) == b"x"
    before.cut_now(How.FIN)
    assert read_all(client) == (b"", "end")
    client.sendall(b"late")  # must not turn the end into a reset
    client.close()
    assert read_all(server) == (b"", "end")
    server.close()
    wait_until(lambda: before.connections == 0, PATIENCE)


def test_an_abandoned_server_connection_stays_open_until_it_is_released(
    upstream: Upstream, before: Cutter, connect: Connect
) -> None:
    client, server = connect(), upstream.accept()
    before.cut_now(How.ABANDON)
    assert read_all(client) == (b"", "reset")
    server.sendall(b"into the void")
    readable, _, _ = select.select([server], [], [], 0.2)
    assert not readable
    before.release()
    assert read_all(server) == (b"", "reset")


def test_in_a_black_hole_nothing_passes_and_nothing_ends(upstream: Upstream, before: Cutter, connect: Connect) -> None:
    client, server = connect(), upstream.accept()
    before.cut_now(How.BLACK_HOLE)
    client.sendall(b"a")
    server.sendall(b"b")
    readable, _, _ = select.select([client, server], [], [], 0.2)
    assert not readable


def test_half_open_silences_one_direction_only(upstream: Upstream, before: Cutter, connect: Connect) -> None:
    client, server = connect(), upstream.accept()
    before.cut_now(How.HALF_OPEN, Direction.TO_CLIENT)
    server.sendall(b"lost")
    client.sendall(b"arrives")
    assert server.recv(7, socket.MSG_WAITALL) == b"arrives"
    readable, _, _ = select.select([client], [], [], 0.2)
    assert not readable


def test_down_refuses_and_up_accepts_on_the_same_port(upstream: Upstream, before: Cutter, connect: Connect) -> None:
    before.down()
    with pytest.raises(ConnectionRefusedError):
        connect()
    before.up()
    connect().sendall(b"x")
    assert upstream.accept().recv(1) == b"x"


def test_a_client_is_reset_when_the_broker_refuses(upstream: Upstream, connect: Connect) -> None:
    upstream.listener.close()
    try:
        end = connect()
    except ConnectionResetError:
        return  # sooner still
    assert read_all(end) == (b"", "reset")


def test_a_reset_of_one_side_is_passed_on(upstream: Upstream, before: Cutter, connect: Connect) -> None:
    connect()
    server = upstream.accept()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.close()
    wait_until(lambda: before.connections == 0, PATIENCE)


def test_the_same_seed_cuts_at_the_same_places() -> None:
    plans = [list(itertools.islice(random_cuts(7, 10, 99, hows=tuple(How)), 50)) for _ in range(2)]
    assert plans[0] == plans[1]
    assert all(10 <= cut.position <= 99 for cut in plans[0])
    assert plans[0] != list(itertools.islice(random_cuts(8, 10, 99, hows=tuple(How)), 50))


def test_a_negative_position_is_refused() -> None:
    with pytest.raises(ValueError, match="position must be 0 or more, not -1"):
        Cut(Direction.TO_BROKER, -1)


@settings(max_examples=30, deadline=None)
@given(
    # From 1: a cut at byte 0 may come before the system has told us that we are connected.
    positions=st.lists(st.integers(1, 5000), min_size=1, max_size=4),
    pieces=st.lists(st.integers(1, 2500), min_size=1, max_size=6),
)
def test_positions_do_not_depend_on_the_pieces(positions: list[int], pieces: list[int]) -> None:
    upstream = Upstream()
    data = bytes(index % 251 for index in range(sum(pieces)))
    with contextlib.closing(upstream), Cutter("127.0.0.1", upstream.port) as made:
        made.plan([Cut(Direction.TO_BROKER, position) for position in positions])
        for number, position in enumerate(positions):
            with socket.create_connection((made.host, made.port), timeout=PATIENCE) as client:
                server = upstream.accept()
                start = 0
                with contextlib.suppress(OSError):
                    for piece in pieces:
                        client.sendall(data[start : start + piece])
                        start += piece
                    client.shutdown(socket.SHUT_WR)
                received, ending = read_all(server)
            assert received == data[: min(position, len(data))]
            if position < len(data):
                assert ending == "reset"
                assert made.happened[-1] == Happened(number, How.RESET, position, 0)


def test_it_forwards_more_than_100_megabytes_a_second(upstream: Upstream, connect: Connect) -> None:
    total = 64 * 1024 * 1024
    client, server = connect(), upstream.accept()
    chunk = bytes(1024 * 1024)
    buffer = bytearray(len(chunk))

    def send() -> None:
        for _ in range(total // len(chunk)):
            client.sendall(chunk)

    def rate() -> float:
        writer = threading.Thread(target=send)
        start = time.monotonic()
        writer.start()
        received = 0
        while received < total:
            received += server.recv_into(buffer)
        elapsed = time.monotonic() - start
        writer.join()
        return total / elapsed

    # The best of a few: a busy machine makes any of them slow.
    rates = [rate() for _ in range(3)]
    while max(rates) <= 100e6 and len(rates) < 20:
        rates.append(rate())
    assert max(rates) > 100e6, f"{max(rates) / 1e6:.0f} MB/s"


def test_a_closed_cutter_says_so_and_leaves_no_thread(upstream: Upstream) -> None:
    closed = Cutter("127.0.0.1", upstream.port)
    closed.close()
    closed.close()
    with pytest.raises(RuntimeError, match="closed"):
        closed.cut_now()
