"""The feed: one way, numbered, and bounded for an observer that does not keep up."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Self

import pytest
import zmq

from domain.arrival import Arrival
from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from node.control import feed
from node.control.feed import HIGH_WATER, Feed
from node.control.messages import FeedArrival, feed_decoder
from node.sockets.pump import RawContext
from tests.node.loops import run, until


def arrival(seq: int, text: str = "hello") -> tuple[int, Arrival]:
    event = MessagePosted(Dot("n1", 5, seq), Stamp(seq, 0), (), "ana", text)
    return seq, Arrival(event, bytes(8), 1000 + seq, "rumor", True)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "feed")
        self.context: RawContext = zmq.Context()
        self.feed = Feed(asyncio.get_running_loop(), self.context, node="n1", path=self.path)
        self.feed.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.feed.stop()
        self.context.destroy(linger=0)

    async def observer(self) -> zmq.Socket[bytes]:
        """A subscriber, and the feed knows of it."""
        socket = self.context.socket(zmq.SUB)
        socket.subscribe(b"")
        socket.connect(f"ipc://{self.path}")
        got: list[FeedArrival] = []

        def heard() -> bool:
            self.feed.publish([arrival(0)])
            return drained(socket, got) > 0

        await until(heard)
        self.feed.publish([arrival(9999)])
        await until(lambda: drained(socket, got) and got[-1].number == 9999)
        return socket


def test_every_arrival_is_published_with_its_number(tmp_path: Path) -> None:
    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observer = await bench.observer()
            bench.feed.publish([arrival(n) for n in range(1, 6)])
            got: list[FeedArrival] = []
            await until(lambda: drained(observer, got) == 5)
            assert [one.number for one in got] == [1, 2, 3, 4, 5]
            item = got[0].item
            assert (got[0].node, item.received_at_ms, item.via, item.skewed) == (
                "n1",
                1001,
                "rumor",
                True,
            )
            assert item.event == arrival(1)[1].event

    run(main)


def test_nothing_is_encoded_while_nobody_subscribes(tmp_path: Path) -> None:
    async def main() -> None:
        async with Bench(tmp_path) as bench:
            encoded: list[object] = []
            encode = bench.feed._encode

            def counted(value: object) -> bytes:
                encoded.append(value)
                return encode(value)

            bench.feed._encode = counted
            bench.feed.publish([arrival(1), arrival(2)])
            assert (encoded, bench.feed.published) == ([], 2)
            observer = await bench.observer()
            assert encoded
            observer.close(linger=0)
            await until(lambda: not bench.feed.watched)
            encoded.clear()
            bench.feed.publish([arrival(3)])
            assert encoded == []

    run(main)


def test_nobody_can_forge_the_end_of_a_subscription(tmp_path: Path) -> None:
    """Whatever an observer sends, the others are served: it is thrown away, or its own wish."""

    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observer = await bench.observer()
            with bench.context.socket(zmq.XSUB) as rude:
                rude.connect(f"ipc://{bench.path}")
                for message in (
                    [b"\0"],
                    [b"hello"],
                    [b"a", b"\1t"],
                    [b"\0t"],
                    [b"b", b"\0"],
                    [b""],
                ):
                    rude.send_multipart(message)
                await until(lambda: bench.feed.refused)
                bench.feed.publish([arrival(1)])
                got: list[FeedArrival] = []
                await until(lambda: drained(observer, got) == 1)
            assert bench.feed.watched

    run(main)


def drained(observer: zmq.Socket[bytes], got: list[FeedArrival]) -> int:
    while observer.poll(0):
        got.append(feed_decoder.decode(observer.recv()))
    return len(got)


def drained_to(observer: zmq.Socket[bytes], got: list[FeedArrival], number: int) -> bool:
    return drained(observer, got) > 0 and got[-1].number == number


def test_an_observer_that_subscribes_misses_nothing_after_it(tmp_path: Path) -> None:
    """The subscription is taken in when it comes, not with the next publication."""

    async def main() -> None:
        async with Bench(tmp_path) as bench:
            socket = bench.context.socket(zmq.XSUB)
            monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            socket.connect(f"ipc://{bench.path}")
            socket.send(b"\x01")
            await until(lambda: monitor.poll(0))
            for _ in range(50):
                await asyncio.sleep(0.002)
            bench.feed.publish([arrival(1)])
            got: list[FeedArrival] = []
            await until(lambda: drained(socket, got))
            assert got[0].number == 1
            socket.disable_monitor()

    run(main)


def test_a_slow_observer_sees_a_jump_and_holds_nobody_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observer = await bench.observer()
            many = HIGH_WATER * 20
            bench.feed.publish([arrival(n, "x" * 5000) for n in range(1, many + 1)])
            assert bench.feed.published >= many
            got: list[FeedArrival] = []
            await until(lambda: drained(observer, got) >= HIGH_WATER // 2)

            def has_room() -> bool:  # as long as there is none, the news is one more drop
                bench.feed.publish([arrival(many + 1)])
                return drained(observer, got) > 0 and got[-1].number == many + 1

            await until(has_room)
            assert len(got) < many

    run(main)


def test_what_an_observer_sends_is_never_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observer = await bench.observer()
            rude = bench.context.socket(zmq.XSUB)
            rude.setsockopt(zmq.LINGER, 0)
            rude.connect(f"ipc://{bench.path}")
            for _ in range(1000):
                rude.send(b"\x05 do something")
            bench.feed.publish([arrival(1)])
            got: list[FeedArrival] = []
            await until(lambda: drained(observer, got) == 1)

    run(main)


def resident() -> int:
    """KiB of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


