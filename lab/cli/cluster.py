"""The commands `chatlab cluster ...`: start and stop nodes, list them, inject faults by hand."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import (
    Check,
    Json,
    NodeName,
    NodeNames,
    Settings,
    SomeNodes,
    emit,
    first_problem,
    hint,
    nodes_of,
    settings_of,
)
from lab.cli.error_output import as_given
from lab.client.location import NODES_MAX, ClusterLocation
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from signal import Signals

    from lab.cluster.cluster import Cluster
    from lab.cluster.wipe import WipeResult

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Start, stop, look at and break a cluster.",
)


@app.command()
def up(
    context: typer.Context,
    n: Annotated[
        int | None,
        typer.Option("-n", metavar="N", help="N generated nodes instead of those in the file."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when all nodes are ready.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what this cluster stored before.")
    ] = False,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Restart nodes that cannot take the file's settings over."),
    ] = False,
) -> None:
    """Start the nodes that are not running and wait until each answers.

    Running nodes take over what has changed in the file. Without -d the logs follow, and Ctrl-C
    stops all nodes.
    """
    from lab.cli.cluster_up import start_cluster  # lazy: the YAML parser and more

    if n is not None and not 1 <= n <= NODES_MAX:
        raise Problem(f"-n is from 1 to {NODES_MAX}, not {n}", Exit.USAGE)
    start_cluster(settings_of(context), n, detach=detach, fresh=fresh, apply=apply)


@app.command()
def down(
    context: typer.Context,
    wipe: Annotated[bool, typer.Option("--wipe", help="Also remove all that was stored.")] = False,
) -> None:
    """Stop all nodes: SIGTERM, then SIGKILL."""
    cluster = _cluster(settings_of(context))
    former = [name for name in cluster.former() if cluster.process(name)]
    count = cluster.down()
    also = f" ({', '.join(former)}: not in the file)" if former else ""
    told = f"stopped {count} node{'' if count == 1 else 's'}{also}"
    print(told if count else "no node was running")
    if wipe:
        _say_swept(cluster.wipe_all(), cluster.place)


@app.command()
def ps(context: typer.Context, check: Check = False, json: Json = False) -> None:
    """List the nodes: state, pid, uptime, restarts, events, alive peers, faults.

    With --check: exit 7 unless every node of the file is `running`.
    """
    from lab.cli.node_table import show_states
    from lab.observe.node_states import as_wanted, states_of

    settings = settings_of(context)
    cluster = _cluster(settings)
    states = states_of(cluster)
    for what in cluster.under_former_names():
        hint(f"{what}: `chatlab cluster down` stops them")
    if json:
        for state in states:
            emit(state)
    else:
        show_states(states, settings.paint)
    if check and (unlike := [f"{one.node} is {one.state}" for one in states if not as_wanted(one)]):
        raise Problem("not as wanted: " + ", ".join(unlike), Exit.VERDICT_FALSE)


@app.command()
def kill(
    context: typer.Context,
    nodes: NodeNames,
    signal: Annotated[
        str, typer.Option("--signal", "-s", metavar="SIGNAL", help="KILL, TERM, INT, …")
    ] = "KILL",
) -> None:
    """Kill nodes as a crash would. They stay down until `restart`."""
    number = _signal(signal)
    cluster = _cluster(settings_of(context))
    always = cluster.place.restart == "always"
    after = "restart: always starts it again" if always else "chatlab cluster restart {0}"

    def one(name: str) -> None:
        gone = cluster.kill(name, number)
        ended = "ended" if gone else "runs on"
        if not gone and cluster.paused(name):
            ended = f"is paused: it takes it when it is woken, chatlab cluster resume {name}"
        back = f"; bring it back: {after.format(name)}" if gone else ""
        if name not in cluster.place.nodes:
            back = "; it is not in the file"
        print(as_given(f"{name} got SIG{signal.upper().removeprefix('SIG')} and {ended}{back}"))

    _each(cluster, nodes, one)


@app.command()
def restart(context: typer.Context, nodes: NodeNames) -> None:
    """Stop nodes if they run, and start them: they recover from their journals."""
    from lab.cli.cluster_up import report_started

    settings = settings_of(context)
    cluster = _cluster(settings)
    names = nodes_of(cluster.place, nodes)
    report_started(cluster, cluster.restart(names))


@app.command()
def pause(context: typer.Context, nodes: NodeNames) -> None:
    """Freeze nodes (SIGSTOP): alive, silent, and with all their memory."""
    from signal import SIGSTOP

    cluster = _cluster(settings_of(context))

    def one(name: str) -> None:
        cluster.signal(name, SIGSTOP)
        print(as_given(f"{name} is paused; wake it: chatlab cluster resume {name}"))

    _each(cluster, nodes, one)


@app.command()
def resume(context: typer.Context, nodes: NodeNames) -> None:
    """Let paused nodes go on (SIGCONT)."""
    from signal import SIGCONT

    cluster = _cluster(settings_of(context))

    def one(name: str) -> None:
        cluster.signal(name, SIGCONT)
        print(f"{name} goes on")

    _each(cluster, nodes, one)


@app.command()
def wipe(context: typer.Context, nodes: NodeNames) -> None:
    """Lose a node's disk: kill it if it runs, and remove all that it stored."""
    from lab.cluster.wipe import WipeResult

    cluster = _cluster(settings_of(context))
    names = [cluster.node(name).name for name in dict.fromkeys(nodes)]
    swept = WipeResult()
    stopped = cluster.wipe(names, swept)
    for name in names:
        was = "stopped and wiped" if name in stopped else "wiped"
        again = f"; start it empty: chatlab cluster restart {name}"
        print(f"{name} is {was}{again if name in cluster.place.nodes else ''}")
    if swept.left:
        print(swept.text())


