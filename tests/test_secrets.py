"""A password is nowhere to be seen: not in logs, reprs, texts, events, exceptions, copies or tracebacks of ours."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.engine.session import SessionConfig
from activeclient.errors import ActiveClientError, ConfigError, LocalProtocolError
from activeclient.settings import Settings
from activeclient.testing import wait_until
from activeclient.urls import masked, parse_url
from activeclient.wire.message import CoreMessage
from activeclient.wire.packet import encode
from activeclient.wire.packets import CreateSession, ExceptionResponse
from activeclient.wire.versions import NEWEST
from tests.hostile.server import Conversation, HostileServer

MARK = "s3cr3tMARKER"
SECRETS = ("password", "keyStorePassword", "trustStorePassword")


class Record:
    """Everything that was logged or shown."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.shown: list[str] = []

    def show(self, *things: object) -> None:
        """Look at each thing in every way that a user might."""
        for thing in things:
            self.shown += (repr(thing), str(thing), f"{thing}")
            if isinstance(thing, BaseException):
                self.shown.append("".join(traceback.format_exception(thing)))
                self.shown += (repr(thing.args), repr(vars(thing)))

    def check(self) -> None:
        assert MARK not in self.stream.getvalue()
        found = [text for text in self.shown if MARK in text]
        assert not found


@pytest.fixture
def record() -> Iterator[Record]:
    made = Record()
    handler = logging.StreamHandler(made.stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield made
    root.removeHandler(handler)
    root.setLevel(before)
    made.check()


def broken(record: Record, call: Any) -> ActiveClientError:
    """`call` must raise an error of ours; it is looked at."""
    with pytest.raises(ActiveClientError) as caught:
        call()
    record.show(caught.value)
    copied = copy.copy(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(copied) == str(again) == str(caught.value)
    assert type(again) is type(caught.value)
    record.show(copied, again, caught.value.again())
    return caught.value


@pytest.mark.parametrize("key", SECRETS)
def test_bad_urls_and_settings_do_not_echo_passwords(record: Record, key: str) -> None:
    for url in (
        f"tcp://me:{MARK}@a:1",
        f"tcp://a:99999?{key}={MARK}",
        f"tcp://a:1?{key}={MARK}&callTimout=1",
        f"tcp://a:1?{key}={MARK}&callTimeout=x",
        f"tcp://a:1?{key}={MARK}%zz",
        f"(tcp://a:1?{key}={MARK},tcp://b:2?password={MARK})",
        f"tcp://a:1?PASSWORD={MARK}",
        f"tcp://a:1?passwrd={MARK}",
        f"nonsense {key}={MARK}",
    ):
        broken(record, lambda url=url: ServerLocator(url))
        record.show(masked(url))
    attribute = {"password": "password", "keyStorePassword": "key_store_password"}.get(key, "trust_store_password")
    broken(record, lambda: ServerLocator("tcp://a:1", **{attribute: f"{MARK}\0"}))
    broken(record, lambda: ServerLocator("tcp://a:1", **{attribute: [MARK]}))
    broken(record, lambda: ServerLocator("tcp://a:1", passwort=MARK))
    locator = ServerLocator("tcp://a:1")
    broken(record, lambda: setattr(locator, "passwort", MARK))
    broken(record, lambda: setattr(locator, attribute, MARK.encode()))


def test_objects_and_their_copies_do_not_show_passwords(record: Record) -> None:
    url = f"tcp://a:1?user=me&password={MARK}&keyStorePassword={MARK}&trustStorePassword={MARK}"
    locator = ServerLocator(url)
    assert locator.password == MARK
    for made in (locator, copy.copy(locator), copy.deepcopy(locator), pickle.loads(pickle.dumps(locator))):
        assert made.password == MARK
        record.show(made, made.settings, made.settings.effective, *made._endpoints)
    parsed = parse_url(url)
    record.show(parsed, parsed.settings(), *parsed.endpoints)
    record.show(Settings(password=MARK), copy.copy(Settings(password=MARK)), SessionConfig(password=MARK))
    fields = ("name", 10, NEWEST, "me", MARK, 1, False, True, True, -1, False)
    record.show(CreateSession(*fields), CreateSession(*fields, client_id="me"))
    with pytest.raises(LocalProtocolError) as caught:
        encode(CreateSession("name", 10, NEWEST, "me", MARK.encode(), 1, False, True, True, -1, False), 1, NEWEST)  # type: ignore[arg-type]
    record.show(caught.value)


def _refuses(talk: Conversation) -> None:
    talk.on[CreateSession] = lambda _, __: talk.say(ExceptionResponse(105, "AMQ229031: Unable to validate user: me"), 1)
    talk.serve()


def test_connecting_failing_and_recreating_log_no_password(record: Record) -> None:
    cuts = HostileServer(lambda talk: (talk.serve(until=71), talk.sock.close()), lambda talk: talk.serve())
    events: list[object] = []
    with cuts:
        parameters = f"user=me&password={MARK}&reconnectAttempts=-1&retryInterval=10&confirmationWindowSize=10000"
        with ServerLocator(cuts.url(parameters), duplicate_detection=True) as locator:
            factory = locator.create_session_factory()
            factory.add_event_listener(events.append)
            session = factory.create_session(password=MARK).start()
            producer, consumer = session.create_producer("q"), session.create_consumer("q")
            message = CoreMessage(b"body", 4)
            producer.send(message)
            producer.send(message)
            for thing in (locator, factory, session, producer, consumer, message, session.engine, factory.engine):
                record.show(thing)
            record.show(factory.engine.config, session.engine.config, factory.pump, session.engine.client.link)
            wait_until(lambda: len(cuts.accepted) >= 2 and events, 30)
    record.show(*events)
    for event in events:
        record.show(getattr(event, "reason", None))


def test_refusals_and_bad_peers_show_no_password(record: Record) -> None:
    for script in (_refuses, lambda talk: talk.send(b"HTTP/1.1 400\r\n\r\n" * 4), lambda talk: None):
        with HostileServer(script) as server:
            locator = ServerLocator(server.url(f"user=me&password={MARK}&handshakeTimeout=300"))

            def use(locator: ServerLocator = locator) -> None:
                locator.create_session_factory().create_session()

            broken(record, use)
            record.show(locator)
            locator.close()


def test_a_peer_that_echoes_the_password_frame_does_not_bring_it_into_an_error(record: Record) -> None:
    def echoes(talk: Conversation) -> None:
        talk.serve(until=CreateSession)
        talk.send(encode(talk.seen[-1], 10, NEWEST))
        talk.send(b"\xff" * 4 + encode(talk.seen[-1], 1, NEWEST))
        talk.until_gone()

    with HostileServer(echoes) as server, ServerLocator(server.url(f"user=me&password={MARK}")) as locator:
        session = locator.create_session_factory().create_session()
        broken(record, lambda: session.query_queue("q"))


def test_errors_of_every_kind_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(ConfigError("key", "value", "rule")))
    assert (error.key, error.value, error.rule, str(error)) == ("key", "value", "rule", "key='value': rule")
