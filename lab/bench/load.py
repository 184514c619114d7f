"""Generates load: one client posts to one node, with as many requests in flight as its window."""

import time
from collections.abc import Sequence
from random import Random

from lab.bench.sample_texts import chat_texts
from lab.client.client import Client
from lab.terminal.errors import Problem
from node.control.messages import Accepted, Post, Reply

TEXT_BYTES = 100
WINDOW = 256
AUTHOR = "bench"
SILENCE_S = 30.0


class Texts:
    """A stream of texts of 100 bytes, the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._rng = Random(seed)

    def take(self, count: int) -> list[str]:
        return chat_texts(count, self._rng, TEXT_BYTES)


def post_all(client: Client, texts: Sequence[str], window: int = WINDOW) -> float:
    """Seconds until all texts were acknowledged, at the default level of the node.

    For each answer a new post goes out; answers that came together share a frame of new posts.
    """
    count, new_id = len(texts), client.new_id
    began = time.monotonic()
    sent = answered = 0
    while answered < count:
        room = min(window - (sent - answered), count - sent)
        if room > 0:
            client.submit([Post(new_id(), AUTHOR, text) for text in texts[sent : sent + room]])
            sent += room
        came = client.replies(SILENCE_S)
        if not came:
            raise Problem(f"{client.node} did not answer within {SILENCE_S:g} s")
        for reply in came:
            expect_accepted(reply)
        answered += len(came)
    return time.monotonic() - began


def post_ms(client: Client, text: str) -> float:
    """Milliseconds until one post was acknowledged, nothing else being in flight."""
    began = time.monotonic()
    client.expect(Post(client.new_id(), AUTHOR, text), Accepted)
    return (time.monotonic() - began) * 1000


def expect_accepted(reply: Reply) -> Accepted:
    if type(reply) is not Accepted:
        raise Problem(f"the bench was not answered as it should be: {reply}")
    return reply
