"""Drives a replica turn by turn: takes inputs, steps them, drains once, executes the Outbox.

    inputs (packets, commands, journal progress)  ->  step(Tick), step*, drain once  ->  Outbox
    Outbox, in field order: persist, send, publish, reply, note; then checkpoints, then the timer

A process (`node.process.runtime`) and the simulator (`lab.sim`) use the same loop. The world is
behind `TurnPorts`: a clock, a timer, and whoever executes the parts of an Outbox.

Rules
- Inputs that come while a turn waits to run share it: that batches syncs, packets and replies. One
  turn steps at most `inputs_max`, and of packets so many bytes; the rest has the next one. Who
  comes first, and what finds no room (`packets_unheard`), is for the inbox (`node.core.inbox`).
- Where commands and the journal's progress have made a turn late, it takes no packets, so that
  their time is not added to that of a packet; the next turn takes at least one.
- A failed write covers what was handed out before its moment. So the replica is drained, and that
  is executed, before the failure is stepped; what it hands out afterwards is written.
- Each command has a ticket, and exactly one reply.
- Asked to `leave`, it takes no more commands. It is `answered` when none is in flight any more.
- It is `over` when the life has ended, or an exception came out of the replica: that may have left
  it half-stepped, so that it is never stepped or drained again, also while stopping.
"""

from collections.abc import Sequence
from typing import Protocol

from domain.arrival import Arrival
from gossip.packets import Packet
from node.core.checkpoint import Checkpoint
from node.core.inbox import Inbox
from node.core.interface import Input, Outbox, Outcome, PersistFailed, Submit, Tick
from node.core.ports import Note
from node.core.replica import Replica

INPUTS_MAX = 2048  # of one turn
ANSWER_MS = 700  # asked to stop: for what is in flight
COMMIT_MS = 900  # and then for the journal


class TurnPorts(Protocol):
    """What a turn needs of the world. Nothing of it may call back into `TurnLoop.run`."""

    def clock(self) -> tuple[int, int]:
        """Monotonic and wall time, ms."""
        ...

    def late(self) -> bool:
        """The turn under way has taken so long that no more packets should share it."""
        ...

    def worked_us(self) -> int:
        """Processor time of whoever runs turns, since any moment."""
        ...

    def soon(self) -> None:
        """Call `run`, after what is under way."""
        ...

    def wake(self, at_ms: int) -> None:
        """Call `woke` at this monotonic time, and at no other one asked for before."""
        ...

    def failing(self, failure: PersistFailed) -> None:
        """It is about to be stepped. What is handed out from now on is written again."""
        ...

    def persist(self, outbox: Outbox) -> None: ...

    def send(self, packets: list[tuple[str, Packet]]) -> None: ...

    def publish(self, published: list[tuple[int, Arrival]]) -> None: ...

    def reply(self, replies: list[tuple[int, Outcome]]) -> None: ...

    def note(self, notes: list[Note]) -> None: ...

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None: ...

    def broke(self, error: Exception) -> None:
        """The replica met an impossible state of its own, or cannot read its journal."""
        ...


