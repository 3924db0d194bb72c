"""Requests and replies through temporary queues while connections are cut.

Law: a request that got its reply got its own; a temporary queue keeps its name as long as its connection lives.
"""

from __future__ import annotations

from activeclient import Message, Requestor
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.conftest import Amount
from integration.chaos.jms import SIZE, number_in, staged, took
from integration.chaos.ledger import body_of
from integration.chaos.traffic import STALL


def test_requests_get_their_replies_through_temporary_queues(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    with staged("requests and replies", artemis, cutter, amount) as stage:
        ledger, requests = stage.ledger, stage.queue("requests")
        serving, asking = stage.steady.create_session(), stage.shaken.create_session()
        answers = serving.create_producer()

        def answer(request: Message) -> None:
            properties = {"n": number_in(request)}
            try:
                answers.send(
                    request.body, request.jms_reply_to, correlation_id=request.jms_message_id, properties=properties
                )
            except Exception as error:  # its temporary queue is gone with its session
                if stage.reattached:
                    ledger.error(repr(error))

        serving.create_consumer(requests).message_listener = answer
        stage.shaken.start()
        number = unanswered = 0
        with Requestor(asking, requests) as requestor:
            name = requestor._reply_to.address
            with stage.cut(seed=120, high=6_000) as chopper:
                while number < 40 or not chopper.done.is_set():
                    reply = None
                    for _ in range(20):
                        body = body_of(number, SIZE)
                        reply = requestor.request(body, STALL if stage.reattached else 2, properties={"n": number})
                        if reply is not None:
                            break
                        unanswered += 1
                    ledger.sent[number] = SIZE
                    ledger.settled[number] += 1
                    if reply is not None and number_in(reply) != number:
                        ledger.error(f"the reply to {number_in(reply)} answers {number}")
                    if reply is not None:
                        took(ledger, reply)
                    number += 1
            if requestor._reply_to.address != name:
                ledger.error("the temporary queue has another name")
        if unanswered and stage.must_survive:
            ledger.error(f"{unanswered} requests without reply")
        if unanswered > stage.report.cuts + stage.report.inside:
            ledger.error(f"{unanswered} requests without reply, more than there were cuts")
    stage.report.check(reattached=stage.reattached)
