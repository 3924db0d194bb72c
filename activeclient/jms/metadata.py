"""What a connection says of itself (jakarta.jms.ConnectionMetaData).

Law of this file: constants of this release; nothing here asks the broker.
"""

from __future__ import annotations

from dataclasses import dataclass

from activeclient.jms.properties import JMSX_NAMES
from activeclient.masking import always_shown
from activeclient.version import __version__


@always_shown
@dataclass(frozen=True, slots=True)
class ConnectionMetaData:
    """The API and its provider."""

    jms_version: str = "3.1"
    jms_major_version: int = 3
    jms_minor_version: int = 1
    jms_provider_name: str = "activeclient"
    provider_version: str = __version__
    jmsx_property_names: tuple[str, ...] = JMSX_NAMES
