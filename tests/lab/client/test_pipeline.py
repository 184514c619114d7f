"""Every line of a stream gets exactly one fate, and a bad line never stops the lines after it."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dot import Dot
from domain.events import TEXT_BYTES_MAX
from lab.client.client import Client, Unreachable
from lab.client.pipeline import WINDOW, Lines, Pipeline
from lab.terminal.errors import Exit, Problem
from node.control.messages import Accepted, Failed, Post, Refused, Reply, Request

FakeMaker = Callable[[Callable[[Request], Iterable[Reply]]], Any]


def accept(request: Request) -> list[Reply]:
    assert type(request) is Post
    dot = Dot("n1", 7, request.id)
    if request.text == "bad":
        return [Refused(request.id, "moderation", "no", ["rule"])]
    if request.text == "full":
        return [Failed(request.id, "disk_full", "full")]
    return [Accepted(request.id, dot, "durable", "clean", request.text)]


@pytest.fixture
def stream() -> Iterator[Callable[[bytes], int]]:
    ends: list[int] = []

    def make(data: bytes) -> int:
        read_end, write_end = os.pipe()
        ends.append(read_end)

        def write() -> None:
            with os.fdopen(write_end, "wb") as file:
                file.write(data)

        threading.Thread(target=write, daemon=True).start()
        return read_end

    yield make
    for end in ends:
        os.close(end)


class Run:
    def __init__(self, client: Client) -> None:
        self.replies: list[tuple[int, Reply]] = []
        self.bad: list[tuple[int, Problem]] = []
        self.pipeline = Pipeline(
            client,
            "ana",
            "",
            5.0,
            lambda number, reply: self.replies.append((number, reply)),
            lambda number, problem: self.bad.append((number, problem)),
        )


def test_each_line_is_one_message(fake_node: FakeMaker, stream: Callable[[bytes], int]) -> None:
    node = fake_node(accept)
    with Client("n1", node.control) as client:
        run = Run(client)
        run.pipeline.run(stream("one\ntwo\r\nthrée\nlast".encode()))
    texts = [r.text for r in node.requests]
    assert texts == ["one", "two", "thrée", "last"]
    summary = run.pipeline.summary
    assert (summary.sent, summary.acked, summary.refused, summary.unknown) == (4, 4, 0, 0)
    assert run.pipeline.first_code is None


def test_bad_lines_are_named_and_the_others_still_go(
    fake_node: FakeMaker, stream: Callable[[bytes], int]
) -> None:
    node = fake_node(accept)
    long = b"x" * (TEXT_BYTES_MAX + 1)
    fits = b"y" * TEXT_BYTES_MAX
    lines = [b"one", b"\xff\xfe", long, b"bad", fits, b"full", b"two", b"z" * 3_000_000, b"end"]
    with Client("n1", node.control) as client:
        run = Run(client)
        run.pipeline.run(stream(b"\n".join(lines) + b"\n"))
    summary = run.pipeline.summary
    assert [number for number, _ in run.bad] == [2, 3, 8]
    assert [problem.code for _, problem in run.bad] == [Exit.USAGE, Exit.REFUSED, Exit.REFUSED]
    assert "byte 0" in str(run.bad[0][1])
    assert summary.sent == 6 and summary.acked == 4
    assert summary.refused == 3 and summary.failed == 2 and summary.unknown == 0
    assert run.pipeline.first_code is Exit.USAGE
    assert [r.text for r in node.requests if len(r.text) < 100] == [
        "one",
        "bad",
        "full",
        "two",
        "end",
    ]


def test_many_lines_stay_within_the_window(
    fake_node: FakeMaker, stream: Callable[[bytes], int]
) -> None:
    node = fake_node(accept)
    count = 5 * WINDOW
    with Client("n1", node.control) as client:
        run = Run(client)
        run.pipeline.run(stream(b"".join(b"%d\n" % i for i in range(count))))
    assert run.pipeline.summary.acked == count
    assert max(node.frames) <= WINDOW
    assert [r.text for r in node.requests] == [str(i) for i in range(count)]
    assert sorted(number for number, _ in run.replies) == list(range(1, count + 1))


def test_what_was_in_flight_when_the_node_went_away_is_unknown(
    fake_node: FakeMaker, stream: Callable[[bytes], int]
) -> None:
    got = threading.Event()

    def silent(request: Request) -> list[Reply]:
        got.set()
        return []

    node = fake_node(silent)
    with Client("n1", node.control) as client:
        run = Run(client)
        closer = threading.Thread(target=lambda: (got.wait(), node.close()))
        closer.start()
        with pytest.raises(Unreachable):
            run.pipeline.run(stream(b"one\ntwo\n"))
        closer.join()
        node.close = lambda: None
    summary = run.pipeline.summary
    assert summary.acked == 0 and summary.unknown == summary.sent > 0


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b)), st.integers(1, 7))
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines: list[bytes], step: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    splitter = Lines()
    found: list[bytes] = []
    for at in range(0, len(data), step):
        found += splitter.feed(data[at : at + step])
    found += splitter.feed(b"")
    assert found == [line.removesuffix(b"\r") for line in lines]
