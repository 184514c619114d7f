"""C11: how often a quiet period is wrong, as a curve over its length. It never passes or fails.

A node claims to be quiet from `w` after its last arrival, or its start, until the next arrival. It
is *stable* while it shows every event that was acknowledged anywhere so far, which only an observer
of all nodes can know. Precision is the share of claimed time that is stable. Recall is the share of
stable time that is claimed. Delay is the time from becoming stable to claiming so. No `w` makes
precision 1, because a node behind a partition is quiet. The period starts again with each life of a
node, which cannot know what it missed while it was down.

An acknowledged event that all disks lost makes all nodes unstable for ever; C1 reports it.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec import Struct

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Figures, Verdict, Wants
from lab.trace.kinds import Boot, Crash, Ok, Phase, Quiet, Stopped, Visible
from lab.trace.trace import Event

RULE = CheckerRule(
    "C11",
    "quiet period",
    "A quiet period is a guess: this tells how often it was right, and judges nothing.",
    required=False,
)
Span = tuple[int, int]  # from, to


class QuietPoint(Struct, frozen=True):
    """One point of the curve. Times are sums over all nodes."""

    quiet_ms: int
    claimed_us: int
    stable_us: int
    both_us: int
    delay_us: float  # mean, of the stable spans in which there was a claim

    @property
    def precision(self) -> float | None:
        return self.both_us / self.claimed_us if self.claimed_us else None

    @property
    def recall(self) -> float | None:
        return self.both_us / self.stable_us if self.stable_us else None


class _Watch:
    """Of one node. Mutable."""

    def __init__(self) -> None:
        self.lacks: set[str] = set()
        self.since: int | None = None  # stable since
        self.stable: list[Span] = []
        self.claims: list[Span] = []  # as the node claimed
        self.news: list[int] = []  # when something arrived; the start, if something had before it
        self.lives: list[tuple[list[int], int]] = []  # news, and until when


class QuietPeriods:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._acked: set[str] = set()
        self._watches: dict[str, _Watch] = {}
        self._quiet_ms = 0
        self._end_us = 0

    def wants(self) -> Wants:
        return {
            Ok: self._on_ok,
            Visible: self._on_visible,
            Quiet: self._on_quiet,
            Boot: self._on_boot,
            Crash: self._on_end,
            Stopped: self._on_end,
            Phase: self._on_phase,
        }

    def _on_ok(self, event: Event) -> None:
        assert type(event.data) is Ok
        ref = event.data.ref
        if not ref:
            return
        self._acked.add(ref)
        views = self._history.views
        for node in self._history.up:
            watch = self._watches.get(node)
            if watch is not None and ref not in views[node].refs:
                watch.lacks.add(ref)
                self._unstable(watch, event.t_us)

    def _on_visible(self, event: Event) -> None:
        assert type(event.data) is Visible
        watch = self._watches.get(event.node)
        if watch is None:
            watch = self._watches[event.node] = _Watch()
        watch.news.append(event.t_us)
        if watch.lacks:
            watch.lacks.discard(event.data.ref)
            if not watch.lacks:
                watch.since = event.t_us

    def _on_quiet(self, event: Event) -> None:
        data = event.data
        assert type(data) is Quiet
        self._quiet_ms = data.quiet_ms
        self._watches.setdefault(event.node, _Watch()).claims.append((data.from_us, data.to_us))

    def _on_boot(self, event: Event) -> None:
        assert type(event.data) is Boot
        watch = self._watches.setdefault(event.node, _Watch())
        self._unstable(watch, event.t_us)
        watch.lacks = self._acked - set(event.data.arrivals)
        watch.since = None if watch.lacks else event.t_us
        watch.news = [event.t_us] if event.data.arrivals else []

    def _on_end(self, event: Event) -> None:
        watch = self._watches.get(event.node)
        if watch is not None:
            self._unstable(watch, event.t_us)
            watch.lives.append((watch.news, event.t_us))
            watch.news = []

    def _on_phase(self, event: Event) -> None:
        assert type(event.data) is Phase
        if event.data.name == "end":
            self._end_us = event.t_us

    @staticmethod
    def _unstable(watch: _Watch, at_us: int) -> None:
        if watch.since is not None:
            if watch.since < at_us:
                watch.stable.append((watch.since, at_us))
            watch.since = None

    # --- the curve ------------------------------------------------------------------------------

    def curve(self, widths_ms: Iterable[int]) -> list[QuietPoint]:
        """What other quiet periods would have done in this run."""
        return [
            self._point(one, {node: _claims(w, one, self._end_us) for node, w in self._nodes()})
            for one in widths_ms
        ]

    def _nodes(self) -> Iterable[tuple[str, _Watch]]:
        return self._watches.items()

    def _point(self, quiet_ms: int, claims: dict[str, list[Span]]) -> QuietPoint:
        claimed = stable = both = 0
        delays: list[int] = []
        for node, watch in self._watches.items():
            spans = watch.stable[:]
            if watch.since is not None and watch.since < self._end_us:
                spans.append((watch.since, self._end_us))
            claimed += sum(to - begin for begin, to in claims[node])
            stable += sum(to - begin for begin, to in spans)
            shared, waits = _overlap(spans, claims[node])
            both += shared
            delays += waits
        delay = sum(delays) / len(delays) if delays else 0.0
        return QuietPoint(quiet_ms, claimed, stable, both, delay)

    def verdict(self) -> Verdict:
        told = self._point(self._quiet_ms, {node: w.claims for node, w in self._watches.items()})
        figures: Figures = {
            "quiet_ms": told.quiet_ms,
            "claimed_us": told.claimed_us,
            "stable_us": told.stable_us,
            "both_us": told.both_us,
        }
        if told.precision is None or told.recall is None:
            return Verdict(RULE.id, "unknown", "nobody was quiet, or stable", (), figures)
        figures |= {"precision": told.precision, "recall": told.recall, "delay_us": told.delay_us}
        reason = f"right in {told.precision:.0%} of the quiet time, {told.recall:.0%} of the stable"
        return Verdict(RULE.id, "pass", reason, (), figures)


def _claims(watch: _Watch, quiet_ms: int, end_us: int) -> list[Span]:
    """What a quiet period of this width would have claimed."""
    spans: list[Span] = []
    for news, until in [*watch.lives, (watch.news, end_us)]:
        for at, following in zip(news, [*news[1:], until], strict=True):
            since = at + quiet_ms * 1000
            if since < following:
                spans.append((since, following))
    return spans


def _overlap(spans: Sequence[Span], claims: Sequence[Span]) -> tuple[int, list[int]]:
    """Of stable spans and claims, both sorted: the time in both, and each span's wait."""
    shared, waits, first = 0, [], 0
    for begin, to in spans:
        while first < len(claims) and claims[first][1] <= begin:
            first += 1
        waited = False
        for claimed, until in claims[first:]:
            if claimed >= to:
                break
            shared += min(to, until) - max(begin, claimed)
            if not waited:
                waits.append(max(claimed - begin, 0))
                waited = True
    return shared, waits
