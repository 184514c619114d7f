"""The command `cluster up`: find or generate the cluster file, start the nodes that are missing,
and report the result of each.
"""

import os
import signal
import time
from pathlib import Path

import typer

from lab.cli.common import Settings, hear_ctrl_c, hint
from lab.cli.logs import LogView
from lab.client.location import (
    DEFAULT_FILE,
    GENERATED_COUNT,
    GENERATED_FILE,
    VARIABLE,
    ClusterLocation,
    check_doors_in,
    find,
    parse,
    policy_in,
    refuse_closed,
    standing_of,
)
from lab.cluster.cluster import Cluster, StartedNodes, last_lines
from lab.terminal.errors import Exit, Problem
from lab.terminal.formats import counted
from lab.terminal.tables import Paint, duration
from node.process.standard_streams import StreamError

ANSWER_S = 5.0  # for a node that runs to answer


def start_cluster(
    settings: Settings, n: int | None, *, detach: bool, fresh: bool, apply: bool
) -> None:
    began = time.monotonic()
    place = place_to_start(settings, n)
    policy_in(Path(place.file))  # one line about a bad word list, instead of one from each node
    check_doors_in(Path(place.file))
    cluster = Cluster(place)
    if fresh:
        standing_of(place)  # before anything is stopped
        cluster.down()
        swept = cluster.wipe_all()
        if swept.failed:
            raise Problem(f"not all of it could be removed: {swept.text()}", Exit.STORAGE)
    view = LogView(place, list(place.nodes), "info", None, json=False, paint=settings.paint)
    view.tails(at_end=True)  # before the start, so that no line of it is missed
    started = cluster.up()
    if cluster.adopted:
        hint(cluster.adopted)
    took_ms = (time.monotonic() - began) * 1000
    left = _reload(cluster, started, apply=apply)
    try:
        report_started(cluster, started, took_ms, settings.paint)
    except Problem:
        new = [one.node for one in started if one.state == "running" and one.took_ms is not None]
        if (
            new and not detach
        ):  # otherwise their logs are not followed, and Ctrl-C does not stop them
            cluster.stop(new)
            hint(f"stopped again: {', '.join(new)} (with -d they would run on)")
        raise
    if left:
        raise Problem(left)
    if not detach:
        _stay(cluster, view)


def _reload(cluster: Cluster, started: list[StartedNodes], *, apply: bool) -> str:
    """Those that ran already take over what has changed; returns what is left to be done."""
    from lab.cluster.reload import OLDER, bring_up_to_date

    ran = [one.node for one in started if one.state == "running" and one.took_ms is None]
    for name in cluster.former():
        if cluster.process(name):
            hint(f"{name} runs and is not in the file; end it: chatlab cluster kill {name}")
    if not ran:
        return ""
    changed = bring_up_to_date(cluster, ran)
    for name, what in changed.taken.items():
        hint(f"{name} has taken over: {', '.join(what)}")
    for name in changed.paused:
        hint(f"{name} is paused: it reads the file when it is resumed")
    left = changed.left
    if left and apply:
        if any(OLDER in what for what in left.values()):
            cluster.renew_launcher()  # it would fork what it is itself
        for one in cluster.restart(left):
            hint(f"{one.node} was restarted: {', '.join(left[one.node])}")
        left = {}
    told = "; ".join(f"{name} ({', '.join(what)})" for name, what in left.items())
    restart = "restart these with `chatlab cluster up -d --apply`"
    return f"other settings than the file says: {told}; {restart}" if told else ""


def place_to_start(settings: Settings, n: int | None) -> ClusterLocation:
    """The cluster to start: the file's, or a generated one."""
    named = settings.file is not None or bool(os.environ.get(VARIABLE))
    if named:
        if n is not None:
            text = "-n generates a cluster, --file (or $CHATLAB_CLUSTER) names one: give one"
            raise Problem(text, Exit.USAGE)
        return find(settings.file)
    generated = Path(GENERATED_FILE)
    refuse_closed(generated.parent)
    if n is not None and Path(DEFAULT_FILE).exists():
        _refuse_beside(parse(Path(DEFAULT_FILE)))
    if n is None and Path(DEFAULT_FILE).exists():
        if generated.exists():
            _retire(generated)
        return find(None)
    if n is None and generated.exists():
        return find(None)
    return _generate(generated, n if n is not None else GENERATED_COUNT, asked=n is not None)


