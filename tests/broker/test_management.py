"""Questions and answers; forms, names and texts are those that a real broker gave."""

from __future__ import annotations

import json

import pytest

from activeclient.broker.configuration import AddressSettings, User
from activeclient.broker.message import StoredMessage
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import JMSError
from activeclient.wire.fields import Xid
from activeclient.wire.message import TEXT, CoreMessage, encode_send, text_body, text_of
from activeclient.wire.properties import Byte, Char
from activeclient.wire.versions import NEWEST
from tests.broker.office import START_MS, Office, message


@pytest.fixture
def office() -> Office:
    made = Office(settings=AddressSettings(dead_letter_address="DLQ", expiry_address=None))
    made.queue("answers", durable=False)
    return made


def ask(office: Office, body: str | None = None, **properties: object) -> StoredMessage:
    """The answer to a management message."""
    properties = {"JMSReplyTo": "temp-queue://answers", "JMSCorrelationID": "c-1", **properties}
    core = CoreMessage(text_body(body), TEXT, "activemq.management", properties=properties)
    office.post.route(StoredMessage.from_send(encode_send(core, 10, NEWEST), 13))
    taker = office.consume("answers")
    (ref,) = taker.held
    taker.acknowledge()
    taker.close()
    return ref.message


def invoke(office: Office, resource: str, operation: str, *arguments: object) -> object:
    answer = ask(office, json.dumps(arguments), _AMQ_ResourceName=resource, _AMQ_OperationName=operation)
    return outcome(answer)


def attribute(office: Office, resource: str, name: str) -> object:
    return outcome(ask(office, _AMQ_ResourceName=resource, _AMQ_Attribute=name))


def outcome(answer: StoredMessage) -> object:
    assert answer.properties["JMSCorrelationID"] == "c-1"
    assert answer.body_type == TEXT
    text = text_of(answer.body)
    result = None if text is None else json.loads(text)[0]
    if not answer.properties["_AMQ_OperationSucceeded"]:
        raise JMSError(str(result))
    return result


def test_a_queue_of_that_name_does_not_keep_what_is_to_be_done(office):
    office.queue("activemq.management", ANYCAST)
    assert attribute(office, "queue.activemq.management", "MessageCount") == 0


@pytest.mark.parametrize(
    ("resource", "operation", "text"),
    [
        ("nope", "x", "AMQ229067: Cannot find resource with name nope"),
        ("queue.nope", "x", "AMQ229067: Cannot find resource with name queue.nope"),
        ("broker", "nope", "AMQ229069: no operation nope/0"),
        ("queue.answers", "moveMessage", "AMQ229069: no operation moveMessage/0"),
    ],
)
def test_what_does_not_exist_is_said_in_the_words_of_artemis(office, resource, operation, text):
    with pytest.raises(JMSError) as caught:
        invoke(office, resource, operation)
    assert str(caught.value) == text


def test_attributes_that_do_not_exist_are_told(office):
    for resource in ("broker", "queue.nope", "address.nope"):
        with pytest.raises(JMSError, match="Problem while retrieving attribute nope"):
            attribute(office, resource, "nope")


