"""The control socket with a stand-in for the replica: every request gets exactly one reply."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
import zmq

from domain.commands import Join, Leave, PostMessage
from node.control.answers import CLIENT_READS_MAX, READ_BYTES_MAX, REPLY_BYTES
from node.control.messages import (
    FRAME_BYTES_MAX,
    Accepted,
    ClearFaults,
    Done,
    Failed,
    FrontierPage,
    Post,
    PresencePage,
    ReadFrontier,
    ReadPresence,
    Refused,
    Reply,
    SetFault,
    SetPresence,
)
from node.core.interface import Acked, Denied, Outcome, Unmet
from node.core.ports import AckLevel
from node.network.link_faults import LinkFault
from node.storage.files import StorageError
from tests.node.controls import DOT, Bench, Client, acked
from tests.node.loops import run, until


def test_a_post_becomes_a_submit_and_its_outcome_the_reply() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.client.send(Post(7, "ana", "hello", "replicated:2", 900))
            await until(lambda: bench.submits)
            (submit,) = bench.submits
            assert submit.command == PostMessage("ana", "hello")
            assert (submit.ack, submit.copies, submit.timeout_ms) == (AckLevel.REPLICATED, 2, 900)
            assert bench.control.flying == 1
            bench.answer(acked)
            reply = (await bench.client.get())[0]
            assert reply == Accepted(7, DOT, "replicated:2", "clean", "hello", [])
            assert bench.control.flying == 0

    run(main)


def test_outcomes_of_every_kind_reach_the_one_who_asked() -> None:
    async def main() -> None:
        async with Bench() as bench:
            other = Client(bench)
            bench.client.send(SetPresence(1, "ana", True), SetPresence(2, "ana", False))
            await until(lambda: len(bench.submits) == 2)
            other.send(Post(1, "bea", "x"), Post(2, "bea", "y"))
            await until(lambda: len(bench.submits) == 4)
            commands = [submit.command for submit in bench.submits]
            assert commands[:2] == [Join("ana"), Leave("ana")]
            outcomes: Iterator[Outcome] = iter(
                [
                    Acked(DOT, AckLevel.WRITTEN, 0, "", ()),
                    Denied("domain", "no such name", ()),
                    Acked(DOT, AckLevel.DURABLE, 0, "*", ("mild",)),
                    Unmet("ack_timeout", "only 1 of 2", DOT),
                ]
            )
            bench.answer(lambda _: next(outcomes))
            assert await bench.client.get(2) == [
                Accepted(1, DOT, "written", "clean", "", []),
                Refused(2, "domain", "no such name", []),
            ]
            assert await other.get(2) == [
                Accepted(1, DOT, "durable", "censored", "*", ["mild"]),
                Failed(2, "ack_timeout", "only 1 of 2", DOT),
            ]

    run(main)


def test_replies_of_one_turn_share_frames_of_bounded_size() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.client.send(*(Post(i, "a", "x" * 10_000) for i in range(300)))
            await until(lambda: len(bench.submits) == 300)
            bench.answer(acked)
            await until(lambda: len(bench.client.replies) == 300)
            sizes = [len(msgspec.msgpack.encode(frame)) for frame in bench.client.frames]
            assert 3 <= len(sizes) <= 5
            assert max(sizes) <= REPLY_BYTES + 100
            assert [reply.id for reply in bench.client.replies] == list(range(300))

    run(main)


def test_reads_and_faults_are_answered_at_once() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.client.send(
                ReadFrontier(1),
                SetFault(2, ["n2"], loss=0.2, delay_ms=50, jitter_ms=20),
                SetFault(3, ["n9"], loss=0.2),
                SetFault(4, loss=2),
            )
            replies = await bench.client.get(4)
            assert [type(reply) for reply in replies] == [FrontierPage, Done, Failed, Failed]
            assert bench.faults.get("n2") == LinkFault(loss=0.2, delay_ms=50, jitter_ms=20)
            bad = [reply for reply in replies if type(reply) is Failed]
            assert [reply.code for reply in bad] == ["bad_request"] * 2
            assert "n9" in bad[0].reason
            assert "loss is 2" in bad[1].reason
            bench.client.send(ClearFaults(5))
            assert await bench.client.get() == [Done(5)]
            assert bench.faults.whole("n2")
            assert [note.event for note in bench.notes] == ["faults_set", "faults_cleared"]

    run(main)


def test_frames_that_make_no_sense_get_a_reason_and_nothing_crashes() -> None:
    async def main() -> None:
        async with Bench() as bench:
            socket = bench.client.socket
            socket.send(b"")
            socket.send(b"\xc1")
            socket.send(b"\x91" * 5000)
            socket.send(msgspec.msgpack.encode({"type": "post"}))
            socket.send_multipart([b"a", b"b"])
            for reply in await bench.client.get(5):
                assert type(reply) is Failed
                assert (reply.id, reply.code) == (0, "bad_request")
                assert reply.reason
                assert "\n" not in reply.reason
            rng = Random(3)
            good = msgspec.msgpack.encode([ReadPresence(1), Post(2, "a", "b", "written")])
            for _ in range(2000):
                at = rng.randrange(len(good))
                socket.send(good[:at] + bytes([rng.randrange(256)]) + good[at + 1 :])
            bench.client.send(ReadPresence(99))
            await until(lambda: any(reply.id == 99 for reply in bench.client.replies))

    run(main)


def test_a_bad_request_costs_only_its_own_reply() -> None:
    async def main() -> None:
        async with Bench() as bench:
            parts: list[object] = [
                ReadPresence(1),
                {"type": "post", "id": 2, "author": "a"},
                {"type": "dance", "id": 3},
                "hello",
                {"type": "post", "id": 5, "author": "a", "text": 5},
                ReadPresence(6),
            ]
            bench.client.socket.send(msgspec.msgpack.encode(parts))
            replies = await bench.client.get(6)
            assert [reply.id for reply in replies] == [1, 2, 3, 0, 5, 6]
            assert [type(reply) is Failed for reply in replies] == [False, *[True] * 4, False]
            assert bench.control.counters["control_bad"] == 4

    run(main)


def test_too_many_in_flight_are_told_to_wait() -> None:
    async def main() -> None:
        async with Bench(client_flying_max=10, flying_max=15) as bench:
            other = Client(bench)
            bench.client.send(*(Post(i, "a", "x") for i in range(12)))
            busy = await bench.client.get(2)
            assert [type(reply) is Failed and reply.code for reply in busy] == ["busy"] * 2
            assert [reply.id for reply in busy] == [10, 11]
            other.send(*(Post(i, "b", "x") for i in range(6)))
            assert [reply.id for reply in await other.get()] == [5]
            bench.answer(acked)
            assert len(await bench.client.get(10)) == 10
            assert len(await other.get(5)) == 5
            bench.client.send(Post(99, "a", "x"))
            await until(lambda: len(bench.submits) == 1)

    run(main)


def test_too_many_reads_in_one_frame_are_told_to_wait() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.client.send(*(ReadPresence(i) for i in range(CLIENT_READS_MAX + 3)))
            replies = await bench.client.get(CLIENT_READS_MAX + 3)
            busy = [reply for reply in replies if type(reply) is Failed]
            assert [(reply.id, reply.code) for reply in busy] == [
                (256, "busy"),
                (257, "busy"),
                (258, "busy"),
            ]

    run(main)


def test_reads_of_a_client_that_does_not_read_are_not_answered_before_it_does() -> None:
    """What is not read yet is bounded, nothing is lost, and others are answered meanwhile."""

    async def main() -> None:
        async with Bench() as bench:
            bench.views.size = 400_000
            lazy = Client(bench, limit=1)
            lazy.send(Post(200, "a", "x"), *(ReadPresence(i) for i in range(200)))
            await until(lambda: bench.control.counters["control_waiting_bytes"] >= READ_BYTES_MAX)
            other = Client(bench)
            other.send(ReadPresence(1))
            assert len(await other.get()) == 1
            assert bench.views.answered < 40
            waiting = bench.control.counters["control_waiting_bytes"]
            assert waiting <= READ_BYTES_MAX + 500_000
            replies = await lazy.get(200)
            assert [reply.id for reply in replies] == list(range(200))
            assert bench.control.counters["control_waiting_bytes"] == 0
            await until(lambda: len(bench.control._clients) == 1)  # its command is in flight
            assert [one.frames_bytes for one in bench.control._clients.values()] == [0]

    run(main)


def test_many_reads_take_turns_with_others_and_with_the_loop() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.views.takes_s = 0.004
            greedy, other = bench.client, Client(bench)
            greedy.send(*(ReadPresence(i) for i in range(200)))
            await until(lambda: bench.views.answered)
            answered = bench.views.answered
            other.send(ReadPresence(1))
            assert len(await other.get()) == 1
            assert bench.views.answered - answered < 30
            assert len(await greedy.get(200)) == 200

    run(main)


def test_when_too_much_waits_for_all_who_has_read_nothing_for_longest_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("node.control.server.ALL_BYTES_MAX", 4_000_000)

    async def main() -> None:
        async with Bench() as bench:
            bench.views.size = 500_000
            crowd = [Client(bench, limit=1) for _ in range(8)]
            for lazy in crowd:
                lazy.send(*(ReadPresence(i) for i in range(100)))
                await until(lambda: not bench.control._turns and bench.views.answered)
            await until(lambda: bench.control.counters.get("control_hung_up_unread_answers"))
            assert bench.control.counters["control_waiting_bytes"] <= 4_000_000
            other = Client(bench)
            other.send(ReadPresence(1))
            assert len(await other.get()) == 1

    run(main)


def test_a_view_that_cannot_read_the_journal_says_so_and_tells_the_node() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.views.fails = StorageError("00000001.seg: offset 40: damaged", final=True)
            bench.client.send(ReadPresence(1))
            (answer,) = await bench.client.get()
            assert answer == Failed(1, "storage_error", "00000001.seg: offset 40: damaged")
            assert bench.damage == [bench.views.fails]

    run(main)


def test_a_view_that_fails_is_an_answer_and_a_note() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.views.fails = KeyError("lost")
            bench.client.send(ReadPresence(1))
            (reply,) = await bench.client.get()
            assert type(reply) is Failed
            assert reply.code == "internal"
            assert "KeyError" in reply.reason
            assert [note.event for note in bench.notes] == ["view_failed"]

    run(main)


def test_a_stopping_node_refuses_commands_and_answers_what_is_pending() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.client.send(Post(1, "a", "x"))
            await until(lambda: bench.submits)
            bench.control.leave()
            assert not os.path.exists(bench.path)
            bench.client.send(Post(2, "a", "y"), ReadPresence(3))
            stopping, page = await bench.client.get(2)
            assert type(stopping) is Failed
            assert stopping.code == "stopping"
            assert type(page) is PresencePage
            bench.control.fail_all("stopping", "the node stopped")
            bench.control.flush()
            assert await bench.client.get() == [Failed(1, "stopping", "the node stopped")]
            assert bench.control.flying == 0
            bench.answer(acked)  # too late: it has its answer
            bench.control.fail_all("stopping", "twice")
            assert bench.control.flying == 0
            bench.client.send(ReadPresence(4))
            assert [reply.id for reply in await bench.client.get()] == [4]

    run(main)


def test_a_client_that_hangs_up_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.client.send(*(Post(i, "a", "x") for i in range(50)))
            await until(lambda: len(bench.submits) == 50)
            bench.client.socket.close(linger=0)
            other = Client(bench)
            other.send(ReadPresence(1))
            await other.get()
            bench.answer(acked)
            await until(lambda: not bench.control._clients)
            assert bench.control.flying == 0

    run(main)


def test_what_waited_for_a_client_is_lost_with_the_life_of_the_worker_and_counted() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.views.size = 400_000
            lazy = Client(bench, limit=1)
            lazy.send(*(ReadPresence(i) for i in range(200)))
            await until(lambda: bench.control.counters["control_waiting_bytes"] >= READ_BYTES_MAX)
            assert bench.control.counters["control_lost_replies"] == 0
            (client,) = bench.control._clients.values()
            frames = len(client.frames)
            bench.control.stop()
            assert bench.control.counters["control_waiting_bytes"] == 0
            assert bench.control.counters["control_lost_replies"] == frames > 0
            bench.control.start()

    run(main)


def test_a_client_that_does_not_read_costs_bounded_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.control.answers.CLIENT_BYTES_MAX", 2_000_000)

    async def main() -> None:
        async with Bench() as bench:
            lazy = bench.client
            lazy.socket.setsockopt(zmq.RCVHWM, 1)
            sent = 0
            while not bench.control.counters["control_lost_replies"]:
                lazy.send(*(Post(i, "a", "x" * 60_000) for i in range(50)))
                sent += 50
                await until(lambda: len(bench.submits) == 50)
                bench.answer(acked)
                (client,) = bench.control._clients.values() or [None]
                assert client is None or client.frames_bytes <= 2_000_000 + REPLY_BYTES
                assert sent < 20_000
            other = Client(bench)
            other.send(ReadPresence(1))
            assert len(await other.get()) == 1

    run(main)


def test_an_oversize_frame_costs_its_sender_the_connection_only() -> None:
    async def main() -> None:
        async with Bench() as bench:
            monitor = bench.client.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            bench.client.socket.send(bytes(FRAME_BYTES_MAX + 1))
            await until(lambda: monitor.poll(0))
            other = Client(bench)
            other.send(ReadPresence(1))
            assert len(await other.get()) == 1
            bench.client.socket.disable_monitor()

    run(main)


def test_the_socket_is_for_its_owner_only() -> None:
    async def main() -> None:
        before = os.umask(0o022)
        try:
            async with Bench() as bench:
                assert stat.S_IMODE(os.stat(bench.path).st_mode) & 0o077 == 0
                assert stat.S_IMODE(os.stat(Path(bench.path).parent).st_mode) == 0o700
                assert os.umask(0o022) == 0o022, "the umask is put back"
        finally:
            os.umask(before)

    run(main)


def test_a_restarted_worker_has_its_path_and_its_clients_back() -> None:
    async def main() -> None:
        async with Bench() as bench:
            bench.client.send(Post(1, "a", "x"))
            await until(lambda: bench.submits)
            bench.control.stop()
            assert bench.control.flying == 0
            bench.control.start()
            bench.answer(acked)  # of a life that has ended: nobody is told

            def asked_again() -> list[Reply]:  # what goes into the old connection is lost
                bench.client.send(ReadPresence(2))
                return bench.client.replies

            await until(asked_again)
            assert {reply.id for reply in bench.client.replies} == {2}

    run(main)
