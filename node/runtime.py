"""The runtime: one node's parts around one event loop, and the turn that moves them.

    inputs (packets, commands, journal progress)  ->  step(Tick), step*, drain once  ->  Outbox
    Outbox, in field order: persist -> committer, send -> transport, publish -> feed,
                            reply -> control, note -> log

Rules
- Only a turn touches the replica, and only the loop runs turns. Nothing else shares state; the
  committer's thread speaks to the loop by `call_soon_threadsafe`.
- Inputs that come while a turn waits to run share it: that batches syncs, packets and replies.
- Nothing polls. A turn runs when something came, or when the replica asked to be woken.
- Nothing that comes is held back here: the replica knows how far the disk is behind, takes nothing
  more in then, and tells its peers (`node.writing`).
- An exception out of the replica is an impossible state of its own. The runtime ends with it, and
  whoever runs it builds a new one from the journal.
"""

import asyncio
import time
from contextlib import suppress
from random import Random

from gossip.packets import Packet
from node.checkpoint import Seal
from node.committer import Committer, JournalWorker, Progress
from node.index import Placed
from node.journal import Journal
from node.keyring import Keyring
from node.link import FaultTable
from node.pages import Pages
from node.ports import Note
from node.pump import RawContext
from node.replica import Replica
from node.restarts import one_line
from node.scrub import Scrub
from node.settings import Addresses, Closed, Ending, Settings, WriteNote
from node.storage import StorageError
from node.supervisor import Fields, Supervisor, anatomy
from node.turn import Input, Outbox, Persisted, PersistFailed, Received, Submit, Tick
from node.views import Running
from node.workers import Hooks, Workers, start_transport

INPUTS_MAX = 2048  # of one turn
ADDRESSES_EVERY_S = 1.0
ANSWER_S = 0.7  # after SIGTERM: for what is in flight
COMMIT_S = 0.9  # and then for the journal
FLUSH_MS = 100