@app.command()
def partition(
    context: typer.Context,
    groups: Annotated[list[str], typer.Argument(metavar="n1,n2 n3,n4,n5")],
    one_way: Annotated[
        bool,
        typer.Option("--one-way", help="Only packets from the first group to the others are lost."),
    ] = False,
) -> None:
    """Cut every link between the groups; within a group all goes on."""
    from lab.cluster.network_faults import cut, cut_already

    cluster = _cluster(settings_of(context))
    sides = [_group(cluster.place, group) for group in groups]
    if len(sides) < 2:
        text = "a partition needs at least two groups, for example: n1,n2 n3,n4,n5"
        raise Problem(text, Exit.USAGE)
    named = [name for side in sides for name in side]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise Problem(f"{twice} is in two groups: a node has one side only", Exit.USAGE)
    before = cut_already(cluster)
    first_problem(cut(cluster, sides, one_way))
    arrow = " -x-> " if one_way else " | "
    print(f"partitioned {arrow.join(','.join(side) for side in sides)}")
    if before:
        hint(f"this adds to what was cut before: {', '.join(before)}")
    hint("undo: chatlab cluster heal")


@app.command()
def heal(context: typer.Context, nodes: SomeNodes = None) -> None:
    """Remove all network faults: partitions, loss, duplication, delay."""
    from lab.cluster.network_faults import heal_nodes

    cluster = _cluster(settings_of(context))
    names = nodes_of(cluster.place, nodes)
    first_problem(heal_nodes(cluster, names))
    print("healed " + ("all nodes" if not nodes else ", ".join(names)))


