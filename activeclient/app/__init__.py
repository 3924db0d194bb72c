"""Workers: functions that handle messages, with typed bodies, retries, dead letters and an orderly end.

Law of this package: it stands on `jms` and knows nothing of the protocol. A message is settled in exactly one place,
`worker.py`; what becomes of a failure is decided in exactly one, `retries.py`, which does no I/O.
"""

from __future__ import annotations

from activeclient.app.application import App
from activeclient.app.delivery import Delivery, Sending
from activeclient.app.retries import Reject, exponential

__all__ = ["App", "Delivery", "Reject", "Sending", "exponential"]
