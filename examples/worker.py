"""A worker: orders become invoices, each exactly once.

    activeclient run examples.worker:app
    activeclient send orders '{"article": "apples", "count": 3}'

Stop it with Ctrl-C: the order that it works on is finished first. Dataclasses need `pip install 'activeclient[typed]'`.
"""

from __future__ import annotations

from dataclasses import dataclass

from activeclient import App, Delivery, Reject

PRICES = {"apples": 2, "pears": 3}

app = App()
"""On the broker that ACTIVECLIENT_URL names, or tcp://localhost:61616."""


@dataclass
class Order:
    article: str
    count: int


@dataclass
class Invoice:
    article: str
    total: int


@app.listener("orders", concurrency=4, retries=3, dead_letter="orders.failed")
def invoice(order: Order, delivery: Delivery) -> None:
    """Send an invoice. It leaves in the transaction that acknowledges the order."""
    if order.article not in PRICES:
        raise Reject(f"no article {order.article}")
    delivery.send("invoices", Invoice(order.article, PRICES[order.article] * order.count))


if __name__ == "__main__":
    app.run()
