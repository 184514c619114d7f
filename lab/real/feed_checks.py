"""Checks of the feeds: observers subscribe to idle nodes while some events are posted, and each
must receive exactly these events.

`report` is called with one line of text for each thing that is wrong. The posts are ops of the run
like any other, so the checkers judge them as well.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import zmq
from msgspec import Struct

from lab.client.client import Client
from lab.client.location import ClusterLocation
from lab.client.panel import statuses_of
from lab.client.remote import Dialling
from lab.client.timeline_reader import read_timeline
from lab.plan.faults import Op
from lab.real.client_sessions import Session
from node.control.messages import FeedArrival, feed_decoder
from node.security.key_files import KeyPair

WITHIN_S = 15.0
ACK_MS = 10_000
LARGE = 24_000  # characters: a packet that is worth compressing
Reporter = Callable[[str], None]


class Door(Struct, frozen=True):
    """An endpoint for an observer: a Unix socket, or a TCP endpoint with the keys for it."""

    node: str
    endpoint: str
    own: KeyPair | None = None
    public: bytes | None = None


def ops_of(nodes: Sequence[str], first: int) -> list[Op]:
    """Some of each kind and of each promise, at two nodes."""
    here, there, all_others = nodes[0], nodes[1], len(nodes) - 1
    wanted = [
        (here, "post", "to all of you", "replicated", all_others),
        (there, "post", f"large {'y' * LARGE}", "durable", 0),
        (here, "join", "", "durable", 0),
        (here, "post", "to one of you", "replicated", 1),
        (there, "post", "soon", "written", 0),
    ]
    return [
        Op(
            id=first + n,
            at_us=1 << 50,
            session="guest",
            node=node,
            action=action,  # type: ignore[arg-type]
            author="guest",
            text=text,
            ack=ack,  # type: ignore[arg-type]
            copies=copies,
            timeout_ms=ACK_MS,
        )
        for n, (node, action, text, ack, copies) in enumerate(wanted)
    ]


def watch(
    place: ClusterLocation,
    doors: Sequence[Door],
    session: Session,
    ops: list[Op],
    report: Reporter,
) -> None:
    with ExitStack() as stack:
        subs = [(door, stack.enter_context(_subscribed(door))) for door in doors]
        _await_connections(place, doors, report)
        for op in ops:
            began_s = time.monotonic()
            answer = session.ask(op)
            took_s = time.monotonic() - began_s
            if type(answer).__name__ != "Ok":
                report(
                    f"{op.node} answers {answer} to {op.action} with {op.ack}, after {took_s:.1f} s"
                )
        for door, sub in subs:
            _check(place, door, _frames(sub, len(ops)), len(ops), report)
    session.hang_up()


@contextmanager
def _subscribed(door: Door) -> Iterator["zmq.Socket[bytes]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sub = context.socket(zmq.SUB)
    sub.setsockopt(zmq.LINGER, 0)
    sub.setsockopt(zmq.SUBSCRIBE, b"")
    monitor = None
    try:
        if door.own is not None and door.public is not None:
            locked = Dialling(door.node, door.endpoint, door.own, door.public)
            monitor = locked.connect(sub)  # and waits until both have accepted each other
        else:
            sub.connect(door.endpoint)
        yield sub
    finally:
        if monitor is not None:
            sub.disable_monitor()
            monitor.close(linger=0)
        sub.close(linger=0)
        context.term()


def _await_connections(place: ClusterLocation, doors: Sequence[Door], report: Reporter) -> None:
    """Until each observer is there, and what it asked for has been read."""
    wanted = {name: sum(door.node == name for door in doors) for name in place.nodes}
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        statuses = statuses_of([place.nodes[name] for name in wanted], 2.0)
        got = {name: one.counters["feed_connections"] for name, one in statuses.items()}
        if got == wanted:
            time.sleep(0.5)  # libzmq has taken the requests in
            return
        time.sleep(0.02)
    report(f"observers are at the doors, and the feeds count {got} instead of {wanted}")


def _frames(sub: "zmq.Socket[bytes]", count: int) -> list[FeedArrival]:
    found: list[FeedArrival] = []
    while len(found) < count and sub.poll(int(WITHIN_S * 1000)):
        found.append(feed_decoder.decode(sub.recv()))
    if sub.poll(0):
        found.append(feed_decoder.decode(sub.recv()))
    return found


def _check(
    place: ClusterLocation, door: Door, frames: list[FeedArrival], count: int, report: Reporter
) -> None:
    """Every arrival, once, in order, with its number; as the timeline tells it."""
    with Client(door.node, place.nodes[door.node].control, WITHIN_S) as client:
        arrivals = read_timeline(client, "arrival").items
    numbers = [frame.number for frame in frames]
    wanted = list(range(len(arrivals) - count + 1, len(arrivals) + 1))
    where = f"the feed of {door.node}{' at its locked door' if door.own else ''}"
    if numbers != wanted:
        report(f"{where} shows the arrivals {numbers} instead of {wanted}")
    elif [frame.item for frame in frames] != arrivals[-count:]:
        report(f"{where} shows other arrivals than the timeline")
    if any(frame.node != door.node for frame in frames):
        report(f"{where} names another node")
