"""The control client: batches, replies in any order, and a dead node noticed at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from domain.dot import Dot
from lab.client.client import Client, RequestFailure, Silent, Unreachable, listening
from lab.terminal.errors import Exit
from node.control.messages import (
    Accepted,
    Done,
    Failed,
    FrontierPage,
    Post,
    ReadFrontier,
    Reply,
    Request,
)

FakeMaker = Callable[[Callable[[Request], Iterable[Reply]]], Any]


def accept(request: Request) -> list[Reply]:
    assert type(request) is Post
    dot = Dot("n1", 7, request.id)
    return [Accepted(request.id, dot, "durable", "clean", request.text)]


def test_a_request_gets_its_reply(fake_node: FakeMaker) -> None:
    node = fake_node(accept)
    with Client("n1", node.control) as client:
        reply = client.ask(Post(client.new_id(), "ana", "hello"))
    assert type(reply) is Accepted and reply.text == "hello"


def test_many_requests_travel_in_one_frame_and_replies_come_in_any_order(
    fake_node: FakeMaker,
) -> None:
    held: list[Request] = []

    def backwards(request: Request) -> list[Reply]:
        held.append(request)
        return [r for one in reversed(held) for r in accept(one)] if len(held) == 50 else []

    node = fake_node(backwards)
    with Client("n1", node.control) as client:
        client.submit([Post(client.new_id(), "ana", f"m{i}") for i in range(50)])
        came: list[Reply] = []
        while len(came) < 50:
            came += client.replies(5.0)
    assert node.frames == [50]
    assert [reply.id for reply in came] == list(range(50, 0, -1))


def test_a_late_reply_to_another_request_is_not_taken_for_the_answer(fake_node: FakeMaker) -> None:
    first: list[Request] = []

    def lagging(request: Request) -> list[Reply]:
        if not first:
            first.append(request)
            return []
        return [*accept(request), *accept(first[0])]

    node = fake_node(lagging)
    with Client("n1", node.control, timeout_s=0.2) as client:
        with pytest.raises(Silent):
            client.ask(Post(client.new_id(), "ana", "one"))
        reply = client.ask(Post(client.new_id(), "ana", "two"), 5.0)
    assert type(reply) is Accepted and reply.text == "two"


def test_nobody_listening_is_noticed_at_once(short_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        Client("n1", str(short_path / "control"))
    assert caught.value.code is Exit.UNREACHABLE
    assert time.monotonic() - began < 0.1
    assert not listening(str(short_path / "control"))


def test_a_socket_file_that_a_killed_node_left_behind_is_noticed_at_once(short_path: Path) -> None:
    import socket

    path = str(short_path / "control")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.listen()
    left.close()
    assert os.path.exists(path)
    with pytest.raises(Unreachable):
        Client("n1", path)


def test_a_node_that_dies_while_it_is_asked_is_noticed(short_path: Path) -> None:
    path = str(short_path / "control")
    program = (
        "import sys, time, zmq; s = zmq.Context().socket(zmq.ROUTER);"
        "s.bind('ipc://' + sys.argv[1])"
        "; print('up', flush=True); s.recv_multipart(); print('got', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        with Client("n1", path) as client:
            client.submit([Post(client.new_id(), "ana", "hello")])
            assert process.stdout.readline() == "got\n"
            process.send_signal(signal.SIGKILL)
            began = time.monotonic()

            def read_twice() -> None:  # the first may still bring an answer
                client.replies(10.0)
                client.replies(10.0)

            with pytest.raises(Unreachable):
                read_twice()
            assert time.monotonic() - began < 5
            with pytest.raises(Unreachable):
                client.submit([Post(client.new_id(), "ana", "again")])


def test_a_node_that_dies_between_two_requests_does_not_block_the_second(
    fake_node: FakeMaker,
) -> None:
    node = fake_node(lambda request: [Done(request.id)])
    with Client("n1", node.control) as client:
        client.expect(ReadFrontier(client.new_id()), Done)
        node.close()

        def ask_until_noticed() -> None:
            while True:  # the break is noticed by libzmq's own thread, in its own time
                client.ask(ReadFrontier(client.new_id()), timeout_s=0.1)

        began = time.monotonic()
        with pytest.raises(Unreachable):
            ask_until_noticed()
        assert time.monotonic() - began < 5


def test_a_silent_node_times_out(fake_node: FakeMaker) -> None:
    node = fake_node(lambda request: [])
    with Client("n1", node.control, timeout_s=0.1) as client, pytest.raises(Silent) as caught:
        client.ask(ReadFrontier(client.new_id()))
    assert caught.value.code is Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("bad_request", Exit.USAGE),
        ("busy", Exit.FAILED),
        ("storage_error", Exit.STORAGE),
        ("disk_full", Exit.STORAGE),
        ("ack_timeout", Exit.TIMED_OUT),
        ("stopping", Exit.UNREACHABLE),
        ("internal", Exit.FAILED),
    ],
)
def test_a_failure_carries_its_exit_code(fake_node: FakeMaker, code: Any, expected: Exit) -> None:
    node = fake_node(lambda request: [Failed(request.id, code, "because")])
    with (
        Client("n1", node.control) as client,
        pytest.raises(RequestFailure, match="n1: because") as failure,
    ):
        client.expect(ReadFrontier(client.new_id()), FrontierPage)
    assert failure.value.code is expected


def test_an_answer_of_the_wrong_kind_is_a_failure(fake_node: FakeMaker) -> None:
    node = fake_node(lambda request: [Done(request.id)])
    with (
        Client("n1", node.control) as client,
        pytest.raises(RequestFailure, match="unexpected answer Done"),
    ):
        client.expect(ReadFrontier(client.new_id()), FrontierPage)
