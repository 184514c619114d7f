"""After an attack, whatever was said in it, honest nodes soon hold all that honest nodes wrote."""

import gc

import pytest

from gossip.packets import Line, Syn
from tests.gossip.attacked import Attacked
from tests.gossip.builders import chain, entry
from tests.gossip.engines import Flying, Net, sent_by

SETTLED_MS = 2000
ATTACK_MS = 3000
FORGED_MS = 20_000  # thousands of logs, of which a delta has room for some
LOOK_MS = 2500


@pytest.mark.parametrize("seed", [3, 5])
def test_what_honest_nodes_wrote_converges_soon_after_an_attack(seed: int) -> None:
    attacked = Attacked(seed)
    attacked.run(500)
    attacked.run(ATTACK_MS, attack=True)
    assert len(attacked.written) > 200
    assert sum(attacked.lacking().values()) > 10, "nothing was kept from anybody: no attack"
    assert attacked.until(lambda: attacked.settled, 20_000) <= SETTLED_MS
    for _ in range(FORGED_MS // LOOK_MS):
        attacked.until(lambda: attacked.agreed, LOOK_MS)
        if not attacked.lacking_with_room():
            break
    else:
        pytest.fail("forged entries converge, too, where there is a place for them")


def test_what_an_engine_makes_is_freed_without_the_collector() -> None:
    """So a node need not stop for full collections: `COLLECT_AFTER` in `node.process.lifecycle`."""
    attacked = Attacked(7)
    attacked.run(500)
    gc.collect()
    gc.disable()
    try:
        attacked.run(1000, attack=True)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_news_in_a_disputed_log_does_not_wait_for_the_tags_of_all_others() -> None:
    """A packet has room for the tags of a few logs, where entries are large."""
    net = Net("n1", "n2", "n3")
    forked = [
        one
        for epoch in range(1, 41)
        for one in (
            *chain("a", 4, size=60_000, epoch=epoch),
            entry("a", 1, branch="b", epoch=epoch),
        )
    ]
    written = [*chain("n1", 300), entry("n1", 100, branch="b")]
    net.hold("n1", [*forked, *written])
    net.hold("n2", [*forked, *written[:200], written[-1]])
    tags = [Line("n1", 1, 200, b"made up!", [], b"made up!")]
    net.arrive(Flying("n3", "n1", sent_by("n3", Syn(bytes(16), 0, tags))))
    net.flying.clear()
    net.call("n2", "n1")
    net.settle()
    assert net["n1"].frontier.root == net["n2"].frontier.root, "in one exchange"