class Runtime:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        settings: Settings,
        replica: Replica,
        journal: Journal,
        pages: Pages,
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
        self._inbox: list[Input] = []
        self._turn_handle: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._turns = 0
        self._always = settings.durability == "always"
        self._committer = Committer(
            journal, settings.durability, settings.interval_ms, self._from_committer, self._unkept
        )
        self.running = Running(
            settings.node,
            settings.pid,
            settings.durability,
            self.now_ms(),
            degraded=degraded,
            written=journal.written,
            durable=journal.durable,
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
        self, context: RawContext, settings: Settings, keyring: Keyring | None
    ) -> None:
        hooks = Hooks(
            on_packet=self._on_packet,
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
        )
        self.doors, self.transport, self.control = workers.doors, workers.transport, workers.control
        self.feed, self.telemetry = workers.feed, workers.telemetry
        guard = self.supervisor.guard
        self._send = guard("transport", self._send_all)
        self._publish = guard("feed", self.feed.publish)
        self._set_endpoint = guard("transport", self.transport.set_endpoint)
        self._reply = guard("control", self._reply_all)

    async def start(self) -> None:
        """Start the workers and run the first turn. Raises OSError if a socket cannot be bound."""
        start = self.supervisor.start
        start(JournalWorker(self._committer))
        if self.doors is not None:
            start(self.doors)
        await start_transport(start, self.transport)
        start(self.feed)
        start(self.control)
        start(self.telemetry)
        if self.scrub is not None:
            start(self.scrub)
        self._run_turn()

    # --- in -------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def _on_packet(self, packet: Packet, size: int) -> None:
        self._inbox.append(Received(packet, size))
        self._soon()

    def _on_submit(self, submit: Submit) -> None:
        self._inbox.append(submit)
        self._soon()

    def _from_committer(self, progress: Progress) -> None:
        """Called in the committer's thread."""
        if self._always and type(progress) is Persisted and progress.durable < progress.written:
            return  # nothing comes of it before it is durable, and the sync runs already
        placed, seals = self._journal.take_placed(), self._journal.take_seals()
        with suppress(RuntimeError):  # the loop has closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._on_progress, progress, placed, seals)

    def _on_progress(self, progress: Progress, placed: list[Placed], seals: list[Seal]) -> None:
        self._pages.placed(placed)
        self._replica.past.seal(seals)
        if type(progress) is Persisted:
            self.running.written, self.running.durable = progress.written, progress.durable
            if self._inbox and type(self._inbox[-1]) is Persisted:
                self._inbox.pop()  # the newer one says it all
        elif type(progress) is PersistFailed:
            self._pages.cut(progress.kept)
            self.running.written = progress.kept
            self.running.durable = min(self.running.durable, progress.kept)
            event = "storage_failed" if progress.final else "append_failed"
            why: Fields = {"reason": progress.reason, "code": progress.code, "kept": progress.kept}
            self._note("journal", Note(event, "error", why))
            if progress.final:
                self.supervisor.fail("journal", progress.reason)
        self._inbox.append(progress)
        self._soon()

    def _unkept(self, why: str) -> None:
        """Called in any thread. A checkpoint could not be written: a later start reads more."""
        with suppress(RuntimeError):  # the loop has closed
            note = Note("checkpoint_unwritten", "warning", {"reason": why})
            self._loop.call_soon_threadsafe(self._note, "journal", note)

    # --- the turn -------------------------------------------------------------------------------

    def _soon(self) -> None:
        if self._turn_handle is None:
            self._turn_handle = self._loop.call_soon(self._run_turn)

    def _run_turn(self) -> None:
        self._turn_handle = None
        if self.ended.done() and self.ended.result().crash is not None:
            return
        began_s = self._loop.time()
        try:
            self._turn()
        except StorageError as error:
            self._on_damage(error)
            return
        except Exception as error:
            self._write_note(Note("core_crashed", "error", anatomy(error)), "core")
            self._end(Ending("the replica failed", 1, error))
            return
        self.telemetry.turn_took(self._loop.time() - began_s)

    def _turn(self) -> None:
        inbox = self._inbox
        if len(inbox) > INPUTS_MAX:
            inputs, self._inbox = inbox[:INPUTS_MAX], inbox[INPUTS_MAX:]
            self._soon()
        else:
            inputs, self._inbox = inbox, []
        replica, now_ms = self._replica, self.now_ms()
        replica.step(Tick(now_ms, wall_ms()))
        for item in inputs:
            if type(item) is PersistFailed:
                self._step_failure(item)
            else:
                replica.step(item)
        self._execute(replica.drain())
        self._committer.keep(replica.past.take_checkpoints())
        self._arm(now_ms)
        self._turns += 1
        if not self.control.flying:
            self._answered.set()

    def _step_failure(self, failure: PersistFailed) -> None:
        """What was handed out before this moment is covered by the failure; the rest is written."""
        self._execute(self._replica.drain())
        self._replica.step(failure)
        self._committer.resume()

    def _execute(self, outbox: Outbox) -> None:
        if outbox.persist:
            self._committer.submit(outbox.persist)
        if outbox.send:
            self._send(outbox.send)
        if outbox.publish:
            self._publish(outbox.publish)
        if outbox.reply:
            self._reply(outbox)
        for note in outbox.note:
            self._write_note(note, "replica")

    def _send_all(self, packets: list[tuple[str, Packet]]) -> None:
        send = self.transport.send
        for peer, packet in packets:
            send(peer, packet)

    def _reply_all(self, outbox: Outbox) -> None:
        answer = self.control.answer
        for ticket, outcome in outbox.reply:
            answer(ticket, outcome)
        self.control.flush()

    def _arm(self, now_ms: int) -> None:
        """Wake up when the replica wants to be woken, and not before."""
        wake_ms = max(self._replica.wake_at_ms, now_ms + 1)
        if self._timer is not None:
            if wake_ms == self._timer_ms:
                return
            self._timer.cancel()
        self._timer_ms = wake_ms
        # One millisecond late, for a clock read in whole milliseconds must have reached it.
        self._timer = self._loop.call_at((wake_ms + 1) / 1000, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._soon()

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

    def _on_damage(self, error: StorageError) -> None:
        """The journal is not what it was: the next life looks at all of it."""
        self._write_note(Note("core_crashed", "error", anatomy(error)), "core")
        self._end(Ending("the journal cannot be read", 1, error))

    def _on_give_up(self, worker: str, error: BaseException) -> None:
        self._end(Ending(f"worker {worker} crashed too often: {one_line(error)}", 1))

    async def finish(self) -> Closed:
        """Stop in order: no new commands, answer what is pending, write, sync, close.

        After a crash of the core, only close: the journal is left as the crash left it.
        """
        ending = self.ended.result()
        self.running.stopping = True
        self.control.leave()
        self.feed.leave()
        if ending.crash is None:
            await self._finish_commands()
        stopped = await asyncio.to_thread(self._committer.stop, ending.crash is None, COMMIT_S)
        if ending.crash is None:
            await asyncio.sleep(0)  # the last progress comes in ...
            self._run_turn()  # ... and is answered
        self.control.fail_all("stopping", "the node stopped before it was as safe as asked")
        self.control.flush()
        self.control.stop(linger_ms=FLUSH_MS)
        for handle in (self._timer, self._turn_handle):
            if handle is not None:
                handle.cancel()
        self._timer = self._turn_handle = None
        self.supervisor.stop()
        if not stopped:
            return Closed("the journal could not be written out in time", over=False)
        return Closed(self._committer.unclean)

    async def _finish_commands(self) -> None:
        self._answered.clear()
        if not (self.control.flying or self._inbox):
            return
        self._soon()
        try:
            await asyncio.wait_for(self._answered.wait(), ANSWER_S)
        except TimeoutError:
            return

    # --- what others look at --------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        return {
            **self._replica.counters,
            **self.control.counters,
            **self.transport.counters,
            **(self.doors.counters if self.doors is not None else {}),
            **(self.scrub.counters if self.scrub is not None else {}),
            "journal_queued_records": self._committer.queued_records,
            "journal_commits": self._committer.commits,
            **self.feed.counters,
            "turns": self._turns,
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


def wall_ms() -> int:
    return time.time_ns() // 1_000_000
