"""The `Boot` event of a simulated life, for the trace: the records that the node takes its journal
to hold, and the events that it shows.

A node that trusts its checkpoints has not read the records behind them, and its disk may have lost
them since. So these functions read the disk as it was written (`SimDisk.as_written`). The result
goes into the trace only; no node decides anything by it.
"""

from itertools import islice

from domain.arrival import Arrival
from lab.plan.faults import Plan
from lab.sim.disk import SimDisk
from lab.sim.disk_swap import DiskSwap
from lab.sim.event_names import NamingCodec
from lab.trace.kinds import Boot
from node.core.ports import Record
from node.core.replica import Replica
from node.storage.files import StorageError
from node.storage.record_reader import RecordPages
from node.storage.recovered import Recovery
from node.storage.scan import scan_journal
from node.storage.segments import read_records


def records_of(disk: SimDisk, recovery: Recovery) -> list[Record]:
    """All records of the journal, in order: those of the checkpoints, and those that boot reads."""
    if not recovery.recalled:
        return list(recovery.records)
    with disk.as_written():
        there = scan_journal(disk)
        recalled = list(islice(read_records(disk, there.segments), recovery.recalled))
    assert len(recalled) == recovery.recalled, "checkpoints tell of records that never were"
    return [*recalled, *recovery.records]


def boot_of(
    bay: DiskSwap,
    known: NamingCodec,
    plan: Plan,
    replica: Replica,
    pages: RecordPages | None,
    records: list[Record],
    recovery: Recovery | None,
) -> Boot:
    """The event, without its time and without the reason for a new epoch."""
    node, disk = replica.node, bay.disk
    arrivals = _shown(disk, replica)
    if pages is not None and disk.rotten:
        pages.forget()  # what was read for the trace is not in the node's memory
    return Boot(
        disk=bay.disk_is,
        recovered=tuple([known.record_name(one, node) for one in records]),
        arrivals=known.refs_of(arrivals),
        clean=recovery.clean if recovery else False,
        must_open_epoch="",
        log=f"{node}.{replica.epoch:x}",
        torn_bytes=recovery.torn_bytes if recovery else 0,
        quarantined=recovery.lost if recovery else 0,
        wall_ms=0,
        quiet_ms=plan.quiet_ms,
        durability=plan.durability,
        skewed=known.refs_of([one for one in arrivals if one.skewed]),
        unsynced=recovery.unsynced if recovery else 0,
        holes=recovery.new_holes if recovery else 0,
    )


def _shown(disk: SimDisk, replica: Replica) -> list[Arrival]:
    """What the node shows, in order. Damage may also bring what was never written there."""
    timeline = replica.timeline
    if not disk.rotten:
        return timeline.select("arrival")
    arrivals: list[Arrival] = []
    for index in timeline.pick("arrival"):
        try:
            arrivals.append(timeline.arrival(index))
        except StorageError:
            with disk.as_written():
                arrivals.append(timeline.arrival(index))
    return arrivals
