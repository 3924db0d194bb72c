"""Requests, and answers that come too late."""

from __future__ import annotations

import pytest

from activeclient.destination import Queue, TemporaryQueue, TemporaryTopic, Topic
from activeclient.errors import IllegalStateError
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.requestor import Requestor
from activeclient.jms.text_message import TextMessage


class Reply(TextMessage):
    __slots__ = ()

    def acknowledge(self):
        pass


def reply(text, correlation_id):
    made = Reply(text)
    made.jms_correlation_id = correlation_id
    return made


class Temporary:
    """Stands for a temporary destination that is deleted with its requestor."""

    def __init__(self, destination):
        self.destination = destination
        self.deleted = False

    def __exit__(self, *_):
        self.deleted = True


class Session:
    """A session whose server answers as the test says."""

    def __init__(self, mode=AcknowledgeMode.AUTO_ACKNOWLEDGE):
        self.acknowledge_mode = mode
        self.sent = []
        self.replies = []
        self.closed = []

    def create_producer(self, destination):
        self.destination = destination
        return self

    create_consumer = create_producer

    def create_temporary_queue(self):
        self.temporary = Temporary(TemporaryQueue("t"))
        return self.temporary

    def create_temporary_topic(self):
        self.temporary = Temporary(TemporaryTopic("t"))
        return self.temporary

    def send(self, message, **options):
        made = TextMessage(message)
        made.core.user_id = len(self.sent).to_bytes(16, "big")
        made.jms_correlation_id = options.get("correlation_id")
        self.sent.append((made, options))
        return made

    def receive(self, timeout):
        return self.replies.pop(0) if self.replies else None

    def close(self):
        self.closed.append(True)


def test_a_request_asks_for_its_answer_at_a_place_of_its_own():
    session = Session()
    with Requestor(session, Queue("q")) as requestor:
        session.replies = [reply("answer", None)]
        assert requestor.request("question", 1, priority=3).text == "answer"
        assert session.sent[0][1] == {"priority": 3, "reply_to": session.temporary}
    assert session.temporary.deleted
    assert isinstance(session.temporary.destination, TemporaryQueue)


def test_requests_to_topics_are_answered_on_topics():
    session = Session()
    Requestor(session, Topic("t"))
    assert isinstance(session.temporary.destination, TemporaryTopic)


@pytest.mark.parametrize("own", [None, "my id"])
def test_a_late_answer_is_not_taken_for_the_next_ones(own):
    session = Session()
    requestor = Requestor(session, Queue("q"))
    assert requestor.request("first", 0.01, correlation_id=own) is None
    late = own or session.sent[0][0].jms_message_id
    session.replies = [reply("late", late), reply("in time", None)]
    assert requestor.request("second", 1).text == "in time"


def test_a_question_that_is_asked_again_under_the_same_id_takes_the_answer_to_either():
    session = Session()
    requestor = Requestor(session, Queue("q"))
    assert requestor.request("order 17", 0.01, correlation_id="17") is None
    session.replies = [reply("confirmed", "17")]
    assert requestor.request("order 17", 1, correlation_id="17").text == "confirmed"


def test_a_requestor_that_cannot_listen_leaves_nothing_behind():
    session = Session()
    session.create_consumer = None
    with pytest.raises(TypeError):
        Requestor(session, Queue("q"))
    assert session.closed == [True]
    assert session.temporary.deleted


@pytest.mark.parametrize("mode", [AcknowledgeMode.SESSION_TRANSACTED, AcknowledgeMode.CLIENT_ACKNOWLEDGE])
def test_a_session_whose_acknowledgements_concern_more_than_the_reply_cannot_ask(mode):
    with pytest.raises(IllegalStateError, match=mode.name):
        Requestor(Session(mode), Queue("q"))
