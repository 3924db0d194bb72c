"""Branches in two phases across cuts: each message is moved once, as their manager decided.

Law: the manager is a good one: it asks again until the broker has carried out its decision or knows nothing of it.
"""

from __future__ import annotations

import time

from activeclient import MessageConsumer, MessageProducer, XAResource, XASession, Xid
from activeclient.errors import (
    IllegalStateError,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
    XAError,
)
from activeclient.jms.xa import Vote, new_xid
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.conftest import Amount
from integration.chaos.jms import Stage, staged
from integration.chaos.test_jms_transactions import fill, judge, pass_on, take
from integration.chaos.traffic import STALL

XAER_RMFAIL = -7


class Manager:
    """A transaction manager for branches of one session: it decides each, however often it has to ask."""

    def __init__(self, stage: Stage, session: XASession) -> None:
        self._stage, self._session = stage, session
        self.resource: XAResource = session.xa_resource

    def work(self, consumer: MessageConsumer, producer: MessageProducer, *, commit: bool) -> bool:
        """One branch; False when there was nothing to do."""
        xid = new_xid()
        worked = False
        try:
            with self.resource.branch(xid):
                batch = take(consumer, 2)
                worked = bool(batch)
                pass_on(producer, batch)
            vote = self.resource.prepare(xid)
        except (XAError, IllegalStateError, TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
            self._failed(error)
            self._decide(xid, commit=False)
            return True
        if vote is Vote.OK:
            self._decide(xid, commit=commit)
        return worked

    def _decide(self, xid: Xid, *, commit: bool) -> None:
        """Commit a prepared branch, or roll one back: again, until the broker has done it or knows nothing of it."""
        deadline = time.monotonic() + STALL
        while True:
            try:
                if commit:
                    self.resource.commit(xid)
                else:
                    self.resource.rollback(xid)
            except (XAError, TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
                self._failed(error)
                if isinstance(error, XAError) and error.xa_code != XAER_RMFAIL:
                    return
                if time.monotonic() > deadline:
                    self._stage.ledger.error(f"{xid}: cannot be decided: {error!r}")
                    return
            else:
                return

    def _failed(self, error: Exception) -> None:
        self._stage.loss(error)


def test_branches_in_two_phases_move_each_message_once(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    with staged("XA in two phases, a third rolled back", artemis, cutter, amount) as stage:
        source, target = stage.queue("from"), stage.queue("to")
        fill(stage, source, 1600)
        session = stage.shaken.create_xa_session()
        consumer, producer = session.create_consumer(source), session.create_producer(target)
        stage.shaken.start()
        manager = Manager(stage, session)
        turn = 0
        with stage.cut(seed=70, high=8_000) as chopper:
            while not chopper.done.is_set():
                turn += 1
                if not manager.work(consumer, producer, commit=turn % 3 != 0):
                    break
        moved = time.monotonic()
        while True:
            if manager.work(consumer, producer, commit=True):
                moved = time.monotonic()
            elif stage.is_empty(source.name) or time.monotonic() - moved > STALL:
                break
        session.close()
        report = judge(stage, source, target)
    report.check(reattached=stage.reattached)
