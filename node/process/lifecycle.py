"""The life of a node process: open, restore, run, end, and begin again if the core fails.

    lock the directory -> open the journal -> restore -> boot -> start the workers -> ready
    SIGTERM, SIGINT: stop in order, within 2 s; a second one: at once (`node.process.stopping`)
    SIGHUP: read the cluster file again, open the log file anew

The lock comes before anything else, so that a second process on one directory changes nothing. An
exception out of the replica ends one life; the next one starts from the journal, within the same
budget as any worker's restarts, and then the process ends with the reason. Whoever is asked to stop
begins no other life.

Read again, other moderation is taken over at once. Other peers, or any other setting, end the life
in order, and the next one begins with them, in the same process: so each setting is taken over by
the way that a start takes, and none is half in force. Faults of links stay.
"""

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import zmq
from msgspec import Struct

from node.config.applied import MODERATION, differing
from node.config.cluster_file import NODES_MAX
from node.core.ports import Fields, Note
from node.core.replica import Replica, ReplicaConfig
from node.network.link_faults import FaultTable, LinkFault
from node.process.lives import Again, Lives, Over, not_restored, reopening, stopped_instead, unclean
from node.process.restart_budget import RestartBudget, one_line
from node.process.runtime import Runtime, wall_ms
from node.process.scrub import Scrub
from node.process.settings import Addresses, Ending, NodeSettings, WriteNote
from node.process.stopping import StopAsked, Stopping
from node.recording.recorder import RecordedFaults, RecordedReplica, Recorder, begin
from node.security.keyring import Keyring
from node.sockets.pump import RawContext
from node.storage.codec import ProtobufCodec
from node.storage.files import FileStorage, StorageError
from node.storage.journal import Journal, JournalOptions
from node.storage.journal_id import note_journal_id, refuse_if_gone
from node.storage.record_reader import RecordPages
from node.storage.recovered import Recovery
from node.storage.recovery import Known, Mode
from node.storage.scan import Hole

# Of the collector: objects made, and how many times over for the middle and the last generation.
# A full collection stops the loop for as long as it takes to look at every object, tens of ms where
# thousands of logs are held, and with the defaults it came once a second while many arrived. What
# is held has no cycles, so that such a collection finds next to nothing.
COLLECT_AFTER = (2000, 10, 100)


class Plan(Struct, frozen=True):
    """Everything that a life needs, and that the next one needs again."""

    replica: ReplicaConfig
    settings: NodeSettings
    journal_dir: Path
    journal_id: Path  # the note of which journal that is
    recover: Mode
    write_note: WriteNote
    addresses: Addresses
    reread: Callable[[], "Plan"]  # as the file is now; raises ValueError with one clear line
    applied: dict[str, str]  # what it says, see `node.config.applied`
    reopen_log: Callable[[], None]
    ready: Callable[[], None]  # called once, by the first life that answers
    trace_dir: Path | None = None  # recordings go there
    keyring: Keyring | None = None  # None: the cluster does without
    known: Known | None = None  # of the journal that the process before had


class Legacy(Struct):
    """What the lives of one process leave to each other."""

    plan: Plan  # as the file was when it was read last
    lives: Lives
    known: Known | None  # of the journal, by the life before or the process before
    faults: dict[str, LinkFault] = {}  # of a life that ended to begin again with other settings
    answered: bool = False  # a life was ready: whoever started the process was told, once


