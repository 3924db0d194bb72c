"""A command behind which the broker closes the connection fails alone; everything else goes on."""

from __future__ import annotations

import random

import pytest

from activeclient.engine.session import SessionConfig
from activeclient.engine.suspects import ACCUSING_SECONDS, PASSES_QUERY, STRIKES
from activeclient.errors import ConnectionLost, NotSent, Outcome, OutcomeUnknown, TransactionOutcomeUnknownError
from activeclient.events import SendFailed
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage
from activeclient.wire.packet import encode
from tests.engine.answering import Server
from tests.engine.peer import Creation, Peer

FEW = 5
"""Attempts with pauses, behind those at once, in which the time of an accusation passes."""


def is_bad(packet):
    return isinstance(packet, p.Send) and packet.message.body.startswith(b"bad")


def started(*, sessions=1, poison=is_bad, reattaches=False, window=100_000, **options):
    """A client with sessions on a server, and the server."""
    peer = Peer()
    server = Server(peer, poison, reattaches=reattaches, **options)
    peer.open()
    server.run()
    made = [add(peer, window=window) for _ in range(sessions)]
    server.run()
    return peer, server, made


def add(peer, **config):
    session = peer.engine.create_session(SessionConfig(**config), peer.now)
    session.creation = Creation()
    peer.serve_later = peer.serve()
    return session


def send(peer, session, body, duplicate_id=None):
    peer.session = session
    return peer.send(body, duplicate_id)


def stored(server):
    bodies = (packet.message.body for _, packet in server.log if isinstance(packet, p.Send))
    return [body for body in bodies if body]  # without those by which repeats are proven


WAYS = pytest.mark.parametrize(("reattaches", "window"), [(False, -1), (False, 0), (False, 100_000), (True, 100_000)])


@WAYS
@pytest.mark.parametrize("before", [0, 1, 50])
def test_it_fails_and_what_is_before_and_behind_it_is_sent(reattaches, window, before):
    peer, server, (session,) = started(reattaches=reattaches, window=window)
    tokens = [send(peer, session, b"%d" % n, b"id%d" % n) for n in range(before)]
    bad = send(peer, session, b"bad", b"id-bad")
    tokens += [send(peer, session, b"later%d" % n, b"later%d" % n) for n in range(3)]
    server.run(5.0)
    assert bad.done
    if reattaches:
        assert isinstance(bad.error, NotSent)
        assert bad.error.outcome is Outcome.NOT_SENT
    else:
        assert isinstance(bad.error, OutcomeUnknown)
        assert bad.error.duplicate_id == b"id-bad"
    assert [(token.done, token.error) for token in tokens] == [(True, None)] * len(tokens)
    wanted = [b"%d" % n for n in range(before)] + [b"later%d" % n for n in range(3)]
    assert list(dict.fromkeys(stored(server))) == wanted
    assert session.usable
    again = send(peer, session, b"after")
    server.run()
    assert (again.done, again.error) == (True, None)
    assert not peer.engine.suspects.careful


@WAYS
def test_sessions_that_share_the_connection_lose_nothing(reattaches, window):
    peer, server, (guilty, other, idle) = started(sessions=3, reattaches=reattaches, window=window)
    bad = send(peer, guilty, b"bad", b"id-bad")
    tokens = [send(peer, other, b"good%d" % n, b"good%d" % n) for n in range(20)]
    server.run(5.0)
    assert isinstance(bad.error, NotSent if reattaches else OutcomeUnknown)
    assert [(token.done, token.error) for token in tokens] == [(True, None)] * 20
    assert all(session.usable for session in (guilty, other, idle))
    assert list(dict.fromkeys(stored(server))) == [b"good%d" % n for n in range(20)]


@WAYS
def test_several_are_found_one_after_the_other(reattaches, window):
    peer, server, (session, other) = started(sessions=2, reattaches=reattaches, window=window)
    bad = [send(peer, session, b"bad%d" % n, b"bad%d" % n) for n in range(3)]
    bad.append(send(peer, other, b"bad", b"bad"))
    good = send(peer, session, b"good", b"good")
    server.run(20.0)
    assert all(token.done and token.error is not None for token in bad)
    assert (good.done, good.error) == (True, None)


