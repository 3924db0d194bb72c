"""Bytes to values and back: frames, fields, packets and messages of the CORE protocol; nothing else.

Law of this package: no I/O, no clock, no state but what the bytes say. Whoever imports any part of it has every packet
registered.
"""

from __future__ import annotations

from activeclient.wire import packets

__all__ = ["packets"]
