"""Repeated sends: done only when a later write is on the disk, and refused when they have no address."""

from __future__ import annotations

import pytest

from activeclient.engine.proof import PART
from activeclient.errors import (
    InvalidDestinationError,
    JMSError,
    JMSSecurityError,
    OutcomeUnknown,
    TransactionRolledBackError,
)
from activeclient.events import SendFailed, SessionRecreated
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage, correlation_of
from activeclient.wire.packet import encode
from activeclient.wire.versions import NEWEST, V2_0
from tests.engine.peer import Peer
from tests.engine.test_recovery import bodies, kinds


def repeated(*sends, window=-1, **options):
    """A peer whose sends were repeated in a recreated session; their tokens."""
    peer = Peer().begin(window=window, **options)
    tokens = [peer.send(body, duplicate_id=body) for body in sends]
    assert bodies(peer.recreate()) == list(sends)
    return peer, tokens


def answer(peer, *tokens):
    """The broker answers, or confirms, sends; what is written."""
    answers = [p.NullResponse(token.correlation_id) for token in tokens]
    return peer.say(*answers) if not peer.session.windowed else peer.say(peer.confirm(), *answers)


@pytest.mark.parametrize("window", [-1, 100_000])
def test_a_repeat_is_done_when_the_rollback_of_a_later_write_is_answered(window):
    peer, (first, second) = repeated(b"1", b"2", window=window)
    if window < 0:
        assert answer(peer, first) == []  # the next one may still be refused
    out = answer(peer, second)
    assert kinds(out) == [p.BindingQuery]
    assert not first.done
    peer.prove(out=out)
    assert (first.done, first.error, second.done, second.error) == (True, None, True, None)
    assert peer.told(SessionRecreated)
    assert list(peer.engine.sessions.values()) == [peer.session]


def test_the_later_write_goes_where_the_last_repeat_went_without_its_body():
    peer = Peer().begin(window=-1)
    message = CoreMessage(b"body", address="q", properties={"_AMQ_DUPL_ID": b"d", "color": "red"})
    token = peer.send(b"x", duplicate_id=b"d")
    frame = encode(p.Send(message, True, token.correlation_id), peer.session.channel_id, NEWEST)
    peer.session.awaiting[token.correlation_id] = (frame, token)
    peer.recreate()
    answer(peer, token)
    peer.say(p.BindingQueryResponse(True, ["q"]))
    out = peer.say(p.CreateSessionResponse(NEWEST))
    assert isinstance(out[0], p.Send)
    assert (out[0].message.body, out[0].message.properties, out[0].message.durable) == (b"", {"color": "red"}, True)


def test_what_is_not_proven_is_repeated_when_the_session_is_lost_again():
    peer, (first,) = repeated(b"1")
    answer(peer, first)
    assert not first.done
    assert bodies(peer.recreate()) == [b"1"]
    peer.prove(out=answer(peer, first))
    assert first.done


def test_what_is_not_proven_comes_before_what_was_sent_since():
    peer, (first,) = repeated(b"1", window=100_000)
    answer(peer, first)
    peer.send(b"2", duplicate_id=b"2")
    assert bodies(peer.recreate()) == [b"1", b"2"]


def test_the_loss_of_the_connection_amid_the_proof_leaves_no_session_behind():
    peer, (first,) = repeated(b"1")
    out = answer(peer, first)
    peer.say(p.BindingQueryResponse(True, ["q"]))
    assert len(peer.engine.sessions) == 2
    peer.lose()
    assert list(peer.engine.sessions.values()) == [peer.session]
    assert not first.done
    assert out


def test_a_session_that_is_reattached_amid_the_proof_proves_anew():
    peer, (first,) = repeated(b"1", window=100_000)
    answer(peer, first)
    peer.say(peer.confirm(), p.BindingQueryResponse(True, ["q"]))
    out = peer.back()
    peer.prove(out=out)
    assert first.done


def test_later_sends_are_told_of_behind_those_that_are_not_proven():
    order = []
    peer = Peer().begin(window=100_000)
    peer.send(b"1", duplicate_id=b"1", handler=lambda *_: order.append(1))
    peer.recreate()
    peer.send(b"2", duplicate_id=b"2", handler=lambda *_: order.append(2))
    out = peer.say(peer.confirm())
    assert order == []
    peer.prove(out=out)
    assert order == [1, 2]
    peer.send(b"3", handler=lambda *_: order.append(3))
    peer.say(peer.confirm())
    assert order == [1, 2, 3]


def test_many_are_proven_in_parts_while_the_rest_is_under_way():
    peer, tokens = repeated(*(b"%d" % number for number in range(PART + 3)))
    assert answer(peer, *tokens[: PART - 1]) == []
    out = answer(peer, tokens[PART - 1])
    assert kinds(out) == [p.BindingQuery]
    assert answer(peer, tokens[PART]) == []  # one part at a time
    peer.prove(out=out)
    assert [token.done for token in tokens] == [True] * PART + [False] * 3
    assert bodies(peer.recreate()) == [b"%d" % number for number in range(PART, PART + 3)]


