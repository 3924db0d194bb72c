"""Events are values."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from activeclient import events as module
from activeclient.events import Endpoint, Event

CLASSES = [
    each for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, Event) and each is not Event
]


@pytest.mark.parametrize("kind", [*CLASSES, Endpoint], ids=lambda each: each.__name__)
def test_an_event_is_frozen_slotted_and_explained(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
    assert inspect.getdoc(kind)
    assert not kind.__doc__.startswith(kind.__name__ + "(")  # what dataclass writes where nobody did


def test_an_event_cannot_be_changed_and_has_no_room_for_more():
    event = module.AddressBlocked(1, "a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.address = "b"
    assert not hasattr(event, "__dict__")
    assert event == module.AddressBlocked(1, "a")
    assert hash(event) == hash(module.AddressBlocked(1, "a"))


@pytest.mark.parametrize(
    ("host", "text"), [("h", "h:5"), ("10.0.0.1", "10.0.0.1:5"), ("::1", "[::1]:5")], ids=lambda value: value
)
def test_an_endpoint_reads_as_one_writes_it(host, text):
    assert str(Endpoint(host=host, port=5)) == text


def test_the_parameters_of_an_endpoint_are_not_shown():
    endpoint = Endpoint(host="h", port=5, parameters=(("keyStorePassword", "s3cret"),))
    assert "s3cret" not in repr(endpoint) + str(endpoint)
    assert endpoint != Endpoint(host="h", port=5)
