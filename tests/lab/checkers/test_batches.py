"""C15, C19, C20 and C17 of a batch: traces compared, and runs taken together."""

from random import Random

import msgspec
import pytest

from lab.checkers import BATCH, PAIR, Band, Coverage, Judge, LagBand, Sample, calibrate
from lab.checkers.lag_band import MARGIN
from lab.trace import kinds
from lab.trace.trace import Event
from tests.lab.checkers.edits import edited, places
from tests.lab.checkers.generate import good
from tests.lab.checkers.histories import Book

# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["C15", "C19"])
def test_the_same_run_twice_is_the_same(rule: str) -> None:
    one, other = good(Random(5)), good(Random(5))
    assert one is not other
    assert PAIR[rule].compare(one, other).outcome == "pass"


@pytest.mark.parametrize("rule", ["C15", "C19"])
def test_the_first_event_that_differs_is_the_witness(rule: str) -> None:
    one = good(Random(5))
    at = places(one, kinds.Boot)[1]
    other = edited(one, at, wall_ms=1)
    verdict = PAIR[rule].compare(one, other)
    assert (verdict.outcome, verdict.witnesses) == ("fail", (at,))
    moved = [*one[:at], msgspec.structs.replace(one[at], t_us=one[at].t_us + 1), *one[at + 1 :]]
    assert PAIR[rule].compare(one, moved).witnesses == (at,)


@pytest.mark.parametrize("swap", [False, True])
def test_a_run_that_ends_early_is_another(swap: bool) -> None:
    one = good(Random(5))
    pair = (one[:-1], one) if swap else (one, one[:-1])
    verdict = PAIR["C19"].compare(*pair)
    assert (verdict.outcome, verdict.witnesses) == ("fail", (len(one) - 2,))


def test_runs_of_different_things_prove_nothing() -> None:
    one = good(Random(5))
    other = edited(one, 0, seed=8)
    for pair in ((one, other), (one, []), ([], []), (one[1:], one[1:])):
        assert PAIR["C19"].compare(*pair).outcome == "unknown"


# --- batches --------------------------------------------------------------------------------------


def sample(seed: int, lag_us: int, showings: int = 10) -> Sample:
    return Sample(seed, lag_us * showings, showings, 5, 4 * showings, 400 * showings)


def batch(rng: Random, mean_us: int, runs: int = 30) -> list[Sample]:
    return [sample(n, round(rng.uniform(0.8, 1.2) * mean_us)) for n in range(runs)]


def band() -> Band:
    rng = Random(1)
    found = calibrate([batch(rng, 1000) for _ in range(100)])
    assert found is not None
    return found


def test_a_sound_batch_is_within_the_band_and_a_slow_one_is_not() -> None:
    found = band()
    assert found.lag_us.mean < found.lag_us.highest < found.lag_us.limit
    rng = Random(2)
    outcomes = [LagBand().judge(batch(rng, 1000), found).outcome for _ in range(100)]
    assert outcomes.count("pass") >= 98
    slow = LagBand().judge(batch(rng, 1300), found)
    assert slow.outcome == "fail"
    assert "lag_us" in slow.reason


def test_the_limit_is_that_of_the_rule() -> None:
    lags = [1000 + n for n in range(100)]
    found = calibrate([[sample(0, lag)] * 30 for lag in lags])
    assert found is not None
    assert found.lag_us.limit == pytest.approx(1049.5 + MARGIN * (1099 - 1049.5))
    at_most = int(found.lag_us.limit)
    assert LagBand().judge([sample(0, at_most)] * 30, found).outcome == "pass"
    assert LagBand().judge([sample(0, at_most + 1)] * 30, found).outcome == "fail"


def test_a_batch_that_costs_more_is_found_too() -> None:
    found = band()
    dear = [msgspec.structs.replace(sample(0, 1000), packets=80)] * 30
    assert "packets" in LagBand().judge(dear, found).reason
    fat = [msgspec.structs.replace(sample(0, 1000), bytes=8000)] * 30
    assert LagBand().judge(fat, found).outcome == "fail"


def with_ways(rng: Random, relayed: float, repaired: float, runs: int = 30) -> list[Sample]:
    """Of 100 showings each."""
    return [
        msgspec.structs.replace(
            sample(n, 1000, showings=100),
            relayed=round(rng.uniform(0.5, 1.5) * relayed),
            repaired=round(rng.uniform(0.5, 1.5) * repaired),
        )
        for n in range(runs)
    ]


