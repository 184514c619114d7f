"""How soon a message is on all five disks, at 200 messages a second.

A node publishes an arrival on its feed once it is durable there. One process sends to n1 and
watches the other four feeds, so that one monotonic clock times both ends: the figure is the last of
the four frames, and so an upper bound, larger by the way of that frame. The same with the ack
`replicated:4` includes the way back: the four nodes' receipts, and the answer.

Sends are timed from their planned moment, so that a stall does not hide behind itself. The bare
baseline is a durable append of the same size on the same disk.
"""

import time

import zmq

from domain.events import MessagePosted
from lab.bench import bare
from lab.bench.cluster import client_of, cluster_of
from lab.bench.figures import Bare, Figure, figure, quantiles
from lab.bench.load import AUTHOR, TEXT_BYTES, Texts, expect_accepted
from lab.bench.session import Session
from lab.client import Client
from lab.cluster import Cluster
from lab.problem import Problem
from node.api import FeedArrival, Post, feed_decoder

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
    single_ms = bare.append_ms(BARE_COUNT, TEXT_BYTES)
    found = []
    for share, name, goal in ((0.5, "p50", 1.0), (0.99, "p99", 5.0)):
        raw = Bare("append + fdatasync of one", tuple(quantiles(single_ms, share)))
        there, back = quantiles(there_ms, share), quantiles(back_ms, share)
        found.append(
            figure("spread", f"durable at the last of 4, {name}", "ms", there, goal=goal, bare=raw)
        )
        found.append(figure("spread", f"and the answer is back, {name}", "ms", back, bare=raw))
    return found


def _answered_ms(client: Client, texts: list[str]) -> list[float]:
    """Milliseconds from the planned moment of each send to the answer that four others have it."""
    planned: dict[int, float] = {}
    took: list[float] = []
    began = time.monotonic()
    sent = 0
    while len(took) < len(texts):
        due, now = began + sent / RATE, time.monotonic()
        if sent < len(texts) and now >= due:
            request = Post(client.new_id(), AUTHOR, texts[sent], "replicated:4", ACK_TIMEOUT_MS)
            planned[request.id] = due
            client.submit([request])
            sent += 1
            continue
        wait_s = due - now if sent < len(texts) else SILENCE_S
        for reply in client.replies(wait_s):
            expect_accepted(reply)
            took.append((time.monotonic() - planned.pop(reply.id)) * 1000)
    return took


def _arrived_ms(cluster: Cluster, client: Client, texts: list[str]) -> list[float]:
    """Milliseconds from the planned moment of each send to its arrival in the last of the feeds."""
    planned = [0.0] * len(texts)
    numbers = {text: number for number, text in enumerate(texts)}
    left = [len(OTHERS)] * len(texts)
    took: list[float] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as feeds:
        feeds.setsockopt(zmq.LINGER, 0)
        feeds.setsockopt(zmq.RCVHWM, 0)
        feeds.subscribe(b"")
        for name in OTHERS:
            feeds.connect(f"ipc://{cluster.place.nodes[name].feed}")
        client.poller.register(feeds, zmq.POLLIN)
        _await_feeds(client, feeds)
        began, sent = time.monotonic(), 0
        heard = began
        while len(took) < len(texts):
            due, now = began + sent / RATE, time.monotonic()
            if sent < len(texts) and now >= due:
                planned[sent] = due
                client.submit([Post(client.new_id(), AUTHOR, texts[sent])])
                sent += 1
                continue
            for reply in client.replies(due - now if sent < len(texts) else 1.0):
                expect_accepted(reply)
            for arrival in _arrivals(feeds):
                heard, event = time.monotonic(), arrival.item.event
                number = numbers.get(event.text) if type(event) is MessagePosted else None
                if number is None:
                    continue
                left[number] -= 1
                if not left[number]:
                    took.append((heard - planned[number]) * 1000)
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
