"""Producer credits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from activeclient.engine.producer import DEFAULT_WINDOW, MAX_WINDOW, CreditPool

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 3000)),
        st.tuples(st.just("grant"), st.integers(1, 100)),
        st.tuples(st.just("dry"), st.none()),
        st.tuples(st.just("blocked"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=80,
)


@given(st.sampled_from([1000, 2500, DEFAULT_WINDOW]), STEPS)
def test_outstanding_and_unused_are_at_most_a_window_or_the_need(window, steps):
    pool = CreditPool("a", window)
    outstanding = []
    for kind, value in steps:
        if kind == "send":
            held = pool.balance + pool.asked
            more = pool.wanted(value)
            if more:
                outstanding.append(more)
                assert pool.balance + pool.asked == max(pool.window, value)
            else:
                assert held >= value
            assert held == pool.balance + pool.asked - more
            if pool.allows(value):
                pool.balance -= value
        elif kind == "grant" and outstanding:
            pool.granted(outstanding.pop(0))
        elif kind == "dry":
            pool.ran_dry()
        elif kind == "blocked":
            pool.blocked()
        elif kind == "restart":
            pool.restart()
            outstanding.clear()
        assert pool.asked == sum(outstanding)
        assert pool.balance >= 0


def test_more_is_asked_for_when_half_is_gone_and_not_before():
    pool = CreditPool("a", 1000)
    assert pool.wanted() == 1000
    pool.granted(1000)
    pool.balance -= 499
    assert pool.wanted() == 0
    pool.balance -= 1
    assert pool.wanted() == 500
    assert pool.wanted() == 0


def test_a_message_larger_than_the_window_gets_what_it_needs():
    pool = CreditPool("a", 1000)
    pool.granted(pool.wanted())
    assert not pool.allows(5000)
    assert pool.wanted(5000) == 4000
    pool.granted(4000)
    assert pool.allows(5000)


def test_a_pool_that_runs_dry_grows_to_its_end_and_falls_back_when_the_server_blocks():
    pool = CreditPool("a", DEFAULT_WINDOW)
    windows = []
    for _ in range(8):
        pool.ran_dry()
        windows.append(pool.window)
    assert windows[0] == 2 * DEFAULT_WINDOW
    assert windows[-1] == MAX_WINDOW
    pool.blocked()
    assert pool.window == DEFAULT_WINDOW


def test_a_window_that_the_user_chose_never_grows():
    pool = CreditPool("a", 1000)
    pool.ran_dry()
    assert pool.window == 1000


def test_at_a_full_address_with_policy_fail_sends_go_out_until_there_is_room_again():
    pool = CreditPool("a", 1000)
    more = pool.wanted()
    pool.refused(more)
    assert pool.allows(99999)
    assert pool.asked == 0
    pool.granted(pool.wanted())
    assert not pool.allows(99999)


def test_a_new_session_begins_with_nothing():
    pool = CreditPool("a", DEFAULT_WINDOW)
    pool.ran_dry()
    pool.granted(pool.wanted())
    pool.wanted(10**7)
    pool.failing = True
    pool.restart()
    assert (pool.balance, pool.asked, pool.failing, pool.window) == (0, 0, False, DEFAULT_WINDOW)
    assert pool.wanted() == DEFAULT_WINDOW
