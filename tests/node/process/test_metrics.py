"""The metrics of a real node say what its status says, and their labels are bounded."""

import asyncio
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.moderation import Policy, Rule
from gossip.packets import Packet, Push
from node.control.measures import FSYNC_S, LAG_S, Histogram, Measures
from node.control.messages import Post, SetPresence
from node.core.replica import VERDICTS_MAX
from tests.node.loops import run, until
from tests.node.runtimes import RuntimeBench

RULES = Policy((Rule("soft", ("darn",), "censor"), Rule("hard", ("hell",), "reject")), ())
Labels = tuple[tuple[str, str], ...]
KINDS = {"syn", "same", "synack", "ack", "push", "feedback", "receipt", "unfold"}


class Scrape:
    """What one scrape said."""

    def __init__(self, text: str) -> None:
        assert text.endswith("\n")
        families = list(text_string_to_metric_families(text))
        self.types = {one.name: one.type for one in families}
        self.values: dict[tuple[str, Labels], float] = {}
        for family in families:
            assert family.documentation
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in self.values
                self.values[key] = sample.value

    def __call__(self, name: str, **labels: str) -> float:
        return self.values[f"chatlab_{name}", tuple(sorted(labels.items()))]

    def sum(self, name: str, **labels: str) -> float:
        """Over all labels that are not given."""
        wanted = set(labels.items())
        return sum(
            value
            for (one, has), value in self.values.items()
            if one == f"chatlab_{name}" and wanted <= set(has)
        )

    def labels(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for _, labels in self.values:
            for name, value in labels:
                found.setdefault(name, set()).add(value)
        return found


async def scrape(bench: RuntimeBench) -> Scrape:
    assert bench.runtime.metrics is not None
    url = f"http://{bench.runtime.metrics.endpoint}/metrics"

    def get() -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return str(answer.read().decode())

    bench.runtime.metrics._fresh_until_s = 0.0
    return Scrape(await asyncio.to_thread(get))


def test_what_a_scrape_says_is_what_the_status_says() -> None:
    async def main() -> None:
        async with RuntimeBench(metrics=True, policy=RULES) as bench:
            await bench.ask(
                Post(1, "ana", "hello"),
                Post(2, "ana", "darn it"),
                Post(3, "ana", "go to hell"),
                SetPresence(4, "ana", present=True),
            )
            bench.receive(5)
            await until(lambda: len(bench.replica.timeline) == 8)
            again = bench.news.packet(3)
            for _ in range(2):
                bench.runtime._on_packet(again, 200, 0)
            await until(lambda: len(bench.replica.timeline) == 11)
            status, said = await bench.status(), await scrape(bench)
            counters = status.counters
            assert said("events") == said("events_appended_total") == status.events == 11
            assert said("missing_events") == status.missing == 0
            assert said("duplicate_events_total") == counters["entries_duplicate"] == 3
            assert said("root_fingerprint") == int(status.root[:12], 16)
            assert abs(said("quiet_seconds") - status.quiet_for_ms / 1000) < 10
            assert said("unwritten_records") == 0
            for result in ("same", "missed"):
                count = said("gossip_rounds_total", result=result)
                assert count >= counters[f"rounds_{result}"]
            (peer,) = status.peers.values()
            assert said.sum("gossip_bytes_total", dir="out") >= peer.sent_bytes
            assert said("peers", state=peer.state) == said.sum("peers") == 1
            restarts = {name: said("worker_restarts_total", worker=name) for name in status.workers}
            assert restarts == dict.fromkeys(status.workers, 0)
            # Counted once for each rule: and a join is a command that moderation lets pass.
            assert said("moderation_total", verdict="clean", rule="") == 2
            assert said("moderation_total", verdict="censored", rule="soft") == 1
            assert said("moderation_total", verdict="rejected", rule="hard") == 1
            assert counters["censored"] == counters["rejected"] == 1
            assert said("convergence_lag_seconds_count") == 8
            assert said("fsync_seconds_count") == counters["journal_commits"]
            assert said.values["process_resident_memory_bytes", ()] > 1_000_000

    run(main)


def test_labels_have_few_values_and_none_that_a_person_chose() -> None:
    async def main() -> None:
        async with RuntimeBench(metrics=True, policy=RULES) as bench:
            await bench.ask(Post(1, "ana", "hello darn <b>"), Post(2, 'e"v\\il\n', "x"))
            bench.receive(2, "secret")
            await until(lambda: len(bench.replica.timeline) >= 3)
            said = await scrape(bench)
            labels = said.labels()
            les = {f"{float(bound)}" for bound in (*LAG_S, *FSYNC_S)} | {"+Inf"}
            assert labels.pop("le") == les
            assert labels.pop("kind") == KINDS
            assert labels.pop("dir") == {"in", "out"}
            assert labels.pop("peer") == {"n2"}
            assert labels.pop("state") == {"alive", "suspect", "dead"}
            assert labels.pop("result") == {"same", "differed", "useless", "missed"}
            assert labels.pop("worker") == set(bench.runtime.supervisor.statuses())
            assert labels.pop("verdict") <= {"clean", "censored", "rejected"}
            assert labels.pop("rule") <= {"", "soft", "hard"}
            assert labels.pop("reason", set()) <= {"no_address", "unreachable", "blocked"}
            assert labels.pop("strategy") == {"vector+ranges"}
            assert len(labels.pop("version")) == 1
            assert labels == {}

    run(main)


def test_histograms_count_up_to_their_bounds() -> None:
    histogram = Histogram((1, 2))
    for value in (0, 1, 1.5, 2, 99):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 103.5)