class TurnLoop:
    """Of one life. Mutable; not thread-safe."""

    __slots__ = (
        *("_armed_ms", "_asked", "_inbox", "_inputs_max", "_ports", "_put_off", "_replica"),
        "_ticked",
        *("flying", "leaving", "over", "runs"),
    )

    def __init__(self, replica: Replica, ports: TurnPorts, inputs_max: int = INPUTS_MAX) -> None:
        assert inputs_max > 0
        self._replica = replica
        self._ports = ports
        self._inputs_max = inputs_max
        self._inbox = Inbox(replica.peers)
        self._asked = False  # for a turn
        self._ticked = (-1, -1)
        self._put_off = False  # the last turn took no packets, for it was late
        self._armed_ms = -1  # what the timer is set to; -1: it is not
        self.flying: set[int] = set()  # tickets of commands without a reply
        self.leaving = False
        self.over = False
        self.runs = 0

    @property
    def unheard(self) -> int:
        """Packets dropped for want of room."""
        return self._inbox.unheard

    def rests_ms(self, sender: str, now_ms: int) -> int:
        """For how long nothing of this sender is stepped; 0: it is."""
        return self._inbox.rests_ms(sender, now_ms)

    @property
    def waiting(self) -> int:
        """Inputs in the inbox."""
        return len(self._inbox)

    @property
    def answered(self) -> bool:
        """Nothing waits for a turn, but for who rests, and no command waits for a reply."""
        return not self.flying and self._inbox.due_ms != 0

    # --- in -------------------------------------------------------------------------------------

    def take(self, item: Input) -> bool:
        """An input for the next turn. False: it is not taken."""
        if self.over:
            return False
        if type(item) is Submit:
            if self.leaving:
                return False
            assert item.ticket not in self.flying, "a ticket is used twice"
            self.flying.add(item.ticket)
        if not self._inbox.add(item):
            return False
        self.ask()
        return True

    def ask(self) -> None:
        """There is to be a turn."""
        if not self._asked:
            self._asked = True
            self._ports.soon()

    def woke(self) -> None:
        """The timer has come."""
        self._armed_ms = -1
        self.ask()

    def lost_timer(self) -> None:
        """The timer may have passed unheard: the next turn sets it again."""
        self._armed_ms = -1

    def leave(self) -> None:
        self.leaving = True

    def end(self) -> None:
        """Nothing of this life happens any more."""
        self.over = True
        self._inbox.clear()

    # --- a turn ---------------------------------------------------------------------------------

    def run(self) -> None:
        self._asked = False
        if self.over:
            return
        try:
            self._run()
        except Exception as error:
            self.end()
            self._ports.broke(error)

    def _run(self) -> None:
        replica, ports = self._replica, self._ports
        now_ms, wall_ms = ticked = ports.clock()
        if ticked != self._ticked:
            self._ticked = ticked
            replica.step(Tick(now_ms, wall_ms))
        if self._inbox:
            own = self._inbox.own(self._inputs_max)
            for item in own:
                if type(item) is PersistFailed:
                    self._step_failure(item)
                    if self.over:
                        return
                else:
                    replica.step(item)
            self._put_off = bool(own) and not self._put_off and ports.late()
            if not self._put_off:
                self._step_packets(self._inputs_max - len(own), now_ms)
        self._execute(replica.drain())
        if self.over:
            return
        checkpoints = replica.projections.take_checkpoints()
        if checkpoints:
            ports.keep(checkpoints)
        self.runs += 1
        due_ms = self._inbox.due_ms
        self._arm(now_ms, due_ms)
        if due_ms == 0:
            self.ask()

    def _step_packets(self, count: int, now_ms: int) -> None:
        replica, inbox, ports = self._replica, self._inbox, self._ports
        inbox.look(now_ms)
        began_us = ports.worked_us()
        for packet in inbox.packets(count):
            new, current = replica.taken_in
            replica.step(packet)
            ended_us = ports.worked_us()
            new, current = replica.taken_in[0] - new, replica.taken_in[1] - current
            inbox.charge(packet, ended_us - began_us, new, current, now_ms)
            if ports.late():
                break
            began_us = ended_us

    def _step_failure(self, failure: PersistFailed) -> None:
        self._execute(self._replica.drain())
        if not self.over:
            self._ports.failing(failure)
            self._replica.step(failure)

    def _execute(self, outbox: Outbox) -> None:
        """In field order. The life may end in the middle of it."""
        ports = self._ports
        if outbox.persist:
            ports.persist(outbox)
        if outbox.send and not self.over:
            ports.send(outbox.send)
        if self.over:
            return
        if outbox.publish:
            ports.publish(outbox.publish)
        if outbox.reply:
            for ticket, _ in outbox.reply:
                self.flying.remove(ticket)
            ports.reply(outbox.reply)
        if outbox.note:
            ports.note(outbox.note)

    def _arm(self, now_ms: int, due_ms: int | None) -> None:
        """Wake up when the replica wants to be woken, or packets may be taken, and not before."""
        wake_ms = self._replica.wake_at_ms
        if due_ms and due_ms < wake_ms:
            wake_ms = due_ms
        if wake_ms <= now_ms:
            wake_ms = now_ms + 1
        if wake_ms != self._armed_ms:
            self._armed_ms = wake_ms
            self._ports.wake(wake_ms)
