"""The metrics of a node, in the text format 0.0.4 of Prometheus. Needs the extra chatlab[observe].

Nothing is counted for it: when somebody asks, the status of this moment is turned into metrics, and
only the histograms of `node.control.measures` are kept beside. So a figure here and one in
`chatlab status` agree, and a node that nobody asks pays nothing.

Labels are bounded: peers, rules and workers by the cluster file, all others by the code. No text,
author or dot is in one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from node.control.measures import Histogram, Measures
from node.control.messages import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ROOT_DIGITS = 12  # hex; a float holds that many exactly

Kinds = Mapping[tuple[str, str], int]  # direction and kind of packet -> bytes
Verdicts = Mapping[tuple[str, str], int]  # verdict and rule -> commands
Labelled = Iterable[tuple[tuple[str, ...], float]]  # values of labels, in order, and a value


class MetricsText(Collector):
    """`render` returns the text of one scrape, and its content type."""

    def __init__(
        self,
        *,
        status: Callable[[], Status],
        appended: Callable[[], int],
        kinds: Callable[[], Kinds],
        verdicts: Verdicts,
        measures: Measures,
        build: tuple[str, str],
    ) -> None:
        self._status = status
        self._appended = appended
        self._kinds = kinds
        self._verdicts = verdicts
        self._measures = measures
        self._version, self._strategy = build
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self) -> tuple[bytes, str]:
        return generate_latest(self._registry), CONTENT_TYPE

    def describe(self) -> Iterator[Metric]:
        """Nothing: a registry that is told nothing asks for no values before the first scrape."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield from self._held(status)
        yield from self._gossip(status)
        yield from self._health(status)
        yield _histogram(
            "chatlab_convergence_lag_seconds",
            "From when an event of another node was said until it was visible here.",
            self._measures.lag_s,
        )
        yield _histogram(
            "chatlab_fsync_seconds",
            "How long the journal took to make what was written durable.",
            self._measures.fsync_s,
        )

    def _held(self, status: Status) -> Iterator[Metric]:
        counters = status.counters
        yield _gauge("chatlab_events", "Events that this node shows.", status.events)
        yield _counter(
            "chatlab_events_appended_total",
            "Events that came to be visible here since the start: written, and durable if asked.",
            [],
            [((), self._appended())],
        )
        yield _gauge(
            "chatlab_missing_events", "Events known to exist and not held here.", status.missing
        )
        yield _counter(
            "chatlab_duplicate_events_total",
            "Events that came and were held already.",
            [],
            [((), counters["entries_duplicate"])],
        )
        yield _gauge(
            "chatlab_root_fingerprint",
            "The first 48 bits of the root: nodes with equal values hold the same events.",
            int(status.root[:ROOT_DIGITS], 16),
        )
        yield _gauge(
            "chatlab_quiet_seconds",
            "For so long nothing new has come.",
            status.quiet_for_ms / 1000,
        )
        yield _gauge(
            "chatlab_unwritten_records",
            "Records that wait to be written to the journal.",
            counters["journal_queued_records"],
        )

    def _gossip(self, status: Status) -> Iterator[Metric]:
        counters, peers = status.counters, status.peers
        useless = counters["rounds_useless"]
        yield _counter(
            "chatlab_gossip_rounds_total",
            "Rounds by result: roots were the same; differed; differed, and a round before had "
            "not helped (useless); or no answer came in time (missed).",
            ["result"],
            [
                (("same",), counters["rounds_same"]),
                (("differed",), counters["rounds_differed"] - useless),
                (("useless",), useless),
                (("missed",), counters["rounds_missed"]),
            ],
        )
        yield _counter(
            "chatlab_gossip_bytes_total",
            "Bytes of packets that went out and came in, by kind of packet.",
            ["dir", "kind", "strategy"],
            [((*key, self._strategy), size) for key, size in self._kinds().items()],
        )
        yield _counter(
            "chatlab_peer_bytes_total",
            "Bytes of packets that went to a peer and came from it.",
            ["dir", "peer"],
            [(("out", name), peer.sent_bytes) for name, peer in peers.items()]
            + [(("in", name), peer.received_bytes) for name, peer in peers.items()],
        )
        dropped = sum((Counter(peer.dropped) for peer in peers.values()), Counter())
        yield _counter(
            "chatlab_packets_dropped_total",
            "Packets that were not sent, by reason.",
            ["reason"],
            [((reason,), count) for reason, count in sorted(dropped.items())],
        )
        states = Counter(peer.state for peer in peers.values())
        yield _gauge(
            "chatlab_peers",
            "Peers by state.",
            [((state,), states[state]) for state in ("alive", "suspect", "dead")],
            ["state"],
        )

    def _health(self, status: Status) -> Iterator[Metric]:
        yield _counter(
            "chatlab_worker_restarts_total",
            "Restarts of crashed workers.",
            ["worker"],
            [((name,), worker.restarts) for name, worker in status.workers.items()],
        )
        yield _counter(
            "chatlab_moderation_total",
            "Commands by verdict, and by the rules that touched them: one that two rules touch is "
            "counted under both.",
            ["verdict", "rule"],
            self._verdicts.items() or [(("clean", ""), 0)],
        )
        yield _gauge(
            "chatlab_build_info",
            "What runs here; the value is always 1.",
            [((self._version, self._strategy), 1)],
            ["version", "strategy"],
        )


def _counter(name: str, text: str, labels: list[str], values: Labelled) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _gauge(
    name: str, text: str, values: float | Labelled, labels: list[str] | None = None
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels or [])
    for key, value in [((), values)] if isinstance(values, float | int) else values:
        family.add_metric(key, value)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    """Buckets count all values up to their bound. The count is that of the last, by definition."""
    buckets, below = [], 0
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    for bound, count in zip(bounds, list(histogram.counts), strict=True):
        below += count
        buckets.append((bound, float(below)))
    family = HistogramMetricFamily(name, text)
    family.add_metric([], buckets, histogram.sum)
    return family
