"""How large a frame the broker takes: Artemis 2.57 closes a connection, without an answer, behind a larger one.

Law of this file: the limits hold for a broker that shows that it has them, by the placeholder that it sends as its
topology before a login; a broker that does not show it is taken to have none. What does not fit is refused before
anything of it is sent.

Source: CoreProtocolManager and ActiveMQFrameDecoder2 of Artemis 2.57 (`coreInitialMaxFrameSize`, `coreMaxFrameSize`).
A broker does not tell its configuration: one whose limits were raised is treated as having the defaults.
"""

from __future__ import annotations

from activeclient.engine.topology import PLACEHOLDER
from activeclient.errors import NotSent
from activeclient.events import Endpoint
from activeclient.wire.packets import ClusterTopology

LOGIN_LIMIT = 4_096
"""Bytes of a frame before the login, its four bytes of length included: the default of `coreInitialMaxFrameSize`."""
FRAME_LIMIT = 131_072
"""The same for each frame after it: the default of `coreMaxFrameSize`."""
UNLIMITED = 1 << 31
"""No frame is longer: its length is a signed number of four bytes."""
PIECE_ROOM = 1_024
"""Bytes of a frame that are kept free around a piece of a large body; its fields take less than 64."""


class FrameLimits:
    """The limits of the broker that one connection is connected to."""

    __slots__ = ("_endpoint", "_logged_in", "_login_size", "_shown", "frame")

    def __init__(self) -> None:
        self.frame: int = UNLIMITED
        """Bytes of the largest frame that the broker takes after the login."""
        self._endpoint: Endpoint | None = None
        """The broker that has shown its limits."""
        self._shown = False
        """True if it did so on the present link."""
        self._logged_in = False
        self._login_size = 0
        """Bytes of the largest login on the present link that is not answered."""

    @property
    def known(self) -> bool:
        """True if the broker has shown that it has limits."""
        return self.frame < UNLIMITED

    def connected(self, endpoint: Endpoint | None) -> None:
        """A new link begins; another broker has to show its limits anew."""
        if endpoint != self._endpoint:
            self.frame = UNLIMITED
        self._shown = self._logged_in = False
        self._login_size = 0

    def told(self, packet: ClusterTopology, endpoint: Endpoint | None) -> None:
        """The broker told of its cluster: of a placeholder first if it has the limits, else of itself."""
        if packet.backup is not None and packet.backup.name == PLACEHOLDER:
            self._shown = True
            self._endpoint = endpoint
            self.frame = FRAME_LIMIT
        elif not self._shown:
            self.frame = UNLIMITED

    def logged_in(self) -> None:
        """The broker accepted a login on the present link."""
        self._logged_in = True

    def check_login(self, size: int) -> None:
        """Refuse a login of `size` bytes that the broker would answer by closing the connection.

        Raises:
            NotSent: It is too large; the text names the limit.
        """
        if self._logged_in:
            return
        if self.known and size > LOGIN_LIMIT:
            raise NotSent(_login_text(size))
        self._login_size = max(self._login_size, size)

    def login_hint(self) -> str:
        """Return what may be the reason of a link's end before the login was answered; empty if it was no login."""
        if self._logged_in or self._login_size <= LOGIN_LIMIT:
            return ""
        return _login_text(self._login_size)

    def check(self, what: str, size: int) -> None:
        """Refuse a frame of `size` bytes that the broker would answer by closing the connection.

        Args:
            what: What the frame carries, for the text.

        Raises:
            NotSent: It is too large; the text names the limit.
        """
        if size > self.frame:
            raise NotSent(self.refusal(what, size))

    def refusal(self, what: str, size: int) -> str:
        """Return the text of an error for a frame that is too large."""
        return f"{what} takes {size} bytes in one frame; this broker takes {self.frame} (coreMaxFrameSize)"

    def piece(self, size: int) -> int:
        """Return how many bytes of a large body go into one frame, where the settings say `size`."""
        return size if size <= self.frame - PIECE_ROOM else self.frame - PIECE_ROOM


def _login_text(size: int) -> str:
    return (
        f"the login takes {size} bytes in one frame; Artemis 2.57 takes {LOGIN_LIMIT} before a login"
        " (coreInitialMaxFrameSize)"
    )
