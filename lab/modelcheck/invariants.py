"""Invariants: what must hold in every state of the search, as the checkers of `lab.checkers`
require it of whole runs.

C1  what was acknowledged is on the disk of its node and visible there, also after a crash
C3  one dot has one content, wherever it is: on disks, on their way there, in packets
C4  no projection shows an event twice
C5  what is visible is what is on disk, in that order: so nothing is shown that a crash can take
C6  who shows the same events names the same root, and who names the same root shows the same
and, at each act: nothing is acknowledged, shown or gossiped before it is on disk; an op is answered
once; no exception comes out of the core (`machine`).
"""

from collections.abc import Iterable, Iterator

from lab.modelcheck.node_machine import NodeMachine


def local_problems(machine: NodeMachine) -> Iterator[str]:
    """The violations that one node alone shows."""
    name = machine.name
    visible, on_disk = machine.visible(), machine.refs(machine.disk)
    for ref in machine.acked:
        if ref not in on_disk or ref not in visible:
            yield f"C1: {name} had acknowledged {ref}, and has it no longer"
    if len(set(visible)) < len(visible):
        doubled = next(ref for ref in visible if visible.count(ref) > 1)
        yield f"C4: {name} shows {doubled} twice"
    if visible != on_disk:
        yield f"C5: {name} shows {list(visible)} and has on disk {list(on_disk)}"


def forks(refs: Iterable[str]) -> Iterator[str]:
    """The violations of C3 over all nodes and packets."""
    contents: dict[str, str] = {}
    for ref in refs:
        dot, _, tag = ref.partition("#")
        if contents.setdefault(dot, tag) != tag:
            yield f"C3: {dot} is {contents[dot]} and also {tag}"