def test_a_batch_that_comes_by_other_ways_is_found_too() -> None:
    rng = Random(5)
    found = calibrate([with_ways(rng, 10, 20) for _ in range(100)])
    assert found is not None
    assert LagBand().judge(with_ways(rng, 10, 20), found).outcome == "pass"
    assert "relayed" in LagBand().judge(with_ways(rng, 0, 20), found).reason
    assert "repaired" in LagBand().judge(with_ways(rng, 10, 40), found).reason
    assert LagBand().judge(with_ways(rng, 40, 0), found).outcome == "pass"


def test_ways_are_judged_only_where_both_sides_tell_of_them() -> None:
    rng = Random(6)
    silent = band()
    assert (silent.relayed, silent.repaired) == (None, None)
    assert LagBand().judge(with_ways(rng, 0, 90), silent).outcome == "pass"
    found = calibrate([with_ways(rng, 10, 20) for _ in range(100)])
    untold = [msgspec.structs.replace(sample(n, 1000), relayed=-1) for n in range(30)]
    assert LagBand().judge(untold, found).outcome == "pass"


def test_without_calibration_or_runs_a_batch_is_unknown() -> None:
    judge = BATCH["C20"].judge
    assert judge(batch(Random(3), 1000), None).outcome == "unknown"
    assert judge(batch(Random(3), 1000, runs=29), band()).outcome == "unknown"
    assert judge([], band()).outcome == "unknown"
    assert judge([sample(0, 0, showings=0)] * 30, band()).outcome == "unknown"


def test_a_calibration_that_is_too_small_is_none() -> None:
    rng = Random(4)
    assert calibrate([]) is None
    assert calibrate([batch(rng, 1000) for _ in range(99)]) is None
    assert calibrate([batch(rng, 1000, runs=29) for _ in range(100)]) is None
    assert calibrate([*[batch(rng, 1000) for _ in range(99)], batch(rng, 1000, runs=31)]) is None
    assert calibrate([[sample(0, 0, showings=0)] * 30] * 100) is None


def measured(events: list[Event]) -> Sample:
    judging = Judge()
    judging.see_all(events)
    return judging.sample()


def test_a_sample_is_the_time_from_posting_to_the_first_showing_elsewhere() -> None:
    book = Book("n1", "n2", "n3")
    for name in book.nodes:
        book.boot(name)
        book.sync(name)
    book.post("n1")
    posted_us = book.t_us
    book.sync("n1")
    book.carry("n1", "n2")
    book.sync("n2")
    first_us = book.t_us - posted_us
    book.crash("n2")
    book.boot("n2")
    book.carry("n1", "n3")
    book.sync("n3")
    second_us = book.t_us - posted_us
    told = book.finish()
    assert (measured(told).relayed, measured(told).repaired) == (0, 0)
    at = next(n for n in places(told, kinds.Handed, "n3") if getattr(told[n].data, "sender", ""))
    assert measured(edited(told, at, sender="n2")).relayed == 1
    at = next(n for n in places(told, kinds.Visible, "n3"))
    assert measured(edited(told, at, via="anti-entropy")).repaired == 1
    found = measured(told)
    assert (found.lag_us, found.showings, found.events) == (first_us + second_us, 2, 1)
    assert found.packets == book.counts["sent"]
    assert found.bytes == book.bytes["bytes"]


# --- coverage -------------------------------------------------------------------------------------


def planned(enabled: tuple[str, ...], silent: tuple[str, ...]) -> Sample:
    return msgspec.structs.replace(sample(0, 1000), enabled=enabled, silent=silent)


def test_over_a_batch_every_fault_must_have_acted() -> None:
    runs = [planned(("loss", "point"), ("point",)), planned(("loss",), ("loss",))]
    verdict = Coverage().judge(runs)
    assert verdict.outcome == "unknown"
    assert "point" in verdict.reason
    assert "loss" not in verdict.reason
    assert verdict.figures["acted_loss"] == 0.5
    assert Coverage().judge([*runs, planned(("point",), ())]).outcome == "pass"
    assert Coverage().judge([]).outcome == "unknown"
