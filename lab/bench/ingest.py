"""How fast one node takes messages durably, from one client.

`ack` is the node's own promise, `durable`. The bare baseline appends as many records, of the size
that they have in the node's journal, in as many commits as the node made meanwhile: what is left is
the price of everything but the disk. With the window as the batch the disk alone is faster; that is
the second ratio, without a goal.
"""

from lab.bench import bare
from lab.bench.cluster import client_of, cluster_of, journal_files, status_of
from lab.bench.figures import Bare, Figure, figure, quantiles
from lab.bench.load import TEXT_BYTES, WINDOW, Texts, post_all, post_ms
from lab.bench.process import size_bytes
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
                same.append(count / bare.append_s(count, record, commits))
                full.append(count / bare.append_s(count, record, count // WINDOW))
            took_ms = [post_ms(client, text) for text in texts.take(scale.singles)]
    single_ms = bare.append_ms(min(BARE_SINGLES, scale.singles), record)
    ratios = [ours / theirs for ours, theirs in zip(rates, same, strict=True)]
    ratios_full = [ours / theirs for ours, theirs in zip(rates, full, strict=True)]
    window = f"window {WINDOW}"
    raw = Bare("append + fdatasync, as many commits", tuple(same))
    name = "append + fdatasync of one"
    p50, p99 = (Bare(name, tuple(quantiles(single_ms, share))) for share in (0.5, 0.99))
    return [
        figure(
            "ingest",
            f"{window}, {TEXT_BYTES} B texts",
            "msg/s",
            rates,
            goal=60_000,
            at_most=False,
            bare=raw,
            note=f"{count:,} messages a run",
        ),
        figure("ingest", "of the raw append", "x", ratios, goal=0.35, at_most=False, bare=None),
        figure("ingest", f"of the raw append, {WINDOW} in each commit", "x", ratios_full),
        figure("ingest", "messages in a commit", "", together),
        figure("ingest", "window 1, ack p50", "ms", quantiles(took_ms, 0.5), goal=1, bare=p50),
        figure("ingest", "window 1, ack p99", "ms", quantiles(took_ms, 0.99), goal=3, bare=p99),
    ]