@app.command()
def fault(
    context: typer.Context,
    node: NodeName,
    peers: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="P", help="Only on the link to P; may be repeated."),
    ] = None,
    loss: Annotated[str | None, typer.Option(metavar="P%", help="Packets lost.")] = None,
    dup: Annotated[str | None, typer.Option(metavar="P%", help="Packets sent twice.")] = None,
    delay: Annotated[
        str | None, typer.Option(metavar="MS", help="For example 50ms, or 50ms±20ms.")
    ] = None,
) -> None:
    """Spoil what a node sends: loss, duplication, delay. Each is replaced, not added."""
    from lab.cluster.network_faults import Fault, put

    cluster = _cluster(settings_of(context))
    name = cluster.place.node(node).name
    links = [cluster.place.node(peer).name for peer in peers or []]
    if name in links:
        raise Problem(f"{name} has no link to itself: name another peer", Exit.USAGE)
    delay_ms, jitter_ms = _delay(delay)
    if loss is None and dup is None and delay is None:
        raise Problem("name at least one of --loss, --dup, --delay", Exit.USAGE)
    wanted = Fault(
        links,
        loss=_share(loss, "--loss"),
        duplicate=_share(dup, "--dup"),
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
    )
    put(cluster, name, wanted)
    print(f"{name} -> {', '.join(links) or 'all peers'}: {wanted.text()}")
    hint("undo: chatlab cluster heal")


# --- helpers --------------------------------------------------------------------------------------


def _cluster(settings: Settings) -> "Cluster":
    from lab.cluster.cluster import Cluster  # lazy: subprocess and more

    return Cluster(settings.place())


def _say_swept(swept: "WipeResult", place: ClusterLocation) -> None:
    """What is gone, and what is not; raises Problem if something of ours is left."""
    if not swept.left:
        print(f"removed {place.root}")
        return
    print(f"removed {', '.join(swept.gone) or 'no node'} in {place.root}")
    if swept.failed:
        raise Problem(f"not all of it could be removed: {swept.text()}", Exit.STORAGE)
    print(swept.text())


def _each(cluster: "Cluster", names: list[str], do: Callable[[str], None]) -> None:
    """Do it for every node, also a former one, whatever happens to the others."""
    problems: list[Problem] = []
    for name in [cluster.node(one).name for one in dict.fromkeys(names)]:
        try:
            do(name)
        except Problem as problem:
            problems.append(problem)
    first_problem(problems)


def _group(place: ClusterLocation, text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if not names:
        raise Problem(f"{text!r} names no node: write a group as n1,n2", Exit.USAGE)
    return [place.node(name).name for name in names]


def _signal(name: str) -> "Signals":
    from signal import Signals

    short = name.upper().removeprefix("SIG")
    try:
        return Signals(int(short)) if short.isdigit() else Signals[f"SIG{short}"]
    except (KeyError, ValueError):
        text = f"no signal {name!r}: use for example KILL, TERM, INT, STOP or CONT"
        raise Problem(text, Exit.USAGE) from None


def _share(text: str | None, option: str) -> float | None:
    """20% or 0.2 as a number from 0 to 1."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?)", text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else 2.0
    if share > 1:
        raise Problem(f"{option} is from 0% to 100%, for example 20%, not {text!r}", Exit.USAGE)
    return share


def _delay(text: str | None) -> tuple[float | None, float | None]:
    """50ms±20ms as (50, 20): delay and jitter."""
    if text is None:
        return None, None
    number = r"([0-9]+(?:\.[0-9]*)?)\s*(ms|s|)"
    match = re.fullmatch(rf"{number}(?:\s*(?:±|\+-|\+/-)\s*{number})?", text.strip())
    if match is None:
        raise Problem(f"--delay is for example 50ms or 50ms±20ms, not {text!r}", Exit.USAGE)
    unit = {"ms": 1.0, "": 1.0, "s": 1000.0}
    delay_ms = float(match[1]) * unit[match[2]]
    jitter_ms = float(match[3]) * unit[match[4] or match[2]] if match[3] else 0.0
    if delay_ms > 60_000 or jitter_ms > delay_ms:
        text = "--delay is at most 60 s, and its jitter at most as large as the delay"
        raise Problem(text, Exit.USAGE)
    return delay_ms, jitter_ms
