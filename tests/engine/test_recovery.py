"""A session that cannot be reattached: what is made anew, in which order, and how everything in flight ends."""

from __future__ import annotations

import pytest

from activeclient.engine.buffer_bounds import ByBytes
from activeclient.engine.gate import (
    LONGEST_GATE,
    LONGEST_PAUSE,
    LONGEST_REST,
    SAMPLES,
    SHORTEST_PAUSE,
    SHORTEST_REST,
    STORAGE_REST,
    patience,
    rest,
)
from activeclient.engine.recovery import AGAIN
from activeclient.engine.requests import SendToken
from activeclient.engine.session import SessionConfig, State
from activeclient.errors import (
    DuplicateIDError,
    OutcomeUnknown,
    ResourceAllocationError,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
    XAError,
)
from activeclient.events import ConsumerLost, Reconnected, SendFailed, SessionReattached, SessionRecreated
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p
from activeclient.wire.fields import Xid
from activeclient.wire.message import CoreMessage, encode_send_large_header
from activeclient.wire.packet import encode
from activeclient.wire.versions import NEWEST
from tests.engine.peer import Peer

XID = Xid(1, b"g", b"b")
DEFINED = p.QueueQueryResponse(True, durable=True, name="q", address="q")


def kinds(packets):
    return [type(packet) for packet in packets]


def bodies(packets):
    return [packet.message.body for packet in packets if isinstance(packet, p.Send)]


def rebuild(peer, out, answer=DEFINED):
    """Answer everything that the rebuilding asks; all that was written."""
    seen = list(out)
    for _ in range(50):
        asks = [packet for packet in out if packet.REPLY and not isinstance(packet, p.RequestProducerCredits)]
        if not asks or peer.session.usable:
            return seen
        own = (answer,) if isinstance(asks[-1], p.CreateConsumer) else ()
        out = peer.say(peer.confirm(), *own)
        seen += out
    raise AssertionError("it never ends")


# --- sends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [-1, 0, 1, 100_000])
def test_with_a_duplicate_id_a_send_is_repeated_and_without_it_is_unknown(window):
    peer = Peer().begin(window=window)
    if window == 1:
        peer.session.buffer.bind(ByBytes(10_000))
    with_id, without = peer.send(b"1", duplicate_id=b"d"), peer.send(b"2")
    out = peer.recreate()
    assert bodies(out) == [b"1"]
    assert not with_id.done
    assert isinstance(without.error, OutcomeUnknown)
    (told,) = peer.told(SessionRecreated)
    assert (told.resent, told.in_doubt) == (1, (None,))
    assert peer.told(Reconnected)[0].in_doubt == (None,)
    answer = p.NullResponse(with_id.correlation_id) if window < 0 else peer.confirm()
    out = peer.say(answer)
    assert not with_id.done  # it may have been dropped, and the first copy may not be on the disk
    assert peer.prove(out=out) == []
    assert (with_id.done, with_id.error) == (True, None)
    assert not peer.session.awaiting


def test_what_no_link_has_taken_is_sent_whether_it_has_a_duplicate_id_or_not():
    peer = Peer().begin()
    peer.send(b"1", duplicate_id=b"d")
    peer.lose()
    late = peer.send(b"2")
    out = peer.recreate()
    assert bodies(out) == [b"1", b"2"]
    assert not late.done


def test_what_was_written_on_a_link_that_was_reattached_meanwhile_is_in_doubt():
    peer = Peer().begin()
    peer.lose()
    late = peer.send(b"1")
    peer.back(last=-1)
    peer.recreate()
    assert isinstance(late.error, OutcomeUnknown)


def test_a_send_in_doubt_that_nobody_waits_for_is_told():
    peer = Peer().begin()
    peer.session.send(peer.session.encode(p.Send(CoreMessage(b"x", address="q"))), None, 50)
    peer.recreate()
    (failed,) = peer.told(SendFailed)
    assert isinstance(failed.error, OutcomeUnknown)