def test_a_part_whose_proof_is_lost_is_repeated_before_the_rest():
    peer, tokens = repeated(*(b"%d" % number for number in range(PART + 1)))
    answer(peer, *tokens[:PART])
    peer.say(p.BindingQueryResponse(True, ["q"]))
    assert bodies(peer.recreate()) == [b"%d" % number for number in range(PART + 1)]
    assert not any(token.done for token in tokens)


def test_a_part_whose_proof_is_lost_in_a_reattachment_is_proven_with_what_was_answered_since():
    peer, tokens = repeated(*(b"%d" % number for number in range(PART + 1)), window=1_000_000)
    peer.say(p.PacketsConfirmed(peer.session.buffer.next_id - 2))
    peer.say(p.BindingQueryResponse(True, ["q"]))
    out = peer.back()
    peer.prove(out=out)
    assert all(token.done and token.error is None for token in tokens)


def test_closing_waits_for_the_proof():
    peer, (first,) = repeated(b"1")
    closing = []
    peer.session.begin_closing(closing.append)
    peer.serve()
    out = peer.sent() + answer(peer, first)
    assert p.SessionClose not in kinds(out)
    out = peer.prove(out=out)
    assert first.done
    assert kinds(out) == [p.SessionClose]


def test_the_end_of_the_connection_leaves_it_unknown():
    peer, (first,) = repeated(b"1")
    answer(peer, first)
    peer.say(p.BindingQueryResponse(True, ["q"]))
    peer.engine.close(peer.now)
    peer.serve()
    assert isinstance(first.error, OutcomeUnknown)
    assert first.error.duplicate_id == b"1"


def test_where_no_session_can_be_made_for_it_there_is_no_proof():
    peer, (first,) = repeated(b"1")
    answer(peer, first)
    peer.say(p.BindingQueryResponse(True, ["q"]))
    peer.say(p.ExceptionResponse(105, "no more sessions for this user"), channel=1)
    assert (first.done, first.error) == (True, None)


# --- without an address -----------------------------------------------------------------------------------------------


def test_a_repeat_whose_address_does_not_exist_was_refused():
    peer, (first,) = repeated(b"1")
    answer(peer, first)
    assert peer.say(p.BindingQueryResponse(False, [])) == []
    assert isinstance(first.error, InvalidDestinationError)
    assert first.error.code == 106
    assert not peer.session.proof.open


def test_where_the_broker_creates_addresses_a_missing_one_leaves_it_unknown():
    """It could not be created, or its last consumer has gone since."""
    peer, (first,) = repeated(b"1")
    answer(peer, first)
    peer.say(p.BindingQueryResponse(False, [], auto_create_addresses=True))
    assert isinstance(first.error, OutcomeUnknown)
    assert (first.error.code, first.error.duplicate_id) == (106, b"1")


def test_one_without_an_address_does_not_keep_the_others():
    peer = Peer().begin(window=-1)
    lost, kept = peer.send(b"1", duplicate_id=b"1", address="gone"), peer.send(b"2", duplicate_id=b"2")
    peer.recreate()
    out = answer(peer, lost, kept)
    for _ in range(2):
        (query,) = out
        out = peer.say(p.BindingQueryResponse(query.address == "q", []))
    assert not kept.done
    peer.prove(out=out)
    assert isinstance(lost.error, InvalidDestinationError)
    assert (kept.done, kept.error) == (True, None)


def test_a_repeat_that_is_refused_for_want_of_an_address_is_refused():
    peer, (first,) = repeated(b"1")
    peer.say(p.ExceptionResponse(106, "no such address", first.correlation_id))
    assert isinstance(first.error, InvalidDestinationError)
    assert not peer.session.proof.open


def test_a_repeat_that_nobody_waits_for_is_told_of_when_it_is_refused():
    peer = Peer().begin()
    message = CoreMessage(b"x", address="q", properties={"_AMQ_DUPL_ID": b"d"})
    frame = peer.session.encode(p.Send(message, True, peer.session.next_correlation()))
    peer.session.send(frame, None, len(frame))
    peer.recreate()
    peer.say(peer.confirm())
    peer.say(peer.confirm(), p.BindingQueryResponse(False, []))
    (failed,) = peer.told(SendFailed)
    assert isinstance(failed.error, InvalidDestinationError)


@pytest.mark.parametrize("version", [V2_0 + 1, NEWEST])
def test_the_correlation_id_stands_where_the_version_has_it(version):
    frame = encode(p.Send(CoreMessage(b"x", address="q"), True, 77), 10, version)
    assert correlation_of(frame, version) == 77


