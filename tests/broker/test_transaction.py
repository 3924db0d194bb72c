from __future__ import annotations

import pytest

from activeclient.broker.configuration import AddressSettings
from activeclient.broker.transaction import State
from activeclient.broker.xa import (
    XA_HEURCOM,
    XA_HEURRB,
    XA_OK,
    XA_RBROLLBACK,
    XA_RDONLY,
    XAER_DUPID,
    XAER_NOTA,
    XAER_PROTO,
)
from activeclient.errors import IllegalStateError, XAError
from activeclient.wire.fields import Xid
from tests.broker.office import Office, message

XID = Xid(1, b"global", b"branch")
OTHER = Xid(1, b"global", b"other")


@pytest.fixture
def office() -> Office:
    made = Office()
    made.queue()
    return made


def code(call, *arguments: object, **options: object) -> int:
    with pytest.raises(XAError) as caught:
        call(*arguments, **options)
    return caught.value.xa_code


# --- local ----------------------------------------------------------------------------------------------------------


def test_sends_and_acknowledgements_take_effect_at_the_commit(office):
    queue = office.post.find("q")
    office.send("a", "b")
    taker = office.consume(room=2)
    tx = office.post.begin()
    office.send("c", tx=tx)
    queue.acknowledge(taker.held[0], tx)
    assert (office.waiting(), queue.message_count, tx.work) == ([], 2, True)
    tx.commit()
    assert (office.waiting(), queue.message_count, queue.delivering) == (["c"], 2, 1)
    assert tx.state is State.COMMITTED


def test_a_rollback_brings_back_what_was_acknowledged_counted_and_what_was_not_uncounted(office):
    office.send("a", "b", "c")
    taker = office.consume(room=2)
    tx = office.post.begin()
    tx.acknowledge(taker.held[0])
    office.send("d", tx=tx)
    taker.room = 10
    unacknowledged, taker.held = taker.held[1:], []
    tx.rollback(unacknowledged)
    office.post.find("q").deliver(taker)
    assert taker.taken[2:] == [(b"a", 2), (b"b", 1), (b"c", 1)]
    assert office.post.find("q").message_count == 3


def test_nothing_is_delivered_before_all_is_back(office):
    office.send("a", "b")
    taker = office.consume(room=2)
    other = office.consume(room=10)
    tx = office.post.begin()
    tx.acknowledge(taker.held[0])
    unacknowledged, taker.held, taker.room = taker.held[1:], [], 0
    tx.rollback(unacknowledged)
    assert other.bodies() == ["a", "b"]


def test_a_transaction_ends_once(office):
    for end in ("commit", "rollback"):
        tx = office.post.begin()
        getattr(tx, end)()
        for again in ("commit", "rollback"):
            with pytest.raises(IllegalStateError) as caught:
                getattr(tx, again)()
            assert caught.value.code == 104


def test_a_message_to_a_queue_that_is_gone_at_the_commit_goes_nowhere(office):
    tx = office.post.begin()
    office.send("a", tx=tx)
    office.post.delete_queue("q")
    tx.commit()
    assert office.post.addresses.memory.size == 0


def test_attempts_in_transactions_count_for_the_dead_letters():
    office = Office(settings=AddressSettings(dead_letter_address="DLQ", max_delivery_attempts=2))
    office.queue()
    office.queue("DLQ")
    office.send("a")
    taker = office.consume(room=1)
    for _ in range(2):
        tx = office.post.begin()
        tx.acknowledge(taker.held.pop())
        tx.rollback()
    assert office.waiting("DLQ") == ["a"]
    assert taker.taken == [(b"a", 1), (b"a", 2)]


# --- XA -------------------------------------------------------------------------------------------------------------


def test_a_branch_is_prepared_and_committed(office):
    xa = office.post.xa
    office.send("a")
    taker = office.consume(room=1)
    tx = xa.start(XID)
    office.send("b", tx=tx)
    tx.acknowledge(taker.held.pop())
    assert xa.end(XID, tx) is None
    assert xa.prepare(XID) == XA_OK
    assert xa.in_doubt() == [XID]
    assert office.post.find("q").message_count == 1
    xa.commit(XID, one_phase=False)
    assert (xa.in_doubt(), taker.bodies()) == ([], ["a", "b"])
    assert office.post.find("q").message_count == 1


def test_a_branch_may_commit_in_one_phase_and_then_not_in_two(office):
    xa = office.post.xa
    office.send("a", tx=xa.start(XID))
    assert code(xa.commit, XID, one_phase=False) == XAER_PROTO
    xa.commit(XID, one_phase=True)
    assert office.waiting() == ["a"]
    office.send("b", tx=xa.start(XID))
    xa.prepare(XID)
    assert code(xa.commit, XID, one_phase=True) == XAER_PROTO
    xa.commit(XID, one_phase=False)
    assert office.waiting() == ["a", "b"]


def test_a_branch_without_work_is_over_when_it_is_prepared(office):
    xa = office.post.xa
    xa.start(XID)
    assert xa.prepare(XID) == XA_RDONLY
    assert xa.get(XID) is None


def test_a_prepared_branch_may_be_rolled_back(office):
    xa = office.post.xa
    office.send("a")
    taker = office.consume(room=1)
    tx = xa.start(XID)
    office.send("b", tx=tx)
    tx.acknowledge(taker.held.pop())
    xa.prepare(XID)
    xa.rollback(XID)
    assert taker.taken == [(b"a", 1), (b"a", 2)]
    assert office.post.find("q").message_count == 1


