"""The worker that `test_app.py` kills: every tenth number fails for good, all others are sent on.

python -m activeclient run integration.chaos.app_worker:transacted --url tcp://...
"""

from __future__ import annotations

import time

from activeclient import App, Delivery

WORK = 0.005
"""Seconds that a number takes: so kills meet handlers that are at work."""
RETRIES = 1


def application(*, transacted: bool) -> App:
    """An application with one listener."""
    app = App("tcp://127.0.0.1:1", wait=60.0)

    @app.listener("kills.in", concurrency=4, retries=RETRIES, backoff=0.05, transacted=transacted)
    def handle(number: int, delivery: Delivery) -> None:
        delivery.send("kills.out", number)
        time.sleep(WORK)
        if number % 10 == 0:
            raise ValueError(f"{number} fails")

    return app


transacted = application(transacted=True)
plain = application(transacted=False)