def test_a_large_message_on_its_way_is_unknown():
    peer = Peer().begin()
    session = peer.session
    message = CoreMessage(address="q", properties={"_AMQ_DUPL_ID": b"d"})
    session.send(encode_send_large_header(message, session.channel_id, NEWEST), None, 50)
    token = SendToken(session.next_correlation())
    session.send(session.encode(p.SendContinuation(b"x", False, 1, True, token.correlation_id)), token, 50)
    out = peer.recreate()
    assert isinstance(token.error, OutcomeUnknown)
    assert kinds(out) == []


def test_a_repeat_that_is_refused_is_unknown_for_the_first_copy_may_be_stored():
    peer = Peer().begin()
    token = peer.send(b"1", duplicate_id=b"d")
    peer.recreate()
    peer.say(p.ExceptionResponse(210, "full", token.correlation_id))
    assert isinstance(token.error, OutcomeUnknown)
    assert token.error.duplicate_id == b"d"
    assert isinstance(token.error.__cause__, ResourceAllocationError)


def test_the_refusal_of_what_was_never_sent_before_is_what_it_says():
    peer = Peer().begin()
    peer.lose()
    token = peer.send(b"1", duplicate_id=b"d")
    peer.recreate()
    peer.say(p.ExceptionResponse(210, "full", token.correlation_id))
    assert isinstance(token.error, ResourceAllocationError)


def test_a_session_lost_twice_repeats_once_more_and_counts_from_zero():
    peer = Peer().begin()
    token = peer.send(b"1", duplicate_id=b"d")
    assert bodies(peer.recreate()) == [b"1"]
    assert bodies(peer.recreate()) == [b"1"]
    # Two losses with the same command in flight: it goes out alone, and a query behind it.
    peer.prove(out=peer.say(p.PacketsConfirmed(1), DEFINED))
    assert token.done
    assert peer.session.epoch == 2


# --- rebuilding -------------------------------------------------------------------------------------------------------


def test_everything_is_made_anew_in_its_order_and_what_was_in_flight_comes_last():
    peer = Peer().begin()
    session = peer.session
    session.metadata["key"] = "value"
    session.producers[3] = "q"
    session.started = True
    peer.request(p.CreateQueue("tmp", "tmp", temporary=True))
    peer.say(peer.confirm())
    peer.consume("q", info=DEFINED)
    peer.consume("forgotten", info=p.QueueQueryResponse(True, durable=False, name="forgotten", address="a"))
    peer.consume("tmp", info=p.QueueQueryResponse(True, temporary=True, name="tmp", address="tmp"))
    token = peer.send(b"1", duplicate_id=b"d")
    waiting = peer.request(p.QueueQuery("x"))
    out = rebuild(peer, peer.recreate())
    assert kinds(out) == [
        p.AddCountedMetadata,
        p.CreateQueue,
        p.CreateConsumer,
        p.FlowToken,
        p.CreateQueue,
        p.CreateConsumer,
        p.FlowToken,
        p.CreateConsumer,
        p.FlowToken,
        p.CreateProducer,
        p.SessionStart,
        p.Send,
        p.QueueQuery,
    ]
    assert [packet.queue_name for packet in out if isinstance(packet, p.CreateQueue)] == ["tmp", "forgotten"]
    assert session.usable
    assert not token.done
    peer.prove(out=peer.say(peer.confirm(), p.QueueQueryResponse(True, name="x")))
    assert token.done
    assert waiting.result.name == "x"
    assert len(peer.told(SessionRecreated)) == 1


def test_the_queue_of_a_consumer_is_made_as_the_server_had_described_it():
    peer = Peer().begin()
    info = p.QueueQueryResponse(
        True,
        durable=True,
        filter_string="a = 1",
        address="addr",
        name="q",
        auto_created=True,
        routing_type=1,
        max_consumers=3,
        exclusive=True,
        ring_size=7,
    )
    peer.consume("q", info=info)
    queue = peer.recreate()[0]
    assert isinstance(queue, p.CreateQueue)
    for name in ("filter_string", "address", "auto_created", "routing_type", "max_consumers", "exclusive", "ring_size"):
        assert getattr(queue, name) == getattr(info, name)
    assert queue.queue_name == "q"


def test_a_queue_that_is_there_already_does_no_harm():
    peer = Peer().begin()
    consumer = peer.consume("q", info=p.QueueQueryResponse(True, durable=False, name="q", address="q"))
    peer.recreate()
    out = peer.say(p.ExceptionResponse(101, "exists"))
    assert kinds(out) == [p.CreateConsumer]
    rebuild(peer, out)
    assert not consumer.closed