def test_branches_rest_are_joined_and_go_on(office):
    xa = office.post.xa
    tx = xa.start(XID)
    xa.suspend(tx)
    assert code(xa.suspend, tx) == XAER_PROTO
    assert code(xa.join, XID) == XAER_PROTO
    assert code(xa.prepare, XID) == XAER_PROTO
    assert code(xa.commit, XID, one_phase=True) == XAER_PROTO
    assert code(xa.end, XID, tx) == XAER_PROTO
    other = xa.start(OTHER)
    assert code(xa.resume, XID, other) == XAER_PROTO
    assert xa.resume(XID) is tx
    assert code(xa.resume, XID) == XAER_PROTO
    assert xa.join(XID) is tx
    xa.suspend(tx)
    assert xa.end(XID, None) is None
    assert tx.state is State.ACTIVE


def test_names_and_their_order_matter(office):
    xa = office.post.xa
    tx = xa.start(XID)
    assert code(xa.start, XID) == XAER_DUPID
    assert code(xa.start, OTHER, tx) == XAER_PROTO
    for call in (xa.join, xa.prepare, xa.rollback, xa.resume, xa.forget):
        assert code(call, OTHER) == XAER_NOTA
    assert code(xa.commit, OTHER, one_phase=True) == XAER_NOTA
    assert code(xa.end, OTHER, tx) == XAER_NOTA
    assert code(xa.suspend, None) == XAER_PROTO
    for call in (xa.prepare, xa.rollback):
        assert code(call, XID, tx) == XAER_PROTO
    assert code(xa.commit, XID, True, tx) == XAER_PROTO
    office.send("a", tx=tx)
    xa.prepare(XID)
    assert code(xa.prepare, XID) == XAER_PROTO


def test_a_failed_branch_is_rolled_back_when_it_is_prepared_or_committed(office):
    xa = office.post.xa
    tx = xa.start(XID)
    office.send("a", tx=tx)
    xa.end(XID, tx, failed=True)
    assert code(xa.prepare, XID) == XA_RBROLLBACK
    assert xa.get(XID) is None
    office.send("a", tx=xa.start(XID))
    xa.failed(XID)
    assert code(xa.commit, XID, one_phase=True) == XA_RBROLLBACK
    assert office.waiting() == []
    assert office.post.addresses.memory.size == 0
    xa.failed(OTHER)


def test_a_repeat_makes_a_branch_roll_back(office):
    office.post.route(message("a", _AMQ_DUPL_ID=b"1"))
    tx = office.post.xa.start(XID)
    office.post.route(message("b", _AMQ_DUPL_ID=b"1"), tx)
    assert code(office.post.xa.prepare, XID) == XA_RBROLLBACK


@pytest.mark.parametrize(("commit", "outcome"), [(True, XA_HEURCOM), (False, XA_HEURRB)])
def test_an_administrator_decides_and_the_manager_hears_of_it(office, commit, outcome):
    xa = office.post.xa
    assert not xa.decide(XID, commit=commit)
    office.send("a", tx=xa.start(XID))
    xa.prepare(XID)
    assert xa.decide(XID, commit=commit)
    assert office.waiting() == (["a"] if commit else [])
    for _ in range(2):
        office.restart()
        xa = office.post.xa
        assert xa.in_doubt() == [XID]
        assert code(xa.commit, XID, one_phase=False) == outcome
        assert code(xa.rollback, XID) == outcome
        assert office.waiting() == (["a"] if commit else [])
    xa.forget(XID)
    office.restart()
    assert office.post.xa.in_doubt() == []


def test_a_branch_that_takes_too_long_is_rolled_back_unless_it_is_prepared():
    office = Office(transaction_timeout=10_000)
    office.queue()
    xa = office.post.xa
    office.send("a", tx=xa.start(XID))
    office.advance(5)
    office.send("b", tx=xa.start(OTHER))
    xa.prepare(OTHER)
    third = Xid(2, b"", b"")
    xa.start(third)
    office.advance(5.5)
    assert (xa.get(XID), xa.get(third) is None) == (None, False)
    office.advance(20)
    assert xa.get(third) is None
    assert xa.in_doubt() == [OTHER]


def test_a_session_that_is_gone_takes_its_branch_along_unless_it_is_prepared(office):
    xa = office.post.xa
    tx = xa.start(XID)
    office.send("a", tx=tx)
    xa.abandon(tx)
    assert xa.get(XID) is None
    prepared = xa.start(OTHER)
    office.send("a", tx=prepared)
    xa.prepare(OTHER)
    xa.abandon(prepared)
    assert xa.in_doubt() == [OTHER]


def test_a_prepared_branch_outlives_the_broker(office):
    office.send("a", "b")
    taker = office.consume(room=1)
    tx = office.post.xa.start(XID)
    tx.acknowledge(taker.held[0])
    office.post.route(message("c", _AMQ_DUPL_ID=b"1"), tx)
    office.post.xa.prepare(XID)
    office.restart()
    assert office.waiting() == ["b"]
    assert office.post.find("q").message_count == 2
    office.post.xa.commit(XID, one_phase=False)
    assert office.waiting() == ["b", "c"]
    assert office.post.find("q").message_count == 2
    office.restart()
    assert office.waiting() == ["b", "c"]
    office.post.route(message("again", _AMQ_DUPL_ID=b"1"))
    assert office.waiting() == ["b", "c"]


def test_a_prepared_branch_out_of_the_store_may_be_rolled_back(office):
    office.send("a", "b")
    taker = office.consume(room=1)
    tx = office.post.xa.start(XID)
    tx.acknowledge(taker.held[0])
    office.send("c", tx=tx)
    office.post.xa.prepare(XID)
    office.restart()
    office.post.xa.rollback(XID)
    assert office.waiting() == ["a", "b"]
    office.restart()
    assert office.waiting() == ["a", "b"]