class Life:
    """From one opening of the journal to its close."""

    def __init__(
        self,
        storage: FileStorage,
        context: RawContext,
        rng: Random,
        legacy: Legacy,
        stopping: Stopping,
    ) -> None:
        self._plan = legacy.plan
        self._legacy = legacy
        self._storage = storage
        self._context = context
        self._rng = rng
        self._replica: Replica | None = None
        self._runtime: Runtime | None = None
        self._recorder: Recorder | None = None
        self._stopping = stopping

    async def run(self) -> Ending:
        """Raises StorageError or OSError if the node cannot start."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._stopping.fd, self._on_signal)
        self._on_signal()  # what came between two lives
        self._plan = self._legacy.plan
        try:
            return await self._run(loop)
        except StopAsked:
            return Ending(self._stopping.asked)
        finally:
            loop.remove_reader(self._stopping.fd)
            if self._recorder is not None:
                self._recorder.close()

    async def _run(self, loop: asyncio.AbstractEventLoop) -> Ending:
        """Raises StopAsked, too, where the journal has not been opened yet."""
        node = self._plan.replica
        trust = (
            self._legacy.lives.trust and self._plan.trace_dir is None
        )  # a recording holds all of it
        options = JournalOptions(node.durability, self._plan.recover, trust=trust)
        with self._stopping.interrupts():  # as a kill might
            journal, recovery = Journal.open(
                self._storage, node.node, options, wall_ms(), self._legacy.known
            )
        self._legacy.known = journal.known
        note_journal_id(self._plan.journal_id, journal.known.directory_id)
        try:
            runtime = await self._build(loop, journal, recovery)
        except Exception as error:
            ending = not_restored(error, recovery.recalled, _close_quietly(journal))
            if ending is None:
                raise
            self._note("checkpoints_doubted", "error", {"reason": ending.reason}, "journal")
            return ending
        except StopAsked:
            why = journal.close(clean=True)
            return unclean(why) if why else Ending(self._stopping.asked)
        except BaseException:
            _close_quietly(journal)
            raise
        return await self._live(runtime)

    async def _build(
        self, loop: asyncio.AbstractEventLoop, journal: Journal, recovery: Recovery
    ) -> Runtime:
        """Restore the replica and put the runtime around it. Raises StopAsked if asked to stop."""
        began_s = time.monotonic()
        pages = RecordPages(self._storage, recovery.index)
        self._replica = replica = self._make_replica(recovery, pages)
        for _ in self._pieces(recovery.restore(replica, journal.keep)):
            await asyncio.sleep(0)
        self._note_opening(recovery, time.monotonic() - began_s)
        self._legacy.lives.scrubbed.open(recovery.quarantined)
        now_ms, why = int(loop.time() * 1000), recovery.must_open_epoch
        replica.boot(now_ms, wall_ms(), why, recovery.unsynced)
        gc.collect()
        gc.freeze()  # what was restored stays: the collector need not look at it again and again
        gc.set_threshold(*COLLECT_AFTER)
        degraded = recovery.new_holes > 0
        return self._make_runtime(loop, replica, journal, pages, degraded=degraded)

    def _pieces(self, restoring: Iterator[None]) -> Iterator[None]:
        """Restores piece by piece; all checkpoints together are one piece."""
        while True:
            with self._stopping.interrupts():
                if next(restoring, True):
                    return
            yield

    def _make_replica(self, recovery: Recovery, pages: RecordPages) -> Replica:
        """With chance of its own, from a number that can be written down: so it can be replayed."""
        plan, rng_seed = self._plan, self._rng.getrandbits(63)
        config, codec, incarnation = plan.replica, ProtobufCodec(), recovery.incarnation
        if plan.trace_dir is not None:
            self._recorder = begin(plan.trace_dir, config, rng_seed, recovery)
            if self._recorder is None:
                self._note("recording_stopped", "warning", {"reason": "no file could be begun"})
        if self._recorder is None:
            rng = Random(rng_seed)
            return Replica(config, codec, rng, incarnation, pages=pages)
        return RecordedReplica(
            config=config,
            codec=codec,
            rng_seed=rng_seed,
            incarnation=incarnation,
            recorder=self._recorder,
            pages=pages,
        )

    def _make_runtime(
        self,
        loop: asyncio.AbstractEventLoop,
        replica: Replica,
        journal: Journal,
        pages: RecordPages,
        *,
        degraded: bool,
    ) -> Runtime:
        plan, recorder, rng = self._plan, self._recorder, self._rng
        peers, write_note = plan.settings.peers, plan.write_note
        faults = FaultTable(peers, rng)
        if recorder is not None:
            faults = RecordedFaults(peers, rng, recorder)
        faults.set({peer: fault for peer, fault in self._legacy.faults.items() if peer in peers})
        if recorder is not None:
            write_note = recorder.heard(write_note)
        runtime = Runtime(
            loop=loop,
            context=self._context,
            settings=plan.settings,
            replica=replica,
            journal=journal,
            pages=pages,
            rng=rng,
            faults=faults,
            write_note=write_note,
            addresses=plan.addresses,
            degraded=degraded,
            keyring=plan.keyring,
        )
        runtime.running.settings = plan.applied
        if recorder is not None:
            traffic = runtime.transport.traffic
            recorder.dropped_of = lambda: {peer: traffic(peer).dropped for peer in peers}
        if plan.settings.scrub_bytes_per_s:
            runtime.scrub = Scrub(
                loop=loop,
                folder=plan.journal_dir,
                scrubbed=self._legacy.lives.scrubbed,
                bytes_per_s=plan.settings.scrub_bytes_per_s,
                on_damage=partial(self._on_damage, runtime),
                on_trouble=lambda why: self._note(
                    "journal_unread", "error", {"reason": why}, "scrub"
                ),
                on_pass=runtime.check_journal,
                guard=partial(runtime.supervisor.guard, "scrub"),
            )
        return runtime

    # --- damage ---------------------------------------------------------------------------------

    def _on_damage(self, runtime: Runtime, holes: list[Hole]) -> None:
        """Opened anew, as after a start, the journal sets damage aside, and asks for an epoch."""
        for hole in holes:
            where: Fields = {**_where(hole), "cause": hole.cause}
            self._note("journal_damaged", "error", where, "scrub")
        if why := reopening(holes, self._plan.recover):
            runtime.reopen(why)

    async def _live(self, runtime: Runtime) -> Ending:
        plan = self._plan
        try:
            await runtime.start()
        except BaseException:
            runtime.stop("not started")
            await runtime.finish()
            raise
        self._runtime = runtime
        if self._stopping.asked:
            runtime.stop(self._stopping.asked)
        elif differing(plan.applied, self._legacy.plan.applied):
            runtime.reload()  # it was read again while this life began
        else:
            settings = plan.settings
            fields: Fields = {"pid": settings.pid, "listen": runtime.transport.endpoint}
            self._note("node_ready", "info", fields)
            if not self._legacy.answered:  # its descriptor is closed by now, and may be another's
                self._legacy.answered = True
                plan.ready()
        ending = await runtime.ended
        level = "info" if ending.code == 0 else "error"
        self._note("node_stopping", level, {"reason": ending.reason})
        began_s = time.monotonic()
        closed = await runtime.finish()
        faults = runtime.faults
        self._legacy.faults = {peer: faults.get(peer) for peer in faults.peers if ending.reload}
        clean = not closed.unclean
        if self._recorder is not None and clean and ending.crash is None:
            self._recorder.ended(runtime.running.written, runtime.running.durable)
        took_ms = round((time.monotonic() - began_s) * 1000)
        stopped: Fields = {"clean": clean, "ms": took_ms}
        if not clean:
            stopped["reason"] = closed.unclean
        self._note("node_stopped", "info" if clean else "error", stopped)
        if ending.reopen and closed.over:
            return msgspec.structs.replace(ending, unclean=closed.unclean)
        return ending if clean or ending.code else unclean(closed.unclean)

    # --- signals --------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        self._stopping.woken()
        if self._stopping.take_hangup():
            self._on_hangup()
        if self._stopping.asked and self._runtime is not None:
            self._runtime.stop(self._stopping.asked)

    def _on_hangup(self) -> None:
        legacy, plan = self._legacy, self._legacy.plan
        try:
            plan.reopen_log()
        except OSError as error:
            self._note("log_not_reopened", "error", {"reason": one_line(error)})
        try:
            legacy.plan = plan.reread()
        except (ValueError, OSError) as error:
            self._note("policy_kept", "error", {"reason": str(error)})
            return
        changed = differing(plan.applied, legacy.plan.applied)
        if changed and changed != [MODERATION]:
            self._note("settings_read", "info", {"changed": changed})
            if self._runtime is not None:
                self._runtime.reload()
            return
        policy = legacy.plan.replica.policy
        if self._replica is not None:
            self._replica.set_policy(policy)
        if self._runtime is not None:
            self._runtime.running.settings = legacy.plan.applied
        self._note("policy_read", "info", {"rules": len(policy.rules)})

    # --- notes ----------------------------------------------------------------------------------

    def _note_opening(self, recovery: Recovery, seconds: float) -> None:
        fields: Fields = {
            "records": recovery.count,
            "read": recovery.count - recovery.recalled,
            "segments": recovery.segments,
            "bytes": recovery.size_bytes,
            "incarnation": recovery.incarnation,
            "clean": recovery.clean,
            "ms": round(seconds * 1000),
        }
        self._note("journal_opened", "info", fields, "journal")
        if recovery.torn_bytes:
            torn: Fields = {
                "bytes": recovery.torn_bytes,
                "cause": recovery.torn_cause,
                "kept_as": recovery.kept_as,
            }
            self._note("journal_tail_cut", "warning", torn, "journal")
        for hole in recovery.quarantined:
            if not hole.known:
                self._note("journal_quarantined", "error", _where(hole), "journal")

    def _note(self, event: str, level: str, fields: Fields, worker: str = "node") -> None:
        assert level in ("info", "warning", "error")
        self._plan.write_note(Note(event, level, fields), worker)  # type: ignore[arg-type]


def live(plan: Plan, storage: FileStorage, stopping: Stopping) -> Ending:
    """Run the node to its end, through as many lives as its budget allows. Closes the storage."""
    seed = int.from_bytes(os.urandom(8), "big")
    rng = Random(seed)
    settings = plan.settings
    plan.write_note(
        Note("node_started", "info", {"pid": settings.pid, "seed": f"{seed:x}"}), "node"
    )
    context: RawContext = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 4 * NODES_MAX + 64)  # also the monitors'; peers may come
    lives = Lives(RestartBudget(rng, settings.restart_budget, settings.restart_window_s))
    legacy = Legacy(plan, lives, plan.known)
    try:
        while True:
            ending = asyncio.run(Life(storage, context, rng, legacy, stopping).run())
            if ending.reload:
                settings = legacy.plan.settings
                lives.allow(RestartBudget(rng, settings.restart_budget, settings.restart_window_s))
            what = lives.after(ending, time.monotonic(), stopping.asked)
            if type(what) is Again and what.wait_s is not None:
                fields: Fields = {"wait_ms": round(what.wait_s * 1000)}
                plan.write_note(Note("core_restarts", "warning", fields), "node")
                stopping.rest(what.wait_s)
                if stopping.asked:
                    what = Over(stopped_instead(ending, stopping.asked))
            if type(what) is Over:
                if what.gave_up:
                    fields = {"reason": what.ending.reason}
                    plan.write_note(Note("node_gave_up", "error", fields), "node")
                return what.ending
            refuse_if_gone(plan.journal_dir, legacy.known)
            storage = FileStorage(plan.journal_dir, make=False)
    finally:
        storage.close()
        context.destroy(linger=0)


def _close_quietly(journal: Journal) -> str:
    """Where there is a worse error to tell. Returns why there is no clean mark."""
    try:
        return journal.close(clean=True)
    except StorageError as error:
        return str(error)


def _where(hole: Hole) -> Fields:
    return {
        "segment": hole.segment,
        "offset": hole.offset,
        "bytes": hole.length,
        "records": hole.records,
    }
