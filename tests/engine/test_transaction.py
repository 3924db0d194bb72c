"""What a transaction did, and whether that can be proven."""

from __future__ import annotations

import pytest

from activeclient.engine.transaction import Transaction
from activeclient.wire.message import CoreMessage, encode_send, encode_send_large_header
from activeclient.wire.versions import NEWEST


def frame(duplicate_id=None, body=b"x"):
    properties = {"_AMQ_DUPL_ID": duplicate_id} if duplicate_id is not None else {}
    return encode_send(CoreMessage(body, address="q", properties=properties), 10, NEWEST)


def test_nothing_done_is_no_work_and_nothing_to_repeat():
    transaction = Transaction(10_000)
    assert not transaction.work
    assert transaction.repeatable is None


def test_sends_with_duplicate_ids_can_be_repeated_in_their_order():
    transaction = Transaction(10_000)
    frames = [frame(b"1"), frame("2"), frame(b"3")]
    for each in frames:
        transaction.sent(each)
    assert transaction.work
    assert transaction.repeatable == frames


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_send_without_a_duplicate_id_proves_nothing(position):
    transaction = Transaction(10_000)
    for number in range(3):
        transaction.sent(frame(None if number == position else b"%d" % number))
    assert transaction.work
    assert transaction.repeatable is None


def test_an_acknowledgement_in_it_cannot_be_repeated():
    transaction = Transaction(10_000)
    transaction.sent(frame(b"1"))
    transaction.acked()
    assert transaction.repeatable is None


def test_an_acknowledgement_alone_is_work():
    transaction = Transaction(10_000)
    transaction.acked()
    assert transaction.work
    assert transaction.repeatable is None


def test_a_large_message_in_it_cannot_be_repeated():
    transaction = Transaction(10_000)
    transaction.sent(encode_send_large_header(CoreMessage(address="q", properties={"_AMQ_DUPL_ID": b"1"}), 10, NEWEST))
    transaction.sent(frame(b"2"))
    assert transaction.repeatable is None


def test_no_more_is_kept_than_the_limit_allows():
    first, second = frame(b"1"), frame(b"2", b"y" * 50)
    transaction = Transaction(len(first) + len(second) - 1)
    transaction.sent(first)
    assert transaction.repeatable == [first]
    transaction.sent(second)
    assert transaction.repeatable is None
    assert transaction.sends == 2


def test_the_next_transaction_begins_clean():
    transaction = Transaction(10_000)
    transaction.sent(frame())
    transaction.acked()
    transaction.rollback_only = True
    transaction.reset()
    assert not transaction.work
    assert not transaction.rollback_only
    again = frame(b"1")
    transaction.sent(again)
    assert transaction.repeatable == [again]
