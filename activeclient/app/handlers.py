"""Which function handles the messages of which destination, and how: checked when it is registered.

Law of this file: what is wrong with a listener is an error at its decorator, never at its first message.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from activeclient import arguments
from activeclient.app.delivery import Delivery
from activeclient.app.retries import RetryPolicy
from activeclient.destination import Destination, Topic
from activeclient.errors import ConfigError
from activeclient.jms.bodies import check_kind
from activeclient.jms.serializers import Serializers

MAX_CONCURRENCY = 256
"""Threads of one listener."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class _Unset:
    """No body type was given: the handler's annotation says it."""

    def __repr__(self) -> str:
        return "<the annotation of the handler>"


UNSET: Any = _Unset()


@dataclass(frozen=True, slots=True)
class Listener:
    """A handler and its settings."""

    function: Callable[..., object]
    name: str
    destination: Destination
    kind: Any
    """What bodies are read as."""
    takes_delivery: bool
    """Does the function take the delivery as a second argument?"""
    concurrency: int
    policy: RetryPolicy
    dead_letter: Destination
    transacted: bool
    selector: str | None
    subscription: str | None
    window_size: int

    def call(self, delivery: Delivery) -> object:
        """Call the function with the body.

        Raises:
            MessageFormatError: The body cannot be read.
            TypeError: The function returned a coroutine.
        """
        body = delivery.body
        result = self.function(body, delivery) if self.takes_delivery else self.function(body)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError(f"{self.name} returned a coroutine, and handlers are plain functions so far")
        return result

    @property
    def threads(self) -> list[str]:
        """The names of its threads."""
        return [f"activeclient-{self.name}-{number}" for number in range(1, self.concurrency + 1)]


def check_function(function: object) -> str:
    """The name of a handler, if it can be one.

    Raises:
        TypeError: It cannot be called, or is a coroutine function.
    """
    arguments.call("a handler", function, optional=False)
    name = getattr(function, "__name__", type(function).__name__)
    called = getattr(function, "__call__", None)  # noqa: B004 - of an object with async __call__
    for each in (function, called):
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise TypeError(
                f"{name} is a coroutine function: there is no asyncio API yet. Write a plain function, which may call"
                " asyncio.run, and set concurrency for as many at a time"
            )
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"{name} is a generator function: nobody would iterate over what it returns")
    return str(name)


def signature_of(function: Callable[..., object], name: str, body: Any, serializers: Serializers) -> tuple[Any, bool]:
    """What a handler's body is read as, and whether the handler takes the delivery too.

    Args:
        body: The type as the decorator gives it; UNSET: the annotation of the first parameter.

    Raises:
        TypeError: The function does not take a body, or a body and a delivery.
        ConfigError: No body is of this type.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # of some builtins
        parameters = [inspect.Parameter("body", inspect.Parameter.POSITIONAL_ONLY)]
    given = [each for each in parameters if each.kind in _POSITIONAL]
    variable = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
    required = [each for each in given if each.default is inspect.Parameter.empty]
    missing = [
        each.name
        for each in parameters
        if each.kind is inspect.Parameter.KEYWORD_ONLY and each.default is inspect.Parameter.empty
    ]
    if not (given or variable) or len(required) > 2 or missing:
        raise TypeError(f"{name} must take a body, or a body and a delivery: {name}(order) or {name}(order, delivery)")
    hints = _hints(function, name)
    takes_delivery = len(required) == 2 or (len(given) > 1 and Delivery in _members(hints.get(given[1].name)))
    if body is UNSET:
        body = hints.get(given[0].name, UNSET) if given else UNSET
        if body is UNSET:
            raise ConfigError(
                "body", None, f"say what the bodies are: {name}(order: Order), or body=Order, dict, str, bytes, ..."
            )
        if body is Delivery:
            raise ConfigError("body", None, f"the first parameter of {name} is the body, the second the delivery")
    check_kind("body", body, serializers)
    return body, takes_delivery


def _members(hint: Any) -> tuple[Any, ...]:
    """A type, or the members of a union."""
    return typing.get_args(hint) or (hint,)


def _hints(function: Callable[..., object], name: str) -> dict[str, Any]:
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    target = getattr(function, "func", target)  # of functools.partial
    try:
        return typing.get_type_hints(inspect.unwrap(target))
    except (NameError, TypeError) as error:
        if isinstance(error, TypeError):
            return {}
        raise ConfigError("body", None, f"the annotations of {name} cannot be read: {error}") from None


def check_destination(destination: Destination, subscription: str | None) -> None:
    """Refuse what several threads cannot consume from.

    Raises:
        ConfigError: A topic without a subscription, or a subscription of a queue.
    """
    if isinstance(destination, Topic) and destination.queue_name is None:
        if subscription is None:
            raise ConfigError(
                "subscription", None, f"{destination} is a topic: name the subscription that keeps its messages"
            )
    elif subscription is not None:
        raise ConfigError("subscription", None, f"{destination} is no topic")
