"""Link faults: what a plan says, that it follows its shares, and that a seed repeats it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.network.link_faults import DELAY_MS_MAX, WHOLE, FaultError, FaultTable, LinkFault

shares = st.floats(0, 1)
spans_ms = st.floats(0, DELAY_MS_MAX)
faults = st.builds(LinkFault, st.booleans(), shares, shares, spans_ms, spans_ms)


def table(seed: int = 1, **parts: float) -> FaultTable:
    made = FaultTable(("n2", "n3"), Random(seed))
    made.change(("n2",), **parts)  # type: ignore[arg-type]
    return made


@given(faults, st.integers(0, 2**32))
def test_the_same_seed_and_the_same_packets_give_the_same_plans(
    fault: LinkFault, seed: int
) -> None:
    plans = []
    for _ in range(2):
        made = FaultTable(("n2",), Random(seed))
        made.set({"n2": fault})
        plans.append([made.plan("n2") for _ in range(20)])
    assert plans[0] == plans[1]


@given(faults, st.integers(0, 2**32))
def test_a_plan_has_at_most_two_copies_within_the_delay_and_its_jitter(
    fault: LinkFault, seed: int
) -> None:
    made = FaultTable(("n2",), Random(seed))
    made.set({"n2": fault})
    for _ in range(20):
        plan = made.plan("n2")
        assert len(plan) <= 2
        for delay_ms in plan:
            assert delay_ms >= 0.0
            assert abs(delay_ms - fault.delay_ms) <= fault.jitter_ms + 1e-6 or delay_ms == 0.0


@given(faults, st.integers(0, 2**32))
def test_every_packet_is_counted_once_by_its_fate(fault: LinkFault, seed: int) -> None:
    made = FaultTable(("n2",), Random(seed))
    made.set({"n2": fault})
    plans = [made.plan("n2") for _ in range(50)]
    counts = made.counts("n2")
    assert counts.blocked + counts.lost == sum(not plan for plan in plans)
    assert counts.duplicated == sum(len(plan) == 2 for plan in plans)
    delays = bool(fault.delay_ms or fault.jitter_ms)
    assert counts.delayed == (sum(map(len, plans)) if delays else 0)


def test_shares_are_met_over_many_packets() -> None:
    made = table(loss=0.2, duplicate=0.1)
    plans = [made.plan("n2") for _ in range(20_000)]
    lost = sum(not plan for plan in plans) / len(plans)
    doubled = sum(len(plan) == 2 for plan in plans) / (len(plans) * (1 - lost))
    assert 0.19 < lost < 0.21
    assert 0.09 < doubled < 0.11


def test_a_blocked_link_passes_nothing_and_the_others_everything() -> None:
    made = table(blocked=True)
    assert [made.plan("n2") for _ in range(5)] == [[]] * 5
    assert made.plan("n3") == [0.0]
    assert made.whole("n3")
    assert not made.whole("n2")


def test_a_change_leaves_alone_what_it_does_not_name() -> None:
    made = table(loss=0.5)
    made.change(delay_ms=50.0, jitter_ms=20.0)
    assert made.get("n2") == LinkFault(loss=0.5, delay_ms=50.0, jitter_ms=20.0)
    assert made.get("n3") == LinkFault(delay_ms=50.0, jitter_ms=20.0)
    made.clear(("n2",))
    assert made.get("n2") is WHOLE
    assert made.get("n3") is not WHOLE
    made.clear()
    assert made.whole("n3")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"loss": 1.5}, "loss is 1.5"),
        ({"duplicate": -0.1}, "duplicate is -0.1"),
        ({"loss": float("nan")}, "loss is nan"),
        ({"delay_ms": float("inf")}, "delay_ms is inf"),
        ({"jitter_ms": 1e9}, "jitter_ms"),
    ],
)
def test_an_impossible_fault_is_one_line_and_changes_nothing(
    parts: dict[str, float], words: str
) -> None:
    made = table(loss=0.25)
    with pytest.raises(FaultError, match=words) as caught:
        made.change(**parts)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert made.get("n2") == LinkFault(loss=0.25)


def test_an_unknown_peer_is_named_with_those_that_exist() -> None:
    with pytest.raises(FaultError, match=r"'n9'.*n2, n3"):
        table().change(("n3", "n9"), loss=1.0)


def test_faults_read_as_a_person_would_write_them() -> None:
    assert WHOLE.text() == ""
    assert LinkFault(loss=0.2, delay_ms=50, jitter_ms=20).text() == "loss 20% delay 50ms±20ms"
    assert LinkFault(blocked=True, duplicate=0.055).text() == "blocked dup 5.5%"
    assert LinkFault(delay_ms=5).text() == "delay 5ms"