def test_it_is_found_within_a_few_attempts_and_not_within_a_moment():
    peer, server, (session,) = started()
    began = peer.now
    bad = send(peer, session, b"bad", b"id-bad")
    server.run(5.0)
    assert bad.done
    assert ACCUSING_SECONDS <= server.lives[-1] - began < ACCUSING_SECONDS + 2.0
    assert 2 + STRIKES <= len(server.lives) <= 2 + STRIKES + FEW


def test_one_that_was_stored_is_unknown_and_not_repeated_for_ever():
    peer, server, (session,) = started(takes=True)
    bad = send(peer, session, b"bad", b"id-bad")
    server.run(5.0)
    assert isinstance(bad.error, OutcomeUnknown)
    assert len(server.lives) <= 2 + STRIKES + FEW


def test_nobody_waits_for_it_and_listeners_are_told():
    peer, server, (session,) = started()
    message = CoreMessage(b"bad", address="q", properties={"_AMQ_DUPL_ID": b"id"})
    frame = encode(p.Send(message, True, session.next_correlation()), session.channel_id, peer.engine.version)
    session.send(frame, None, len(frame))
    peer.serve()
    server.run(5.0)
    (failed,) = peer.told(SendFailed)
    assert isinstance(failed.error, OutcomeUnknown)
    assert failed.error.duplicate_id == b"id"


@WAYS
def test_a_request_fails_and_the_next_one_is_made(reattaches, window):
    def is_long(packet):
        return isinstance(packet, p.QueueQuery) and packet.queue_name == "bad"

    peer, server, (session, other) = started(sessions=2, poison=is_long, reattaches=reattaches, window=window)
    bad = session.submit(session.request_of(p.QueueQuery("bad")))
    next_one = session.submit(session.request_of(p.QueueQuery("good")))
    good = send(peer, other, b"good", b"good")
    server.run(5.0)
    assert bad.done
    assert isinstance(bad.error, NotSent if reattaches else OutcomeUnknown)
    assert (next_one.done, next_one.error) == (True, None)
    assert (good.done, good.error) == (True, None)


def test_a_transaction_that_is_settled_by_its_repetition_stays_unknown():
    peer, server, _ = started(sessions=0)
    session = add(peer, window=100_000, auto_commit_sends=False, auto_commit_acks=False)
    server.run()
    send(peer, session, b"bad", b"id")
    commit = session.submit(session.request_of(p.Commit(0), correlated=True))
    peer.serve()
    server.run(5.0)
    assert isinstance(commit.error, TransactionOutcomeUnknownError)
    session.transaction.reset()
    send(peer, session, b"good", b"id2")
    commit = session.submit(session.request_of(p.Commit(0), correlated=True))
    peer.serve()
    server.run()
    assert (commit.done, commit.error) == (True, None)


@pytest.mark.parametrize("reattaches", [False, True])
def test_cuts_without_a_guilty_command_fail_nothing(reattaches):
    peer, server, (session, other) = started(sessions=2, reattaches=reattaches)
    left = [4]

    def unlucky(packet):
        if isinstance(packet, p.Send) and left[0]:
            left[0] -= 1
            return True
        return False

    server.poison = unlucky
    tokens = [send(peer, session, b"%d" % n, b"%d" % n) for n in range(9)] + [send(peer, other, b"o", b"o")]
    server.run(5.0)
    assert [(token.done, token.error) for token in tokens] == [(True, None)] * 10
    assert not peer.engine.suspects.careful


@pytest.mark.parametrize("reattaches", [False, True])
def test_ends_that_are_not_closed_behind_it_accuse_nobody(reattaches):
    from activeclient.errors import HeartbeatMissed

    peer, server, (session,) = started(reattaches=reattaches, poison=lambda packet: False)
    for _ in range(12):
        send(peer, session, b"x", b"x")
        peer.lose(HeartbeatMissed("silence"))
        server.run(2.0)
    assert not peer.engine.suspects.careful


