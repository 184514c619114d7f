"""Measures how fast one node takes messages from one client, in messages per second, durably.

A message counts when it is acknowledged at level `durable`. The bare baseline appends as many
records, of their size in the node's journal, in as many commits as the node made; the ratio is the
cost of everything but the disk. A second ratio, without a goal, compares with the disk alone that
commits once for each window of messages.
"""

from lab.bench import baselines
from lab.bench.cluster import client_of, cluster_of, journal_files, size_bytes, status_of
from lab.bench.figures import Bare, Figure, figure, quantiles, ratios
from lab.bench.load import TEXT_BYTES, WINDOW, Texts, post_all, post_ms
from lab.bench.session import Session

WARM_UP_SHARE = 10
BARE_SINGLES = 1000


def run(session: Session) -> list[Figure]:
    scale = session.scale
    count = scale.ingest
    rates: list[float] = []
    same: list[float] = []  # bare, as many commits
    full: list[float] = []  # bare, a window in each commit
    together: list[float] = []
    texts = Texts()
    with cluster_of(1) as cluster:
        cluster.up()
        with client_of(cluster, "n1") as client:
            post_all(client, texts.take(count // WARM_UP_SHARE))
            for _ in range(scale.repeats):
                batch = texts.take(count)
                commits = status_of(client).counters["journal_commits"]
                stored = size_bytes(journal_files(cluster, "n1"))
                rates.append(count / post_all(client, batch))
                commits = status_of(client).counters["journal_commits"] - commits
                record = (size_bytes(journal_files(cluster, "n1")) - stored) // count
                together.append(count / max(commits, 1))
                same.append(count / baselines.append_s(count, record, commits))
                full.append(count / baselines.append_s(count, record, count // WINDOW))
            took_ms = [post_ms(client, text) for text in texts.take(scale.singles)]
    single_ms = baselines.append_ms(min(BARE_SINGLES, scale.singles), record)
    single = "append + fdatasync of one"
    p50, p99 = (Bare(single, tuple(quantiles(single_ms, share))) for share in (0.5, 0.99))
    raw = Bare("append + fdatasync, as many commits", tuple(same))
    name, note = f"window {WINDOW}, {TEXT_BYTES} B texts", f"{count:,} messages a run"
    in_full = f"of the raw append, {WINDOW} in each commit"
    return [
        figure(name, "msg/s", rates, at_least=60_000, bare=raw, note=note),
        figure("of the raw append", "x", ratios(rates, same), at_least=0.35),
        figure(in_full, "x", ratios(rates, full)),
        figure("messages in a commit", "", together),
        figure("window 1, ack p50", "ms", quantiles(took_ms, 0.5), at_most=1, bare=p50),
        figure("window 1, ack p99", "ms", quantiles(took_ms, 0.99), at_most=3, bare=p99),
    ]