FLOOD = """
import sys, zmq
with zmq.Context() as context, context.socket(zmq.XSUB) as rude:
    rude.setsockopt(zmq.LINGER, 0)
    rude.setsockopt(zmq.SNDHWM, 0)
    rude.connect(sys.argv[1])
    for number in range(100_000):
        rude.send(b"\\x01" + b"%d a topic of some length" % number)
    print("sent", flush=True)
    sys.stdin.read()
"""


def test_many_topics_of_one_observer_are_not_kept_and_others_hear_everything(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observer = await bench.observer()
            before = resident()
            rude = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-c", FLOOD, f"ipc://{bench.path}"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert rude.stdout is not None
            sent = asyncio.ensure_future(rude.stdout.readline())
            got: list[FeedArrival] = []
            rounds = 0

            def over() -> bool:
                nonlocal rounds
                rounds += 1
                bench.feed.publish([arrival(rounds)])
                drained(observer, got)
                return sent.done() and bench.feed.refused > 0 and rounds >= 100

            await until(over)
            await until(lambda: drained(observer, got) == rounds)
            assert [one.number for one in got] == list(range(1, rounds + 1))
            assert resident() - before < 8 * 1024
            rude.kill()
            await rude.wait()

    run(main)


def test_who_leaves_is_noticed_and_who_asks_for_a_topic_is_hung_up_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observer = await bench.observer()
            observer.unsubscribe(b"")
            got: list[FeedArrival] = []

            def silent() -> bool:
                drained(observer, got)
                bench.feed.publish([arrival(1)])
                return not observer.poll(20)

            await until(silent)
            observer.subscribe(b"")

            def heard() -> int:
                bench.feed.publish([arrival(2)])
                return drained(observer, got)

            await until(heard)
            monitor = observer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            observer.subscribe(b"topic")
            await until(lambda: monitor.poll(0))
            assert bench.feed.refused == 1
            observer.disable_monitor()

    run(main)


def test_who_sends_nonsense_does_not_make_others_deaf(tmp_path: Path) -> None:
    """libzmq would take the subscription of one for that of another, in the same breath."""

    async def main() -> None:
        async with Bench(tmp_path) as bench:
            for number in range(30):
                evil = [bench.context.socket(zmq.XSUB) for _ in range(3)]
                for one in evil:
                    one.connect(f"ipc://{bench.path}")
                    for frame in (b"\x05nonsense", b"\x07more of it", b"\x01topic"):
                        one.send(frame)
                observer = bench.context.socket(zmq.SUB)
                observer.setsockopt(zmq.RECONNECT_IVL, 1)
                observer.subscribe(b"")
                observer.connect(f"ipc://{bench.path}")
                evil[number % 3].send(b"\x01another topic")

                def heard(observer: zmq.Socket[bytes] = observer) -> bool:
                    bench.feed.publish([arrival(0)])
                    return bool(observer.poll(0))

                await until(heard)
                for one in (*evil, observer):
                    one.close(linger=0)
            assert bench.feed.refused > 30

    run(main)


def test_a_restarted_feed_is_found_again_and_a_stopped_one_is_silent(tmp_path: Path) -> None:
    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observer = await bench.observer()
            bench.feed.stop()
            bench.feed.publish([arrival(7)])
            assert not Path(bench.path).exists()
            bench.feed.start()
            got: list[FeedArrival] = []

            def heard() -> int:
                bench.feed.publish([arrival(8)])
                return drained(observer, got)

            await until(heard)
            assert got[0].number == 8
            bench.feed.leave()
            assert not Path(bench.path).exists()

    run(main)


def test_what_all_observers_get_is_bounded_and_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "DELIVERIES_BURST", 200)
    monkeypatch.setattr(feed, "DELIVERIES_PER_S", 0)

    async def main() -> None:
        async with Bench(tmp_path) as bench:
            observers = [await bench.observer(), await bench.observer()]
            bench.feed.publish([arrival(n) for n in range(1, 1001)])
            left_out = bench.feed.counters["feed_left_out"]
            assert 1000 - 100 <= left_out < 1000
            for observer in observers:
                got: list[FeedArrival] = []
                await until(partial(drained_to, observer, got, 1000))
                numbers = [one.number for one in got if one.number <= 1000]
                assert numbers[-(1000 - left_out) :] == list(range(left_out + 1, 1001))
            bench.feed.publish([arrival(1001)])
            assert bench.feed.counters["feed_left_out"] == left_out + 1
            monkeypatch.setattr(feed, "DELIVERIES_PER_S", 1_000_000)

            def goes_out() -> bool:
                before = bench.feed.counters["feed_left_out"]
                bench.feed.publish([arrival(1002)])
                return bench.feed.counters["feed_left_out"] == before

            await until(goes_out)
            observers[0].close(linger=0)

    run(main)
