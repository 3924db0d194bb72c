"""What a decorator accepts: what is wrong is said there, not at the first message."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from activeclient import App, Delivery, Message, TextMessage, Topic
from activeclient.errors import ConfigError, InvalidDestinationError, InvalidSelectorError


@pytest.fixture
def app() -> App:
    return App("vm://0")


def test_a_function_stays_what_it_is(app: App) -> None:
    @app.listener("orders")
    def handle(order: dict[str, int]) -> str:
        return f"handled {order['number']}"

    assert handle({"number": 1}) == "handled 1"
    (listener,) = app.listeners
    assert (listener.name, str(listener.dead_letter)) == ("handle", "queue://orders.failed")


def test_bodies_are_typed_by_the_annotation_or_by_the_decorator(app: App) -> None:
    @app.listener("a")
    def plain(body: str) -> None: ...

    @app.listener("a", body=bytes)
    def told(body):  # type: ignore[no-untyped-def]  # as users write it
        ...

    @app.listener("a")
    def with_delivery(body: dict, delivery: Delivery) -> None: ...  # type: ignore[type-arg]

    @app.listener("a")
    def message(body: TextMessage, delivery: Delivery | None = None) -> None: ...

    app.listener("a", body=str)(print)
    app.listener("a", body=str)(functools.partial(int, base=2))
    kinds = [(each.kind, each.takes_delivery) for each in app.listeners]
    assert kinds[:4] == [(str, False), (bytes, False), (dict, True), (TextMessage, True)]


def test_methods_and_callable_objects_are_handlers(app: App) -> None:
    class Shop:
        def handle(self, body: str) -> None: ...

        def __call__(self, body: str, delivery: Delivery) -> None: ...

    app.listener("a")(Shop().handle)
    app.listener("a")(Shop())
    assert [each.takes_delivery for each in app.listeners] == [False, True]


def test_coroutine_functions_are_refused_with_what_to_do_instead(app: App) -> None:
    async def handle(body: str) -> None: ...

    class Shop:
        async def __call__(self, body: str) -> None: ...

    for function in (handle, functools.partial(handle), Shop()):
        with pytest.raises(TypeError, match=r"there is no asyncio API yet\. Write a plain function"):
            app.listener("a")(function)
    assert not app.listeners


def test_functions_that_take_something_else_are_refused(app: App) -> None:
    def nothing() -> None: ...

    def many(a: str, b: str, c: str) -> None: ...

    def keyword(a: str, *, b: str) -> None: ...

    def generator(a: str) -> Any:
        yield a

    for function in (nothing, many, keyword, generator):
        with pytest.raises(TypeError):
            app.listener("a")(function)
    with pytest.raises(TypeError, match="callable"):
        app.listener("a")(3)  # type: ignore[type-var]


def test_a_handler_says_what_its_bodies_are(app: App) -> None:
    def untyped(body):  # type: ignore[no-untyped-def]
        ...

    def only_delivery(delivery: Delivery) -> None: ...

    def undefined(body: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for function in (untyped, only_delivery, undefined):
        with pytest.raises(ConfigError, match="body"):
            app.listener("a")(function)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": 1000},
        {"retries": -1},
        {"retries": True},
        {"backoff": -1},
        {"window_size": "x"},
        {"transacted": 1},
        {"subscription": "a queue has none"},
        {"dead_letter": "orders"},
        {"body": 3},
    ],
    ids=str,
)
def test_wrong_options_are_refused_at_the_decorator(app: App, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        app.listener("orders", **options)(lambda body: None)


def test_destinations_and_selectors_are_checked(app: App) -> None:
    with pytest.raises(InvalidDestinationError):
        app.listener("")
    with pytest.raises(InvalidDestinationError):
        app.listener(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidSelectorError):
        app.listener("orders", selector="a =")
    with pytest.raises(ConfigError, match="name the subscription"):
        app.listener(Topic("prices"))
    app.listener("topic://prices", subscription="all", body=Message)(print)


def test_two_handlers_of_one_name_have_two(app: App) -> None:
    for _ in range(2):

        @app.listener("a")
        def handle(body: str) -> None: ...

    assert [each.name for each in app.listeners] == ["handle", "handle-2"]
