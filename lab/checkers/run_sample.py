"""The sample meter computes the figures of one run that batch checkers (C17, C20) compare. It reads
the trace in the same pass as the checkers.
"""

from msgspec import Struct

from lab.checkers.context import CheckContext
from lab.checkers.disk_model import HARM
from lab.checkers.verdict import Wants
from lab.trace.kinds import Boot, Handed, Totals, Visible
from lab.trace.trace import Event

# Plans speak of a kill, and of what it also does: these need not all come about in one run.
_WORDS = {
    "kill": ("kill", "disk_empty", "disk_older", "disk_other", "disk_moved", "disk_unnamed", *HARM)
}


def silent_of(totals: Totals) -> tuple[str, ...]:
    """Faults that were planned and acted on nothing."""
    return tuple(
        [
            word
            for word in totals.enabled
            if not any(totals.fired.get(one, 0) for one in _WORDS.get(word, (word,)))
        ]
    )


class Sample(Struct, frozen=True):
    """The figures of one run. Its seed must not be one of the calibration's."""

    seed: int
    lag_us: int  # sum over showings
    showings: int  # of an event at another node than its origin, for the first time
    events: int
    packets: int
    bytes: int
    enabled: tuple[str, ...] = ()  # faults that were planned ...
    silent: tuple[str, ...] = ()  # ... and acted on nothing
    relayed: int = -1  # showings of what came from another than its origin; -1: unknown
    repaired: int = -1  # showings of what came by anti-entropy, not as a rumor


class SampleMeter:
    """Takes the sample of one run, from the events that it wants. Mutable."""

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._posted: dict[str, tuple[str, int]] = {}  # by ref: where and when
        self._seen: dict[str, set[str]] = {}  # by node
        self._senders: dict[str, dict[str, str]] = {}  # by node and ref: who it came from last
        self._lag_us = 0
        self._showings = 0
        self._relayed = 0
        self._repaired = 0

    def wants(self) -> Wants:
        return {Handed: self._on_handed, Visible: self._on_visible, Boot: self._on_boot}

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        if data.via == "local":
            self._posted.setdefault(data.ref, (event.node, event.t_us))
        else:
            senders = self._senders.get(event.node)
            if senders is None:
                senders = self._senders[event.node] = {}
            senders[data.ref] = data.sender

    def _on_visible(self, event: Event) -> None:
        data = event.data
        assert type(data) is Visible
        posted = self._posted.get(data.ref)
        if posted is None:
            if self._history.lean and data.via == "local":  # a lean trace has no posts
                self._posted[data.ref] = (event.node, event.t_us)
            return
        if posted[0] == event.node:
            return
        seen = self._seen.get(event.node)
        if seen is None:
            seen = self._seen[event.node] = set()
        if data.ref not in seen:
            seen.add(data.ref)
            self._lag_us += event.t_us - posted[1]
            self._showings += 1
            self._repaired += data.via == "anti-entropy"
            senders = self._senders.get(event.node)
            if senders is not None:
                self._relayed += senders.get(data.ref, posted[0]) != posted[0]

    def _on_boot(self, event: Event) -> None:
        """What a journal gives was shown before, or was about to be: it has no lag of its own."""
        assert type(event.data) is Boot
        self._seen.setdefault(event.node, set()).update(event.data.arrivals)

    def sample(self) -> Sample:
        history = self._history
        counts: dict[str, int] = {}
        enabled: tuple[str, ...] = ()
        silent: tuple[str, ...] = ()
        if history.totals is not None:
            totals = history.totals.data
            assert type(totals) is Totals
            counts, enabled, silent = totals.counts, totals.enabled, silent_of(totals)
        lean = history.lean  # it does not tell where anything came from
        return Sample(
            seed=history.run.seed if history.run else 0,
            lag_us=self._lag_us,
            showings=self._showings,
            events=len(self._posted),
            packets=counts.get("sent", 0),
            bytes=counts.get("bytes", 0),
            enabled=enabled,
            silent=silent,
            relayed=-1 if lean else self._relayed,
            repaired=-1 if lean else self._repaired,
        )
