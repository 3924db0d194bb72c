"""Captured frames of Artemis 2.44.0 and its Java client, with what they say.

Law of this file: expected values come from the captures' own descriptions, never from the code under test.
Each is (packet name of Artemis, protocol version, frame, fields); property values are [type, value], bytes are hex.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple


class Vector(NamedTuple):
    name: str
    version: int
    frame: bytes
    fields: dict[str, Any]


def load() -> list[Vector]:
    raw = json.loads(gzip.decompress((Path(__file__).parent / "vectors.json.gz").read_bytes()))
    return [Vector(name, version, bytes.fromhex(frame), fields) for name, version, frame, fields in raw]


VECTORS = load()
