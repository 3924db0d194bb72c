"""Branches of distributed transactions, in packets."""

from __future__ import annotations

import pytest

from activeclient.wire import packets as p
from activeclient.wire.fields import Xid
from activeclient.wire.packet import Packet
from tests.broker.peer import Peer, World

XID = Xid(1, b"global", b"branch")
OTHER = Xid(1, b"global", b"other")


@pytest.fixture
def peer() -> Peer:
    made = World().connect()
    made.session(xa=True, auto_commit_sends=False, auto_commit_acks=False)
    made.queue()
    return made


def xa(peer: Peer, packet: Packet, code: int = 0, *, error: bool = False) -> None:
    answer = peer.ask(packet, p.XAResponse)
    assert (answer.error, answer.response_code) == (error, code), answer


def count(peer: Peer) -> int:
    found = peer.world.post.find("q")
    assert found is not None
    return found.message_count


def work(peer: Peer, xid: Xid = XID) -> None:
    xa(peer, p.XAStart(xid))
    peer.post()
    xa(peer, p.XAEnd(xid))


def test_a_branch_commits_in_two_phases(peer: Peer) -> None:
    work(peer)
    assert count(peer) == 0
    xa(peer, p.XAPrepare(XID))
    assert peer.ask(p.XAIndoubtXids(), p.XAIndoubtXidsResponse).xids == [XID]
    xa(peer, p.XACommit(XID, False))
    assert count(peer) == 1


def test_a_branch_commits_in_one_phase(peer: Peer) -> None:
    work(peer)
    xa(peer, p.XACommit(XID, True))
    assert count(peer) == 1


def test_a_branch_is_rolled_back(peer: Peer) -> None:
    work(peer)
    xa(peer, p.XARollback(XID))
    assert count(peer) == 0


def test_a_branch_without_work_only_read(peer: Peer) -> None:
    xa(peer, p.XAStart(XID))
    xa(peer, p.XAEnd(XID))
    xa(peer, p.XAPrepare(XID), 3)


def test_a_branch_rests_and_goes_on(peer: Peer) -> None:
    xa(peer, p.XAStart(XID))
    xa(peer, p.XASuspend())
    work(peer, OTHER)
    xa(peer, p.XAResume(XID))
    peer.post()
    xa(peer, p.XAEnd(XID))
    xa(peer, p.XACommit(XID, True))
    assert count(peer) == 1


def test_another_session_may_join(peer: Peer) -> None:
    xa(peer, p.XAStart(XID))
    other = peer.world.connect()
    other.session("other", xa=True, auto_commit_sends=False, auto_commit_acks=False)
    xa(other, p.XAJoin(XID))
    other.post()
    xa(other, p.XAEnd(XID))
    xa(other, p.XACommit(XID, True))
    assert count(peer) == 1


@pytest.mark.parametrize(
    "packet", [p.XACommit(OTHER, True), p.XAPrepare(OTHER), p.XARollback(OTHER), p.XAForget(OTHER)]
)
def test_an_unknown_branch_is_an_answer_with_its_code_and_counted(peer: Peer, packet: Packet) -> None:
    counted = peer.connection.sessions[10].counted
    xa(peer, packet, -4, error=True)
    assert peer.connection.sessions[10].counted == counted + 1


def test_a_session_that_is_not_for_branches_refuses_them() -> None:
    peer = World().connect()
    peer.session()
    assert peer.ask(p.XAStart(XID), p.ExceptionResponse).code == 0


def test_a_local_commit_in_a_branch_is_refused(peer: Peer) -> None:
    xa(peer, p.XAStart(XID))
    assert peer.ask(p.Commit(5), p.ExceptionResponse).code == 104


def test_a_branch_that_its_client_gave_up_cannot_commit(peer: Peer) -> None:
    work(peer)
    peer.send(p.XAFailed(XID))
    xa(peer, p.XACommit(XID, True), -6, error=True)  # as in Artemis, it is the session's again until it is ended
    xa(peer, p.XAEnd(XID))
    xa(peer, p.XACommit(XID, True), 100, error=True)


def test_a_prepared_branch_outlives_its_session(peer: Peer) -> None:
    work(peer)
    xa(peer, p.XAPrepare(XID))
    peer.world.server.fail(peer.connection)
    other = peer.world.connect()
    other.session("other", xa=True, auto_commit_sends=False, auto_commit_acks=False)
    xa(other, p.XACommit(XID, False))
    assert count(other) == 1


def test_an_unprepared_branch_ends_with_a_client_that_failed(peer: Peer) -> None:
    xa(peer, p.XAStart(XID))
    peer.post()
    peer.world.server.fail(peer.connection)
    assert peer.world.post.xa.get(XID) is None


def test_the_timeout_of_a_branch_is_the_brokers(peer: Peer) -> None:
    assert peer.ask(p.XASetTimeout(5), p.XASetTimeoutResponse).ok
    assert peer.ask(p.XAGetTimeout(), p.XAGetTimeoutResponse).timeout_seconds == 300


def test_a_branch_that_was_ended_and_not_prepared_ends_with_a_client_that_failed(peer: Peer) -> None:
    work(peer)
    peer.world.server.fail(peer.connection)
    assert peer.world.post.xa.get(XID) is None


def test_a_branch_that_was_lost_can_be_ended_and_never_commits(peer: Peer) -> None:
    peer.send(p.XAFailed(XID))
    peer.post()
    xa(peer, p.XAEnd(XID))
    xa(peer, p.XAPrepare(XID), 100, error=True)
    assert count(peer) == 0
