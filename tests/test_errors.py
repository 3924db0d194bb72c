"""The tree of exceptions, and what the server's codes become."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import activeclient
from activeclient import errors as module
from activeclient.client.listeners import ConnectionFailure
from activeclient.errors import (
    MAX_SERVER_TEXT,
    SERVER_ERROR_NAMES,
    SERVER_ERRORS,
    ActiveClientError,
    CallTimeout,
    ConfigError,
    JMSError,
    NamingError,
    OutageTimeout,
    Outcome,
    OutcomeUnknown,
    RemoteProtocolError,
    TransactionOutcomeUnknownError,
    UnreadableMessageError,
    XAError,
    from_server,
)

CLASSES = {
    name: each
    for name, each in inspect.getmembers(module, inspect.isclass)
    if issubclass(each, ActiveClientError) and each.__module__ == module.__name__
}
EXAMPLES = [
    ActiveClientError("text", code=3, outcome=Outcome.DONE),
    JMSError("text", code=999),
    XAError("text", xa_code=-7, code=1),
    RemoteProtocolError("text", offset=5, kind=75, data=b"\x01\x02"),
    UnreadableMessageError("text"),
    OutcomeUnknown("text", duplicate_id=b"d", code=210),
    ConfigError("key", "value", "rule"),
    NamingError("key", None, "rule"),
]


def drawn():
    """(name, parent) of each class of the tree in the docstring."""
    found, path = {}, {0: "ActiveClientError"}
    found["ActiveClientError"] = None
    for line in module.__doc__.splitlines():
        match = re.match(r"^    ([│ ]*)[├└]── (\w+)", line)
        if match:
            depth = len(match[1]) // 4 + 1
            path[depth] = match[2]
            found[match[2]] = path[depth - 1]
    return found


def test_the_tree_in_the_docstring_is_the_tree_of_classes():
    assert drawn() == {
        name: None if each is ActiveClientError else each.__bases__[0].__name__ for name, each in CLASSES.items()
    }


def test_the_other_parents_that_the_docstring_names_are_there():
    assert issubclass(CallTimeout, TimeoutError)
    assert issubclass(OutageTimeout, TimeoutError)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(UnreadableMessageError, module.MessageFormatError)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_exception_is_public(name):
    assert name in activeclient.__all__
    assert getattr(activeclient, name) is CLASSES[name]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_all_but_the_root_wrong_settings_and_the_broker_s_disk_are_jms_errors(name):
    beside = {"ActiveClientError", "ConfigError", "NamingError", "StoreError", "UnknownSettingError"}
    assert issubclass(CLASSES[name], JMSError) is (name not in beside)


def test_what_exception_listeners_get_is_a_jms_error():
    assert issubclass(ConnectionFailure, JMSError)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_says_what_it_is(name):
    assert inspect.getdoc(CLASSES[name])
    assert CLASSES[name].__doc__ is not None


def test_what_may_have_taken_effect_says_so():
    unknown = {name for name, each in CLASSES.items() if each.outcome is Outcome.UNKNOWN}
    assert unknown == {"CallTimeout", "OutcomeUnknown", "TransactionOutcomeUnknownError"}
    assert TransactionOutcomeUnknownError.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("code", sorted(SERVER_ERROR_NAMES))
def test_a_code_becomes_its_class_with_name_and_number(code):
    error = from_server(code, "why")
    assert type(error) is SERVER_ERRORS.get(code, JMSError)
    assert error.code == code
    assert str(error) == f"why ({SERVER_ERROR_NAMES[code]}, {code})"


def test_every_code_with_a_class_has_a_name():
    assert set(SERVER_ERRORS) <= set(SERVER_ERROR_NAMES)


def test_an_unknown_code_is_kept():
    error = from_server(4711, None)
    assert type(error) is JMSError
    assert error.code == 4711
    assert str(error) == "no text (unknown code, 4711)"


@given(st.one_of(st.none(), st.text(max_size=100)), st.integers(-(2**31), 2**31 - 1))
def test_no_text_of_a_server_forges_a_line(text, code):
    assert str(from_server(code, text)).isprintable()


def test_a_long_text_is_cut():
    assert len(str(from_server(0, "x" * 10**6))) < MAX_SERVER_TEXT + 100
    assert len(str(from_server(0, "\n" * 10**6))) < MAX_SERVER_TEXT + 100
    assert "1000000 characters" in str(from_server(0, "x" * 10**6))


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_again_is_another_object_with_the_same_content(error):
    twin = error.again()
    assert twin is not error
    assert type(twin) is type(error)
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))
    assert twin.__cause__ is error
    assert (twin.code, twin.outcome, twin.retriable) == (error.code, error.outcome, error.retriable)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("way", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_an_error_survives_copies_and_pickles(error, way):
    twin = way(error)
    assert type(twin) is type(error)
    assert (twin.args, vars(twin)) == (error.args, vars(error))


def test_a_protocol_error_shows_where_and_what_but_not_all():
    text = str(RemoteProtocolError("bad", offset=5, kind=75, data=bytes(100)))
    assert text.startswith("bad at byte 5 of packet type 75 [00 00")
    assert text.endswith("...]")
    assert len(text) < 200


def test_a_config_error_names_key_value_and_rule():
    assert str(ConfigError("port", 0, "1 to 65535")) == "port=0: 1 to 65535"
    assert str(ConfigError("port", None, "is needed")) == "port: is needed"
