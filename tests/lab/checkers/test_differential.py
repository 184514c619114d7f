"""Checkers against references that are obviously right, on random histories, good and bad.

CHATLAB_LONG=1 tries 100,000 histories. A failure prints the seed; `history(seed)` is the history.
"""

import os
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from lab.checkers import Judge, Thresholds, Verdict
from lab.trace.trace import Event
from tests.lab.checkers import (
    naive,
    naive_causes,
    naive_clocks,
    naive_logs,
    naive_rest,
    naive_sessions,
)
from tests.lab.checkers.generate import edited, good, torn_apart

CHUNKS = 10
COUNT = 100_000 if os.environ.get("CHATLAB_LONG") else 4_000
REFERENCES: dict[str, Callable[[list[Event]], str]] = {
    "C1": naive.c1,
    "C2": naive.c2,
    "C3": naive.c3,
    "C4": naive.c4,
    "C5": naive_logs.c5,
    "C6": naive_rest.c6,
    "C7": naive_causes.c7,
    "C8": naive_sessions.c8,
    "C9": naive_rest.c9,
    "C10": naive_rest.c10,
    "C12": naive_rest.c12,
    "C14": naive_rest.c14,
    "C16": naive_clocks.c16,
    "C17": naive_rest.c17,
    "C18": naive_rest.c18,
}


TIGHT = Thresholds(  # so that good histories meet them, and miss them, too
    bound_us=12_000,
    calm_us=19_000,
    idle_us_min=2_000,
    idle_packets_s=60,
    idle_bytes_s=1_800,
    idle_rounds_s=20,
    useless_max=3,
    answer_us=25_000,
)


def history(seed: int) -> list[Event]:
    """One in three is good, and one in twenty never agrees."""
    rng = Random(seed)
    events = torn_apart(rng) if seed % 20 == 0 else good(rng)
    return edited(rng, events) if seed % 3 else events


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_checkers_say_what_their_references_say(chunk: int) -> None:
    size = COUNT // CHUNKS
    for seed in range(chunk * size, (chunk + 1) * size):
        events = history(seed)
        judging = Judge()
        judging.see_all(events)
        for verdict in judging.verdicts():
            look(seed, events, verdict)
        if seed % 5 == 0:
            sample = judging.sample()
            told = (sample.lag_us, sample.showings, sample.relayed, sample.repaired)
            assert told == naive_rest.lags(events), f"seed {seed}"


def look(seed: int, events: list[Event], verdict: Verdict) -> None:
    told = f"seed {seed}: {verdict}"
    reference = REFERENCES.get(verdict.rule)
    if reference is not None:
        assert verdict.outcome == reference(events), told
    if verdict.outcome == "fail":
        assert seed % 3 or seed % 20 == 0, told
        assert verdict.witnesses, told
        assert all(0 <= one < len(events) for one in verdict.witnesses), told
        assert verdict.figures["violations"] >= 1, told
    assert verdict.reason, told
    assert "\n" not in verdict.reason, told


@pytest.mark.parametrize("chunk", range(4))
def test_limits_are_kept_or_not_as_their_references_say(chunk: int) -> None:
    outcomes: Counter[tuple[str, str]] = Counter()
    for seed in range(chunk * 200, (chunk + 1) * 200):
        events = history(seed)
        limits = replace(TIGHT, **{Random(seed).choice(KNOBS): 0})
        judging = Judge(limits, only=("C6", "C12"))
        judging.see_all(events)
        for verdict in judging.verdicts():
            reference = {"C6": naive_rest.c6, "C12": naive_rest.c12}[verdict.rule]
            assert verdict.outcome == reference(events, limits), f"seed {seed}: {verdict}"
            outcomes[verdict.rule, verdict.outcome] += 1
    assert min(outcomes[rule, what] for rule in ("C6", "C12") for what in ("pass", "fail")) > 20


KNOBS = ("calm_us", "idle_packets_s", "idle_bytes_s", "idle_rounds_s", "useless_max")


def test_the_histories_meet_every_verdict_of_every_reference() -> None:
    """Else agreement would mean little."""
    outcomes: Counter[tuple[str, str]] = Counter()
    for seed in range(600):
        events = history(seed)
        for verdict in verdicts_of(events):
            outcomes[verdict.rule, verdict.outcome] += 1
    never_fail = {"C17"}
    for rule in REFERENCES:
        assert outcomes[rule, "pass"] > 50, rule
        assert outcomes[rule, "unknown"] > 0, rule
        assert outcomes[rule, "fail"] > 0 or rule in never_fail, rule


def verdicts_of(events: list[Event]) -> list[Verdict]:
    judging = Judge()
    judging.see_all(events)
    return judging.verdicts()


@pytest.mark.parametrize("chunk", range(4))
def test_quiet_times_are_those_counted_one_millisecond_at_a_time(chunk: int) -> None:
    for seed in range(chunk * 15, (chunk + 1) * 15):
        events = good(Random(seed))
        if "end" not in naive.phases(events):
            continue
        judging = Judge(only=("C11",))
        judging.see_all(events)
        (verdict,) = judging.verdicts()
        figures = verdict.figures
        times = (figures["claimed_us"], figures["stable_us"], figures["both_us"])
        assert times == naive_rest.quiet_times(events), f"seed {seed}"
