"""The branches of distributed transactions that a session works in (XAResource).

Law of this file: a branch whose session was lost with work in it is never committed: the broker is told that it failed
before anything else is done in it; an answer that was lost is asked for again only where a second time tells the truth.
"""

from __future__ import annotations

from typing import TypeVar

from activeclient.arguments import instance, whole
from activeclient.client.calls import Calls
from activeclient.drivers.threads import Pump
from activeclient.engine.session import Session
from activeclient.errors import (
    CallTimeout,
    ConnectionLost,
    ForkedError,
    JMSError,
    OutageTimeout,
    Outcome,
    OutcomeUnknown,
    ProtocolError,
    RemoteProtocolError,
    XAError,
)
from activeclient.wire.fields import Xid
from activeclient.wire.packet import Packet
from activeclient.wire.packets import (
    SessionStart,
    SessionStop,
    XACommit,
    XAEnd,
    XAFailed,
    XAForget,
    XAGetTimeout,
    XAGetTimeoutResponse,
    XAIndoubtXids,
    XAIndoubtXidsResponse,
    XAJoin,
    XAPrepare,
    XAResponse,
    XAResume,
    XARollback,
    XASetTimeout,
    XASetTimeoutResponse,
    XAStart,
    XASuspend,
)

XAER_RMERR, XAER_NOTA, XAER_RMFAIL = -3, -4, -7
NO_ANSWER = (ConnectionLost, CallTimeout, OutageTimeout, ForkedError, ProtocolError)
"""What is told as it is: the server has not refused anything."""


P = TypeVar("P", bound=Packet)


class XAResource:
    """The XA verbs of a `ClientSession`, which is one, as in Artemis."""

    engine: Session
    pump: Pump
    calls: Calls

    def request(self, packet: Packet, *, correlated: bool = False) -> Packet | None:
        """Send a packet that is answered and wait for the answer; None for NULL_RESPONSE."""
        raise NotImplementedError

    def _ask(self, packet: Packet, kind: type[P]) -> P:
        """Send a packet that is answered by one of `kind`, and return that.

        Raises:
            RemoteProtocolError: The broker says that it is done, and does not answer.
            JMSError, CallTimeout, OutageTimeout: As `request`.
        """
        answer = self.request(packet)
        if not isinstance(answer, kind):
            raise RemoteProtocolError(f"{type(packet).__name__} was answered without a {kind.__name__}")
        return answer

    def _flush_acknowledgements(self) -> None:
        for consumer in self.engine.consumers.values():
            consumer.flush_acknowledgements()

    def _xa(self, packet: Packet) -> int:
        with self.pump.lock, self.pump.motion:
            return self._xa_locked(packet)

    def _xa_locked(self, packet: Packet) -> int:
        engine = self.engine
        engine.check_open()
        self._flush_acknowledgements()
        request = engine.submit(engine.request_of(packet))
        try:
            self.calls.outcome(request)
        except (XAError, *NO_ANSWER):
            raise
        except OutcomeUnknown as error:
            raise _lost(str(error)) from error
        except JMSError as error:
            # The server has two ways to refuse: a branch that is marked rollback-only comes back as a plain error.
            raise XAError(str(error), xa_code=XAER_RMERR, code=error.code) from error
        answer = request.result
        if not isinstance(answer, XAResponse):
            raise _lost("the branch's outcome was lost with the connection")
        if answer.error:
            repeated = isinstance(packet, XACommit) and not packet.one_phase and request.recreated
            if repeated and answer.response_code == XAER_NOTA:
                return 0  # a prepared branch that is gone: the first try, whose answer was lost, committed it
            raise XAError(answer.message or f"XA error {answer.response_code}", xa_code=answer.response_code)
        return answer.response_code

    def _xa_work(self, packet: Packet, branch: Xid | None) -> None:
        # From now on the session works in `branch`: a recreation has to say so, or to keep it from being committed.
        with self.pump.lock, self.pump.motion:
            self._xa_locked(packet)
            self.engine.branch = branch
            self.engine.transaction.reset()

    def xa_start(self, xid: Xid) -> None:
        """Begin a branch."""
        instance("xid", xid, Xid)
        self._xa_work(XAStart(xid), xid)

    def xa_join(self, xid: Xid) -> None:
        """Join a branch."""
        instance("xid", xid, Xid)
        self._xa_work(XAJoin(xid), xid)

    def xa_resume(self, xid: Xid) -> None:
        """Resume a suspended branch."""
        instance("xid", xid, Xid)
        self._xa_work(XAResume(xid), xid)

    def xa_suspend(self) -> None:
        """Suspend the branch."""
        self._xa_work(XASuspend(), None)

    def xa_end(self, xid: Xid, *, failed: bool = False) -> None:
        """End the work of this session in a branch.

        A branch whose session was lost before this call can be ended, and is then refused by `xa_prepare` and
        `xa_commit`; so is one that is ended as `failed`.
        """
        instance("xid", xid, Xid)
        if failed:
            # Of the end itself the server does not heed it (ServerSessionPacketHandler).
            with self.pump.lock, self.pump.motion:
                self.engine.check_open()
                if self.engine.may_command:  # else the recreation says it
                    self.engine.command(self.engine.encode(XAFailed(xid)))
        self._xa_work(XAEnd(xid, failed), None)

    def xa_prepare(self, xid: Xid) -> int:
        """Prepare a branch; 0 XA_OK, 3 XA_RDONLY."""
        instance("xid", xid, Xid)
        return self._xa(XAPrepare(xid))

    def xa_commit(self, xid: Xid, *, one_phase: bool = False) -> None:
        """Commit a branch."""
        instance("xid", xid, Xid)
        self._xa(XACommit(xid, one_phase))

    def xa_rollback(self, xid: Xid) -> None:
        """Roll a branch back.

        The server takes back with it all that it has sent ahead to the session's consumers, and delivers it again
        (ServerSessionImpl.xaRollback): what waits here must not be handed out, and nothing may come in between.
        """
        instance("xid", xid, Xid)
        engine = self.engine
        with self.pump.lock, self.pump.motion:
            engine.check_open()
            started, engine.started = engine.started, False  # for a recreation, too
            try:
                if started:
                    self.calls.outcome(engine.submit(engine.request_of(SessionStop())))
                self._xa_locked(XARollback(xid))
                for consumer in engine.consumers.values():
                    consumer.rolled_back()
            finally:
                engine.started = started
                if started and engine.may_command:  # else the recreation, if there is one, does it
                    engine.command(engine.encode(SessionStart()))
                    self.pump.process()

    def xa_forget(self, xid: Xid) -> None:
        """Forget a heuristically completed branch."""
        instance("xid", xid, Xid)
        self._xa(XAForget(xid))

    def xa_recover(self) -> list[Xid]:
        """Branches that are prepared and in doubt."""
        return list(self._ask(XAIndoubtXids(), XAIndoubtXidsResponse).xids)

    def xa_set_timeout(self, seconds: int) -> bool:
        """Set the transaction timeout."""
        whole("seconds", seconds, 0)
        return self._ask(XASetTimeout(seconds), XASetTimeoutResponse).ok

    def xa_get_timeout(self) -> int:
        """The transaction timeout in seconds."""
        return self._ask(XAGetTimeout(), XAGetTimeoutResponse).timeout_seconds


def _lost(text: str) -> XAError:
    error = XAError(text, xa_code=XAER_RMFAIL)
    error.outcome = Outcome.UNKNOWN
    return error
