"""Client sessions of a real run: each asks the nodes for the ops of a plan, one at a time, in a
thread of its own.

The answers are those of a careful client, as in `lab.sim.clients`: `fail` only if the op certainly
did not and will not happen, `info` if that is not known. The refs of events are not known yet while
a run goes on: a placeholder stands for each (`lab.real.draft_event.name_of`), and
`lab.real.trace_merge` replaces it by the ref.
"""

import threading
import time

from lab.client.client import Client, Silent, Unreachable
from lab.client.location import ClusterLocation
from lab.client.timeline_reader import read_timeline
from lab.plan.faults import Op
from lab.real.draft_event import DraftLog, name_of
from lab.terminal.errors import Problem
from lab.trace.kinds import Data, Fail, Info, Invoke, Ok
from node.control.messages import (
    Accepted,
    Failed,
    Post,
    Refused,
    Reply,
    Request,
    SetPresence,
    TimelineItem,
)

PATIENCE_S = 1.5  # beyond the op's own timeout: the node may have been stopped meanwhile
READ_S = 5.0
_CERTAIN = frozenset({"busy", "disk_full", "bad_request"})


class Clock:
    """When the run began, and the signals that end its phases. Shared by all sessions."""

    def __init__(self) -> None:
        self.began_ns = 0
        self.given_up = threading.Event()  # what was not asked by now is not asked any more
        self.finale = threading.Event()  # the last reads may be asked

    def wait(self, at_us: int) -> bool:
        """False: it is too late for this."""
        wait_s = (self.began_ns + at_us * 1000 - time.monotonic_ns()) / 1e9
        return not self.given_up.wait(max(wait_s, 0.0))


class Session(threading.Thread):
    """One client. Ops due after `faults_us` are asked in the phase of liveness."""

    def __init__(
        self,
        name: str,
        ops: list[Op],
        faults_us: int,
        place: ClusterLocation,
        clock: Clock,
        log: DraftLog,
    ) -> None:
        super().__init__(name=f"session-{name}", daemon=True)
        self._early = [op for op in ops if op.at_us <= faults_us]
        self._late = [op for op in ops if op.at_us > faults_us]
        self._place = place
        self._clock = clock
        self._log = log
        self._client: Client | None = None
        self.idle = threading.Event()

    def run(self) -> None:
        for op in self._early:
            if not self._clock.wait(op.at_us):
                break
            self.ask(op)
        self.idle.set()
        self._clock.finale.wait()
        for op in self._late:
            self.ask(op)
        self.hang_up()

    def ask(self, op: Op) -> Data:
        """Ask, and log what was asked and answered."""
        ack = f"replicated:{op.copies}" if op.ack == "replicated" else op.ack
        if op.action == "read":
            ack = ""
        data = Invoke(
            op=op.id, session=op.session, action=op.action, author=op.author, text=op.text, ack=ack
        )
        invoked = self._log.add(time.monotonic_ns(), op.node, data)
        answer = self._answer(op, ack)
        self._log.add(time.monotonic_ns(), op.node, answer, invoked)
        return answer

    def _answer(self, op: Op, ack: str) -> Data:
        try:
            client = self._connected(op.node)
        except Unreachable as error:
            return Fail(op.id, op.session, "down", str(error))
        try:
            if op.action == "read":
                items = read_timeline(client, "causal").items
                return Ok(op.id, op.session, seen=tuple([_name(item) for item in items]))
            request = _request(op, client.new_id(), ack)
            return _told(op, client.ask(request, op.timeout_ms / 1000 + PATIENCE_S))
        except Silent as error:
            self.hang_up()  # an answer that comes yet must not be taken for another's
            return Info(op.id, op.session, "timeout", str(error))
        except Unreachable as error:
            self.hang_up()
            return Info(op.id, op.session, "crash", str(error))
        except Problem as error:  # a read that failed
            return Fail(op.id, op.session, "failed", str(error))

    def _connected(self, node: str) -> Client:
        if self._client is not None and self._client.node != node:
            self.hang_up()
        if self._client is None:
            self._client = Client(node, self._place.nodes[node].control, READ_S)
        try:
            self._client.replies(0.0)  # notices a connection that broke meanwhile
        except Unreachable:
            self.hang_up()
            self._client = Client(node, self._place.nodes[node].control, READ_S)
        return self._client

    def hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _name(item: TimelineItem) -> str:
    event = item.event
    return name_of(str(event.dot), event.stamp.ms, event.stamp.counter)


def _request(op: Op, number: int, ack: str) -> Request:
    if op.action == "post":
        return Post(number, op.author, op.text, ack, op.timeout_ms)
    return SetPresence(number, op.author, op.action == "join", ack, op.timeout_ms)


def _told(op: Op, reply: Reply) -> Data:
    if type(reply) is Accepted:
        rules = tuple(reply.rules)
        return Ok(
            op=op.id,
            session=op.session,
            ref=str(reply.dot),
            level=reply.ack,
            text=reply.text,
            rules=rules,
        )
    if type(reply) is Refused:
        return Fail(op.id, op.session, reply.by, reply.reason)
    if type(reply) is Failed:
        dot = "" if reply.dot is None else str(reply.dot)
        if reply.code in _CERTAIN and not dot:
            return Fail(op.id, op.session, reply.code, reply.reason)
        return Info(op.id, op.session, reply.code, reply.reason, dot)
    return Info(op.id, op.session, "internal", f"answered with {type(reply).__name__}")
