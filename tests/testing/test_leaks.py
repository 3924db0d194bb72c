"""What is called left behind, and what is not."""

from __future__ import annotations

import socket
import threading

import pytest

from activeclient.testing import Leaks


def test_a_thread_is_one_until_it_ends() -> None:
    leaks = Leaks()
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait, name="a-thread")
    thread.start()
    assert leaks.left(0.0) == ["thread a-thread"]
    ending.set()
    assert leaks.left(30.0) == []


@pytest.mark.parametrize(("name", "found"), [("application", []), ("activeclient-x", ["thread activeclient-x"])])
def test_threads_of_the_program_are_its_own_affair_if_wanted(name: str, found: list[str]) -> None:
    leaks = Leaks(own_threads=True)
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait, name=name)
    thread.start()
    try:
        assert leaks.now() == found
    finally:
        ending.set()
        thread.join()


def test_a_socket_is_one_until_it_is_closed_and_its_ports_are_told() -> None:
    leaks = Leaks()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert leaks.now() == [f"socket port {listener.getsockname()[1]} -> *"]
    assert leaks.now() == []


def test_what_was_there_before_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        assert Leaks().now() == []
