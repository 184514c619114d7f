"""The bounded search: what it counts, what it finds, and what it says when it finds nothing."""

import pytest
from msgspec.structs import replace

from gossip.packets import Push
from lab.modelcheck import Bounds, SearchResult, Workload, search
from lab.modelcheck.fingerprint import fingerprint
from node.core.interface import Acked, Received, Submit
from node.core.replica import Replica
from tests.lab.modelcheck import naive


def found_with(
    build: type[Replica], bounds: Bounds | None = None, posts: tuple[int, ...] = (2, 0)
) -> SearchResult:
    return search(Workload(posts), bounds, build)


# --- counts ---------------------------------------------------------------------------------------


def test_a_lonely_node_is_counted_by_hand() -> None:
    """Posts made 0..2, of which the disk has 0..all: (0,0) (1,0) (1,1) (2,0) (2,1) (2,2).

    The last one is two states: both posts went out in one packet or in two, and so the number of
    the next packet differs.
    """
    found = search(Workload((2,)), Bounds(rounds=0))
    assert found.states == 7
    assert found.complete
    assert found.violation is None
    assert found.goals == 2
    assert found.goal is not None
    assert len(found.goal) == 3


@pytest.mark.parametrize(
    ("posts", "bounds"),
    [
        ((1, 0), Bounds(rounds=1)),
        ((1, 0), Bounds(rounds=1, drops=1, copies=1)),
        ((1, 0), Bounds(rounds=1, timeouts=1)),
        ((0, 0), Bounds(rounds=2, copies=1, timeouts=1)),
        ((0, 0), Bounds(rounds=2, crashes=1)),
        ((1, 0), Bounds(rounds=0, crashes=1, copies=1)),
        ((1, 0), Bounds(rounds=1, crashes=1)),
        ((1, 1), Bounds(rounds=0)),
        ((1, 0, 0), Bounds(rounds=0, drops=1)),
    ],
)
def test_it_sees_what_a_naive_search_sees(posts: tuple[int, ...], bounds: Bounds) -> None:
    """Looking up what a step does, instead of doing it, neither hides nor adds a state."""
    found = search(Workload(posts), bounds)
    assert found.complete
    assert found.states == naive.count(Workload(posts), bounds)


@pytest.mark.parametrize(
    ("posts", "bounds", "states"),
    [
        ((2, 2), Bounds(rounds=0), 3576),
        ((1, 1), Bounds(rounds=1), 1891),
        ((1, 1), Bounds(rounds=0, crashes=1, drops=1), 357),
        ((1, 1, 0), Bounds(rounds=0), 343),
    ],
)
def test_a_clean_core_is_clean(posts: tuple[int, ...], bounds: Bounds, states: int) -> None:
    """The counts are those of this protocol: if one changes, know why before you write it anew."""
    found = search(Workload(posts), bounds)
    assert found.violation is None
    assert found.complete
    assert found.goal is not None
    assert found.states == states


def test_two_searches_tell_the_same() -> None:
    one, two = (search(Workload((1, 1)), Bounds(rounds=1, drops=1)) for _ in range(2))
    for name in ("states", "steps", "locals", "depth", "goal", "goals", "nearest", "violation"):
        assert getattr(one, name) == getattr(two, name)


# --- planted bugs ---------------------------------------------------------------------------------


class AcksEarly(Replica):
    def _on_submit(self, submit: Submit) -> None:
        super()._on_submit(submit)
        dot = self._emitter.own.next_dot
        acked = Acked(type(dot)(dot.origin, dot.epoch, dot.seq - 1), submit.ack, 0, "", ())
        self._outbox.reply.append((submit.ticket, acked))


class GossipsEarly(Replica):
    def _hand_out_own(self, submit: Submit, emitted: object) -> None:
        super()._hand_out_own(submit, emitted)  # type: ignore[arg-type]
        self.engine.offer(emitted.entry, receipt=False)  # type: ignore[attr-defined]


class ForgetsItsLog(Replica):
    """After a restart it counts from 1 again."""

    def boot(self, now_ms: int, wall_ms: int, must_open_epoch: str, unsynced: int = 0) -> None:
        super().boot(now_ms, wall_ms, must_open_epoch, unsynced)
        own = self._emitter.own
        own.open(own.epoch)


class TakesTwice(Replica):
    def _take_in(self, learnt: object, via: object, sender: str) -> None:
        for _ in range(2):
            super()._take_in(learnt, via, sender)  # type: ignore[arg-type]


class LosesTheLast(Replica):
    """It reads all of its journal but the last record."""

    def restore(self, records: object) -> None:
        kept = list(records)  # type: ignore[call-overload]
        super().restore(kept[:-1] if len(kept) > 1 else kept)


class NeverListens(Replica):
    def _on_received(self, received: Received) -> None:
        pass


class NeverSilent(Replica):
    """Whatever comes, it calls again."""

    def _on_received(self, received: Received) -> None:
        super()._on_received(received)
        self.engine.call(received.packet.sender)


