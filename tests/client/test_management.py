"""Management messages: what is asked, and what becomes of the answers; real ones come in integration/test_cli.py."""

from __future__ import annotations

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.client.management import PAGE, Json, Management, decoded
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import CallTimeout, JMSError, RemoteProtocolError
from activeclient.wire.message import TEXT, CoreMessage, text_body, text_of


class Answer(CoreMessage):
    """A received message that nobody waits to have acknowledged."""

    def acknowledge(self) -> None:
        pass


class Broker:
    """A session, producer and consumer in one: it notes the questions and gives the answers that it was told."""

    def __init__(self, *answers: object, succeeded: bool = True) -> None:
        self.answers = list(answers)
        self.succeeded = succeeded
        self.asked: list[tuple[dict[str, object], object]] = []
        self.queues: list[str] = []
        self.is_closed = False
        self._waiting: list[CoreMessage] = []

    def create_session(self, *_: object, **__: object) -> Broker:
        return self

    def create_temporary_queue(self, name: str) -> None:
        self.queues.append(name)

    def delete_queue(self, name: str) -> None:
        self.queues.remove(name)

    def create_producer(self, address: str) -> Broker:
        assert address == "activemq.management"
        return self

    def create_consumer(self, queue: str) -> Broker:
        assert queue in self.queues
        return self

    def start(self) -> None:
        pass

    def create_message(self, *, durable: bool, body: bytes, body_type: int) -> CoreMessage:
        return CoreMessage(body, body_type, durable=durable)

    def send(self, question: CoreMessage) -> None:
        told = dict(question.properties)
        text = text_of(question.body)
        self.asked.append((told, None if text is None else json.loads(text)))
        if self.answers:
            answer = self.answers.pop(0)
            text = answer if isinstance(answer, str) else json.dumps([answer])
            for number in (0, told["JMSCorrelationID"]):  # the first one is somebody else's
                properties = {"JMSCorrelationID": str(number), "_AMQ_OperationSucceeded": self.succeeded}
                self._waiting.append(Answer(text_body(text), TEXT, properties=properties))  # type: ignore[arg-type]

    def receive(self, timeout: float) -> CoreMessage | None:
        assert timeout == 10.0
        return self._waiting.pop(0) if self._waiting else None

    def close(self) -> None:
        self.is_closed = True


def management(broker: Broker) -> Management:
    return Management(cast("ClientSessionFactory", broker))


def test_an_operation_is_asked_for_with_its_arguments_and_answered_by_its_result() -> None:
    broker = Broker({"a": 1})
    with management(broker) as asking:
        assert asking.invoke("queue.orders", "listMessages", "colour", 7) == {"a": 1}
    ((told, arguments),) = broker.asked
    assert told["_AMQ_ResourceName"] == "queue.orders"
    assert told["_AMQ_OperationName"] == "listMessages"
    assert told["JMSReplyTo"] == asking._answers
    assert arguments == ["colour", 7]


def test_an_attribute_is_asked_for_without_a_body() -> None:
    broker = Broker('["2.44.0"]')
    assert management(broker).attribute("broker", "version") == "2.44.0"
    assert broker.asked[0][0]["_AMQ_Attribute"] == "version"
    assert broker.asked[0][1] is None


def test_a_no_of_the_broker_is_an_error_with_its_words() -> None:
    broker = Broker('["no operation nonsense/0"]', succeeded=False)
    with pytest.raises(JMSError, match=r"broker\.nonsense: no operation nonsense/0"):
        management(broker).invoke("broker", "nonsense")


def test_silence_is_a_timeout() -> None:
    with pytest.raises(CallTimeout, match=r"broker\.version: no answer within 10 s"):
        management(Broker()).attribute("broker", "version")


def test_an_answer_that_is_no_json_is_a_protocol_error() -> None:
    with pytest.raises(RemoteProtocolError, match="no JSON"):
        management(Broker("nonsense")).attribute("broker", "version")


@pytest.mark.parametrize("answer", [None, "[]", json.dumps({"data": 1}), json.dumps({"data": [1]})])
def test_queues_that_are_no_list_are_a_protocol_error(answer: object) -> None:
    with pytest.raises(RemoteProtocolError, match="no list of queues"):
        list(management(Broker(json.dumps([answer]))).queues())


def test_queues_come_page_by_page_and_without_the_own_one() -> None:
    broker = Broker()
    asking = management(broker)

    def page(*names: str) -> str:
        rows = [{"name": name, "address": name, "messageCount": "5", "durable": "true"} for name in names]
        return json.dumps([json.dumps({"data": rows, "count": len(rows)})])

    broker.answers = [page(asking._answers, *(f"q{number}" for number in range(PAGE - 1))), page("last")]
    found = list(asking.queues("q"))
    assert [queue.name for queue in found] == [*(f"q{number}" for number in range(PAGE - 1)), "last"]
    assert (found[0].messages, found[0].durable, found[0].consumers) == (5, True, 0)
    assert [arguments[1:] for _, arguments in broker.asked if isinstance(arguments, list)] == [[1, PAGE], [2, PAGE]]


def test_closing_leaves_no_queue_behind() -> None:
    broker = Broker()
    with management(broker):
        assert len(broker.queues) == 1
    assert broker.queues == []
    assert broker.is_closed


# --- JSON within JSON -------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(categories=["L"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_json_is_decoded_and_json_within_json_too(value: Json) -> None:
    wrapped = json.dumps([value])
    assert decoded(wrapped) == [value]
    assert decoded(json.dumps([wrapped])) == [[value]]


@pytest.mark.parametrize("text", ["", "orders", "[not json", "{", "12"])
def test_other_texts_stay_texts(text: str) -> None:
    assert decoded(json.dumps([text])) == [text]


def test_nesting_has_an_end() -> None:
    value: Json = [1]
    for _ in range(6):
        value = [json.dumps(value)]
    assert isinstance(decoded(value), list)


def test_json_that_is_too_deep_is_left_alone() -> None:
    deep = "[" * 100_000
    assert decoded(deep) == deep


def test_an_operation_that_answers_in_json_is_answered_in_values() -> None:
    assert management(Broker(json.dumps([json.dumps({"a": [1]})]))).invoke("broker", "x") == {"a": [1]}