def test_pauses_grow_when_nothing_gets_further():
    peer, server, (session,) = started(poison=lambda packet: isinstance(packet, p.SessionStart))
    session.started = True
    session.command(session.encode(p.SessionStart()))
    peer.serve()
    began = peer.now
    server.run(10.0)
    assert len(server.lives) < 20
    assert server.lives[-1] - began > 3.0


def test_the_connection_is_lost_before_the_trial_is_over_and_nothing_is_sent_twice_without_an_id():
    peer, server, (session,) = started()
    bad = send(peer, session, b"bad", b"id-bad")
    server.run(5.0)
    assert session.room
    late = send(peer, session, b"late")
    server.run(5.0)
    assert bad.done
    assert late.done
    assert stored(server).count(b"late") <= 1
    peer.lose(ConnectionLost("reset"))
    server.run(2.0)
    assert stored(server).count(b"late") <= 1


def test_a_broker_that_stalls_and_is_restarted_accuses_nobody():
    peer, server, (session,) = started(poison=lambda packet: False)
    server.stalls = is_bad
    slow = send(peer, session, b"bad", b"id")
    for _ in range(9):
        server.run(6.0)
        assert not slow.done
        peer.lose()
    server.stalls = lambda packet: False
    server.run(3.0)
    assert (slow.done, slow.error) == (True, None)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_else_is_cut_the_guilty_ones_fail_and_nothing_else_does(seed):
    rng = random.Random(seed)
    reattaches = rng.random() < 0.5
    window = 100_000 if reattaches else rng.choice((-1, 0, 100_000))
    chance = rng.choice((0.0, 0.01, 0.03))

    def poison(packet):
        return is_bad(packet) or (packet.COUNTED and rng.random() < chance)

    peer, server, sessions = started(sessions=3, reattaches=reattaches, window=window)
    server.poison = poison
    good, bad, wanted = [], [], {session: [] for session in sessions}
    for number in range(60):
        session = rng.choice(sessions)
        while not session.room:
            server.run(0.05)
        if rng.random() < 0.06:
            bad.append(send(peer, session, b"bad%d" % number, b"%d" % number))
        else:
            good.append(send(peer, session, b"%d" % number, b"%d" % number))
            wanted[session].append(b"%d" % number)
        if rng.random() < 0.1:
            server.run(rng.choice((0.0, 0.1)))
    server.run(60.0)
    assert [(token.done, token.error) for token in good] == [(True, None)] * len(good)
    assert all(token.done and isinstance(token.error, (NotSent, OutcomeUnknown)) for token in bad)
    got = list(dict.fromkeys(stored(server)))
    for bodies in wanted.values():
        assert [body for body in got if body in set(bodies)] == bodies


@pytest.mark.parametrize("window", [-1, 0, 100_000])
def test_what_was_confirmed_before_the_cut_is_not_accused(window):
    left = {p.Send: 2, p.QueueQuery: 4}

    def cut(packet):
        kind = type(packet)
        if left.get(kind, 0) and (kind is p.Send or packet.queue_name == PASSES_QUERY):
            left[kind] -= 1
            return True
        return False

    peer, server, (session,) = started(window=window, poison=cut)
    token = send(peer, session, b"good", b"id")
    server.run(8.0)
    assert (token.done, token.error) == (True, None)
    assert set(stored(server)) == {b"good"}
    assert not peer.engine.suspects.careful


def test_a_handshake_that_times_out_in_the_search_ends_it():
    peer, server, (session,) = started()
    token = send(peer, session, b"bad", b"id")
    server.stalls = lambda packet: isinstance(packet, p.QueueQuery)
    server.poison = lambda packet: is_bad(packet) and len(server.lives) < 2
    server.run(3.0)
    assert peer.engine.suspects.careful
    server.run(8.0)
    assert not peer.engine.suspects.careful
    server.run(3.0)
    assert (token.done, token.error) == (True, None)
