"""Simulated clients: sessions that send ops to nodes, one at a time, and record the answers in the
trace.

An op is sent at its time, but not before the previous op of its session has ended. The answers are
those of a careful client: `ok`, `fail` only if the op certainly did not and will not happen, and
`info` for everything else.
"""

from collections import deque
from typing import TYPE_CHECKING, assert_never

from lab.plan.faults import Op
from lab.sim.event_names import NamingCodec
from lab.sim.scheduler import Scheduler
from lab.trace.kinds import Data, Fail, Info, Invoke, Ok
from lab.trace.trace import Trace
from node.core.interface import Acked, Denied, Outcome, Submit, Unmet
from node.core.ports import AckLevel
from node.recording.format import command_of
from node.storage.files import StorageError

if TYPE_CHECKING:
    from lab.sim.host import Host

_LEVELS = {"written": AckLevel.WRITTEN, "durable": AckLevel.DURABLE}
# After these nothing of the command is left anywhere.
_CERTAIN = frozenset({"busy", "disk_full"})


class Clients:
    """Implements `lab.sim.host.Desk`. Mutable."""

    def __init__(self, agenda: Scheduler, trace: Trace, known: NamingCodec) -> None:
        self._agenda = agenda
        self._trace = trace
        self._known = known
        self.hosts: dict[str, Host] = {}
        self._waiting: dict[str, deque[Op]] = {}  # by session: due, behind one in flight
        self._flying: dict[int, tuple[Op, int]] = {}  # by op: and its invoke in the trace
        self._over: dict[int, Op] = {}  # by op: those that have their answer
        self._busy: set[str] = set()  # sessions

    def due(self, op: Op) -> None:
        """The time of this op has come."""
        if op.session in self._busy:
            self._waiting.setdefault(op.session, deque()).append(op)
        else:
            self._invoke(op)

    @property
    def flying(self) -> int:
        return len(self._flying)

    def busy(self, session: str) -> bool:
        """Whether an op of this session is due or in flight, so that the next one must wait."""
        return session in self._busy

    # --- asking ---------------------------------------------------------------------------------

    def _invoke(self, op: Op) -> None:
        host = self.hosts[op.node]
        ack = f"replicated:{op.copies}" if op.ack == "replicated" else op.ack
        if op.action == "read":
            ack = ""
        data = Invoke(
            op=op.id, session=op.session, action=op.action, author=op.author, text=op.text, ack=ack
        )
        invoked = self._tell(host, data, None)
        self._busy.add(op.session)
        self._flying[op.id] = (op, invoked)
        if not host.up:
            self._end(host, op, Fail(op.id, op.session, "down", "nobody listens"))
        elif host.paused:
            host.put_off(op)
        else:
            self.reach(host, op)

    def reach(self, host: "Host", op: Op) -> None:
        """The request comes to the process, which is up and running."""
        if op.action == "read":
            assert host.process is not None
            try:
                read = host.process.replica.timeline.select("causal")
            except StorageError as error:  # a reader finds damage as the core does: the life ends
                host.unreadable(error)
                return
            seen = self._known.refs_of(read)
            self._end(host, op, Ok(op.id, op.session, seen=seen))
            return
        level = _LEVELS.get(op.ack, AckLevel.REPLICATED)
        command = command_of(op.action, op.author, op.text)
        submit = Submit(op.id, command, level, op.copies, op.timeout_ms)
        if not host.submit(submit, self._flying[op.id][1]):
            self._end(host, op, Fail(op.id, op.session, "down", "the node is stopping"))

    # --- being answered -------------------------------------------------------------------------

    def answered(self, host: "Host", ticket: int, outcome: Outcome, cause: int | None) -> None:
        found = self._flying.get(ticket)
        op = found[0] if found is not None else self._over[ticket]
        data: Data
        if type(outcome) is Acked:
            level = str(outcome.level)
            if outcome.level is AckLevel.REPLICATED:
                level = f"{level}:{outcome.copies}"
            assert host.process is not None
            ref = host.process.own_refs[str(outcome.dot)]
            data = Ok(
                op=op.id,
                session=op.session,
                ref=ref,
                level=level,
                text=outcome.text,
                rules=outcome.rules,
            )
        elif type(outcome) is Denied:
            data = Fail(op.id, op.session, outcome.by, outcome.reason)
        elif type(outcome) is Unmet:
            dot = "" if outcome.dot is None else str(outcome.dot)
            if outcome.code in _CERTAIN:
                data = Fail(op.id, op.session, outcome.code, outcome.reason)
            else:
                data = Info(op.id, op.session, outcome.code, outcome.reason, dot)
        else:
            assert_never(outcome)
        if found is not None:
            self._end(host, op, data, cause)
        else:
            self._tell(host, data, cause)  # the second answer to one op: see C2

    def cut_off(self, host: "Host") -> None:
        for op, _ in list(self._flying.values()):
            if op.node == host.name:
                self._end(host, op, Info(op.id, op.session, "crash", "the node died meanwhile"))

    def give_up(self) -> None:
        """Drop the ops that have not been sent by now."""
        self._waiting.clear()

    def close(self) -> None:
        """The run ends: the outcome of ops in flight stays unknown."""
        for op, _ in list(self._flying.values()):
            host = self.hosts[op.node]
            self._tell(host, Info(op.id, op.session, "end", "the run ended meanwhile"), None)

    def _end(self, host: "Host", op: Op, data: Data, cause: int | None = None) -> None:
        invoked = self._flying.pop(op.id)[1]
        self._over[op.id] = op
        self._tell(host, data, invoked if cause is None else cause)
        self._busy.discard(op.session)
        waiting = self._waiting.get(op.session)
        if waiting:
            # Not at once: the answer is in the middle of a turn.
            self._busy.add(op.session)
            self._agenda.at(self._agenda.now_us, self._next, waiting.popleft())

    def _next(self, op: Op) -> None:
        self._busy.discard(op.session)
        self._invoke(op)

    def _tell(self, host: "Host", data: Data, cause: int | None) -> int:
        now_us = self._agenda.now_us
        return self._trace.add(now_us, host.name, host.incarnation, data, cause)