def test_own_events_and_those_that_come_back_have_no_lag() -> None:
    from domain.arrival import Arrival, Via
    from domain.clock import Stamp
    from domain.dot import Dot
    from domain.events import MessagePosted

    def arrival(via: Via, ms: int) -> tuple[int, Arrival]:
        event = MessagePosted(Dot("n2", 5, 1), Stamp(ms, 0), (), "ana", "x")
        return 1, Arrival(event, bytes(8), 1000, via)

    measures = Measures(lambda: 10_000)
    measures.arrived([arrival("local", 9000), arrival("recovery", 9000)])
    assert sum(measures.lag_s.counts) == 0
    measures.arrived([arrival("rumor", 9000), arrival("anti-entropy", 11_000)])
    assert (sum(measures.lag_s.counts), measures.lag_s.sum) == (2, 1.0)


def test_rules_that_come_and_go_cannot_fill_the_memory() -> None:
    async def main() -> None:
        async with RuntimeBench(metrics=True) as bench:
            for number in range(2 * VERDICTS_MAX):
                bench.replica._count_verdict("rejected", (f"rule-{number}",))
            assert len(bench.replica.verdicts) == VERDICTS_MAX + 1
            said = await scrape(bench)
            assert said("moderation_total", verdict="rejected", rule="other") == VERDICTS_MAX
            assert said.sum("moderation_total") == 2 * VERDICTS_MAX

    run(main)


def test_a_node_that_serves_none_measures_nothing() -> None:
    async def main() -> None:
        async with RuntimeBench() as bench:
            assert bench.runtime.metrics is None
            assert "metrics" not in bench.runtime.supervisor.statuses()
            assert not [name for name in (await bench.status()).counters if "metrics" in name]

    run(main)


def test_a_crashed_server_is_restarted_alone_and_keeps_its_port() -> None:
    async def main() -> None:
        async with RuntimeBench(metrics=True) as bench:
            server = bench.runtime.metrics
            assert server is not None
            before = server.endpoint
            bench.runtime.supervisor.crashed("metrics", RuntimeError("planted"))
            await until(lambda: bench.runtime.supervisor.statuses()["metrics"].restarts)
            said = await scrape(bench)
            assert server.endpoint == before
            assert said("worker_restarts_total", worker="metrics") == 1
            assert said.sum("worker_restarts_total") == 1

    run(main)


@pytest.mark.parametrize("durability", ["always", "interval", "none"])
def test_only_syncs_are_timed(durability: str) -> None:
    async def main() -> None:
        async with RuntimeBench(durability, metrics=True) as bench:  # type: ignore[arg-type]
            await bench.ask(Post(1, "ana", "hello", ack="written"))
            if durability != "none":
                await until(lambda: bench.runtime.running.durable == bench.runtime.running.written)
            said = await scrape(bench)
            syncs = said("fsync_seconds_count")
            assert syncs == (await bench.status()).counters["journal_commits"]
            assert bool(syncs) == (durability != "none")

    run(main)


def test_the_packets_of_the_bench_are_of_a_known_kind() -> None:
    async def main() -> None:
        async with RuntimeBench(metrics=True) as bench:
            packet: Packet = bench.news.packet(1)
            assert type(packet.body) is Push
            assert set(bench.runtime.transport.bytes_by_kind()) == {
                (way, kind) for way in ("in", "out") for kind in KINDS
            }

    run(main)