def test_a_consumer_that_cannot_come_back_is_told_once_and_the_rest_goes_on():
    peer = Peer().begin()
    lost, kept = peer.consume("gone"), peer.consume("q")
    peer.recreate()
    out = peer.say(p.ExceptionResponse(100, "no such queue"))
    rebuild(peer, out)
    assert (lost.closed, kept.closed) == (True, False)
    assert [event.consumer_id for event in peer.told(ConsumerLost)] == [lost.id]
    assert list(peer.session.consumers.values()) == [kept]


def test_a_forced_delivery_whose_marker_is_missing_is_asked_for_again():
    peer = Peer().begin()
    consumer = peer.consume()
    consumer.force_delivery()
    consumer.force_delivery()
    out = rebuild(peer, peer.recreate())
    assert [packet.sequence for packet in out if isinstance(packet, p.ForceDelivery)] == [2]


def test_a_cut_while_rebuilding_is_reattached_and_the_rebuilding_goes_on():
    peer = Peer().begin()
    consumer = peer.consume()
    token = peer.send(b"1", duplicate_id=b"d")
    assert kinds(peer.recreate()) == [p.CreateConsumer]
    assert peer.session.state is State.REBUILDING
    out = peer.back(last=-1)
    assert kinds(out) == [p.CreateConsumer]
    out = peer.say(peer.confirm(), DEFINED)
    assert kinds(out) == [p.FlowToken, p.Send]
    assert not consumer.closed
    assert not token.done
    assert len(peer.told(SessionRecreated)) == 1


def test_the_answer_of_a_rebuilding_that_was_thrown_away_does_not_stop_it():
    peer = Peer().begin()
    peer.consume()
    peer.send(b"1", duplicate_id=b"d")
    peer.recreate()
    out = peer.back()  # the consumer was made and counted, its answer is lost
    assert kinds(out) == [p.FlowToken, p.Send]
    assert peer.session.usable


def test_a_loss_of_the_new_session_while_rebuilding_begins_again_and_forgets_nothing():
    peer = Peer().begin()
    peer.consume()
    first = peer.send(b"1", duplicate_id=b"d")
    doubtful = peer.send(b"2")
    peer.lose()
    late = peer.send(b"3")
    peer.recreate()
    out = rebuild(peer, peer.recreate())
    assert bodies(out) == [b"1", b"3"]
    (told,) = peer.told(SessionRecreated)
    assert told.in_doubt == (None,)
    assert isinstance(doubtful.error, OutcomeUnknown)
    peer.prove(out=peer.say(peer.confirm()))
    assert (first.error, late.error) == (None, None)
    assert first.done
    assert late.done


def test_a_divergence_while_rebuilding_begins_again():
    peer = Peer().begin()
    peer.consume()
    peer.send(b"1", duplicate_id=b"d")
    peer.recreate()
    peer.say(p.PacketsConfirmed(77))
    out = rebuild(peer, peer.created())
    assert bodies(out) == [b"1"]
    assert peer.session.usable


def test_a_divergence_lets_nothing_go_that_waited_behind_what_it_ends():
    peer = Peer().begin()
    undo, question = peer.request(p.Rollback()), peer.request(p.QueueQuery("q"))
    peer.sent()
    out = peer.say(p.PacketsConfirmed(77))
    assert [type(packet) for packet in out] == [p.SessionClose, p.CreateSession]
    assert undo.done
    out = peer.created()
    assert p.QueueQuery in map(type, out)
    assert len(peer.session.buffer) == len(out)
    assert not question.done


def test_credits_of_the_old_session_count_no_more():
    peer = Peer().begin(producer_window=1000)
    pool = peer.session.want_credits("q", 100)
    peer.say(p.ProducerCredits(1000, "q"))
    assert pool.balance == 1000
    peer.recreate()
    assert (pool.balance, pool.asked) == (0, 0)


# --- requests at the cut ----------------------------------------------------------------------------------------------