def _generate(file: Path, n: int, asked: bool) -> ClusterLocation:
    """Write a cluster file for n nodes. The state of a generated cluster stays while n does."""
    if file.exists():
        before = parse(file)
        if len(before.nodes) == n:
            return before
        running = Cluster(before).running()
        if running:
            text = f"a generated cluster of {len(before.nodes)} nodes is running: stop it first"
            raise Problem(f"{text} with `chatlab cluster down`", Exit.USAGE)
    # Beside a cluster.yaml of one's own, the generated cluster must not share its journals.
    name = "chatlab" if not Path(DEFAULT_FILE).exists() else f"generated-{n}"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    names = ", ".join(f"n{number}" for number in range(1, n + 1))
    lines = [
        f"# Written by `chatlab cluster up{f' -n {n}' if asked else ''}`: {n} generated nodes.",
        f"name: {name}",
        "data_dir: .",
        f"nodes: [{names}]",
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not asked:
        hint(f"no {DEFAULT_FILE} here: generated a cluster of {n} nodes ({file})")
    return parse(file)


def _refuse_beside(place: ClusterLocation) -> None:
    """Commands would mean the generated cluster from then on, and that one would be forgotten."""
    running = Cluster(place).running()
    if running:
        text = f"the cluster of {DEFAULT_FILE} is running here ({', '.join(running)}): stop it"
        raise Problem(f"{text} first with `chatlab cluster down`", Exit.USAGE)


def _retire(generated: Path) -> None:
    """From here on the folder's own cluster.yaml is meant again."""
    running = Cluster(parse(generated)).running()
    if running:
        text = f"a generated cluster is running here ({', '.join(running)}): stop it first"
        raise Problem(f"{text} with `chatlab cluster down`", Exit.USAGE)
    generated.unlink()


def report_started(
    cluster: Cluster,
    started: list[StartedNodes],
    took_ms: float | None = None,
    paint: Paint | None = None,
) -> None:
    """A table of what runs, hints, and the last log lines of what does not; raises for those."""
    from lab.cli.node_table import show_states
    from lab.cluster.network_faults import put_again
    from lab.observe.node_states import states_of

    failed = [one for one in started if one.state != "running"]
    new = [one for one in started if one.state == "running" and one.took_ms is not None]
    for one in new:
        put_again(cluster, one.node)
    silent = _silent(cluster, [one.node for one in started if one.took_ms is None])
    names = {one.node for one in started}
    of_these = [state for state in states_of(cluster) if state.node in names]
    show_states(of_these, paint or Paint(on=False), started=True)
    for one in failed:
        at = cluster.place.nodes[one.node]
        before = cluster.lengths  # what an earlier start said is no reason of this one
        said = last_lines(at.stderr_file, 5, before.get(at.stderr_file, 0))
        for line in said or last_lines(at.log_file, 5, before.get(at.log_file, 0)):
            hint(f"{one.node} | {line}")
    if failed:
        nodes = ", ".join(f"{one.node} ({one.exit or one.state})" for one in failed)
        code = Exit(failed[0].code) if failed[0].code in list(Exit) else Exit.FAILED
        raise Problem(f"not started: {nodes}; more in `chatlab logs {failed[0].node}`", code)
    if silent:
        at = cluster.place.nodes[silent[0]]
        raise Problem(
            f"{', '.join(silent)} runs and does not answer at {at.control}: "
            f"`chatlab cluster restart {' '.join(silent)}`",
            Exit.UNREACHABLE,
        )
    if not new:
        hint("all of it was running already")
    elif took_ms is not None:
        hint(f"{counted(len(new), 'node')} ready in {duration(took_ms)}")
    if took_ms is not None:
        first, last = next(iter(cluster.place.nodes)), list(cluster.place.nodes)[-1]
        hint(f'talk:   chatlab send {first} "hello"       read:  chatlab timeline {last}')
        hint(f"break:  chatlab cluster kill {first}       stop:  chatlab cluster down")


def _silent(cluster: Cluster, names: list[str]) -> list[str]:
    """Which of those that ran already cannot be reached. A socket that was removed comes back soon,
    and so does the answer of a node that reads its journal.
    """
    from lab.client.panel import statuses_of

    until = time.monotonic() + ANSWER_S
    while True:
        names = [name for name in names if cluster.process(name) and not cluster.paused(name)]
        answer = statuses_of([cluster.place.nodes[name] for name in names]) if names else {}
        names = [name for name in names if name not in answer]
        if not names or time.monotonic() > until:
            return names
        time.sleep(0.1)


def _stay(cluster: Cluster, view: LogView) -> None:
    """Follow all logs until Ctrl-C, then stop all nodes. Ends by itself when no node is left."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        hear_ctrl_c()
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGHUP, stop)
        hint("following the logs; Ctrl-C stops all nodes")
        view.follow(lambda: cluster.launcher_runs() or bool(cluster.running()))
        hint("all nodes have been stopped")
    except (KeyboardInterrupt, StreamError) as ended:  # or the reader of the logs has gone
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # stopping is short: let it finish
        count = cluster.down()
        if isinstance(ended, StreamError):
            raise
        hint(f"\nstopped {counted(count, 'node')}")
        raise typer.Exit(int(Exit.DONE)) from None