class HearsNoPush(Replica):
    def _on_received(self, received: Received) -> None:
        if type(received.packet.body) is not Push:
            super()._on_received(received)


@pytest.mark.parametrize(
    ("build", "bounds", "says", "steps"),
    [
        (AcksEarly, Bounds(), "n1 acknowledges n1.", 1),
        (GossipsEarly, Bounds(), "n1 gossips n1.", 1),
        (ForgetsItsLog, Bounds(crashes=1), "C3: n1.", 3),
        (TakesTwice, Bounds(), "n2: OverflowError", 3),
        (LosesTheLast, Bounds(crashes=1), "C5: n1 shows [] and has on disk ['n1.", 2),
    ],
)
def test_a_planted_bug_is_found_by_a_shortest_path(
    build: type[Replica], bounds: Bounds, says: str, steps: int
) -> None:
    found = found_with(build, bounds)
    assert found.violation is not None, found.describe()
    assert says in found.violation.what
    assert len(found.violation.path) == steps == found.depth
    assert not found.complete
    assert "VIOLATION" in found.describe()
    clean = found_with(Replica, replace(bounds, steps=steps))
    assert clean.violation is None


def test_the_path_can_be_read() -> None:
    found = found_with(ForgetsItsLog, Bounds(crashes=1))
    assert found.violation is not None
    assert found.violation.path == (
        'somebody posts "n1 says 1" at n1',
        "n1 crashes and starts again: 1 record under way, now on its disk",
        'somebody posts "n1 says 2" at n1',
    ), found.violation.path


# --- a goal that is not reached -------------------------------------------------------------------


def test_when_they_never_agree_it_says_how_near_they_came() -> None:
    found = found_with(NeverListens, Bounds(settle=False))
    assert found.violation is None
    assert found.complete
    assert found.goal is None
    assert found.goals == 0
    assert found.nearest.missing == 2
    assert found.nearest.stands[:2] == ("n1 shows n1:1, n1:2", "n2 shows nothing")
    assert "Never does everybody show everything" in found.describe()
    assert "at best 2 are missing" in found.describe()


def test_a_state_from_which_they_never_agree_is_a_violation() -> None:
    found = found_with(NeverListens)
    assert found.violation is not None
    assert found.violation.what == (
        "C6: left alone, they never agree: n1 shows n1:1; n2 shows nothing"
    )
    assert found.violation.path[:3] == (
        'somebody posts "n1 says 1" at n1',
        "left alone: the disk of n1 takes 1 record",
        "left alone: the Push of n1:1 from n1 to n2 arrives",
    )
    assert not found.complete


def test_an_exchange_that_hangs_is_no_trap() -> None:
    """Its packets are lost, and it is given up."""
    found = found_with(HearsNoPush, Bounds(rounds=2, drops=2), (1, 0))
    assert found.violation is None
    assert found.complete


def test_who_answers_without_end_is_seen() -> None:
    found = found_with(NeverSilent, Bounds(rounds=1, states=300), (1, 0))
    assert found.violation is not None
    assert found.violation.what == "C12: left alone, they never fall silent"
    assert found.violation.path[-1].endswith("steps more)")


def test_rounds_repair_what_pushes_missed_and_nothing_else_does() -> None:
    assert found_with(HearsNoPush, Bounds(rounds=0, settle=False), (1, 0)).goal is None
    assert found_with(HearsNoPush, Bounds(rounds=1, settle=False), (1, 0)).goal is not None


def test_at_the_beginning_everything_is_missing() -> None:
    found = search(Workload((1, 1)), Bounds(steps=0))
    assert found.states == 1
    assert found.nearest.missing == 4
    assert found.nearest.path == ()
    assert "(the beginning)" in found.describe()
    assert not found.complete


# --- bounds ---------------------------------------------------------------------------------------


def test_bounds_cut_a_search_off_and_it_says_so() -> None:
    few = search(Workload((2, 2)), Bounds(states=500))
    assert 500 <= few.states < 600
    short = search(Workload((2, 2)), Bounds(seconds=0.0))
    assert not few.complete
    assert not short.complete
    assert "cut off" in few.describe()
    assert short.states < 3000


# --- what counts as one state ---------------------------------------------------------------------


class Thing:
    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


def test_a_fingerprint_sees_every_field_but_the_named_ones() -> None:
    one = Thing(a=1, b=[1, {2: b"x"}], c={3, 4})
    assert fingerprint(one) == fingerprint(Thing(c={4, 3}, b=[1, {2: b"x"}], a=1))
    for other in (
        Thing(a=2, b=[1, {2: b"x"}], c={3, 4}),
        Thing(a=1, b=[1, {2: b"y"}], c={3, 4}),
        Thing(a=1, b=[1, {2: b"x"}], c={3}),
        Thing(a=1, b=[1, {2: b"x"}], c={3, 4}, d=None),
    ):
        assert fingerprint(other) != fingerprint(one)
    assert fingerprint({1: 2, 3: 4}) != fingerprint({3: 4, 1: 2})
    one.itself = one  # type: ignore[attr-defined]
    assert fingerprint(one)