REPEATED = [
    p.QueueQuery("q"),
    p.BindingQuery("q"),
    p.CreateConsumer(9, "q"),
    p.CreateAddress("a", [1]),
    p.CreateQueue("a", "q"),
    p.CreateSharedQueue("a", "q"),
    p.DeleteQueue("q"),
    p.AddCountedMetadata("k", "v"),
    p.UniqueAddMetadata("k", "v"),
    p.SessionStop(),
    p.SessionClose(),
    p.XAIndoubtXids(),
    p.XAGetTimeout(),
    p.XASetTimeout(5),
    p.XAEnd(XID),
    p.XACommit(XID),
    p.XARollback(XID),
]


def test_the_table_above_names_every_kind_that_is_made_again():
    assert {type(packet) for packet in REPEATED} | {p.CreateQueue, p.CreateSharedQueue} == set(AGAIN)


@pytest.mark.parametrize("packet", REPEATED, ids=lambda packet: type(packet).__name__)
@pytest.mark.parametrize("reached", [True, False])
def test_a_request_that_can_be_made_again_is_and_knows_whether_it_may_have_been_executed(packet, reached):
    peer = Peer().begin()
    if not reached:
        peer.lose()
    request = peer.request(packet)
    out = peer.recreate()
    assert kinds(out) == [type(packet)]
    assert not request.done
    assert request.recreated is reached


@pytest.mark.parametrize("reached", [True, False])
@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (p.CreateQueue("a", "q", requires_response=True), 101),
        (p.CreateAddress("a", (1,)), 107),
        (p.DeleteQueue("q"), 100),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_repeat_that_is_refused_because_the_first_took_effect_is_done(packet, code, reached):
    peer = Peer().begin()
    if not reached:
        peer.lose()
    request = peer.request(packet)
    peer.recreate()
    peer.say(p.ExceptionResponse(code, "so it is"))
    assert request.done
    assert (request.error is None) is reached


@pytest.mark.parametrize("reached", [True, False])
@pytest.mark.parametrize("packet", [p.Rollback(), p.ConsumerClose(0)], ids=repr)
def test_what_the_loss_itself_has_done_is_done(packet, reached):
    peer = Peer().begin()
    if not reached:
        peer.lose()
    request = peer.request(packet)
    out = peer.recreate()
    assert (request.done, request.error) == (True, None)
    assert out == []


@pytest.mark.parametrize("packet", [p.Acknowledge(0, 1, True), p.IndividualAcknowledge(0, 1, True)], ids=repr)
@pytest.mark.parametrize("reached", [True, False])
def test_an_acknowledgement_that_is_waited_for_is_unknown_and_never_reaches_the_new_session(packet, reached):
    peer = Peer().begin()
    if not reached:
        peer.lose()
    request = peer.request(packet)
    assert peer.recreate() == []
    assert isinstance(request.error, OutcomeUnknown)


@pytest.mark.parametrize("packet", [p.XAStart(XID), p.XAPrepare(XID), p.XAJoin(XID)], ids=repr)
def test_the_verbs_of_a_branch_in_work_fail_with_the_resource_manager(packet):
    peer = Peer().begin(xa=True)
    request = peer.request(packet)
    peer.recreate()
    assert isinstance(request.error, XAError)
    assert request.error.xa_code == -7


def test_the_consumer_that_was_being_made_twice_is_made_once():
    peer = Peer().begin()
    consumer = peer.consume()
    request = peer.session.request_of(consumer.create_packet())  # as the renewal of a consumer does
    request.bound = True
    peer.session.submit(request)
    peer.serve()
    out = rebuild(peer, peer.recreate())
    assert kinds(out).count(p.CreateConsumer) == 1
    assert request.done


# --- transactions -----------------------------------------------------------------------------------------------------


def transacted(peer=None):
    return (peer or Peer()).begin(auto_commit_sends=False, auto_commit_acks=False)


def commit(peer):
    return peer.request(p.Commit(0), correlated=True)


def test_an_open_transaction_is_rolled_back_and_its_sends_are_not_repeated():
    peer = transacted()
    token = peer.send(b"1", duplicate_id=b"d")
    out = peer.recreate()
    assert out == []
    assert isinstance(token.error, TransactionRolledBackError)
    assert peer.session.transaction.rollback_only
    (told,) = peer.told(SessionRecreated)
    assert told.rolled_back


