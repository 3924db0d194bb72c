"""Management of connections and sessions."""

from __future__ import annotations

import json

from activeclient.broker.server_control import ServerControl
from activeclient.wire import packets as p
from tests.broker.peer import World


def test_connections_and_sessions_are_listed_and_closed() -> None:
    world = World()
    control = ServerControl(world.server)
    peer, other = world.connect(), world.connect()
    peer.session(username="alice", password="secret")
    peer.ask(p.AddMetadata("key", "value"), p.NullResponse)
    first, second = control.connection_ids()
    assert control.session_names(str(first)) == ["session"]
    assert control.session_names("nothing") == []
    (told,) = json.loads(control.sessions_as_json(str(first)))
    assert told == {
        "sessionID": "session",
        "principal": "alice",
        "consumerCount": 0,
        "metadata": {"key": "value"},
        "state": "CONNECTED",
    }
    assert [each["version"] for each in json.loads(control.connections_as_json())] == [136, 136]
    assert control.remote_addresses() == ["peer", "peer"]
    assert control.node_id() == "node-1"
    assert control.close_session(str(first), "session")
    assert not control.close_session(str(first), "session")
    assert control.close_connection(str(second))
    assert not control.close_connection(str(second))
    assert other.connection.aborted
    assert control.connection_count() == 1


def test_a_session_whose_client_is_gone_is_listed_with_the_time_that_is_left() -> None:
    world = World()
    control = ServerControl(world.server)
    lost, other = world.connect(), world.connect()
    lost.session("lost")
    other.session("other", 11)
    lost.send(p.Ping(20_000), 0)
    lost.connection.connection_lost()
    world.advance(5)
    listed = {each["sessionID"]: each for each in json.loads(control.all_sessions_as_json())}
    assert (listed["lost"]["state"], listed["lost"]["timeLeft"]) == ("DISCONNECTED", 15_000)
    assert listed["other"]["state"] == "CONNECTED"
    assert "timeLeft" not in listed["other"]
    assert [each["state"] for each in json.loads(control.connections_as_json())] == ["DISCONNECTED", "CONNECTED"]
    world.advance(18)  # it looks every two seconds
    assert [each["sessionID"] for each in json.loads(control.all_sessions_as_json())] == ["other"]


def test_the_operations_are_known_to_the_management() -> None:
    world = World()
    peer = world.connect()
    peer.session()
    peer.queue("answers")
    peer.consume("answers")
    peer.take_all()
    peer.post(
        b"",
        "activemq.management",
        properties={
            "_AMQ_ResourceName": "broker",
            "_AMQ_OperationName": "listConnectionIDs",
            "JMSReplyTo": "queue://answers",
        },
    )
    (answer,) = peer.messages()
    assert answer.properties["_AMQ_OperationSucceeded"] is True
    assert json.loads(answer.body[5:].decode("utf-16-le")) == [["1"]]
