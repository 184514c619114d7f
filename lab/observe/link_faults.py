"""Faults of links as statuses show them, as events of a trace: one fault for all links that have
the same, with the nodes at their ends. So a partition is one fault, as in a simulated run.
"""

from collections.abc import Mapping

from lab.observe.event_queue import EventQueue
from lab.trace.kinds import Faulted, Healed
from node.network.link_faults import LinkFault

Links = Mapping[tuple[str, str], LinkFault]  # from, to
LINKS_MAX = 12  # that are named

# As faults of simulated runs are called; the first that a link has.
_WORDS = (
    ("blocked", "partition"),
    ("loss", "loss"),
    ("duplicate", "duplicate"),
    ("delay_ms", "latency"),
    ("jitter_ms", "latency"),
)


class LinkFaults:
    """Those in effect. Mutable."""

    def __init__(self, events: EventQueue) -> None:
        self._events = events
        self._last = 0
        self._now: dict[LinkFault, tuple[int, set[tuple[str, str]]]] = {}

    def look(self, links: Links) -> None:
        """Put an event for each fault that began, ended, or is on other links than before."""
        same: dict[LinkFault, set[tuple[str, str]]] = {}
        for link, fault in links.items():
            if not fault.none:
                same.setdefault(fault, set()).add(link)
        for fault, (number, before) in list(self._now.items()):
            if same.get(fault) != before:
                self._events.put("", 0, Healed(number))
                del self._now[fault]
        for fault, ends in same.items():
            if fault not in self._now:
                self._last += 1
                self._now[fault] = self._last, ends
                nodes = tuple(sorted({node for link in ends for node in link}))
                detail = f"{described(ends)}: {fault.text()}"
                self._events.put("", 0, Faulted(self._last, word_of(fault), nodes, detail))


def word_of(fault: LinkFault) -> str:
    return next(word for name, word in _WORDS if getattr(fault, name))


def described(links: set[tuple[str, str]]) -> str:
    """`n1 n2 | n3 n4` where all between two groups are meant, both ways; else `n1 to n2 n3, ...`"""
    reached: dict[tuple[str, ...], list[str]] = {}  # whom a node's links lead to -> such nodes
    for node in sorted({begin for begin, _ in links}):
        ends = tuple(sorted(end for begin, end in links if begin == node))
        reached.setdefault(ends, []).append(node)
    groups = [(tuple(nodes), ends) for ends, nodes in reached.items()]
    if len(groups) == 2 and groups[0] == groups[1][::-1]:
        return " | ".join(" ".join(nodes) for nodes, _ in groups)
    texts = [f"{' '.join(nodes)} to {' '.join(ends)}" for nodes, ends in groups[:LINKS_MAX]]
    return ", ".join(texts) + (", …" if len(groups) > LINKS_MAX else "")
