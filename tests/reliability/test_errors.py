"""R5: the nth call fails, once or from then on: no ack without its promise, no hang, no traceback,
and recovery without loss. In the simulator's disk here, on real processes in `test_real_errors`."""

from collections import Counter

import pytest

from node.core.ports import Durability
from tests.reliability.errors import CODES, KINDS, SHORT, BrokenDisk, Fault, faults, promises_hold

MODES: tuple[Durability, ...] = ("always", "interval", "none")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("durability", MODES)
def test_whatever_fails_when_every_ack_was_true(kind: str, durability: Durability) -> None:
    fired = Counter[str]()
    for fault in faults(20):
        if fault.kind == kind:
            told = promises_hold(fault, durability)
            fired["fired"] += told.fired
            fired["refused"] += told.refused_start
    assert fired["fired"] >= 6, "the faults of this kind were never met"


def test_the_faults_are_those_that_were_promised() -> None:
    made = list(faults(20))
    assert len(made) == len(set(made)) == 2 * 20 * (len(KINDS) * len(CODES) + 1)


def test_a_short_write_is_no_error_and_loses_nothing() -> None:
    told = promises_hold(Fault("write", SHORT, 1, always=True))
    assert told.fired and not told.refused_start


def test_an_untouched_disk_is_what_a_fault_is_measured_against() -> None:
    assert not promises_hold(Fault("rename", CODES[0], 10_000, always=True)).fired
    assert BrokenDisk().fired == 0
