"""Messages between our client and an AMQP 1.0 client, which the broker converts: as with Artemis' Java JMS client.

What Java's client and ours send, an AMQP client sees alike; what it sends, both see alike. Only Artemis 2.44 is asked:
the AMQP module of the other generation's server is not among the published ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from activeclient.errors import InvalidDestinationError
from integration.artemis import Broker
from integration.conftest import missing
from integration.interchange.compare import normal
from integration.interchange.exchange import LOGIN, remove_queues
from integration.interchange.java_peer import JavaPeer
from integration.interchange.notation import Dump
from integration.interchange.our_peer import OurPeer
from integration.provision import in_ci
from integration.toolchain import UnavailableError

try:
    import proton
except ImportError:
    if in_ci():
        raise
    pytest.skip("python-qpid-proton is not installed (extra: interchange)", allow_module_level=True)

from integration.interchange import amqp_peer
from integration.interchange.amqp_cases import FROM_AMQP, TO_AMQP
from integration.interchange.amqp_peer import AmqpPeer

pytestmark = pytest.mark.parametrize("artemis", ["2.44"], indirect=True)
Dumps = dict[str, dict[str, Dump]]
"""By peer, then by case."""
SENDERS = ("java", "ours")


class Peers:
    """The three clients, connected, and queues that are removed at the end."""

    def __init__(self, artemis: Broker, java: JavaPeer) -> None:
        self.ours = OurPeer(artemis.url(), **LOGIN)
        self.amqp = AmqpPeer(artemis.url(), **LOGIN)
        self.java = java
        self._url = artemis.url()
        self._java_connection = java.connect(self._url, **LOGIN)
        self._session = java.session(self._java_connection)
        self._queues: list[str] = []

    def queue(self) -> str:
        """A new queue."""
        name = f"interchange.{uuid.uuid4()}"
        self._queues.append(name)
        self.ours.receive(f"queue://{name}", 1, timeout=0.001)  # creates it, if the consumer does not find it
        return name

    def send(self, who: str, queue: str, messages: list[Any]) -> list[Dump]:
        """As Java or as we."""
        to = f"queue://{queue}"
        return self.java.send(self._session, to, messages) if who == "java" else self.ours.send(to, messages)

    def receive(self, who: str, queue: str, count: int) -> list[Dump]:
        """As Java or as we."""
        source = f"queue://{queue}"
        if who == "ours":
            return self.ours.receive(source, count)
        consumer = self.java.consumer(self._session, source)
        got = self.java.receive(consumer, count)
        self.java.request("close_consumer", consumer=consumer)
        return got

    def close(self) -> None:
        """Close everything but the Java process."""
        self.amqp.close()
        self.ours.close()
        self.java.request("close", connection=self._java_connection)
        remove_queues(self._url, self._queues)


@pytest.fixture(scope="module")
def peers(artemis: Broker) -> Iterator[Peers]:
    try:
        java = JavaPeer()
    except UnavailableError as failure:
        missing(failure)
    with java:
        made = Peers(artemis, java)
        yield made
        made.close()


@pytest.fixture(scope="module")
def to_amqp(peers: Peers) -> Dumps:
    """What the AMQP client sees of each case."""
    found: Dumps = {}
    for who in SENDERS:
        queue = peers.queue()
        sent = peers.send(who, queue, list(TO_AMQP.values()))
        names = {headers["message_id"]: name for name, headers in zip(TO_AMQP, sent, strict=True)}
        came = peers.amqp.receive(queue, len(sent))
        found[who] = {names[message.id]: amqp_peer.dump(message) for message in came}
    return found


@pytest.fixture(scope="module")
def from_amqp(peers: Peers) -> Dumps:
    """What Java and we see of each case; `case` is a property of all of them."""
    found: Dumps = {}
    for who in SENDERS:
        queue = peers.queue()
        peers.amqp.send(queue, [_message(name) for name in FROM_AMQP])
        came = peers.receive(who, queue, len(FROM_AMQP))
        found[who] = {dump["properties"]["case"][1]: dump for dump in came}
    return found


def _message(name: str) -> proton.Message:
    attributes = dict(FROM_AMQP[name])
    properties = {**attributes.pop("properties", {}), "case": name}
    return proton.Message(properties=properties, **attributes)


@pytest.mark.parametrize("name", TO_AMQP)
def test_an_amqp_client_sees_our_message_as_javas(to_amqp: Dumps, name: str) -> None:
    of_java, of_ours = (_comparable(to_amqp[who].get(name), TO_AMQP[name]) for who in SENDERS)
    assert of_java is not None, "not even Java's message came: the broker cannot convert it"
    assert of_ours == of_java


@pytest.mark.parametrize("name", FROM_AMQP)
def test_we_see_the_message_of_an_amqp_client_as_java(from_amqp: Dumps, name: str) -> None:
    of_java, of_ours = (from_amqp[who].get(name) for who in SENDERS)
    assert of_java is not None, "not even Java got it"
    assert of_ours is not None, "it never came"
    left, right = normal(of_ours), normal(of_java)
    # Java's `receive` writes it into a message that came without: that is how its JMSDestination knows its kind.
    del right["core_properties"]["_AMQ_ROUTING_TYPE"]
    assert left == right


@pytest.mark.parametrize(
    ("name", "kind", "body"),
    [
        ("body-text", "text", ["string", "h\u00e9 \U0001f600"]),
        ("body-data", "bytes", ["bytes", "00ff"]),
        ("body-empty-map", "map", {}),
        ("body-empty-list", "stream", []),
    ],
)
def test_bodies_of_amqp_become_the_messages_that_one_expects(
    from_amqp: Dumps, name: str, kind: str, body: object
) -> None:
    seen = from_amqp["ours"][name]
    assert (seen["type"], seen["body"]) == (kind, body)


def test_an_amqp_client_sees_types_and_values(to_amqp: Dumps) -> None:
    seen = to_amqp["ours"]
    assert seen["text-beyond-bmp"]["body"] == ["str", "\U0001f600 \U0010ffff"]
    assert seen["bytes-bytes"]["body"] == ["bytes", "00ff7f80"]
    assert seen["map-int-min"]["body"] == {"map": {"entry": ["int32", "int32(-2147483648)"]}}
    assert seen["property-double-third"]["properties"]["value"] == ["float", "3fd5555555555555"]
    assert seen["correlation-bytes"]["correlation_id"] == ["bytes", "00ff7f80"]
    assert seen["reply-to-queue"]["reply_to"] == ["str", "the.answers"]


def test_a_message_that_the_broker_cannot_convert_ends_the_consumer_with_an_error(peers: Peers) -> None:
    queue = peers.queue()
    peers.amqp.send(queue, [proton.Message(body="t", properties={"value": uuid.uuid4()})])
    with pytest.raises(InvalidDestinationError, match="failed to deliver"):
        peers.ours.receive(f"queue://{queue}", 1)


def _comparable(dump: Dump | None, described: Any) -> Dump | None:
    """Without what belongs to one send, and what `compare.DIFFERENCES` explains."""
    if dump is None:
        return None
    found = {name: value for name, value in dump.items() if name not in ("id", "address", "creation_time")}
    found["expiry_time"] = dump["expiry_time"] != ["float", "0" * 16]
    found["ttl"] = dump["ttl"] != ["float", "0" * 16]
    found["properties"] = {name: value for name, value in dump["properties"].items() if name != "_AMQ_LARGE_SIZE"}
    found["annotations"] = {
        name: None if name == "x-opt-delivery-time" else value for name, value in dump["annotations"].items()
    }
    if described["type"] == "bytes" and not described["body"]:
        found["body"] = None
    return found
