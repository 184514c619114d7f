"""Rumor mongering (push with feedback and counter): reproduces table 1 of Demers et al. 1987,
"Epidemic Algorithms for Replicated Database Maintenance".

1,000 sites, one rumor, k = 1..5. s is the residue (the share of sites that never hear it), m the
traffic (pushes per site), t_last the cycle of the last arrival.

What runs is `gossip.rumor.Rumors`, one for each site that has heard, and each push is a packet as
bytes. The harness draws the partners and has the cycle of the paper, as far as it can be told from
the figures (notes in docs; fifteen of them fit this variant and no other that was tried):

- Every site that is infective when a cycle begins pushes to one other site, drawn uniformly.
- A push is useful if the site did not know the rumor *when the cycle began*, so that several pushes
  to one site in one cycle are all useful. A site that has just heard pushes from the next cycle on.
- A useless push counts, a useful one sets the counter back to 0, and at k the rumor cools.

`judged="arrival"` is what an engine does among processes: of several pushes in one cycle only the
first is useful. More rumors cool too early then, and the residue is larger.

s and m are tied by s = e^-m, whatever the rule. t_ave of the paper's tables 1 and 2 is not the mean
of first arrivals, nor anything else that was tried; ours is shown beside it and is not tuned.
"""

from collections.abc import Callable, Iterator
from math import exp, sqrt
from random import Random
from statistics import mean, stdev
from typing import Literal

from msgspec import Struct

from gossip.packets import PROTOCOL_VERSION, Packet, Push, Run
from gossip.rumor import Rumors
from gossip.wire import cluster_hash, decode, encode
from lab.terminal.tables import Paint, table

SITES = 1000
SHORT_TRIALS = 20
FULL_TRIALS = 200
BUDGET_BYTES = 256 * 1024
CLUSTER = cluster_hash("demers")

Judged = Literal["start", "arrival"]


class Published(Struct, frozen=True):
    residue: float
    traffic: float
    t_ave: float
    t_last: float


PUBLISHED = {
    1: Published(0.18, 1.7, 11.0, 16.8),
    2: Published(0.037, 3.3, 12.1, 16.9),
    3: Published(0.011, 4.5, 12.5, 17.4),
    4: Published(0.0036, 5.6, 12.7, 17.5),
    5: Published(0.0012, 6.7, 12.8, 17.7),
}


class Mean(Struct, frozen=True):
    value: float
    error: float  # standard error


class Row(Struct, frozen=True):
    k: int
    trials: int
    judged: Judged
    residue: Mean
    traffic: Mean
    t_ave: Mean
    t_last: Mean


class Trial(Struct, frozen=True):
    residue: float
    traffic: float
    t_ave: float
    t_last: int


def run(
    k: int,
    trials: int,
    seed: int,
    judged: Judged = "start",
    sites: int = SITES,
    tried: Callable[[], None] = lambda: None,
) -> Row:
    """One row of the table. `tried` is called after each trial."""
    done = []
    for number in range(trials):
        done.append(trial(k, sites, Random(f"demers {k} {seed} {number}"), judged))
        tried()
    return Row(
        k=k,
        trials=trials,
        judged=judged,
        residue=_mean(one.residue for one in done),
        traffic=_mean(one.traffic for one in done),
        t_ave=_mean(one.t_ave for one in done),
        t_last=_mean(float(one.t_last) for one in done),
    )


JUDGEMENTS: tuple[Judged, ...] = ("start", "arrival")


def table_1(trials: int, seed: int, tried: Callable[[], None] = lambda: None) -> list[Row]:
    """All of it, judged in both ways."""
    return [run(k, trials, seed, one, tried=tried) for one in JUDGEMENTS for k in PUBLISHED]


def _mean(values: Iterator[float]) -> Mean:
    found = list(values)
    error = stdev(found) / sqrt(len(found)) if len(found) > 1 else 0.0
    return Mean(mean(found), error)


def trial(k: int, sites: int, rng: Random, judged: Judged = "start") -> Trial:
    rumor = Run("site-0", 1, 1, [b"a rumor"])
    heard = [-1] * sites  # in which cycle; -1: not yet
    heard[0] = 0
    rumors: dict[int, Rumors] = {0: _hot(k, [rumor])}
    hot = [0]
    cycle = pushes = 0
    while hot:
        cycle += 1
        news: list[tuple[int, list[Run]]] = []
        for site in hot:
            peer = int(rng.random() * (sites - 1))
            peer += peer >= site
            pushes += 1
            told = rumors[site].tell(pushes, BUDGET_BYTES)
            runs = _carried(site, pushes, told)
            useful = heard[peer] < 0 or (judged == "start" and heard[peer] == cycle)
            if heard[peer] < 0:
                heard[peer] = cycle
                news.append((peer, runs))
            rumors[site].feedback(pushes, [useful])
        hot = [site for site in hot if rumors[site]]
        for site, runs in news:
            rumors[site] = _hot(k, runs)
            hot.append(site)
    arrived = [at for at in heard if at > 0]
    return Trial(
        heard.count(-1) / sites, pushes / sites, mean(arrived) if arrived else 0.0, max(heard)
    )


def _hot(k: int, runs: list[Run]) -> Rumors:
    rumors = Rumors(k)
    rumors.learn(runs)
    return rumors


def _carried(site: int, number: int, runs: list[Run]) -> list[Run]:
    """The runs of a push, as the other side reads them."""
    push = Push(runs, direct=False)
    packet = Packet(
        version=PROTOCOL_VERSION,
        cluster=CLUSTER,
        sender=f"site-{site}",
        incarnation=1,
        number=number,
        body=push,
    )
    body = decode(encode(packet)).body
    assert type(body) is Push
    return body.runs


# --- the table ----------------------------------------------------------------------------------


def describe(rows: list[Row]) -> str:
    """Each figure beside the published one."""
    heads = ["K", "JUDGED", "TRIALS", "S", "+-", "PAPER", "E^-M", "M", "PAPER"]
    heads += ["T_LAST", "PAPER", "T_AVE", "PAPER*"]
    lines = []
    for row in rows:
        paper = PUBLISHED[row.k]
        lines.append(
            [
                f"{row.k}",
                f"by {row.judged}",
                f"{row.trials}",
                f"{row.residue.value:.4f}",
                f"{row.residue.error:.4f}",
                f"{paper.residue:g}",
                f"{exp(-row.traffic.value):.4f}",
                f"{row.traffic.value:.2f}",
                f"{paper.traffic:g}",
                f"{row.t_last.value:.1f}",
                f"{paper.t_last:g}",
                f"{row.t_ave.value:.1f}",
                f"{paper.t_ave:g}",
            ]
        )
    remark = "* does not reproduce as the mean first arrival; see the text of this experiment"
    return f"{table(heads, lines, Paint(on=False))}\n{remark}"
