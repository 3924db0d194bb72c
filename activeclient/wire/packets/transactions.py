"""Packets of local and distributed transactions, on session channels.

Law of this file: every XA request is answered by `XAResponse`, errors of XA included (an `ExceptionResponse` means that
the session is not an XA one, or the request never reached the transaction); none carries a correlation id.
Source: SessionXA*Message and SessionCommitMessage_V2.
"""

from __future__ import annotations

from activeclient.wire.fields import I32, Bool, NullableString, OptionalI64, XidField, XidList
from activeclient.wire.packet import Packet, packet, wire
from activeclient.wire.packets.connection import NULL
from activeclient.wire.versions import V2_7, V2_21


@packet(43, reply=NULL)
class Commit(Packet):
    """Commit the local transaction. Without a correlation id the answer carries -1."""

    correlation_id: OptionalI64 = wire(default=None, since=V2_21, optional=True)


@packet(44, reply=NULL)
class Rollback(Packet):
    """Roll the local transaction back. With the flag, the oldest unacknowledged delivery counts as delivered."""

    consider_last_message_as_delivered: Bool = False


@packet(39)
class XAFailed(Packet):
    """The transaction failed on the client's side; not answered."""

    xid: XidField


@packet(55, sent_by="server")
class XAResponse(Packet):
    """The outcome of an XA request: an XA code, and whether it is an error."""

    error: Bool
    response_code: I32
    message: NullableString = None
    correlation_id: OptionalI64 = wire(default=None, since=V2_7, optional=True)


@packet(51, reply=(XAResponse,))
class XAStart(Packet):
    """Begin a branch."""

    xid: XidField


@packet(52, reply=(XAResponse,))
class XAEnd(Packet):
    """The work of a branch is done."""

    xid: XidField
    failed: Bool = False


@packet(53, reply=(XAResponse,))
class XACommit(Packet):
    """Commit a branch; `one_phase` without having prepared it."""

    xid: XidField
    one_phase: Bool = False


@packet(54, reply=(XAResponse,))
class XAPrepare(Packet):
    """Prepare a branch. Response code 0: prepared, 3: it only read and is over."""

    xid: XidField


@packet(56, reply=(XAResponse,))
class XARollback(Packet):
    """Roll a branch back."""

    xid: XidField


@packet(57, reply=(XAResponse,))
class XAJoin(Packet):
    """Work for a branch that another session began."""

    xid: XidField


@packet(58, reply=(XAResponse,))
class XASuspend(Packet):
    """Let the current branch rest."""


@packet(59, reply=(XAResponse,))
class XAResume(Packet):
    """Go on with a branch that rests."""

    xid: XidField


@packet(60, reply=(XAResponse,))
class XAForget(Packet):
    """Forget a branch that was completed heuristically."""

    xid: XidField


@packet(62, sent_by="server")
class XAIndoubtXidsResponse(Packet):
    """The branches that are prepared and undecided."""

    xids: XidList = ()


@packet(61, reply=(XAIndoubtXidsResponse,))
class XAIndoubtXids(Packet):
    """Which branches are prepared and undecided?"""


@packet(64, sent_by="server")
class XASetTimeoutResponse(Packet):
    """Was the timeout taken?"""

    ok: Bool


@packet(63, reply=(XASetTimeoutResponse,))
class XASetTimeout(Packet):
    """Seconds after which the server gives a branch up."""

    timeout_seconds: I32


@packet(66, sent_by="server")
class XAGetTimeoutResponse(Packet):
    """The answer to `XAGetTimeout`."""

    timeout_seconds: I32


@packet(65, reply=(XAGetTimeoutResponse,))
class XAGetTimeout(Packet):
    """After how many seconds does the server give a branch up?"""
