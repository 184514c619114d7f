"""Reloading: makes running nodes read a changed cluster file, and reports which need a restart.

On SIGHUP a node reads its file again, and applies the settings that a running process can change. A
node that still runs with other settings afterwards needs a restart: it was started by an older
version, or from a file that has another name now, or it cannot read the file. A paused node reads
the file when it is resumed.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from signal import SIGHUP

from msgspec import Struct

from lab.client.location import policy_in
from lab.client.panel import statuses_of
from lab.cluster.cluster import Cluster
from lab.terminal.errors import Problem
from node.config.applied import applied, differing
from node.config.cluster_file import load

OLDER, SILENT = "an older version", "it does not answer"
RELOAD_S = 5.0
ASK_S = 1.0
POLL_S = 0.02


class ChangedNode(Struct, frozen=True):
    """What became of the running nodes whose file has changed: by node, the names of settings."""

    taken: dict[str, list[str]]
    left: dict[str, list[str]]
    paused: list[str]


def bring_up_to_date(cluster: Cluster, names: Iterable[str]) -> ChangedNode:
    """Ask those of these running nodes that have other settings than the file to read it again."""
    place = cluster.place
    config, policy = load(Path(place.file)), policy_in(Path(place.file))
    mark = place.mark
    cluster_id = mark.id if mark is not None else place.id
    wanted = {name: applied(config, name, policy, cluster_id) for name in names}
    before = _behind(cluster, wanted)
    paused = [name for name in before if cluster.paused(name)]
    for name in before:
        try:
            cluster.signal(name, SIGHUP)
        except Problem:  # it has just ended; `ps` says so
            continue
    left = {name: one for name, one in before.items() if name not in paused}
    until = time.monotonic() + RELOAD_S
    while left and time.monotonic() < until:
        time.sleep(POLL_S)
        left = _behind(cluster, {name: wanted[name] for name in left})
    taken = {
        name: one
        for name, one in before.items()
        if name not in (*left, *paused) and one != [SILENT]  # it was only slow
    }
    return ChangedNode(taken, left, paused)


def _behind(cluster: Cluster, wanted: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """Who answers with something else, or not at all."""
    statuses = statuses_of([cluster.place.nodes[name] for name in wanted], ASK_S)
    behind: dict[str, list[str]] = {}
    for name, told in wanted.items():
        if name not in statuses:
            behind[name] = [SILENT]
        elif not statuses[name].settings:
            behind[name] = [OLDER]
        elif changed := differing(statuses[name].settings, told):
            behind[name] = changed
    return behind
