"""What a process takes from the system and gives back: descriptors, and its port."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import suppress

import pytest

from node.__main__ import FILES_WANTED, _raise_file_limit
from node.network.transport import AddressInUse
from node.process import wiring as workers
from node.process.wiring import BIND_TRIES, start_transport
from node.sockets.listening import DESCRIPTORS_SPARE, spare
from tests.node.loops import run


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """Of descriptors, soft and hard; as they were, afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")


def test_so_many_descriptors_are_left_for_libzmq_or_it_is_an_error(limits: tuple[int, int]) -> None:
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, descriptors())) + 20, limits[1]))
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(DESCRIPTORS_SPARE - 1):
            os.close(taken.pop())
        with pytest.raises(OSError) as full:
            spare(0)
        assert full.value.errno == errno.EMFILE
        os.close(taken.pop())
        spare(0)
        spare(0)  # each gave back what it took
    finally:
        for one in taken:
            os.close(one)


@pytest.mark.parametrize("less", [0, 1, FILES_WANTED // 2])
def test_the_soft_limit_of_descriptors_is_raised_and_never_lowered(
    limits: tuple[int, int], less: int
) -> None:
    _, hard = limits
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted - less, 64), hard))
    _raise_file_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, hard)
    if hard == resource.RLIM_INFINITY or hard > wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + 1, hard))
        _raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted + 1, hard)


@pytest.mark.parametrize("failing", [0, 1, BIND_TRIES - 1, BIND_TRIES])
def test_a_port_that_is_just_let_go_is_waited_for_and_one_that_is_kept_is_an_error(
    monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    monkeypatch.setattr(workers, "BIND_WAIT_S", 0)
    tries = 0

    def start(_: object) -> None:
        nonlocal tries
        tries += 1
        if tries <= failing:
            raise AddressInUse("n1", "tcp://127.0.0.1:1")

    async def main() -> None:
        await start_transport(start, None)  # type: ignore[arg-type]

    if failing < BIND_TRIES:
        run(main)
    else:
        with pytest.raises(AddressInUse):
            run(main)
    assert tries == min(failing + 1, BIND_TRIES)