# --- transactions that the broker would commit without a refused message ----------------------------------------------

DENIED = "no permission to send"


def in_transaction(window):
    peer = Peer().begin(window=window, auto_commit_sends=False, auto_commit_acks=False)
    peer.session.transaction.unverified.add("q")
    return peer, peer.send(b"1")


def commit(peer):
    request = peer.session.request_of(p.Commit(0), lambda _: peer.session.transaction.reset(), correlated=True)
    peer.session.submit(request)
    peer.serve()
    return request


@pytest.mark.parametrize("window", [-1, 100_000])
def test_the_first_commit_with_an_address_waits_for_the_answers_to_its_sends(window):
    peer, token = in_transaction(window)
    peer.sent()
    request = commit(peer)
    assert peer.sent() == []
    out = answer(peer, token)
    assert kinds(out) == [p.Commit]
    peer.say(peer.confirm(), p.NullResponse(out[0].correlation_id)) if window > 0 else peer.say(
        p.NullResponse(out[0].correlation_id)
    )
    assert (request.done, request.error) == (True, None)
    assert peer.session.accepted == {"q"}


@pytest.mark.parametrize("window", [-1, 100_000])
@pytest.mark.parametrize("before", [False, True], ids=["while it waits", "before it"])
def test_a_commit_of_which_a_send_was_refused_fails_and_is_not_sent(window, before):
    peer, token = in_transaction(window)
    peer.sent()
    refusal = p.ExceptionResponse(105, DENIED, token.correlation_id)
    if before:
        peer.say(refusal)
    request = commit(peer)
    out = peer.say(refusal) if not before else peer.sent()
    assert out == []
    assert isinstance(request.error, TransactionRolledBackError)
    assert isinstance(request.error.__cause__, JMSSecurityError)
    assert peer.session.transaction.rollback_only
    assert not peer.session.accepted


def test_an_address_that_was_accepted_costs_no_answer():
    peer, token = in_transaction(-1)
    peer.session.transaction.unverified.clear()
    peer.sent()
    commit(peer)
    assert kinds(peer.sent()) == [p.Commit]
    assert not token.done


def test_a_refusal_behind_the_commit_is_told():
    """Its permission was taken away since the last transaction."""
    peer, token = in_transaction(-1)
    peer.session.transaction.unverified.clear()
    request = commit(peer)
    peer.say(p.ExceptionResponse(105, DENIED, token.correlation_id))
    peer.say(p.NullResponse(request.correlation_id))
    assert isinstance(request.error, JMSError)
    assert "committed without" in str(request.error)


def ordered(peer, order, *bodies):
    """Send these, with their own duplicate ids and handlers that add to `order`; their tokens."""
    return [
        peer.send(body, duplicate_id=body, handler=lambda body, error: order.append((body, error is None)))
        for body in bodies
    ]


def run_handlers(peer):
    """Call the handlers of what has ended, as the driver does."""
    while peer.session.work:
        peer.session.work.popleft().run()


def test_later_sends_are_told_of_behind_those_that_are_not_proven_when_the_session_is_lost_amid_the_proof():
    order = []
    peer = Peer().begin(window=-1)
    (first,) = ordered(peer, order, b"1")
    peer.recreate()
    second, third = ordered(peer, order, b"2", b"3")
    answer(peer, first)
    answer(peer, second)  # the broker has it; the answer to the third is lost
    assert bodies(peer.recreate()) == [b"1", b"3"]
    run_handlers(peer)
    assert order == []
    answer(peer, first)
    peer.prove(out=answer(peer, third))
    run_handlers(peer)
    assert order == [(b"1", True), (b"2", True), (b"3", True)]


def test_sends_that_are_refused_are_told_of_in_their_order():
    order = []
    peer = Peer().begin(window=-1)
    first, second = ordered(peer, order, b"1", b"2")
    peer.recreate()
    third, fourth = ordered(peer, order, b"3", b"4")
    answer(peer, first)
    peer.say(p.ExceptionResponse(210, "full", third.correlation_id))
    answer(peer, fourth)
    out = peer.say(p.ExceptionResponse(210, "full", second.correlation_id))
    run_handlers(peer)
    assert order == []
    peer.prove(out=out)
    run_handlers(peer)
    assert order == [(b"1", True), (b"2", False), (b"3", False), (b"4", True)]


def test_the_end_of_the_session_amid_the_proof_tells_of_all_in_their_order():
    order = []
    peer = Peer().begin(window=-1)
    (first,) = ordered(peer, order, b"1")
    peer.recreate()
    (second,) = ordered(peer, order, b"2")
    answer(peer, first)
    answer(peer, second)
    peer.recreate()
    peer.engine.close(peer.now)
    run_handlers(peer)
    assert order == [(b"1", False), (b"2", True)]