def test_a_transaction_that_did_nothing_is_not_rolled_back():
    peer = transacted()
    peer.recreate()
    (told,) = peer.told(SessionRecreated)
    assert not told.rolled_back
    assert not peer.session.transaction.rollback_only


@pytest.mark.parametrize("answer", ["stored now", "was stored"])
def test_a_commit_in_doubt_is_settled_by_the_duplicate_ids(answer):
    peer = transacted()
    peer.send(b"1", duplicate_id=b"a")
    peer.send(b"2", duplicate_id="b")
    request = commit(peer)
    out = peer.recreate()
    assert kinds(out) == [p.Send, p.Send, p.Commit]
    assert bodies(out) == [b"1", b"2"]
    assert not request.done
    if answer == "stored now":
        peer.say(peer.confirm())
    else:
        peer.say(p.ExceptionResponse(113, "duplicate", out[-1].correlation_id))
    assert (request.done, request.error) == (True, None)
    assert not peer.session.transaction.work
    assert peer.session.usable


def test_a_commit_that_cannot_be_settled_is_unknown():
    peer = transacted()
    peer.send(b"1", duplicate_id=b"a")
    request = commit(peer)
    out = peer.recreate()
    peer.say(p.ExceptionResponse(111, "rolled back", out[-1].correlation_id))
    assert isinstance(request.error, TransactionOutcomeUnknownError)
    assert isinstance(request.error.__cause__, TransactionRolledBackError)
    assert peer.session.usable


@pytest.mark.parametrize("what", ["no duplicate id", "acknowledged"])
def test_a_commit_in_doubt_that_cannot_be_proven_is_unknown_and_nothing_is_repeated(what):
    peer = transacted()
    if what == "acknowledged":
        peer.send(b"1", duplicate_id=b"a")
        peer.session.transaction.acked()
    else:
        peer.send(b"1")
    request = commit(peer)
    assert peer.recreate() == []
    assert isinstance(request.error, TransactionOutcomeUnknownError)
    assert request.error.code == 115
    assert not peer.session.transaction.work


def test_a_commit_that_no_link_has_taken_is_rolled_back_for_certain():
    peer = transacted()
    peer.send(b"1", duplicate_id=b"a")
    peer.lose()
    request = commit(peer)
    assert peer.recreate() == []
    assert isinstance(request.error, TransactionRolledBackError)


def test_a_commit_of_nothing_is_done():
    peer = transacted()
    request = commit(peer)
    peer.recreate()
    assert (request.done, request.error) == (True, None)


def test_a_loss_while_a_commit_is_being_settled_settles_it_anew():
    peer = transacted()
    peer.send(b"1", duplicate_id=b"a")
    request = commit(peer)
    assert bodies(peer.recreate()) == [b"1"]
    out = peer.recreate()
    assert kinds(out) == [p.Send, p.Commit]
    peer.say(p.ExceptionResponse(113, "duplicate", out[-1].correlation_id))
    assert (request.done, request.error) == (True, None)


def test_a_cut_while_a_commit_is_being_settled_replays_it():
    peer = transacted()
    peer.send(b"1", duplicate_id=b"a")
    request = commit(peer)
    peer.recreate()
    out = peer.back(last=0)
    assert kinds(out) == [p.Commit]
    peer.say(peer.confirm())
    assert (request.done, request.error) == (True, None)


def test_a_commit_at_a_cut_that_is_reattached_is_counted_once():
    peer = transacted()
    peer.send(b"1")
    request = commit(peer)
    out = peer.back(last=1)
    assert out == []
    assert (request.done, request.error) == (True, None)
    assert not peer.told(SessionRecreated)
    assert peer.told(SessionReattached)


def test_a_commit_that_is_being_settled_when_the_connection_is_closed_is_unknown():
    peer = transacted()
    peer.send(b"1", duplicate_id=b"a")
    request = commit(peer)
    peer.recreate()
    peer.engine.close(peer.now)
    peer.serve()
    assert isinstance(request.error, TransactionOutcomeUnknownError)


def test_the_branch_in_work_is_marked_as_failed_in_the_new_session():
    peer = Peer().begin(xa=True)
    peer.session.branch = XID
    (failed,) = peer.recreate()
    assert isinstance(failed, p.XAFailed)
    assert failed.xid == XID


