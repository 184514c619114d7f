"""The runtime of one life: the event loop, the workers and the committer around one replica.

It implements the ports of `node.core.turn_loop`, which says what a turn is.

Rules
- Only a turn touches the replica, and only the loop runs turns. Nothing else shares state; the
  committer's thread speaks to the loop by `call_soon_threadsafe`.
- Nothing polls. A turn runs when something came, or when the replica asked to be woken.
- Nothing that comes is held back here: the replica knows how far the disk is behind, takes nothing
  more in then, and tells its peers (`node.core.write_state`).
- An exception out of the replica is an impossible state of its own. The runtime ends with it, and
  whoever runs it builds a new one from the journal.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

from domain.arrival import Arrival
from gossip.packets import Packet
from node.control.measures import Measures
from node.control.queries import Running
from node.core.checkpoint import Checkpoint, Seal
from node.core.interface import Outbox, Outcome, Persisted, PersistFailed, Received, Submit
from node.core.ports import Fields, Note
from node.core.replica import Replica
from node.core.turn_loop import ANSWER_MS, COMMIT_MS, TurnLoop
from node.network.link_faults import FaultTable
from node.process.restart_budget import one_line
from node.process.scrub import Scrub
from node.process.settings import STORAGE_CODE, Addresses, Closed, Ending, NodeSettings, WriteNote
from node.process.structured_log import END_S
from node.process.supervisor import Supervisor, anatomy
from node.process.wiring import Hooks, Workers, start_transport
from node.security.keyring import Keyring
from node.sockets.pump import RawContext
from node.storage.committer import Committer, JournalWorker
from node.storage.files import StorageError
from node.storage.group_commit import Progress, comes_to_something
from node.storage.journal import Journal
from node.storage.offset_index import WrittenFrame
from node.storage.record_reader import RecordPages

Publish = Callable[[Sequence[tuple[int, Arrival]]], None]
ADDRESSES_EVERY_S = 1.0
FLUSH_MS = 100
LOOK_S = 1.0  # between two looks at the sockets' paths
TURN_S = 0.01  # after which a turn takes no more packets


class Runtime:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        settings: NodeSettings,
        replica: Replica,
        journal: Journal,
        pages: RecordPages,
        rng: Random,
        faults: FaultTable,
        write_note: WriteNote,
        addresses: Addresses,
        degraded: bool = False,
        keyring: Keyring | None = None,
    ) -> None:
        self._loop = loop
        self._replica = replica
        self._journal = journal
        self._pages = pages
        self.faults = faults
        self._write_note = write_note
        self._addresses = addresses
        self._addresses_at_s = loop.time()
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self._answered = asyncio.Event()
        self.turns = TurnLoop(replica, self)
        self._turn_handle: asyncio.Handle | None = None
        self._late_s = 0.0  # when the turn under way has taken long
        self._turn_us_max = 0  # processor time of the longest turn
        self._timer: asyncio.TimerHandle | None = None
        self._broken = ""  # why the replica is not to be stepped any more
        self._always = settings.durability == "always"
        self._home = settings.home
        self._look_timer: asyncio.TimerHandle | None = None
        self._measures = Measures(wall_ms) if settings.metrics_listen else None
        self._committer = Committer(
            journal,
            settings.durability,
            settings.interval_ms,
            self._from_committer,
            self._unkept,
            on_synced=_nobody if self._measures is None else self._measures.fsync_s.observe,
        )
        self.running = Running(
            settings.node,
            settings.pid,
            settings.durability,
            self.now_ms(),
            degraded=degraded,
            written=journal.written,
            durable=journal.durable,
            cluster=settings.cluster_id,
        )
        self.supervisor = Supervisor(
            rng=rng,
            now_s=loop.time,
            schedule=loop.call_later,
            on_note=lambda worker, note: write_note(note, worker),
            on_give_up=self._on_give_up,
            budget=settings.restart_budget,
            window_s=settings.restart_window_s,
        )
        self._make_workers(context, settings, keyring)
        self.scrub: Scrub | None = None  # whoever has the journal's folder may give one

    def _make_workers(
        self, context: RawContext, settings: NodeSettings, keyring: Keyring | None
    ) -> None:
        hooks = Hooks(
            on_packet=self._on_packet,
            rests_s=self._rests_s,
            on_submit=self._on_submit,
            on_note=self._note,
            on_unreachable=self._refresh_addresses,
            on_damage=self._on_damage,
            counters=self.counters,
            now_ms=self.now_ms,
            wall_ms=wall_ms,
        )
        workers = Workers(
            self._loop,
            context,
            settings,
            self.supervisor,
            hooks,
            replica=self._replica,
            running=self.running,
            faults=self.faults,
            known=self._addresses(),
            keyring=keyring,
            measures=self._measures,
        )
        self.authenticator, self.transport, self.control = (
            workers.authenticator,
            workers.transport,
            workers.control,
        )
        self.feed, self.telemetry, self.metrics = workers.feed, workers.telemetry, workers.metrics
        guard = self.supervisor.guard
        self.send = guard("transport", self._send_all)
        self.publish: Publish = guard("feed", self.feed.publish)
        if self._measures is not None:
            self.publish = _both(guard("metrics", self._measures.arrived), self.publish)
        self._set_endpoint = guard("transport", self.transport.set_endpoint)
        self.reply = guard("control", self._reply_all)

    async def start(self) -> None:
        """Start the workers and run the first turn. Raises OSError if a socket cannot be bound."""
        start = self.supervisor.start
        start(JournalWorker(self._committer))
        if self.authenticator is not None:
            start(self.authenticator)
        await start_transport(start, self.transport)
        start(self.feed)
        start(self.control)
        start(self.telemetry)
        if self.metrics is not None:
            start(self.metrics)
        if self.scrub is not None:
            start(self.scrub)
        self._look_timer = self._loop.call_later(LOOK_S, self._look)
        self._run_turn()

    def _look(self) -> None:
        """Cleaners of /tmp, and people, remove sockets that nodes listen on."""
        self._look_timer = self._loop.call_later(LOOK_S, self._look)
        if self.running.stopping or not os.path.isdir(self._home):
            return
        for name, look in (("control", self.control.look), ("feed", self.feed.look)):
            try:
                if path := look():
                    self._note(name, Note("socket_rebound", "warning", {"path": path}))
            except OSError as error:
                why: Fields = {"reason": one_line(error)}
                self._note(name, Note("socket_lost", "error", why))

    # --- in -------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def _on_packet(self, packet: Packet, size: int, decoded_us: int) -> None:
        self.turns.take(Received(packet, size, decoded_us))

    def _rests_s(self, peer: str) -> float:
        return self.turns.rests_ms(peer, self.now_ms()) / 1000

    def _on_submit(self, submit: Submit) -> None:
        self.turns.take(submit)

    def _from_committer(self, progress: Progress) -> None:
        """Called in the committer's thread."""
        if not comes_to_something(progress, always=self._always):
            return
        placed, seals = self._journal.take_placed(), self._journal.take_seals()
        with suppress(RuntimeError):  # the loop has closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._on_progress, progress, placed, seals)

    def _on_progress(
        self, progress: Progress, placed: list[WrittenFrame], seals: list[Seal]
    ) -> None:
        self._pages.placed(placed)
        self._replica.projections.seal(seals)
        if type(progress) is Persisted:
            self.running.written, self.running.durable = progress.written, progress.durable
        elif type(progress) is PersistFailed:
            self._pages.cut(progress.kept)
            self.running.written = progress.kept
            self.running.durable = min(self.running.durable, progress.kept)
            event = "storage_failed" if progress.final else "append_failed"
            why: Fields = {"reason": progress.reason, "code": progress.code, "kept": progress.kept}
            self._note("journal", Note(event, "error", why))
            if progress.final:
                self.supervisor.fail("journal", progress.reason)
                self._end_if_unreachable(progress.reason)
        self.turns.take(progress)

    def _end_if_unreachable(self, why: str) -> None:
        """A node that stores nothing more stays, for what it holds in memory may be wanted.

        Unless its folder is gone: then no command reaches it any more, not even one to stop it.
        """
        if self._home and not os.path.isdir(self._home):
            self._end(Ending(why, STORAGE_CODE))

    def _unkept(self, why: str) -> None:
        """Called in any thread. A checkpoint could not be written: a later start reads more."""
        with suppress(RuntimeError):  # the loop has closed
            note = Note("checkpoint_unwritten", "warning", {"reason": why})
            self._loop.call_soon_threadsafe(self._note, "journal", note)

    # --- the ports of a turn --------------------------------------------------------------------

    def _run_turn(self) -> None:
        self._turn_handle = None
        began_s = self._loop.time()
        self._late_s = began_s + TURN_S
        began_us = self.worked_us()
        self.turns.run()
        self._turn_us_max = max(self._turn_us_max, self.worked_us() - began_us)
        self.telemetry.turn_took(self._loop.time() - began_s)
        if self.turns.answered:
            self._answered.set()

    def clock(self) -> tuple[int, int]:
        return self.now_ms(), wall_ms()

    def late(self) -> bool:
        return self._loop.time() >= self._late_s

    def worked_us(self) -> int:
        return time.thread_time_ns() // 1000

    def soon(self) -> None:
        if self._turn_handle is None:
            self._turn_handle = self._loop.call_soon(self._run_turn)

    def wake(self, at_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # One millisecond late, for a clock read in whole milliseconds must have reached it.
        self._timer = self._loop.call_at((at_ms + 1) / 1000, self._woke)

    def _woke(self) -> None:
        self._timer = None
        self.turns.woke()

    def failing(self, _: PersistFailed) -> None:
        self._committer.resume()

    def persist(self, outbox: Outbox) -> None:
        self._committer.submit(outbox.persist)

    def _send_all(self, packets: list[tuple[str, Packet]]) -> None:
        send = self.transport.send
        for peer, packet in packets:
            send(peer, packet)

    def _reply_all(self, replies: list[tuple[int, Outcome]]) -> None:
        answer = self.control.answer
        for ticket, outcome in replies:
            answer(ticket, outcome)
        self.control.flush()

    def note(self, notes: list[Note]) -> None:
        for note in notes:
            self._write_note(note, "replica")

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._committer.keep(checkpoints)

    def check_journal(self) -> None:
        """Look soon whether it is still in its place."""
        self._committer.check()

    def broke(self, error: Exception) -> None:
        reason = "the replica failed"
        if isinstance(error, StorageError):
            reason = "the journal cannot be read"  # as it was: the next life looks at all of it
        self._write_note(Note("core_crashed", "error", anatomy(error)), "core")
        self._broken = f"{reason}: {one_line(error)}"
        self._end(Ending(reason, 1, error))

    # --- the end --------------------------------------------------------------------------------

    def _end(self, ending: Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)

    def stop(self, reason: str) -> None:
        """Asked to end, in order: the end is seen in `ended`, the order is kept by `finish`."""
        self._end(Ending(reason))

    def reopen(self, reason: str) -> None:
        """End in order, and begin again from the journal: it is to be read and set right."""
        self._end(Ending(reason, reopen=True))

    def reload(self) -> None:
        """End in order, and begin again with other settings."""
        self._end(Ending("the cluster file has changed", reopen=True, reload=True))

    def _on_damage(self, error: StorageError) -> None:
        """Whoever reads for a person has met damage."""
        if not self.turns.over:
            self.turns.end()
            self.broke(error)

    def _on_give_up(self, worker: str, error: BaseException) -> None:
        self._end(Ending(f"worker {worker} crashed too often: {one_line(error)}", 1))

    async def finish(self) -> Closed:
        """Stop in order: no new commands, answer what is pending, write, sync, close.

        After a crash of the core, also one while stopping, only close: the journal is left as the
        crash left it.
        """
        turns = self.turns
        self.running.stopping = True
        turns.leave()
        self.control.leave()
        self.feed.leave()
        await self._finish_commands()
        commit_s = COMMIT_MS / 1000
        stopped = await asyncio.to_thread(self._committer.stop, not turns.over, commit_s)
        await asyncio.sleep(0)  # the last progress comes in ...
        self._run_turn()  # ... and is answered
        turns.end()
        self.control.fail_all("stopping", "the node stopped before it was as safe as asked")
        self.control.flush()
        self.control.stop(linger_ms=FLUSH_MS)
        for handle in (self._timer, self._turn_handle, self._look_timer):
            if handle is not None:
                handle.cancel()
        self._timer = self._turn_handle = self._look_timer = None
        self.supervisor.stop()
        if not stopped:
            return Closed("the journal could not be written out in time", over=False)
        return Closed(self._broken or self._committer.unclean)

    async def _finish_commands(self) -> None:
        """Until every command in flight has its reply, or that takes too long."""
        self._answered.clear()
        if self.turns.over or self.turns.answered:
            return
        self.turns.ask()
        try:
            await asyncio.wait_for(self._answered.wait(), ANSWER_MS / 1000)
        except TimeoutError:
            return

    # --- what others look at --------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        return {
            **self._replica.counters,
            **self.control.counters,
            **self.transport.counters,
            **(self.authenticator.counters if self.authenticator is not None else {}),
            **(self.scrub.counters if self.scrub is not None else {}),
            "journal_queued_records": self._committer.queued_records,
            "journal_commits": self._committer.commits,
            **self.feed.counters,
            **(self.metrics.counters if self.metrics is not None else {}),
            "packets_unheard": self.turns.unheard,
            "turns": self.turns.runs,
            "turn_us_max": self._turn_us_max,
        }

    def _refresh_addresses(self) -> None:
        """A peer cannot be reached: it may listen somewhere else by now, or for the first time."""
        now_s = self._loop.time()
        if now_s - self._addresses_at_s < ADDRESSES_EVERY_S:
            return
        self._addresses_at_s = now_s
        self._loop.call_soon(self._set_addresses)

    def _set_addresses(self) -> None:
        for peer, endpoint in self._addresses().items():
            if peer in self.faults.peers:
                self._set_endpoint(peer, endpoint)

    def _note(self, worker: str, note: Note) -> None:
        self._write_note(note, worker)


def _both(first: Publish, second: Publish) -> Publish:
    def publish(arrivals: Sequence[tuple[int, Arrival]]) -> None:
        first(arrivals)
        second(arrivals)

    return publish


def _nobody(_: float) -> None:
    """Nobody wants to know how long a sync took."""


def wall_ms() -> int:
    """Unix time, from 1970 to 9999: no record, no stamp and no date leads any further."""
    return min(max(time.time_ns() // 1_000_000, 0), round(END_S * 1000))
