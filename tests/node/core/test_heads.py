"""The parents of the next own event: the newest heads, found without looking at all of them."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from domain.dot import Dot, LogId
from domain.events import PARENTS_MAX
from node.core.heads import Heads
from tests.work import steps

OWN = LogId("n1", 1)


@given(st.lists(st.tuples(st.sampled_from(["n1", "n2", "n3"]), st.integers(1, 12)), max_size=60))
def test_the_parents_are_the_logs_seen_last_but_that_which_is_written(
    seen: list[tuple[str, int]],
) -> None:
    heads, order = Heads(), list[LogId]()
    for seq, (origin, epoch) in enumerate(seen, 1):
        heads.see(Dot(origin, epoch, seq))
        log = LogId(origin, epoch)
        order = [one for one in order if one != log] + [log]
    others = [log for log in order if log != OWN]
    parents = heads.parents(OWN)
    assert [dot.log for dot in parents] == sorted(others[-PARENTS_MAX:])
    heads.named(parents)
    assert {dot.log for dot in heads.parents(OWN)} == set(others[:-PARENTS_MAX][-PARENTS_MAX:])


def test_thousands_of_heads_cost_an_own_event_no_more_than_a_few() -> None:
    taken: list[int] = []
    for count in (100, 10_000):
        heads = Heads()
        for epoch in range(1, count + 1):
            heads.see(Dot("n2", epoch, 1))
        taken.append(steps(partial(heads.parents, OWN)))
    assert taken[0] == taken[1] > PARENTS_MAX