def test_a_refused_commit_says_why():
    peer = transacted()
    peer.send(b"1", duplicate_id=b"a")
    request = commit(peer)
    peer.say(p.ExceptionResponse(113, "duplicate", request.correlation_id))
    assert isinstance(request.error, DuplicateIDError)


def test_a_frame_of_an_earlier_channel_is_moved_to_the_present_one():
    peer = Peer().begin()
    frame = encode(p.SessionStop(), 5, NEWEST)
    assert peer.session.on_this_channel(frame) == encode(p.SessionStop(), peer.session.channel_id, NEWEST)


# --- the session before ----------------------------------------------------------------------------------------------


def claims(out):
    return [packet for packet in out if isinstance(packet, p.UniqueAddMetadata)]


def gated():
    peer = Peer().begin(gate=True, window=-1)
    peer.say(p.NullResponse(-1))  # to its claim
    return peer


def test_a_session_that_cannot_be_reattached_claims_a_name_of_its_own():
    peer = Peer().up()
    peer.session = peer.engine.create_session(SessionConfig(gate=True, window=-1), peer.now)
    peer.serve()
    peer.sent()
    (claim,) = claims(peer.created())
    assert claim.requires_confirmation


def test_a_session_that_can_be_reattached_claims_nothing():
    peer = Peer().up()
    peer.session = peer.engine.create_session(SessionConfig(gate=True, window=1000), peer.now)
    peer.serve()
    peer.sent()
    assert not claims(peer.created())


def test_a_session_that_comes_to_a_server_which_does_not_reattach_claims_its_name_there():
    """After an upgrade, for example: the next loss needs it."""
    peer = Peer().begin(gate=True)
    peer.engine.learned_reattach(False)
    (claim,) = claims(peer.recreate())
    peer.say(peer.confirm(), p.NullResponse(-1))
    assert peer.session.state is State.ATTACHED
    assert claims(peer.recreate()) == [claim]
    assert peer.say(peer.confirm(), p.ExceptionResponse(ServerCode.DUPLICATE_METADATA, "taken")) == []


def test_a_new_session_waits_until_the_one_before_has_let_go_of_its_name():
    peer = gated()
    consumer = peer.consume()
    (claim,) = claims(peer.recreate())
    assert peer.say(p.ExceptionResponse(ServerCode.DUPLICATE_METADATA, "taken")) == []  # the old one is still there
    peer.pass_time(SHORTEST_PAUSE)
    assert claims(peer.sent()) == [claim]
    out = peer.rest(peer.say(p.NullResponse(-1)), seconds=rest(0))
    assert kinds(out) == [p.CreateConsumer]  # its deliveries are back in their queue
    assert not consumer.closed


@pytest.mark.parametrize("auto_commit_sends", [False, True])
def test_consumers_rest_until_the_rollback_of_the_transaction_before_is_stored(auto_commit_sends):
    peer = Peer().begin(gate=True, window=-1, auto_commit_sends=auto_commit_sends, auto_commit_acks=False)
    peer.say(p.NullResponse(-1))
    peer.consume()
    peer.session.transaction.acked()
    for _ in range(2):  # in doubt is the same as what a second loss leaves undone
        peer.recreate()
        out = peer.say(p.NullResponse(-1))
    assert kinds(peer.rest(out, seconds=STORAGE_REST)) == [p.CreateConsumer]


def test_consumers_rest_until_what_returns_from_others_of_the_connection_is_stored():
    peer = gated()
    peer.consume("q")
    peer.consume("r")
    peer.recreate()
    assert kinds(peer.rest(peer.say(p.NullResponse(-1)), seconds=STORAGE_REST)) == [p.CreateConsumer]


def test_consumers_rest_until_what_returns_from_another_session_is_stored():
    peer = gated()
    peer.consume()
    first = peer.session
    peer.create(gate=True, window=-1)
    peer.say(p.NullResponse(-1))
    peer.consume()
    assert peer.engine.ended_with_writes
    peer.session.consumers.clear()
    assert not peer.engine.ended_with_writes
    first.temporary_queues["t"] = p.CreateQueue(address="t", queue_name="t")
    assert peer.engine.ended_with_writes


