"""Answers of the connection, and errors as packets.

Law of this file: a failure's number is that of Artemis
(ActiveMQExceptionType), and its text names no secret. Source: ActiveMQPacketHandler, ServerSessionPacketHandler.
"""

from __future__ import annotations

from typing import Final

from activeclient.errors import SERVER_ERRORS, ActiveClientError, ConfigError
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p

_MOST_TEXT: Final = 2000
_CODES: Final[dict[type[ActiveClientError], int]] = {}
for _code, _class in SERVER_ERRORS.items():
    _CODES.setdefault(_class, _code)
_CODES[ConfigError] = ServerCode.INVALID_QUEUE_CONFIGURATION


def code_of(error: ActiveClientError) -> int:
    """The number of an error."""
    return error.code if error.code is not None else _CODES.get(type(error), ServerCode.INTERNAL_ERROR)


def error_packet(error: ActiveClientError, correlation_id: int | None = None) -> p.ExceptionResponse:
    """The packet that tells a client of an error."""
    return p.ExceptionResponse(code_of(error), str(error)[:_MOST_TEXT], correlation_id)


def topology(node_id: str, version: int) -> p.ClusterTopology:
    """This node alone, without connectors, which means the node that one is connected to.

    Args:
        version: The newest protocol version that it speaks.
    """
    return p.ClusterTopology(False, node_id, 1, None, None, True, server_version=version)
