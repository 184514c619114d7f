"""Probes of `journals` and `identities`."""

import errno
import os

import pytest

from domain.dot import LogId
from gossip.frontier import Added
from gossip.packets import Stored
from gossip.receipts import Receipts
from lab.sim.world import World
from lab.trace.kinds import Ok
from node.core.interface import Acked
from node.core.pending_acks import PendingAck, PendingAcks
from node.core.ports import AckLevel, EpochRecord, EventRecord
from node.storage import frames
from node.storage.files import MemoryStorage, StorageError
from node.storage.scan import RecoveryRefused
from tests.gossip.builders import chain, holding
from tests.mutants import plans
from tests.mutants.probing import probes
from tests.node.journals import Writer, commit, damaged, open_journal, small_journal
from tests.node.replicas import Node, exchange, settle

GARBAGE = b"torn" * 5
LAST = "00000003.seg"


class Moody(MemoryStorage):
    """Fails a sync once, takes a part of a write, or fills up in the middle of one."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_sync = self.takes_part = self.is_full = False

    def sync(self, name: str) -> None:
        if self.fails_sync:
            self.fails_sync = False
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        super().sync(name)

    def append(self, name: str, data: bytes) -> int:
        if self.is_full:
            super().append(name, data[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        return super().append(name, data[: len(data) // 2 + 1] if self.takes_part else data)


def torn() -> tuple[MemoryStorage, int]:
    storage, held = small_journal()
    storage.append(LAST, GARBAGE)
    return storage, len(held)


def acked(node: Node) -> Acked:
    outcome = node.post()
    assert type(outcome) is Acked
    return outcome


# --- journals -----------------------------------------------------------------------------------


@probes("ack-before-sync")
def nothing_is_shown_before_it_is_durable() -> bool:
    node = Node(persist=False)
    node.write()
    node.post()
    node.write(durable=False)
    return not node.published


@probes("committer-acks-early")
def nothing_is_acked_while_its_sync_runs() -> bool:
    trace = World(plans.power_after_ack(0)).run().trace
    return not any(type(event.data) is Ok for event in trace)


@probes("sync-skipped", "batch-backwards")
def what_was_synced_comes_back_in_order() -> bool:
    storage, writer = MemoryStorage(), Writer()
    journal, _ = open_journal(storage)
    batch = [writer.opening(), *writer.events(3)]
    commit(journal, batch)
    return list(open_journal(storage.power_cut())[1].records) == batch


@probes("sync-retried")
def a_failed_sync_is_final() -> bool:
    storage, writer = Moody(), Writer()
    journal, _ = open_journal(storage)
    journal.append([writer.opening()])
    storage.fails_sync = True
    try:
        journal.sync()
    except StorageError as error:
        return error.final
    return False


@probes("left-pages-believed")
def what_a_process_left_is_written_anew() -> bool:
    storage, _ = small_journal()
    before = storage._files[LAST]
    open_journal(storage)
    return storage._files[LAST] is not before


@probes("rotate-without-dir-sync")
def a_new_segment_survives_a_power_cut() -> bool:
    storage, writer = MemoryStorage(), Writer()
    journal, _ = open_journal(storage, segment_bytes=1)
    for record in [writer.opening(), *writer.events(3)]:
        commit(journal, [record])
    return len(open_journal(storage.power_cut())[1].records) == 4


@probes("short-write-believed")
def a_short_write_is_finished() -> bool:
    storage, writer = Moody(), Writer()
    journal, _ = open_journal(storage)
    storage.takes_part = True
    journal.append([writer.opening()])  # a sync looks at the file itself, and refuses
    return journal._size == storage.size("00000001.seg")


@probes("no-cut-back")
def a_failed_write_leaves_nothing() -> bool:
    storage, writer = Moody(), Writer()
    journal, _ = open_journal(storage)
    before = storage.size("00000001.seg")
    storage.is_full = True
    with pytest.raises(StorageError):
        journal.append([writer.opening()])
    return storage.size("00000001.seg") == before


@probes("tail-not-cut")
def a_torn_tail_is_cut() -> bool:
    storage, _ = torn()
    open_journal(storage)
    return GARBAGE not in storage.read(LAST, 0, 10**6)


@probes("one-record-too-many")
def with_a_torn_tail_no_record_goes() -> bool:
    storage, held = torn()
    return open_journal(storage)[1].count == held


@probes("crc-ignored")
def a_flipped_bit_is_seen() -> bool:
    storage, _ = small_journal()
    data = damaged(storage, LAST, frames.HEADER_BYTES).read(LAST, 0, 10**6)
    return type(frames.parse(data, 0)) is str


@probes("holes-unsaid")
def damage_is_told() -> bool:
    storage, _ = small_journal()
    at = storage.size("00000002.seg") // 2
    return open_journal(damaged(storage, "00000002.seg", at))[1].new_holes > 0


@probes("last-segment-only")
def all_segments_are_read() -> bool:
    storage, held = small_journal()
    return len(list(open_journal(storage)[1].records)) == len(held)


@probes("strange-disk-accepted")
def another_nodes_disk_is_refused() -> bool:
    storage, _ = small_journal()
    try:
        open_journal(storage, node="n2")
    except RecoveryRefused:
        return True
    return False


@probes("torn-wish-lost")
def the_wish_survives_a_crash() -> bool:
    storage, _ = torn()
    assert open_journal(storage)[1].must_open_epoch
    return bool(open_journal(storage.killed())[1].must_open_epoch)


# --- identities ---------------------------------------------------------------------------------


@probes("seq-restarts")
def own_events_go_on_counting() -> bool:
    node = Node()
    node.post()
    return acked(node.restarted()).dot.seq == 2


@probes("epoch-kept")
def an_unclean_stop_in_a_relaxed_mode_ends_an_epoch() -> bool:
    storage, writer = MemoryStorage(), Writer()
    journal, _ = open_journal(storage, durability="interval")
    commit(journal, [writer.opening(), writer.event()])
    return bool(open_journal(storage.killed(), durability="interval")[1].must_open_epoch)


@probes("epoch-not-persisted")
def an_epoch_has_a_record() -> bool:
    return any(type(record) is EpochRecord for record in Node().journal)


@probes("epoch-by-rote")
def epochs_are_drawn() -> bool:
    return Node(seed=1).replica.epoch != Node(seed=2).replica.epoch


@probes("peers-proof-ignored")
def a_peer_that_holds_more_of_ours_is_believed() -> bool:
    node, peer = Node("n1", ("n2",)), Node("n2", ("n1",))
    node.post()
    node.post()
    exchange(node, peer)
    back = Node("n1", ("n2",), records=node.journal[:2], start=2)
    settle(back, peer, ms=1000)
    return bool(back.said("own_log_ahead"))


@probes("incarnation-stuck")
def starts_are_counted() -> bool:
    storage, _ = small_journal()
    return open_journal(storage.killed())[1].incarnation == 2


@probes("taken-back-and-kept")
def a_dot_that_was_taken_back_is_given_again() -> bool:
    node = Node(persist=False)
    node.write()
    node.post()
    node.fail()
    node.persist = True
    return acked(node).dot.seq == 1


@probes("first-branch-wins")
def both_branches_are_kept() -> bool:
    one, other = chain("n1", 1), chain("n1", 1, branch="b")
    frontier = holding(one)
    return frontier.add(other[0]) is Added.RIVAL


@probes("root-without-rivals")
def a_rival_changes_the_root() -> bool:
    one, other = chain("n1", 1), chain("n1", 1, branch="b")
    return holding(one).root != holding(one, other).root == holding(other, one).root


@probes("fork-unsaid")
def a_fork_is_flagged() -> bool:
    return holding(chain("n1", 1), chain("n1", 1, branch="b")).forked == ["n1"]


@probes("ack-at-once")
def nothing_is_acked_before_the_disk() -> bool:
    node = Node(persist=False)
    node.write()
    return node.post() is None


@probes("receipt-before-durable")
def a_receipt_waits_for_the_disk() -> bool:
    node, peer = Node("n1", ("n2",)), Node("n2", ("n1",), persist=False)
    peer.write()
    node.post()
    exchange(node, peer)
    return peer.replica.engine.receipts.stored_of("n1") == []


@probes("own-copy-counted")
def copies_are_elsewhere() -> bool:
    receipts, log = Receipts(holding()), LogId("n1", 1)
    receipts.receive("n2", Stored("n1", 1, 3, b"head"))
    return receipts.copies(log, 3) == 1


@probes("refused-and-emitted")
def what_is_rejected_is_not_emitted() -> bool:
    node = Node()
    node.post("forbidden")
    return not any(type(record) is EventRecord for record in node.journal)


@probes("promise-kept-twice")
def a_promise_has_one_outcome() -> bool:
    promises = PendingAcks()
    dot = chain("n1", 1)[0].dot
    promises.add(PendingAck(1, 1, dot, AckLevel.DURABLE, 0, 10, "", ()))
    return len(promises.reached(1, 1, lambda _: 0)) == 1


@probes("served-before-replay")
def a_restart_shows_what_it_has() -> bool:
    node = Node()
    node.post()
    return node.restarted().texts == ["hello"]
