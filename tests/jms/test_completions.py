"""Waiting for completion listeners."""

from __future__ import annotations

import threading

import pytest

from activeclient.errors import IllegalStateError
from activeclient.jms.completions import Completions


def always():
    return True


def test_waiting_ends_when_each_listener_has_returned():
    completions = Completions(lambda: False)
    completions.begin()
    completions.begin()
    ended = []
    waiter = threading.Thread(target=lambda: ended.append(completions.wait(10)))
    waiter.start()
    completions.withdraw()
    with completions.told():
        assert not ended
    waiter.join(10)
    assert ended == [True]


def test_waiting_ends_when_none_has_returned_for_the_whole_time():
    completions = Completions(lambda: False)
    completions.begin()
    assert completions.wait(0.01) is False
    assert completions.outstanding == 1


def test_a_callback_does_not_wait_for_itself():
    completions = Completions(always)
    completions.begin()
    with completions.told():
        assert completions.wait(10) is True


def test_what_a_listener_must_not_do_is_refused_inside_it_alone():
    inside = [False]
    completions = Completions(lambda: inside[0])
    completions.check_not_inside("close")
    completions.begin()
    with completions.told():
        completions.check_not_inside("close")  # another thread
        inside[0] = True
        with pytest.raises(IllegalStateError, match="must not close"):
            completions.check_not_inside("close")
    completions.check_not_inside("close")  # a message listener of the same session


def test_a_listener_that_raises_has_returned():
    completions = Completions(lambda: False)
    completions.begin()
    with pytest.raises(ZeroDivisionError), completions.told():
        raise ZeroDivisionError
    assert completions.wait(0) is True
