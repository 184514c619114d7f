"""The pump: it reads all that comes, and never keeps the loop for long."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import zmq

from node.sockets.pump import DRAIN_MAX, DRAIN_S, Pump
from tests.node.loops import run, until


class Clocked:
    """A real loop with a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        return self.now_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class Ends:
    """A pair of sockets, of which one is pumped; a message takes so long."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.takes_s = takes_s
        self.drains: list[list[bytes]] = [[]]
        self.loop = Clocked()
        self.near = self._end(zmq.PULL)
        self.far = self._end(zmq.PUSH)
        self.near.bind("inproc://x")
        self.far.connect("inproc://x")
        self.begin: Callable[[], Pump] = lambda: Pump(
            self.loop,  # type: ignore[arg-type]
            self.near,
            self._heard,
            lambda: self.drains.append([]),
        )

    def _end(self, kind: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        return socket

    def _heard(self, parts: list[bytes]) -> None:
        self.drains[-1] += parts
        self.loop.now_s += self.takes_s

    @property
    def sizes(self) -> list[int]:
        return [len(one) for one in self.drains if one]

    def close(self, pump: Pump) -> None:
        pump.close()
        self.context.destroy(linger=0)


@pytest.mark.parametrize(
    ("takes_s", "count", "sizes"),
    [
        (0.0, 2 * DRAIN_MAX + 1, [DRAIN_MAX, DRAIN_MAX, 1]),
        (0.0, DRAIN_MAX, [DRAIN_MAX]),
        (DRAIN_S / 2, 2, [2]),  # the second one ends when the time does
        (DRAIN_S / 2, 3, [2, 1]),
        (DRAIN_S / 2.5, 5, [3, 2]),
        (DRAIN_S * 4, 3, [1, 1, 1]),
    ],
)
def test_a_drain_ends_after_so_many_messages_or_so_long_and_goes_on_in_another_turn(
    takes_s: float, count: int, sizes: list[int]
) -> None:
    async def main() -> None:
        ends = Ends(takes_s)
        for number in range(count):
            ends.far.send(b"%d" % number)
        pump = ends.begin()  # all of it came before the descriptor was watched
        await until(lambda: sum(ends.sizes) == count)
        assert ends.sizes == sizes
        heard = [one for drain in ends.drains for one in drain]
        assert heard == [b"%d" % number for number in range(count)]
        ends.close(pump)

    run(main)


def test_a_signal_that_a_call_took_away_is_made_up_for_by_looking() -> None:
    async def main() -> None:
        ends = Ends()
        pump = ends.begin()
        await until(lambda: len(ends.drains) > 1)
        ends.far.send(b"one")
        assert ends.near.poll(1000)  # asks for the events, and so takes the signal away
        assert pump.look() & zmq.POLLIN
        await until(lambda: ends.sizes == [1])
        drains = len(ends.drains)
        assert not pump.look() & zmq.POLLIN
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(ends.drains) == drains, "nothing has come: nobody looks again"
        ends.far.send(b"two")
        await until(lambda: ends.sizes == [1, 1])  # the descriptor alone says so
        ends.close(pump)

    run(main)


def test_a_closed_pump_reads_nothing_that_it_was_about_to() -> None:
    async def main() -> None:
        ends = Ends()
        ends.far.send(b"one")
        pump = ends.begin()
        pump.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ends.drains == [[]]
        assert ends.near.recv(zmq.DONTWAIT) == b"one"
        ends.close(pump)

    run(main)
