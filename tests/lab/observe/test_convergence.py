"""What two frontiers differ by."""

from hypothesis import given
from hypothesis import strategies as st

from domain.seqset import SeqSet
from lab.observe.convergence import Roots, forks, lacking
from node.control.messages import LogStatus

SEQS = st.frozensets(st.integers(1, 40), max_size=30)


def log(seqs: frozenset[int], origin: str = "n1", head: str = "aa") -> LogStatus:
    held = SeqSet((seq, seq) for seq in sorted(seqs))
    return LogStatus(origin, 7, held.prefix, held.above_prefix(), head)


@given(SEQS, SEQS)
def test_what_one_holds_and_the_other_lacks_is_the_difference_of_the_sets(
    left: frozenset[int], right: frozenset[int]
) -> None:
    found = lacking([log(left)], [log(right)])
    seqs = {s for one in found for a, b in one.ranges for s in range(a, b + 1)}
    assert seqs == left - right
    assert sum(one.events for one in found) == len(left - right)


def test_a_log_that_the_other_never_heard_of_is_missing_whole() -> None:
    one = log(frozenset({1, 2, 3}), "n2")
    assert [(m.origin, m.ranges) for m in lacking([one], [])] == [("n2", [(1, 3)])]
    assert lacking([], [one]) == []


def test_the_same_numbers_with_another_head_are_a_fork() -> None:
    one, other = log(frozenset({1, 2})), log(frozenset({1, 2}), head="bb")
    assert forks([one], [other]) == ["n1.7"]
    assert forks([one], [one]) == []
    assert forks([one], [log(frozenset({1, 2, 3}), head="bb")]) == []


def test_roots_are_equal_only_when_every_live_node_has_answered() -> None:
    assert Roots({"n1": "aa", "n2": "aa"}, {}).equal
    assert not Roots({"n1": "aa", "n2": ""}, {}).equal
    assert not Roots({"n1": "", "n2": ""}, {}).equal
    assert not Roots({"n1": "aa", "n2": "bb"}, {}).equal
    assert not Roots({}, {}).equal
