"""Measures the time until a message is on the disks of all five nodes, in ms, at 200 per second.

A node publishes an arrival on its feed once it is durable there. One process sends to n1 and reads
the feeds of the other four, so one monotonic clock measures both ends. The figure is the time of
the last of the four frames: an upper bound, because it includes the way of that frame. The same
with the ack level `replicated:4` also includes the receipts of the four nodes and the reply.

Times start at the planned moment of a send, so that a stalled sender does not hide delays. The bare
baseline is a durable append of a record of the same size to the same disk.
"""

import time
from collections.abc import Iterator

import zmq

from domain.events import MessagePosted
from lab.bench import baselines
from lab.bench.cluster import client_of, cluster_of
from lab.bench.figures import Bare, Figure, figure, quantiles
from lab.bench.load import AUTHOR, TEXT_BYTES, Texts, expect_accepted
from lab.bench.session import Session
from lab.client.client import Client
from lab.cluster.cluster import Cluster
from lab.terminal.errors import Problem
from node.control.messages import FeedArrival, Post, feed_decoder

RATE = 200
WARM_UP = 100
BARE_COUNT = 200
SILENCE_S = 10.0
OTHERS = ("n2", "n3", "n4", "n5")
ACK_TIMEOUT_MS = 30_000


def run(session: Session) -> list[Figure]:
    count = int(RATE * session.scale.paced_s)
    texts = Texts()
    with cluster_of(5) as cluster:
        cluster.up()
        with client_of(cluster, "n1") as client:
            _answered_ms(client, texts.take(WARM_UP))
            back_ms = _answered_ms(client, texts.take(count))
            there_ms = _arrived_ms(cluster, client, texts.take(count))
    single_ms = baselines.append_ms(BARE_COUNT, TEXT_BYTES)
    found = []
    for share, name, goal in ((0.5, "p50", 1.0), (0.99, "p99", 5.0)):
        raw = Bare("append + fdatasync of one", tuple(quantiles(single_ms, share)))
        there, back = quantiles(there_ms, share), quantiles(back_ms, share)
        durable = f"durable at the last of 4, {name}"
        found.append(figure(durable, "ms", there, at_most=goal, bare=raw))
        found.append(figure(f"and the answer is back, {name}", "ms", back, bare=raw))
    return found


def _paced(
    client: Client, texts: list[str], ack: str = ""
) -> Iterator[tuple[list[float], list[int]]]:
    """Post each text when it is due. Never ends; yields after each wait: when each text that was
    posted so far was due, and the numbers of those that were answered meanwhile.
    """
    due_s: list[float] = []
    numbers: dict[int, int] = {}  # by the id of the request
    began = time.monotonic()
    while True:
        due, now = began + len(due_s) / RATE, time.monotonic()
        if len(due_s) < len(texts) and now >= due:
            post = Post(client.new_id(), AUTHOR, texts[len(due_s)], ack, ACK_TIMEOUT_MS)
            numbers[post.id] = len(due_s)
            due_s.append(due)
            client.submit([post])
            continue
        came = client.replies(due - now if len(due_s) < len(texts) else SILENCE_S)
        for reply in came:
            expect_accepted(reply)
        yield due_s, [numbers[reply.id] for reply in came if reply.id in numbers]


def _answered_ms(client: Client, texts: list[str]) -> list[float]:
    """Milliseconds from the planned moment of each send to the answer that four others have it."""
    took: list[float] = []
    for due_s, answered in _paced(client, texts, "replicated:4"):
        took += [(time.monotonic() - due_s[number]) * 1000 for number in answered]
        if len(took) == len(texts):
            break
    return took


def _arrived_ms(cluster: Cluster, client: Client, texts: list[str]) -> list[float]:
    """Milliseconds from the planned moment of each send to its arrival in the last of the feeds."""
    numbers = {text: number for number, text in enumerate(texts)}
    left = [len(OTHERS)] * len(texts)
    took: list[float] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as feeds:
        feeds.setsockopt(zmq.LINGER, 0)
        feeds.setsockopt(zmq.RCVHWM, 0)
        feeds.subscribe(b"")
        for name in OTHERS:
            feeds.connect(f"ipc://{cluster.place.nodes[name].feed}")
        client.poller.register(feeds, zmq.POLLIN)  # what comes there ends a wait, too
        _await_feeds(client, feeds)
        heard = time.monotonic()
        for due_s, _ in _paced(client, texts):
            for arrival in _arrivals(feeds):
                heard, event = time.monotonic(), arrival.item.event
                number = numbers.get(event.text) if type(event) is MessagePosted else None
                if number is None:
                    continue
                left[number] -= 1
                if not left[number]:
                    took.append((heard - due_s[number]) * 1000)
            if len(took) == len(texts):
                break
            if time.monotonic() - heard > SILENCE_S:
                raise Problem(f"only {len(took)} of {len(texts)} messages came to all four feeds")
        client.poller.unregister(feeds)
    return took


def _await_feeds(client: Client, feeds: zmq.Socket[bytes]) -> None:
    """Post until all four feeds have shown one: a subscription takes a moment."""
    waiting = set(OTHERS)
    until = time.monotonic() + SILENCE_S
    while waiting:
        client.submit([Post(client.new_id(), AUTHOR, "is anybody listening?")])
        client.replies(0.05)
        waiting -= {arrival.node for arrival in _arrivals(feeds)}
        if time.monotonic() > until:
            raise Problem(f"no feed of {', '.join(sorted(waiting))}")


def _arrivals(feeds: zmq.Socket[bytes]) -> list[FeedArrival]:
    came = []
    while True:
        try:
            came.append(feed_decoder.decode(feeds.recv(zmq.NOBLOCK)))
        except zmq.Again:
            return came