def test_the_pauses_before_it_is_asked_again_grow():
    peer = gated()
    peer.recreate()
    asked = []
    for _ in range(6):
        peer.say(p.ExceptionResponse(ServerCode.DUPLICATE_METADATA, "taken"))
        began = peer.now
        while not claims(peer.sent()):
            peer.pass_time(peer.engine.next_timeout() - peer.now)
        asked.append(round(peer.now - began, 6))
    assert asked == [0.001, 0.002, 0.004, 0.008, 0.008, 0.008]


def test_a_session_with_nothing_to_repeat_does_not_rest():
    peer = gated()
    peer.recreate()
    peer.say(p.NullResponse(-1))
    assert peer.session.state is State.ATTACHED


def questions(peer, out, seconds):
    """Answer the questions that are asked for the time that their answers take."""
    for _ in range(SAMPLES):
        assert kinds(out) == [p.QueueQuery]
        peer.pass_time(seconds)
        out = peer.say(p.QueueQueryResponse(False))
    return out


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.05])
def test_what_is_sent_again_rests_as_long_as_the_server_is_slow(seconds):
    peer = gated()
    peer.send(duplicate_id=b"d")
    peer.recreate()
    out = peer.say(p.NullResponse(-1))
    free_at = peer.now
    assert questions(peer, out, seconds) == []
    peer.pass_time(free_at + rest(seconds) - peer.now - 0.0001)
    assert peer.sent() == []
    peer.pass_time(0.0002)
    assert kinds(peer.sent()) == [p.Send]


def test_the_slowest_answer_decides_and_there_is_a_bound():
    assert rest(0) == SHORTEST_REST
    assert rest(0.01) == pytest.approx(0.085)
    assert rest(60) == LONGEST_REST
    peer = gated()
    peer.send(duplicate_id=b"d")
    peer.recreate()
    peer.pass_time(0.5)  # the server takes its time for the metadata
    questions(peer, peer.say(p.NullResponse(-1)), 0)
    peer.pass_time(LONGEST_REST - 0.001)
    assert peer.sent() == []
    peer.pass_time(0.002)
    assert kinds(peer.sent()) == [p.Send]


def test_what_no_link_has_taken_does_not_rest():
    peer = Peer().begin(gate=True, window=100_000)
    peer.engine.learned_reattach(False)
    peer.recreate()
    peer.say(peer.confirm(), p.NullResponse(-1))  # it claims its name there
    peer.lose()
    peer.send(duplicate_id=b"d")
    peer.recreate()
    assert kinds(peer.say(peer.confirm(), p.NullResponse(-1))) == [p.Send]


def test_what_is_consumed_and_what_is_sent_again_rest_once():
    peer = gated()
    peer.consume()
    peer.send(duplicate_id=b"d")
    peer.recreate()
    out = peer.rest(peer.say(p.NullResponse(-1)), answer=0.02, seconds=rest(0.02))
    assert kinds(out) == [p.CreateConsumer]
    assert kinds(peer.say(DEFINED)) == [p.FlowToken, p.Send]


def test_it_does_not_wait_for_ever():
    peer = gated()
    peer.consume()
    claim = claims(peer.recreate())
    for _ in range(1000):
        out = peer.say(p.ExceptionResponse(ServerCode.DUPLICATE_METADATA, "taken"))
        if out:
            break
        peer.pass_time(LONGEST_PAUSE + 0.001)
        peer.sent()
    own = claims(out)
    assert own
    assert own != claim  # the name is another's for good: the next one waits for this session
    assert peer.now <= 100 + patience(0.01) + 2  # the pause before the attempt, too
    out = peer.rest(peer.say(p.NullResponse(-1)), answer=0.02, seconds=rest(0.02))
    assert kinds(out) == [p.CreateConsumer]
    assert claims(peer.recreate()) == own
    assert patience(0) == 2.0
    assert patience(60) == LONGEST_GATE


def test_the_loss_of_the_link_ends_the_pause():
    peer = gated()
    peer.recreate()
    peer.say(p.ExceptionResponse(ServerCode.DUPLICATE_METADATA, "taken"))
    peer.lose()
    peer.pass_time(LONGEST_PAUSE)
    assert peer.sent() == []
    assert len(claims(peer.recreate())) == 1
