"""A link in virtual time: the world tells each attempt's outcome and wakes the link exactly when it asked for it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import stop_after_attempt, stop_after_delay, wait_fixed, wait_random_exponential

from activeclient.engine.failover import EndpointList
from activeclient.engine.link import (
    CROSSED,
    SHORT_LIFE,
    SHORT_LIVES_FOR_FREE,
    TRANSITIONS,
    Input,
    Link,
    State,
    link_diagram,
)
from activeclient.engine.retry import RetryPolicy, artemis_policy, diffusion_policy, initial_policy, rtmp_policy
from activeclient.errors import (
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    HandshakeTimeout,
    IncompatibleVersion,
    JMSSecurityError,
    LocalProtocolError,
    ReconnectGaveUp,
)
from activeclient.events import Endpoint
from activeclient.reconnection import Abort, Try

A, B, C = (Endpoint(host=name, port=61616) for name in "abc")
FOR_EVER = artemis_policy(1000, 2, 8000, -1)
ONCE = initial_policy()


class World:
    """`outcome(endpoint, now)` is "up", "refuse", "silent" (no report), "deaf" (TCP only), "bounce" (TCP, then closed)
    or an error that comes after TCP opened."""

    def __init__(self, reconnect=FOR_EVER, initial=ONCE, outcome=lambda e, t: "up", hosts=(A,), **options):
        self.endpoints = EndpointList(hosts, ha=False, failover_attempts=options.pop("failover_attempts", 0))
        self.link = Link(
            self.endpoints,
            initial,
            reconnect,
            connect_timeout=options.pop("connect_timeout", 10),
            handshake_timeout=options.pop("handshake_timeout", 5),
        )
        self.outcome = outcome
        self.now = 0.0
        self.log = []
        self.aborts = []

    def settle(self):
        for _ in range(1000):
            connect = self.link.take_connect()
            if connect is None:
                return
            assert self.link.take_connect() is None
            self.log.append((round(self.now, 3), connect.endpoint.host))
            result = self.outcome(connect.endpoint, self.now)
            if result == "silent":
                continue
            if result == "refuse":
                self.link.lost(ConnectFailed("refused"), self.now)
                continue
            self.link.connected(self.now)
            if result == "up":
                self.link.established(self.now)
            elif result != "deaf":
                self.link.lost(ConnectionLost("closed") if result == "bounce" else result, self.now)
        raise AssertionError("a busy loop")

    def run(self, until):
        for _ in range(10_000):
            self.settle()
            due = self.link.next_timeout()
            if due is None or due > until:
                self.now = until
                return
            self.now = max(self.now, due)
            reason = self.link.handle_timeout(self.now)
            if reason is not None:
                self.aborts.append((round(self.now, 3), type(reason).__name__))
        raise AssertionError("it never rests")

    def open(self):
        self.link.open(self.now)
        self.settle()
        return self

    def cut(self, at, until):
        """Lose the link at `at`; the attempts of that outage, in seconds since then."""
        self.run(at)
        self.log.clear()
        self.link.lost(ConnectionLost("reset"), self.now)
        self.run(until)
        return [round(t - at, 3) for t, _ in self.log]


def down(e, t):
    return "refuse" if t > 0 else "up"


def test_a_link_opens_and_is_up():
    world = World().open()
    assert world.link.state is State.UP
    assert world.link.endpoint == A
    assert world.link.next_timeout() is None
    assert world.log == [(0, "a")]


def test_an_attempt_carries_its_number_and_its_time_limit():
    world = World()
    world.link.open(0)
    connect = world.link.take_connect()
    assert (connect.endpoint, connect.attempt, connect.timeout) == (A, 1, 10)


def test_a_lost_link_is_won_back_at_once_and_then_with_growing_pauses():
    world = World(outcome=lambda e, t: "up" if t < 10 or t >= 19 else "refuse").open()
    assert world.cut(10, 100) == [0, 1, 3, 7, 15]
    assert world.link.state is State.UP
    assert world.link.attempts == 5
    assert world.link.lost_at is None


def test_seven_attempts_have_the_pauses_of_the_java_client_and_none_after_the_last():
    world = World(artemis_policy(100, 2, 1000, 7), outcome=down).open()
    assert world.cut(10, 100) == [0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5]
    assert world.link.state is State.CLOSED
    assert isinstance(world.link.gave_up, ReconnectGaveUp)
    assert isinstance(world.link.gave_up.__cause__, ConnectFailed)
    assert "7 attempt" in str(world.link.gave_up)
    assert world.link.next_timeout() is None


def test_a_first_pause_above_the_maximum_is_kept_as_in_the_java_client():
    assert World(artemis_policy(3000, attempts=4), outcome=down).open().cut(10, 100) == [0, 3, 5, 7]


@pytest.mark.parametrize("attempts", [0, -2])
def test_without_reconnect_attempts_the_first_loss_gives_up_at_once(attempts):
    world = World(artemis_policy(attempts=attempts)).open()
    assert world.cut(10, 10) == []
    assert world.link.state is State.CLOSED
    assert isinstance(world.link.gave_up, ReconnectGaveUp)
    assert world.link.attempts == 0


def test_minus_one_never_gives_up():
    world = World(artemis_policy(attempts=-1), outcome=down).open()
    assert len(world.cut(10, 2010)) == 1001
    assert world.link.state is State.WAITING


def test_each_outage_has_all_attempts_and_the_first_pause_again():
    world = World(artemis_policy(1000, 2, 8000, 4), outcome=lambda e, t: "up" if t % 100 < 10 else "refuse").open()
    for outage in (15, 215):
        world.outcome = lambda e, t, end=outage + 7: "up" if t >= end else "refuse"
        assert world.cut(outage, outage + 50) == [0, 1, 3, 7]
        assert world.link.state is State.UP


@pytest.mark.parametrize("outcome", ["bounce", "deaf"])
def test_a_peer_that_only_accepts_tcp_resets_neither_attempts_nor_pauses(outcome):
    world = World(artemis_policy(1000, 2, 8000, 4), outcome=lambda e, t: outcome if t > 0 else "up").open()
    extra = 5 if outcome == "deaf" else 0
    assert world.cut(10, 100) == [0, 1 + extra, 3 + 2 * extra, 7 + 3 * extra]
    assert isinstance(world.link.gave_up, ReconnectGaveUp)


def test_a_silent_peer_is_left_after_the_handshake_timeout_and_the_driver_is_told_to_abort():
    world = World(artemis_policy(1000, attempts=2), outcome=lambda e, t: "deaf" if t > 0 else "up").open()
    world.cut(10, 100)
    assert world.aborts == [(15, "HandshakeTimeout"), (21, "HandshakeTimeout")]
    assert isinstance(world.link.last_error, HandshakeTimeout)


def test_a_connection_that_carries_what_is_missed_has_the_handshake_timeout_anew_and_keeps_the_pauses_short():
    world = World(artemis_policy(1000, 2.0, 60_000, -1), outcome=lambda e, t: "deaf" if t > 0 else "up").open()
    link = world.link
    link.lost(ConnectionLost("cut"), 10.0)
    pauses = []
    now = 10.0
    for progress in (False, False, True, True):
        if link.retry_at is not None:
            pauses.append(link.retry_at - now)
            now = link.retry_at
            link.handle_timeout(now)
        assert link.take_connect() is not None
        link.connected(now)
        for _ in range(3 if progress else 0):
            now += 4
            assert link.handle_timeout(now) is None
            link.progressed(now)
        link.lost(ConnectionLost("cut"), now)
    pauses.append(link.retry_at - now)
    assert pauses == [1, 2, 1, 1]
    link.progressed(now)  # there is no connection
    assert link.retry_at == now + 1


def test_an_attempt_of_which_the_driver_never_reports_is_lost_after_the_connect_timeout():
    world = World(artemis_policy(1000, attempts=2), outcome=lambda e, t: "silent" if t > 0 else "up").open()
    assert world.cut(10, 100) == [0, 11]
    assert world.aborts == [(20, "ConnectFailed"), (31, "ConnectFailed")]


def test_bad_credentials_end_the_series_at_once_and_are_what_the_user_sees():
    refusal = JMSSecurityError("no")
    world = World(outcome=lambda e, t: refusal if t > 0 else "up").open()
    assert world.cut(10, 100) == [0]
    assert world.link.gave_up is refusal


@pytest.mark.parametrize("error", [IncompatibleVersion("0"), JMSSecurityError("no")])
def test_a_first_connect_that_cannot_succeed_is_not_repeated(error):
    world = World(initial=initial_policy(attempts=-1), outcome=lambda e, t: error).open()
    world.run(100)
    assert world.log == [(0, "a")]
    assert world.link.gave_up is error


def test_a_first_connect_is_tried_once_by_default_and_fails_with_its_own_error():
    world = World(outcome=lambda e, t: "refuse").open()
    assert world.link.state is State.CLOSED
    assert world.link.gave_up is world.link.last_error
    assert type(world.link.gave_up) is ConnectFailed
    assert world.link.lost_at is None


def test_a_first_connect_waits_after_every_single_try_and_counts_rounds():
    world = World(initial=initial_policy(1000, 2, 8000, 2), outcome=lambda e, t: "refuse", hosts=(A, B)).open()
    world.run(100)
    assert world.log == [(0, "a"), (1, "b"), (2, "a"), (4, "b")]
    assert world.link.state is State.CLOSED


def test_a_pause_comes_only_after_a_round_over_all_endpoints():
    world = World(artemis_policy(1000, attempts=2), outcome=down, hosts=(A, B)).open()
    world.cut(10, 100)
    assert world.log == [(10, "a"), (10, "b"), (11, "a"), (11, "b")]
    assert world.link.attempts == 4


def test_the_link_moves_to_the_endpoint_that_works():
    world = World(outcome=lambda e, t: "refuse" if e == A and t > 0 else "up", hosts=(A, B)).open()
    assert world.cut(10, 20) == [0, 0]
    assert world.link.endpoint == B
    assert world.endpoints.current == B


def test_used_up_attempts_lead_to_the_other_servers_when_that_is_wanted():
    world = World(
        artemis_policy(1000, 2, 8000, 0), outcome=down, hosts=(A, B), failover_attempts=3, initial=initial_policy()
    ).open()
    world.cut(10, 100)
    assert world.log == [(t, host) for t in (10, 11, 13) for host in "ba"]
    assert isinstance(world.link.gave_up, ReconnectGaveUp)


def test_failover_to_another_server_succeeds_after_the_own_attempts():
    world = World(
        artemis_policy(1000, attempts=1),
        outcome=lambda e, t: "up" if t == 0 or (t >= 11 and e == B) else "refuse",
        hosts=(A, B),
        failover_attempts=-1,
    ).open()
    world.cut(10, 100)
    assert world.log == [(10, "a"), (10, "b"), (10, "b"), (10, "a"), (11, "b")]
    assert world.link.state is State.UP


def test_an_outage_after_a_failover_begins_with_the_own_attempts_again():
    world = World(artemis_policy(1000, attempts=2), hosts=(A, B), failover_attempts=1).open()
    world.outcome = lambda e, t: "up" if world.link.attempts == 5 else "refuse"
    assert world.cut(10, 100) == [0, 0, 1, 1, 1]
    assert world.link.endpoint == B
    world.outcome = lambda e, t: "refuse"
    assert world.cut(110, 200) == [0, 0, 1, 1, 1, 1]
    assert world.log[0] == (110, "b")


def test_an_attempt_that_was_lost_before_the_driver_took_it_is_not_made():
    world = World(artemis_policy(1000, attempts=3)).open()
    world.link.lost(ConnectionLost("reset"), 10)
    world.link.lost(ConnectionLost("no network"), 10)
    assert world.link.state is State.WAITING
    assert world.link.take_connect() is None


def test_diffusion_gives_up_exactly_when_its_time_is_over():
    world = World(diffusion_policy(), outcome=down).open()
    assert world.cut(10, 69.999) == [5 * n for n in range(12)]
    assert world.link.state is State.WAITING
    world.run(70)
    assert world.link.state is State.CLOSED
    assert world.log[-1] == (65, "a")


def test_a_limit_by_time_also_ends_an_attempt_that_hangs():
    world = World(diffusion_policy(timeout_s=12), outcome=lambda e, t: "silent" if t > 0 else "up").open()
    world.run(10)
    world.link.lost(ConnectionLost("reset"), 10)
    world.link.take_connect()
    world.link.lost(ConnectFailed("refused"), 10)
    world.run(15)
    assert world.link.next_timeout() == 22
    world.run(22)
    assert world.aborts == [(22, "ConnectFailed")]
    assert isinstance(world.link.gave_up, ReconnectGaveUp)


def test_a_limit_by_time_shortens_the_time_of_the_last_attempt_and_ends_with_success():
    world = World(diffusion_policy(timeout_s=8)).open()
    world.link.lost(ConnectionLost("reset"), 10)
    assert world.link.take_connect().timeout == 8
    world.link.connected(11)
    world.link.established(12)
    assert world.link.next_timeout() is None
    assert world.link.handle_timeout(1000) is None
    assert world.link.state is State.UP


def test_a_diffusion_time_out_of_zero_gives_up_at_once():
    world = World(diffusion_policy(0)).open()
    assert world.cut(10, 10) == []
    assert world.link.state is State.CLOSED


def test_rtmp_waits_before_its_first_attempt_too():
    assert World(rtmp_policy(3, 6000), outcome=down).open().cut(10, 100) == [6, 12, 18]


def test_a_strategy_of_the_users_own_may_delay_and_forbid_each_attempt():
    asked = []

    def strategy(failures, elapsed):
        asked.append((failures, elapsed))
        return None if failures == 3 else 2.0 * (failures + 1)

    world = World(strategy, outcome=down, hosts=(A,), failover_attempts=-1).open()
    assert world.cut(10, 100) == [2, 6, 12]
    assert asked == [(0, 0), (1, 2), (2, 6), (3, 12)]
    assert world.link.state is State.CLOSED


def test_a_strategy_that_raises_ends_the_link_with_its_error_as_the_cause():
    def strategy(failures, elapsed):
        raise KeyError("oops")

    world = World(strategy).open()
    world.cut(10, 10)
    assert isinstance(world.link.gave_up, ReconnectGaveUp)
    assert isinstance(world.link.gave_up.__cause__, KeyError)


@pytest.mark.parametrize("pause", [-5.0, math.nan, math.inf])
def test_a_strategy_that_answers_nonsense_is_made_safe(pause):
    world = World(lambda failures, elapsed: pause if failures == 0 else None, outcome=down).open()
    world.run(10)
    world.link.lost(ConnectionLost("reset"), 10)
    due = world.link.next_timeout()
    assert 10 < due < 1e8


def test_tenacity_objects_of_the_user_decide():
    world = World(
        RetryPolicy(wait=wait_random_exponential(max=30), stop=stop_after_delay(60) | stop_after_attempt(5)),
        outcome=down,
    ).open()
    attempts = world.cut(10, 1000)
    assert attempts[0] == 0
    assert len(attempts) == 5 or attempts[-1] >= 60
    assert world.link.state is State.CLOSED


def test_a_stop_by_time_counts_from_the_loss():
    world = World(RetryPolicy(wait=wait_fixed(25), stop=stop_after_delay(60)), outcome=down).open()
    assert world.cut(10, 1000) == [0, 25, 50, 75]


def test_a_stop_by_time_also_counts_within_a_round():
    policy = RetryPolicy(wait=wait_fixed(1), stop=stop_after_delay(15))
    world = World(policy, outcome=lambda e, t: "silent" if t > 0 else "up", hosts=(A, B, C)).open()
    assert world.cut(10, 1000) == [0, 10]


def test_links_that_die_as_soon_as_they_are_established_end_in_pauses():
    world = World(FOR_EVER).open()
    for _ in range(SHORT_LIVES_FOR_FREE):
        world.link.lost(ConnectionLost("thrown away"), world.now)
        world.settle()
        assert world.link.state is State.UP
    for pause in (1, 2, 4, 8, 8):
        world.link.lost(ConnectionLost("thrown away"), world.now)
        assert world.link.retry_at == world.now + pause
        world.run(world.now + pause)
        assert world.link.state is State.UP
    world.run(world.now + SHORT_LIFE)
    world.link.lost(ConnectionLost("a cut"), world.now)
    assert world.link.state is State.CONNECTING


def test_a_redirect_is_followed_without_a_pause():
    world = World(FOR_EVER).open()
    world.run(10)
    world.log.clear()
    world.endpoints.redirect(C)
    world.link.lost(ConnectionLost("redirected"), world.now)
    world.settle()
    assert world.log == [(10, "c")]


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
def test_a_close_ends_everything_from_any_state(state):
    world = World(outcome=down)
    link = world.link
    if state is not State.DOWN:
        link.open(0)
    if state in (State.HANDSHAKING, State.UP, State.WAITING):
        link.take_connect()
        link.connected(0)
    if state in (State.UP, State.WAITING):
        link.established(0)
    if state is State.WAITING:
        world.cut(10, 10)
    assert link.state is state
    link.close(11)
    link.close(12)
    assert link.state is State.CLOSED
    assert link.take_connect() is None
    assert link.next_timeout() is None
    assert link.retry_at is None
    assert link.gave_up is None
    assert link.handle_timeout(1e9) is None
    link.lost(ConnectionLost("late"), 13)
    link.connected(13)
    assert link.state is State.CLOSED


def test_a_report_that_crossed_a_timeout_changes_nothing():
    world = World(outcome=lambda e, t: "silent" if t > 0 else "up").open()
    world.cut(10, 20)
    assert world.link.state is State.WAITING
    retry_at = world.link.retry_at
    world.link.connected(20)
    world.link.lost(ConnectFailed("refused"), 20.5)
    assert (world.link.state, world.link.retry_at) == (State.WAITING, retry_at)


def test_a_second_session_changes_nothing():
    world = World().open()
    world.link.established(50)
    assert world.link.state is State.UP


def test_an_input_that_a_state_does_not_have_is_named():
    link = World().link
    with pytest.raises(LocalProtocolError, match=r"down.*'established'"):
        link.established(0)
    link.open(0)
    with pytest.raises(LocalProtocolError, match=r"connecting.*'open'"):
        link.open(0)


def test_no_pair_is_both_a_change_and_ignored_and_closed_is_the_end():
    assert not CROSSED & TRANSITIONS.keys()
    assert not [old for old, _ in TRANSITIONS if old is State.CLOSED]
    assert {(s, Input.LOST) for s in State} <= CROSSED | TRANSITIONS.keys()
    assert {(s, Input.CLOSE) for s in State} <= CROSSED | TRANSITIONS.keys()


@pytest.mark.parametrize("name", ["connect_timeout", "handshake_timeout"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_timeout_that_is_not_positive_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        World(**{name: value})


def test_the_picture_has_every_transition():
    picture = link_diagram()
    assert picture.startswith("stateDiagram-v2\n    [*] --> DOWN\n")
    assert "    UP --> WAITING: lost\n" in picture
    assert picture.count("-->") == len(TRANSITIONS) + 2


@given(
    seed=st.integers(0, 2**32),
    interval=st.integers(1, 5000),
    multiplier=st.floats(0.5, 4),
    maximum=st.integers(1, 5000),
    attempts=st.integers(-2, 6),
    hosts=st.integers(1, 3),
    failover_attempts=st.integers(-1, 2),
    jitter=st.sampled_from([0.0, 0.5]),
)
def test_any_life_has_one_attempt_at_a_time_and_none_before_its_pause_is_over(
    seed, interval, multiplier, maximum, attempts, hosts, failover_attempts, jitter
):
    rng = random.Random(seed)
    policy = artemis_policy(interval, multiplier, maximum, attempts, jitter, rng.random)
    link = World(policy, initial_policy(interval, multiplier, maximum, attempts), hosts=(A, B, C)[:hosts],
                 failover_attempts=failover_attempts).link  # fmt: skip
    now, in_flight, not_before = 0.0, False, 0.0
    link.open(now)
    for _ in range(300):
        connect = link.take_connect()
        if connect is not None:
            assert not in_flight, "two attempts without an outcome between"
            assert link.state is State.CONNECTING
            assert now >= not_before, "an attempt before its pause was over"
            in_flight = True
        if link.state is State.CLOSED:
            break
        step = rng.choice(["time", "early", "up", "lost", "lost", "fatal"] if rng.random() < 0.1 else ["time", "early",
                           "up", "lost", "lost"])  # fmt: skip
        error = JMSSecurityError("no") if step == "fatal" else ConnectionLost("cut")
        due = link.next_timeout()
        if step == "time" and due is not None:
            assert due >= now, "a pause or a deadline in the past"
            now = due
            if link.handle_timeout(now) is not None:
                in_flight = False
        elif step == "early" and due is not None:
            before = link.state
            now += (due - now) * rng.random() * 0.99
            assert link.handle_timeout(now) is None
            assert link.state is before
        elif step == "up" and link.state is State.CONNECTING:
            link.connected(now)
        elif step == "up" and link.state is State.HANDSHAKING:
            link.established(now)
        elif step in ("lost", "fatal"):
            if link.state is State.WAITING:
                continue
            link.lost(error, now)
            in_flight = False
        not_before = link.retry_at if link.retry_at is not None else not_before
        if link.state in (State.CONNECTING, State.HANDSHAKING, State.WAITING):
            assert link.next_timeout() is not None, "a state that nothing would ever end"
    assert (link.gave_up is not None) == (link.state is State.CLOSED)


def test_a_link_that_asks_waits_for_the_answer() -> None:
    link = Link(
        EndpointList([A, B], ha=False, failover_attempts=0),
        initial_policy(),
        artemis_policy(attempts=-1),
        connect_timeout=5.0,
        handshake_timeout=5.0,
        asks=True,
    )
    link.open(0.0)  # the first connect is not asked for
    assert link.take_connect() is not None
    link.connected(0.1)
    link.established(0.2)
    link.lost(ConnectionLost("cut"), 10.0)
    question = link.take_question()
    assert question is not None
    assert (question.number, question.elapsed, question.endpoint, question.endpoints) == (1, 0.0, A, (A, B))
    assert link.take_question() is None
    assert link.next_timeout() is None
    link.handle_timeout(1e6)
    assert link.state is State.WAITING

    assert not link.decided(question.serial + 1, Try(), 20.0)
    assert link.decided(question.serial, Try(after=3.0), 20.0)
    assert not link.decided(question.serial, Try(), 20.0)
    assert link.next_timeout() == 23.0
    link.handle_timeout(23.0)
    connect = link.take_connect()
    assert connect is not None
    assert connect.endpoint == A

    link.lost(ConnectionLost("refused"), 24.0)
    second = link.take_question()
    assert second is not None
    assert (second.number, second.elapsed, second.endpoint) == (2, 14.0, B)
    other = Endpoint(host="c", port=3)
    assert link.decided(second.serial, Try(endpoint=other), 24.0)
    connect = link.take_connect()
    assert connect is not None
    assert connect.endpoint == other

    link.lost(ConnectionLost("refused"), 25.0)
    third = link.take_question()
    assert third is not None
    assert link.decided(third.serial, Abort("enough"), 26.0)
    assert link.state is State.CLOSED
    assert "enough" in str(link.gave_up)


def test_the_limit_of_a_series_counts_while_a_link_waits_for_an_answer() -> None:
    link = Link(
        EndpointList([A], ha=False, failover_attempts=0),
        initial_policy(),
        diffusion_policy(12.0, 5.0),
        connect_timeout=5.0,
        handshake_timeout=5.0,
        asks=True,
    )
    link.open(0.0)
    link.connected(0.1)
    link.established(0.2)
    link.lost(ConnectionLost("cut"), 10.0)
    question = link.take_question()
    assert question is not None
    assert link.next_timeout() == 22.0
    link.handle_timeout(22.0)
    assert link.state is State.CLOSED
    assert not link.decided(question.serial, Try(), 22.0)
