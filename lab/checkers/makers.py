"""Makers: which op made which event.

A node takes several commands in one turn and writes what they made in one batch, so the cause that
a trace can tell may be another op of that turn. An event belongs to an op that asked the same node
for the same thing: its cause if that fits, else the oldest open one that does. An answer that names
an event settles it: ops that asked for the very same may be exchanged.
"""

from lab.kinds import Fail, Handed, Info, Invoke, Ok
from lab.trace import Event

_WHATS = {"post": "posted", "join": "joined", "leave": "left"}


class Makers:
    """Mutable."""

    __slots__ = ("_answered", "_by_seq", "_failed", "_invokes", "_open", "op_of", "ref_of")

    def __init__(self) -> None:
        self.ref_of: dict[int, str] = {}  # by op
        self.op_of: dict[str, int] = {}  # by ref
        self._invokes: dict[int, tuple[str, Invoke]] = {}  # by op: node and what is asked
        self._by_seq: dict[int, int] = {}
        self._answered: set[int] = set()  # but for ok
        self._failed: set[int] = set()
        self._open: dict[str, dict[int, Invoke]] = {}  # by node: ops that have made nothing yet

    def invoked(self, event: Event, data: Invoke) -> None:
        if data.action in _WHATS:
            self._invokes[data.op] = (event.node, data)
            self._by_seq[event.seq] = data.op
            self._open.setdefault(event.node, {})[data.op] = data

    def handed(self, event: Event, data: Handed) -> None:
        """An own event is heard of for the first time."""
        waiting = self._open.get(event.node)
        if not waiting:
            return
        cause = None if event.cause is None else self._by_seq.get(event.cause)
        fitting = [op for op, asked in waiting.items() if fits(asked, data)]
        saying = [op for op in fitting if says(waiting[op], data)]
        # One that has its answer made nothing more, if any other may have.
        alive = [op for op in saying if op not in self._answered]
        ops = alive or saying
        if cause is not None and cause in (ops or fitting):
            self._join(cause, data.ref)
        elif ops:
            self._join(ops[0], data.ref)

    def acknowledged(self, data: Ok) -> None:
        other = self.op_of.get(data.ref)
        if other is None or other == data.op or not self._alike(other, data.op):
            return
        mine = self.ref_of.pop(data.op, None)
        self._part(other)
        self._join(data.op, data.ref)
        if mine is not None:
            self._join(other, mine)

    def unmade(self, data: Fail | Info) -> None:
        """What a failed op seemed to have made may be another's."""
        self._answered.add(data.op)
        ref = self.ref_of.get(data.op)
        if type(data) is not Fail:
            return
        self._failed.add(data.op)
        if ref is None:
            return
        for other in self._open.get(self._invokes[data.op][0], ()):
            if other not in self._failed and self._alike(other, data.op):
                self._part(data.op)
                self._join(other, ref)
                return

    def _alike(self, one: int, other: int) -> bool:
        """They asked the same node for the same."""
        a, b = self._invokes.get(one), self._invokes.get(other)
        if a is None or b is None or a[0] != b[0]:
            return False
        return (a[1].action, a[1].author, a[1].text) == (b[1].action, b[1].author, b[1].text)

    def _join(self, op: int, ref: str) -> None:
        self.ref_of[op] = ref
        self.op_of[ref] = op
        self._open[self._invokes[op][0]].pop(op, None)

    def _part(self, op: int) -> None:
        ref = self.ref_of.pop(op)
        del self.op_of[ref]
        node, data = self._invokes[op]
        waiting = self._open[node] | {op: data}
        self._open[node] = {one: waiting[one] for one in self._invokes if one in waiting}


def fits(asked: Invoke, data: Handed) -> bool:
    facts = data.facts
    return facts.author == asked.author and facts.what == _WHATS.get(asked.action)


def says(asked: Invoke, data: Handed) -> bool:
    """In its words, or in a censor's, who leaves no text to compare."""
    return data.facts.text == asked.text or bool(data.facts.censored_by)
