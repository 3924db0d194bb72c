"""Look-ups: the same names as in Java, better errors."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

import jndi_props
from activeclient.destination import Queue, Topic
from activeclient.errors import ConfigError, NamingError
from jndi_props import Context, InitialContext
from jndi_props.context import CONTEXT_FACTORY, INITIAL, OLDER_CONTEXT_FACTORIES, PROVIDER_URL
from tests.jndi_props.conftest import Factory, XAFactory

SAMPLES = sorted((Path(jndi_props.__file__).parent / "samples").glob("*.properties"))
SIX = [
    "ConnectionFactory",
    "QueueConnectionFactory",
    "TopicConnectionFactory",
    "XAConnectionFactory",
    "XAQueueConnectionFactory",
    "XATopicConnectionFactory",
]


def from_mapping(entries: Mapping[str, str]) -> InitialContext:
    return InitialContext({INITIAL: CONTEXT_FACTORY, **entries})


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_samples_are_right(path: Path) -> None:
    made = InitialContext(path=path)
    assert made.check() == ()
    factory = made.lookup("ConnectionFactory", Factory)
    assert factory.settings.reconnect_attempts in (-1, 1000)


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 4


@pytest.mark.parametrize("prefix", ["connectionFactory", "connection"])
def test_both_forms_of_a_factory_work(prefix: str) -> None:
    url = "tcp://h:1?retryInterval=1000&retryIntervalMultiplier=1.5&maxRetryInterval=60000&reconnectAttempts=1000"
    made = from_mapping({f"{prefix}.ConnectionFactory": url})
    factory = made.lookup("ConnectionFactory", Factory)
    assert factory.url == url
    assert factory.settings.retry_interval_multiplier == 1.5
    assert made.lookup("ConnectionFactory") is factory


@pytest.mark.parametrize("name", [CONTEXT_FACTORY, *OLDER_CONTEXT_FACTORIES])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_two_lines_of_the_older_manual_work_word_for_word(
    name: str, ending: str, mark: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "jndi.properties"
    lines = (
        f"java.naming.factory.initial = {name}",
        "connection.ConnectionFactory=tcp://localhost:61616?retryInterval=1000&retryIntervalMultiplier=1.5"
        "&maxRetryInterval=60000&reconnectAttempts=1000",
    )
    path.write_bytes(mark + ending.join((*lines, "")).encode())
    settings = InitialContext(path=path).lookup("ConnectionFactory", Factory).settings
    seen = (settings.retry_interval, settings.retry_interval_multiplier, settings.max_retry_interval)
    assert (*seen, settings.reconnect_attempts) == (1000, 1.5, 60000, 1000)


def test_no_entry_shows_a_secret_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "p.properties"
    path.write_text(
        f"{INITIAL}={CONTEXT_FACTORY}\n"
        "connectionFactory.a=tcp://h?user=me&pasword=hunter2\n"
        "connectionFactory.b.password=hunter2\n"
        "connectionFactory.c=me:hunter2@h:1\n"
        "connectionFactory.d=tcp://h?password=x&hunter2\n"
        "connectionFactory.e=tcp://h?password=x;hunter2\n"
        "java.naming.provider.url=tcp://h?passwd=hunter2\n"
        "java.naming.security.credentials=hunter2\n"
    )
    made = InitialContext(path=path)
    shown = [repr(made), repr(made._entries), repr(made._bindings)]
    for error in made.check():
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown += [str(error), repr(error), repr(vars(error)), "".join(report.format())]
    assert len(shown) > 20
    assert "java.naming.security.credentials" in {error.key for error in made.check()}
    with pytest.raises(NamingError, match="password are parameters of the URL"):
        made.lookup("b.password")
    assert not [text for text in shown if "hunter2" in text]


def test_the_newer_form_wins_over_the_older_and_over_the_provider_url() -> None:
    entries = {
        "connectionFactory.ConnectionFactory": "tcp://new",
        "connection.ConnectionFactory": "tcp://old",
        PROVIDER_URL: "tcp://provider",
    }
    assert from_mapping(entries).lookup("ConnectionFactory", Factory).url == "tcp://new"
    del entries["connectionFactory.ConnectionFactory"]
    assert from_mapping(entries).lookup("ConnectionFactory", Factory).url == "tcp://old"


def test_the_provider_url_binds_six_factories_each_of_its_type() -> None:
    made = from_mapping({PROVIDER_URL: "(tcp://a,tcp://b?sniHost=x)?ha=true#tcp://c"})
    assert [name for name in made.list() if not name.startswith("dynamic")] == SIX
    types = {name: made.lookup(name, Factory).settings.factory_type for name in SIX}
    assert types == dict(zip(SIX, ["CF", "QUEUE_CF", "TOPIC_CF", "XA_CF", "QUEUE_XA_CF", "TOPIC_XA_CF"], strict=True))
    assert all(made.lookup(name, Factory).settings.ha for name in SIX)
    assert [name for name in SIX if isinstance(made.lookup(name), XAFactory)] == [name for name in SIX if "XA" in name]


def test_a_provider_url_with_a_type_binds_that_one_only() -> None:
    made = from_mapping({PROVIDER_URL: "tcp://a?type=QUEUE_CF"})
    assert "ConnectionFactory" not in made.list()
    assert made.lookup("QueueConnectionFactory", Factory).settings.factory_type == "QUEUE_CF"


def test_destinations_and_dynamic_destinations() -> None:
    made = from_mapping({"queue.a/b": "addr::q?consumer-priority=5", "topic.t": "T"})
    assert made.lookup("a/b") == Queue("addr::q")
    assert made.lookup("a/b", Queue).consumer_priority == 5
    assert made.lookup("t") == Topic("T")
    assert made.lookup("dynamicQueues/x/y:z") == Queue("x/y:z")
    assert made.lookup("dynamicTopics/x") == Topic("x")
    assert made.lookup("dynamicTopics", Context).lookup("x") == Topic("x")


def test_nested_names_are_contexts() -> None:
    made = from_mapping({"queue.a/b": "B", "queue.a/c/d": "D", "queue.e": "E"})
    assert made.list() == ("a", "dynamicQueues", "dynamicTopics", "e")
    assert made.list("a") == ("b", "c")
    assert made.list("dynamicQueues") == ()
    below = made.lookup("a", Context)
    assert below.lookup("c/d") == Queue("D")
    assert below.list("c") == ("d",)
    assert below.lookup("c", Context).list() == ("d",)
    assert isinstance(below.lookup(""), Context)
    assert made.lookup("") is made
    with pytest.raises(NamingError, match="is no context"):
        made.list("e")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("nothing", "not bound; bound are a"),
        ("a/nothing", "not bound"),
        ("java:comp/env", "scheme java is not known"),
        ("dynamicQueues/::", "address::queue"),
    ],
)
def test_a_name_that_is_not_there_is_an_error(name: str, rule: str) -> None:
    with pytest.raises(NamingError) as caught:
        from_mapping({"queue.a": "A"}).lookup(name)
    assert rule in caught.value.rule


def test_a_name_of_another_kind_is_an_error_when_a_kind_was_asked_for() -> None:
    with pytest.raises(NamingError, match="is a Queue, not a Topic"):
        from_mapping({"queue.a": "A"}).lookup("a", Topic)


@pytest.mark.parametrize("entries", [{}, {INITIAL: "com.example.Other"}])
def test_another_context_factory_or_none_is_an_error_that_names_the_right_one(entries: dict[str, str]) -> None:
    with pytest.raises(NamingError) as caught:
        InitialContext(entries)
    assert INITIAL in str(caught.value)
    assert CONTEXT_FACTORY in str(caught.value)
    assert entries.get(INITIAL, "") in str(caught.value)


def test_a_bad_factory_is_an_error_at_its_own_look_up_only(tmp_path: Path) -> None:
    path = tmp_path / "p.properties"
    path.write_text(
        f"{INITIAL}={CONTEXT_FACTORY}\n"
        "connectionFactory.good=tcp://h\n"
        "# bad ones\n"
        "connectionFactory.bad=tcp://h?retryInterval=x&password=hunter2\n"
        "connectionFactory.worse=localhost:61616?password=hunter2\n"
        "queue.q=\n"
        "Queue.r=R\n"
        "queue.=S\n"
        "some.thing=else\n"
    )
    made = InitialContext(path=path)
    assert made.lookup("good", Factory).url == "tcp://h"
    for _ in range(2):
        with pytest.raises(NamingError) as caught:
            made.lookup("bad")
    text = str(caught.value)
    assert "connectionFactory.bad" in text
    assert "retryInterval='x'" in text
    assert "p.properties, line 4" in text
    assert isinstance(caught.value.__cause__, ConfigError)
    wrong = made.check()
    assert {error.key for error in wrong} == {
        "connectionFactory.bad",
        "connectionFactory.worse",
        "queue.q",
        "Queue.r",
        "queue.",
    }
    assert "hunter2" not in "".join(map(str, wrong)) + repr(made)


def test_two_things_of_one_name_are_reported_but_not_the_two_forms_of_a_factory() -> None:
    made = from_mapping({"queue.a": "A", "topic.a": "A", "connection.f": "tcp://h", "connectionFactory.f": "tcp://h"})
    (wrong,) = made.check()
    assert wrong.key == "topic.a"
    assert "has the name of queue.a" in wrong.rule


def test_a_provider_url_that_is_no_url_is_an_error_at_look_up() -> None:
    made = from_mapping({PROVIDER_URL: "localhost:61616", "queue.q": "Q"})
    assert made.lookup("q") == Queue("Q")
    with pytest.raises(NamingError, match="needs its scheme"):
        made.lookup("XAConnectionFactory")


def test_a_context_is_read_only_and_closing_it_does_nothing() -> None:
    made = from_mapping({"queue.a": "A"})
    with pytest.raises(NamingError, match="read-only"):
        made.bind("x", object())
    made.close()
    assert made.lookup("a") == Queue("A")


def test_a_mapping_holds_texts_only() -> None:
    with pytest.raises(NamingError, match="must be text, not int"):
        InitialContext({INITIAL: CONTEXT_FACTORY, "queue.a": 5})  # type: ignore[dict-item]
