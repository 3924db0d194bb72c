"""What is shown instead of a secret, by values, texts, objects and the frames of a traceback."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import pickle
import pkgutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.traceback import Traceback

import activeclient
import jndi_props
from activeclient import (
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    EmbeddedBroker,
    Management,
    ServerLocator,
    Settings,
    connect,
    errors,
    events,
)
from activeclient.broker.configuration import User
from activeclient.cli.broker import read_users
from activeclient.errors import ActiveClientError, ConfigError
from activeclient.masking import Secret, SecretURL, always_shown, concealed, never_raises
from activeclient.urls import parse_url
from jndi_props import InitialContext
from jndi_props.context import CONTEXT_FACTORY, INITIAL

MARK = "tailOfTheSecret"
NOWHERE = "tcp://127.0.0.1:1"
OURS = tuple(str(Path(package.__file__ or "").parent) for package in (activeclient, jndi_props))


def test_a_secret_is_its_text_and_shows_nothing() -> None:
    secret = Secret(MARK)
    assert secret == MARK
    assert hash(secret) == hash(MARK)
    assert secret.encode() == MARK.encode()
    assert str(secret) == f"{secret}" == "".join((secret,)) == MARK
    held = {
        "password": secret,
        "list": [secret],
        "cut": secret[:5],
        "copies": (copy.copy(secret), copy.deepcopy(secret)),
    }
    assert MARK[:5] not in repr(held)
    again = pickle.loads(pickle.dumps(secret))
    assert (again, repr(again)) == (MARK, "'***'")
    assert Secret.of(None) is None
    assert Secret.of(secret) is secret
    assert MARK not in repr(Secret.of(MARK.encode()))
    assert repr(SecretURL(f"tcp://h?user=me&password={MARK}")) == "'tcp://h?user=me&password=***'"


def test_named_values_are_concealed_but_for_those_that_are_public() -> None:
    given = {"user": "me", "password": MARK, "pasword": MARK, "nonsense": MARK, "retry_interval": 5}
    hidden = concealed(given, ("user", "password", "retry_interval"))
    assert hidden == {**given}
    assert MARK not in repr(hidden)
    assert (type(hidden["user"]), hidden["retry_interval"]) == (str, 5)


@pytest.mark.parametrize("field", ["password", "key_store_password", "trust_store_password"])
def test_a_setting_that_is_a_secret_is_one_as_a_value_too(field: str) -> None:
    made = Settings().replace(**{field: MARK})
    assert getattr(made, field) == MARK
    assert MARK not in repr({field: getattr(made, field)})
    assert MARK not in repr(parse_url(f"tcp://h?password={MARK}&trustStorePassword={MARK}").parameters)


# --- frames of a traceback ------------------------------------------------------------------------------------------


class Odd:
    """No text; it shows what it holds."""

    def __repr__(self) -> str:
        return MARK


def _broken_urls() -> Iterator[str]:
    for joint in ("&", ";", "#", "%zz", "+", "@", "=", "?", "/", ")", ",", "&amp;", "?user="):
        yield f"{NOWHERE}?user=me&password=head{joint}{MARK}"
        yield f"{NOWHERE}?pasword=head{joint}{MARK}"
        yield f"tcp://me:head{joint}{MARK}@h:1"
        yield f"me:head{joint}{MARK}@h:1"
        yield f"(tcp://h:1?keyStorePassword=head{joint}{MARK},tcp://i:2)?password=head{joint}{MARK}"
    yield f"{NOWHERE}?password={MARK}&callTimout=1"
    yield f"{NOWHERE}?password={MARK}&callTimeout=x"
    yield f"{NOWHERE}?ha=true?password={MARK}"
    yield f"amqp://me:{MARK}@h"
    yield f"ssl://h?password={MARK}"
    yield f"${{URL}}?password={MARK}"
    yield f"{NOWHERE}?password={MARK}&trustStorePath=x"


URLS = tuple(_broken_urls())
CALLS: dict[str, Callable[[], object]] = {
    "unknown keyword": lambda: ActiveMQConnectionFactory(NOWHERE, password=MARK, nonsense=1),
    "mistyped keyword": lambda: ActiveMQConnectionFactory(NOWHERE, pasword=MARK),
    "a password that is no text": lambda: ActiveMQConnectionFactory(NOWHERE, password=Odd()),
    "a wrong keyword beside it": lambda: ServerLocator(NOWHERE, password=MARK, retry_interval=-5),
    "attribute": lambda: setattr(ServerLocator(NOWHERE), "passwort", MARK),
    "attribute of a factory": lambda: setattr(ActiveMQConnectionFactory(NOWHERE), "password", Odd()),
    "nobody there": lambda: connect(NOWHERE, user="me", password=MARK),
    "nobody there, password of the call": lambda: ActiveMQConnectionFactory(NOWHERE).create_connection("me", MARK),
    "no context": lambda: ActiveMQConnectionFactory(NOWHERE).create_context(user="me", password=MARK),
    "no XA connection": lambda: ActiveMQXAConnectionFactory(NOWHERE).create_xa_connection("me", MARK),
    "no XA context": lambda: ActiveMQXAConnectionFactory(NOWHERE).create_xa_context("me", MARK),
    "settings": lambda: Settings.from_parameters({"password": MARK, "callTimeout": "x"}),
    "changed settings": lambda: Settings().replace(password=MARK, call_timeout=-7),
    "masked password": lambda: Settings(password=f"ENC({MARK})"),
    "broker": lambda: EmbeddedBroker(users={"me": MARK}, folder="x", store=object()),  # type: ignore[arg-type]
    "look-up": lambda: InitialContext(
        {INITIAL: CONTEXT_FACTORY, "connectionFactory.f": f"tcp://h?passwort={MARK}"}
    ).lookup("f"),
    "credentials": lambda: InitialContext({"java.naming.security.credentials": MARK}),
}
for _number, _url in enumerate(URLS):
    CALLS[f"URL {_number}"] = lambda url=_url: connect(url, initial_connect_attempts=1)  # type: ignore[misc]


@pytest.mark.parametrize("what", CALLS)
def test_no_frame_of_ours_shows_a_secret(what: str) -> None:
    with pytest.raises(ActiveClientError) as caught:
        CALLS[what]()
    _check(caught.value)


def _check(error: ActiveClientError) -> None:
    assert MARK not in "".join(traceback.format_exception(error))
    assert MARK not in f"{error} {error!r} {vars(error)}"
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    while report is not None:
        for frame in report.stack:
            if frame.filename.startswith(OURS):
                assert MARK not in str(frame.locals), frame
        following = report.__cause__ or report.__context__
        assert following is not report
        report = following  # type: ignore[assignment]


def test_neither_does_a_report_of_rich(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        connect(f"{NOWHERE}?password={MARK * 20}", key_store_password=MARK * 20, ssl_enabled=False)
    except ActiveClientError as error:
        report = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
    out = io.StringIO()
    Console(file=out, width=200).print(report)
    assert "ActiveMQConnectionFactory" in out.getvalue()
    assert not [line for line in out.getvalue().splitlines() if MARK in line and "MARK" not in line]


def test_a_file_of_users_that_is_wrong_shows_none_of_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"me:{MARK}\n{MARK}\n")
    with pytest.raises(ConfigError) as caught:
        read_users(path)
    _check(caught.value)


def test_a_connection_that_was_refused_shows_no_password_in_its_frames() -> None:
    with EmbeddedBroker(port=0, users={"me": "other"}) as broker:
        with pytest.raises(ActiveClientError) as caught:
            connect(broker.url, user="me", password=MARK)
        _check(caught.value)
        with ServerLocator(broker.url) as locator, locator.create_session_factory() as factory:
            with pytest.raises(ActiveClientError) as caught:
                factory.create_session("me", MARK)
            _check(caught.value)
            with pytest.raises(ActiveClientError) as caught:
                Management(factory, "me", MARK)
            _check(caught.value)


# --- objects that are not complete ----------------------------------------------------------------------------------


def _classes() -> Iterator[type]:
    """Every public class, and all of ours that have a representation of their own."""
    public = [getattr(activeclient, name) for name in activeclient.__all__]
    public += [*vars(events).values(), *vars(errors).values(), *vars(jndi_props).values()]
    for package in (activeclient, jndi_props):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                public += [
                    each
                    for each in vars(importlib.import_module(module.name)).values()
                    if inspect.isclass(each)
                    and inspect.isfunction(vars(each).get("__repr__"))
                    and inspect.unwrap(each.__repr__).__code__.co_filename.startswith(OURS)
                ]
    ours = {
        each for each in public if inspect.isclass(each) and each.__module__.startswith(("activeclient", "jndi_props"))
    }
    yield from sorted(ours, key=lambda each: f"{each.__module__}.{each.__qualname__}")


@pytest.mark.parametrize("kind", tuple(_classes()), ids=lambda kind: kind.__qualname__)
def test_what_is_not_complete_can_be_shown(kind: type) -> None:
    try:
        made = kind.__new__(kind)
    except TypeError:
        return  # it cannot be half-built
    assert isinstance(repr(made), str)


def test_there_are_many_such_classes() -> None:
    assert len(list(_classes())) > 100


def test_a_representation_that_fails_is_replaced_and_one_that_does_not_is_kept() -> None:
    class Thing:
        @never_raises
        def __repr__(self) -> str:
            return f"<{self.name}>"  # type: ignore[attr-defined]

    thing = Thing()
    assert repr(thing) == "<Thing, incomplete>"
    thing.name = "x"  # type: ignore[attr-defined]
    assert repr(thing) == "<x>"
    assert repr(always_shown(type("Other", (), {}))()).startswith("<")


@pytest.mark.parametrize("what", ["unknown keyword", "broker"])
def test_what_a_failed_constructor_leaves_can_be_shown_with_its_frame(what: str) -> None:
    with pytest.raises(ActiveClientError) as caught:
        CALLS[what]()
    report = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "repr() failed" not in report
    assert "incomplete" in report
    assert MARK not in repr(User("me", MARK))
