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
    assert told == {"sessionID": "session", "principal": "alice", "consumerCount": 0, "metadata": {"key": "value"}}
    assert [each["version"] for each in json.loads(control.connections_as_json())] == [136, 136]
    assert control.remote_addresses() == ["peer", "peer"]
    assert control.node_id() == "node-1"
    assert control.close_session(str(first), "session")
    assert not control.close_session(str(first), "session")
    assert control.close_connection(str(second))
    assert not control.close_connection(str(second))
    assert other.connection.aborted
    assert control.connection_count() == 1


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
