"""A status of a node as a `Poll`, the form in which a view takes it in."""

from domain.dot import LogId
from lab.observe.node_states import ranges_of
from lab.view.cluster_view import Link, Poll, Queue, Worker
from node.control.answers import ALL_BYTES_MAX
from node.control.messages import PeerStatus, Status
from node.core.write_state import QUEUE_RECORDS_MAX
from node.network.peer_sender import QUEUE_BYTES_MAX

# Counters that say how full a queue is, and what it holds at most; for each peer, if "link".
_QUEUES = {
    "journal": ("journal_queued_records", QUEUE_RECORDS_MAX),
    "links": ("link_queued_bytes", QUEUE_BYTES_MAX),
    "replies": ("control_waiting_bytes", ALL_BYTES_MAX),
    "gossip in": ("gossip_unread_bytes", 0),
    "control in": ("control_unread_bytes", 0),
}


def poll_of(status: Status, t_us: int, restarts: int) -> Poll:
    return Poll(
        t_us=t_us,
        node=status.node,
        health=str(status.state),
        root=status.root,
        events=status.events,
        missing=status.missing,
        restarts=restarts,
        pid=status.pid,
        uptime_ms=status.uptime_ms,
        quiet_for_ms=status.quiet_for_ms,
        stable=status.stable,
        life=status.incarnation,
        workers={
            name: Worker(str(one.state), one.restarts, one.budget)
            for name, one in status.workers.items()
        },
        links={name: _link(peer) for name, peer in status.peers.items()},
        queues=_queues(status),
        counters=status.counters,
        logs=logs_of(status),
        logs_cut=status.places.logs > len(status.frontier),
    )


def logs_of(status: Status) -> dict[str, tuple[tuple[int, int], ...]]:
    return {str(LogId(log.origin, log.epoch)): ranges_of(log) for log in status.frontier}


def _link(peer: PeerStatus) -> Link:
    return Link(
        state=str(peer.state),
        in_sync=peer.in_sync,
        rounds=peer.rounds,
        sent_bytes=peer.sent_bytes,
        received_bytes=peer.received_bytes,
        dropped=sum(peer.dropped.values()),
        fault=peer.fault,
    )


def _queues(status: Status) -> dict[str, Queue]:
    peers = max(len(status.peers), 1)
    return {
        name: Queue(status.counters[counter], room * peers if name == "links" else room)
        for name, (counter, room) in _QUEUES.items()
        if counter in status.counters
    }