@pytest.mark.parametrize(
    ("body", "properties"),
    [
        ("not json", {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "getQueueNames"}),
        ("{}", {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "getQueueNames"}),
        ('["x"]', {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "getQueueNames"}),
        ('["", "x", 1]', {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "listQueues"}),
        ('["{", 1, 1]', {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "listQueues"}),
        ('["{}"]', {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "createQueue"}),
        ('["[]"]', {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": "createQueue"}),
        (None, {"_AMQ_ResourceName": "broker"}),
        (None, {"_AMQ_OperationName": "getQueueNames"}),
        (None, {"_AMQ_ResourceName": 7, "_AMQ_OperationName": True}),
    ],
)
def test_bad_questions_are_answered_and_harm_nobody(office, body, properties):
    with pytest.raises(JMSError):
        outcome(ask(office, body, **properties))
    assert attribute(office, "broker", "queueNames") == ["answers"]


def test_nobody_is_answered_who_did_not_say_where(office):
    office.post.route(message("", "activemq.management", _AMQ_ResourceName="broker", _AMQ_Attribute="version"))
    office.post.route(message("", "activemq.management", JMSReplyTo="nowhere", _AMQ_ResourceName="broker"))
    assert office.waiting("answers") == []
    assert office.post.addresses.memory.size == 0


def test_queues_are_listed_in_pages_and_chosen(office):
    office.queue("q.1", address="a")
    office.queue("q.2", MULTICAST, address="a", filter_string="x = 1")
    office.send("m", address="a")
    office.consume("q.1", room=1)
    wanted = json.dumps({"field": "name", "operation": "CONTAINS", "value": "q."})
    found = json.loads(invoke(office, "broker", "listQueues", wanted, 1, 1))
    assert found["count"] == 2
    (row,) = found["data"]
    assert row["name"] == "q.1"
    assert row["messageCount"] == row["deliveringCount"] == row["consumerCount"] == row["messagesAdded"] == "1"
    assert (row["routingType"], row["durable"], row["filter"], row["user"]) == ("ANYCAST", "true", "", "")
    assert set(row) == {
        *("id", "name", "address", "filter", "durable", "paused", "persistedPause", "temporary", "purgeOnNoConsumers"),
        *("consumerCount", "maxConsumers", "autoCreated", "user", "routingType", "messagesAdded", "messageCount"),
        *("messagesAcked", "messagesExpired", "deliveringCount", "messagesKilled", "directDeliver", "exclusive"),
        *("lastValue", "lastValueKey", "scheduledCount", "groupRebalance", "groupRebalancePauseDispatch"),
        *("groupBuckets", "groupFirstKey", "enabled", "ringSize", "consumersBeforeDispatch", "delayBeforeDispatch"),
        *("autoDelete", "internalQueue"),
    }
    second = json.loads(invoke(office, "broker", "listQueues", wanted, 2, 1))
    assert [row["name"] for row in second["data"]] == ["q.2"]
    for operation, value, names in (
        ("EQUALS", "0", {"answers", "q.2"}),
        ("GREATER_THAN", "0", {"q.1"}),
        ("LESS_THAN", "1", {"answers", "q.2"}),
    ):
        wanted = json.dumps({"field": "messageCount", "operation": operation, "value": value})
        found = json.loads(invoke(office, "broker", "listQueues", wanted, 1, 10))
        assert {row["name"] for row in found["data"]} - {"answers"} == names - {"answers"}
    ordered = json.dumps({"sortField": "name", "sortOrder": "desc"})
    found = json.loads(invoke(office, "broker", "listQueues", ordered, 1, 10))
    assert [row["name"] for row in found["data"]] == ["q.2", "q.1", "answers"]


def test_queues_and_addresses_are_made_and_deleted(office):
    text = json.dumps({"name": "q", "address": "a", "routing-type": "ANYCAST", "max-consumers": 3, "unknown": 1})
    made = json.loads(invoke(office, "broker", "createQueue", text))
    assert (made["name"], made["routing-type"], made["max-consumers"]) == ("q", "ANYCAST", 3)
    with pytest.raises(JMSError, match="AMQ229019: Queue q already exists on address a"):
        invoke(office, "broker", "createQueue", text)
    invoke(office, "broker", "createQueue", text, True)
    invoke(office, "broker", "createQueue", "b", "r", "MULTICAST", "x = 1", False, 2, True)
    configuration = office.post.find("r").configuration
    assert (configuration.address, configuration.filter_string, configuration.durable) == ("b", "x = 1", False)
    assert (configuration.max_consumers, configuration.purge_on_no_consumers) == (2, True)
    assert invoke(office, "broker", "getQueueNames", "MULTICAST") == ["r"]
    line = invoke(office, "broker", "createAddress", "c", "ANYCAST,MULTICAST")
    assert line == "Address [name=c, routingTypes={MULTICAST,ANYCAST}, autoCreated=false]"
    with pytest.raises(JMSError, match="AMQ229204: Address already exists: c"):
        invoke(office, "broker", "createAddress", "c", "ANYCAST")
    assert invoke(office, "broker", "listAddresses", ",") == "a,answers,b,c"
    rows = json.loads(invoke(office, "broker", "listAddresses", "", 1, 10))["data"]
    assert [row["name"] for row in rows] == ["a", "answers", "b", "c"]
    assert rows[3]["routingTypes"] == '["MULTICAST","ANYCAST"]'
    with pytest.raises(JMSError, match="has bindings"):
        invoke(office, "broker", "deleteAddress", "a")
    invoke(office, "broker", "destroyQueue", "q")
    with pytest.raises(JMSError, match="AMQ229017: Queue q does not exist"):
        invoke(office, "broker", "destroyQueue", "q")
    for name in "ac":
        assert invoke(office, "broker", "deleteAddress", name) is None
    with pytest.raises(JMSError, match="AMQ229203: Address Does Not Exist: c"):
        invoke(office, "broker", "deleteAddress", "c")
    taker = office.consume("r")
    invoke(office, "broker", "destroyQueue", "r", True, True)
    assert taker.gone
    assert office.post.query_address("b").exists is False


def test_messages_are_listed_and_counted(office):
    office.queue()
    office.send("a", colour="red", n=1, raw=b"\xca\x01", c=Char("x"))
    office.send("b", colour="blue", durable=False, priority=7)
    office.send("c", _AMQ_SCHED_DELIVERY=START_MS + 10_000)
    rows = json.loads(invoke(office, "queue.q", "listMessagesAsJSON", "colour = 'red'"))
    assert rows == [
        {
            "colour": "red",
            "n": 1,
            "raw": [-54, 1],
            "c": "x",
            "durable": True,
            "address": "q",
            "expiration": 0,
            "messageID": rows[0]["messageID"],
            "type": 4,
            "priority": 4,
            "timestamp": 0,
        }
    ]
    assert len(invoke(office, "queue.q", "listMessages", "")) == 2
    assert json.loads(invoke(office, "queue.q", "peekFirstMessageAsJSON"))["colour"] == "blue"
    assert len(json.loads(invoke(office, "queue.q", "listScheduledMessagesAsJSON"))) == 1
    assert invoke(office, "queue.q", "countMessages") == 3
    assert invoke(office, "queue.q", "countMessages", "colour = 'red'") == 1
    assert json.loads(invoke(office, "queue.q", "countMessages", "", "colour")) == {"blue": 1, "red": 1}
    with pytest.raises(JMSError, match="AMQ229020: Invalid filter: nonsense"):
        invoke(office, "queue.q", "countMessages", "nonsense")


def test_messages_are_removed_moved_expired_and_given_up(office):
    for name in ("q", "other", "DLQ"):
        office.queue(name)
    office.send(*"abcdefg", colour="red", _AMQ_ROUTING_TYPE=Byte(1))
    ids = [ref.message.id for ref in office.post.find("q").browse()]
    assert invoke(office, "queue.q", "removeMessage", ids[0]) is True
    assert invoke(office, "queue.q", "removeMessage", ids[0]) is False
    assert invoke(office, "queue.q", "moveMessage", ids[1], "other") is True
    (moved,) = office.post.find("other").browse()
    assert (moved.message.body, moved.message.address) == (b"b", "other")
    assert invoke(office, "queue.q", "expireMessage", ids[2]) is True
    assert invoke(office, "queue.q", "sendMessageToDeadLetterAddress", ids[3]) is True
    assert office.waiting("DLQ") == ["d"]
    assert invoke(office, "queue.DLQ", "retryMessages") == 1
    assert office.waiting() == ["e", "f", "g", "d"]
    back = list(office.post.find("q").browse())[-1].message
    assert (back.address, back.routing_type) == ("q", 1)
    assert (back.properties["_AMQ_ORIG_ADDRESS"], back.properties["_AMQ_ORIG_QUEUE"]) == ("DLQ", "DLQ")
    with pytest.raises(JMSError, match="AMQ229049: No queue found for nowhere"):
        invoke(office, "queue.q", "moveMessages", "", "nowhere")
    assert invoke(office, "queue.q", "moveMessages", "colour = 'red'", "other") == 4
    assert invoke(office, "queue.other", "removeMessages", "colour = 'blue'") == 0
    assert invoke(office, "queue.other", "removeAllMessages") == 5
    assert office.post.addresses.memory.size == 0
    assert [attribute(office, "queue.q", name) for name in ("messagesExpired", "messagesKilled")] == [1, 1]
    invoke(office, "queue.q", "resetMessagesKilled")
    assert attribute(office, "queue.q", "messagesKilled") == 0


def test_a_dead_message_that_named_its_queue_goes_back_to_it(office):
    office.queue("DLQ")
    office.queue("one", address="a")
    office.queue("two", address="a")
    for body in "xy":
        office.send(body, address="a::two")
    assert invoke(office, "queue.two", "sendMessagesToDeadLetterAddress") == 2
    assert office.waiting("DLQ") == ["x", "y"]
    assert invoke(office, "queue.DLQ", "retryMessages") == 2
    assert (office.waiting("one"), office.waiting("two")) == ([], ["x", "y"])


def test_a_queue_is_paused_and_resumed(office):
    office.queue()
    taker = office.consume()
    invoke(office, "queue.q", "pause")
    office.send("a")
    assert attribute(office, "queue.q", "paused") is True
    assert taker.bodies() == []
    invoke(office, "queue.q", "resume")
    assert taker.bodies() == ["a"]


def test_somebody_may_send_by_management():
    office = Office(users=(User("ada", "pw"),))
    office.queue()
    management = office.post.management
    assert int(management.invoke("queue.q", "sendMessage", {"a": "b"}, 3, "text", True, "ada", "pw")) > 0
    management.invoke("address.q", "sendMessage", None, 4, "aGVsbG8=", False, "ada", "pw")
    first, second = office.post.find("q").browse()
    assert (text_of(first.message.body), first.message.properties["a"], first.message.durable) == ("text", "b", True)
    assert second.message.body == b"hello"
    with pytest.raises(JMSError, match="AMQ229031"):
        management.invoke("queue.q", "sendMessage", {}, 3, "text", True, "ada", "wrong")
    with pytest.raises(JMSError, match="base64"):
        management.invoke("queue.q", "sendMessage", {}, 4, "???", True, "ada", "pw")


def test_attributes_have_the_types_of_artemis(office):
    office.queue("q", ANYCAST, address="a")
    office.send("m", address="a", _AMQ_DUPL_ID=b"1")
    queue = {"messageCount": 1, "routingType": "ANYCAST", "filter": None, "address": "a", "maxConsumers": -1}
    queue |= {"ringSize": -1, "durable": True, "deadLetterAddress": "DLQ", "user": None, "exclusive": False}
    for name, value in queue.items():
        assert attribute(office, "queue.q", name) == value
    address = {"routingTypes": ["ANYCAST"], "routingTypesAsJSON": '["ANYCAST"]', "queueNames": ["q"]}
    address |= {"bindingNames": ["q"], "numberOfMessages": 1, "routedMessageCount": 1, "paging": False}
    address |= {"autoCreated": True, "currentDuplicateIdCacheSize": 1, "unRoutedMessageCount": 0}
    for name, value in address.items():
        assert attribute(office, "address.a", name) == value
    assert invoke(office, "queue.q", "getMessageCount") == 1
    assert invoke(office, "queue.q", "isPaused") is False
    for name in ("started", "active", "Started"):
        assert attribute(office, "broker", name) is True
    assert attribute(office, "broker", "totalMessageCount") == 1
    assert invoke(office, "address.a", "clearDuplicateIdCache") is True
    assert attribute(office, "address.a", "currentDuplicateIdCacheSize") == 0
    assert invoke(office, "address.a", "purge") == 1


def test_every_attribute_can_be_read(office):
    from activeclient.broker import address_control, broker_control, queue_control

    for resource, table in (
        ("broker", broker_control.ATTRIBUTES),
        ("queue.answers", queue_control.ATTRIBUTES),
        ("address.answers", address_control.ATTRIBUTES),
    ):
        for name in table:
            attribute(office, resource, name)


def test_a_blocked_address_gives_no_room_until_it_is_unblocked(office):
    office.queue()
    invoke(office, "address.q", "block")
    ran = []
    office.post.when_room("q", lambda: ran.append(1))
    assert ran == []
    invoke(office, "address.q", "unblock")
    assert ran == [1]


def test_prepared_branches_are_decided(office):
    office.queue()
    xa = office.post.xa
    names = []
    for number in (1, 2):
        xid = Xid(number, b"g", b"b")
        office.send(str(number), tx=xa.start(xid))
        xa.prepare(xid)
    names = invoke(office, "broker", "listPreparedTransactions")
    assert len(json.loads(invoke(office, "broker", "listPreparedTransactionDetailsAsJSON"))) == 2
    assert invoke(office, "broker", "commitPreparedTransaction", names[0]) is True
    assert invoke(office, "broker", "rollbackPreparedTransaction", names[1]) is True
    assert invoke(office, "broker", "commitPreparedTransaction", "AAAA") is False
    assert office.waiting() == ["1"]
    assert invoke(office, "broker", "listHeuristicCommittedTransactions") == names[:1]
    assert invoke(office, "broker", "listHeuristicRolledBackTransactions") == names[1:]
    assert invoke(office, "broker", "listPreparedTransactionDetailsAsJSON") == ""


def test_the_server_offers_what_the_model_does_not_know(office):
    office.post.management.offer("connectionCount", lambda: 3)
    office.post.management.offer("closeConnectionWithID", lambda name: name == "x")
    assert attribute(office, "broker", "connectionCount") == 3
    assert invoke(office, "broker", "closeConnectionWithID", "x") is True


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ('{"name": "new", "max-consumers": 5000000000}', "max_consumers=5000000000: must be from -1 to 2147483647"),
        ('{"name": "new", "ring-size": -2}', "ring_size=-2: must be from -1 to 9223372036854775807"),
        ('{"name": "new", "group-buckets": "many"}', "group-buckets='many': must be a whole number"),
        ('{"name": "new", "ring-size": 1.5}', "ring-size=1.5: must be a whole number"),
        ('{"name": "new", "ring-size": true}', "ring-size=True: must be a whole number"),
        ('{"name": "new", "exclusive": 7}', "exclusive=7: must be true or false"),
        ('{"name": ["new"]}', "name=['new']: must be a text"),
        ('{"name": null}', "a queue needs a name"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_a_queue_that_cannot_be_is_refused_by_key_and_rule(office, given, text):
    with pytest.raises(JMSError) as caught:
        invoke(office, "broker", "createQueue", given)
    assert text in str(caught.value)
    assert office.post.find("new") is None


def test_the_configuration_of_a_queue_may_have_its_values_as_texts(office):
    given = {"name": 5, "max-consumers": "7", "exclusive": "TRUE", "ring-size": 3}
    told = json.loads(str(invoke(office, "broker", "createQueue", json.dumps(given))))
    assert (told["name"], told["max-consumers"], told["exclusive"], told["ring-size"]) == ("5", 7, True, 3)


def test_arguments_nested_without_end_are_answered(office):
    answer = ask(office, "[" * 100_000, _AMQ_ResourceName="broker", _AMQ_OperationName="listQueues")
    with pytest.raises(JMSError, match="RecursionError"):
        outcome(answer)


def test_a_defect_of_an_operation_is_an_answer_too(office):
    office.post.management.offer("broken", lambda: {}["nothing"])
    with pytest.raises(JMSError, match="KeyError: 'nothing'"):
        invoke(office, "broker", "broken")
