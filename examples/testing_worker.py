"""How to test a worker: the function by calling it, the whole by sending messages.

Run it with `pytest examples/testing_worker.py`. The fixture `jms_app` comes with activeclient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from activeclient import App, Delivery, Reject
from activeclient.testing import AppUnderTest

# --- the program ------------------------------------------------------------------------------------------------------

app = App()


@dataclass
class Order:
    article: str
    count: int


@app.listener("orders", retries=1)
def invoice(order: Order, delivery: Delivery) -> None:
    if order.count < 0:
        raise Reject("the count is negative")
    delivery.send("invoices", {"article": order.article, "total": 2 * order.count})


# --- its tests --------------------------------------------------------------------------------------------------------


def test_an_order_makes_an_invoice(jms_app: Callable[[App], AppUnderTest]) -> None:
    running = jms_app(app)
    running.send("orders", Order("apples", 3))
    running.wait_until_done()
    assert [message.read(dict) for message in running.messages("invoices")] == [{"article": "apples", "total": 6}]


def test_a_negative_count_is_kept_as_a_dead_letter(jms_app: Callable[[App], AppUnderTest]) -> None:
    running = jms_app(app)
    running.send("orders", Order("apples", -1))
    running.wait_until_done()
    assert running.dead_letters("invoice")[0].properties["activeclient_error"] == "the count is negative"
