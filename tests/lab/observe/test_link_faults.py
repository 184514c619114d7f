"""Faults of links become faults of the run: one for all links that have the same."""

from itertools import product

from lab.observe.event_queue import EventQueue
from lab.observe.link_faults import LinkFaults
from lab.trace.trace import Event
from lab.view.cluster_view import ClusterView
from node.network.link_faults import LinkFault

CUT = LinkFault(blocked=True)


def faults_after(*looks: dict[tuple[str, str], LinkFault]) -> list[tuple[str, str]]:
    events, view = EventQueue(), ClusterView()
    faults = LinkFaults(events)
    for links in looks:
        faults.look(links)
    for event in events.drain():
        assert isinstance(event, Event)
        view.apply(event)
    return [(one.what, one.detail) for one in view.faults.values()]


def between(left: str, right: str) -> dict[tuple[str, str], LinkFault]:
    ways = [(left.split(), right.split()), (right.split(), left.split())]
    return {link: CUT for begins, ends in ways for link in product(begins, ends)}


def test_a_partition_is_one_fault_until_it_changes() -> None:
    one, other = between("n1 n2", "n3 n4 n5"), between("n1", "n2 n3 n4 n5")
    assert faults_after(one, one) == [("partition", "n1 n2 | n3 n4 n5: blocked")]
    assert faults_after(one, other) == [("partition", "n1 | n2 n3 n4 n5: blocked")]
    assert faults_after(one, {}) == []


def test_a_cut_of_one_way_and_other_faults_have_words_of_their_own() -> None:
    links = {("n1", "n2"): CUT, ("n1", "n3"): CUT, ("n2", "n3"): LinkFault(loss=0.2, delay_ms=5)}
    assert faults_after(links | {("n3", "n1"): LinkFault()}) == [
        ("partition", "n1 to n2 n3: blocked"),
        ("loss", "n2 to n3: loss 20% delay 5ms"),
    ]
