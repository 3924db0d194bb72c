"""An interrupt at any place of any call costs the link at most: on an embedded broker in memory.

`ACTIVECLIENT_RAIN` multiplies the rounds, `ACTIVECLIENT_RAIN_SEED` is where the seeds begin.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from types import CodeType

import pytest

import activeclient
from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    BytesMessage,
    Connection,
    EmbeddedBroker,
    JMSConsumer,
    JMSContext,
    JMSProducer,
    Message,
    MessageConsumer,
    MessageProducer,
    QueueBrowser,
    Requestor,
    ServerLocator,
    Session,
    XAConnection,
    XAJMSContext,
    XAResource,
    XASession,
)
from activeclient.client.consumer import ClientConsumer
from activeclient.client.management import Management
from activeclient.client.producer import ClientProducer
from activeclient.client.session import ClientSession
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.jms.temporary import OwnTemporaryQueue, OwnTemporaryTopic
from integration.interrupts import PACKAGE
from integration.rain import MODES, Rain
from integration.scenarios import CLOSES_IN_AN_OUTAGE, SCENARIOS

TIMES = int(os.environ.get("ACTIVECLIENT_RAIN", "1"))
SEED = int(os.environ.get("ACTIVECLIENT_RAIN_SEED", "1"))


CLASSES: tuple[type, ...] = (
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    BytesMessage,
    ClientConsumer,
    ClientProducer,
    ClientSession,
    ClientSessionFactory,
    Connection,
    JMSConsumer,
    JMSContext,
    JMSProducer,
    Management,
    Message,
    MessageConsumer,
    MessageProducer,
    OwnTemporaryQueue,
    OwnTemporaryTopic,
    QueueBrowser,
    Requestor,
    ServerLocator,
    Session,
    XAConnection,
    XAJMSContext,
    XAResource,
    XASession,
)
"""Whose calls may wait for a broker."""


_NEVER_WAIT = """
reconnection_strategy reconnection_strategy= name state is_active metadata is_closed is_connected destination
message_selector no_local queue session_mode transacted serializers serializers= xa_resource is_same_rm message_handler
message_listener exception_listener exception_listener= on_exception client_id add_event_listener remove_event_listener
add_state_listener remove_state_listener
add_failure_listener remove_failure_listener add_failover_listener remove_failover_listener
set_send_acknowledgement_handler

delivery_delay delivery_delay= delivery_mode delivery_mode= priority priority= time_to_live time_to_live= set_async
jms_correlation_id jms_correlation_id= jms_reply_to jms_reply_to= jms_type jms_type= properties clear_properties
set_delivery_delay set_delivery_mode set_disable_message_id set_disable_message_timestamp set_jms_correlation_id
set_jms_reply_to set_jms_type set_priority set_property set_time_to_live

create_bytes_message create_map_message create_message create_object_message create_stream_message create_text_message
create_typed_message callbacks_idle is_working
create_queue create_topic as_queue as_topic add_properties body_length clear_body data= delivery_count forget_schedule
get_body is_body_assignable_to is_received jms_delivery_mode jms_delivery_mode= jms_delivery_time jms_delivery_time=
jms_destination jms_destination= jms_expiration jms_expiration= jms_message_id= jms_priority jms_priority=
jms_redelivered jms_timestamp jms_timestamp= raw_body schedule text reset to_send body read_boolean read_byte read_char
read_double read_float read_int read_long read_short read_unsigned_byte read_unsigned_short read_utf write
write_boolean write_body write_byte write_bytes write_char write_double write_float write_int write_long write_object
write_short write_utf
"""
_INNER = """
abandon abandon_consumer acknowledge_at_close acknowledge_late close_dropped close_with_session connection_closed
delete_abandoned_queue expire inflate keep next_call next_for_listener put_back restore_kept settle_read_bodies
"""
NEVER_WAIT = frozenset(_NEVER_WAIT.split())
"""Public names, of whatever class, that wait for nobody: what things are, how messages are sent, and messages, whose
bodies are read in the scenarios. `name=` is the setter."""
INNER = frozenset(_INNER.split())
"""What other parts of the package call, in the course of the calls of users."""


def public_functions(kind: type) -> dict[str, CodeType]:
    """The code of each public method, of each part of a property, and of what `iter` and `with` call."""
    found: dict[str, CodeType] = {}
    for name, member in inspect.getmembers_static(kind):
        if name.startswith("_") and name not in ("__iter__", "__enter__", "__exit__"):
            continue
        if isinstance(member, property):
            parts = {name: member.fget, f"{name}=": member.fset}
        else:
            parts = {name: inspect.unwrap(getattr(member, "__func__", member))}
        for label, part in parts.items():
            if isinstance(code := getattr(part, "__code__", None), CodeType):
                found[label] = code
    return found


@pytest.fixture
def rain() -> Iterator[Rain]:
    with EmbeddedBroker(port=0) as broker:
        made = Rain(broker.url, SEED)
        yield made
        made.close()


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_nothing_confirmed_is_lost_and_nothing_comes_twice(rain: Rain, mode: AcknowledgeMode) -> None:
    with rain.leaves_nothing():
        ledger = rain.over_messages(mode, f"rain.{mode.name}", 60 * TIMES)
    ledger.check()
    assert ledger.interrupts > 10


def test_no_public_call_is_forgotten(rain: Rain) -> None:
    """A new one goes into a scenario, or among those that never wait."""
    played: set[CodeType] = set()
    for name in SCENARIOS:
        played |= rain.over_calls(name, 0)[1]
    forgotten = {
        f"{kind.__name__}.{label}"
        for kind in CLASSES
        for label, code in public_functions(kind).items()
        if code not in played and label not in NEVER_WAIT | INNER and code.co_filename.startswith(PACKAGE)
    }
    assert forgotten == set()


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in CLOSES_IN_AN_OUTAGE])
def test_every_call_keeps_its_promise_when_it_is_interrupted(rain: Rain, name: str) -> None:
    hits, _ = rain.over_calls(name, 3 * TIMES)
    assert hits > 0


@pytest.mark.parametrize("what", ["session", "consumer", "subscription", "connection", "context", "management"])
def test_what_nobody_got_does_not_stay_on_the_broker(rain: Rain, what: str) -> None:
    with rain.leaves_nothing(), activeclient.connect(rain.url) as connection:
        session = connection.create_session()
        queue, topic = session.create_queue("rain.made"), session.create_topic("rain.topic")
        factory = activeclient.ActiveMQConnectionFactory(rain.url)
        with session.create_producer(queue) as producer:
            producer.send("makes the queue")
        create = {
            "session": connection.create_session,
            "consumer": lambda: session.create_consumer(queue),
            "subscription": lambda: session.create_consumer(topic),
            "connection": lambda: activeclient.connect(rain.url),
            "context": factory.create_context,
            "management": connection.management,
        }[what]
        with rain.leaves_nothing():
            hits = rain.over_creation(create, 12 * TIMES)
        assert hits > 3
